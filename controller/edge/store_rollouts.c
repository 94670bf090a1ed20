#include "controller/edge/store_rollouts.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/audit.h"
#include "controller/edge/store_outbox.h"
#include <assert.h>
#include <string.h>

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

static int site_insert(struct store *store, const Confleet__Plan *plan, size_t stage, size_t n,
                       int64_t place, struct err *err)
{
    const Confleet__PlanSite *site = plan->stages[stage]->sites[n];
    return db_run(store->db, err,
                  "INSERT INTO rollout_sites(rollout, place, stage, stage_name, site, agent, "
                  "installation, state, run, reason,"
                  " safe_next, attempt, ordered_ms, started_ms, finished_ms, outage_ms, version, "
                  "build, from_version,"
                  " from_build, check_event) VALUES($1, $2, $3, $4, $5, $6, $7, 'queued', 0, '', "
                  "'', 1, 0, 0, 0, 0, '', 0,"
                  " $8, $9, $10)",
                  "tiitttttib", plan->id, place, (int64_t)stage, plan->stages[stage]->name,
                  site->name, site->nodes[0]->agent, site->nodes[0]->installation,
                  site->from_version, (int64_t)site->from_build, "", (size_t)0);
}

int rollout_put(struct store *store, const struct rollout_new *rollout, struct err *err)
{
    CLEANUP(str_free) struct str envelope = { 0 };
    const Confleet__Plan *plan = rollout->plan;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderUpgrade upgrade = CONFLEET__ORDER_UPGRADE__INIT;
    int64_t place = 0;
    /* An order with nothing but the signed plan is the form in which its signatures are kept and
     * read back. */
    upgrade.plan = (Confleet__SignedText *)(uintptr_t)rollout->signed_plan;
    order.what_case = CONFLEET__ORDER__WHAT_UPGRADE;
    order.upgrade = &upgrade;
    wire_encode(&order.base, &envelope);
    int result =
        db_run(store->db, err,
               "INSERT INTO rollouts(id, name, state, reason, serial, plan, envelope, plan_sha256, "
               "signed_by,"
               " started_ms, finished_ms) VALUES($1, $2, 'running', '', $3, $4, $5, $6, $7, $8, 0)",
               "ttibbtti", plan->id, plan->name, (int64_t)plan->serial,
               rollout->signed_plan->payload.data, rollout->signed_plan->payload.len, envelope.s,
               envelope.len, rollout->sha256, rollout->signed_by, store->now_ms);
    for (size_t stage = 0; result == 0 && stage < plan->n_stages; stage++)
        for (size_t n = 0; result == 0 && n < plan->stages[stage]->n_sites; n++)
            result = site_insert(store, plan, stage, n, place++, err);
    return result;
}

struct loading {
    struct pool *pool;
    struct rollout_case *rollout;
    size_t room;
    struct err *why;
};

static int head_row(void *arg, const struct db_row *row, struct err *err)
{
    struct loading *l = arg;
    struct rollout_case *c = pool_alloc(l->pool, sizeof *c);
    Confleet__Order *envelope = NULL;
    Confleet__Plan *plan = NULL;
    size_t len = 0;
    c->id = pool_text(l->pool, db_text(row, 0));
    c->name = pool_text(l->pool, db_text(row, 1));
    if (!rollout_state_parse(db_text(row, 2), &c->core.state))
        return err_set(err, FAIL_CORRUPT, "rollout %s has the unknown state '%s'", c->id,
                       db_text(row, 2));
    (void)snprintf(c->core.reason, sizeof c->core.reason, "%s", db_text(row, 3));
    const void *bytes = db_bytes(row, 4, &len);
    int result = wire_decode_order(pool_arena(l->pool), bytes, len, &envelope, err);
    if (result == 0 && envelope->what_case != CONFLEET__ORDER__WHAT_UPGRADE)
        result = err_set(err, FAIL_CORRUPT, "its plan is not in the store");
    if (result == 0) {
        c->signed_plan = envelope->upgrade->plan;
        result = wire_decode_plan(pool_arena(l->pool), c->signed_plan->payload.data,
                                  c->signed_plan->payload.len, &plan, err);
    }
    if (result != 0)
        return err_wrap(err, "rollout %s", c->id);
    c->plan = plan;
    c->plan_sha256 = pool_text(l->pool, db_text(row, 5));
    c->signed_by = pool_text(l->pool, db_text(row, 6));
    c->started_ms = db_i64(row, 7);
    c->finished_ms = db_i64(row, 8);
    l->rollout = c;
    return 0;
}

static void load_stages(struct pool *pool, struct rollout_case *c)
{
    struct rollout_stage *stages = pool_alloc(pool, c->plan->n_stages * sizeof *stages);
    for (size_t i = 0; i < c->plan->n_stages; i++) {
        const Confleet__PlanStage *from = c->plan->stages[i];
        stages[i].batch_count =
            from->n_batch < ROLLOUT_BATCH_MAX ? from->n_batch : ROLLOUT_BATCH_MAX;
        for (size_t b = 0; b < stages[i].batch_count; b++)
            stages[i].batch[b] = from->batch[b];
        stages[i].max_failed = from->gate ? from->gate->max_failed : 0;
        stages[i].max_silent = from->gate ? from->gate->max_silent : 0;
        c->core.site_count += from->n_sites;
    }
    c->core.stages = stages;
    c->core.stage_count = c->plan->n_stages;
    c->core.sites = pool_alloc(pool, c->core.site_count * sizeof *c->core.sites);
    c->rows = pool_alloc(pool, c->core.site_count * sizeof *c->rows);
    c->core.limits = (struct rollout_limits){ INT64_MAX, INT64_MAX };
}

static int case_row(void *arg, const struct db_row *row, struct err *err)
{
    struct loading *l = arg;
    struct rollout_case *c = l->rollout;
    size_t at = l->room++;
    if (at >= c->core.site_count || db_i64(row, 0) != (int64_t)at)
        return err_set(err, FAIL_CORRUPT,
                       "rollout %s: its sites in the store are not those of its plan", c->id);
    struct rollout_site *site = &c->core.sites[at];
    struct rollout_row *r = &c->rows[at];
    site->stage = (size_t)db_i64(row, 1);
    if (site->stage >= c->core.stage_count || !site_state_parse(db_text(row, 6), &site->state))
        return err_set(err, FAIL_CORRUPT, "rollout %s: site %s has the unknown state '%s'", c->id,
                       db_text(row, 3), db_text(row, 6));
    r->stage_name = pool_text(l->pool, db_text(row, 2));
    r->site = pool_text(l->pool, db_text(row, 3));
    r->agent = pool_text(l->pool, db_text(row, 4));
    r->installation = pool_text(l->pool, db_text(row, 5));
    r->run = (Confleet__RunState)db_i64(row, 7);
    r->reason = pool_text(l->pool, db_text(row, 8));
    r->safe_next = pool_text(l->pool, db_text(row, 9));
    r->attempt = db_i64(row, 10);
    site->ordered_ms = site->heard_ms = db_i64(row, 11);
    r->started_ms = db_i64(row, 12);
    r->finished_ms = db_i64(row, 13);
    r->outage_ms = db_i64(row, 14);
    r->version = pool_text(l->pool, db_text(row, 15));
    r->build = db_i64(row, 16);
    r->from_version = pool_text(l->pool, db_text(row, 17));
    r->from_build = db_i64(row, 18);
    const void *bytes = db_bytes(row, 19, &r->check_len);
    r->check = pool_copy(l->pool, bytes, r->check_len);
    return 0;
}

int rollout_load(struct store *store, struct pool *pool, const char *id, struct rollout_case **ret,
                 struct err *err)
{
    struct loading l = { .pool = pool };
    int result = db_each(
        store->db, head_row, &l, err,
        "SELECT id, name, state, reason, envelope, plan_sha256, signed_by, started_ms, finished_ms"
        " FROM rollouts WHERE id=$1",
        "t", id);
    if (result != 0)
        return result;
    if (l.rollout) {
        load_stages(pool, l.rollout);
        result = db_each(store->db, case_row, &l, err,
                         "SELECT place, stage, stage_name, site, agent, installation, state, run, "
                         "reason, safe_next, attempt,"
                         " ordered_ms, started_ms, finished_ms, outage_ms, version, build, "
                         "from_version, from_build,"
                         " check_event FROM rollout_sites WHERE rollout=$1 ORDER BY place",
                         "t", id);
        if (result == 0 && l.room != l.rollout->core.site_count)
            result = err_set(err, FAIL_CORRUPT,
                             "rollout %s: its sites in the store are not those of its plan", id);
    }
    if (result == 0)
        *ret = l.rollout;
    return result;
}

static int id_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    (void)err;
    pool_push(list->pool, &list->items, &list->count, pool_text(list->pool, db_text(row, 0)));
    return 0;
}

int rollout_ids(struct store *store, struct pool *pool, const char *state, const char ***ret,
                size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, id_row, &list, err,
                         "SELECT id FROM rollouts WHERE $1='' OR state=$1 ORDER BY started_ms "
                         "DESC, serial DESC LIMIT 100",
                         "t", state ? state : "");
    if (result != 0)
        return result;
    *ret = (const char **)list.items;
    *ret_count = list.count;
    return 0;
}

int rollout_id_find(struct store *store, struct pool *pool, const char *id, const char **ret,
                    struct err *err)
{
    const char **ids = NULL;
    size_t count = 0;
    int result = id[0] != '\0' ? 0 : rollout_ids(store, pool, NULL, &ids, &count, err);
    if (result == 0)
        *ret = id[0] != '\0' ? id : count > 0 ? ids[0] : "";
    return result;
}

bool rollout_place(const struct rollout_case *rollout, const char *site, size_t *ret_place)
{
    for (size_t i = 0; i < rollout->core.site_count; i++) {
        if (strcmp(rollout->rows[i].site, site) != 0)
            continue;
        *ret_place = i;
        return true;
    }
    return false;
}

static int row_write(struct store *store, const struct rollout_case *c, size_t at, struct err *err)
{
    const struct rollout_site *site = &c->core.sites[at];
    const struct rollout_row *row = &c->rows[at];
    return db_run(
        store->db, err,
        "UPDATE rollout_sites SET state=$3, run=$4, reason=$5, safe_next=$6, attempt=$7, "
        "ordered_ms=$8,"
        " started_ms=$9, finished_ms=$10, outage_ms=$11, version=$12, build=$13, check_event=$14"
        " WHERE rollout=$1 AND place=$2",
        "tititti"
        "iiiitib",
        c->id, (int64_t)at, site_state_name(site->state), (int64_t)row->run, row->reason,
        row->safe_next, row->attempt, site->ordered_ms, row->started_ms, row->finished_ms,
        row->outage_ms, row->version, row->build, row->check, row->check_len);
}

static int upgrade_order(struct store *store, const struct rollout_case *c, size_t at,
                         struct err *err)
{
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
    int result = order_put(store, &spec, id, err);
    if (result != 0)
        return result;
    return audit_add(store, "controller", "order", err,
                     "upgrade of site %s to %s given to agent %s (rollout %s, order %s)", row->site,
                     c->plan->release->version, row->agent, c->id, id);
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
    if (site->state == SITE_ORDERED)
        return upgrade_order(store, c, at, err);
    if (site->state == SITE_SILENT) {
        row->reason =
            before == SITE_ORDERED
                ? "its agent did not take the order in time; nothing was started that we know of"
                : "its agent was not heard of in time; it goes on by itself";
        result = orders_withdraw_site(store, c->id, row->site, err);
    }
    if (result != 0)
        return result;
    return audit_add(store, who, "site-state", err, "rollout %s: site %s is %s (was %s)%s%s", c->id,
                     row->site, site_state_name(site->state), site_state_name(before),
                     row->reason[0] ? ": " : "", row->reason);
}

static int head_write(struct store *store, struct rollout_case *c, enum rollout_state before,
                      bool stopped, struct err *err)
{
    int result = 0;
    bool over = c->core.state != ROLLOUT_RUNNING;
    if (c->core.state != before)
        c->finished_ms = over ? store->now_ms : 0;
    result = db_run(store->db, err,
                    "UPDATE rollouts SET state=$2, reason=$3, finished_ms=$4 WHERE id=$1", "ttti",
                    c->id, rollout_state_name(c->core.state), c->core.reason, c->finished_ms);
    if (result == 0 && stopped)
        result = audit_add(store, "controller", "rollout-stop", err,
                           "rollout %s: nothing new starts: %s", c->id, c->core.reason);
    if (result == 0 && c->core.state != before)
        result = audit_add(store, "controller", "rollout-state", err, "rollout %s is %s%s%s", c->id,
                           rollout_state_name(c->core.state), c->core.reason[0] ? ": " : "",
                           c->core.reason);
    return result;
}

int rollout_feed(struct store *store, struct rollout_case *c, const struct rollout_event *event,
                 const char *who, struct err *err)
{
    CLEANUP(free_mem) enum site_state *before = mem_zero(c->core.site_count + 1, sizeof *before);
    enum rollout_state state = c->core.state;
    bool stopped = c->core.reason[0] != '\0';
    size_t next = 0;
    int result = 0;
    for (size_t i = 0; i < c->core.site_count; i++)
        before[i] = c->core.sites[i].state;
    bool changed = event && rollout_on(&c->core, event);
    while (rollout_next(&c->core, store->now_ms, &next))
        changed = true;
    for (size_t i = 0; result == 0 && i < c->core.site_count; i++) {
        if (c->core.sites[i].state != before[i])
            result = site_changed(store, c, i, before[i],
                                  before[i] == SITE_QUEUED ? "controller" : who, err);
        if (result == 0 && c->rows[i].changed)
            result = row_write(store, c, i, err);
        c->rows[i].changed = false;
    }
    if (result == 0 && (changed || c->core.state != state))
        result = head_write(store, c, state, !stopped && c->core.reason[0] != '\0', err);
    return result;
}

int step_put(struct store *store, const struct step_row *step, struct err *err)
{
    const Confleet__StepEvent *event = step->event;
    return db_run(store->db, err,
                  "INSERT INTO steps(rollout, site, attempt, step, undo, ord, state, at_ms, "
                  "took_ms, message, down, number,"
                  " total, label) VALUES($1, $2, $3, $4, $5, (SELECT count(*) FROM steps WHERE "
                  "rollout=$1 AND site=$2), $6,"
                  " $7, $8, $9, $10, $11, $12, $13) ON CONFLICT(rollout, site, attempt, step, "
                  "undo) DO UPDATE SET"
                  " state=excluded.state, at_ms=excluded.at_ms, took_ms=excluded.took_ms, "
                  "message=excluded.message,"
                  " down=excluded.down",
                  "ttitiiiitiiit", step->rollout, step->site, step->attempt, event->step,
                  (int64_t)event->undo, (int64_t)event->state, step->at_ms, event->took_ms,
                  event->message, (int64_t)event->down, (int64_t)event->number,
                  (int64_t)event->count, event->label);
}

struct step_list {
    struct list events, times;
};

static int step_row(void *arg, const struct db_row *row, struct err *err)
{
    struct step_list *steps = arg;
    struct pool *pool = steps->events.pool;
    Confleet__StepEvent *event = pool_alloc(pool, sizeof *event);
    int64_t at_ms = db_i64(row, 3);
    (void)err;
    confleet__step_event__init(event);
    event->step = pool_text(pool, db_text(row, 0));
    event->undo = db_i64(row, 1) != 0;
    event->state = (Confleet__StepState)db_i64(row, 2);
    event->took_ms = db_i64(row, 4);
    event->message = pool_text(pool, db_text(row, 5));
    event->down = db_i64(row, 6) != 0;
    event->number = (uint32_t)db_i64(row, 7);
    event->count = (uint32_t)db_i64(row, 8);
    event->label = pool_text(pool, db_text(row, 9));
    pool_push(pool, &steps->events.items, &steps->events.count, event);
    pool_push(pool, &steps->times.items, &steps->times.count,
              pool_copy(pool, &at_ms, sizeof at_ms));
    return 0;
}

int steps_list(struct store *store, struct pool *pool, const char *rollout, const char *site,
               int64_t attempt, Confleet__StepEvent ***ret_events, int64_t **ret_at_ms,
               size_t *ret_count, struct err *err)
{
    struct step_list steps = { { pool, NULL, 0 }, { pool, NULL, 0 } };
    int result = db_each(
        store->db, step_row, &steps, err,
        "SELECT step, undo, state, at_ms, took_ms, message, down, number, total, label FROM steps"
        " WHERE rollout=$1 AND site=$2 AND attempt=$3 ORDER BY ord",
        "tti", rollout, site, attempt);
    if (result != 0)
        return result;
    int64_t *times = pool_alloc(pool, (steps.times.count + 1) * sizeof *times);
    for (size_t i = 0; i < steps.times.count; i++)
        memcpy(&times[i], steps.times.items[i], sizeof times[i]);
    *ret_events = (Confleet__StepEvent **)steps.events.items;
    *ret_at_ms = times;
    *ret_count = steps.events.count;
    return 0;
}
