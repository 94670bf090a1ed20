/* task - a job that is no run: survey, check, backup, verify, restore aside or expiry of one
 * installation, by one worker.
 *
 * Changes nothing of the site. A task that was cut off is done again after a restart, from its
 * order in the journal. */
#pragma once
#include "agent/edge/run.h"

enum task_kind { TASK_SURVEY, TASK_CHECK, TASK_BACKUP, TASK_VERIFY, TASK_EXPIRE, TASK_RESTORE };
#define TASK_STARTS_MAX 3 /* an order that ended so many agents is given up */

struct task;
/* Texts are copied. order_id "": nobody waits for it. */
struct task_spec {
    enum task_kind kind;
    const char *order_id, *installation, *install, *home, *site, *backup;
    const struct task_expiry *expiry;  /* with TASK_EXPIRE */
    const Confleet__OrderCheck *check; /* with TASK_CHECK; its target is the release */
    const char *into;                  /* with TASK_RESTORE: a folder; NULL: none */
    bool full_speed;                   /* with a backup, its proof, a restore */
};
struct task_expiry {
    int64_t before_ms;
    const char *runs, *keep; /* ids, each ended by a newline: runs to expire, backups to keep */
};
struct task *task_new(const struct run_host *host, const struct task_spec *spec);
void task_close(struct task **task); /* kills its worker */
enum task_kind task_kind(const struct task *task);
const char *task_installation(const struct task *task); /* "" for a survey */
bool task_acting(const struct task *task);
bool task_over(const struct task *task);
bool task_failed(const struct task *task); /* once it is over */
/* A survey's result, until the task is closed; NULL otherwise. */
const Confleet__Survey *task_survey(const struct task *task);
/* Starts or watches the worker. may_start: nothing else is at work there. Negative: the journal
 * failed. */
int task_tick(struct task *task, bool may_start, struct err *err) MUST_USE;
/* Ends it before its time, and says so to who ordered it. */
int task_cancel(struct task *task, const char *why, struct err *err) MUST_USE;
size_t task_poll(const struct task *task, zmq_pollitem_t items[WORKER_POLL_MAX]);
int64_t task_due_ms(const struct task *task);
