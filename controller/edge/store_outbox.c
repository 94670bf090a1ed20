#include "controller/edge/store_outbox.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/store_rollouts.h"
#include <assert.h>
#include <string.h>

#define ORDER_COLUMNS "SELECT id, agent, kind, state, rollout, job, site, body, created_ms FROM " \
                      "orders "

static const char *order_kind(const Confleet__Order *order)
{
    switch (order->what_case) {
    case CONFLEET__ORDER__WHAT_SURVEY:
        return "survey";
    case CONFLEET__ORDER__WHAT_CHECK:
        return "check";
    case CONFLEET__ORDER__WHAT_BACKUP:
        return "backup";
    case CONFLEET__ORDER__WHAT_VERIFY:
        return "verify";
    case CONFLEET__ORDER__WHAT_RESTORE:
        return "restore";
    case CONFLEET__ORDER__WHAT_UPGRADE:
        return "upgrade";
    case CONFLEET__ORDER__WHAT_DECIDE:
        return "decide";
    default:
        return "unknown";
    }
}

/* Where the order keeps its rollout's plan; NULL: it carries none. */
static Confleet__SignedText **order_plan(Confleet__Order *order)
{
    if (order->what_case == CONFLEET__ORDER__WHAT_UPGRADE)
        return &order->upgrade->plan;
    return order->what_case == CONFLEET__ORDER__WHAT_DECIDE ? &order->decide->plan : NULL;
}

/* The bytes that are kept. The plan is kept once, with its rollout, and not again for each site. */
static int order_bytes(const struct order_spec *spec, struct str *ret, struct err *err)
{
    Confleet__SignedText **place = order_plan(spec->order), *plan = place ? *place : NULL;
    wire_encode(&spec->order->base, ret);
    if (ret->len > WIRE_FRAME_MAX - 1024)
        return err_set(err, FAIL_LIMIT, "an order of %zu bytes does not fit in a frame", ret->len);
    if (!plan || spec->rollout[0] == '\0')
        return 0;
    *place = NULL;
    str_clear(ret);
    wire_encode(&spec->order->base, ret);
    *place = plan;
    return 0;
}

int order_put(struct store *store, const struct order_spec *spec, char ret_id[ORDER_ID_MAX],
              struct err *err)
{
    CLEANUP(str_free) struct str body = { 0 };
    char at[CLOCK_TEXT_MAX], random[17], id[ORDER_ID_MAX];
    uint8_t bytes[8];
    int64_t pending = 0;
    assert(spec->order->what_case != CONFLEET__ORDER__WHAT__NOT_SET);
    int result = db_get_i64(store->db, &pending, NULL, err,
                            "SELECT count(*) FROM orders WHERE agent=$1 AND state='pending'", "t",
                            spec->agent);
    if (result == 0 && pending >= ORDERS_PENDING_MAX)
        return err_set(err, FAIL_LIMIT, "%d orders wait for agent %s already", ORDERS_PENDING_MAX,
                       spec->agent);
    if (result != 0)
        return result;
    random_bytes(bytes, sizeof bytes);
    hex_text(bytes, sizeof bytes, random);
    (void)snprintf(id, sizeof id, "%s-%s", clock_compact(store->now_ms, at), random);
    spec->order->id = id;
    spec->order->epoch = store->epoch;
    result = order_bytes(spec, &body, err);
    spec->order->id = NULL;
    if (result != 0)
        return result;
    result = db_run(store->db, err,
                    "INSERT INTO orders(id, agent, kind, body, state, created_ms, sent_ms, "
                    "acked_ms, rollout, job, site,"
                    " message) VALUES($1, $2, $3, $4, 'pending', $5, 0, 0, $6, $7, $8, '')",
                    "tttbittt", id, spec->agent, order_kind(spec->order), body.s, body.len,
                    store->now_ms, spec->rollout, spec->job, spec->site);
    if (result != 0)
        return result;
    memcpy(ret_id, id, sizeof id);
    store->orders_new = true;
    return 0;
}

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

static int order_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct order *order = pool_alloc(list->pool, sizeof *order);
    (void)err;
    order->id = pool_text(list->pool, db_text(row, 0));
    order->agent = pool_text(list->pool, db_text(row, 1));
    order->kind = pool_text(list->pool, db_text(row, 2));
    order->state = pool_text(list->pool, db_text(row, 3));
    order->rollout = pool_text(list->pool, db_text(row, 4));
    order->job = pool_text(list->pool, db_text(row, 5));
    order->site = pool_text(list->pool, db_text(row, 6));
    const void *body = db_bytes(row, 7, &order->body_len);
    order->created_ms = db_i64(row, 8);
    order->body = pool_copy(list->pool, body, order->body_len);
    pool_push(list->pool, &list->items, &list->count, order);
    return 0;
}

int orders_due(struct store *store, struct pool *pool, const char *agent, int64_t sent_before_ms,
               struct order ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(
        store->db, order_row, &list, err,
        ORDER_COLUMNS
        "WHERE agent=$1 AND state='pending' AND sent_ms<$2 ORDER BY created_ms, id LIMIT $3",
        "tii", agent, sent_before_ms, (int64_t)ORDERS_DUE_MAX);
    if (result != 0)
        return result;
    *ret = (struct order **)list.items;
    *ret_count = list.count;
    return 0;
}

int order_message(struct store *store, struct pool *pool, const struct order *order,
                  Confleet__Order **ret, struct err *err)
{
    Confleet__Order *message = NULL;
    const Confleet__SignedText *plan = NULL;
    int result = wire_decode_order(pool_arena(pool), order->body, order->body_len, &message, err);
    if (result != 0)
        return err_wrap(err, "order %s in the store", order->id);
    Confleet__SignedText **place = order->rollout[0] != '\0' ? order_plan(message) : NULL;
    if (place && !*place) {
        result = rollout_plan(store, order->rollout, &plan, err);
        if (result != 0)
            return err_wrap(err, "order %s in the store", order->id);
        *place = (Confleet__SignedText *)(uintptr_t)plan;
    }
    *ret = message;
    return 0;
}

int order_sent(struct store *store, const char *id, struct err *err)
{
    return db_run(store->db, err, "UPDATE orders SET sent_ms=$2 WHERE id=$1", "ti", id,
                  store->now_ms);
}

int order_find(struct store *store, struct pool *pool, const char *agent, const char *id,
               struct order **ret, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, order_row, &list, err, ORDER_COLUMNS "WHERE id=$1 AND agent=$2",
                         "tt", id, agent);
    if (result == 0)
        *ret = list.count > 0 ? list.items[0] : NULL;
    return result;
}

int order_is_outdated(struct store *store, const struct order *order, bool *ret, struct err *err)
{
    int64_t newer = 0;
    int result = db_get_i64(store->db, &newer, NULL, err,
                            "SELECT count(*) FROM orders WHERE rollout=$1 AND site=$2 AND "
                            "kind='upgrade' AND created_ms>$3",
                            "tti", order->rollout, order->site, order->created_ms);
    if (result == 0)
        *ret = newer > 0;
    return result;
}

int orders_hold_attempt(struct store *store, const char *rollout, const char *site, int64_t attempt,
                        bool *ret, struct err *err)
{
    int64_t held = 0;
    int result = db_get_i64(store->db, &held, NULL, err,
                            "SELECT count(*) FROM orders o, attempts a WHERE o.rollout=$1 AND "
                            "o.site=$2 AND o.kind='upgrade' AND o.state IN ('pending', 'acked', "
                            "'done') AND a.rollout=o.rollout AND a.site=o.site AND a.attempt=$3 "
                            "AND o.created_ms>=a.at_ms",
                            "tti", rollout, site, attempt);
    if (result == 0)
        *ret = held > 0;
    return result;
}

/* What is not sent any more needs no bytes. */
int order_state_set(struct store *store, const char *id, const char *state, const char *message,
                    struct err *err)
{
    return db_run(store->db, err,
                  "UPDATE orders SET state=$2, message=$3, acked_ms=CASE acked_ms WHEN 0 THEN $4 "
                  "ELSE acked_ms END,"
                  " body=$5 WHERE id=$1",
                  "tttib", id, state, message, store->now_ms, "", (size_t)0);
}

int orders_withdraw_site(struct store *store, const char *rollout, const char *site,
                         struct err *err)
{
    return db_run(store->db, err,
                  "UPDATE orders SET state='withdrawn', body=$3 WHERE rollout=$1 AND site=$2 AND "
                  "state='pending'",
                  "ttb", rollout, site, "", (size_t)0);
}

int orders_withdraw_upgrade(struct store *store, const char *rollout, const char *site,
                            struct err *err)
{
    return db_run(store->db, err,
                  "UPDATE orders SET state='withdrawn', body=$3 WHERE rollout=$1 AND site=$2 AND "
                  "state='pending' AND kind='upgrade'",
                  "ttb", rollout, site, "", (size_t)0);
}

int orders_withdraw_agent(struct store *store, const char *agent, struct err *err)
{
    return db_run(store->db, err,
                  "UPDATE orders SET state='withdrawn', body=$2 WHERE agent=$1 AND state='pending'",
                  "tb", agent, "", (size_t)0);
}
