#include "controller/edge/store_decisions.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_peers.h"
#include <string.h>

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

/* An order with nothing but the decision is the form in which its signatures are kept. */
void decision_envelope(const Confleet__SignedText *text, struct str *out)
{
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    decide.decision = (Confleet__SignedText *)(uintptr_t)text;
    order.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    order.decide = &decide;
    wire_encode(&order.base, out);
}

int decision_unwrap(struct pool *pool, const struct db_row *row, int column,
                         const Confleet__SignedText **ret, struct err *err)
{
    Confleet__Order *order = NULL;
    size_t len = 0;
    const void *bytes = db_bytes(row, column, &len);
    int result = wire_decode_order(pool_arena(pool), bytes, len, &order, err);
    if (result == 0 && order->what_case != CONFLEET__ORDER__WHAT_DECIDE)
        result = err_set(err, FAIL_CORRUPT, "a decision in the store is none");
    if (result == 0)
        *ret = order->decide->decision;
    return result;
}

int approval_put(struct store *store, const struct approval_new *approval, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    decision_envelope(approval->text, &bytes);
    return db_run(store->db, err,
                  "INSERT INTO approvals(rollout, stage, key_id, operator, at_ms, expires_ms, "
                  "envelope) VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(rollout, stage, key_id)"
                  " DO UPDATE SET at_ms=excluded.at_ms, expires_ms=excluded.expires_ms,"
                  " envelope=excluded.envelope",
                  "ttttiib", approval->rollout, approval->stage, approval->key_id,
                  approval->operator_name, store->now_ms, approval->expires_ms, bytes.s, bytes.len);
}

static int approval_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct approval *approval = pool_alloc(list->pool, sizeof *approval);
    approval->stage = pool_text(list->pool, db_text(row, 0));
    approval->key_id = pool_text(list->pool, db_text(row, 1));
    approval->operator_name = pool_text(list->pool, db_text(row, 2));
    approval->at_ms = db_i64(row, 3);
    approval->expires_ms = db_i64(row, 4);
    int result = decision_unwrap(list->pool, row, 5, &approval->text, err);
    if (result == 0)
        pool_push(list->pool, &list->items, &list->count, approval);
    return result;
}

static bool operator_alone(struct operator** operators, size_t count)
{
    size_t signers = 0;
    for (size_t i = 0; i < count; i++)
        signers += operators[i]->standing == STANDING_ACCEPTED &&
                   operators[i]->role >= CONFLEET__ROLE__OPERATOR;
    return signers == 1;
}

/* Nobody approves what he signed himself, unless one approval is asked for and nobody else is
 * known. */
static bool may_approve(const struct rollout_case *c, const char *stage, const char *name,
                        bool alone)
{
    if (strcmp(c->signed_by, name) != 0)
        return true;
    for (size_t i = 0; i < c->core.stage_count; i++)
        if (strcmp(c->core.stages[i].name, stage) == 0)
            return alone && c->core.stages[i].approvals_needed <= 1;
    return false;
}

static bool approval_in_force(const struct rollout_case *c, const struct approval *approval,
                              struct operator** operators, size_t count, int64_t now_ms)
{
    if (approval->expires_ms <= now_ms ||
        !may_approve(c, approval->stage, approval->operator_name, operator_alone(operators, count)))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(operators[i]->key_id, approval->key_id) == 0)
            return operators[i]->standing == STANDING_ACCEPTED &&
                   operators[i]->role >= CONFLEET__ROLE__APPROVER &&
                   strcmp(operators[i]->name, approval->operator_name) == 0;
    return false;
}

int approvals_list(struct store *store, struct pool *pool, const struct rollout_case *c,
                   struct approval **ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    struct operator** operators = NULL;
    size_t count = 0;
    int result = db_each(store->db, approval_row, &list, err,
                         "SELECT stage, key_id, operator, at_ms, expires_ms, envelope FROM "
                         "approvals WHERE rollout=$1 ORDER BY at_ms, key_id",
                         "t", c->id);
    if (result == 0)
        result = operators_list(store, pool, &operators, &count, err);
    if (result != 0)
        return result;
    struct approval *approvals = pool_alloc(pool, (list.count + 1) * sizeof *approvals);
    for (size_t i = 0; i < list.count; i++) {
        memcpy(&approvals[i], list.items[i], sizeof approvals[i]);
        approvals[i].in_force =
            approval_in_force(c, &approvals[i], operators, count, store->now_ms);
    }
    *ret = approvals;
    *ret_count = list.count;
    return 0;
}

int approver_check(struct store *store, struct pool *pool, const struct rollout_case *c,
                   const char *operator_name, bool *ret_alone, struct err *err)
{
    struct operator** operators = NULL;
    size_t count = 0;
    int result = operators_list(store, pool, &operators, &count, err);
    if (result == 0)
        *ret_alone = strcmp(c->signed_by, operator_name) == 0 && operator_alone(operators, count);
    return result;
}

int attempt_put(struct store *store, const struct attempt_new *attempt, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    decision_envelope(attempt->text, &bytes);
    return db_run(store->db, err,
                  "INSERT INTO attempts(rollout, site, attempt, at_ms, decided_by, before_state, "
                  "before_reason, envelope) VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
                  "ttiitttb", attempt->rollout, attempt->site, attempt->attempt, store->now_ms,
                  attempt->decided_by, attempt->before_state, attempt->before_reason, bytes.s,
                  bytes.len);
}

struct decision_found {
    struct pool *pool;
    const Confleet__SignedText *text;
};

static int decision_row(void *arg, const struct db_row *row, struct err *err)
{
    struct decision_found *found = arg;
    return decision_unwrap(found->pool, row, 0, &found->text, err);
}

int attempt_decision(struct store *store, struct pool *pool, const char *rollout, const char *site,
                     int64_t attempt, const Confleet__SignedText **ret, struct err *err)
{
    struct decision_found found = { pool, NULL };
    int result =
        db_each(store->db, decision_row, &found, err,
                "SELECT envelope FROM attempts WHERE rollout=$1 AND site=$2 AND attempt=$3", "tti",
                rollout, site, attempt);
    if (result == 0)
        *ret = found.text;
    return result;
}

int hold_set(struct store *store, const struct hold *hold, struct err *err)
{
    int64_t count = 0;
    int result = db_run(store->db, err, "DELETE FROM holds WHERE until_ms<=$1", "i", store->now_ms);
    if (result == 0)
        result = db_get_i64(store->db, &count, NULL, err, "SELECT count(*) FROM holds", "");
    if (result == 0 && count >= HOLDS_MAX)
        return err_set(err, FAIL_LIMIT, "there are %d holds already", HOLDS_MAX);
    if (result != 0)
        return result;
    return db_run(store->db, err,
                  "INSERT INTO holds(site, until_ms, reason, made_by, at_ms) VALUES($1, $2, $3, "
                  "$4, $5) ON CONFLICT(site) DO UPDATE SET until_ms=excluded.until_ms,"
                  " reason=excluded.reason, made_by=excluded.made_by, at_ms=excluded.at_ms",
                  "titti", hold->site, hold->until_ms, hold->reason, hold->made_by, store->now_ms);
}

int hold_lift(struct store *store, const char *site, bool *ret_found, struct err *err)
{
    int result = db_run(store->db, err, "DELETE FROM holds WHERE site=$1 AND until_ms>$2", "ti",
                        site, store->now_ms);
    if (result == 0)
        *ret_found = db_changes(store->db) > 0;
    return result;
}

static int hold_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct hold *hold = pool_alloc(list->pool, sizeof *hold);
    (void)err;
    hold->site = pool_text(list->pool, db_text(row, 0));
    hold->until_ms = db_i64(row, 1);
    hold->reason = pool_text(list->pool, db_text(row, 2));
    hold->made_by = pool_text(list->pool, db_text(row, 3));
    hold->at_ms = db_i64(row, 4);
    pool_push(list->pool, &list->items, &list->count, hold);
    return 0;
}

int holds_list(struct store *store, struct pool *pool, struct hold ***ret, size_t *ret_count,
               struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, hold_row, &list, err,
                         "SELECT site, until_ms, reason, made_by, at_ms FROM holds WHERE "
                         "until_ms>$1 ORDER BY site",
                         "i", store->now_ms);
    if (result == 0) {
        *ret = (struct hold **)list.items;
        *ret_count = list.count;
    }
    return result;
}

int coverage_kept(struct store *store, const char *site, const char *artifact_sha256, bool *ret,
                  struct err *err)
{
    int64_t kept = 0;
    int result = db_get_i64(store->db, &kept, NULL, err,
                            "SELECT count(*) FROM rollout_sites s JOIN rollouts r ON "
                            "r.id=s.rollout WHERE s.site=$1 AND s.state='committed' AND "
                            "r.artifact_sha256=$2",
                            "tt", site, artifact_sha256);
    if (result == 0)
        *ret = kept > 0;
    return result;
}
