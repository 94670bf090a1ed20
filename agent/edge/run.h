/* run - one node's upgrade being driven: journal the order, act, journal the outcome, feed the
 * runbook.
 *
 * The runbook decides, the journal remembers, a worker acts; this is the loop between them. It
 * waits for no controller but once: the plan was verified before the run was journalled, the
 * artifact is fetched before the stop. A site that the controller may have declared silent, and
 * whose place others may have taken, is not stopped before the agent was heard again; once stopped,
 * it needs nobody. A journal that cannot be written ends the agent (the call fails);
 * nothing is done that was not recorded before. Invariant: at most one worker, and the runbook's
 * mode is BUSY or PROBING whenever one runs (or it is soaking). */
#pragma once
#include "agent/edge/config.h"
#include "agent/edge/journal.h"
#include "agent/edge/report.h"
#include "agent/edge/worker.h"

struct run;
struct run_host {
    const struct config *config;
    struct journal *journal;
    const struct join *controller; /* whose keys waivers are verified by; NULL: none counts */
    void (*say)(void *arg, const void *frame, size_t len); /* progress, not kept; may be NULL */
    void *arg;
    /* Whether the controller has heard of this agent within silence_ms (zero: as long as it says);
     * NULL: nobody asks. */
    bool (*is_heard)(const void *agent, int64_t silence_ms);
    const void *agent;
};

/* Reads the run back: FAIL_CORRUPT when its events cannot have happened. A cut-off order is noted
 * as crashed. */
int run_open(const struct run_host *host, const struct journal_run *row, struct run **ret,
             struct err *err) MUST_USE;
void run_close(struct run **run);
const char *run_id(const struct run *run);
const char *run_installation(const struct run *run);
const char *run_install(const struct run *run); /* path */
const char *run_site(const struct run *run);
const char *run_plan_sha256(const struct run *run);
const struct runbook *run_runbook(const struct run *run);
const char *run_reason(const struct run *run);
int64_t run_outage_ms(const struct run *run, int64_t now_wall_ms);
bool run_over(const struct run *run);   /* ended and reported; held runs are over too, but stay */
bool run_acting(const struct run *run); /* a worker of this run is at work */

/* Does what can be done now and returns; negative: the journal failed and the agent must stop. */
int run_tick(struct run *run, struct err *err) MUST_USE;
size_t run_poll(const struct run *run, zmq_pollitem_t items[WORKER_POLL_MAX]);
int64_t run_due_ms(const struct run *run); /* monotonic; INT64_MAX: on input only */

/* A person's word, already verified: EVENT_ROLLBACK_ORDERED, EVENT_COMMIT_ORDERED or
 * EVENT_RESUME_ORDERED. FAIL_CONFLICT, nothing changed, when the run is past it. An ended run is
 * open again afterwards. */
int run_word(struct run *run, enum run_event word, const char *order_id, const char *why,
             struct err *err) MUST_USE;

/* The step "fetch" is done by whoever has the bulk link. */
bool run_wants_fetch(const struct run *run);
const Confleet__Release *run_release(const struct run *run);
int run_fetched(struct run *run, int code, const char *message, struct err *err) MUST_USE;
void run_fetching(struct run *run, uint64_t done, uint64_t total, const char *text); /* progress */

/* The site of this name in the plan, and its stage; NULL when there is none. */
const Confleet__PlanSite *plan_site(const Confleet__Plan *plan, const char *name,
                                    const Confleet__PlanStage **ret_stage);
