/* worker - one order being done by a confleet-worker process of its own, watched through its pipes.
 *
 * Knows nothing of runs and keeps no journal. The worker leads a session; what it started and did
 * not detach ends with it. It reads its order only after its pid was journalled by the owner, so
 * that a killed agent finds it again. Its output is bounded; what it says besides WorkerReply goes
 * to the log as text. */
#pragma once
#include "confleet/err.h"
#include "confleet/wire.h"
#include <sys/types.h>
#include <zmq.h>

#define WORKER_POLL_MAX    4
#define WORKER_BIRTH_MAX   96
#define WORKER_STDERR_MAX  4096   /* the newest of it, for the error's text */
#define WORKER_REPLIES_MAX 100000 /* findings and log lines of one order; progress is not counted */

struct worker;
/* Starts the process; nothing is done before worker_order(). */
int worker_open(const char *program, struct worker **ret, struct err *err) MUST_USE;
void worker_close(struct worker **worker); /* kills it when it still runs */
pid_t worker_pid(const struct worker *worker);
const char *worker_birth(const struct worker *worker); /* boot id and start time: tells this process
                                                          from a later one of that pid */
/* limit_ms: zero for none. */
void worker_order(struct worker *worker, const Confleet__WorkerOrder *order, int64_t limit_ms,
                  int64_t now_mono_ms);

size_t worker_poll(const struct worker *worker, zmq_pollitem_t items[WORKER_POLL_MAX]);
int64_t worker_due_ms(const struct worker *worker); /* monotonic time at which worker_tick() wants
                                                       to be called; INT64_MAX: on input only */

/* Progress, findings and log lines as they come; the message is valid inside the call only. */
typedef void worker_reply_fn(void *arg, const Confleet__WorkerReply *reply);
enum worker_state { WORKER_RUNNING, WORKER_ANSWERED, WORKER_DIED, WORKER_OVERDUE };
/* ANSWERED: worker_result() is there. DIED: it ended without a result. OVERDUE: killed at its
 * limit. worker_why() has words. */
enum worker_state worker_tick(struct worker *worker, int64_t now_mono_ms, worker_reply_fn *reply,
                              void *arg);
const Confleet__WorkerResult *worker_result(const struct worker *worker);
const char *worker_why(const struct worker *worker);

/* Kills what is left of a worker that an agent before this one started; returns when nothing of it
 * runs. FAIL_TIMEOUT. */
int worker_sweep(pid_t pid, const char *birth, struct err *err) MUST_USE;
