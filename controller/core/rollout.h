/* rollout - decides which site may start when, and when a rollout is over; performs nothing itself.
 *
 * Feed it an event, then take orders until there are none; the owner stores state and orders in one
 * transaction before anything is sent. A stage begins when the one it needs has succeeded: all its
 * sites kept or skipped, within its gate. Inside a stage, batches; the default is one site at a
 * time. A gate that closes stops new starts everywhere; sites in flight still end by themselves. No
 * clock, no I/O, no heap: time arrives in events, and the caller owns the arrays.
 *
 * Invariant: a site leaves "queued" only by an order that rollout_next() gave, by a skip, or by the
 * word of its own agent; never more sites of a stage are at work or in doubt than its batch allows
 * when one is started; nothing starts outside a window or inside a freeze or hold; what was halted
 * stays so until a person resumes it, what was aborted for good. */
#pragma once
#include "controller/core/gate.h"
#include "controller/core/site_state.h"
#include "controller/core/window.h"

#define ROLLOUT_REASON_MAX 512
#define ROLLOUT_BATCH_MAX  16
#define ROLLOUT_STAGES_MAX 64

enum rollout_state { ROLLOUT_RUNNING, ROLLOUT_DONE, ROLLOUT_HALTED, ROLLOUT_STATE_COUNT };

struct rollout_stage {
    const char *name;
    uint32_t batch[ROLLOUT_BATCH_MAX]; /* sites at once, batch after batch; the last repeats; 0: all
                                          the rest */
    size_t batch_count;                /* 0: one at a time */
    struct gate gate;
    size_t needs; /* number of the stage that must have succeeded, from 1; 0: the one before */
    uint32_t approvals_needed, approvals; /* those that are in force now */
    struct span_list windows;             /* none: any time */
};

struct rollout_site {
    const char *name;
    size_t stage;
    enum site_state state;
    bool excused;       /* a person resumed in spite of how it ended: no gate counts it */
    int64_t ordered_ms; /* when its order was given */
    int64_t heard_ms;   /* newest word of its agent */
    struct span_list windows, holds;
    int64_t estimate_ms;
    const char *uncovered; /* the test site that must be on this release first; NULL: none */
};

struct rollout_limits {
    int64_t order_ms, silence_ms;
}; /* until an order must be acknowledged; without any word */

struct rollout {
    enum rollout_state state;
    char reason[ROLLOUT_REASON_MAX]; /* not empty: nothing new starts, and why */
    bool paused, aborted;
    char paused_reason[ROLLOUT_REASON_MAX];
    const struct rollout_stage *stages;
    size_t stage_count;
    struct rollout_site *sites; /* in the plan's order, stage by stage */
    size_t site_count;
    const struct gate *run_gate; /* over all stages; NULL: none */
    struct span_list freezes;
    int64_t expires_ms; /* of the plan: agents take no order after it; 0: never */
    struct rollout_limits limits;
};

#define ROLLOUT_EVENTS(X)                                                                          \
    X(TICK, "time")                                                                                \
    X(HEARD, "heard")                                                                              \
    X(SITE, "site")                                                                                \
    X(STOP, "stop")                                                                                \
    X(PAUSE, "pause")                                                                              \
    X(RESUME, "resume")                                                                            \
    X(ABORT, "abort")                                                                              \
    X(STAYS, "stays") /* the agent refused to take the site back; input: what it is instead */
#define X(id, name) ROLLOUT_##id,
enum rollout_event_kind { ROLLOUT_EVENTS(X) ROLLOUT_EVENT_COUNT };
#undef X
struct rollout_event {
    enum rollout_event_kind kind;
    size_t site;           /* HEARD, SITE */
    enum site_input input; /* SITE, STAYS */
    int64_t now_ms;
    const char *reason; /* STOP, PAUSE, ABORT: a person's words; STAYS: the agent's */
};

/* Takes the event in. False: it changed nothing that must be stored. */
bool rollout_on(struct rollout *rollout, const struct rollout_event *event);
/* The next site to order, which becomes ORDERED by this; false when none may start now. */
bool rollout_next(struct rollout *rollout, int64_t now_ms, size_t *ret_site);

const char *rollout_state_name(enum rollout_state state);
bool rollout_state_parse(const char *name, enum rollout_state *ret_state);
