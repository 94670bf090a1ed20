/* How others' staged rollouts failed, each as a promise of ours. References are to their public
 * trackers. */
#include "tale.h"

/* saltstack/salt#54521 (and #11721, #24996, #29643, #44256): with batch 1 a failure did not stop
 * the rest of the fleet. */
TEST(salt_54521_a_failure_in_a_batch_of_one_stops_the_fleet)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1 }, .batch_count = 1 };
    tale_begin(&tale, "9");
    go_well(&tale, 'a');
    happen(&tale, 'b', INPUT_ROLLED_BACK);
    tick(&tale, 50);
    CHECK_STR(tale.text, " start a... start b.. [halted]. [halted].");
    CHECK_STR(tale.rollout.reason, "stage test: 1 of 9 sites did not end well, the gate allows 0 "
                                   "(failed): b");
}

/* saltstack/salt#66249: a batch hung for ever when one of its minions was off. */
TEST(salt_66249_a_batch_with_a_site_that_is_off_ends)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 },
                                             .batch_count = 1,
                                             .gate.max = { [GATE_SILENT] = 1 } };
    tale_begin(&tale, "4");
    happen(&tale, 'b', INPUT_COMMITTED);
    tick(&tale, 100);
    CHECK_INT(tale.sites[0].state, SITE_SILENT);
    CHECK_HAS(tale.text, "start c.");
}

/* ansible/ansible#7686, #56265: unreachable hosts did not count towards max_fail_percentage. */
TEST(ansible_7686_a_site_that_cannot_be_reached_counts)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "4");
    tick(&tale, 100);
    CHECK_STR(tale.text, " start a. [halted].");
    CHECK_HAS(tale.rollout.reason, "1 of 4 sites were not heard of in time, the gate allows 0");
}

/* ansible/ansible#12735, argo-rollouts#200: after a stop, trying again only what failed was not
 * possible. */
TEST(ansible_12735_only_what_failed_is_tried_again)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "3");
    go_well(&tale, 'a');
    happen(&tale, 'b', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_RETRY);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_STR(tale.text, " start a... start b.. [halted]. [halted]. start b.");
    go_well(&tale, 'b');
    go_well(&tale, 'c');
    CHECK_INT(tale.rollout.state, ROLLOUT_DONE);
}

/* ansible/proposals#133: thresholds per batch let one failure in each batch through; the limit
 * here is over the stage and, when asked for, over the run. */
TEST(ansible_133_one_failure_in_each_batch_adds_up)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 },
                                             .batch_count = 1,
                                             .gate.max = { [GATE_FAILED] = 1 } };
    tale_begin(&tale, "6");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_ROLLED_BACK);
    happen(&tale, 'd', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b.. start c start d.. [halted].");
}

/* flatcar/nebraska#427: safe mode looked only at time-outs, errors went through. */
TEST(nebraska_427_an_error_counts_like_a_time_out)
{
    static const enum site_input ends[] = { INPUT_REFUSE,  INPUT_REFUSED,     INPUT_NOT_READY,
                                            INPUT_HELD,    INPUT_ROLLED_BACK, INPUT_LOST,
                                            INPUT_DEADLINE };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct tale tale = { 0 };
        tale_begin(&tale, "2");
        happen(&tale, 'a', ends[i]);
        CHECK_STR(tale.text, " start a. [halted].");
    }
}

/* eclipse-hawkbit/hawkbit#693, elastic/kibana#154163, awx#10151: a device stayed "proceeding" for
 * ever. Every state of a site at work has a deadline. */
TEST(hawkbit_693_nobody_is_under_way_for_ever)
{
    static const enum site_input ways[] = { INPUT_ACK, INPUT_FORWARD, INPUT_UNDOING,
                                            INPUT_APPLIED };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct tale tale = { 0 };
        tale_begin(&tale, "1");
        happen(&tale, 'a', ways[i]);
        tick(&tale, 1000);
        CHECK_INT(tale.sites[0].state, SITE_SILENT);
        CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    }
}

/* eclipse-hawkbit/hawkbit#735: a rollout was "finished" at once since nothing was left to do. */
TEST(hawkbit_735_a_stage_in_which_nothing_was_upgraded_is_no_success)
{
    struct tale tale = { 0 };
    tale.stages[0].gate.max[GATE_FAILED] = 2;
    tale_begin(&tale, "2 1");
    happen(&tale, 'a', INPUT_NOT_READY);
    happen(&tale, 'b', INPUT_NOT_READY);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_STR(tale.rollout.reason, "stage test: none of its 2 sites was upgraded");
    CHECK_INT(tale.sites[2].state, SITE_QUEUED);
}

/* eclipse-hawkbit/hawkbit PR #2161: two groups failing together threw, and undid the whole
 * evaluation. */
TEST(hawkbit_2161_two_stages_that_fail_together_stop_the_rollout_once)
{
    struct tale tale = { 0 };
    tale.stages[0].batch[0] = tale.stages[2].batch[0] = 0;
    tale.stages[0].batch_count = tale.stages[2].batch_count = 1;
    tale.stages[1].needs = 1;
    tale.stages[2] = (struct rollout_stage){ .batch = { 0 }, .batch_count = 1, .needs = 1 };
    tale_begin(&tale, "1 1 1");
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_HAS(tale.text, "start b start c.");
    tick(&tale, 100); /* both stages fall silent with one event */
    CHECK_INT(tale.sites[1].state, SITE_SILENT);
    CHECK_INT(tale.sites[2].state, SITE_SILENT);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_HAS(tale.rollout.reason, "stage prod: 1 of 1 sites");
    struct rollout_event again = { .kind = ROLLOUT_TICK, .now_ms = 101 };
    CHECK(!rollout_on(&tale.rollout, &again));
}

/* ansible/awx#15474: a workflow whose approval was cancelled went on. */
TEST(awx_15474_what_was_aborted_while_it_waited_for_an_approval_never_goes_on)
{
    struct tale tale = { 0 };
    tale.stages[1].approvals_needed = 1;
    tale_begin(&tale, "1 1");
    go_well(&tale, 'a');
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    person(&tale, ROLLOUT_ABORT, "aborted by anna");
    tale.stages[1].approvals = 1;
    tick(&tale, 10);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_INT(tale.sites[1].state, SITE_QUEUED);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_STR(tale.rollout.reason, "aborted by anna");
}

/* elastic/elastic-agent PR #3827: the upgrade was "done" while the watcher could still roll it
 * back. */
TEST(elastic_3827_a_site_that_soaks_is_not_done_and_opens_no_stage)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1 1");
    happen(&tale, 'a', INPUT_APPLIED);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    CHECK_INT(tale.sites[1].state, SITE_QUEUED);
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    CHECK_STR(tale.text, " start a.. [halted].");
}

/* elastic/fleet-server#828, saltstack/salt#27340, mender PRs #823 to #827: the work was finished
 * and the report was lost; late words are believed, and never undo anything by themselves. */
TEST(fleet_server_828_a_late_report_is_believed)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1 1");
    tick(&tale, 100);
    CHECK_INT(tale.sites[0].state, SITE_SILENT);
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_INT(tale.sites[0].state, SITE_COMMITTED);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_HAS(tale.text, "start b.");
}

/* kubereboot/kured#137, #478, coreos/airlock#81: a slot was held by somebody who was gone, and
 * nobody could say who. */
TEST(airlock_81_whoever_fills_the_batch_is_named_and_a_person_can_free_it)
{
    struct tale tale = { 0 };
    tale.stages[0].gate.max[GATE_SILENT] = 1;
    tale_begin(&tale, "3");
    happen(&tale, 'a', INPUT_DEADLINE);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_HAS(tale.rollout.reason, "1 silent or held sites may be down and fill the batch: retry "
                                   "or skip them");
    happen(&tale, 'a', INPUT_SKIP);
    person(&tale, ROLLOUT_RESUME, NULL);
    CHECK_HAS(tale.text, "start b.");
}

/* rancher/system-upgrade-controller#77: the concurrency was exceeded in some runs. */
TEST(suc_77_a_site_that_comes_back_to_work_takes_a_place)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 },
                                             .batch_count = 1,
                                             .gate.max = { [GATE_SILENT] = 2 } };
    tale_begin(&tale, "6");
    happen(&tale, 'a', INPUT_DEADLINE);
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_HAS(tale.text, "start c.");
    happen(&tale, 'a', INPUT_FORWARD); /* at work after all: two are, which is all there may be */
    happen(&tale, 'c', INPUT_APPLIED);
    CHECK_INT(tale.sites[3].state, SITE_ORDERED);
    CHECK_INT(tale.sites[4].state, SITE_QUEUED);
}

/* gravitational/teleport#66634: what is in no group was upgraded by accident. The engine knows no
 * site beyond the plan's; eclipse-hawkbit PR #2595 and awx#378: a stop with a known result. */
TEST(hawkbit_2595_an_abort_lets_those_under_way_end_and_starts_nothing)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 }, .batch_count = 1 };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_FORWARD);
    person(&tale, ROLLOUT_ABORT, "aborted by anna: wrong night");
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'b', INPUT_WITHDRAW);
    CHECK_INT(tale.sites[1].state, SITE_QUEUED);
    happen(&tale, 'a', INPUT_UNDOING);
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    CHECK_INT(tale.rollout.state, ROLLOUT_HALTED);
    CHECK_STR(tale.rollout.reason, "aborted by anna: wrong night");
}
