#include "agent/edge/timing.h"
#include "confleet/str.h"
#include "harness/test.h"

#define MIN  (60 * 1000LL)
#define HOUR (60 * MIN)
#define NOW  1800000000000LL

struct table {
    int64_t stage_from_ms, stage_to_ms; /* from NOW; both zero: no window */
    int64_t site_from_ms, site_to_ms;
    int64_t freeze_from_ms, freeze_to_ms;
    int64_t estimate_ms;
    int code;
    const char *words;
};

static void check_row(const struct table *row)
{
    Confleet__Plan plan = CONFLEET__PLAN__INIT;
    Confleet__PlanStage stage = CONFLEET__PLAN_STAGE__INIT;
    Confleet__PlanSite site = CONFLEET__PLAN_SITE__INIT;
    Confleet__PlanFreeze freeze = CONFLEET__PLAN_FREEZE__INIT, *freezes[] = { &freeze };
    Confleet__PlanWindow of_stage = CONFLEET__PLAN_WINDOW__INIT, *of_stages[] = { &of_stage };
    Confleet__PlanWindow of_site = CONFLEET__PLAN_WINDOW__INIT, *of_sites[] = { &of_site };
    struct err err = { 0 };
    stage.name = (char *)(uintptr_t) "production";
    site.name = (char *)(uintptr_t) "wiki";
    freeze.reason = (char *)(uintptr_t) "end of the year";
    freeze.from_ms = NOW + row->freeze_from_ms;
    freeze.to_ms = NOW + row->freeze_to_ms;
    of_stage.from_ms = NOW + row->stage_from_ms;
    of_stage.to_ms = NOW + row->stage_to_ms;
    of_site.from_ms = NOW + row->site_from_ms;
    of_site.to_ms = NOW + row->site_to_ms;
    plan.freezes = freezes;
    plan.n_freezes = row->freeze_from_ms != row->freeze_to_ms;
    stage.windows = of_stages;
    stage.n_windows = row->stage_from_ms != row->stage_to_ms;
    site.windows = of_sites;
    site.n_windows = row->site_from_ms != row->site_to_ms;
    site.estimate_ms = row->estimate_ms;
    CHECK_INT(timing_allows(&plan, &stage, &site, NOW, &err), -row->code);
    CHECK_HAS(err.text, row->words);
}

TEST(a_site_starts_inside_both_windows_and_outside_of_freezes_only)
{
    static const struct table table[] = {
        { .words = "" }, /* no window: any time */
        { -HOUR, HOUR, 0, 0, 0, 0, HOUR, 0, "" },
        { -HOUR, HOUR, 0, 0, 0, 0, HOUR + 3 * MIN, FAIL_EXPIRED, "has 1h" },
        { HOUR, 2 * HOUR, 0, 0, 0, 0, 0, FAIL_DENIED, "outside the windows of stage production" },
        { -2 * HOUR, -HOUR, 0, 0, 0, 0, 0, FAIL_EXPIRED, "last window of stage production" },
        { -HOUR, HOUR, HOUR, 2 * HOUR, 0, 0, 0, FAIL_DENIED, "outside the windows of site wiki" },
        { -HOUR, HOUR, -2 * HOUR, -HOUR, 0, 0, 0, FAIL_EXPIRED, "last window of site wiki" },
        { -HOUR, HOUR, -HOUR, 10 * MIN, 0, 0, 13 * MIN, FAIL_EXPIRED, "window of site wiki" },
        { -HOUR, HOUR, -HOUR, HOUR, 0, 0, 10 * MIN, 0, "" },
        { -HOUR, HOUR, 0, 0, -HOUR, HOUR, 0, FAIL_DENIED, "end of the year" },
        { 0, 0, 0, 0, -HOUR, HOUR, 0, FAIL_DENIED, "frozen until" },
        { 0, 0, 0, 0, -2 * HOUR, -HOUR, 0, 0, "" },
        { 0, 0, 0, 0, HOUR, 2 * HOUR, 0, 0, "" },
        { 0, 0, 0, 0, HOUR, 2 * HOUR, HOUR + 3 * MIN, FAIL_DENIED, "a freeze begins at" },
        { -HOUR, 2 * HOUR, 0, 0, HOUR, 2 * HOUR, HOUR, 0, "" },
        { -HOUR, 2 * HOUR, 0, 0, HOUR, 2 * HOUR, 90 * MIN, FAIL_DENIED, "end of the year" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_row(&table[i]);
}

TEST(clocks_may_differ_by_two_minutes_and_not_by_more)
{
    static const struct table table[] = {
        { 2 * MIN, HOUR, 0, 0, 0, 0, 0, 0, "" },
        { 2 * MIN + 1, HOUR, 0, 0, 0, 0, 0, FAIL_DENIED, "the next opens at" },
        { -HOUR, -2 * MIN + 1, 0, 0, 0, 0, 0, 0, "" },
        { -HOUR, -2 * MIN, 0, 0, 0, 0, 0, FAIL_EXPIRED, "is over" },
        { -HOUR, 8 * MIN, 0, 0, 0, 0, 10 * MIN, 0, "" },
        { -HOUR, 8 * MIN, 0, 0, 0, 0, 10 * MIN + 1, FAIL_EXPIRED, "estimates" },
        { 0, 0, 0, 0, -2 * MIN + 1, HOUR, 0, 0, "" },
        { 0, 0, 0, 0, -2 * MIN, HOUR, 0, FAIL_DENIED, "frozen" },
        { 0, 0, 0, 0, -HOUR, 2 * MIN, 0, 0, "" },
        { 0, 0, 0, 0, -HOUR, 2 * MIN + 1, 0, FAIL_DENIED, "frozen" },
        { 0, 0, 0, 0, 8 * MIN, HOUR, 10 * MIN, 0, "" },
        { 0, 0, 0, 0, 8 * MIN, HOUR, 10 * MIN + 1, FAIL_DENIED, "begins at" },
        { 0, 0, 0, 0, MIN, 2 * MIN, 10 * MIN, 0, "" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_row(&table[i]);
}

TEST(instants_at_the_ends_of_time_do_no_harm)
{
    static const struct table table[] = {
        { INT64_MIN, INT64_MAX - NOW, 0, 0, 0, 0, HOUR, 0, "" },
        { INT64_MIN, INT64_MIN + 1, 0, 0, 0, 0, 0, FAIL_EXPIRED, "is over" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_row(&table[i]);
}
