/* What a signed plan says is what the engine is given: none of its rules is lost on the way. */
#include "controller/edge/store_case.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static Confleet__Plan plan;
static Confleet__PlanStage stages[3], *stage_list[3];
static Confleet__PlanSite sites[4], *site_list[4];
static Confleet__PlanGate gate, run_gate;
static Confleet__PlanLimit limit, *limits[1];
static Confleet__PlanWindow window, *windows[1];
static Confleet__PlanFreeze freeze, *freezes[1];

static char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Stages one, two and three with one, two and one sites; nothing but names. */
static void begin(void)
{
    static const char *const names[] = { "one", "two", "three" };
    static const size_t from[] = { 0, 1, 3 }, count[] = { 1, 2, 1 };
    confleet__plan__init(&plan);
    confleet__plan_gate__init(&gate);
    confleet__plan_gate__init(&run_gate);
    confleet__plan_limit__init(&limit);
    confleet__plan_window__init(&window);
    confleet__plan_freeze__init(&freeze);
    limits[0] = &limit;
    windows[0] = &window;
    freezes[0] = &freeze;
    for (size_t i = 0; i < 4; i++) {
        confleet__plan_site__init(&sites[i]);
        site_list[i] = &sites[i];
    }
    for (size_t i = 0; i < 3; i++) {
        confleet__plan_stage__init(&stages[i]);
        stages[i].name = word(names[i]);
        stages[i].sites = site_list + from[i];
        stages[i].n_sites = count[i];
        stage_list[i] = &stages[i];
    }
    plan.stages = stage_list;
    plan.n_stages = 3;
}

static void rules(struct pool *pool, struct rollout_case *c)
{
    *c = (struct rollout_case){ .plan = &plan };
    case_rules(pool, c);
}

/* A plan from before there were gates, batches, windows and estimates. */
TEST(a_stage_that_says_nothing_goes_one_by_one_at_any_time_and_lets_none_fail)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct rollout_case c;
    begin();
    rules(&pool, &c);
    CHECK_INT(c.core.stage_count, 3);
    CHECK_INT(c.core.site_count, 4);
    CHECK(!c.core.run_gate);
    CHECK_INT(c.core.expires_ms, 0);
    CHECK_INT(c.core.freezes.count, 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(c.core.stages[i].batch_count, 0);
        CHECK_INT(c.core.stages[i].needs, 0);
        CHECK_INT(c.core.stages[i].windows.count, 0);
        CHECK_INT(c.core.stages[i].gate.max[GATE_FAILED], 0);
        CHECK_INT(c.core.stages[i].gate.max[GATE_SILENT], 0);
        CHECK_INT(c.core.stages[i].gate.max[GATE_HELD], GATE_NO_LIMIT);
    }
}

TEST(gates_of_stages_and_of_the_run_keep_each_class)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct rollout_case c;
    begin();
    gate.max_failed = 3;
    gate.max_silent = 2;
    limit.class_ = CONFLEET__OUTCOME_CLASS__HELD;
    limit.max = 1;
    gate.limits = limits;
    gate.n_limits = 1;
    stages[1].gate = &gate;
    run_gate.max_failed = 5;
    run_gate.max_silent = 4;
    plan.run_gate = &run_gate;
    rules(&pool, &c);
    const struct gate *two = &c.core.stages[1].gate;
    CHECK_INT(two->max[GATE_FAILED], 3);
    CHECK_INT(two->max[GATE_SILENT], 2);
    CHECK_INT(two->max[GATE_HELD], 1);
    CHECK_INT(two->max[GATE_ROLLED_BACK], GATE_NO_LIMIT);
    CHECK_INT(c.core.stages[0].gate.max[GATE_FAILED], 0);
    CHECK(c.core.run_gate);
    CHECK_INT(c.core.run_gate->max[GATE_FAILED], 5);
    CHECK_INT(c.core.run_gate->max[GATE_SILENT], 4);
}

TEST(order_batches_and_approvals_are_those_of_the_plan)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    uint32_t batch[] = { 1, 3, 0 };
    struct rollout_case c;
    begin();
    stages[2].needs_stage = word("one");
    stages[2].batch = batch;
    stages[2].n_batch = 3;
    stages[2].needs_approvals = 2;
    plan.expires_ms = 4711;
    rules(&pool, &c);
    CHECK_INT(c.core.stages[2].needs, 1);
    CHECK_INT(c.core.stages[2].approvals_needed, 2);
    CHECK_INT(c.core.stages[2].approvals, 0);
    CHECK_INT(c.core.stages[2].batch_count, 3);
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(c.core.stages[2].batch[i], batch[i]);
    CHECK_INT(c.core.expires_ms, 4711);
}

static void check_span(const struct span_list *list, int64_t from_ms, int64_t to_ms)
{
    CHECK_INT(list->count, 1);
    CHECK_INT(list->spans[0].from_ms, from_ms);
    CHECK_INT(list->spans[0].to_ms, to_ms);
}

TEST(windows_estimates_and_freezes_reach_the_stage_the_site_and_the_run)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct rollout_case c;
    begin();
    window.from_ms = 100;
    window.to_ms = 200;
    stages[0].windows = windows;
    stages[0].n_windows = 1;
    rules(&pool, &c);
    check_span(&c.core.stages[0].windows, 100, 200);
    CHECK_INT(c.core.sites[0].windows.count, 0);
    stages[0].n_windows = 0;
    sites[2].windows = windows;
    sites[2].n_windows = 1;
    sites[2].estimate_ms = 30;
    freeze.from_ms = 500;
    freeze.to_ms = 600;
    freeze.reason = word("year end");
    plan.freezes = freezes;
    plan.n_freezes = 1;
    rules(&pool, &c);
    CHECK_INT(c.core.stages[0].windows.count, 0);
    check_span(&c.core.sites[2].windows, 100, 200);
    CHECK_INT(c.core.sites[2].estimate_ms, 30);
    CHECK_INT(c.core.sites[1].windows.count, 0);
    CHECK_INT(c.core.sites[1].estimate_ms, 0);
    check_span(&c.core.freezes, 500, 600);
    CHECK_STR(c.core.freezes.spans[0].reason, "year end");
}
