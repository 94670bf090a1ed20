#include "agent/edge/timing.h"
#include "confleet/clock.h"
#include "confleet/str.h"

struct windows {
    Confleet__PlanWindow *const *list;
    size_t count;
    const char *kind, *name; /* "stage", "production" */
};

static bool window_holds(const Confleet__PlanWindow *window, int64_t now_ms)
{
    return window->from_ms <= now_ms + TIMING_TOLERANCE_MS &&
           window->to_ms > now_ms - TIMING_TOLERANCE_MS;
}

static const Confleet__PlanWindow *window_next(const struct windows *windows, int64_t now_ms)
{
    const Confleet__PlanWindow *next = NULL;
    for (size_t i = 0; i < windows->count; i++)
        if (windows->list[i]->from_ms > now_ms &&
            (!next || windows->list[i]->from_ms < next->from_ms))
            next = windows->list[i];
    return next;
}

static int windows_allow(const struct windows *windows, int64_t estimate_ms, int64_t now_ms,
                         struct err *err)
{
    const Confleet__PlanWindow *tight = NULL;
    char when[CLOCK_TEXT_MAX], left[24], needed[24];
    for (size_t i = 0; i < windows->count; i++) {
        const Confleet__PlanWindow *window = windows->list[i];
        if (!window_holds(window, now_ms))
            continue;
        if (window->to_ms - (now_ms - TIMING_TOLERANCE_MS) >= estimate_ms)
            return 0;
        tight = window;
    }
    if (windows->count == 0)
        return 0;
    if (tight)
        return err_set(err, FAIL_EXPIRED,
                       "the window of %s %s has %s left (until %s), the plan estimates %s for "
                       "outage and rollback",
                       windows->kind, windows->name,
                       text_duration(tight->to_ms > now_ms ? tight->to_ms - now_ms : 0, left),
                       clock_text(tight->to_ms, when), text_duration(estimate_ms, needed));
    const Confleet__PlanWindow *next = window_next(windows, now_ms);
    if (next)
        return err_set(err, FAIL_DENIED, "outside the windows of %s %s; the next opens at %s",
                       windows->kind, windows->name, clock_text(next->from_ms, when));
    return err_set(err, FAIL_EXPIRED, "the last window of %s %s is over; make a new plan",
                   windows->kind, windows->name);
}

static const Confleet__PlanFreeze *freeze_at(const Confleet__Plan *plan, int64_t at_ms)
{
    for (size_t i = 0; i < plan->n_freezes; i++)
        if (plan->freezes[i]->from_ms <= at_ms && plan->freezes[i]->to_ms > at_ms)
            return plan->freezes[i];
    return NULL;
}

/* One that is not over yet by any clock begins before outage and rollback have had their time. */
static const Confleet__PlanFreeze *freeze_too_soon(const Confleet__Plan *plan, int64_t estimate_ms,
                                                   int64_t now_ms)
{
    int64_t early_ms = now_ms - TIMING_TOLERANCE_MS;
    for (size_t i = 0; i < plan->n_freezes; i++) {
        const Confleet__PlanFreeze *freeze = plan->freezes[i];
        if (freeze->from_ms > early_ms && freeze->from_ms - early_ms < estimate_ms &&
            freeze->to_ms > now_ms + TIMING_TOLERANCE_MS)
            return freeze;
    }
    return NULL;
}

static int freezes_allow(const Confleet__Plan *plan, int64_t estimate_ms, int64_t now_ms,
                         struct err *err)
{
    char when[CLOCK_TEXT_MAX], needed[24];
    const Confleet__PlanFreeze *freeze = freeze_at(plan, now_ms);
    /* Freezes that touch leave no room for clocks that differ. */
    if (freeze && freeze_at(plan, now_ms - TIMING_TOLERANCE_MS) &&
        freeze_at(plan, now_ms + TIMING_TOLERANCE_MS))
        return err_set(err, FAIL_DENIED, "the plan is frozen until %s%s%s",
                       clock_text(freeze->to_ms, when), *freeze->reason ? ": " : "",
                       freeze->reason);
    freeze = freeze_too_soon(plan, estimate_ms, now_ms);
    if (freeze)
        return err_set(err, FAIL_DENIED,
                       "a freeze begins at %s, the plan estimates %s for outage and rollback%s%s",
                       clock_text(freeze->from_ms, when), text_duration(estimate_ms, needed),
                       *freeze->reason ? ": " : "", freeze->reason);
    return 0;
}

int timing_allows(const Confleet__Plan *plan, const Confleet__PlanStage *stage,
                  const Confleet__PlanSite *site, int64_t now_ms, struct err *err)
{
    const struct windows of_stage = { stage->windows, stage->n_windows, "stage", stage->name };
    const struct windows of_site = { site->windows, site->n_windows, "site", site->name };
    int result = freezes_allow(plan, site->estimate_ms, now_ms, err);
    if (result == 0)
        result = windows_allow(&of_stage, site->estimate_ms, now_ms, err);
    if (result == 0)
        result = windows_allow(&of_site, site->estimate_ms, now_ms, err);
    return result;
}
