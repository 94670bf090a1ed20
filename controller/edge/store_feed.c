#include "controller/edge/store_rollouts.h"

#include "confleet/cleanup.h"
#include "controller/core/stage.h"
#include "controller/edge/audit.h"
#include "controller/edge/store_decisions.h"
#include "controller/edge/store_notices.h"
#include "controller/edge/store_outbox.h"
#include "controller/edge/store_waivers.h"
#include <assert.h>
#include <string.h>

static int row_write(struct store *store, const struct rollout_case *c, size_t at, struct err *err)
{
    const struct rollout_site *site = &c->core.sites[at];
    const struct rollout_row *row = &c->rows[at];
    return db_run(
        store->db, err,
        "UPDATE rollout_sites SET state=$3, run=$4, reason=$5, safe_next=$6, attempt=$7, "
        "ordered_ms=$8,"
        " started_ms=$9, finished_ms=$10, outage_ms=$11, version=$12, build=$13, excused=$14,"
        " soaking_ms=$15 WHERE rollout=$1 AND place=$2",
        "tititti"
        "iiiitiii",
        c->id, (int64_t)at, site_state_name(site->state), (int64_t)row->run, row->reason,
        row->safe_next, row->attempt, site->ordered_ms, row->started_ms, row->finished_ms,
        row->outage_ms, row->version, row->build, (int64_t)site->excused, row->soaking_ms);
}

static int upgrade_order(struct store *store, const struct rollout_case *c, size_t at,
                         struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    const Confleet__SignedText *retry = NULL;
    char id[ORDER_ID_MAX];
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderUpgrade upgrade = CONFLEET__ORDER_UPGRADE__INIT;
    const struct rollout_row *row = &c->rows[at];
    struct order_spec spec = { row->agent, c->id, "", row->site, &order };
    upgrade.plan = (Confleet__SignedText *)(uintptr_t)c->signed_plan;
    upgrade.site = (char *)(uintptr_t)row->site;
    upgrade.attempt = (uint32_t)row->attempt;
    order.what_case = CONFLEET__ORDER__WHAT_UPGRADE;
    order.upgrade = &upgrade;
    for (size_t i = 0; i < c->approval_count; i++)
        if (c->approvals[i].in_force && strcmp(c->approvals[i].stage, row->stage_name) == 0)
            pool_push(&pool, &upgrade.approvals, &upgrade.n_approvals,
                      (void *)(uintptr_t)c->approvals[i].text);
    int result = row->attempt <= 1
                     ? 0
                     : attempt_decision(store, &pool, c->id, row->site, row->attempt, &retry, err);
    if (result == 0)
        result = waivers_texts(store, &pool, row->site, &upgrade.waivers, &upgrade.n_waivers, err);
    upgrade.retry = (Confleet__SignedText *)(uintptr_t)retry;
    if (result == 0)
        result = order_put(store, &spec, id, err);
    if (result != 0)
        return result;
    return audit_add(store, "controller", "order", err,
                     "upgrade of site %s to %s given to agent %s (rollout %s, order %s)", row->site,
                     c->plan->release->version, row->agent, c->id, id);
}

/* Silence, a hold and a way back are for a person to hear of. */
static int site_notice(struct store *store, const struct rollout_case *c, size_t at,
                       struct err *err)
{
    const struct rollout_row *row = &c->rows[at];
    char words[512];
    enum site_state state = c->core.sites[at].state;
    if (state != SITE_HELD && state != SITE_SILENT && state != SITE_ROLLED_BACK)
        return 0;
    (void)snprintf(words, sizeof words, "site %s is %s%s%s", row->site, site_state_name(state),
                   row->reason[0] != '\0' ? ": " : "", row->reason);
    struct notice notice = { site_state_name(state), "", c->id, row->stage_name, row->site, words };
    return notice_put(store, &notice, err);
}

/* What the change of one site's state means for its row, its orders and the audit. */
static int site_changed(struct store *store, struct rollout_case *c, size_t at,
                        enum site_state before, const char *who, struct err *err)
{
    const struct rollout_site *site = &c->core.sites[at];
    struct rollout_row *row = &c->rows[at];
    bool flight = site_state_in_flight(site->state);
    int result = 0;
    row->changed = true;
    if (flight && row->started_ms == 0)
        row->started_ms = store->now_ms;
    row->finished_ms = flight || site->state == SITE_QUEUED ? 0 : store->now_ms;
    if (site->state == SITE_SOAKING)
        row->soaking_ms = store->now_ms;
    if (site->state == SITE_ORDERED)
        return upgrade_order(store, c, at, err);
    if (site->state == SITE_SILENT) {
        row->reason =
            before == SITE_ORDERED
                ? "its agent did not take the order in time; nothing was started that we know of"
                : "its agent was not heard of in time; it goes on by itself";
        /* A person's decision stays: its agent hears it first when it is back. */
        result = orders_withdraw_upgrade(store, c->id, row->site, err);
    }
    if (result != 0)
        return result;
    result = audit_add(store, who, "site-state", err, "rollout %s: site %s is %s (was %s)%s%s",
                       c->id, row->site, site_state_name(site->state), site_state_name(before),
                       row->reason[0] ? ": " : "", row->reason);
    return result == 0 ? site_notice(store, c, at, err) : result;
}

static int head_write(struct store *store, struct rollout_case *c, enum rollout_state before,
                      bool stopped, struct err *err)
{
    int result = 0;
    bool over = c->core.state != ROLLOUT_RUNNING;
    if (c->core.state != before)
        c->finished_ms = over ? store->now_ms : 0;
    result =
        db_run(store->db, err,
               "UPDATE rollouts SET state=$2, reason=$3, finished_ms=$4, paused=$5, "
               "paused_reason=$6, aborted=$7 WHERE id=$1",
               "tttiiti", c->id, rollout_state_name(c->core.state), c->core.reason, c->finished_ms,
               (int64_t)c->core.paused, c->core.paused_reason, (int64_t)c->core.aborted);
    if (result == 0 && stopped) {
        struct notice notice = { "gate-closed", "", c->id, "", "", c->core.reason };
        result = notice_put(store, &notice, err);
    }
    if (result == 0 && stopped)
        result = audit_add(store, "controller", "rollout-stop", err,
                           "rollout %s: nothing new starts: %s", c->id, c->core.reason);
    if (result == 0 && c->core.state != before)
        result = audit_add(store, "controller", "rollout-state", err, "rollout %s is %s%s%s", c->id,
                           rollout_state_name(c->core.state), c->core.reason[0] ? ": " : "",
                           c->core.reason);
    return result;
}

/* Told once for each stage and number of approvals that are there. */
static int approvals_notice(struct store *store, const struct rollout_case *c, struct err *err)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    int result = 0;
    stage_tallies(&c->core, tallies);
    for (size_t i = 0; result == 0 && i < c->core.stage_count; i++) {
        struct stage_look look;
        char subject[STORE_NAME_MAX + 32];
        if (c->core.stages[i].approvals_needed == 0)
            continue;
        stage_look(&c->core, tallies, i, store->now_ms, &look);
        if (look.state != STAGE_APPROVAL)
            continue;
        (void)snprintf(subject, sizeof subject, "%s:%u", c->core.stages[i].name,
                       c->core.stages[i].approvals);
        struct notice notice = { "approval-needed",      subject, c->id,
                                 c->core.stages[i].name, "",      look.reason };
        result = notice_put(store, &notice, err);
    }
    return result;
}

struct before {
    enum site_state state;
    bool excused;
};

static int sites_write(struct store *store, struct rollout_case *c, const struct before *before,
                       const char *who, struct err *err)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < c->core.site_count; i++) {
        const struct rollout_site *site = &c->core.sites[i];
        c->rows[i].changed = c->rows[i].changed || site->excused != before[i].excused;
        if (site->state != before[i].state)
            result = site_changed(store, c, i, before[i].state,
                                  site->state == SITE_ORDERED ? "controller" : who, err);
        if (result == 0 && c->rows[i].changed)
            result = row_write(store, c, i, err);
        c->rows[i].changed = false;
    }
    return result;
}

int rollout_feed(struct store *store, struct rollout_case *c, const struct rollout_event *event,
                 const char *who, struct err *err)
{
    CLEANUP(free_mem) struct before *before = mem_zero(c->core.site_count + 1, sizeof *before);
    enum rollout_state state = c->core.state;
    bool stopped = c->core.reason[0] != '\0';
    size_t next = 0;
    for (size_t i = 0; i < c->core.site_count; i++)
        before[i] = (struct before){ c->core.sites[i].state, c->core.sites[i].excused };
    bool changed = event && rollout_on(&c->core, event);
    while (rollout_next(&c->core, store->now_ms, &next))
        changed = true;
    int result = sites_write(store, c, before, who, err);
    if (result == 0 && (changed || c->core.state != state))
        result = head_write(store, c, state, !stopped && c->core.reason[0] != '\0', err);
    return result == 0 && c->core.state == ROLLOUT_RUNNING ? approvals_notice(store, c, err)
                                                           : result;
}
