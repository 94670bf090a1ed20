#include "tale.h"
#include <string.h>

static struct stage_look look_at(struct tale *tale, size_t stage)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    struct stage_look look;
    stage_tallies(&tale->rollout, tallies);
    stage_look(&tale->rollout, tallies, stage, tale->now_ms, &look);
    return look;
}

#define LOOK(tale, stage, name, words)                                                             \
    do {                                                                                           \
        struct stage_look look_ = look_at(tale, stage);                                            \
        CHECK_STR(stage_state_name(look_.state), name);                                            \
        CHECK_HAS(look_.reason, words);                                                            \
    } while (0)

TEST(a_stage_says_in_each_state_what_it_waits_for)
{
    struct tale tale = { 0 };
    const struct span night = { 500, 600, NULL };
    tale.stages[1].approvals_needed = 2;
    tale.stages[1].windows = (struct span_list){ &night, 1 };
    tale_begin(&tale, "1 2");
    LOOK(&tale, 0, "running", "");
    LOOK(&tale, 1, "waiting", "waits for stage test: 1 of its 1 sites is not kept yet");
    happen(&tale, 'a', INPUT_APPLIED);
    LOOK(&tale, 0, "soaking", "1 of 1 sites are soaking");
    happen(&tale, 'a', INPUT_COMMITTED);
    LOOK(&tale, 0, "done", "");
    LOOK(&tale, 1, "approval", "waits for 2 approvals, 2 needed");
    tale.stages[1].approvals = 1;
    LOOK(&tale, 1, "approval", "waits for 1 more approval, 2 needed");
    tale.stages[1].approvals = 2;
    LOOK(&tale, 1, "window", "site b: outside the stage's maintenance windows");
    CHECK_INT(look_at(&tale, 1).window_from_ms, 500);
    CHECK_INT(look_at(&tale, 1).window_to_ms, 600);
    person(&tale, ROLLOUT_PAUSE, "paused by anna");
    tick(&tale, 550);
    LOOK(&tale, 1, "waiting", "paused by anna");
    person(&tale, ROLLOUT_RESUME, NULL);
    LOOK(&tale, 1, "running", "1 of 2 sites waits for its batch");
    happen(&tale, 'b', INPUT_ROLLED_BACK);
    LOOK(&tale, 1, "halted", "1 of 2 sites did not end well");
}

TEST(nothing_starts_outside_a_window_and_the_first_tick_inside_starts)
{
    struct tale tale = { 0 };
    const struct span nights[] = { { 500, 600, NULL }, { 900, 1000, NULL } };
    tale.stages[0].windows = (struct span_list){ nights, 2 };
    for (size_t i = 0; i < 2; i++)
        tale.sites[i].estimate_ms = 60;
    tale_begin(&tale, "2");
    tale.rollout.limits = (struct rollout_limits){ 100000, 100000 };
    tick(&tale, 499);
    tick(&tale, 500);
    happen(&tale, 'a', INPUT_FORWARD);
    tick(&tale, 700); /* its window is over; nobody interrupts it */
    CHECK_INT(tale.sites[0].state, SITE_RUNNING);
    happen(&tale, 'a', INPUT_COMMITTED);
    tick(&tale, 941); /* 59 are left, 60 may be needed */
    CHECK_STR(tale.text, ".. start a.... [halted].");
    CHECK_HAS(tale.rollout.reason, "site b can never start");
}

TEST(a_hold_of_one_site_lets_the_others_go_first)
{
    struct tale tale = { 0 };
    const struct span hold = { 0, 300, "audit" };
    tale.sites[0].holds = (struct span_list){ &hold, 1 };
    tale_begin(&tale, "2");
    happen(&tale, 'b', INPUT_COMMITTED);
    LOOK(&tale, 0, "window", "site a: on hold until 1970-01-01T00:00Z (audit)");
    tick(&tale, 300);
    CHECK_STR(tale.text, " start b.. start a.");
}

TEST(a_freeze_of_the_plan_beats_its_windows)
{
    struct tale tale = { 0 };
    const struct span night = { 100, 1000, NULL }, freeze = { 50, 400, "quarter end" };
    tale.stages[0].windows = (struct span_list){ &night, 1 };
    tale.rollout.freezes = (struct span_list){ &freeze, 1 };
    tale_begin(&tale, "1");
    tick(&tale, 399);
    LOOK(&tale, 0, "window", "frozen until");
    tick(&tale, 400);
    CHECK_STR(tale.text, ".. start a.");
}

TEST(stages_that_need_the_same_one_go_side_by_side)
{
    struct tale tale = { 0 };
    tale.stages[2].needs = 1;
    tale_begin(&tale, "1 2 2");
    go_well(&tale, 'a');
    CHECK_HAS(tale.text, "start b start d.");
}

TEST(a_site_whose_test_site_is_missing_waits_and_says_so)
{
    struct tale tale = { 0 };
    tale.sites[0].uncovered = "help";
    tale_begin(&tale, "2");
    happen(&tale, 'b', INPUT_COMMITTED);
    LOOK(&tale, 0, "waiting", "site a waits for its test site help to be kept on this release");
    tale.sites[0].uncovered = NULL;
    tick(&tale, 10);
    CHECK_STR(tale.text, " start b.. start a.");
}

TEST(an_approval_that_is_gone_keeps_the_next_site_from_starting)
{
    struct tale tale = { 0 };
    tale.stages[0].approvals_needed = tale.stages[0].approvals = 1;
    tale_begin(&tale, "2");
    tale.stages[0].approvals = 0; /* it expired, or its operator was revoked */
    happen(&tale, 'a', INPUT_COMMITTED);
    LOOK(&tale, 0, "approval", "waits for 1 approval");
    tale.stages[0].approvals = 1;
    tick(&tale, 10);
    CHECK_STR(tale.text, " start a.. start b.");
}

TEST(a_batch_is_one_then_three_then_the_rest_whatever_is_skipped)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 3, 0 }, .batch_count = 3 };
    tale_begin(&tale, "9");
    happen(&tale, 'c', INPUT_SKIP);
    happen(&tale, 'a', INPUT_APPLIED);
    happen(&tale, 'b', INPUT_APPLIED);
    happen(&tale, 'd', INPUT_APPLIED);
    happen(&tale, 'e', INPUT_APPLIED);
    CHECK_STR(tale.text, " start a.. start b start d start e... start f start g start h start i.");
}

TEST(a_skipped_first_site_hands_its_place_on)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 3 }, .batch_count = 2 };
    tale.sites[0].state = SITE_SKIPPED;
    tale_begin(&tale, "5");
    happen(&tale, 'b', INPUT_APPLIED);
    CHECK_STR(tale.text, " start b. start c start d start e.");
}

TEST(after_a_resume_the_gate_counts_only_what_happens_anew)
{
    struct tale tale = { 0 };
    tale.stages[0].gate.max[GATE_FAILED] = 1;
    tale_begin(&tale, "6");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_NOT_READY);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    person(&tale, ROLLOUT_RESUME, NULL);
    happen(&tale, 'c', INPUT_ROLLED_BACK);
    happen(&tale, 'a', INPUT_RETRY); /* a further attempt is news again, and uses up nothing */
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'd', INPUT_COMMITTED);
    CHECK_INT(tale.sites[0].state, SITE_ORDERED);
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_HAS(tale.rollout.reason,
              "2 of 6 sites did not end well, the gate allows 1 (failed): a, c");
}

TEST(a_pause_lets_those_under_way_go_on_and_nothing_new_start)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "2");
    person(&tale, ROLLOUT_PAUSE, "paused by anna");
    go_well(&tale, 'a');
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    CHECK_INT(tale.sites[1].state, SITE_QUEUED);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_STR(tale.text, " start a...... start b.");
}

TEST(a_plan_that_expires_before_all_have_started_ends_in_words)
{
    struct tale tale = { 0 };
    tale.rollout.expires_ms = 100;
    tale_begin(&tale, "2");
    tale.rollout.limits = (struct rollout_limits){ 100000, 100000 };
    happen(&tale, 'a', INPUT_FORWARD);
    tick(&tale, 100);
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a... [halted].");
    CHECK_HAS(tale.rollout.reason,
              "the plan expired at 1970-01-01T00:00Z with 1 sites not started");
}

TEST(a_stage_of_skipped_sites_is_passed)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1 1");
    happen(&tale, 'a', INPUT_REFUSE);
    happen(&tale, 'a', INPUT_SKIP);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_HAS(tale.text, "start b.");
}
