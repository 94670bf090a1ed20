#include "tale.h"

TEST(sites_go_one_at_a_time_by_default_and_the_next_may_start_when_the_last_is_healthy)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "3");
    go_well(&tale, 'a');
    go_well(&tale, 'b');
    go_well(&tale, 'c');
    CHECK_STR(tale.text, " start a... start b.... start c..... [done].");
}

TEST(a_stage_begins_when_the_one_before_is_kept_not_only_healthy)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1 1");
    happen(&tale, 'a', INPUT_APPLIED);
    CHECK_STR(tale.text, " start a..");
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start b.");
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start b. [done].");
}

TEST(batches_are_whole_and_zero_means_the_rest)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 2, 0 }, .batch_count = 3 };
    tale_begin(&tale, "6");
    happen(&tale, 'a', INPUT_APPLIED);
    happen(&tale, 'b', INPUT_APPLIED);
    happen(&tale, 'c', INPUT_APPLIED);
    CHECK_STR(tale.text, " start a. start b start c.. start d start e start f.");
}

TEST(the_last_batch_size_repeats)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 2 }, .batch_count = 2 };
    tale_begin(&tale, "5");
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'b', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. start b start c.. start d start e.");
}

static const enum site_input bad_ends[] = { INPUT_ROLLED_BACK, INPUT_NOT_READY, INPUT_REFUSED,
                                            INPUT_HELD,        INPUT_REFUSE,    INPUT_LOST,
                                            INPUT_DEADLINE };

TEST(no_site_starts_after_the_first_that_did_not_end_well_whatever_the_way)
{
    for (size_t i = 0; i < sizeof bad_ends / sizeof bad_ends[0]; i++) {
        struct tale tale = { 0 };
        tale_begin(&tale, "3");
        happen(&tale, 'a', bad_ends[i]);
        CHECK_STR(tale.text, " start a. [halted].");
        CHECK_INT(tale.sites[1].state, SITE_QUEUED);
        CHECK_HAS(tale.rollout.reason, bad_ends[i] == INPUT_DEADLINE
                                           ? "1 of 3 sites were not heard of in time"
                                           : "1 of 3 sites did not end well");
    }
}

TEST(a_halted_rollout_still_waits_for_the_sites_in_flight)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 }, .batch_count = 1 };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_APPLIED);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b... [halted].");
}

TEST(a_gate_lets_as_many_fail_as_it_says_and_no_more)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .gate.max = { [GATE_FAILED] = 1 } };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_NOT_READY);
    CHECK_STR(tale.text, " start a. start b. start c. [halted].");
    CHECK_HAS(tale.rollout.reason, "2 of 4 sites did not end well, the gate allows 1");
}

TEST(failed_and_silent_sites_are_counted_apart)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 3 },
                                             .batch_count = 1,
                                             .gate.max = { [GATE_FAILED] = 1, [GATE_SILENT] = 1 } };
    tale_begin(&tale, "3");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_DEADLINE);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b start c... [done].");
}

TEST(a_silent_site_may_be_down_and_keeps_its_place_in_the_batch)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 },
                                             .batch_count = 1,
                                             .gate.max = { [GATE_SILENT] = 2 } };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_DEADLINE);
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b.. start c.");
    happen(&tale, 'c', INPUT_DEADLINE);
    CHECK_STR(tale.text, " start a start b.. start c. [halted].");
    CHECK_HAS(tale.rollout.reason, "2 silent or held sites may be down and fill the batch");
}

TEST(silence_has_two_deadlines_and_both_end_it)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    tick(&tale, 99);
    CHECK_INT(tale.sites[0].state, SITE_ORDERED);
    tick(&tale, 100);
    CHECK_INT(tale.sites[0].state, SITE_SILENT);
    CHECK_STR(tale.text, " start a.. [halted].");

    struct tale second = { 0 };
    tale_begin(&second, "1");
    happen(&second, 'a', INPUT_ACK);
    tick(&second, 999);
    CHECK_INT(second.sites[0].state, SITE_RUNNING);
    struct rollout_event heard = { .kind = ROLLOUT_HEARD, .site = 0, .now_ms = 999 };
    CHECK(!rollout_on(&second.rollout, &heard));
    tick(&second, 1998);
    CHECK_INT(second.sites[0].state, SITE_RUNNING);
    tick(&second, 1999);
    CHECK_INT(second.sites[0].state, SITE_SILENT);
}

TEST(what_a_silent_site_says_later_is_believed_but_starts_nothing)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "2");
    happen(&tale, 'a', INPUT_DEADLINE);
    happen(&tale, 'a', INPUT_FORWARD);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. [halted].. [halted].");
    CHECK_INT(tale.sites[0].state, SITE_COMMITTED);
}

TEST(a_person_can_send_a_kept_site_back_and_the_rollout_says_so)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'a', INPUT_BACK);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    CHECK_INT(tale.sites[0].state, SITE_UNDOING);
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    CHECK_STR(tale.text, " start a. [done].. [halted].");
    CHECK_HAS(tale.rollout.reason, "a person decided");
}

TEST(a_stop_by_a_person_lets_nothing_new_start)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "2");
    struct rollout_event stop = { .kind = ROLLOUT_STOP, .reason = "a person aborted it" };
    CHECK(rollout_on(&tale.rollout, &stop));
    CHECK(!rollout_on(&tale.rollout, &stop));
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. [halted].");
}

TEST(a_skipped_site_is_never_started_and_counts_as_ended)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "3");
    happen(&tale, 'b', INPUT_SKIP);
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start c. [done].");
    happen(&tale, 'a', INPUT_SKIP);
    CHECK_INT(tale.sites[0].state, SITE_COMMITTED);
}

TEST(reports_that_come_twice_or_late_change_nothing)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    happen(&tale, 'a', INPUT_COMMITTED);
    for (int input = 0; input < INPUT_COUNT; input++) {
        /* Reports are taken once and in order: one that is on its way again is so by another attempt. */
        bool real = input == INPUT_UNDOING || input == INPUT_ROLLED_BACK || input == INPUT_HELD ||
                    input == INPUT_BACK || input == INPUT_FORWARD || input == INPUT_APPLIED;
        struct rollout_event event = { ROLLOUT_SITE, 0, (enum site_input)input, 0, NULL };
        struct rollout_site kept = tale.sites[0];
        CHECK_INT(rollout_on(&tale.rollout, &event), real);
        tale.sites[0] = kept;
    }
}

TEST(names_of_states_read_back_as_themselves)
{
    enum site_state site = SITE_QUEUED;
    for (int i = 0; i < SITE_STATE_COUNT; i++) {
        CHECK(site_state_parse(site_state_name((enum site_state)i), &site));
        CHECK_INT(site, i);
    }
    CHECK(!site_state_parse("applied", &site));
    enum rollout_state rollout = ROLLOUT_RUNNING;
    for (int i = 0; i < ROLLOUT_STATE_COUNT; i++) {
        CHECK(rollout_state_parse(rollout_state_name((enum rollout_state)i), &rollout));
        CHECK_INT(rollout, i);
    }
    CHECK(!rollout_state_parse("paused", &rollout));
    CHECK(site_state_failed(SITE_HELD));
    CHECK(!site_state_failed(SITE_SILENT));
}

/* Asked for the next site before any tick has noticed that the plan is over. */
TEST(nothing_starts_after_the_plan_expired_even_when_no_tick_came_first)
{
    struct tale tale = { 0 };
    size_t site = 0;
    tale.rollout.expires_ms = 50;
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 }, .batch_count = 1 };
    tale.rollout.paused = true;
    tale_begin(&tale, "2");
    tale.rollout.paused = false;
    CHECK(!rollout_next(&tale.rollout, 50, &site));
    CHECK(rollout_next(&tale.rollout, 49, &site));
}

/* An agent whose heart beats and that never takes its order is silent about the order. */
TEST(a_heartbeat_does_not_put_off_the_deadline_of_an_order)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    for (int64_t now_ms = 10; now_ms < 100; now_ms += 10) {
        struct rollout_event heard = { .kind = ROLLOUT_HEARD, .site = 0, .now_ms = now_ms };
        CHECK(!rollout_on(&tale.rollout, &heard));
    }
    tick(&tale, 99);
    CHECK_INT(tale.sites[0].state, SITE_ORDERED);
    tick(&tale, 100);
    CHECK_INT(tale.sites[0].state, SITE_SILENT);
}
