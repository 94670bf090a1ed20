/* A copy while it is open, and one that nobody may open. */
#include "copies.h"

/* Whom pg_hba.conf lets in: everybody, or nobody into a copy. */
static void let_into_copies(bool yes)
{
    static const char only[] = "local wiki,postgres,template1 all trust\n"
                               "host wiki,postgres,template1 all 127.0.0.1/32 scram-sha-256\n",
                      all[] = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = fs_join(cluster.dir, "data/pg_hba.conf");
    FILE *file = fopen(path, "w"); /* keeps its owner */
    CHECK(file != NULL);
    CHECK(fputs(yes ? all : only, file) >= 0);
    CHECK_INT(fclose(file), 0);
    cluster_sql("postgres", "postgres", "SELECT pg_reload_conf()");
    for (int64_t end = clock_mono_ms() + 10000;; (void)poll(NULL, 0, 20)) {
        CLEANUP(database_close) PGconn *conn = NULL;
        int rc =
            database_connect(&cluster.site, "confleet_copy_x", cluster.admin, NULL, 5, &conn, &err);
        if (rc == (yes ? -FAIL_NOT_FOUND : -FAIL_DENIED))
            return;
        CHECK(clock_mono_ms() < end);
    }
}

static char *file_of(const struct world *w, const char *ending)
{
    return text_printf("%s/app-1/%s%s", w->backup, world_memo(w, MEMO_STOP_BACKUP), ending);
}

TEST(whoever_joined_the_open_copy_is_ended_and_what_he_wrote_does_not_go_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    struct err err = { 0 };
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    CLEANUP(database_close) PGconn *reader = join_copy(&w);
    STEP(&w, "prove-capture");
    CHECK(is_ended(reader));
    CHECK(noted(&w).opened);
    CLEANUP(database_close) PGconn *writer = join_copy(&w);
    CHECK_OK(database_do(writer, "UPDATE public.content SET t = 'evil' WHERE id = 8", &err), err);
    damage(&w);
    go_back(&w);
    CHECK(is_ended(writer));
    CHECK_STR(cluster_ask("postgres", LEFT), ""); /* the dump: nothing is left to be dropped */
    UNDO(&w, "capture-database");
    tidy(&w, tidy_back);
    CHECK_INT(noted(&w).state, TWIN_NONE);
    world_fingerprint(&w, "before", true);
}

TEST(a_copy_that_was_opened_and_not_dumped_is_all_there_is_and_nobody_stays_in_it)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    CLEANUP(free_mem)
    char *path = text_printf("%s/app-1/%s.copy", w.backup, world_memo(&w, MEMO_STOP_BACKUP));
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_OK(fs_read(path, 4096, &text, &err), err);
    char *opened = strstr(text.s, "opened 0");
    CHECK(opened != NULL);
    opened[strlen("opened ")] = '1';
    CHECK_OK(fs_write(path, text.s, text.len, 0600, &err), err);
    CLEANUP(database_close) PGconn *reader = join_copy(&w);
    damage(&w);
    go_back(&w);
    CHECK(is_ended(reader));
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(a_copy_goes_although_somebody_is_in_it)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    CLEANUP(database_close) PGconn *reader = join_copy(&w);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    tidy(&w, tidy_back);
    CHECK(is_ended(reader));
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(what_was_written_into_the_copy_before_its_dump_is_no_dump_of_the_stop)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    struct err err = { 0 };
    to_the_copy(&w);
    CLEANUP(database_close) PGconn *writer = join_copy(&w);
    CHECK_OK(database_do(writer, "UPDATE public.content SET t = 'evil' WHERE id = 8", &err), err);
    CHECK_INT(world_step(&w, "prove-capture", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK(is_ended(writer));
    CHECK_HAS(w.err.text, "wrote 1 rows");
    CHECK_HAS(w.err.text, "no dump");
    CHECK_HAS(w.note, copy_name(&w));
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__LEVEL_NONE);
    CLEANUP(free_mem) char *whole = file_of(&w, "");
    CHECK(!fs_exists(whole));
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(where_nobody_may_enter_a_copy_none_is_made)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    clear_copies();
    w.node.stop_capture = (char *)(uintptr_t) "auto";
    let_into_copies(false);
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    CHECK_HAS(w.note, "by dump: ");
    CHECK_HAS(w.note, "pg_hba.conf");
    CHECK_STR(cluster_ask("postgres", LEFT), "");
    w.node.stop_capture = (char *)(uintptr_t) "copy";
    CHECK_INT(world_step(&w, "capture-files", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w.err.text, "pg_hba.conf");
    let_into_copies(true);
}

TEST(a_copy_that_nobody_may_enter_any_more_is_told_and_is_still_the_way_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    let_into_copies(false);
    CHECK_INT(world_step(&w, "prove-capture", CONFLEET__WORKER_PHASE__ACT), -FAIL_DENIED);
    let_into_copies(true);
    CHECK_HAS(w.err.text, "no dump");
    CHECK_HAS(w.err.text, "pg_hba.conf");
    CHECK_HAS(w.note, "no dump");
    CHECK_HAS(w.note, copy_name(&w));
    CHECK_HAS(w.note, "ALLOW_CONNECTIONS true");
    CHECK_STR(cluster_ask("postgres", "SELECT datallowconn FROM pg_database WHERE datname LIKE "
                                      "'confleet\\_copy\\_%'"),
              "f");
    tidy(&w, tidy_kept);
    CHECK_INT(noted(&w).state, TWIN_READY);
    damage(&w);
    go_back(&w);
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(a_server_that_makes_a_copy_for_ever_is_not_waited_for_so_long)
{
    NEEDS_SERVER;
    CLEANUP(database_close) PGconn *holder = NULL;
    CLEANUP(database_close) PGconn *maker = NULL;
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    PGconn **all[] = { &holder, &maker, &conn };
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(database_connect(&cluster.site, "postgres", cluster.admin, NULL, 60, all[i], &err),
                 err);
    CHECK_OK(database_do(conn, "CREATE DATABASE busy", &err), err);
    CHECK_OK(database_do(holder, "BEGIN", &err), err);
    CHECK_OK(database_do(holder, "ALTER DATABASE busy RENAME TO idle", &err), err);
    CHECK_INT(PQsendQuery(maker, "CREATE DATABASE confleet_copy_x TEMPLATE busy"), 1);
    for (int64_t end = clock_mono_ms() + 10000;
         cluster_ask("postgres", "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE "
                                 "DATABASE%' AND wait_event_type = 'Lock'")[0] == '\0';)
        CHECK(clock_mono_ms() < end);
    CHECK_INT(twin_wait_making(conn, "confleet_copy_x", false, 100, &err), -FAIL_TIMEOUT);
    CHECK_HAS(err.text, "confleet_copy_x");
    CHECK_HAS(err.text, "process ");
    CHECK_OK(twin_wait_making(conn, "confleet_copy_x", true, 10000, &err), err);
    CHECK_OK(twin_wait_making(conn, "confleet_copy_x", false, 100, &err), err);
    CHECK(is_ended(maker));
    CHECK_OK(database_do(holder, "ROLLBACK", &err), err);
    CHECK_OK(database_do(conn, "DROP DATABASE busy", &err), err);
}
