/* runbook - decides the next act of one node's upgrade; performs nothing itself.
 *
 * One table gives order, journal spelling, label for people, whether Confluence is down, who does it and what a cut-off step
 * is worth. Feed it an event, obey the order it answers. The driver journals each order, synced, before it acts, so replaying
 * the journal after a crash leads back to this very state; the step that was cut off is probed, never guessed at.
 * No clock, no I/O, no heap: the simulator drives this code.
 *
 * Invariant: once the stop was intended, the only ends are COMMITTED (or APPLIED on the way there), ROLLED_BACK and HELD. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

enum step_phase { PHASE_PREPARE, PHASE_PROTECT, PHASE_SWITCH, PHASE_PROVE, PHASE_SETTLE, PHASE_COUNT };
enum step_actor { ACTOR_WORKER, ACTOR_AGENT };      /* AGENT: needs keys or only time, done in the agent's own process */
/* What a failed act means. BACK: undo everything from here; NOTE: a finding is recorded and the run goes on. */
enum step_failure { FAILURE_BACK, FAILURE_NOTE };

/* id, journal spelling, label, phase, site is down, actor, has undo, failure, time limit in seconds. Every act
 * can be done again over what is left of it.
 * guard takes away what makes the old tree startable after the stop; the new tree is unpacked without it;
 * start puts it back as its first act and is the point of no return: its undo stops the new build. */
#define RUNBOOK_STEPS(X)                                                                                          \
    X(CHECK,            "check",            "checking readiness",               PREPARE, 0, WORKER, 0, BACK, 900)   \
    X(FETCH,            "fetch",            "fetching the release",             PREPARE, 0, AGENT,  0, BACK, 86400) \
    X(UNPACK,           "unpack",           "unpacking beside the old version", PREPARE, 0, WORKER, 1, BACK, 3600)  \
    X(CARRY,            "carry",            "carrying customisations over",     PREPARE, 0, WORKER, 0, BACK, 1800)  \
    X(RESERVE,          "reserve",          "reserving space for the way back", PREPARE, 0, WORKER, 1, BACK, 600)   \
    X(BASELINE,         "baseline",         "taking the baseline",              PREPARE, 0, WORKER, 0, BACK, 600)   \
    X(BACKUP,           "backup",           "backing up while running",         PROTECT, 0, WORKER, 0, BACK, 86400) \
    X(VERIFY,           "verify",           "proving the backup by restoring",  PROTECT, 0, WORKER, 0, BACK, 86400) \
    X(STOP,             "stop",             "stopping",                         SWITCH,  1, WORKER, 1, BACK, 900)   \
    X(GUARD,            "guard",            "setting the start guard",          SWITCH,  1, WORKER, 1, BACK, 60)    \
    X(CAPTURE_FILES,    "capture-files",    "capturing changed files",          SWITCH,  1, WORKER, 1, BACK, 86400) \
    X(CAPTURE_DATABASE, "capture-database", "capturing the database",           SWITCH,  1, WORKER, 1, BACK, 86400) \
    X(SWITCH,           "switch",           "switching the installation",       SWITCH,  1, WORKER, 1, BACK, 60)    \
    X(CONFIGURE,        "configure",        "applying configuration",           SWITCH,  1, WORKER, 0, BACK, 300)   \
    X(START,            "start",            "starting the new version",         PROVE,   1, WORKER, 1, BACK, 300)   \
    X(WAIT,             "wait",             "waiting for the schema upgrade",   PROVE,   1, WORKER, 0, BACK, 86400) \
    X(COMPARE,          "compare",          "comparing build numbers",          PROVE,   1, WORKER, 0, BACK, 120)   \
    X(PROBE,            "probe",            "probing pages and data",           PROVE,   1, WORKER, 0, BACK, 600)   \
    X(PROVE_CAPTURE,    "prove-capture",    "proving the capture of the stop",  SETTLE,  0, WORKER, 0, NOTE, 86400) \
    X(SOAK,             "soak",             "soaking",                          SETTLE,  0, AGENT,  0, BACK, 0)     \
    X(COMMIT,           "commit",           "keeping the new version",          SETTLE,  0, WORKER, 0, NOTE, 600)

#define X(id, name, label, phase, down, actor, undo, failure, limit) STEP_##id,
enum step { RUNBOOK_STEPS(X) STEP_COUNT };
#undef X

struct step_def {
    const char *name, *label;
    enum step_phase phase;
    bool down, undo;
    enum step_actor actor;
    enum step_failure failure;
    uint32_t limit_s;             /* zero: none (soak) */
};
extern const struct step_def runbook_steps[STEP_COUNT];
const char *step_phase_name(enum step_phase phase);
int step_parse(const char *name, enum step *ret_step, struct err *err) MUST_USE;   /* FAIL_CORRUPT */

/* What happened. The journal stores these spellings; feeding them again in order is how a run is read back. */
#define RUNBOOK_EVENTS(X)                                                                                \
    X(INTENT, "intent")                  /* the order of runbook_next() was journalled and may be obeyed */ \
    X(ACT_OK, "done")                                                                                    \
    X(ACT_FAILED, "failed")                                                                              \
    X(CRASHED, "crashed")                /* an order was in flight when the agent or its worker ended */ \
    X(PROBED_ABSENT, "absent")                                                                           \
    X(PROBED_PARTIAL, "partial")                                                                         \
    X(PROBED_COMPLETE, "complete")                                                                       \
    X(PROBE_FAILED, "probe-failed")      /* the probe could not say */                                   \
    X(UNDO_OK, "undone")                                                                                 \
    X(UNDO_FAILED, "undo-failed")                                                                        \
    X(SOAK_OVER, "soak-over")                                                                            \
    X(COMMIT_ORDERED, "commit-ordered")                                                                  \
    X(ROLLBACK_ORDERED, "rollback-ordered")                                                              \
    X(RESUME_ORDERED, "resume-ordered")  /* a person lets a held run try its order again */
#define X(id, name) EVENT_##id,
enum run_event { RUNBOOK_EVENTS(X) EVENT_COUNT };
#undef X

enum order_kind { ORDER_DO, ORDER_UNDO, ORDER_PROBE, ORDER_WAIT_SOAK, ORDER_FINISHED };
enum outcome { OUTCOME_NONE, OUTCOME_COMMITTED, OUTCOME_ROLLED_BACK, OUTCOME_NOT_READY, OUTCOME_HELD };
struct order { enum order_kind kind; enum step step; enum outcome outcome; };   /* outcome with FINISHED only */

#define RUNBOOK_STARTS_MAX 2         /* a third start of the same act does not happen: the run turns back */
#define RUNBOOK_UNDO_MAX 3           /* failed undos of one step before a person is called */
#define RUNBOOK_PROBES_MAX 3         /* probes without an answer before the run turns back */

enum run_mode { MODE_READY, MODE_BUSY, MODE_PROBING, MODE_ENDED };
struct runbook {                     /* all zero: nothing done yet */
    int at;                          /* enum step; the step being done or undone */
    enum run_mode mode;
    enum outcome outcome;
    bool undoing;
    bool begun;                      /* the present step's act was intended, also before a person resumed the run */
    bool stop_intended;              /* from here NOT_READY is no end any more */
    bool start_intended;             /* the point of no return: the schema may have changed */
    bool rollback_wanted;            /* obeyed at the next boundary between two steps */
    bool hold_on_failure;            /* set by the driver from the plan before the first event */
    uint8_t starts, undo_fails, probe_fails;   /* of the present step */
};

struct order runbook_next(const struct runbook *rb);
/* Is the event possible now? Anything else is a bug of the driver or a damaged journal. */
bool runbook_takes(const struct runbook *rb, enum run_event event);
struct order runbook_on(struct runbook *rb, enum run_event event);
/* Is the site down, as far as this machine knows: between the stop's intent and the last proof, or on the way back. */
bool runbook_down(const struct runbook *rb);
const char *run_event_name(enum run_event event);
int run_event_parse(const char *name, enum run_event *ret_event, struct err *err) MUST_USE;   /* FAIL_CORRUPT */
const char *outcome_name(enum outcome outcome);
