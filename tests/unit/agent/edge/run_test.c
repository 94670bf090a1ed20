#include "lab.h"

#define BEFORE_STOP "check, unpack, carry, reserve, baseline, backup, verify"
#define TO_SWITCH   BEFORE_STOP ", stop, guard, capture-files, capture-database, switch"
#define TO_START    TO_SWITCH ", configure, start"
#define BACK_FROM_SWITCH                                                                           \
    "undo switch, undo capture-database, undo capture-files, undo guard, undo stop, undo "         \
    "reserve, undo unpack"
#define BACK_FROM_START "undo start, " BACK_FROM_SWITCH

/* No effect of the fake worker is left but that of steps without an undo. */
static void check_undone(const struct lab *lab)
{
    for (int step = 0; step < STEP_COUNT; step++) {
        char done[64];
        (void)snprintf(done, sizeof done, "done-%s", runbook_steps[step].name);
        CLEANUP(free_mem) char *mark = fs_join(lab->dir, done);
        if (runbook_steps[step].undo)
            CHECK(!fs_exists(mark));
    }
}

static int tell_event(void *arg, uint64_t seq, const void *bytes, size_t len, struct err *err)
{
    struct str *told = arg;
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Event *event = NULL;
    int result = wire_decode_event(arena, bytes, len, &event, err);
    if (result != 0)
        return result;
    CHECK_INT(event->seq, seq);
    if (event->what_case == CONFLEET__EVENT__WHAT_RUN)
        str_addf(told, "[%d build %u]", (int)event->run->state, event->run->build);
    if (event->what_case == CONFLEET__EVENT__WHAT_DONE)
        str_addf(told, "[done %u]", event->done->code);
    return 0;
}

static char *told_states(struct lab *lab)
{
    struct str told = { 0 };
    struct err err = { 0 };
    CHECK_OK(journal_events(lab->journal, 0, 10000, tell_event, &told, &err), err);
    return told.s;
}

TEST(a_run_without_trouble_acts_once_per_step_and_reports_each_state)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_START ", wait, compare, probe, prove-capture, commit");
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_COMMITTED);
    CLEANUP(free_mem) char *told = told_states(&lab);
    CHECK_STR(told, "[1 build 0][2 build 9111][3 build 9111][done 0]");
    run_close(&run);
    lab_close(&lab);
}

TEST(a_failed_step_after_the_stop_is_undone_from_itself)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    lab_script(&lab, "act start 1 fail\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_START ", " BACK_FROM_START);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_ROLLED_BACK);
    CHECK_STR(run_reason(run), "start: told to fail");
    check_undone(&lab);
    CLEANUP(free_mem) char *told = told_states(&lab);
    CHECK_STR(told, "[1 build 0][4 build 0][5 build 9012][done 23]");
    CHECK(run_outage_ms(run, clock_wall_ms()) > 0);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_failed_check_ends_not_ready_and_touches_nothing)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    lab_script(&lab, "act check 1 fail\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), "check");
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_NOT_READY);
    CHECK_INT(run_outage_ms(run, clock_wall_ms()), 0);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_plan_that_says_hold_waits_for_a_person)
{
    struct lab lab = { .on_failure = "hold" };
    lab_open(&lab);
    lab_script(&lab, "act switch 1 fail\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_SWITCH);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_HELD);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_killed_worker_is_probed_and_its_step_not_done_twice)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    lab_script(&lab, "act switch 1 die-after\nact guard 1 die\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_HAS(lab_story(&lab), "stop, guard, probe guard, guard, capture-files, capture-database, "
                               "switch, probe switch, configure");
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_COMMITTED);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_rollback_does_not_wait_for_a_probe_that_hangs)
{
    struct lab lab = { 0 };
    struct err err = { 0 };
    lab_open(&lab);
    lab_script(&lab, "act switch 1 die\nprobe switch 1 hang\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, "probe switch");
    CHECK_OK(run_word(run, EVENT_ROLLBACK_ORDERED, "order2", "enough", &err), err);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_SWITCH ", probe switch, " BACK_FROM_SWITCH);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_ROLLED_BACK);
    check_undone(&lab);
    run_close(&run);
    lab_close(&lab);
}

TEST(an_act_that_always_kills_its_worker_is_not_started_a_third_time)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    lab_script(&lab, "act switch 1 die\nact switch 2 die\nact switch 3 die\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_SWITCH ", probe switch, switch, probe switch, " BACK_FROM_SWITCH);
    CHECK_HAS(run_reason(run), "switch was cut off twice");
    run_close(&run);
    lab_close(&lab);
}

TEST(an_agent_that_is_gone_at_any_order_goes_on_from_its_journal)
{
    static const char *const orders[] = { "act check",  "act unpack", "act verify",
                                          "act stop",   "act guard",  "act capture-database",
                                          "act switch", "act start",  "act probe",
                                          "act commit" };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct lab lab = { 0 };
        lab_open(&lab);
        struct run *run = lab_run(&lab, true);
        lab_drive(&lab, run, orders[i]);
        run_close(&run); /* kills its worker, as the end of the agent would */
        run = lab_run(&lab, false);
        lab_drive(&lab, run, NULL);
        CHECK_INT(run_runbook(run)->outcome, OUTCOME_COMMITTED);
        for (int step = 0; step < STEP_COUNT; step++) {
            char done[64];
            (void)snprintf(done, sizeof done, "done-%s", runbook_steps[step].name);
            CLEANUP(free_mem) char *effect = lab_read(lab.dir, done);
            if (runbook_steps[step].actor == ACTOR_WORKER)
                CHECK_STR(effect, "x");
        }
        run_close(&run);
        lab_close(&lab);
    }
}

TEST(an_agent_that_is_gone_on_the_way_back_finishes_it)
{
    static const char *const orders[] = { "undo start", "undo switch", "undo capture-database",
                                          "undo guard", "undo stop",   "undo unpack" };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct lab lab = { 0 };
        lab_open(&lab);
        lab_script(&lab, "act wait 1 fail\n");
        struct run *run = lab_run(&lab, true);
        lab_drive(&lab, run, orders[i]);
        run_close(&run);
        run = lab_run(&lab, false);
        lab_drive(&lab, run, NULL);
        CHECK_INT(run_runbook(run)->outcome, OUTCOME_ROLLED_BACK);
        CHECK_STR(run_reason(run), "wait: told to fail");
        check_undone(&lab);
        run_close(&run);
        lab_close(&lab);
    }
}

TEST(an_undo_that_fails_three_times_is_held_and_a_person_resumes_it)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    lab_script(&lab,
               "act start 1 fail\nundo switch 1 fail\nundo switch 2 fail\nundo switch 3 fail\n");
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_STR(lab_story(&lab), TO_START ", undo start, undo switch, undo switch, undo switch");
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_HELD);
    CHECK_HAS(run_reason(run), "undoing 'switch' failed 3 times");
    run_close(&run);
    run = lab_run(&lab, false);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_HELD);
    struct err err = { 0 };
    CHECK_INT(run_word(run, EVENT_COMMIT_ORDERED, "order2", "", &err), -FAIL_CONFLICT);
    err_clear(&err);
    CHECK_OK(run_word(run, EVENT_RESUME_ORDERED, "order2", "", &err), err);
    lab_drive(&lab, run, NULL);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_ROLLED_BACK);
    check_undone(&lab);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_soak_survives_the_agent_and_a_rollback_ends_it_at_once)
{
    struct lab lab = { .soak_ms = 3600 * 1000 };
    lab_open(&lab);
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, "act soak");
    struct err err = { 0 };
    run_close(&run);
    run = lab_run(&lab, false);
    CHECK_INT(run_runbook(run)->at, STEP_SOAK);
    CHECK_INT(run_runbook(run)->mode, MODE_BUSY);
    CHECK_OK(run_word(run, EVENT_ROLLBACK_ORDERED, "order2", "users complain", &err), err);
    lab_drive(&lab, run, NULL);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_ROLLED_BACK);
    CHECK_STR(run_reason(run), "rollback ordered: users complain");
    check_undone(&lab);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_soak_ends_by_itself_at_its_journalled_time)
{
    struct lab lab = { .soak_ms = 400 };
    lab_open(&lab);
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_HAS(lab_story(&lab), "prove-capture, soak, commit");
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_COMMITTED);
    run_close(&run);
    lab_close(&lab);
}

TEST(a_committed_run_can_be_ordered_back)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    struct err err = { 0 };
    lab_drive(&lab, run, NULL);
    CHECK_OK(run_word(run, EVENT_ROLLBACK_ORDERED, "order2", "", &err), err);
    lab_drive(&lab, run, NULL);
    CHECK_HAS(lab_story(&lab), "commit, " BACK_FROM_START);
    CHECK_INT(run_word(run, EVENT_ROLLBACK_ORDERED, "order3", "", &err), -FAIL_CONFLICT);
    run_close(&run);
    lab_close(&lab);
}

static struct worker *hanging_worker(struct lab *lab, int64_t limit_ms)
{
    struct worker *worker = NULL;
    struct err err = { 0 };
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    lab_open(lab);
    lab_script(lab, "act check 1 hang\n");
    order.job = lend("step");
    order.step = lend("check");
    order.phase = CONFLEET__WORKER_PHASE__ACT;
    CHECK_OK(worker_open(lab->config.worker, &worker, &err), err);
    worker_order(worker, &order, limit_ms, clock_mono_ms());
    return worker;
}

static enum worker_state worker_wait(struct worker *worker)
{
    enum worker_state state;
    int64_t end_ms = clock_mono_ms() + 30000;
    while ((state = worker_tick(worker, clock_mono_ms(), NULL, NULL)) == WORKER_RUNNING &&
           clock_mono_ms() < end_ms) {
        zmq_pollitem_t items[WORKER_POLL_MAX];
        (void)zmq_poll(items, (int)worker_poll(worker, items), 50);
    }
    return state;
}

TEST(a_worker_that_overstays_is_stopped)
{
    struct lab lab = { 0 };
    CLEANUP(worker_close) struct worker *worker = hanging_worker(&lab, 300);
    CHECK_INT(worker_wait(worker), WORKER_OVERDUE);
    CHECK_HAS(worker_why(worker), "time limit");
    worker_close(&worker);
    lab_close(&lab);
}

TEST(a_worker_left_behind_by_a_killed_agent_is_swept_away)
{
    struct lab lab = { 0 };
    struct err err = { 0 };
    CLEANUP(worker_close) struct worker *worker = hanging_worker(&lab, 0);
    CHECK_OK(worker_sweep(worker_pid(worker), "another-boot 123", &err), err);
    CHECK_INT(worker_tick(worker, clock_mono_ms(), NULL, NULL), WORKER_RUNNING);
    CHECK_OK(worker_sweep(worker_pid(worker), worker_birth(worker), &err), err);
    CHECK_INT(worker_wait(worker), WORKER_DIED);
    CHECK_HAS(worker_why(worker), "signal 9");
    worker_close(&worker);
    lab_close(&lab);
}

TEST(a_missing_worker_program_leaves_the_site_alone)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    CHECK_INT(unlink(lab.config.worker), 0);
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_NOT_READY);
    CHECK_HAS(run_reason(run), "fake-worker");
    run_close(&run);
    lab_close(&lab);
}

TEST(a_journal_that_tells_an_impossible_story_is_refused)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    struct run *run = lab_run(&lab, true);
    run_close(&run);
    struct err err = { 0 };
    struct journal_step step = { STEP_SWITCH, EVENT_ACT_OK, 1, 1, "" };
    CHECK_OK(journal_step_add(lab.journal, "run1", &step, &err), err);
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    CHECK_OK(journal_run_find(lab.journal, "run1", "", "", "", &row, &err), err);
    CHECK_INT(run_open(&lab.host, &row, &run, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "cannot have happened");
    lab_close(&lab);
}

struct ear {
    int asked, after; /* heard from so many questions on */
};

static bool ear_is_heard(const void *arg, int64_t silence_ms)
{
    struct ear *ear = (struct ear *)(uintptr_t)arg;
    CHECK_INT(silence_ms, 0);
    return ++ear->asked > ear->after;
}

TEST(a_site_is_not_stopped_before_the_controller_heard_of_its_agent_again)
{
    struct lab lab = { 0 };
    struct err err = { 0 };
    struct ear ear = { 0, 2 };
    lab_open(&lab);
    lab.host.is_heard = ear_is_heard;
    lab.host.agent = &ear;
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    while (ear.asked == 0)
        CHECK_OK(run_tick(run, &err), err);
    CHECK_INT(ear.asked, 1);
    CHECK(strstr(lab_story(&lab), "stop") == NULL);
    CHECK(run_due_ms(run) > clock_mono_ms() - 1000); /* it is asked again, and not in a busy loop */
    lab_drive(&lab, run, NULL);
    CHECK(ear.asked > 2);
    CHECK_STR(lab_story(&lab), TO_START ", wait, compare, probe, prove-capture, commit");
    lab_close(&lab);
}

TEST(past_the_stop_nobody_asks_whether_the_controller_hears)
{
    struct lab lab = { 0 };
    struct ear ear = { 0, 0 };
    lab_open(&lab);
    lab.host.is_heard = ear_is_heard;
    lab.host.agent = &ear;
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    lab_drive(&lab, run, NULL);
    CHECK_INT(ear.asked, 1);
    lab_close(&lab);
}

TEST(a_site_that_waits_for_the_controller_can_be_taken_back)
{
    struct lab lab = { 0 };
    struct err err = { 0 };
    struct ear ear = { 0, 1000000 };
    lab_open(&lab);
    lab.host.is_heard = ear_is_heard;
    lab.host.agent = &ear;
    CLEANUP(run_close) struct run *run = lab_run(&lab, true);
    while (ear.asked == 0)
        CHECK_OK(run_tick(run, &err), err);
    CHECK_OK(run_word(run, EVENT_ROLLBACK_ORDERED, "", "skipped", &err), err);
    lab_drive(&lab, run, NULL);
    CHECK(strstr(lab_story(&lab), "stop,") == NULL);
    CHECK(run_over(run));
    lab_close(&lab);
}
