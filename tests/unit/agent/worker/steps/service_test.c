/* Stop and start on a light stand-in: each way to go wrong, and what a second run of a step finds. */
#include "stand.h"
#include <signal.h>

TEST(the_start_is_done_once_however_often_its_step_is_run)
{
    struct world *w = stopped_world(NULL);
    switched(w);
    ACT_OK(w, "start");
    char offset[32];
    (void)snprintf(offset, sizeof offset, "%s", world_memo_get(w, MEMO_LOG_OFFSET));
    ACT_OK(w, "wait");
    ACT_OK(w, "start");
    CHECK_STR(world_memo_get(w, MEMO_LOG_OFFSET), offset);
    ACT_OK(w, "wait");
    ACT_OK(w, "compare");
    CHECK_INT(world_effects(w, "start 9.2.21 9116"), 1);
    pid_t pid = 0;
    CHECK_OK(installation_pid(w->install, "/proc", &pid, &w->err), w->err);
    CHECK(pid > 1 && kill(pid, SIGKILL) == 0);
    CHECK_INT(world_do(w, "wait", CONFLEET__WORKER_PHASE__ACT), -FAIL_UNHEALTHY);
    CHECK_HAS(w->err.text, "process of Confluence is gone");
    CHECK_INT(world_do(w, "start", CONFLEET__WORKER_PHASE__ACT), -FAIL_UNHEALTHY);
    CHECK_HAS(w->err.text, "started once already");
    CHECK_INT(world_effects(w, "start 9.2.21 9116"), 1);
    world_close(w);
}

TEST(a_moved_safety_number_stops_the_start_before_its_first_effect)
{
    struct world *w = stopped_world(NULL);
    switched(w);
    world_memo(w, MEMO_SAFETY_NUMBER, "12345");
    CHECK_INT(world_do(w, "start", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w->err.text, "another Confluence");
    CHECK_INT(world_probe(w, "start"), CONFLEET__PROBE_STATE__ABSENT);
    CHECK_INT(world_effects(w, "start 9.2.21 9116"), 0);
    world_close(w);
}

TEST(somebody_else_in_the_database_is_named_and_the_old_version_comes_back)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    world_check(w);
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CHECK_OK(installation_read(w->install, NULL, "/proc", &found, &w->err), w->err);
    CHECK_OK(database_connect(&found.database, NULL, NULL, NULL, 60, &conn, &w->err), w->err);
    CHECK_INT(world_do(w, "stop", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w->err.text, "1 other sessions use the database: one from 127.0.0.1");
    database_close(&conn);
    UNDO_OK(w, "stop");
    CHECK_INT(world_effects(w, "start"), 2);
    world_close(w);
}

TEST(a_service_that_ignores_the_stop_gets_signals_and_a_finding)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    world_switch(w, "fault.9109=hang-on-stop");
    world_switch(w, "stop.wait=60");
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    world_check(w);
    w->node.stop_timeout_s = 2;
    ACT_OK(w, "stop");
    CHECK_HAS(str_text(&w->findings), "stop-killed: process ");
    CHECK_INT(world_probe(w, "stop"), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    world_close(w);
}

TEST(a_site_that_was_not_running_is_left_stopped_on_the_way_back)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    world_check(w);
    ACT_OK(w, "stop");
    CHECK_STR(world_memo_get(w, MEMO_WAS_RUNNING), "0");
    ACT_OK(w, "guard");
    UNDO_OK(w, "guard");
    UNDO_OK(w, "stop");
    CHECK_INT(world_effects(w, "start"), 0);
    world_close(w);
}

TEST(a_site_that_was_started_again_after_the_stop_keeps_running_and_its_start_script)
{
    struct world *w = stopped_world(NULL);
    CLEANUP(free_mem) char *note = fs_join(w->node.run_dir, "home-changed");
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    int starts = world_effects(w, "start");
    CHECK_INT(world_do(w, "guard", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w->err.text, "Confluence was started again after the stop: process ");
    CHECK_INT(world_probe(w, "guard"), CONFLEET__PROBE_STATE__ABSENT);
    UNDO_OK(w, "guard");
    UNDO_OK(w, "stop");
    CHECK_INT(world_effects(w, "start"), starts);
    /* The process table does not show it: its port does. */
    free(w->node.pid_root), w->node.pid_root = under(w->root, "no-proc");
    CHECK_INT(world_do(w, "guard", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w->err.text, "answers");
    CHECK_INT(world_probe(w, "guard"), CONFLEET__PROBE_STATE__ABSENT);
    free(w->node.pid_root), w->node.pid_root = text_dup("/proc");
    ACT_OK(w, "stop");
    CHECK(!fs_exists(note));
    switched(w);
    CHECK(fs_exists(note));
    world_close(w);
}

static void sql(struct world *w, const char *text)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CHECK_OK(installation_read(w->install, NULL, "/proc", &found, &w->err), w->err);
    CHECK_OK(database_connect(&found.database, NULL, NULL, NULL, 60, &conn, &w->err), w->err);
    CHECK_OK(database_do(conn, text, &w->err), w->err);
}

TEST(a_build_that_cannot_be_read_is_unknown_to_the_check_and_no_basis_for_a_run)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    ACT_OK(w, "check");
    sql(w, "alter table public.confversion rename to confversion_gone");
    CHECK_INT(world_do(w, "check", CONFLEET__WORKER_PHASE__ACT), -FAIL_BLOCKED);
    CHECK_HAS(w->err.text, "not ready: build-numbers: a build number that cannot be read before the stop is no basis for an upgrade. Not known");
    CHECK_HAS(str_text(&w->findings), "build-numbers: Not known: the database's build");
    w->order.step = (char *)(uintptr_t)"check";
    struct job *job = job_new(&w->order, -1);
    CHECK_OK(check_job(job, &w->err), w->err);
    CHECK_INT(job_blocks(job), 0);
    job_free(&job);
    sql(w, "alter table public.confversion_gone rename to confversion");
    ACT_OK(w, "check");
    world_close(w);
}

TEST(a_start_that_somebody_elses_session_forbids_is_on_record_as_never_begun)
{
    struct world *w = stopped_world(NULL);
    CLEANUP(free_mem) char *note = fs_join(w->node.run_dir, "unstarted");
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    switched(w);
    CHECK_OK(installation_read(w->install, NULL, "/proc", &found, &w->err), w->err);
    CHECK_OK(database_connect(&found.database, NULL, NULL, NULL, 60, &conn, &w->err), w->err);
    CHECK_INT(world_do(w, "start", CONFLEET__WORKER_PHASE__ACT), -FAIL_CONFLICT);
    CHECK_HAS(w->err.text, "other sessions use the database");
    CHECK(fs_exists(note));
    w->order.new_build_started = true;
    UNDO_OK(w, "start");
    CHECK(fs_exists(note));
    database_close(&conn);
    ACT_OK(w, "start");
    CHECK(!fs_exists(note));
    ACT_OK(w, "wait");
    ACT_OK(w, "start");
    CHECK(!fs_exists(note));
    /* It serves, and there is no capture to go back to. */
    pid_t pid = 0, after = 0;
    CHECK_OK(installation_pid(w->install, "/proc", &pid, &w->err), w->err);
    CHECK(pid > 1);
    CHECK_INT(world_do(w, "start", CONFLEET__WORKER_PHASE__UNDO), -FAIL_NOT_FOUND);
    CHECK_HAS(w->err.text, "still serves the new version and nothing was stopped");
    CHECK_OK(installation_pid(w->install, "/proc", &after, &w->err), w->err);
    CHECK(after == pid && kill(pid, 0) == 0);
    CHECK_INT(world_probe(w, "start"), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    /* What does not serve is stopped at once. */
    CHECK_INT(kill(pid, SIGKILL), 0);
    UNDO_OK(w, "start");
    CHECK(!fs_exists(note));
    world_close(w);
}

static mode_t mode_of(const char *dir, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    struct stat st;
    CHECK_INT(lstat(path, &st), 0);
    return st.st_mode & 0777;
}

/* The agent's unit has 0077; what Confluence writes must stay readable for those who could read it before. */
TEST(the_new_version_writes_with_the_modes_of_the_old_one_and_not_with_ours)
{
    mode_t mine = umask(077);
    static const mode_t masks[] = { 027, 002 };
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        (void)umask(022);
        struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
        (void)umask(masks[i]);
        TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
        (void)umask(077);
        mode_t before = mode_of(w->install, "logs/catalina.out");
        CHECK_INT(before, 0666 & ~masks[i]);
        world_check(w);
        ACT_OK(w, "unpack");
        ACT_OK(w, "carry");
        ACT_OK(w, "baseline");
        ACT_OK(w, "stop");
        world_memo(w, MEMO_START_ENV, "");        /* as if its worker had ended right behind the stop */
        ACT_OK(w, "stop");
        switched(w);
        ACT_OK(w, "start");
        ACT_OK(w, "wait");
        CHECK_INT(mode_of(w->install, "logs/catalina.out"), before);
        world_close(w);
    }
    (void)umask(mine);
}

static void name_root(struct world *w)
{
    CLEANUP(free_mem) char *path = fs_join(w->install, "bin/user.sh");
    CLEANUP(free_mem) char *text = text_printf("id -u >>%s/who\nCONF_USER=\"root\"\nexport CONF_USER\n", w->home);
    CHECK_OK(fs_write(path, text, strlen(text), 0755, &w->err), w->err);
    CHECK_INT(chmod(path, 0755), 0);
}

/* bin/user.sh belongs to the account that Confluence runs as: it must not become root by writing a word into it. */
TEST(a_tree_that_names_root_after_the_check_is_not_run_as_root)
{
    if (geteuid() != 0)
        TEST_SKIP("needs root");
    struct world *w = stopped_world(NULL);
    name_root(w);
    CHECK_INT(world_do(w, "check", CONFLEET__WORKER_PHASE__ACT), -FAIL_BLOCKED);
    CHECK_HAS(str_text(&w->findings), "run-user: Confluence runs as root");
    CHECK_STR(world_memo_get(w, MEMO_RUN_USER), "nobody");
    w->node.start_timeout_s = 3;
    CHECK(world_do(w, "stop", CONFLEET__WORKER_PHASE__UNDO) < 0);
    CHECK(file_has(w->home, "who", "65534") && !file_has(w->home, "who", "\n0\n"));
    CLEANUP(free_mem) char *who = fs_join(w->home, "who");
    CHECK_INT(unlink(who), 0);
    static const char *const refused[] = { "root", "", "no-such-account" };
    for (size_t i = 0; i < 3; i++) {
        world_memo(w, MEMO_RUN_USER, refused[i]);
        CHECK_INT(world_do(w, "stop", CONFLEET__WORKER_PHASE__UNDO), -FAIL_DENIED);
        CHECK_HAS(w->err.text, i ? "without an account" : "is run as root");
    }
    CHECK(!fs_exists(who));
    world_close(w);
}

TEST(a_pid_file_that_names_the_process_of_another_account_gets_it_no_signal)
{
    if (geteuid() != 0)
        TEST_SKIP("needs root");
    struct world *w = stopped_world(NULL);
    CLEANUP(free_mem) char *pid_file = fs_join(w->install, "work/catalina.pid");
    const char *const argv[] = { "/bin/sleep", "120", NULL };
    const struct proc_spec spec = { .argv = argv, .dir = w->install };
    struct proc_child child = { 0 };
    CHECK_OK(proc_start(&spec, &child, &w->err), w->err);
    CLEANUP(free_mem) char *pid = text_printf("%ld\n", (long)child.pid);
    CHECK_OK(fs_write(pid_file, pid, strlen(pid), 0644, &w->err), w->err);
    w->node.stop_timeout_s = 1;
    int rc = world_do(w, "stop", CONFLEET__WORKER_PHASE__ACT), alive = kill(child.pid, 0);
    CLEANUP(free_mem) char *state_path = text_printf("/proc/%ld/cmdline", (long)child.pid);
    CLEANUP(str_free) struct str line = { 0 };
    CHECK_OK(fs_read(state_path, 4096, &line, &w->err), w->err);     /* a zombie has none */
    proc_kill(&child, SIGKILL);
    proc_child_close(&child);
    CHECK_INT(unlink(pid_file), 0);
    CHECK_INT(rc, -FAIL_DENIED);
    CHECK_INT(alive, 0);
    CHECK(line.len > 0);
    world_close(w);
}

WORLD_LAST_TEST
