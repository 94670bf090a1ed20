/* events - what agents report: taken into the store once each, in order.
 *
 * An agent's events are numbered without gaps; the newest one taken in is kept with the agent. A
 * number at or below it is a duplicate, one beyond the next is a gap: both change nothing and are
 * answered with what is held, so that the agent sends again from there. What an event is about is
 * told by the order or rollout it names, and counts only where that belongs to this very agent.
 * Runs inside the caller's transaction. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/progress.h"
#include "controller/edge/store.h"

#define LOGS_MAX 200000 /* rows that are kept */

/* ret_claim: filled when the event speaks for what is another agent's; it is taken in without that.
 */
int events_take(struct store *store, struct pool *pool, const char *agent,
                const Confleet__Event *event, uint64_t *ret_acked, struct err *ret_claim,
                struct err *err) MUST_USE;
/* An agent whose journal is damaged: each of its sites that is at work waits for a person. */
int events_damaged(struct store *store, struct pool *pool, const char *agent,
                   const Confleet__Hello *hello, struct err *err) MUST_USE;
int events_order_ack(struct store *store, struct pool *pool, const char *agent,
                     const Confleet__OrderAck *ack, struct err *err) MUST_USE;
int events_progress(struct store *store, struct progress_table *table, struct pool *pool,
                    const char *agent, const Confleet__Event *event, struct err *err) MUST_USE;
