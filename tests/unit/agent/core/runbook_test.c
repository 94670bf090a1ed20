#include "agent/core/runbook.h"
#include "harness/test.h"

/* One thing that goes wrong: at the given order (counted from zero) the event happens instead of
 * success. A crash is answered by the probe that follows with `probe`. */
struct fault {
    int at;
    enum run_event event, probe;
};
#define NEVER                                                                                      \
    {                                                                                              \
        -1, EVENT_COUNT, EVENT_COUNT                                                               \
    }
#define ORDERS_MAX 200

struct tale {
    char text[8192];
    size_t used;
    int orders;
    int done[STEP_COUNT], undone[STEP_COUNT];
    struct runbook rb;
    struct order last;
};

static void tell(struct tale *tale, const char *word, const char *step)
{
    int more = snprintf(tale->text + tale->used, sizeof tale->text - tale->used, "%s%s%s%s",
                        tale->used ? ", " : "", word, *step ? " " : "", step);
    assert_true(more > 0 && (size_t)more < sizeof tale->text - tale->used);
    tale->used += (size_t)more;
}

static enum run_event success(struct order order)
{
    if (order.kind == ORDER_WAIT_SOAK)
        return EVENT_SOAK_OVER;
    return order.kind == ORDER_UNDO    ? EVENT_UNDO_OK
           : order.kind == ORDER_PROBE ? EVENT_PROBED_PARTIAL
                                       : EVENT_ACT_OK;
}

static void obey(struct tale *tale, const struct fault *faults, size_t count)
{
    enum run_event probe = EVENT_PROBED_PARTIAL;
    struct order order = runbook_next(&tale->rb);
    for (; order.kind != ORDER_FINISHED; order = runbook_next(&tale->rb)) {
        static const char *const words[] = { "do", "undo", "probe", "wait", "finished" };
        tell(tale, words[order.kind], runbook_steps[order.step].name);
        enum run_event event = success(order);
        if (order.kind == ORDER_PROBE)
            event = probe;
        else if (tale->rb.mode == MODE_READY)
            (void)runbook_on(&tale->rb, EVENT_INTENT);
        for (size_t i = 0; i < count; i++) {
            if (faults[i].at != tale->orders)
                continue;
            probe = faults[i].probe;
            if (faults[i].event == EVENT_ACT_FAILED)
                event = order.kind == ORDER_UNDO    ? EVENT_UNDO_FAILED
                        : order.kind == ORDER_PROBE ? EVENT_PROBE_FAILED
                                                    : EVENT_ACT_FAILED;
            else if (faults[i].event == EVENT_ROLLBACK_ORDERED &&
                     runbook_takes(&tale->rb, EVENT_ROLLBACK_ORDERED))
                (void)runbook_on(&tale->rb, EVENT_ROLLBACK_ORDERED);
            else if (faults[i].event == EVENT_CRASHED && order.kind != ORDER_PROBE)
                event = EVENT_CRASHED;
        }
        if (event == EVENT_ACT_OK)
            tale->done[order.step]++;
        if (event == EVENT_UNDO_OK)
            tale->undone[order.step]++;
        if (runbook_takes(&tale->rb, event)) /* a soak that was ordered back is over already */
            (void)runbook_on(&tale->rb, event);
        assert_true(++tale->orders < ORDERS_MAX);
    }
    tale->last = order;
    tell(tale, outcome_name(order.outcome), "");
}

static struct tale play(struct fault a, struct fault b)
{
    struct tale tale = { 0 };
    obey(&tale, (struct fault[]){ a, b }, 2);
    return tale;
}

static const struct fault never = NEVER;

#define FORWARD_TO_VERIFY                                                                          \
    "do check, do fetch, do unpack, do carry, do reserve, do baseline, do backup, do verify"
#define FORWARD_TO_START                                                                           \
    FORWARD_TO_VERIFY ", do stop, do guard, do capture-files, do capture-database, do switch, do " \
                      "configure, do start"
#define BACK_FROM_STOP "undo stop, undo reserve, undo unpack, rolled back"
#define BACK_FROM_START                                                                            \
    "undo start, undo switch, undo capture-database, undo capture-files, undo "                    \
    "guard, " BACK_FROM_STOP

TEST(run_without_trouble_is_committed)
{
    CHECK_STR(play(never, never).text, FORWARD_TO_START
              ", do wait, do compare, do probe, do prove-capture, wait soak, do commit, committed");
}

TEST(failure_before_the_stop_leaves_the_site_alone)
{
    CHECK_STR(play((struct fault){ STEP_CHECK, EVENT_ACT_FAILED, 0 }, never).text,
              "do check, not ready");
    CHECK_STR(play((struct fault){ STEP_UNPACK, EVENT_ACT_FAILED, 0 }, never).text,
              "do check, do fetch, do unpack, undo unpack, not ready");
    CHECK_STR(play((struct fault){ STEP_VERIFY, EVENT_ACT_FAILED, 0 }, never).text,
              FORWARD_TO_VERIFY ", undo reserve, undo unpack, not ready");
}

TEST(failure_from_the_stop_on_is_undone_from_the_failed_step_itself)
{
    CHECK_STR(play((struct fault){ STEP_STOP, EVENT_ACT_FAILED, 0 }, never).text,
              FORWARD_TO_VERIFY ", do stop, " BACK_FROM_STOP);
    CHECK_STR(play((struct fault){ STEP_START, EVENT_ACT_FAILED, 0 }, never).text,
              FORWARD_TO_START ", " BACK_FROM_START);
    CHECK_STR(play((struct fault){ STEP_PROBE, EVENT_ACT_FAILED, 0 }, never).text,
              FORWARD_TO_START ", do wait, do compare, do probe, " BACK_FROM_START);
}

TEST(failure_of_a_note_step_does_not_turn_the_run_back)
{
    struct fault capture = { STEP_PROVE_CAPTURE, EVENT_ACT_FAILED, 0 },
                 commit = { STEP_COMMIT, EVENT_ACT_FAILED, 0 };
    CHECK_INT(play(capture, commit).last.outcome, OUTCOME_COMMITTED);
}

TEST(every_step_that_fails_ends_as_its_phase_says)
{
    for (int step = 0; step < STEP_COUNT; step++) {
        struct tale tale = play((struct fault){ step, EVENT_ACT_FAILED, 0 }, never);
        enum outcome want = runbook_steps[step].failure == FAILURE_NOTE ? OUTCOME_COMMITTED
                            : step < STEP_STOP                          ? OUTCOME_NOT_READY
                                                                        : OUTCOME_ROLLED_BACK;
        CHECK_INT(tale.last.outcome, want);
    }
}

TEST(policy_hold_waits_for_a_person_after_the_stop_only)
{
    for (int step = 0; step < STEP_SOAK; step++) {
        struct tale tale = { .rb = { .hold_on_failure = true } };
        obey(&tale, &(struct fault){ step, EVENT_ACT_FAILED, 0 }, 1);
        if (runbook_steps[step].failure == FAILURE_NOTE)
            continue;
        CHECK_INT(tale.last.outcome, step < STEP_STOP ? OUTCOME_NOT_READY : OUTCOME_HELD);
    }
}

TEST(held_run_goes_on_when_a_person_resumes_it)
{
    struct tale tale = { .rb = { .hold_on_failure = true } };
    obey(&tale, &(struct fault){ STEP_SWITCH, EVENT_ACT_FAILED, 0 }, 1);
    CHECK(runbook_takes(&tale.rb, EVENT_RESUME_ORDERED));
    struct order order = runbook_on(&tale.rb, EVENT_RESUME_ORDERED);
    CHECK_INT(order.kind, ORDER_DO);
    CHECK_INT(order.step, STEP_SWITCH);
    obey(&tale, &never, 1);
    CHECK_INT(tale.last.outcome, OUTCOME_COMMITTED);
}

TEST(held_run_goes_back_when_a_person_orders_it)
{
    struct tale tale = { .rb = { .hold_on_failure = true } };
    obey(&tale, &(struct fault){ STEP_SWITCH, EVENT_ACT_FAILED, 0 }, 1);
    struct order order = runbook_on(&tale.rb, EVENT_ROLLBACK_ORDERED);
    CHECK_INT(order.kind, ORDER_UNDO);
    CHECK_INT(order.step, STEP_SWITCH);
    obey(&tale, &never, 1);
    CHECK_INT(tale.last.outcome, OUTCOME_ROLLED_BACK);
}

TEST(failed_undo_is_tried_three_times_and_then_held)
{
    struct tale tale = { 0 };
    struct fault faults[] = { { STEP_SWITCH, EVENT_ACT_FAILED, 0 },
                              { STEP_SWITCH + 1, EVENT_ACT_FAILED, 0 },
                              { STEP_SWITCH + 2, EVENT_ACT_FAILED, 0 },
                              { STEP_SWITCH + 3, EVENT_ACT_FAILED, 0 } };
    obey(&tale, faults, 4);
    CHECK_HAS(tale.text, "do switch, undo switch, undo switch, undo switch, held");
    CHECK(!runbook_takes(&tale.rb, EVENT_INTENT));
    (void)runbook_on(&tale.rb, EVENT_RESUME_ORDERED);
    obey(&tale, &never, 1);
    CHECK_INT(tale.last.outcome, OUTCOME_ROLLED_BACK);
}

TEST(two_failed_undos_are_no_reason_to_call_a_person)
{
    struct tale tale = { 0 };
    struct fault faults[] = { { STEP_SWITCH, EVENT_ACT_FAILED, 0 },
                              { STEP_SWITCH + 1, EVENT_ACT_FAILED, 0 },
                              { STEP_SWITCH + 2, EVENT_ACT_FAILED, 0 } };
    obey(&tale, faults, 3);
    CHECK_INT(tale.last.outcome, OUTCOME_ROLLED_BACK);
}

TEST(leftovers_of_prepare_do_not_hold_a_healthy_site)
{
    struct tale tale = { 0 };
    struct fault faults[] = { { STEP_CARRY, EVENT_ACT_FAILED, 0 },
                              { STEP_CARRY + 1, EVENT_ACT_FAILED, 0 },
                              { STEP_CARRY + 2, EVENT_ACT_FAILED, 0 },
                              { STEP_CARRY + 3, EVENT_ACT_FAILED, 0 } };
    obey(&tale, faults, 4);
    CHECK_HAS(tale.text, "do carry, undo unpack, undo unpack, undo unpack, not ready");
}

TEST(cut_off_act_is_probed_and_never_guessed_at)
{
    struct fault crash = { STEP_SWITCH, EVENT_CRASHED, EVENT_PROBED_COMPLETE };
    CHECK_HAS(play(crash, never).text, "do switch, probe switch, do configure");
    crash.probe = EVENT_PROBED_PARTIAL;
    CHECK_HAS(play(crash, never).text, "do switch, probe switch, do switch, do configure");
    crash.probe = EVENT_PROBED_ABSENT;
    CHECK_HAS(play(crash, never).text, "do switch, probe switch, do switch, do configure");
}

TEST(third_start_of_an_act_does_not_happen)
{
    struct fault first = { STEP_SWITCH, EVENT_CRASHED, EVENT_PROBED_PARTIAL },
                 second = { STEP_SWITCH + 2, EVENT_CRASHED, EVENT_PROBED_PARTIAL };
    CHECK_HAS(play(first, second).text,
              "do switch, probe switch, do switch, probe switch, undo switch, ");
    first.at = STEP_COMMIT, second.at = STEP_COMMIT + 2;
    CHECK_HAS(play(first, second).text,
              "do commit, probe commit, do commit, probe commit, committed");
}

TEST(probe_without_an_answer_turns_the_run_back)
{
    CHECK_HAS(play((struct fault){ STEP_SWITCH, EVENT_CRASHED, EVENT_PROBE_FAILED }, never).text,
              "do switch, probe switch, probe switch, probe switch, undo switch");
}

TEST(cut_off_undo_is_run_again)
{
    CHECK_HAS(play((struct fault){ STEP_SWITCH, EVENT_ACT_FAILED, 0 },
                   (struct fault){ STEP_SWITCH + 1, EVENT_CRASHED, 0 })
                  .text,
              "do switch, undo switch, undo switch, undo capture-database");
}

TEST(soak_survives_a_crash_without_a_probe)
{
    CHECK_HAS(play((struct fault){ STEP_SOAK, EVENT_CRASHED, EVENT_PROBED_ABSENT }, never).text,
              "wait soak, wait soak, do commit, committed");
}

TEST(rollback_in_flight_waits_for_the_boundary)
{
    CHECK_HAS(play((struct fault){ STEP_SWITCH, EVENT_ROLLBACK_ORDERED, 0 }, never).text,
              "do capture-database, do switch, undo switch, ");
    CHECK_STR(play((struct fault){ STEP_CARRY, EVENT_ROLLBACK_ORDERED, 0 }, never).text,
              "do check, do fetch, do unpack, do carry, undo unpack, not ready");
}

TEST(rollback_while_soaking_or_committed_undoes_everything_from_the_end)
{
    CHECK_HAS(play((struct fault){ STEP_SOAK, EVENT_ROLLBACK_ORDERED, 0 }, never).text,
              "wait soak, " BACK_FROM_START);
    struct tale tale = play(never, never);
    CHECK_INT(tale.last.outcome, OUTCOME_COMMITTED);
    (void)runbook_on(&tale.rb, EVENT_ROLLBACK_ORDERED);
    obey(&tale, &never, 1);
    CHECK_HAS(tale.text, "committed, " BACK_FROM_START);
    CHECK(!runbook_takes(&tale.rb, EVENT_ROLLBACK_ORDERED));
}

TEST(commit_word_ends_the_soak)
{
    struct tale tale = { .rb = { .at = STEP_SOAK, .stop_intended = true, .start_intended = true } };
    CHECK(!runbook_takes(&tale.rb, EVENT_COMMIT_ORDERED));
    (void)runbook_on(&tale.rb, EVENT_INTENT);
    CHECK_INT(runbook_on(&tale.rb, EVENT_COMMIT_ORDERED).step, STEP_COMMIT);
}

static void check_law(const struct tale *tale)
{
    enum outcome outcome = tale->last.outcome;
    CHECK(outcome == OUTCOME_COMMITTED || outcome == OUTCOME_ROLLED_BACK ||
          outcome == OUTCOME_HELD || outcome == OUTCOME_NOT_READY);
    CHECK(outcome != OUTCOME_NOT_READY || !tale->rb.stop_intended);
    CHECK(outcome != OUTCOME_ROLLED_BACK || tale->rb.stop_intended);
    for (int step = 0; step < STEP_COUNT; step++) {
        if (outcome == OUTCOME_ROLLED_BACK && runbook_steps[step].undo &&
            runbook_steps[step].phase >= PHASE_SWITCH)
            CHECK(!tale->done[step] || tale->undone[step] == 1);
        if (outcome == OUTCOME_COMMITTED)
            CHECK(tale->undone[step] == 0);
        CHECK(tale->done[step] <= 1 || !runbook_steps[step].undo || tale->undone[step] == 0 ||
              outcome == OUTCOME_HELD);
    }
    if (outcome == OUTCOME_HELD)
        CHECK(tale->rb.stop_intended);
}

TEST(two_faults_anywhere_end_in_one_of_the_lawful_states)
{
    static const struct fault kinds[] = {
        { 0, EVENT_ACT_FAILED, EVENT_PROBED_PARTIAL },
        { 0, EVENT_CRASHED, EVENT_PROBED_ABSENT },
        { 0, EVENT_CRASHED, EVENT_PROBED_PARTIAL },
        { 0, EVENT_CRASHED, EVENT_PROBED_COMPLETE },
        { 0, EVENT_CRASHED, EVENT_PROBE_FAILED },
        { 0, EVENT_ROLLBACK_ORDERED, EVENT_PROBED_ABSENT },
    };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    for (int first = 0; first < 45; first++)
        for (int second = first; second < 45; second++)
            for (int pair = 0; pair < KINDS * KINDS; pair++) {
                struct fault a = kinds[pair / KINDS], b = kinds[pair % KINDS];
                a.at = first, b.at = second;
                struct tale tale = play(a, b);
                check_law(&tale);
                CHECK(tale.last.outcome !=
                      OUTCOME_HELD); /* two faults are never enough for a person */
            }
}

TEST(site_counts_as_down_between_stop_and_proof)
{
    struct runbook rb = { .at = STEP_VERIFY };
    CHECK(!runbook_down(&rb));
    rb = (struct runbook){ .at = STEP_WAIT, .stop_intended = true };
    CHECK(runbook_down(&rb));
    rb.at = STEP_SOAK;
    CHECK(!runbook_down(&rb));
    rb.undoing = true;
    CHECK(runbook_down(&rb));
    rb.at = STEP_RESERVE;
    CHECK(!runbook_down(&rb));
}

TEST(step_that_a_person_resumed_is_undone_when_it_goes_back_before_it_was_begun_anew)
{
    struct runbook rb = { .at = STEP_STOP, .hold_on_failure = true };
    (void)runbook_on(&rb, EVENT_INTENT);
    (void)runbook_on(&rb, EVENT_ACT_FAILED);
    CHECK_INT(rb.outcome, OUTCOME_HELD);
    (void)runbook_on(&rb, EVENT_RESUME_ORDERED);
    struct order order = runbook_on(&rb, EVENT_ROLLBACK_ORDERED);
    CHECK_INT(order.kind, ORDER_UNDO);
    CHECK_INT(order.step, STEP_STOP);
}

TEST(unknown_words_of_the_journal_are_refused)
{
    struct err err = { 0 };
    enum run_event event = EVENT_CRASHED;
    CHECK_INT(run_event_parse("dun", &event, &err), -FAIL_CORRUPT);
    CHECK_INT(event, EVENT_CRASHED);
    for (int i = 0; i < EVENT_COUNT; i++) {
        CHECK_INT(run_event_parse(run_event_name((enum run_event)i), &event, NULL), 0);
        CHECK_INT(event, i);
    }
    enum step step = STEP_STOP;
    err_clear(&err);
    CHECK_INT(step_parse("stopp", &step, &err), -FAIL_CORRUPT);
    CHECK_INT(step, STEP_STOP);
    CHECK_INT(step_parse("capture-files", &step, NULL), 0);
    CHECK_INT(step, STEP_CAPTURE_FILES);
}
