/* What the journal alone says of a run, against what the runbook makes of it. */
#include "tests/sim/laws.h"
#include "tests/sim/site.h"

void laws_ordered(struct world *world, struct site *site, const struct order *order)
{
    const struct run *run = site->open;
    const char *name = runbook_steps[order->step].name;
    site->ordered = order->kind;
    if (run->outcome != OUTCOME_NONE && order->kind != ORDER_FINISHED)
        laws_broken(world, site->number, "law 4: it ended '%s', and '%s' is ordered", outcome_name(run->outcome), name);
    if (run->seen.probing && order->kind == ORDER_DO)
        laws_broken(world, site->number, "law 4: '%s' was cut off, and is begun again without a look at it", name);
    if (order->kind == ORDER_DO && order->step == STEP_SOAK)
        laws_broken(world, site->number, "law 1: the soak is done, and not waited for");
    if (order->kind == ORDER_UNDO && (run->seen.begun >> order->step & 1) == 0)
        laws_broken(world, site->number, "law 4: '%s' is undone, and was never begun", name);
    if (order->kind == ORDER_UNDO && !runbook_steps[order->step].undo)
        laws_broken(world, site->number, "law 3: '%s' is undone, and has no undo", name);
}

static void see(const struct world *world, const struct site *site, enum run_event event, enum step step)
{
    struct seen *seen = &site->open->seen;
    bool soaks = seen->flying && !seen->back && step == STEP_SOAK;
    switch (event) {
    case EVENT_INTENT:
        seen->flying = true;
        seen->back = site->ordered == ORDER_UNDO;
        seen->begun |= seen->back ? 0 : 1U << step;
        seen->soak_ms = step == STEP_SOAK && !seen->back && seen->soak_ms == 0 ? world->now_ms : seen->soak_ms;
        break;
    case EVENT_CRASHED:
        seen->probing = !seen->back && !soaks;
        seen->flying = soaks;
        break;
    case EVENT_PROBE_FAILED:
        seen->probing = ++seen->probe_fails < RUNBOOK_PROBES_MAX;
        break;
    case EVENT_UNDO_FAILED:
        seen->undo_fails++;
        seen->flying = false;
        break;
    case EVENT_ROLLBACK_ORDERED:
        seen->probing = false;
        seen->flying = seen->flying && !soaks;
        break;
    case EVENT_RESUME_ORDERED:
        seen->undo_fails = seen->probe_fails = 0;
        break;
    case EVENT_COMMIT_ORDERED:
        seen->kept = true;
        seen->flying = false;
        break;
    default:
        seen->flying = seen->probing = false;
        break;
    }
    if (event == EVENT_ROLLBACK_ORDERED && (seen->ended || !seen->flying))
        seen->probe_fails = 0;
    if (event == EVENT_ROLLBACK_ORDERED && seen->ended)
        seen->undo_fails = 0;
    if (event == EVENT_UNDO_OK)
        seen->undo_fails = 0;
}

/* Does the event follow from what is in flight? */
static bool follows(const struct run *run, enum run_event event, enum step step)
{
    const struct seen *seen = &run->seen;
    bool acts = seen->flying && !seen->back;
    switch (event) {
    case EVENT_INTENT:
        return !seen->flying && !seen->probing && run->outcome == OUTCOME_NONE;
    case EVENT_ACT_OK:
        return acts && step != STEP_SOAK;
    case EVENT_ACT_FAILED:
        return acts;
    case EVENT_CRASHED:
        return seen->flying;
    case EVENT_PROBED_ABSENT:
    case EVENT_PROBED_PARTIAL:
    case EVENT_PROBED_COMPLETE:
    case EVENT_PROBE_FAILED:
        return seen->probing;
    case EVENT_UNDO_OK:
    case EVENT_UNDO_FAILED:
        return seen->flying && seen->back;
    case EVENT_SOAK_OVER:
    case EVENT_COMMIT_ORDERED:
        return acts && step == STEP_SOAK;
    case EVENT_ROLLBACK_ORDERED:
        return run->outcome != OUTCOME_ROLLED_BACK && run->outcome != OUTCOME_NOT_READY;
    case EVENT_RESUME_ORDERED:
        return run->outcome == OUTCOME_HELD;
    case EVENT_COUNT:
        break;
    }
    return false;
}

/* By itself, or because somebody said so. */
static void turns_back(struct world *world, struct site *site, enum run_event event, enum step step)
{
    const struct run *run = site->open;
    if (event == EVENT_ROLLBACK_ORDERED || run->told_back)
        return;
    if (runbook_steps[step].failure == FAILURE_NOTE)
        laws_broken(world, site->number, "law 3: it goes back because '%s' failed, which is only noted",
                    runbook_steps[step].name);
    if (world->hold_on_failure && run->stopped)
        laws_broken(world, site->number, "law 3: the plan holds what fails after the stop, and it goes back by itself");
}

static void held(struct world *world, struct site *site, enum run_event event, const struct runbook *rb)
{
    if (!site->open->stopped)
        laws_broken(world, site->number, "law 3: held, and it was never stopped");
    else if (runbook_steps[rb->at].phase < PHASE_SWITCH)
        laws_broken(world, site->number, "law 3: held for '%s', which is no part of the site", runbook_steps[rb->at].name);
    if (site->open->told_back && !rb->undoing)
        laws_broken(world, site->number, "law 3: held, and a rollback was ordered");
    if (event == EVENT_ROLLBACK_ORDERED)
        laws_broken(world, site->number, "law 3: a rollback is ordered, and it stays held");
}

/* What is shown of it, against what is true: from the stop until it is proven, or undone. */
static void shown(struct world *world, struct site *site, enum run_event event)
{
    const struct runbook *rb = &site->rb;
    bool says = runbook_down(rb);
    bool stops = event == EVENT_INTENT && rb->at == STEP_STOP && !rb->undoing; /* the next moment */
    if (site->down && !says)
        laws_broken(world, site->number, "law 6: it is down, and shown as up");
    if (!site->down && says && !stops && (!rb->undoing || site->effect[STEP_STOP] == WORTH_ABSENT))
        laws_broken(world, site->number, "law 6: it is up, and shown as down");
}

void laws_journal(struct world *world, struct site *site, enum run_event event, const struct runbook *before)
{
    struct run *run = site->open;
    struct seen *seen = &run->seen;
    const struct runbook *rb = &site->rb;
    enum step step = before->at < 0 ? STEP_CHECK : (enum step)before->at;
    see(world, site, event, step);
    if (!before->undoing && rb->undoing)
        turns_back(world, site, event, step);
    if (event == EVENT_ROLLBACK_ORDERED && rb->at < before->at && !before->undoing && runbook_steps[step].undo &&
        (seen->begun >> step & 1) != 0 && site->effect[step] != WORTH_ABSENT)
        laws_broken(world, site->number, "law 3: '%s' was begun, and its undo is left out", runbook_steps[step].name);
    if (rb->mode == MODE_ENDED && rb->outcome == OUTCOME_HELD)
        held(world, site, event, rb);
    if (rb->mode == MODE_ENDED && rb->outcome == OUTCOME_COMMITTED && !seen->kept &&
        world->now_ms - seen->soak_ms < world->soak_ms)
        laws_broken(world, site->number, "law 1: it is committed, and has not soaked");
    if (seen->undo_fails >= RUNBOOK_UNDO_MAX && rb->mode != MODE_ENDED && rb->at == before->at)
        laws_broken(world, site->number, "law 6: '%s' could not be undone %d times, and nobody is called",
                    runbook_steps[step].name, seen->undo_fails);
    if (seen->probe_fails >= RUNBOOK_PROBES_MAX && rb->mode == MODE_PROBING)
        laws_broken(world, site->number, "law 6: '%s' was probed %d times without an answer, and is again",
                    runbook_steps[step].name, seen->probe_fails);
    if (rb->at != before->at)
        seen->undo_fails = seen->probe_fails = 0;
    enum step now = rb->at < 0 ? STEP_CHECK : (enum step)rb->at;
    for (int i = 0; i < EVENT_COUNT; i++)
        if (runbook_takes(rb, (enum run_event)i) != follows(run, (enum run_event)i, now))
            laws_broken(world, site->number, "law 4: after '%s' of '%s' the journal %s '%s'", run_event_name(event),
                        runbook_steps[step].name, follows(run, (enum run_event)i, now) ? "refuses" : "takes",
                        run_event_name((enum run_event)i));
    shown(world, site, event);
    seen->ended = run->outcome != OUTCOME_NONE;
}

void laws_aborted(struct world *world, struct site *site, bool goes_on)
{
    if (!goes_on && site->schema_touched)
        laws_broken(world, site->number, "law 3: an abort takes it back from the new version's first start");
}
