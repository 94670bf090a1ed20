#include "controller/cli/approve_text.h"
#include "confleet/cleanup.h"
#include "controller/cli/states.h"
#include "controller/cli/status.h"
#include <inttypes.h>
#include <string.h>

#define SITES_SHOWN   30
#define WINDOWS_SHOWN 3

const Confleet__PlanStage *plan_stage_find(const Confleet__Plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_stages; i++) {
        if (strcmp(plan->stages[i]->name, name) == 0)
            return plan->stages[i];
    }
    return NULL;
}

static void label_add(struct str *to, const char *label)
{
    str_addf(to, "  %-13s ", label);
}

static const Confleet__RolloutSiteView *site_of(const Confleet__RolloutView *rollout,
                                                const char *name)
{
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (strcmp(rollout->sites[i]->site, name) == 0)
            return rollout->sites[i];
    }
    return NULL;
}

/* "committed on 9.2.13 (build 9112), was down for 1m 05s" */
static void outcome_add(struct str *to, const Confleet__RolloutSiteView *site,
                        const struct out *out)
{
    out_tone(to, out, status_tone(site->state), status_word(site));
    str_add(to, " on ");
    version_add(to, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    if (site->outage_ms > 0 || site->down) {
        str_add(to, ", ");
        status_outage(site, to);
    }
    if (site->attempt > 1)
        str_addf(to, ", attempt %u", site->attempt);
    if (site->reason[0]) {
        str_add(to, ": ");
        out_clean(to, site->reason);
    }
}

static void site_add(const Confleet__Plan *plan, const Confleet__PlanSite *site,
                     const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    const Confleet__RolloutSiteView *test = site_of(rollout, site->covered_by);
    str_add(to, "    ");
    out_clean(to, site->name);
    str_add(to, "  ");
    version_add(to, site->from_version, site->from_build);
    str_add(to, " → ");
    version_add(to, plan->release->version, plan->release->build);
    if (!site->covered_by[0]) {
        str_add(to, "; no test site stands for it\n");
        return;
    }
    str_add(to, "; tested on ");
    out_clean(to, site->covered_by);
    str_add(to, ": ");
    if (test)
        outcome_add(to, test, out);
    else
        str_add(to, "which is not in this rollout");
    str_add(to, "\n");
}

static void before_add(const Confleet__Plan *plan, const Confleet__PlanStage *stage,
                       const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    struct state_counts counts = { 0 };
    const char *name = stage->needs_stage;
    for (size_t i = 1; !name[0] && i < plan->n_stages; i++)
        name = plan->stages[i] == stage ? plan->stages[i - 1]->name : name;
    label_add(to, "stage before");
    if (!name[0]) {
        str_add(to, "none: this is the first one\n");
        return;
    }
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (strcmp(rollout->sites[i]->stage, name) != 0)
            continue;
        counts.count[state_index(rollout->sites[i]->state)]++;
        counts.total++;
    }
    out_clean(to, name);
    str_add(to, ": ");
    counts_add(to, &counts);
    str_addf(to, " of %zu\n", counts.total);
    size_t shown = 0;
    for (size_t i = 0; i < rollout->n_sites && shown < SITES_SHOWN; i++) {
        const Confleet__RolloutSiteView *site = rollout->sites[i];
        if (strcmp(site->stage, name) != 0)
            continue;
        str_add(to, "    ");
        out_clean(to, site->site);
        str_add(to, "  ");
        outcome_add(to, site, out);
        str_add(to, "\n");
        shown++;
    }
    if (shown < counts.total)
        str_addf(to, "    … and %zu more\n", counts.total - shown);
}

static void windows_add(const Confleet__PlanStage *stage, int64_t now_ms, struct str *to)
{
    char from[DAY_WORD_MAX], until[DAY_WORD_MAX];
    size_t shown = 0, left = 0;
    label_add(to, "windows");
    if (stage->window_rule[0])
        out_clean(to, stage->window_rule);
    else
        str_add(to, stage->n_windows == 0 ? "none: at any time" : "as follows");
    str_add(to, "\n");
    for (size_t i = 0; i < stage->n_windows; i++) {
        const Confleet__PlanWindow *window = stage->windows[i];
        if (window->to_ms <= now_ms)
            continue;
        if (shown == WINDOWS_SHOWN) {
            left++;
            continue;
        }
        str_addf(to, "    %s to %s%s\n", day_word(window->from_ms, from),
                 day_word(window->to_ms, until), window->from_ms <= now_ms ? ", open now" : "");
        shown++;
    }
    if (left > 0)
        str_addf(to, "    … and %zu more\n", left);
    if (stage->n_windows > 0 && shown == 0)
        str_add(to, "    all of them are over: nothing of this stage can start any more\n");
}

static void terms_add(const Confleet__PlanStage *stage, const Confleet__RolloutView *rollout,
                      struct str *to)
{
    char span[24];
    uint32_t silent = stage->gate ? stage->gate->max_silent : 0,
             failed = stage->gate ? stage->gate->max_failed : 0;
    label_add(to, "batches");
    for (size_t i = 0; i < stage->n_batch; i++) {
        str_add(to, i > 0 ? ", " : "");
        if (stage->batch[i] == 0)
            str_add(to, "the rest at once");
        else
            str_addf(to, "%" PRIu32, stage->batch[i]);
    }
    str_add(to, stage->n_batch == 0 ? "1\n" : "\n");
    label_add(to, "gate");
    str_addf(to, "stops when more than %" PRIu32 " fail or more than %" PRIu32 " fall silent\n",
             failed, silent);
    label_add(to, "soak");
    str_addf(to, "%s\n", text_duration(stage->soak_ms, span));
    label_add(to, "approvals");
    for (size_t i = 0; i < rollout->n_stages; i++) {
        const Confleet__StageView *view = rollout->stages[i];
        if (strcmp(view->name, stage->name) != 0)
            continue;
        str_addf(to, "%u of %u", view->approvals, stage->needs_approvals);
        for (size_t a = 0; a < view->n_approved_by; a++) {
            str_add(to, a == 0 ? " so far, by " : ", ");
            out_clean(to, view->approved_by[a]);
        }
        str_add(to, "\n");
        return;
    }
    str_addf(to, "%" PRIu32 " needed\n", stage->needs_approvals);
}

void approve_text(const Confleet__Plan *plan, const Confleet__PlanStage *stage,
                  const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to)
{
    CLEANUP(str_free) struct str title = { 0 };
    str_addf(&title, "Stage %s of rollout %s", stage->name, rollout->id);
    out_tone(to, out, TONE_BOLD, str_text(&title));
    str_add(to, "\n");
    label_add(to, "plan");
    str_addf(to, "%.16s…, serial %" PRIu64 ", signed by ", rollout->plan_sha256, plan->serial);
    out_clean(to, plan->signed_by);
    str_add(to, "\n");
    label_add(to, "release");
    version_add(to, plan->release->version, plan->release->build);
    str_add(to, "\n");
    before_add(plan, stage, rollout, out, to);
    label_add(to, "sites");
    str_addf(to, "%zu%s\n", stage->n_sites, stage->production ? ", production" : "");
    for (size_t i = 0; i < stage->n_sites && i < SITES_SHOWN; i++)
        site_add(plan, stage->sites[i], rollout, out, to);
    if (stage->n_sites > SITES_SHOWN)
        str_addf(to, "    … and %zu more: confleet report %s\n", stage->n_sites - SITES_SHOWN,
                 rollout->id);
    windows_add(stage, now_ms, to);
    terms_add(stage, rollout, to);
}
