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

WORLD_LAST_TEST
