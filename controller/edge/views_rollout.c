#include "controller/edge/views_inside.h"

#include "confleet/hash.h"
#include "controller/core/stage.h"
#include <string.h>

/* At work, or a person has to look at it. */
static bool site_needs_eyes(enum site_state state)
{
    return site_state_in_flight(state) || gate_class_of(state) != GATE_NONE;
}

/* The beginning of the first step that had the site down and after which it was not up again. */
static int64_t down_since(Confleet__StepEvent *const *events, const int64_t *at_ms, size_t count,
                          size_t newest)
{
    int64_t up_ms = 0, since_ms = at_ms[newest];
    for (size_t i = 0; i < count; i++)
        if (!events[i]->down && at_ms[i] > up_ms)
            up_ms = at_ms[i];
    for (size_t i = 0; i < count; i++) {
        int64_t began_ms = at_ms[i] - events[i]->took_ms;
        if (events[i]->down && at_ms[i] >= up_ms && began_ms < since_ms)
            since_ms = began_ms;
    }
    return since_ms;
}

static int site_steps(struct ask *ask, const struct rollout_case *c, const struct rollout_row *row,
                      Confleet__RolloutSiteView *v, bool full, struct err *err)
{
    Confleet__StepEvent **events = NULL;
    int64_t *at_ms = NULL;
    size_t count = 0;
    int result = steps_list(ask->store, ask->pool, c->id, row->site, row->attempt, &events, &at_ms,
                            &count, err);
    size_t newest = 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        newest = at_ms[i] >= at_ms[newest] ? i : newest;
        if (!full)
            continue;
        Confleet__StepView *step =
            POOL_MESSAGE(ask->pool, Confleet__StepView, confleet__step_view__init);
        step->step = events[i]->step;
        step->state = events[i]->state;
        step->undo = events[i]->undo;
        step->at_ms = at_ms[i];
        step->took_ms = events[i]->took_ms;
        step->message = events[i]->message;
        step->down = events[i]->down;
        pool_push(ask->pool, &v->steps, &v->n_steps, step);
    }
    if (result != 0 || count == 0)
        return result;
    v->step = events[newest]->step;
    v->step_label = events[newest]->label;
    v->step_number = events[newest]->number;
    v->step_count = events[newest]->count;
    v->down = events[newest]->down;
    v->down_since_ms = v->down ? down_since(events, at_ms, count, newest) : 0;
    v->undo = v->undo || events[newest]->undo;
    return 0;
}

static void site_waiting(struct ask *ask, const struct rollout_row *row, enum site_state state,
                         Confleet__RolloutSiteView *v)
{
    char words[512];
    bool online = daemon_online(ask->daemon, row->agent);
    if (state == SITE_SOAKING)
        (void)snprintf(words, sizeof words, "the end of the soak");
    else if (state == SITE_HELD)
        (void)snprintf(words, sizeof words, "a person");
    else if (!site_state_in_flight(state))
        return;
    else if (!online)
        (void)snprintf(words, sizeof words, "agent %s, which is not connected", row->agent);
    else if (state == SITE_ORDERED)
        (void)snprintf(words, sizeof words, "agent %s to take the order", row->agent);
    else
        return;
    v->waiting_for = pool_text(ask->pool, words);
}

static int site_view(struct ask *ask, const struct rollout_case *c, size_t at, bool full,
                     Confleet__RolloutSiteView **ret, struct err *err)
{
    Confleet__RolloutSiteView *v =
        POOL_MESSAGE(ask->pool, Confleet__RolloutSiteView, confleet__rollout_site_view__init);
    const struct rollout_row *row = &c->rows[at];
    enum site_state state = c->core.sites[at].state;
    const struct progress *progress =
        site_state_in_flight(state) ? progress_find(ask->daemon->progress, c->id, row->site) : NULL;
    const uint8_t *check = NULL;
    size_t check_len = 0;
    v->stage = field(row->stage_name);
    v->site = field(row->site);
    v->agent = field(row->agent);
    v->state = field(site_state_name(state));
    v->run = row->run;
    v->reason = field(row->reason);
    v->started_ms = row->started_ms;
    v->finished_ms = row->finished_ms;
    v->outage_ms = row->outage_ms;
    v->undo = state == SITE_UNDOING;
    v->version = field(row->version);
    v->build = (uint32_t)row->build;
    v->safe_next = field(row->safe_next);
    v->attempt = (uint32_t)row->attempt;
    v->from_version = field(row->from_version);
    v->from_build = (uint32_t)row->from_build;
    if (progress) {
        v->done = progress->done;
        v->total = progress->total;
        v->waiting_for =
            field(strncmp(progress->text, "waiting for ", 12) == 0 ? progress->text + 12
                                                                   : progress->text);
    }
    /* What a site did that waits or ended well is asked for by full views only. */
    int result = full || site_needs_eyes(state) ? site_steps(ask, c, row, v, full, err) : 0;
    site_waiting(ask, row, state, v);
    if (!site_state_in_flight(state))
        v->down = state == SITE_HELD && v->down;
    if (!v->down)
        v->down_since_ms = 0;
    if (result == 0 && full)
        result =
            rollout_check_get(ask->store, ask->pool, c->id, row->site, &check, &check_len, err);
    if (result == 0 && full)
        result = view_findings(ask, check, check_len, true, &v->findings, &v->n_findings, err);
    if (result == 0 && full)
        result = view_backups(ask, row->site, c->id, &v->backups, &v->n_backups, err);
    if (result == 0)
        *ret = v;
    return result;
}

static void counts_view(struct ask *ask, const uint32_t *of, Confleet__ClassCount ***ret,
                        size_t *ret_count)
{
    for (unsigned i = 0; i < SITE_STATE_COUNT; i++) {
        if (of[i] == 0)
            continue;
        Confleet__ClassCount *count =
            POOL_MESSAGE(ask->pool, Confleet__ClassCount, confleet__class_count__init);
        count->state = field(site_state_name((enum site_state)i));
        count->count = of[i];
        pool_push(ask->pool, ret, ret_count, count);
    }
}

/* When the last soaking site of the stage may be kept, as far as it is known here. */
static int64_t soak_until_ms(const struct rollout_case *c, size_t stage)
{
    int64_t newest_ms = 0;
    for (size_t i = 0; i < c->core.site_count; i++)
        if (c->core.sites[i].stage == stage && c->core.sites[i].state == SITE_SOAKING &&
            c->rows[i].soaking_ms > newest_ms)
            newest_ms = c->rows[i].soaking_ms;
    return newest_ms == 0 ? 0 : newest_ms + c->plan->stages[stage]->soak_ms;
}

static void stages_view(struct ask *ask, const struct rollout_case *c,
                        const struct stage_tally *tallies, Confleet__RolloutView *view)
{
    for (size_t i = 0; i < c->core.stage_count; i++) {
        Confleet__StageView *v =
            POOL_MESSAGE(ask->pool, Confleet__StageView, confleet__stage_view__init);
        struct stage_look look;
        stage_look(&c->core, tallies, i, ask->store->now_ms, &look);
        v->name = field(c->core.stages[i].name);
        v->state = field(stage_state_name(look.state));
        v->reason = pool_text(ask->pool, look.reason);
        v->sites = tallies[i].sites;
        v->approvals = c->core.stages[i].approvals;
        v->approvals_needed = c->core.stages[i].approvals_needed;
        v->window_from_ms = look.window_from_ms;
        v->window_to_ms = look.window_to_ms;
        v->soak_until_ms = soak_until_ms(c, i);
        counts_view(ask, tallies[i].of, &v->counts, &v->n_counts);
        for (size_t a = 0; a < c->approval_count; a++)
            if (c->approvals[a].in_force && strcmp(c->approvals[a].stage, v->name) == 0)
                pool_push(ask->pool, &v->approved_by, &v->n_approved_by,
                          (void *)(uintptr_t)c->approvals[a].operator_name);
        pool_push(ask->pool, &view->stages, &view->n_stages, v);
        if (view->waiting_for[0] == '\0' &&
            (look.state == STAGE_APPROVAL || look.state == STAGE_WINDOW)) {
            char words[ROLLOUT_REASON_MAX + STORE_NAME_MAX + 16];
            (void)snprintf(words, sizeof words, "stage %s: %s", v->name, look.reason);
            view->waiting_for = pool_text(ask->pool, words);
        }
    }
}

static void waiting_note(struct ask *ask, const Confleet__RolloutSiteView *site,
                         Confleet__RolloutView *view)
{
    char words[640];
    if (view->waiting_for[0] != '\0' || site->waiting_for[0] == '\0')
        return;
    (void)snprintf(words, sizeof words, "%s: %s", site->site, site->waiting_for);
    view->waiting_for = pool_text(ask->pool, words);
}

static void site_waivers(struct ask *ask, Confleet__Waiver *const *waivers, size_t count,
                         Confleet__RolloutSiteView *site)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(waivers[i]->site, site->site) == 0)
            pool_push(ask->pool, &site->waivers, &site->n_waivers, waivers[i]);
}

/* As many sites as fit beside what is in the view already. */
static int sites_view(struct ask *ask, const struct rollout_case *c, const struct rollout_ask *what,
                      Confleet__RolloutView *view, struct err *err)
{
    size_t used = confleet__rollout_view__get_packed_size(view), waiver_count = 0;
    Confleet__Waiver **waivers = NULL;
    int result = view_waivers(ask, "", &waivers, &waiver_count, err);
    for (size_t i = what->after; result == 0 && i < c->core.site_count; i++) {
        Confleet__RolloutSiteView *site = NULL;
        if (what->attention && !site_needs_eyes(c->core.sites[i].state))
            continue;
        if (what->limit > 0 && view->n_sites >= what->limit) {
            view->next = (uint32_t)i;
            return 0;
        }
        result = site_view(ask, c, i, !what->brief, &site, err);
        if (result != 0)
            return result;
        site_waivers(ask, waivers, waiver_count, site);
        used += confleet__rollout_site_view__get_packed_size(site) + 8;
        if (used > ROLLOUT_PAGE_MAX && view->n_sites > 0) {
            view->next = (uint32_t)i;
            return 0;
        }
        pool_push(ask->pool, &view->sites, &view->n_sites, site);
        waiting_note(ask, site, view);
    }
    return result;
}

/* The plan and its excluded sites are told once, and only where they leave room for sites. */
static void plan_view(const struct rollout_case *c, Confleet__RolloutView *view)
{
    size_t used = 0;
    if (c->signed_plan->payload.len <= ROLLOUT_PAGE_MAX / 2)
        view->plan = (Confleet__SignedText *)(uintptr_t)c->signed_plan;
    for (size_t i = 0; i < c->plan->n_excluded; i++)
        used += confleet__plan_excluded__get_packed_size(c->plan->excluded[i]) + 8;
    if (used <= ROLLOUT_PAGE_MAX / 4) {
        view->n_excluded = c->plan->n_excluded;
        view->excluded = c->plan->excluded;
    }
}

int view_rollout(struct ask *ask, const struct rollout_case *c, const struct rollout_ask *what,
                 Confleet__RolloutView **ret, struct err *err)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    uint32_t all[SITE_STATE_COUNT] = { 0 };
    Confleet__RolloutView *view =
        POOL_MESSAGE(ask->pool, Confleet__RolloutView, confleet__rollout_view__init);
    stage_tallies(&c->core, tallies);
    for (size_t s = 0; s < c->core.stage_count; s++)
        for (unsigned i = 0; i < SITE_STATE_COUNT; i++)
            all[i] += tallies[s].of[i];
    view->id = field(c->id);
    view->name = field(c->name);
    view->state = field(rollout_state_name(c->core.state));
    view->reason = field(c->core.reason[0] != '\0' ? c->core.reason : c->core.paused_reason);
    view->paused = c->core.paused;
    view->release = c->plan->release;
    view->started_ms = c->started_ms;
    view->finished_ms = c->finished_ms;
    view->signed_by = field(c->signed_by);
    view->plan_sha256 = field(c->plan_sha256);
    view->stage_count = (uint32_t)c->core.stage_count;
    view->site_count = (uint32_t)c->core.site_count;
    counts_view(ask, all, &view->counts, &view->n_counts);
    stages_view(ask, c, tallies, view);
    if (!what->brief && what->after == 0)
        plan_view(c, view);
    view->audit_head = pool_alloc(ask->pool, HASH_HEX_MAX);
    int result = audit_head(ask->store, view->audit_head, err);
    if (result == 0 && !what->no_sites)
        result = sites_view(ask, c, what, view, err);
    if (result == 0)
        *ret = view;
    return result;
}
