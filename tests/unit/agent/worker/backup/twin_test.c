#include "copies.h"

TEST(a_copy_goes_back_by_a_rename_with_everything_that_belongs_to_the_database)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    CHECK_INT(noted(&w).state, TWIN_READY);
    CHECK_HAS(w.note, "unproven");
    CHECK_HAS(w.note, copy_name(&w));
    CHECK_HAS(w.note, "are free where");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__LEVEL_NONE); /* no database is in it yet */
    CHECK(!noted(&w).opened);
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_STR(cluster_ask("postgres", "SELECT datallowconn FROM pg_database WHERE datname LIKE "
                                      "'confleet\\_copy\\_%'"),
              "f");
    world_fingerprint(&w, "before", false);
    damage(&w);
    go_back(&w);
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    UNDO(&w, "capture-database"); /* once more, as after a crash before its journal */
    UNDO(&w, "capture-files");
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
    CHECK_INT(noted(&w).state, TWIN_NONE);
    tidy(&w, tidy_back);
    UNDO(&w, "capture-database");
    world_fingerprint(&w, "before", true);
}

TEST(a_copy_goes_back_although_the_backup_folder_can_only_be_read)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    CLEANUP(free_mem) char *lock = fs_join(w.backup, "app-1/lock");
    CHECK_OK(fs_unlink(lock, &w.err), w.err);
    w.order.new_build_started = true;
    damage(&w);
    if (!undo_from_read_only(&w))
        TEST_SKIP("nothing can be mounted here");
    world_fingerprint(&w, "before", true);
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    /* Once more, as after a crash: it is known without its note. */
    CHECK(undo_from_read_only(&w));
    world_fingerprint(&w, "before", true);
    tidy(&w, tidy_back);
    CHECK_INT(noted(&w).state, TWIN_NONE);
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki_confleet_failed");
}

TEST(after_the_outage_the_copy_is_dumped_and_proven_and_still_the_way_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    damage(&w);
    tree_file(w.dir, "home/confluence.cfg.xml", "half writ");
    CLEANUP(free_mem)
    char *kept = fs_join(w.run, "stop-home/confluence.cfg.xml"),
         *live = fs_join(w.home, "confluence.cfg.xml");
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_OK(fs_read(kept, 1 << 20, &text, &err), err);
    CHECK_OK(fs_write(live, text.s, text.len, 0600, &err), err);
    PROBED(&w, "prove-capture", CONFLEET__PROBE_STATE__ABSENT);
    STEP(&w, "prove-capture");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK_INT(w.rows, 5000 + 1 + 2 + 1);
    PROBED(&w, "prove-capture", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_STR(cluster_ask("postgres", "SELECT datallowconn FROM pg_database WHERE datname LIKE "
                                      "'confleet\\_copy\\_%'"),
              "f");
    go_back(&w);
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(what_failed_has_a_name_of_its_own_that_is_text)
{
    char name[64], out[ELSEWHERE_NAME_MAX + 1], other[ELSEWHERE_NAME_MAX + 1];
    twin_failed_name("wiki", out);
    CHECK_STR(out, "wiki_confleet_failed");
    for (size_t len = 1; len <= 63; len++) {
        memset(name, 'x', len);
        name[len] = '\0';
        twin_failed_name(name, out);
        CHECK(strlen(out) <= ELSEWHERE_NAME_MAX);
        CHECK_HAS(out, TWIN_FAILED);
        name[len - 1] = 'y';
        twin_failed_name(name, other);
        CHECK(strcmp(out, other) != 0);
    }
    for (size_t lead = 0; lead < 2; lead++) {
        name[0] = 'x';
        for (size_t i = lead; i + 2 <= 63; i += 2)
            memcpy(name + i, "é", 3);
        twin_failed_name(name, out);
        CHECK(text_is_utf8(out, strlen(out)));
        CHECK(strlen(out) <= ELSEWHERE_NAME_MAX);
        CHECK_HAS(out, "é_");
    }
}

TEST(a_note_holds_any_name)
{
    const char *dir = test_dir();
    CLEANUP(str_free) struct str text = { 0 };
    struct twin_note note = { .state = TWIN_NONE };
    struct err err = { 0 };
    tree_file(
        dir, "app-1/20200101T000000Z-abcdef.copy",
        "confleet-copy 1\nname confleet_copy_20200101t000000z_abcdef\nof flat state of oid 7\n"
        "at h:1/flat state of oid 7\nstate ready\noid 12\nfailed 0\nopened 0\n");
    CHECK_OK(twin_read(dir, "app-1", "20200101T000000Z-abcdef", &note, &err), err);
    CHECK_STR(note.of, "flat state of oid 7");
    CHECK_INT(note.oid, 12);
    CHECK(!note.opened);
    /* One that does not say so may have been opened. */
    tree_file(dir, "app-1/20200101T000000Z-abcdef.copy",
              "confleet-copy 1\nname confleet_copy_20200101t000000z_abcdef\nof a\n"
              "at h:1/a\nstate ready\noid 12\nfailed 0\n");
    CHECK_OK(twin_read(dir, "app-1", "20200101T000000Z-abcdef", &note, &err), err);
    CHECK(note.opened);
}

TEST(a_copy_whose_run_is_kept_goes_and_its_dump_is_the_way_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    tidy(&w, tidy_kept); /* not proven yet: it stays */
    CHECK_INT(noted(&w).state, TWIN_READY);
    STEP(&w, "prove-capture");
    tidy(&w, tidy_kept);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
    CHECK_INT(noted(&w).state, TWIN_NONE);
    damage(&w);
    go_back(&w);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(a_copy_that_somebody_dropped_is_told_or_its_dump_is_taken)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    clear_copies();
    w.order.new_build_started = true;
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_NOT_FOUND);
    CHECK_HAS(w.err.text, copy_name(&w));
    CHECK_HAS(w.err.text, "was not dumped yet");
    CHECK_INT(world_step(&w, "prove-capture", CONFLEET__WORKER_PHASE__ACT), -FAIL_NOT_FOUND);
    /* Dumped before it was dropped, and half a restore stands there. */
    w.order.new_build_started = false;
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    STEP(&w, "prove-capture");
    clear_copies();
    CLEANUP(free_mem) char *make = text_printf("CREATE DATABASE %s", copy_name(&w));
    cluster_sql("postgres", "postgres", make);
    damage(&w);
    w.order.new_build_started = true;
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_CONFLICT);
    CHECK_HAS(w.err.text, copy_name(&w));
    CLEANUP(free_mem)
    char *aside = text_printf("aside %s\n", world_memo(&w, MEMO_STOP_BACKUP));
    tree_file(w.dir, "run/restore-database", aside);
    go_back(&w);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(a_crash_anywhere_in_making_the_copy_is_finished_by_the_next_attempt)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    struct err err = { 0 };
    to_the_copy(&w);
    CLEANUP(free_mem)
    char *note = text_printf("backup/app-1/%s.copy", world_memo(&w, MEMO_STOP_BACKUP));
    CLEANUP(free_mem) char *path = fs_join(w.dir, note);
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(path, 4096, &text, &err), err);
    char *mark_at = strstr(text.s, "state ready");
    CHECK(mark_at != NULL);
    CLEANUP(free_mem)
    char *making =
        text_printf("%.*sstate making\noid 0\nfailed 0\n", (int)(mark_at - text.s), text.s);
    /* Made, its properties not put on it. */
    tree_file(w.dir, note, making);
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__PARTIAL);
    STEP(&w, "capture-database");
    CHECK_INT(noted(&w).state, TWIN_READY);
    /* Begun, and not there: it is dumped, since the service is still stopped. */
    clear_copies();
    tree_file(w.dir, note, making);
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__PARTIAL);
    STEP(&w, "capture-database");
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_HAS(w.note, "begun and is not there");
    CHECK(!fs_exists(path));
    CHECK_STR(cluster_ask("postgres", LEFT), "");
    /* No note, no word of the step before, and no name yet: copied now. */
    CLEANUP(world_free) struct world again;
    furnish(&again);
    STEP(&again, "capture-files");
    CHECK_HAS(world_memo(&again, MEMO_STOP_CAPTURE), "stop_capture: dump");
    for (size_t i = 0; i < again.order.n_memo; i++)
        if (strcmp(again.memo[i].key, MEMO_STOP_CAPTURE) == 0)
            again.memo[i].value[0] = '\0';
    again.node.stop_capture = (char *)(uintptr_t) "auto";
    PROBED(&again, "capture-database", CONFLEET__PROBE_STATE__ABSENT);
    STEP(&again, "capture-database");
    CHECK_INT(noted(&again).state, TWIN_READY);
    /* The run turns back before anything was started: the copy is not needed. */
    UNDO(&again, "capture-database");
    UNDO(&again, "capture-files");
    CHECK_INT(noted(&again).state, TWIN_READY);
    tidy(&again, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(a_crash_anywhere_in_going_back_to_the_copy_is_finished_by_the_next_attempt)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    struct err err = { 0 };
    to_the_copy(&w);
    world_fingerprint(&w, "before", false);
    damage(&w);
    CLEANUP(free_mem)
    char *note = text_printf("backup/app-1/%s.copy", world_memo(&w, MEMO_STOP_BACKUP));
    CLEANUP(free_mem)
    char *path = fs_join(w.dir, note), *mark = fs_join(w.run, "restore-database"),
         *oid = text_dup(
             cluster_ask("postgres", "SELECT oid FROM pg_database WHERE datname = 'wiki'"));
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(path, 4096, &text, &err), err);
    char *mark_at = strstr(text.s, "state ready");
    CHECK(mark_at != NULL);
    CLEANUP(free_mem)
    char *back = text_printf("%.*sstate back\noid %llu\nfailed %s\n", (int)(mark_at - text.s),
                             text.s, (unsigned long long)noted(&w).oid, oid);
    /* Intended, not exchanged. */
    tree_file(w.dir, note, back);
    go_back(&w);
    /* Exchanged, not noted. */
    CHECK_INT(unlink(mark), 0);
    go_back(&w);
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    /* What failed is dropped, the note is not. */
    CLEANUP(str_free) struct str now = { 0 };
    CHECK_OK(fs_read(path, 4096, &now, &err), err);
    tidy(&w, tidy_back);
    CHECK(!fs_exists(path));
    tree_file(w.dir, note, now.s);
    tidy(&w, tidy_back);
    CHECK(!fs_exists(path));
    CHECK_STR(cluster_ask("postgres", LEFT), "");
    world_fingerprint(&w, "before", true);
}

TEST(the_choice_has_a_reason)
{
    char why[TWIN_WHY];
    struct twin_ask ask = { .policy = "auto",
                            .may = true,
                            .account = "conf",
                            .owner = "conf",
                            .entry_why = "",
                            .room_known = true,
                            .room_why = "the server is another host",
                            .bytes = 1000000000,
                            .free_bytes = 1700000000 };
    CHECK(twin_choose(&ask, why));
    ask.free_bytes = 1500000000;
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "1.5 GB");
    ask.room_known = false;
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "another host");
    ask.policy = "copy";
    CHECK(twin_choose(&ask, why));
    CHECK_HAS(why, "room unknown");
    ask.may = false;
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "CREATEDB");
    ask.may = true;
    ask.entry_why = "no pg_hba.conf entry";
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "no pg_hba.conf entry");
    ask.policy = "auto";
    ask.room_known = true;
    ask.free_bytes = 1700000000;
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "account conf into");
    ask.policy = "dump";
    CHECK(!twin_choose(&ask, why));
    CHECK_HAS(why, "stop_capture: dump");
}

static void dumped_because(struct world *w, const char *why)
{
    STEP(w, "capture-files");
    STEP(w, "capture-database");
    CHECK_HAS(w->note, why);
    CHECK_HAS(w->note, "by dump: ");
    CHECK_INT(w->level, CONFLEET__BACKUP_LEVEL__RE_READ);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(where_no_copy_can_be_made_it_is_dumped_and_the_reason_told)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(database_close) PGconn *other = NULL;
    struct err err = { 0 };
    furnish(&w);
    clear_copies();
    w.node.stop_capture = (char *)(uintptr_t) "auto";
    w.node.reserve_bytes = 1ULL << 60;
    dumped_because(&w, "has room for");
    w.node.stop_capture = (char *)(uintptr_t) "copy";
    CHECK_INT(world_step(&w, "capture-files", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w.err.text, "wants no dump");
    w.node.reserve_bytes = 0;
    w.node.stop_capture = (char *)(uintptr_t) "auto";
    CHECK_OK(database_connect(&cluster.site, "wiki", cluster.admin, NULL, 60, &other, &err), err);
    CHECK_OK(database_do(other, "SET application_name = 'somebody else'", &err), err);
    dumped_because(&w, "somebody else");
    database_close(&other);
    w.node.database_admin = (char *)(uintptr_t) "";
    cluster_sql("postgres", "wiki",
                "ALTER TABLE theirs OWNER TO conf; ALTER TABLE empty OWNER TO conf; ALTER ROLE "
                "conf NOCREATEDB");
    dumped_because(&w, "CREATEDB");
    cluster_sql("postgres", "postgres", "ALTER ROLE conf CREATEDB");
}

TEST(by_the_sites_own_account_it_is_copied_too)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    clear_copies();
    w.node.database_admin = (char *)(uintptr_t) "";
    w.node.stop_capture = (char *)(uintptr_t) "auto";
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    CHECK_HAS(w.note, "by copy: ");
    world_fingerprint(&w, "before", false);
    cluster_sql("conf", "wiki", "DROP TABLE content CASCADE");
    go_back(&w);
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(an_expiry_drops_what_no_backup_needs_and_nothing_of_anybody_else)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    struct err err = { 0 };
    to_the_copy(&w);
    cluster_sql("postgres", "postgres", "CREATE DATABASE confleet_copy_20200101t000000z_abcdef");
    CHECK_OK(world_job(&w, twins_expire), w.err);
    CHECK_INT(noted(&w).state, TWIN_READY);
    CLEANUP(free_mem)
    char *files = text_printf("%s/app-1/%s.files", w.backup, world_memo(&w, MEMO_STOP_BACKUP));
    CHECK_OK(fs_remove_tree(files, &err), err);
    CHECK_OK(world_job(&w, twins_expire), w.err);
    CHECK_INT(noted(&w).state, TWIN_NONE);
    CHECK_STR(cluster_ask("postgres", LEFT), "confleet_copy_20200101t000000z_abcdef");
    clear_copies();
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    STEP(&w, "prove-capture");
    CHECK_OK(world_job(&w, twins_expire), w.err);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}
