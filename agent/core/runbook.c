#include "agent/core/runbook.h"
#include "confleet/guard.h"
#include <assert.h>
#include <string.h>

static void end(struct runbook *rb, enum outcome outcome)
{
    rb->mode = MODE_ENDED;
    rb->outcome = outcome;
}

/* Settles on the nearest step at or before rb->at that has an undo. All of them were intended: acts
 * are intended in order. */
static void undo_from_here(struct runbook *rb)
{
    rb->undoing = true;
    rb->rollback_wanted = false;
    rb->mode = MODE_READY;
    rb->outcome = OUTCOME_NONE;
    rb->starts = rb->undo_fails = rb->probe_fails = 0;
    /* No guard: below zero the table is at its end. */
    while (rb->at >= 0 && GUARD(law3_undo_only_what_has_an_undo, !runbook_steps[rb->at].undo))
        rb->at--;
    if (rb->at < 0) /* No guard: as above. */
        end(rb, GUARD(law3_stopped_is_never_not_ready, rb->stop_intended) ? OUTCOME_ROLLED_BACK
                                                                          : OUTCOME_NOT_READY);
}

static void undo_the_one_before(struct runbook *rb)
{
    rb->at--;
    undo_from_here(rb);
}

static void step_is_over(struct runbook *rb)
{
    rb->starts = rb->probe_fails = 0;
    rb->begun = false;
    if (GUARD(law3_back_is_obeyed_between_steps, rb->rollback_wanted)) {
        undo_from_here(rb);
        return;
    }
    rb->mode = MODE_READY;
    if (++rb->at == STEP_COUNT) { /* No guard: the table is at its end. */
        rb->at = STEP_COUNT - 1;
        end(rb, OUTCOME_COMMITTED);
    }
}

static void act_failed(struct runbook *rb)
{
    if (GUARD(law3_noted_failure_takes_nothing_back, runbook_steps[rb->at].failure == FAILURE_NOTE))
        step_is_over(rb);
    else if (GUARD(law3_plan_may_ask_to_hold, rb->hold_on_failure) &&
             NEEDS(law3_untouched_is_not_held, rb->stop_intended) &&
             NEEDS(law3_back_beats_hold, !rb->rollback_wanted))
        end(rb, OUTCOME_HELD);
    else
        undo_from_here(rb);
}

static void act_again(struct runbook *rb)
{
    if (GUARD(law3_back_is_obeyed_after_a_probe, rb->rollback_wanted))
        undo_from_here(rb);
    else if (GUARD(law4_no_third_start, rb->starts >= RUNBOOK_STARTS_MAX))
        act_failed(rb);
    else
        rb->mode = MODE_READY;
}

static void probed(struct runbook *rb, enum run_event event)
{
    if (event == EVENT_PROBE_FAILED) {
        if (GUARD(law6_probes_have_an_end, ++rb->probe_fails >= RUNBOOK_PROBES_MAX))
            act_failed(rb);
        return;
    }
    if (event == EVENT_PROBED_COMPLETE)
        step_is_over(rb);
    else
        act_again(rb);
}

/* A cut-off undo is simply run again (undos are idempotent), a cut-off act is probed first, a soak
 * goes on. */
static void crashed(struct runbook *rb)
{
    if (GUARD(law3_cut_off_undo_is_undone_again, rb->undoing))
        rb->mode = MODE_READY;
    else if (rb->at != STEP_SOAK) /* No guard: the driver feeds none in a soak. */
        rb->mode = MODE_PROBING;
}

static void undo_failed(struct runbook *rb)
{
    rb->mode = MODE_READY;
    if (NEEDS(law6_undos_have_an_end, ++rb->undo_fails < RUNBOOK_UNDO_MAX))
        return;
    /* What prepare left behind is no part of the site: it must not keep a healthy site held. */
    if (GUARD(law3_leftovers_hold_nobody, runbook_steps[rb->at].phase < PHASE_SWITCH))
        undo_the_one_before(rb);
    else
        end(rb, OUTCOME_HELD);
}

static void rollback_ordered(struct runbook *rb)
{
    if (GUARD(law3_way_back_goes_on, rb->undoing) &&
        NEEDS(law3_held_undo_is_tried_again, rb->mode != MODE_ENDED))
        return;
    if (GUARD(law4_unbegun_is_not_undone, rb->mode == MODE_READY) &&
        NEEDS(law3_begun_is_undone, !rb->begun))
        undo_the_one_before(rb);
    else if (GUARD(law4_act_in_flight_ends_first, rb->mode == MODE_BUSY) &&
             NEEDS(law3_soak_ends_at_once, rb->at != STEP_SOAK))
        rb->rollback_wanted = true;
    else
        undo_from_here(rb);
}

static void resume_ordered(struct runbook *rb)
{
    rb->mode = MODE_READY;
    rb->outcome = OUTCOME_NONE;
    rb->starts = rb->undo_fails = rb->probe_fails = 0;
}

static void intended(struct runbook *rb)
{
    rb->mode = MODE_BUSY;
    /* No guard: what follows is about acts, and nothing asks for it on the way back. */
    if (rb->undoing)
        return;
    rb->starts++;
    rb->begun = true;
    if (GUARD(law3_stop_is_remembered, rb->at == STEP_STOP))
        rb->stop_intended = true;
    if (GUARD(law3_start_is_remembered, rb->at == STEP_START))
        rb->start_intended = true;
}

struct order runbook_next(const struct runbook *rb)
{
    assert(rb->mode == MODE_ENDED || (rb->at >= 0 && rb->at < STEP_COUNT));
    enum step step =
        rb->at < 0 ? STEP_CHECK : (enum step)rb->at; /* No guard: only after the end. */
    if (GUARD(law4_nothing_follows_the_end, rb->mode == MODE_ENDED))
        return (struct order){ ORDER_FINISHED, step, rb->outcome };
    if (GUARD(law4_cut_off_act_is_probed, rb->mode == MODE_PROBING))
        return (struct order){ ORDER_PROBE, step, OUTCOME_NONE };
    if (GUARD(law3_way_back_undoes, rb->undoing))
        return (struct order){ ORDER_UNDO, step, OUTCOME_NONE };
    bool soaks = GUARD(law1_soak_is_a_wait, step == STEP_SOAK);
    return (struct order){ soaks ? ORDER_WAIT_SOAK : ORDER_DO, step, OUTCOME_NONE };
}

bool runbook_takes(const struct runbook *rb, enum run_event event)
{
    bool busy = NEEDS(law4_outcome_has_an_intent, rb->mode == MODE_BUSY);
    bool acting = busy && NEEDS(law4_act_is_no_undo, !rb->undoing);
    bool soaking = acting && NEEDS(law1_only_the_soak_soaks, rb->at == STEP_SOAK);
    switch (event) {
    case EVENT_INTENT:
        return NEEDS(law4_intent_comes_first, rb->mode == MODE_READY);
    case EVENT_ACT_OK:
        return acting && NEEDS(law1_soak_is_over_by_time, !soaking);
    case EVENT_ACT_FAILED:
        return acting;
    case EVENT_CRASHED:
        return busy;
    case EVENT_PROBED_ABSENT:
    case EVENT_PROBED_PARTIAL:
    case EVENT_PROBED_COMPLETE:
    case EVENT_PROBE_FAILED:
        return NEEDS(law4_answer_has_a_probe, rb->mode == MODE_PROBING);
    case EVENT_UNDO_OK:
    case EVENT_UNDO_FAILED:
        return busy && NEEDS(law4_undo_is_no_act, rb->undoing);
    case EVENT_SOAK_OVER:
    case EVENT_COMMIT_ORDERED:
        return soaking;
    case EVENT_ROLLBACK_ORDERED:
        return NEEDS(law4_rolled_back_is_over, rb->outcome != OUTCOME_ROLLED_BACK) &&
               NEEDS(law4_not_ready_is_over, rb->outcome != OUTCOME_NOT_READY);
    case EVENT_RESUME_ORDERED:
        return NEEDS(law4_only_held_goes_on, rb->outcome == OUTCOME_HELD);
    case EVENT_COUNT:
        break;
    }
    return false;
}

struct order runbook_on(struct runbook *rb, enum run_event event)
{
    assert(runbook_takes(rb, event));
    switch (event) {
    case EVENT_INTENT:
        intended(rb);
        break;
    case EVENT_ACT_OK:
    case EVENT_SOAK_OVER:
    case EVENT_COMMIT_ORDERED:
        step_is_over(rb);
        break;
    case EVENT_ACT_FAILED:
        act_failed(rb);
        break;
    case EVENT_CRASHED:
        crashed(rb);
        break;
    case EVENT_PROBED_ABSENT:
    case EVENT_PROBED_PARTIAL:
    case EVENT_PROBED_COMPLETE:
    case EVENT_PROBE_FAILED:
        probed(rb, event);
        break;
    case EVENT_UNDO_OK:
        undo_the_one_before(rb);
        break;
    case EVENT_UNDO_FAILED:
        undo_failed(rb);
        break;
    case EVENT_ROLLBACK_ORDERED:
        rollback_ordered(rb);
        break;
    case EVENT_RESUME_ORDERED:
        resume_ordered(rb);
        break;
    case EVENT_COUNT:
        break;
    }
    return runbook_next(rb);
}

bool runbook_down(const struct runbook *rb)
{
    if (GUARD(law6_up_until_the_stop, !rb->stop_intended))
        return false;
    if (GUARD(law6_down_on_the_way_back, rb->undoing))
        return NEEDS(law6_up_when_the_stop_is_undone, rb->at >= STEP_STOP);
    return NEEDS(law6_up_when_it_is_proven, rb->at <= STEP_PROBE);
}
