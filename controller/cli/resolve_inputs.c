#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/cli/resolve.h"
#include <inttypes.h>
#include <string.h>

/* A shallow copy whose times and numbers are empty; what it points at stays the plan's. */
struct bare {
    Confleet__Plan plan;
    Confleet__PlanStage *stages, **stage_list;
    Confleet__PlanSite *sites, **site_list;
};

static void bare_free(struct bare *bare)
{
    free(bare->stages);
    free(bare->stage_list);
    free(bare->sites);
    free(bare->site_list);
}

static void bare_make(const Confleet__Plan *from, struct bare *to)
{
    static char nothing[] = "";
    size_t sites = plan_site_count(from), at = 0;
    to->plan = *from;
    to->stages = mem_zero(from->n_stages + 1, sizeof *to->stages);
    to->stage_list = mem_zero(from->n_stages + 1, sizeof(void *));
    to->sites = mem_zero(sites + 1, sizeof *to->sites);
    to->site_list = mem_zero(sites + 1, sizeof(void *));
    for (size_t i = 0; i < from->n_stages; i++) {
        Confleet__PlanStage *stage = to->stage_list[i] = &to->stages[i];
        *stage = *from->stages[i];
        stage->n_windows = 0; /* what the rule opens depends on when it is asked */
        stage->sites = to->site_list + at;
        for (size_t s = 0; s < stage->n_sites; s++, at++) {
            to->sites[at] = *from->stages[i]->sites[s];
            to->sites[at].n_windows = 0;
            to->site_list[at] = &to->sites[at];
        }
    }
    to->plan.stages = to->stage_list;
    to->plan.n_excluded = 0;
    to->plan.serial = 0;
    to->plan.created_ms = to->plan.expires_ms = 0;
    to->plan.id = to->plan.signed_by = nothing;
}

void plan_inputs(const Confleet__Plan *plan, char out[PLAN_INPUTS_MAX])
{
    CLEANUP(bare_free) struct bare bare = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    char hex[HASH_HEX_MAX];
    bare_make(plan, &bare);
    wire_encode(&bare.plan.base, &bytes);
    hash_bytes_hex(bytes.s, bytes.len, hex);
    (void)snprintf(out, PLAN_INPUTS_MAX, "%.16s", hex);
}

/* ------------------------------------------------------------------ what is not as it was */

static const Confleet__PlanSite *site_find(const Confleet__Plan *plan, const char *name,
                                           const Confleet__PlanStage **ret_stage)
{
    for (size_t i = 0; i < plan->n_stages; i++) {
        for (size_t s = 0; s < plan->stages[i]->n_sites; s++) {
            if (strcmp(plan->stages[i]->sites[s]->name, name) != 0)
                continue;
            *ret_stage = plan->stages[i];
            return plan->stages[i]->sites[s];
        }
    }
    return NULL;
}

static const char *excluded_reason(const Confleet__Plan *plan, const char *site)
{
    for (size_t i = 0; i < plan->n_excluded; i++) {
        if (strcmp(plan->excluded[i]->site, site) == 0)
            return plan->excluded[i]->reason;
    }
    return "it is gone from the inventory";
}

static void text_change(const char *who, const char *what, const char *was, const char *is,
                        struct str *to)
{
    if (strcmp(was, is) != 0)
        str_addf(to, "%s: %s was %s, is %s\n", who, what, was[0] ? was : "nothing",
                 is[0] ? is : "nothing");
}

static void number_change(const char *who, const char *what, uint64_t was, uint64_t is,
                          struct str *to)
{
    if (was != is)
        str_addf(to, "%s: %s was %" PRIu64 ", is %" PRIu64 "\n", who, what, was, is);
}

static void site_change(const Confleet__PlanSite *was, const Confleet__PlanSite *is, struct str *to)
{
    CLEANUP(free_mem) char *who = text_printf("site %s", was->name);
    text_change(who, "its server", was->nodes[0]->agent, is->nodes[0]->agent, to);
    text_change(who, "its installation", was->nodes[0]->installation, is->nodes[0]->installation,
                to);
    text_change(who, "its version", was->from_version, is->from_version, to);
    number_change(who, "its build", was->from_build, is->from_build, to);
    text_change(who, "label env", was->env, is->env, to);
    text_change(who, "the test site that covers it", was->covered_by, is->covered_by, to);
}

static void sites_change(const Confleet__Plan *was, const Confleet__Plan *is, struct str *to)
{
    for (size_t i = 0; i < was->n_stages; i++) {
        const Confleet__PlanStage *stage = was->stages[i], *now = NULL;
        for (size_t s = 0; s < stage->n_sites; s++) {
            const Confleet__PlanSite *site = site_find(is, stage->sites[s]->name, &now);
            if (!site) {
                str_addf(to, "site %s left stage %s: %s\n", stage->sites[s]->name, stage->name,
                         excluded_reason(is, stage->sites[s]->name));
                continue;
            }
            if (strcmp(stage->name, now->name) != 0)
                str_addf(to, "site %s moved from stage %s to stage %s\n", site->name, stage->name,
                         now->name);
            site_change(stage->sites[s], site, to);
        }
    }
    for (size_t i = 0; i < is->n_stages; i++) {
        const Confleet__PlanStage *before = NULL;
        for (size_t s = 0; s < is->stages[i]->n_sites; s++) {
            if (!site_find(was, is->stages[i]->sites[s]->name, &before))
                str_addf(to, "site %s entered stage %s\n", is->stages[i]->sites[s]->name,
                         is->stages[i]->name);
        }
    }
}

void plan_changes(const Confleet__Plan *was, const Confleet__Plan *is, struct str *to)
{
    char before[PLAN_INPUTS_MAX], after[PLAN_INPUTS_MAX];
    size_t start = to->len;
    plan_inputs(was, before);
    plan_inputs(is, after);
    if (strcmp(before, after) == 0)
        return;
    text_change("release", "the version", was->release->version, is->release->version, to);
    number_change("release", "the build", was->release->build, is->release->build, to);
    text_change("release", "the digest of its artifact", was->release->artifact_sha256,
                is->release->artifact_sha256, to);
    text_change("fleet", "its id", was->fleet, is->fleet, to);
    sites_change(was, is, to);
    if (to->len == start)
        str_add(to, "the plan file, or the order of the sites, is another\n");
}
