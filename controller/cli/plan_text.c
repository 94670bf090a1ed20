#include "controller/cli/plan_text.h"
#include "confleet/cleanup.h"
#include <inttypes.h>
#include <string.h>

static const Confleet__SiteView *view_find(const Confleet__Reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->n_sites; i++) {
        if (strcmp(reply->sites[i]->name, name) == 0)
            return reply->sites[i];
    }
    return NULL;
}

static void stage_head(const Confleet__PlanStage *stage, size_t number, const struct out *out,
                       struct str *to)
{
    CLEANUP(str_free) struct str name = { 0 };
    char soak[24];
    str_addf(&name, "stage %zu: %s", number, stage->name);
    out_tone(to, out, TONE_BOLD, str_text(&name));
    str_add(to, "  batch");
    for (size_t i = 0; i < stage->n_batch; i++) {
        if (stage->batch[i] == 0)
            str_addf(to, "%s", i > 0 ? ", rest" : " all at once");
        else
            str_addf(to, "%s%" PRIu32, i > 0 ? ", " : " ", stage->batch[i]);
    }
    str_addf(to, "; soak %s; ", text_duration(stage->soak_ms, soak));
    if (stage->gate->max_failed == 0 && stage->gate->max_silent == 0)
        str_add(to, "stops at the first site that fails or falls silent");
    else
        str_addf(to, "stops when more than %u fail or more than %u fall silent",
                 stage->gate->max_failed, stage->gate->max_silent);
    if (stage->needs_stage[0])
        str_addf(to, "; needs stage %s", stage->needs_stage);
    str_add(to, "\n");
}

static void stage_sites(const Confleet__PlanStage *stage, const Confleet__Release *release,
                        const Confleet__Reply *reply, struct str *to)
{
    static const char *const heads[] = { "  SITE", "ENV", "AGENT", "FROM", "TO", "NOW" };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 6 };
    for (size_t i = 0; i < stage->n_sites; i++) {
        const Confleet__PlanSite *site = stage->sites[i];
        const Confleet__SiteView *view = view_find(reply, site->name);
        CLEANUP(str_free) struct str from = { 0 }, target = { 0 };
        version_add(&from, site->from_version, site->from_build);
        version_add(&target, release->version, release->build);
        table_addf(&table, "  %s", site->name);
        table_add(&table, site->env);
        table_add(&table, site->nodes[0]->agent);
        table_add(&table, str_text(&from));
        table_add(&table, str_text(&target));
        table_add(&table, view && view->online ? "online" : "agent offline");
    }
    table_print(&table, to);
}

void plan_text(const Confleet__Plan *plan, const Confleet__Reply *reply, const struct out *out,
               struct str *to)
{
    char when[32];
    str_addf(to, "plan %s (serial %" PRIu64 "): release ", plan->id, plan->serial);
    version_add(to, plan->release->version, plan->release->build);
    str_addf(
        to, "\n  on failure: %s; backup before the stop: %s; good until %s\n\n", plan->on_failure,
        plan->backup_level == CONFLEET__BACKUP_LEVEL__STARTED ? "restored and started"
                                                              : "restored into a scratch database",
        time_word(plan->expires_ms, when));
    for (size_t i = 0; i < plan->n_stages; i++) {
        stage_head(plan->stages[i], i + 1, out, to);
        stage_sites(plan->stages[i], plan->release, reply, to);
        str_add(to, "\n");
    }
    if (plan->n_stages == 0)
        str_add(to, "Nothing to do: no site is in a stage.\n\n");
    if (plan->n_excluded > 0)
        str_add(to, "not touched:\n");
    for (size_t i = 0; i < plan->n_excluded; i++) {
        str_add(to, "  ");
        out_clean(to, plan->excluded[i]->site);
        str_add(to, ": ");
        out_clean(to, plan->excluded[i]->reason);
        str_add(to, "\n");
    }
}
