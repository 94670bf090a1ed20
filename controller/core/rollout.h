/* rollout - decides which site may start when, and when a rollout is over; performs nothing itself.
 *
 * Feed it an event, then take orders until there are none; the owner stores state and orders in one
 * transaction before anything is sent. Stages go in order; inside a stage, batches; the default is
 * one site at a time. The first site that does not end well (beyond what the stage's gate allows)
 * stops new starts; sites in flight still end by themselves. No clock, no I/O, no heap: time
 * arrives in events, and the caller owns the arrays.
 *
 * Invariant: a site leaves "queued" only by an order that rollout_next() gave or by a skip, and
 * never more sites of a stage are in flight or unheard of than its batch allows. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define ROLLOUT_REASON_MAX 256
#define ROLLOUT_BATCH_MAX  16

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

/* What can happen to one site. */
enum site_input {
    INPUT_ORDER,   /* rollout_next() gave it an order; only the engine feeds this */
    INPUT_ACK,     /* the agent holds the order durably */
    INPUT_REFUSE,  /* the agent refused the order */
    INPUT_FORWARD, /* and the states that its agent's journal reports */
    INPUT_APPLIED,
    INPUT_COMMITTED,
    INPUT_UNDOING,
    INPUT_ROLLED_BACK,
    INPUT_NOT_READY,
    INPUT_REFUSED,
    INPUT_HELD,
    INPUT_LOST,     /* the order is finished, and its agent named no end */
    INPUT_DEADLINE, /* nothing was heard for too long */
    INPUT_BACK,     /* a person decided to go back */
    INPUT_SKIP,
    INPUT_COUNT
};

enum rollout_state { ROLLOUT_RUNNING, ROLLOUT_DONE, ROLLOUT_HALTED, ROLLOUT_STATE_COUNT };

struct rollout_stage {
    uint32_t batch[ROLLOUT_BATCH_MAX]; /* sites at once, batch after batch; the last repeats; 0: all
                                          the rest */
    size_t batch_count;                /* 0: one at a time */
    uint32_t max_failed, max_silent;
};

struct rollout_site {
    size_t stage;
    enum site_state state;
    int64_t ordered_ms; /* when its order was given */
    int64_t heard_ms;   /* newest word of its agent */
};

struct rollout_limits {
    int64_t order_ms, silence_ms;
}; /* until an order must be acknowledged; without any word */

struct rollout {
    enum rollout_state state;
    char reason[ROLLOUT_REASON_MAX]; /* not empty: nothing new starts, and why */
    const struct rollout_stage *stages;
    size_t stage_count;
    struct rollout_site *sites; /* in the plan's order, stage by stage */
    size_t site_count;
    struct rollout_limits limits;
};

enum rollout_event_kind { ROLLOUT_TICK, ROLLOUT_HEARD, ROLLOUT_SITE, ROLLOUT_STOP };
struct rollout_event {
    enum rollout_event_kind kind;
    size_t site;           /* HEARD, SITE */
    enum site_input input; /* SITE */
    int64_t now_ms;
    const char *reason; /* STOP: a person's words */
};

/* Takes the event in. False: it changed nothing that must be stored. */
bool rollout_on(struct rollout *rollout, const struct rollout_event *event);
/* The next site to order, which becomes ORDERED by this; false when none may start now. */
bool rollout_next(struct rollout *rollout, int64_t now_ms, size_t *ret_site);

const char *site_state_name(enum site_state state);
bool site_state_parse(const char *name, enum site_state *ret_state);
bool site_state_in_flight(enum site_state state);
bool site_state_failed(enum site_state state);
const char *rollout_state_name(enum rollout_state state);
bool rollout_state_parse(const char *name, enum rollout_state *ret_state);
