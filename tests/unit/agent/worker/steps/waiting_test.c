/* Waiting for a new version that does not come up, each way in which a light stand-in can be told not to. */
#include "stand.h"

TEST(a_java_that_refuses_an_option_is_seen_at_once_and_undone)
{
    struct world *w = stopped_world("fault.9116=start");
    switched(w);
    ACT_OK(w, "start");
    CHECK_INT(world_do(w, "wait", CONFLEET__WORKER_PHASE__ACT), -FAIL_UNHEALTHY);
    CHECK_HAS(w->err.text, "Unrecognized VM option");
    UNDO_OK(w, "start");
    UNDO_OK(w, "switch");
    UNDO_OK(w, "guard");
    UNDO_OK(w, "stop");
    CHECK_INT(world_effects(w, "start 9.2.13 9109"), 2);
    CHECK_INT(world_effects(w, "start 9.2.21 9116"), 0);
    world_close(w);
}

TEST(a_site_that_never_gets_ready_is_given_up_when_nothing_moves)
{
    struct world *w = stopped_world("fault.9116=never-ready");
    switched(w);
    ACT_OK(w, "start");
    w->node.start_timeout_s = 3;
    CHECK_INT(world_do(w, "wait", CONFLEET__WORKER_PHASE__ACT), -FAIL_TIMEOUT);
    CHECK_HAS(w->err.text, "no sign of progress");
    world_close(w);
}

TEST(an_error_after_running_is_seen_by_the_soak)
{
    struct world *w = stopped_world("fault.9116=ready-then-error=8");
    switched(w);
    ACT_OK(w, "start");
    ACT_OK(w, "wait");
    int rc = 0;
    for (int i = 0; i < 60 && rc == 0; i++, (void)poll(NULL, 0, 250))
        rc = world_do(w, "soak", CONFLEET__WORKER_PHASE__ACT);
    CHECK_INT(rc, -FAIL_UNHEALTHY);
    world_close(w);
}

WORLD_LAST_TEST
