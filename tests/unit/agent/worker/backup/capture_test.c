#include "agent/worker/backup/capture.h"
#include "agent/worker/backup/manifest.h"
#include "agent/worker/backup/twin.h"
#include "confleet/clock.h"
#include "spoil.h"
#include <poll.h>
#include <sys/mount.h>

static void to_the_stop(struct world *w)
{
    STEP(w, "backup");
    STEP(w, "verify");
    CHECK_INT(w->level, CONFLEET__BACKUP_LEVEL__RESTORED);
    tree_file(w->dir, "home/index/segments", "lucene, a little later");
    cluster_sql("conf", "wiki", "INSERT INTO content VALUES (6000, 'after the hot backup')");
    STEP(w, "capture-files");
    STEP(w, "capture-database");
}

TEST(a_failed_upgrade_is_undone_to_the_last_item)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    damage(&w);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "before", true);
    CHECK_STR(
        cluster_ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%confleet%'"),
        "0");
    /* Once more, as after a crash between the undo and its journal. */
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "before", true);
    STEP(&w, "prove-capture");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CLEANUP(free_mem) char *passfile = fs_join(w.run, "pgpass");
    CHECK(!fs_exists(passfile));
}

TEST(probes_say_how_far_each_step_came)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    PROBED(&w, "backup", CONFLEET__PROBE_STATE__ABSENT);
    PROBED(&w, "capture-files", CONFLEET__PROBE_STATE__ABSENT);
    STEP(&w, "backup");
    PROBED(&w, "backup", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    PROBED(&w, "verify", CONFLEET__PROBE_STATE__ABSENT);
    STEP(&w, "verify");
    PROBED(&w, "verify", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    STEP(&w, "capture-files");
    PROBED(&w, "capture-files", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__ABSENT);
    /* The memo of a step that was cut off was never journalled: the run folder knows. */
    for (size_t i = 0; i < w.order.n_memo; i++)
        if (strcmp(w.memo[i].key, MEMO_STOP_BACKUP) == 0)
            w.memo[i].value[0] = '\0';
    STEP(&w, "capture-database");
    PROBED(&w, "capture-database", CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    PROBED(&w, "prove-capture", CONFLEET__PROBE_STATE__ABSENT);
    STEP(&w, "capture-database");
}

TEST(before_the_new_build_was_started_the_database_is_left_alone)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    CLEANUP(free_mem)
    char *oid =
        text_dup(cluster_ask("postgres", "SELECT oid FROM pg_database WHERE datname = 'wiki'"));
    tree_file(w.dir, "home/confluence.cfg.xml", "configured");
    tree_file(w.dir, "run/home-changed", "");
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "before", true);
    CHECK_STR(cluster_ask("postgres", "SELECT oid FROM pg_database WHERE datname = 'wiki'"), oid);
}

/* A made-up /proc in which a Confluence of the world's installation runs, or has ended. */
static void runs(struct world *w, char *proc, bool running)
{
    struct err err = { 0 };
    char line[600];
    CLEANUP(free_mem) char *dir = fs_join(proc, "4242"), *cmdline = fs_join(dir, "cmdline");
    w->node.pid_root = proc;
    if (!running) {
        CHECK_OK(fs_remove_tree(dir, &err), err);
        return;
    }
    CHECK_OK(fs_mkdirs(dir, 0755, &err), err);
    int len = snprintf(line, sizeof line, "java%c-Dcatalina.base=%s", 0, w->install);
    CHECK_OK(fs_write(cmdline, line, (size_t)len + 1, 0644, &err), err);
}

#define CONFLICT(w, step, phase)                                                                   \
    do {                                                                                           \
        CHECK_INT(world_step((w), (step), CONFLEET__WORKER_PHASE__##phase), -FAIL_CONFLICT);       \
        CHECK_HAS((w)->err.text, "process 4242");                                                  \
    } while (0)

TEST(a_running_confluence_is_neither_captured_nor_overwritten)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    CLEANUP(free_mem) char *proc = fs_join(w.dir, "proc");
    CLEANUP(free_mem) char *uploaded = fs_join(w.home, "attachments/ver003/uploaded");
    STEP(&w, "backup");
    runs(&w, proc, true);
    CONFLICT(&w, "capture-files", ACT);
    runs(&w, proc, false);
    STEP(&w, "capture-files");
    runs(&w, proc, true);
    CONFLICT(&w, "capture-database", ACT);
    runs(&w, proc, false);
    STEP(&w, "capture-database");
    tree_file(w.dir, "home/attachments/ver003/uploaded", "a user's");
    /* Nothing of this run has changed the home: what is new there is the users'. */
    UNDO(&w, "capture-files");
    CHECK(fs_exists(uploaded));
    runs(&w, proc, true);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    CHECK(fs_exists(uploaded));
    tree_file(w.dir, "run/home-changed", "");
    CONFLICT(&w, "capture-files", UNDO);
    w.order.new_build_started = true;
    CONFLICT(&w, "capture-files", UNDO);
    CONFLICT(&w, "capture-database", UNDO);
    CHECK(fs_exists(uploaded));
    runs(&w, proc, false);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    CHECK(!fs_exists(uploaded));
}

TEST(files_captured_without_their_database_go_and_the_home_stays)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    CLEANUP(free_mem) char *proc = fs_join(w.dir, "proc");
    CLEANUP(free_mem) char *uploaded = fs_join(w.home, "attachments/ver003/uploaded");
    STEP(&w, "capture-files");
    tree_file(w.dir, "home/attachments/ver003/uploaded", "a user's");
    runs(&w, proc, true);
    CONFLICT(&w, "capture-database", ACT);
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    CHECK(fs_exists(uploaded));
    PROBED(&w, "capture-files", CONFLEET__PROBE_STATE__PARTIAL);
    UNDO(&w, "capture-files");
}

TEST(a_crash_anywhere_in_the_way_back_is_finished_by_the_next_attempt)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    char mark[128];
    CLEANUP(free_mem) char *id = NULL;
    for (size_t i = 0; i < w.order.n_memo; i++)
        if (strcmp(w.memo[i].key, MEMO_STOP_BACKUP) == 0)
            id = text_dup(w.memo[i].value);
    (void)snprintf(mark, sizeof mark, "aside %s\n", id);
    damage(&w);
    /* Intended and not done. */
    tree_file(w.dir, "run/restore-database", mark);
    UNDO(&w, "capture-database");
    /* Renamed, nothing restored. */
    tree_file(w.dir, "run/restore-database", mark);
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki RENAME TO wiki_confleet_failed");
    UNDO(&w, "capture-database");
    /* Renamed, half restored. */
    tree_file(w.dir, "run/restore-database", mark);
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki RENAME TO wiki_confleet_failed");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER conf");
    UNDO(&w, "capture-database");
    /* Restored and compared, the failed one not dropped. */
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki_confleet_failed");
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "before", true);
    CHECK_STR(
        cluster_ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%confleet%'"),
        "0");
}

TEST(a_session_of_somebody_else_is_named_and_not_ended)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(database_close) PGconn *other = NULL;
    furnish(&w);
    to_the_stop(&w);
    w.order.new_build_started = true;
    CHECK_OK(database_connect(&cluster.site, "wiki", cluster.admin, NULL, 60, &other, &err), err);
    CHECK_OK(database_do(other, "SET application_name = 'somebody else'", &err), err);
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_CONFLICT);
    CHECK_HAS(w.err.text, "somebody else");
    CHECK_OK(database_do(other, "SELECT 1", &err), err);
    database_close(&other);
    UNDO(&w, "capture-database");
}

TEST(a_database_of_the_other_name_from_somebody_else_is_not_touched)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    to_the_stop(&w);
    w.order.new_build_started = true;
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki_confleet_failed");
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_CONFLICT);
    CHECK_HAS(w.err.text, "wiki_confleet_failed");
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki_confleet_failed");
}

TEST(a_damaged_capture_is_found_before_anything_is_renamed)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    to_the_stop(&w);
    w.order.new_build_started = true;
    CLEANUP(free_mem)
    char *dump = text_printf("%s/app-1/%s/database.dump.zst", w.backup, w.backup_id);
    FILE *file = fopen(dump, "r+");
    CHECK(file && fseek(file, 900, SEEK_SET) == 0 && fputc(0x55, file) != EOF &&
          fputc(0xaa, file) != EOF && fclose(file) == 0);
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_CORRUPT);
    CHECK_HAS(w.err.text, "database.dump.zst");
    CHECK_STR(
        cluster_ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%confleet%'"),
        "0");
    CHECK_STR(cluster_ask("wiki", "SELECT count(*) FROM public.content"), "5001");
}

TEST(by_the_sites_own_account_and_password_it_works_too)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    w.node.database_admin = (char *)(uintptr_t) "";
    cluster_sql("postgres", "wiki",
                "ALTER TABLE theirs OWNER TO conf; ALTER TABLE empty OWNER TO conf");
    to_the_stop(&w);
    CHECK_HAS(w.note, "unproven");
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    cluster_sql("conf", "wiki", "DROP TABLE content CASCADE");
    UNDO(&w, "capture-database");
    world_fingerprint(&w, "before", true);
}

TEST(what_the_account_lacks_for_the_way_back_is_named_and_then_it_goes_on)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    w.node.database_admin = (char *)(uintptr_t) "";
    cluster_sql("postgres", "wiki",
                "ALTER TABLE theirs OWNER TO conf; ALTER TABLE empty OWNER TO conf");
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    cluster_sql("conf", "wiki", "DROP TABLE content CASCADE");
    cluster_sql("postgres", "postgres", "ALTER ROLE conf NOCREATEDB");
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_DATABASE);
    CHECK_HAS(w.err.text, "ALTER ROLE \"conf\" CREATEDB");
    CHECK_HAS(w.err.text, "confleet rollout retry");
    CHECK_HAS(w.err.text, w.install);
    cluster_sql("postgres", "postgres",
                "ALTER ROLE conf CREATEDB; REVOKE CONNECT ON DATABASE postgres, template1 FROM "
                "PUBLIC");
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_DATABASE);
    CHECK_HAS(w.err.text, "pg_hba.conf");
    CHECK_HAS(w.err.text, "confleet-agent resume");
    cluster_sql("postgres", "postgres", "GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC");
    UNDO(&w, "capture-database");
    world_fingerprint(&w, "before", true);
}

TEST(the_guards_script_is_not_taken_for_the_installations)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(str_free) struct str text = { 0 };
    furnish(&w);
    STEP(&w, "backup");
    CLEANUP(free_mem)
    char *script = fs_join(w.install, "bin/catalina.sh"),
         *aside = fs_join(w.install, "bin/.catalina.sh.confleet");
    CHECK_OK(fs_rename(script, aside, &err), err);
    tree_file(w.dir, "app/bin/catalina.sh", "#!/bin/sh\nexit 1\n");
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    w.order.backup = w.backup_id;
    w.order.into = fs_join(w.dir, "into");
    CHECK_OK(world_job(&w, restore_job), w.err);
    CLEANUP(free_mem)
    char *restored = fs_join(w.order.into, "install/bin/catalina.sh"),
         *none = fs_join(w.order.into, "install/bin/.catalina.sh.confleet");
    CHECK_OK(fs_read(restored, 4096, &text, &err), err);
    CHECK_STR(text.s, "#!/bin/sh\n# OS specific support\n");
    CHECK(!fs_exists(none));
    free(w.order.into);
}

static char *in_backup(const struct world *w, const char *memo, const char *name)
{
    return text_printf("%s/app-1/%s/%s", w->backup, world_memo(w, memo), name);
}

static void flip(const char *path)
{
    FILE *file = fopen(path, "r+");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    long middle = ftell(file) / 2;
    CHECK(fseek(file, middle, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(byte != EOF && fseek(file, middle, SEEK_SET) == 0 && fputc(byte ^ 1, file) != EOF &&
          fclose(file) == 0);
}

TEST(a_capture_that_does_not_read_back_is_found_while_the_new_version_serves)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    for (int64_t end = clock_wall_ms() + 1200; clock_wall_ms() < end;)
        (void)poll(NULL, 0, 20); /* until equal times prove something, and the capture has a base */
    to_the_stop(&w);
    STEP(&w, "prove-capture");
    w.order.new_build_started = true;
    CHECK_OK(world_job(&w, capture_usable), w.err);
    static const char *const memos[] = { MEMO_STOP_BACKUP, MEMO_HOT_BACKUP, MEMO_STOP_BACKUP };
    static const char *const names[] = { "home-0001.tar.zst", "home-0001.tar.zst",
                                         "database.dump.zst" };
    CLEANUP(free_mem) char *proof = in_backup(&w, MEMO_STOP_BACKUP, "proof");
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(free_mem) char *path = in_backup(&w, memos[i], names[i]);
        CLEANUP(free_mem) char *its_proof = in_backup(&w, memos[i], "proof");
        CHECK(fs_exists(its_proof));
        flip(path);
        CHECK_INT(world_job(&w, capture_usable), -FAIL_CORRUPT);
        CHECK_HAS(w.err.text, names[i]);
        CHECK_HAS(w.err.text, "still serves the new version and nothing was stopped");
        CHECK_HAS(w.err.text, "confleet-agent resume");
        CHECK(!fs_exists(its_proof));
        flip(path);
        CHECK_OK(world_job(&w, capture_usable), w.err);
        tree_file(w.dir, "proof", "x");
        CLEANUP(free_mem) char *made_up = fs_join(w.dir, "proof");
        CHECK_OK(fs_rename(made_up, proof, &w.err), w.err);
    }
    CLEANUP(free_mem) char *away = text_printf("%s.away", w.backup);
    CHECK_OK(fs_rename(w.backup, away, &w.err), w.err);
    CHECK_INT(world_job(&w, capture_usable), -FAIL_NOT_FOUND);
    CHECK_HAS(w.err.text, w.backup);
    CHECK(!fs_exists(w.backup));
    CHECK_OK(fs_rename(away, w.backup, &w.err), w.err);
    CHECK_OK(world_job(&w, capture_usable), w.err);
}

TEST(a_capture_whose_database_is_a_copy_is_usable_as_long_as_that_is_there)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    char name[64];
    furnish(&w);
    w.node.stop_capture = (char *)(uintptr_t) "copy";
    to_the_stop(&w);
    w.order.new_build_started = true;
    CHECK_OK(world_job(&w, capture_usable), w.err);
    twin_name(world_memo(&w, MEMO_STOP_BACKUP), name);
    CLEANUP(free_mem) char *drop = text_printf("DROP DATABASE \"%s\"", name);
    cluster_sql("postgres", "postgres", drop);
    CHECK_INT(world_job(&w, capture_usable), -FAIL_NOT_FOUND);
    CHECK_HAS(w.err.text, name);
}

TEST(a_start_that_was_refused_before_its_script_leaves_the_database_alone_on_the_way_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(database_close) PGconn *other = NULL;
    furnish(&w);
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    tree_file(w.dir, "run/unstarted", "");
    tree_file(w.dir, "run/home-changed", "");
    tree_file(w.dir, "home/confluence.cfg.xml", "configured");
    CHECK_OK(database_connect(&cluster.site, "wiki", cluster.admin, NULL, 60, &other, &w.err),
             w.err);
    CHECK_OK(database_do(other, "SET application_name = 'somebody else'", &w.err), w.err);
    UNDO(&w, "capture-database");
    CHECK_OK(database_do(other, "SELECT 1", &w.err), w.err);
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "before", true);
    CLEANUP(free_mem) char *note = fs_join(w.run, "unstarted");
    CHECK_OK(fs_unlink(note, &w.err), w.err);
    CHECK_INT(world_step(&w, "capture-database", CONFLEET__WORKER_PHASE__UNDO), -FAIL_CONFLICT);
}

TEST(files_that_cannot_be_dropped_do_not_hold_up_the_way_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    STEP(&w, "capture-files");
    CLEANUP(free_mem)
    char *half = text_printf("%s/app-1/%s.files", w.backup, world_memo(&w, MEMO_STOP_BACKUP));
    if (mount(w.backup, w.backup, NULL, MS_BIND, NULL) != 0)
        TEST_SKIP("nothing can be mounted here");
    int ro = mount(NULL, w.backup, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
    int rc = world_step(&w, "capture-files", CONFLEET__WORKER_PHASE__UNDO);
    bool left = fs_exists(half);
    CHECK_INT(umount(w.backup), 0);
    CHECK_INT(ro, 0);
    CHECK_OK(rc, w.err);
    CHECK(left);
    UNDO(&w, "capture-files");
    CHECK(!fs_exists(half));
}

TEST(from_a_backup_folder_that_can_only_be_read_home_and_database_go_back)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    furnish(&w);
    to_the_stop(&w);
    world_fingerprint(&w, "before", false);
    w.order.new_build_started = true;
    damage(&w);
    if (!undo_from_read_only(&w))
        TEST_SKIP("nothing can be mounted here");
    world_fingerprint(&w, "before", true);
    /* It is only read: a backup there fails, and says why. */
    CHECK_INT(mount(w.backup, w.backup, NULL, MS_BIND, NULL), 0);
    int ro = mount(NULL, w.backup, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
    int rc = world_job(&w, backup_job);
    CHECK_INT(umount(w.backup), 0);
    CHECK_INT(ro, 0);
    CHECK_INT(rc, -FAIL_IO);
    CHECK_HAS(w.err.text, "Read-only file system");
}
