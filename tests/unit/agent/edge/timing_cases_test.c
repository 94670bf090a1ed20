/* What an agent allows of a signed plan, by the table of tests/unit/windows. Holds are none of its
 * business; two minutes beside a limit it may say either. */
#include "agent/edge/timing.h"
#include "unit/windows/cases.h"

struct planned {
    Confleet__PlanWindow stage[CASE_SPANS], site[CASE_SPANS];
    Confleet__PlanFreeze frozen[4];
    Confleet__PlanWindow *stages[CASE_SPANS], *sites[CASE_SPANS];
    Confleet__PlanFreeze *freezes[4];
};

static size_t windows_fill(const struct case_kind *from, Confleet__PlanWindow *to,
                           Confleet__PlanWindow **list)
{
    for (size_t i = 0; i < from->open_count; i++) {
        confleet__plan_window__init(&to[i]);
        to[i].from_ms = from->open[i].from_ms;
        to[i].to_ms = from->open[i].to_ms;
        list[i] = &to[i];
    }
    return from->open_count;
}

static size_t yes_count, no_count;

static bool looks_hold(const struct time_case *c)
{
    struct planned p;
    Confleet__Plan plan = CONFLEET__PLAN__INIT;
    Confleet__PlanStage stage = CONFLEET__PLAN_STAGE__INIT;
    Confleet__PlanSite site = CONFLEET__PLAN_SITE__INIT;
    stage.n_windows = windows_fill(&c->stage, p.stage, p.stages);
    stage.windows = p.stages;
    site.n_windows = windows_fill(&c->site, p.site, p.sites);
    site.windows = p.sites;
    site.estimate_ms = c->estimate_ms;
    for (size_t i = 0; i < c->frozen_count; i++) {
        confleet__plan_freeze__init(&p.frozen[i]);
        p.frozen[i].from_ms = c->frozen[i].from_ms;
        p.frozen[i].to_ms = c->frozen[i].to_ms;
        p.freezes[i] = &p.frozen[i];
    }
    plan.freezes = p.freezes;
    plan.n_freezes = c->frozen_count;
    for (size_t i = 0; i < c->look_count; i++) {
        struct err err = { 0 };
        bool allowed = timing_allows(&plan, &stage, &site, c->looks[i].at_ms, &err) == 0;
        bool yes = strcmp(c->looks[i].agent, "yes") == 0;
        bool no = strcmp(c->looks[i].agent, "no") == 0;
        if ((yes && !allowed) || (no && allowed)) {
            print_error("at %lld: %s\n", (long long)c->looks[i].at_ms,
                        allowed ? "allowed" : err.text);
            return false;
        }
        CHECK_INT(allowed, err.text[0] == '\0');
        yes_count += yes;
        no_count += no;
    }
    return true;
}

TEST(an_agent_starts_nothing_that_the_oracle_forbids)
{
    CHECK(cases_each(looks_hold) >= 200);
    CHECK(yes_count >= 100);
    CHECK(no_count >= 100);
}
