/* store_outbox - orders on their way to agents, kept until the agent says that it holds them.
 *
 * An order's id is its idempotency key: it is sent on each new connection of its agent and again
 * every few seconds, always the same bytes but for the epoch, and takes effect once. "pending" (to
 * be sent), "acked" (durable at the agent), "refused", "done" (finished), "withdrawn" (not to be
 * sent any more). */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define ORDER_ID_MAX       64
#define ORDERS_PENDING_MAX 1024 /* of one agent */
#define ORDER_RESEND_MS    5000
#define ORDERS_DUE_MAX     64 /* that orders_due() finds at once */

struct order_spec {
    const char *agent, *rollout, *job, *site;
    Confleet__Order *order;
}; /* order->id: filled in */
struct order {
    int64_t created_ms;
    const char *id, *agent, *kind, *state, *rollout, *job, *site;
    const uint8_t *body;
    size_t body_len;
};

/* Puts the order in; its id is made here and copied to ret_id. */
int order_put(struct store *store, const struct order_spec *spec, char ret_id[ORDER_ID_MAX],
              struct err *err) MUST_USE;
/* Pending orders of an agent that were last sent before this time, oldest first. */
int orders_due(struct store *store, struct pool *pool, const char *agent, int64_t sent_before_ms,
               struct order ***ret, size_t *ret_count, struct err *err) MUST_USE;
/* The order as it is sent, but for the epoch: with the plan of its rollout, which its row does not
 * hold. */
int order_message(struct store *store, struct pool *pool, const struct order *order,
                  Confleet__Order **ret, struct err *err) MUST_USE;
int order_sent(struct store *store, const char *id, struct err *err) MUST_USE;
/* True when the site was given another upgrade after this one. */
int order_is_outdated(struct store *store, const struct order *order, bool *ret,
                      struct err *err) MUST_USE;
/* True when this attempt's upgrade was given, and neither withdrawn nor refused. */
int orders_hold_attempt(struct store *store, const char *rollout, const char *site, int64_t attempt,
                        bool *ret, struct err *err) MUST_USE;
/* NULL when this agent was never given such an order. */
int order_find(struct store *store, struct pool *pool, const char *agent, const char *id,
               struct order **ret, struct err *err) MUST_USE;
int order_state_set(struct store *store, const char *id, const char *state, const char *message,
                    struct err *err) MUST_USE;
/* What was not acknowledged is not sent any more. */
int orders_withdraw_site(struct store *store, const char *rollout, const char *site,
                         struct err *err) MUST_USE;
/* The same, and decisions about the site remain. */
int orders_withdraw_upgrade(struct store *store, const char *rollout, const char *site,
                            struct err *err) MUST_USE;
int orders_withdraw_agent(struct store *store, const char *agent, struct err *err) MUST_USE;
