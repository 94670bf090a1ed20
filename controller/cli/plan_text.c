#include "controller/cli/plan_text.h"
#include "confleet/cleanup.h"
#include "controller/cli/resolve.h"
#include "controller/cli/views.h"
#include <assert.h>
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

static const struct plan_stage *stage_written(const struct planfile *file, const char *name)
{
    for (size_t i = 0; i < file->stages.count; i++) {
        if (strcmp(planfile_stage(file, i)->name, name) == 0)
            return planfile_stage(file, i);
    }
    return NULL;
}

static const char *default_mark(struct yaml_at at)
{
    return at.line > 0 ? "" : " (default)";
}

static void stage_head(const Confleet__PlanStage *stage, const struct plan_stage *written,
                       size_t number, const struct out *out, struct str *to)
{
    CLEANUP(str_free) struct str name = { 0 };
    char soak[24], estimate[24];
    str_addf(&name, "stage %zu: %s", number, stage->name);
    out_tone(to, out, TONE_BOLD, str_text(&name));
    str_add(to, "  batch");
    for (size_t i = 0; i < stage->n_batch; i++) {
        if (stage->batch[i] == 0)
            str_addf(to, "%s", i > 0 ? ", rest" : " all at once");
        else
            str_addf(to, "%s%" PRIu32, i > 0 ? ", " : " ", stage->batch[i]);
    }
    str_addf(to, "%s; soak %s%s; estimate %s%s for one site\n", default_mark(written->batch_at),
             text_duration(stage->soak_ms, soak), default_mark(written->soak_at),
             text_duration(written->estimate_ms, estimate), default_mark(written->estimate_at));
}

static void gate_add(const Confleet__PlanGate *gate, const char *mark, struct str *to)
{
    static const char *const words[] = {
        [CONFLEET__OUTCOME_CLASS__REFUSED] = "are refused",
        [CONFLEET__OUTCOME_CLASS__NOT_READY] = "are not ready",
        [CONFLEET__OUTCOME_CLASS__ROLLED_BACK] = "are rolled back",
        [CONFLEET__OUTCOME_CLASS__HELD] = "are held",
    };
    if (gate->max_failed == 0 && gate->max_silent == 0)
        str_add(to, "stops at the first site that fails or falls silent");
    else
        str_addf(to, "stops when more than %u fail or more than %u fall silent", gate->max_failed,
                 gate->max_silent);
    for (size_t i = 0; i < gate->n_limits; i++)
        str_addf(to, ", or more than %u %s", gate->limits[i]->max, words[gate->limits[i]->class_]);
    str_addf(to, "%s\n", mark);
}

static void stage_begins(const Confleet__Plan *plan, size_t at, const struct plan_stage *written,
                         struct str *to)
{
    const Confleet__PlanStage *stage = plan->stages[at];
    const char *before = stage->needs_stage[0] ? stage->needs_stage
                         : at > 0              ? plan->stages[at - 1]->name
                                               : NULL;
    str_add(to, "  begins ");
    if (before)
        str_addf(to, "when stage %s is through and soaked", before);
    else
        str_add(to, "at once");
    if (stage->needs_covered)
        str_add(to, "; each site is covered by a test site");
    if (stage->needs_approvals > 0)
        str_addf(to, "; after %u approval%s%s", stage->needs_approvals,
                 stage->needs_approvals == 1 ? "" : "s",
                 written->needs.approvals_at.line > 0 ? "" : " (default of production)");
    else if (stage->production)
        str_add(to, "; without approval (switched off by the plan)");
    else
        str_add(to, "; no approval needed");
    str_add(to, "\n");
}

/* The opening that is now or comes next, in UTC and by the clock of the window. */
static void opening_add(Confleet__PlanWindow *const *windows, size_t count, const char *tz,
                        int64_t now_ms, struct str *to)
{
    char utc[32], local[ZONE_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        const Confleet__PlanWindow *window = windows[i];
        if (window->to_ms <= now_ms)
            continue;
        bool open = window->from_ms <= now_ms;
        int64_t at_ms = open ? window->to_ms : window->from_ms;
        str_addf(to, "; %s %s (%s)", open ? "open now, until" : "opens next", time_word(at_ms, utc),
                 zone_text(tz, at_ms, local));
        return;
    }
}

static void stage_windows(const struct plan_shown *shown, const Confleet__PlanStage *stage,
                          const struct plan_stage *written, struct str *to)
{
    if (stage->n_windows == 0) {
        str_add(to, "  window: any time (default)\n");
    } else {
        str_addf(to, "  window: %s", stage->window_rule);
        opening_add(stage->windows, stage->n_windows, planfile_window(&written->windows, 0)->tz,
                    shown->now_ms, to);
        str_add(to, "\n");
    }
    for (size_t i = 0; i < stage->n_sites; i++) {
        const Confleet__PlanSite *site = stage->sites[i];
        const struct plan_site_window *own = planfile_site_window(shown->file, site->name);
        if (site->n_windows == 0 || !own)
            continue;
        str_addf(to, "  window of site %s besides", site->name);
        opening_add(site->windows, site->n_windows, planfile_window(&own->windows, 0)->tz,
                    shown->now_ms, to);
        str_add(to, "\n");
    }
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

/* What stops these sites no longer, since somebody signed for it. */
static void stage_waivers(const Confleet__PlanStage *stage, const Confleet__Reply *reply,
                          struct str *to)
{
    for (size_t i = 0; i < stage->n_sites; i++) {
        const Confleet__SiteView *view = view_find(reply, stage->sites[i]->name);
        for (size_t w = 0; view && w < view->n_waivers; w++) {
            CLEANUP(str_free) struct str words = { 0 };
            waiver_words(view->waivers[w], view->findings, view->n_findings, &words);
            str_add(to, "  waived at ");
            out_clean(to, view->name);
            str_add(to, ": ");
            out_clean(to, str_text(&words));
            str_add(to, "\n");
        }
    }
}

static void plan_head(const struct plan_shown *shown, struct str *to)
{
    const Confleet__Plan *plan = shown->plan;
    char when[32], silence[24];
    str_addf(to, "plan %s (serial %" PRIu64 "): release ", plan->id, plan->serial);
    version_add(to, plan->release->version, plan->release->build);
    str_addf(to, "\n  on failure: %s%s; backup before the stop: %s%s; good until %s%s\n",
             plan->on_failure, default_mark(shown->file->failure_at),
             plan->backup_level == CONFLEET__BACKUP_LEVEL__STARTED
                 ? "restored and started"
                 : "restored into a scratch database",
             default_mark(shown->file->level_at), time_word(plan->expires_ms, when),
             default_mark(shown->file->expires_at));
    for (size_t i = 0; i < plan->n_notes_read; i++)
        str_addf(to, "%s%s%s", i ? ", " : "  notes read of ", plan->notes_read[i],
                 i + 1 == plan->n_notes_read ? "\n" : "");
    if (plan->silence_ms > 0)
        str_addf(to, "  a site without a word for %s counts as silent\n",
                 text_duration(plan->silence_ms, silence));
    if (plan->run_gate) {
        str_add(to, "  the whole run ");
        gate_add(plan->run_gate, "", to);
    }
    for (size_t i = 0; i < plan->n_freezes; i++) {
        str_addf(to, "  frozen from %s", time_word(plan->freezes[i]->from_ms, when));
        str_addf(to, " to %s: ", time_word(plan->freezes[i]->to_ms, when));
        out_clean(to, plan->freezes[i]->reason);
        str_add(to, "\n");
    }
    str_add(to, "\n");
}

void plan_text(const struct plan_shown *shown, const struct out *out, struct str *to)
{
    const Confleet__Plan *plan = shown->plan;
    char inputs[PLAN_INPUTS_MAX];
    plan_head(shown, to);
    for (size_t i = 0; i < plan->n_stages; i++) {
        const Confleet__PlanStage *stage = plan->stages[i];
        const struct plan_stage *written = stage_written(shown->file, stage->name);
        assert(written);
        stage_head(stage, written, i + 1, out, to);
        stage_begins(plan, i, written, to);
        stage_windows(shown, stage, written, to);
        str_add(to, "  ");
        gate_add(stage->gate, default_mark(written->gate_at), to);
        stage_sites(stage, plan->release, shown->sites, to);
        stage_waivers(stage, shown->sites, to);
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
    plan_inputs(plan, inputs);
    str_addf(to, "inputs %s\n", inputs);
}
