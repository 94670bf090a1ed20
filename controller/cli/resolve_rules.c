#include "confleet/cleanup.h"
#include "controller/cli/resolve_inside.h"
#include <string.h>

/* ------------------------------------------------------------------ gates */

static Confleet__PlanGate *gate_make(const struct plan_gate *from)
{
    struct plan_limit limits[PLAN_GATE_LIMIT_COUNT];
    Confleet__PlanGate *gate = mem_zero(1, sizeof *gate);
    confleet__plan_gate__init(gate);
    gate->max_failed = (uint32_t)from->max_failed;
    gate->max_silent = (uint32_t)from->max_silent;
    gate->limits = mem_zero(PLAN_GATE_LIMIT_COUNT, sizeof(void *));
    gate_limits(from, limits);
    for (size_t i = 0; i < PLAN_GATE_LIMIT_COUNT; i++) {
        if (limits[i].at.line == 0 || limits[i].class == CONFLEET__OUTCOME_CLASS__FAILED ||
            limits[i].class == CONFLEET__OUTCOME_CLASS__SILENT)
            continue;
        Confleet__PlanLimit *limit = gate->limits[gate->n_limits++] = mem_zero(1, sizeof *limit);
        confleet__plan_limit__init(limit);
        limit->class_ = limits[i].class;
        limit->max = (uint32_t)limits[i].max;
    }
    return gate;
}

/* `what` has so many sites; a limit that all of them together do not pass never stops anything. */
static void gate_judge(const struct resolve_in *in, const struct plan_gate *gate, const char *what,
                       size_t sites, struct yaml_report *report)
{
    struct plan_limit limits[PLAN_GATE_LIMIT_COUNT];
    gate_limits(gate, limits);
    for (size_t i = 0; i < PLAN_GATE_LIMIT_COUNT; i++) {
        if (limits[i].at.line == 0 || sites == 0 || limits[i].max < sites)
            continue;
        resolve_complain(in, report, limits[i].at,
                         "gate: %s of %llu never stops anything: %s has %zu site%s; write at "
                         "most %zu",
                         limits[i].key, (unsigned long long)limits[i].max, what, sites,
                         sites == 1 ? "" : "s", sites - 1);
    }
}

/* ------------------------------------------------------------------ approvals */

static bool may_approve(const Confleet__OperatorView *one)
{
    return one->role == CONFLEET__ROLE__APPROVER || one->role == CONFLEET__ROLE__ADMIN;
}

static void approvals_judge(const struct resolve_in *in, const struct plan_stage *from,
                            const Confleet__PlanStage *stage, struct yaml_report *report)
{
    size_t signers = 0, others = 0;
    bool self = false;
    for (size_t i = 0; i < in->operator_count; i++) {
        const Confleet__OperatorView *one = in->operators[i];
        if (strcmp(one->state, "accepted") != 0)
            continue;
        bool signer = strcmp(one->name, in->operator) == 0;
        signers += one->role >= CONFLEET__ROLE__OPERATOR;
        others += may_approve(one) && !signer;
        self = self || (may_approve(one) && signer);
    }
    /* The only one who may sign at all may approve his own plan: nobody else can. */
    size_t can = signers == 1 && self && stage->needs_approvals == 1 ? 1 : others;
    if (!in->operators || stage->needs_approvals <= can)
        return;
    resolve_complain(
        in, report, at_or(from->needs.approvals_at, from->name_at),
        "needs: stage \"%s\" needs %u approval%s%s, and there %s %zu operator%s who may "
        "approve besides %s, who signs; add one (confleet operator token NAME --role "
        "approver), or write needs: { approvals: %zu }",
        stage->name, stage->needs_approvals, stage->needs_approvals == 1 ? "" : "s",
        from->needs.approvals_at.line > 0 ? "" : " (the default of production)",
        can == 1 ? "is" : "are", can, can == 1 ? "" : "s", in->operator, can);
}

static void approvals_set(const struct plan_stage *from, Confleet__PlanStage *stage)
{
    stage->production = strcmp(stage->name, "production") == 0;
    for (size_t i = 0; i < stage->n_sites; i++)
        stage->production = stage->production || strcmp(stage->sites[i]->env, "production") == 0;
    if (stage->production && from->needs.approvals_at.line == 0)
        stage->needs_approvals = 1;
}

/* ------------------------------------------------------------------ coverage */

static bool stage_holds(const Confleet__PlanStage *stage, const char *site)
{
    for (size_t i = 0; i < stage->n_sites; i++) {
        if (strcmp(stage->sites[i]->name, site) == 0)
            return true;
    }
    return false;
}

/* The test site proves the release when it has it already, or gets it first. */
static bool site_proves(const struct resolve_in *in, const Confleet__Plan *plan, size_t at,
                        const char *name)
{
    const Confleet__SiteView *view = resolve_site(in, name);
    for (size_t i = 0; i < at; i++) {
        if (stage_holds(plan->stages[i], name))
            return true;
    }
    return view && view->n_nodes == 1 && view->nodes[0]->installation &&
           view->nodes[0]->installation->app_build == plan->release->build;
}

static void covered_judge(const struct resolve_in *in, const Confleet__Plan *plan, size_t at,
                          struct yaml_report *report)
{
    const Confleet__PlanStage *stage = plan->stages[at];
    struct yaml_at place = planfile_stage(in->file, at)->needs.covered_at;
    for (size_t i = 0; stage->needs_covered && i < stage->n_sites; i++) {
        const Confleet__PlanSite *site = stage->sites[i];
        if (!site->covered_by[0])
            resolve_complain(in, report, place,
                             "needs: no test site covers \"%s\"; say which one does: confleet site "
                             "set TEST-SITE --covers %s",
                             site->name, site->name);
        else if (!site_proves(in, plan, at, site->covered_by))
            resolve_complain(
                in, report, place,
                "needs: test site \"%s\", which covers \"%s\", is neither in an "
                "earlier stage nor on %s already; select it in a stage before this one",
                site->covered_by, site->name, plan->release->version);
    }
}

/* ------------------------------------------------------------------ all of them */

static void site_windows_judge(const struct resolve_in *in, const Confleet__Plan *plan,
                               struct yaml_report *report)
{
    const struct plan_site_window *items = in->file->site_windows.items;
    for (size_t i = 0; i < in->file->site_windows.count; i++) {
        bool placed = false;
        for (size_t s = 0; s < plan->n_stages; s++)
            placed = placed || stage_holds(plan->stages[s], items[i].site);
        if (!resolve_site(in, items[i].site))
            resolve_complain(in, report, items[i].site_at,
                             "site_windows: no site is called \"%s\"; confleet site list shows all",
                             items[i].site);
        else if (!placed && in->warnings)
            str_addf(in->warnings,
                     "%s:%d:%d: warning: site_windows: site \"%s\" is in no stage; its window "
                     "means nothing\n",
                     in->file->file, items[i].site_at.line, items[i].site_at.column, items[i].site);
    }
}

void resolve_rules(const struct resolve_in *in, Confleet__Plan *plan, struct yaml_report *report)
{
    const struct planfile *file = in->file;
    size_t all = 0;
    for (size_t i = 0; i < plan->n_stages; i++) {
        const struct plan_stage *from = planfile_stage(file, i);
        Confleet__PlanStage *stage = plan->stages[i];
        CLEANUP(free_mem) char *what = text_printf("stage \"%s\"", from->name);
        all += stage->n_sites;
        stage->gate = gate_make(&from->gate);
        gate_judge(in, &from->gate, what, stage->n_sites, report);
        approvals_set(from, stage);
        if (stage->n_sites > 0)
            approvals_judge(in, from, stage, report);
        covered_judge(in, plan, i, report);
    }
    if (file->gate_at.line > 0) {
        plan->run_gate = gate_make(&file->gate);
        gate_judge(in, &file->gate, "the whole run", all, report);
    }
    resolve_path(in, plan, report);
    site_windows_judge(in, plan, report);
}
