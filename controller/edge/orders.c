#include "controller/edge/orders.h"

#include "confleet/cleanup.h"
#include "controller/edge/frames.h"
#include "controller/edge/lineage.h"
#include "controller/edge/store_outbox.h"
#include <string.h>

#define START_MARGIN_MS (2LL * 60 * 1000)
#define ORDERS_BYTES    ((size_t)4 * 1024 * 1024) /* in one turn: each may hold a plan */

/* When nothing of this order may be begun any more. Its site counts as silent a little later, so
 * that clocks which run apart while the two are connected do no harm. Zero: no limit. */
static int64_t order_start_by_ms(const struct daemon *daemon, const struct order *order)
{
    int64_t wait_ms = daemon->options.order_ms;
    int64_t margin_ms = wait_ms / 5 < START_MARGIN_MS ? wait_ms / 5 : START_MARGIN_MS;
    bool known = order->created_ms > daemon->started_ms &&
                 order->created_ms <= daemon->store->now_ms; /* not by a clock that was set back */
    int64_t from_ms = known ? order->created_ms : daemon->started_ms;
    return strcmp(order->kind, "upgrade") == 0 ? from_ms + wait_ms - margin_ms : 0;
}

static int order_send(struct daemon *daemon, struct session *session, const struct order *order,
                      struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Order *message = NULL;
    Confleet__StoreHead head_message;
    struct lineage_head head;
    int result = order_message(daemon->store, &pool, order, &message, err);
    if (result != 0)
        return result;
    message->epoch = daemon->store->epoch;
    message->start_by_ms = order_start_by_ms(daemon, order);
    if (message->start_by_ms != 0 && daemon->store->now_ms >= message->start_by_ms)
        return 0; /* it would be refused; the site is silent in a moment */
    message->head = frames_head(daemon, &head, &head_message);
    frame.body_case = CONFLEET__FRAME__BODY_ORDER;
    frame.order = message;
    frames_send(daemon, session, &frame);
    return order_sent(daemon->store, order->id, err);
}

struct flush {
    struct daemon *daemon;
    struct session *session;
    const char *agent;
    int64_t before_ms;
};

static int flush_tx(void *arg, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct flush *flush = arg;
    struct order **orders = NULL;
    size_t count = 0, bytes = outgoing_bytes(flush->daemon->outgoing);
    int result = orders_due(flush->daemon->store, &pool, flush->agent, flush->before_ms, &orders,
                            &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = order_send(flush->daemon, flush->session, orders[i], err);
    /* There may be more; what is too late to be sent must not keep the loop awake. */
    if (count == ORDERS_DUE_MAX && outgoing_bytes(flush->daemon->outgoing) > bytes)
        flush->daemon->store->orders_new = true;
    return result;
}

int orders_send_to(struct daemon *daemon, const char *agent, int64_t sent_before_ms,
                   struct err *err)
{
    struct session *session = sessions_agent(daemon->sessions, agent);
    struct flush flush = { daemon, session, agent, sent_before_ms };
    return session ? store_tx(daemon->store, flush_tx, &flush, err) : 0;
}

struct names {
    struct pool *pool;
    char **items;
    size_t count;
};

static int name_row(void *arg, const struct db_row *row, struct err *err)
{
    struct names *names = arg;
    (void)err;
    if (names->count > 0 && strcmp(names->items[names->count - 1], db_text(row, 0)) == 0)
        return 0;
    pool_push(names->pool, &names->items, &names->count, pool_text(names->pool, db_text(row, 0)));
    return 0;
}

int orders_send(struct daemon *daemon, int64_t sent_before_ms, bool *ret_more, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct names names = { &pool, NULL, 0 };
    size_t at = 0;
    int result = db_each(daemon->store->db, name_row, &names, err,
                         "SELECT o.agent FROM orders o WHERE o.state='pending' AND o.sent_ms<$1 "
                         "AND EXISTS (SELECT 1 FROM agents a WHERE a.name=o.agent AND "
                         "a.state='accepted') ORDER BY o.sent_ms, o.agent",
                         "i", sent_before_ms);
    for (; result == 0 && at < names.count && outgoing_bytes(daemon->outgoing) < ORDERS_BYTES; at++)
        result = orders_send_to(daemon, names.items[at], sent_before_ms, err);
    if (result == 0)
        *ret_more = at < names.count;
    return result;
}
