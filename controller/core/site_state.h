/* site_state - the life of one site in a rollout: its states and the one table of what moves it.
 *
 * Invariant: what the table does not name changes nothing, so a report that comes late or twice is
 * no news. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

/* id, spelling in store and views, in flight (may be down or will be), ended well, failed. SOAKING
 * is "applied": the new version is healthy but not yet kept. SILENT: not heard of by the deadline;
 * it may still be down. */
#define ROLLOUT_SITE_STATES(X)                                                                     \
    X(QUEUED, "queued", 0, 0, 0)                                                                   \
    X(ORDERED, "ordered", 1, 0, 0)                                                                 \
    X(RUNNING, "running", 1, 0, 0)                                                                 \
    X(UNDOING, "undoing", 1, 0, 0)                                                                 \
    X(SOAKING, "soaking", 1, 0, 0)                                                                 \
    X(COMMITTED, "committed", 0, 1, 0)                                                             \
    X(ROLLED_BACK, "rolled-back", 0, 0, 1)                                                         \
    X(NOT_READY, "not-ready", 0, 0, 1)                                                             \
    X(REFUSED, "refused", 0, 0, 1)                                                                 \
    X(HELD, "held", 0, 0, 1)                                                                       \
    X(SILENT, "silent", 0, 0, 0)                                                                   \
    X(SKIPPED, "skipped", 0, 1, 0)
#define X(id, name, flight, well, failed) SITE_##id,
enum site_state { ROLLOUT_SITE_STATES(X) SITE_STATE_COUNT };
#undef X

/* What can happen to one site: id, word for it. Between FORWARD and HELD: what its agent's journal
 * reports. */
#define SITE_INPUTS(X)                                                                             \
    X(ORDER, "order")   /* rollout_next() gave it an order; only the engine feeds this */          \
    X(ACK, "ack")       /* the agent holds the order durably */                                    \
    X(REFUSE, "refuse") /* the agent refused the order */                                          \
    X(FORWARD, "forward")                                                                          \
    X(APPLIED, "applied")                                                                          \
    X(COMMITTED, "committed")                                                                      \
    X(UNDOING, "undoing")                                                                          \
    X(ROLLED_BACK, "rolled-back")                                                                  \
    X(NOT_READY, "not-ready")                                                                      \
    X(REFUSED, "refused")                                                                          \
    X(HELD, "held")                                                                                \
    X(LOST, "lost")         /* the order is finished, and its agent named no end */                \
    X(DEADLINE, "deadline") /* nothing was heard for too long */                                   \
    X(BACK, "back")         /* a person decided to go back */                                      \
    X(SKIP, "skip")         /* a person decided to go on without it */                             \
    X(RETRY, "retry")       /* a person decided to try it once more */                             \
    X(WITHDRAW, "withdraw") /* its order was taken back before it was ever sent */
#define X(id, name) INPUT_##id,
enum site_input { SITE_INPUTS(X) INPUT_COUNT };
#undef X

/* False: it stays where it is. */
bool site_state_after(enum site_state state, enum site_input input, enum site_state *ret_state);
const char *site_state_name(enum site_state state);
bool site_state_parse(const char *name, enum site_state *ret_state);
bool site_state_in_flight(enum site_state state);
bool site_state_well(enum site_state state);
bool site_state_failed(enum site_state state);
/* At work: an outage is going on or may begin at any moment. */
bool site_state_busy(enum site_state state);
/* Nobody at work, and it may be down nevertheless: it keeps its place in the batch. */
bool site_state_in_doubt(enum site_state state);
