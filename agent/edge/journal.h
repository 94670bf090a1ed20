/* journal - what this agent has taken upon itself and how far it has come, in STATE/agent.db.
 *
 * The one memory of the agent: a run is read back from here alone, by feeding its events to the
 * runbook again. Each call that writes is one synced transaction; an act is done only after its
 * intent was written. Events for the controller are copies, kept in the outbox until they are
 * acknowledged, in the transaction of what they tell. A failed write spoils the journal for good
 * (db.h): its owner stops, and is started anew. */
#pragma once
#include "agent/core/runbook.h"
#include "confleet/db.h"
#include "confleet/wire.h"

#define JOURNAL_OUTBOX_MAX                                                                         \
    200000                    /* events; log lines are dropped long before, see journal_event() */
#define JOURNAL_LOGS_MAX 2000 /* unacknowledged events above which log lines are not kept */
#define RUN_ID_MAX       128

struct journal;
int journal_open(const char *state_dir, struct journal **ret,
                 struct err *err) MUST_USE; /* counts the start */
int journal_open_read(const char *state_dir, struct journal **ret,
                      struct err *err) MUST_USE; /* beside a running agent; writes fail */
void journal_close(struct journal **journal);
int journal_tx(struct journal *journal, db_tx_fn *fn, void *arg,
               struct err *err) MUST_USE; /* joins several calls into one transaction */

uint64_t journal_start_count(const struct journal *journal);
uint64_t journal_epoch(const struct journal *journal);
uint64_t journal_decision(
    const struct journal *journal); /* highest serial of a decision that was obeyed */
int journal_decision_set(struct journal *journal, uint64_t serial, struct err *err) MUST_USE;
int journal_epoch_set(struct journal *journal, uint64_t epoch, struct err *err) MUST_USE;

/* Highest serial of a plan that was taken for this installation, zero for none: rollouts side by
 * side may reach one agent in any order, and only what concerns the same installation outdates a
 * plan. It never goes down. */
int journal_serial(struct journal *journal, const char *installation, uint64_t *ret,
                   struct err *err) MUST_USE;
int journal_serial_set(struct journal *journal, const char *installation, uint64_t serial,
                       struct err *err) MUST_USE;

/* Orders: their ids make a second delivery harmless. */
struct journal_order {
    char *id;
    char *bytes;
    size_t len;
};
int journal_order_find(struct journal *journal, const char *id, bool *ret_found, int *ret_code,
                       char **ret_message, struct err *err) MUST_USE;
int journal_order_add(struct journal *journal, const char *id, const void *bytes, size_t len,
                      int code, const char *message, bool done, struct err *err) MUST_USE;
int journal_order_done(struct journal *journal, const char *id, struct err *err) MUST_USE;
int journal_order_starts(struct journal *journal, const char *id, int64_t *ret_starts,
                         struct err *err) MUST_USE; /* counts one more */
typedef int journal_order_fn(void *arg, const struct journal_order *order, struct err *err);
int journal_orders_open(struct journal *journal, journal_order_fn *each, void *arg,
                        struct err *err) MUST_USE; /* accepted, not done */

/* Sites of a plan that a person took out of it (skip, abort): nothing of it starts there any more. */
int journal_drop_set(struct journal *journal, const char *plan_sha256, const char *site,
                     const char *why, struct err *err) MUST_USE;
int journal_dropped(struct journal *journal, const char *plan_sha256, const char *site,
                    char **ret_why_owned, struct err *err) MUST_USE; /* NULL: it was not */

/* The newest head of the controller's audit chain that was seen; seq zero: none. */
struct journal_head {
    uint64_t seq;
    char hash[65];
};
int journal_store_head(struct journal *journal, struct journal_head *ret, struct err *err) MUST_USE;
int journal_store_head_set(struct journal *journal, const struct journal_head *head,
                           struct err *err) MUST_USE;

/* Runs. */
struct journal_run {
    char id[RUN_ID_MAX];
    char *installation, *install, *home, *site, *order_id, *plan_id, *plan_sha256, *reason;
    char *plan; /* the signed payload's bytes */
    size_t plan_len;
    uint32_t attempt;
    enum outcome outcome; /* NONE: in flight */
    int64_t created_ms, finished_ms, outage_ms;
};
void journal_run_free(struct journal_run *run); /* what it points to; fits CLEANUP() */
int journal_run_add(struct journal *journal, const struct journal_run *run,
                    struct err *err) MUST_USE;
int journal_run_end(struct journal *journal, const char *id, enum outcome outcome,
                    const char *reason, int64_t finished_ms, int64_t outage_ms,
                    struct err *err) MUST_USE;
int journal_run_reopen(struct journal *journal, const char *id, const char *order_id,
                       struct err *err) MUST_USE;
typedef int journal_run_fn(void *arg, const struct journal_run *run, struct err *err);
int journal_runs(struct journal *journal, bool open_only, journal_run_fn *each, void *arg,
                 struct err *err) MUST_USE; /* open: in flight or held; oldest first */
/* FAIL_NOT_FOUND. Empty texts match anything; the newest wins. */
int journal_run_find(struct journal *journal, const char *id, const char *installation,
                     const char *plan_sha256, const char *site, struct journal_run *ret,
                     struct err *err) MUST_USE;

/* Expiry: noted before anything of a run is removed, so that nobody goes back behind it; done when
 * it is all gone. */
int journal_expiry_set(struct journal *journal, const char *run, bool done,
                       struct err *err) MUST_USE;
int journal_expiry(struct journal *journal, const char *run, bool *ret_expired,
                   struct err *err) MUST_USE;
/* Runs that ended, other than held, at or before that moment and are not expired whole. */
int journal_runs_over(struct journal *journal, int64_t before_ms, journal_run_fn *each, void *arg,
                      struct err *err) MUST_USE;
/* Was a later run of the same installation committed, so that this one's tree is not the one in
 * use? */
int journal_run_superseded(struct journal *journal, const char *run, bool *ret_superseded,
                           struct err *err) MUST_USE;

struct journal_step {
    enum step step;
    enum run_event event;
    int64_t at_ms, took_ms;
    const char *message;
};
int journal_step_add(struct journal *journal, const char *run, const struct journal_step *step,
                     struct err *err) MUST_USE;
typedef int journal_step_fn(void *arg, const struct journal_step *step, struct err *err);
int journal_steps(struct journal *journal, const char *run, journal_step_fn *each, void *arg,
                  struct err *err) MUST_USE;

int journal_memo_set(struct journal *journal, const char *run, const char *key, const char *value,
                     struct err *err) MUST_USE;
typedef int journal_memo_fn(void *arg, const char *key, const char *value, struct err *err);
int journal_memo(struct journal *journal, const char *run, journal_memo_fn *each, void *arg,
                 struct err *err) MUST_USE;

/* Workers that may outlive a killed agent; see worker_sweep(). */
int journal_worker_add(struct journal *journal, int64_t pid, const char *birth,
                       struct err *err) MUST_USE;
int journal_worker_drop(struct journal *journal, int64_t pid, struct err *err) MUST_USE;
typedef int journal_worker_fn(void *arg, int64_t pid, const char *birth, struct err *err);
int journal_workers(struct journal *journal, journal_worker_fn *each, void *arg,
                    struct err *err) MUST_USE;

/* Outbox. Gives the event its number and keeps it; *ret_seq zero: a log line that was dropped. */
int journal_event(struct journal *journal, Confleet__Event *event, uint64_t *ret_seq,
                  struct err *err) MUST_USE;
uint64_t journal_event_seq(const struct journal *journal); /* newest */
/* The newest that was acknowledged: up to it the outbox is empty. */
int journal_event_gone(struct journal *journal, uint64_t *ret_seq, struct err *err) MUST_USE;
int journal_event_acked(struct journal *journal, uint64_t seq, struct err *err) MUST_USE;
typedef int journal_event_fn(void *arg, uint64_t seq, const void *bytes, size_t len,
                             struct err *err);
int journal_events(struct journal *journal, uint64_t after, uint32_t limit, journal_event_fn *each,
                   void *arg, struct err *err) MUST_USE;
