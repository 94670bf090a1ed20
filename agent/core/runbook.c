#include "agent/core/runbook.h"
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
    while (rb->at >= 0 && !runbook_steps[rb->at].undo)
        rb->at--;
    if (rb->at < 0)
        end(rb, rb->stop_intended ? OUTCOME_ROLLED_BACK : OUTCOME_NOT_READY);
}

static void undo_the_one_before(struct runbook *rb)
{
    rb->at--;
    undo_from_here(rb);
}

static void step_is_over(struct runbook *rb)
{
    rb->starts = rb->probe_fails = 0;
    if (rb->rollback_wanted) {
        undo_from_here(rb);
        return;
    }
    rb->mode = MODE_READY;
    if (++rb->at == STEP_COUNT) {
        rb->at = STEP_COUNT - 1;
        end(rb, OUTCOME_COMMITTED);
    }
}

static void act_failed(struct runbook *rb)
{
    if (runbook_steps[rb->at].failure == FAILURE_NOTE)
        step_is_over(rb);
    else if (rb->hold_on_failure && rb->stop_intended && !rb->rollback_wanted)
        end(rb, OUTCOME_HELD);
    else
        undo_from_here(rb);
}

static void act_again(struct runbook *rb)
{
    if (rb->rollback_wanted && !rb->undoing)
        undo_from_here(rb);
    else if (rb->starts >= RUNBOOK_STARTS_MAX)
        act_failed(rb);
    else
        rb->mode = MODE_READY;
}

static void probed(struct runbook *rb, enum run_event event)
{
    if (event == EVENT_PROBE_FAILED) {
        if (++rb->probe_fails >= RUNBOOK_PROBES_MAX)
            act_failed(rb);
        return;
    }
    if (event == EVENT_PROBED_COMPLETE)
        step_is_over(rb);
    else if (event == EVENT_PROBED_PARTIAL && runbook_steps[rb->at].partial == PARTIAL_BACK)
        act_failed(rb);
    else
        act_again(rb);
}

/* A cut-off undo is simply run again (undos are idempotent), a cut-off act is probed first, a soak
 * goes on. */
static void crashed(struct runbook *rb)
{
    if (rb->undoing)
        rb->mode = MODE_READY;
    else if (rb->at != STEP_SOAK)
        rb->mode = MODE_PROBING;
}

static void undo_failed(struct runbook *rb)
{
    rb->mode = MODE_READY;
    if (++rb->undo_fails < RUNBOOK_UNDO_MAX)
        return;
    /* What prepare left behind is no part of the site: it must not keep a healthy site held. */
    if (runbook_steps[rb->at].phase < PHASE_SWITCH)
        undo_the_one_before(rb);
    else
        end(rb, OUTCOME_HELD);
}

static void rollback_ordered(struct runbook *rb)
{
    if (rb->undoing && rb->mode != MODE_ENDED)
        return;
    if (rb->mode == MODE_ENDED || (rb->mode == MODE_BUSY && rb->at == STEP_SOAK))
        undo_from_here(rb);
    else if (rb->mode == MODE_READY && rb->starts == 0)
        undo_the_one_before(rb);
    else if (rb->mode == MODE_READY || rb->mode == MODE_PROBING)
        undo_from_here(rb);
    else
        rb->rollback_wanted = true;
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
    if (rb->undoing)
        return;
    rb->starts++;
    if (rb->at == STEP_STOP)
        rb->stop_intended = true;
    if (rb->at == STEP_START)
        rb->start_intended = true;
}

struct order runbook_next(const struct runbook *rb)
{
    assert(rb->mode == MODE_ENDED || (rb->at >= 0 && rb->at < STEP_COUNT));
    enum step step = rb->at < 0 ? STEP_CHECK : (enum step)rb->at;
    if (rb->mode == MODE_ENDED)
        return (struct order){ ORDER_FINISHED, step, rb->outcome };
    if (rb->mode == MODE_PROBING)
        return (struct order){ ORDER_PROBE, step, OUTCOME_NONE };
    if (rb->undoing)
        return (struct order){ ORDER_UNDO, step, OUTCOME_NONE };
    return (struct order){ step == STEP_SOAK ? ORDER_WAIT_SOAK : ORDER_DO, step, OUTCOME_NONE };
}

bool runbook_takes(const struct runbook *rb, enum run_event event)
{
    bool busy = rb->mode == MODE_BUSY, soaking = busy && !rb->undoing && rb->at == STEP_SOAK;
    switch (event) {
    case EVENT_INTENT:
        return rb->mode == MODE_READY;
    case EVENT_ACT_OK:
        return busy && !rb->undoing && !soaking;
    case EVENT_ACT_FAILED:
        return busy && !rb->undoing;
    case EVENT_CRASHED:
        return busy;
    case EVENT_PROBED_ABSENT:
    case EVENT_PROBED_PARTIAL:
    case EVENT_PROBED_COMPLETE:
    case EVENT_PROBE_FAILED:
        return rb->mode == MODE_PROBING;
    case EVENT_UNDO_OK:
    case EVENT_UNDO_FAILED:
        return busy && rb->undoing;
    case EVENT_SOAK_OVER:
    case EVENT_COMMIT_ORDERED:
        return soaking;
    case EVENT_ROLLBACK_ORDERED:
        return rb->outcome != OUTCOME_ROLLED_BACK && rb->outcome != OUTCOME_NOT_READY;
    case EVENT_RESUME_ORDERED:
        return rb->outcome == OUTCOME_HELD;
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
    if (!rb->stop_intended || rb->outcome == OUTCOME_ROLLED_BACK ||
        rb->outcome == OUTCOME_COMMITTED)
        return false;
    if (!rb->undoing)
        return rb->at >= STEP_STOP && rb->at <= STEP_PROBE;
    return rb->at >= STEP_STOP;
}
