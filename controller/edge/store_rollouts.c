#include "controller/edge/store_rollouts.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_case.h"
#include "controller/edge/store_decisions.h"
#include "controller/edge/store_plans.h"
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
               " started_ms, finished_ms, artifact_sha256) VALUES($1, $2, 'running', '', $3, $4, "
               "$5, $6, $7, $8, 0, $9)",
               "ttibbttit", plan->id, plan->name, (int64_t)plan->serial,
               rollout->signed_plan->payload.data, rollout->signed_plan->payload.len, envelope.s,
               envelope.len, rollout->sha256, rollout->signed_by, store->now_ms,
               plan->release->artifact_sha256);
    for (size_t stage = 0; result == 0 && stage < plan->n_stages; stage++)
        for (size_t n = 0; result == 0 && n < plan->stages[stage]->n_sites; n++)
            result = site_insert(store, plan, stage, n, place++, err);
    return result;
}

struct loading {
    struct store *store;
    struct pool *pool;
    struct rollout_case *rollout;
    size_t room;
    struct err *why;
};

static int head_row(void *arg, const struct db_row *row, struct err *err)
{
    struct loading *l = arg;
    struct rollout_case *c = pool_alloc(l->pool, sizeof *c);
    size_t len = 0;
    c->id = pool_text(l->pool, db_text(row, 0));
    c->name = pool_text(l->pool, db_text(row, 1));
    if (!rollout_state_parse(db_text(row, 2), &c->core.state))
        return err_set(err, FAIL_CORRUPT, "rollout %s has the unknown state '%s'", c->id,
                       db_text(row, 2));
    (void)snprintf(c->core.reason, sizeof c->core.reason, "%s", db_text(row, 3));
    const void *bytes = db_bytes(row, 4, &len);
    int result = plans_read(l->store, bytes, len, &c->signed_plan, &c->plan, err);
    if (result != 0)
        return err_wrap(err, "rollout %s", c->id);
    c->plan_sha256 = pool_text(l->pool, db_text(row, 5));
    c->signed_by = pool_text(l->pool, db_text(row, 6));
    c->started_ms = db_i64(row, 7);
    c->finished_ms = db_i64(row, 8);
    c->core.paused = db_i64(row, 9) != 0;
    (void)snprintf(c->core.paused_reason, sizeof c->core.paused_reason, "%s", db_text(row, 10));
    c->core.aborted = db_i64(row, 11) != 0;
    l->rollout = c;
    return 0;
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
    site->excused = db_i64(row, 19) != 0;
    site->name = r->site;
    r->soaking_ms = db_i64(row, 20);
    return 0;
}

int rollout_load(struct store *store, struct pool *pool, const char *id, struct rollout_case **ret,
                 struct err *err)
{
    struct loading l = { .store = store, .pool = pool };
    int result = db_each(
        store->db, head_row, &l, err,
        "SELECT id, name, state, reason, envelope, plan_sha256, signed_by, started_ms, finished_ms,"
        " paused, paused_reason, aborted FROM rollouts WHERE id=$1",
        "t", id);
    if (result != 0)
        return result;
    if (l.rollout) {
        case_rules(pool, l.rollout);
        result = db_each(store->db, case_row, &l, err,
                         "SELECT place, stage, stage_name, site, agent, installation, state, run, "
                         "reason, safe_next, attempt,"
                         " ordered_ms, started_ms, finished_ms, outage_ms, version, build, "
                         "from_version, from_build,"
                         " excused, soaking_ms FROM rollout_sites WHERE rollout=$1 ORDER BY place",
                         "t", id);
        if (result == 0 && l.room != l.rollout->core.site_count)
            result = err_set(err, FAIL_CORRUPT,
                             "rollout %s: its sites in the store are not those of its plan", id);
        if (result == 0)
            result = case_circumstances(store, pool, l.rollout, err);
    }
    if (result == 0)
        *ret = l.rollout;
    return result;
}

struct seat {
    struct pool *pool;
    struct rollout_seat *found;
    struct rollout_seat **list; /* all that were found */
    size_t count;
};

static int seat_row(void *arg, const struct db_row *row, struct err *err)
{
    struct seat *seat = arg;
    struct rollout_seat *found = pool_alloc(seat->pool, sizeof *found);
    found->rollout = pool_text(seat->pool, db_text(row, 0));
    found->site = pool_text(seat->pool, db_text(row, 1));
    found->agent = pool_text(seat->pool, db_text(row, 2));
    found->attempt = db_i64(row, 3);
    if (!site_state_parse(db_text(row, 4), &found->state))
        return err_set(err, FAIL_CORRUPT, "rollout %s: site %s has the unknown state '%s'",
                       found->rollout, found->site, db_text(row, 4));
    seat->found = found;
    pool_push(seat->pool, &seat->list, &seat->count, found);
    return 0;
}

int rollout_seat_get(struct store *store, struct pool *pool, const char *rollout, const char *site,
                     struct rollout_seat **ret, struct err *err)
{
    struct seat seat = { pool, NULL, NULL, 0 };
    int result = db_each(store->db, seat_row, &seat, err,
                         "SELECT rollout, site, agent, attempt, state FROM rollout_sites WHERE "
                         "rollout=$1 AND site=$2",
                         "tt", rollout, site);
    if (result == 0)
        *ret = seat.found;
    return result;
}

int rollout_seats(struct store *store, struct pool *pool, const char *agent,
                  struct rollout_seat ***ret, size_t *ret_count, struct err *err)
{
    struct seat seat = { pool, NULL, NULL, 0 };
    int result = db_each(store->db, seat_row, &seat, err,
                         "SELECT rollout, site, agent, attempt, state FROM rollout_sites WHERE "
                         "agent=$1 ORDER BY rollout, site",
                         "t", agent);
    if (result == 0) {
        *ret = seat.list;
        *ret_count = seat.count;
    }
    return result;
}

struct envelope {
    struct store *store;
    const Confleet__SignedText *plan;
};

static int envelope_row(void *arg, const struct db_row *row, struct err *err)
{
    struct envelope *envelope = arg;
    size_t len = 0;
    const void *bytes = db_bytes(row, 0, &len);
    return plans_read(envelope->store, bytes, len, &envelope->plan, NULL, err);
}

int rollout_plan(struct store *store, const char *id, const Confleet__SignedText **ret,
                 struct err *err)
{
    struct envelope envelope = { store, NULL };
    int result = db_each(store->db, envelope_row, &envelope, err,
                         "SELECT envelope FROM rollouts WHERE id=$1", "t", id);
    if (result == 0 && !envelope.plan)
        return err_set(err, FAIL_NOT_FOUND, "no rollout %s", id);
    if (result != 0)
        return err_wrap(err, "the plan of rollout %s", id);
    *ret = envelope.plan;
    return 0;
}

static int id_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    (void)err;
    pool_push(list->pool, &list->items, &list->count, pool_text(list->pool, db_text(row, 0)));
    return 0;
}

int rollouts_running(struct store *store, struct pool *pool, const char ***ret, size_t *ret_count,
                     struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, id_row, &list, err,
                         "SELECT id FROM rollouts WHERE state='running' ORDER BY started_ms DESC, "
                         "serial DESC",
                         "");
    if (result != 0)
        return result;
    *ret = (const char **)list.items;
    *ret_count = list.count;
    return 0;
}

int rollouts_page(struct store *store, struct pool *pool, const char *after, int64_t limit,
                  const char ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, id_row, &list, err,
                         "SELECT id FROM rollouts WHERE $1='' OR (started_ms, serial)<(SELECT "
                         "started_ms, serial FROM rollouts WHERE id=$1) ORDER BY started_ms DESC, "
                         "serial DESC LIMIT $2",
                         "ti", after, limit);
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
    int result = id[0] != '\0' ? 0 : rollouts_page(store, pool, "", 1, &ids, &count, err);
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
