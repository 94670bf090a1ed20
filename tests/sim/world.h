/* world - one simulated rollout: a clock, a seed, what is still to happen, and everybody in it.
 *
 * Holds the state of all nouns of the simulator and the queue of what happens next; decides nothing about
 * upgrades. The decisions are those of controller/core and agent/core, which are linked as they are.
 * Invariant: everything follows from the seed and the options; no real clock, no file, no address is looked at. */
#pragma once
#include "agent/core/runbook.h"
#include "agent/core/session.h"
#include "controller/core/rollout.h"
#include "controller/core/stage.h"
#include <stdarg.h>

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)

#define SITES_MAX    256
#define STAGES_MAX   4
#define RUNS_MAX     8 /* attempts of one site */
#define SPANS_MAX    4
#define SPAN_ROWS    (STAGES_MAX + 3) /* stages' windows, freezes, holds, sites' windows */
#define RESEND_MS    (5 * SECOND_MS)
#define DEADLINE_MS  (10 * MINUTE_MS) /* of an order, and of silence */
#define SLOW_BEAT_MS (4 * MINUTE_MS) /* of agents without a run, and once nothing is lost any more */
#define SLOW_TICK_MS MINUTE_MS
#define IDLE_MS      (30 * MINUTE_MS) /* a rollout that is over is looked at for so long, under faults */
#define HANG_MAX_MS  (2 * HOUR_MS)   /* longer limits of steps are cut to this */
#define BOUND_MS     (72 * HOUR_MS)  /* after the faults, everything has an end within it */

/* Which faults this seed has; zero is none. Percentages but where a unit says otherwise. */
struct faults {
    uint32_t loss, twice, late, fail, hang, died, probe_worse, probe_fails, undo_fails, power, policy;
    int64_t late_ms;                          /* the longest delay */
    int64_t agent_crash_ms, controller_crash_ms, cut_ms, broken_link_ms, person_ms; /* mean time between two */
    bool two_controllers; /* the one before goes on giving its orders after another took over */
};

/* What can be left out of a run, by name. */
#define FAULTS(X)                                                                                             \
    X(LOSS, "loss")                                                                                           \
    X(TWICE, "twice")                                                                                         \
    X(LATE, "late")                                                                                           \
    X(FAIL, "fail")                                                                                           \
    X(HANG, "hang")                                                                                           \
    X(DIED, "died")                                                                                           \
    X(PROBE_WORSE, "probe-worse")                                                                             \
    X(PROBE_FAILS, "probe-fails")                                                                             \
    X(UNDO_FAILS, "undo-fails")                                                                               \
    X(POWER, "power")                                                                                         \
    X(POLICY, "policy")                                                                                       \
    X(AGENT_CRASH, "agent-crash")                                                                             \
    X(CONTROLLER_CRASH, "controller-crash")                                                                   \
    X(CUT, "cut")                                                                                             \
    X(BROKEN_LINK, "broken-link")                                                                             \
    X(PERSON, "person")                                                                                       \
    X(TWO_CONTROLLERS, "two-controllers")                                                                     \
    X(WINDOWS, "windows")                                                                                     \
    X(FREEZES, "freezes")                                                                                     \
    X(HOLDS, "holds")                                                                                         \
    X(EXPIRY, "expiry")
#define X(id, name) FAULT_##id,
enum fault { FAULTS(X) FAULT_COUNT };
#undef X

/* A run that was made smaller: what it leaves out. */
struct wish {
    uint32_t without;        /* a bit for each fault */
    const uint32_t *strikes; /* the numbers of the faults that do strike, in order; NULL: all */
    size_t strike_count;
};

enum letter_kind { LETTER_HELLO, LETTER_WELCOME, LETTER_BEAT, LETTER_BEAT_BACK, LETTER_REPORT, LETTER_REPORT_ACK,
                   LETTER_ORDER, LETTER_ORDER_ACK, LETTER_REFUSAL };
struct letter {
    enum letter_kind kind;
    bool to_agent, accepted; /* WELCOME: it is not pending */
    uint32_t site, link, order; /* link: number of the connection */
    int code;
    uint64_t epoch, seq;
    int64_t at_ms, start_by_ms;
};

enum happening_kind { HAPPENS_LETTER, HAPPENS_WAKE, HAPPENS_ACT_END, HAPPENS_AGENT_CRASH, HAPPENS_AGENT_START,
                      HAPPENS_LINK_BREAK, HAPPENS_LINK_UP, HAPPENS_CUT, HAPPENS_CONTROLLER_CRASH,
                      HAPPENS_CONTROLLER_START, HAPPENS_TICK, HAPPENS_PERSON, HAPPENS_COUNT };
struct happening {
    enum happening_kind kind;
    uint32_t site, token;
    struct letter letter;
};
struct turn { /* whose turn it is next; number breaks ties by the order in which they were foreseen */
    int64_t at_ms;
    uint32_t number, at; /* its place among what is foreseen */
};

enum decision { DECISION_NONE, DECISION_ROLLBACK, DECISION_COMMIT, DECISION_ABORT, DECISION_SKIP };
enum order_state { ORDER_PENDING, ORDER_ACKED, ORDER_REFUSED, ORDER_DONE, ORDER_WITHDRAWN };
struct told { /* one order in the controller's outbox; number is its place, from 1 */
    uint32_t site, attempt;
    enum decision decision; /* NONE: it is an upgrade */
    enum order_state state;
    uint64_t serial;
    int64_t created_ms, sent_ms;
};

enum report_kind { REPORT_STEP, REPORT_RUN, REPORT_DONE };
struct report { /* one event in an agent's outbox; its number is its place, from 1 */
    enum report_kind kind;
    enum site_input state; /* of RUN */
    uint32_t attempt, order;
    int code; /* of DONE */
    bool stopped;
};

struct entry { /* one row of a run's journal */
    enum run_event event;
    enum step step;
    int64_t at_ms;
};
struct seen { /* kept by the laws, from the rows alone */
    bool flying, back, probing, kept, ended;
    int undo_fails, probe_fails;
    uint32_t begun; /* steps, a bit for each */
    int64_t soak_ms;
};
struct run {
    struct seen seen;
    uint32_t attempt, order;
    enum outcome outcome;
    int64_t created_ms;
    struct entry *rows;
    size_t row_count, row_room;
    struct runbook latest; /* as it was after the last row; only the laws look at it */
    bool ever[OUTCOME_HELD + 1], applied, taken_back;
    bool stopped, told_back; /* kept by the laws: its stop was acted, a person's rollback stands */
};
struct answer { uint32_t order; int code; };

enum worth { WORTH_ABSENT, WORTH_PARTIAL, WORTH_COMPLETE };
enum doing { DOING_NOTHING, DOING_ACT, DOING_UNDO, DOING_PROBE };
enum end { END_WELL, END_FAILED, END_DIED };

struct site {
    uint32_t number;
    char name[16];
    /* What the agent's disk holds. */
    struct run runs[RUNS_MAX];
    size_t run_count;
    uint64_t epoch, decision_serial;
    uint64_t welcome_epoch; /* kept by the laws: the newest epoch of a Welcome that it heard */
    bool dropped;
    struct answer *answers;
    size_t answer_count, answer_room;
    struct report *reports;
    size_t report_count, report_room;
    uint64_t gone;
    /* What a crash of the agent loses. */
    bool up, linked;
    bool dead;         /* the power went after something was written: nothing more is, said or done */
    unsigned writing;  /* so deep in one transaction of its journal */
    uint32_t link, act, unwelcome; /* connections in a row that nobody welcomed */
    int64_t clock_skew_ms; /* of its monotonic clock; this one outlives crashes */
    struct session session;
    int64_t answered_ms;
    bool answered, clock_known;
    int64_t clock_ms;
    struct run *open; /* in flight or held */
    enum order_kind ordered; /* this one and the next seven are kept by the laws */
    uint32_t welcomed, accepted_link, said_link;
    int64_t said_ms;
    uint64_t said_last, said_most;
    struct runbook rb;
    enum doing doing;
    enum end act_end;
    int64_t not_before_ms, soak_end_ms, wake_ms;
    /* What is true on the server. */
    enum worth effect[STEP_COUNT];
    bool down, schema_touched;
    bool given_up; /* a person skipped it; whoever takes it up again by hand answers for it */
    /* What the network does to it. */
    int64_t cut_to_ms[2], in_turn_ms[2]; /* by direction: to the controller, to the agent */
    /* What the controller's store holds of it, beside the engine's own. */
    uint64_t event_seq;
    uint32_t attempt;
    enum site_input run_state; /* INPUT_COUNT: none */
    uint32_t greeted;          /* link of its session there; lost in a crash */
    int64_t accepted_ms;       /* when a person accepts it; before, it is pending */
    bool told_accepted;        /* over this link */
    int64_t seen_ms;
};

struct world {
    uint64_t seed;
    /* One stream of chance for each kind of happening at each site, so that one more or less changes little else. */
    uint64_t *stream, choices, streams[HAPPENS_COUNT][SITES_MAX];
    int64_t now_ms, faults_end_ms, idle_from_ms;
    int64_t heartbeat_ms, tick_ms;
    struct faults faults;
    struct turn *heap;
    struct happening *foreseen;
    uint32_t *unused, number;
    size_t heap_count, heap_room, foreseen_count, foreseen_room, unused_count, unused_room;
    /* The controller: what its store holds, and what a crash loses. */
    struct rollout rollout;
    struct rollout_stage stages[STAGES_MAX];
    struct rollout_site places[SITES_MAX];
    struct gate run_gate;
    struct span spans[SPAN_ROWS][SPANS_MAX];
    size_t covered_by[SITES_MAX]; /* the test site, from 1; zero: none */
    struct told *orders;
    size_t order_count, order_room;
    uint64_t epoch, serial;
    bool controller_up;
    int64_t started_ms, soak_ms;
    int64_t due_ms; /* no tick before it changes anything */
    bool hold_on_failure;
    size_t site_count;
    struct site sites[SITES_MAX];
    /* How the run was made smaller. */
    struct wish wish;
    struct site *dying; /* its agent has lost its power within what happens now */
    uint32_t strikes;   /* so many faults had their turn */
    size_t strike_at;
    /* For who looks on. */
    struct coverage *coverage; /* NULL: not counted */
    const char *rule;          /* the words of the law that was broken, before they were filled in */
    bool telling, broken, over;
    struct {
        char reason[ROLLOUT_REASON_MAX];
        bool aborted, excused[SITES_MAX];
        enum site_state state[SITES_MAX];
    } was; /* before the event; kept by the laws */
    uint64_t looks;
    uint64_t happenings;
    char violation[512];
    uint32_t violation_site;
    struct story *story;
};

/* sites 0: as many as the seed says. world->wish stays what it was. */
void world_begin(struct world *world, uint64_t seed, size_t sites);
extern const char *const fault_names[FAULT_COUNT];
/* Until it is over or a law was broken. */
void world_run(struct world *world);
void world_free(struct world *world);

uint64_t world_random(struct world *world, uint64_t below);
/* A fault, by chance. */
bool world_chance(struct world *world, uint32_t percent);
/* Around the mean, never zero. */
int64_t world_wait(struct world *world, int64_t mean_ms);
bool world_faulty(const struct world *world);
struct happening *world_foresee(struct world *world, int64_t at_ms, enum happening_kind kind, uint32_t site,
                                uint32_t token);
/* Grows an array by one; exits when there is no memory. */
void *world_grow(void *items, size_t count, size_t *room, size_t size);
