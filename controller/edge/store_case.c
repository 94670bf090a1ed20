#include "controller/edge/store_case.h"

#include "controller/edge/store_decisions.h"
#include "controller/edge/store_peers.h"
#include <string.h>

static struct gate case_gate(const Confleet__PlanGate *from)
{
    struct gate gate = gate_strict();
    if (!from)
        return gate;
    gate.max[GATE_FAILED] = from->max_failed;
    gate.max[GATE_SILENT] = from->max_silent;
    for (size_t i = 0; i < from->n_limits; i++) {
        unsigned class = (unsigned)from->limits[i]->class_;
        if (class > GATE_NONE && class < GATE_CLASS_COUNT)
            gate.max[class] = from->limits[i]->max;
    }
    return gate;
}

static struct span_list case_windows(struct pool *pool, Confleet__PlanWindow *const *windows,
                                     size_t count)
{
    struct span *spans = pool_alloc(pool, (count + 1) * sizeof *spans);
    for (size_t i = 0; i < count; i++)
        spans[i] = (struct span){ windows[i]->from_ms, windows[i]->to_ms, NULL };
    return (struct span_list){ spans, count };
}

static size_t stage_number(const Confleet__Plan *plan, const char *name)
{
    for (size_t i = 0; name[0] != '\0' && i < plan->n_stages; i++)
        if (strcmp(plan->stages[i]->name, name) == 0)
            return i + 1;
    return 0;
}

static void case_stage(struct pool *pool, const Confleet__Plan *plan, size_t at,
                       struct rollout_stage *stage)
{
    const Confleet__PlanStage *from = plan->stages[at];
    stage->name = from->name;
    stage->batch_count = from->n_batch < ROLLOUT_BATCH_MAX ? from->n_batch : ROLLOUT_BATCH_MAX;
    for (size_t b = 0; b < stage->batch_count; b++)
        stage->batch[b] = from->batch[b];
    stage->gate = case_gate(from->gate);
    size_t needs = stage_number(plan, from->needs_stage);
    stage->needs = needs <= at ? needs : 0;
    stage->approvals_needed = from->needs_approvals;
    stage->windows = case_windows(pool, from->windows, from->n_windows);
}

void case_rules(struct pool *pool, struct rollout_case *c)
{
    const Confleet__Plan *plan = c->plan;
    struct rollout_stage *stages = pool_alloc(pool, plan->n_stages * sizeof *stages);
    struct span *freezes = pool_alloc(pool, (plan->n_freezes + 1) * sizeof *freezes);
    size_t at = 0;
    for (size_t i = 0; i < plan->n_stages; i++)
        c->core.site_count += plan->stages[i]->n_sites;
    c->core.sites = pool_alloc(pool, (c->core.site_count + 1) * sizeof *c->core.sites);
    c->rows = pool_alloc(pool, (c->core.site_count + 1) * sizeof *c->rows);
    for (size_t i = 0; i < plan->n_stages; i++) {
        case_stage(pool, plan, i, &stages[i]);
        for (size_t n = 0; n < plan->stages[i]->n_sites; n++, at++) {
            const Confleet__PlanSite *from = plan->stages[i]->sites[n];
            c->core.sites[at].windows = case_windows(pool, from->windows, from->n_windows);
            c->core.sites[at].estimate_ms = from->estimate_ms;
        }
    }
    for (size_t i = 0; i < plan->n_freezes; i++)
        freezes[i] = (struct span){ plan->freezes[i]->from_ms, plan->freezes[i]->to_ms,
                                    plan->freezes[i]->reason };
    if (plan->run_gate) {
        struct gate *gate = pool_alloc(pool, sizeof *gate);
        *gate = case_gate(plan->run_gate);
        c->core.run_gate = gate;
    }
    c->core.stages = stages;
    c->core.stage_count = plan->n_stages;
    c->core.freezes = (struct span_list){ freezes, plan->n_freezes };
    c->core.expires_ms = plan->expires_ms;
    c->core.limits = (struct rollout_limits){ INT64_MAX, INT64_MAX };
}

static int case_holds(struct store *store, struct pool *pool, struct rollout_case *c,
                      struct err *err)
{
    struct hold **holds = NULL;
    size_t count = 0, fleet = 0;
    int result = holds_list(store, pool, &holds, &count, err);
    if (result != 0 || count == 0)
        return result;
    struct span *all = pool_alloc(pool, (count + 1) * sizeof *all);
    for (size_t h = 0; h < count; h++)
        if (holds[h]->site[0] == '\0')
            all[fleet++] = (struct span){ 0, holds[h]->until_ms, holds[h]->reason };
    for (size_t i = 0; i < c->core.site_count; i++)
        c->core.sites[i].holds = (struct span_list){ all, fleet };
    for (size_t h = 0; h < count; h++) {
        size_t at = 0;
        if (holds[h]->site[0] == '\0' || !rollout_place(c, holds[h]->site, &at))
            continue;
        struct span *own = pool_alloc(pool, (fleet + 1) * sizeof *own);
        if (fleet > 0)
            memcpy(own, all, fleet * sizeof *own);
        own[fleet] = (struct span){ 0, holds[h]->until_ms, holds[h]->reason };
        c->core.sites[at].holds = (struct span_list){ own, fleet + 1 };
    }
    return 0;
}

static int case_approvals(struct store *store, struct pool *pool, struct rollout_case *c,
                          struct err *err)
{
    struct approval *approvals = NULL;
    struct rollout_stage *stages = (struct rollout_stage *)(uintptr_t)c->core.stages;
    size_t count = 0;
    bool needed = false;
    for (size_t i = 0; i < c->core.stage_count; i++)
        needed |= stages[i].approvals_needed > 0;
    if (!needed)
        return 0;
    int result = approvals_list(store, pool, c, &approvals, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        size_t stage = stage_number(c->plan, approvals[i].stage);
        if (stage != 0 && approvals[i].in_force)
            stages[stage - 1].approvals++;
    }
    c->approvals = approvals;
    c->approval_count = count;
    return result;
}

static bool covering_is_here(const struct rollout_case *c, const char *site)
{
    size_t at = 0;
    return rollout_place(c, site, &at) && c->core.sites[at].state == SITE_COMMITTED;
}

/* A site of a stage that needs coverage waits until its test site was kept on the same artifact,
 * whether by this rollout or by one before. */
static int case_coverage(struct store *store, struct rollout_case *c, struct err *err)
{
    int result = 0;
    size_t at = 0;
    for (size_t s = 0; s < c->plan->n_stages; s++) {
        const Confleet__PlanStage *stage = c->plan->stages[s];
        for (size_t n = 0; result == 0 && n < stage->n_sites; n++, at++) {
            const char *by = stage->sites[n]->covered_by;
            bool covered = false;
            if (!stage->needs_covered || c->core.sites[at].state != SITE_QUEUED)
                continue;
            covered = covering_is_here(c, by);
            if (!covered)
                result = coverage_kept(store, by, c->plan->release->artifact_sha256, &covered, err);
            c->core.sites[at].uncovered = covered ? NULL : by[0] != '\0' ? by : "(none named)";
        }
    }
    return result;
}

int case_circumstances(struct store *store, struct pool *pool, struct rollout_case *c,
                       struct err *err)
{
    int result = case_holds(store, pool, c, err);
    if (result == 0)
        result = case_approvals(store, pool, c, err);
    return result == 0 ? case_coverage(store, c, err) : result;
}
