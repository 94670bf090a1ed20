/* job - one order of the agent, being done in a worker process that lives for it alone.
 *
 * The worker reads one WorkerOrder from descriptor 0, writes WorkerReply messages to descriptor 1 (progress, findings, log),
 * a WorkerResult last, and is gone. It has no keys and no link. A step's act and undo are idempotent: the agent runs
 * them again after a crash. What later steps must know goes into the memo, which the agent journals with the step's end. */
#pragma once
#include "agent/core/memo.h"
#include "confleet/err.h"
#include "confleet/wire.h"

struct job;

/* Names in the memo. The agent keeps them per run; backup_* are what the way back needs. */
#define MEMO_RUN_USER "run-user"
#define MEMO_HOME "home"
#define MEMO_OLD_VERSION "old-version"
#define MEMO_OLD_BUILD "old-build"
#define MEMO_HTTP_PORT "http-port"
#define MEMO_CONTEXT_PATH "context-path"
#define MEMO_BASELINE "baseline"                /* JSON, written and read by the steps baseline and probe */
#define MEMO_STOPPED_AT "stopped-at"            /* wall ms at which the service was seen stopped */
#define MEMO_SAFETY_NUMBER "safety-number"      /* clustersafety as read at the stop */
#define MEMO_LOG_OFFSET "log-offset"            /* size of the application log before the start */
#define MEMO_WAS_RUNNING "was-running"

typedef int step_fn(struct job *job, struct err *err);
typedef int step_probe_fn(struct job *job, Confleet__ProbeState *ret, struct err *err);
struct step_impl { const char *name; step_fn *act; step_fn *undo; step_probe_fn *probe; };
/* One entry per step of the runbook whose actor is the worker; a test compares the two tables. Each family of steps
 * has its own table; job.c joins them. */
extern const struct step_impl steps_files[], steps_service[], steps_health[], steps_backup[];   /* ended by a NULL name */

const Confleet__WorkerOrder *job_order(const struct job *job);
const Confleet__WorkerNode *job_node(const struct job *job);
const char *job_memo(const struct job *job, const char *key);                 /* "" when absent; sees job_memo_set() of this job too */
void job_memo_set(struct job *job, const char *key, const char *format, ...) FORMAT(3, 4);
Confleet__WorkerResult *job_result(struct job *job);                          /* to hang survey or backup into; protobuf-c's default allocator frees it */
void job_finding(struct job *job, const char *id, Confleet__Severity severity, const char *title,
                 const char *remedy, const char *evidence_format, ...) FORMAT(6, 7);
/* The same with all fields; texts are copied, cut and made valid UTF-8. A waived one blocks nothing. */
void job_found(struct job *job, const Confleet__Finding *finding);
int job_blocks(const struct job *job);                                        /* findings of severity BLOCK so far that no waiver covers */
void job_progress(struct job *job, uint64_t done, uint64_t total, const char *format, ...) FORMAT(4, 5);   /* at most ten a second leave */
void job_log(struct job *job, int level, const char *format, ...) FORMAT(3, 4);

/* A job outside a worker process, for tests: borrows order; replies go to out_fd, -1 drops them. */
struct job *job_new(const Confleet__WorkerOrder *order, int out_fd);
void job_free(struct job **job);                                              /* fits CLEANUP() */
int job_end(struct job *job) MUST_USE;                                        /* writes the result, the last reply */

/* Runs one order whole; what worker/main.c calls. In dispatch.c, with the list of jobs. */
int job_run(int in_fd, int out_fd);

/* Jobs that are no steps of the runbook. */
int survey_job(struct job *job, struct err *err) MUST_USE;         /* confluence/survey.c */
int check_job(struct job *job, struct err *err) MUST_USE;          /* checks/check.c; the step "check" runs the same */
int backup_job(struct job *job, struct err *err) MUST_USE;         /* backup/: hot backup, verified */
int backups_job(struct job *job, struct err *err) MUST_USE;        /* backup/: what is in the folder */
int verify_job(struct job *job, struct err *err) MUST_USE;
int restore_job(struct job *job, struct err *err) MUST_USE;        /* files and dump of a backup into a folder */
int licence_job(struct job *job, struct err *err) MUST_USE;        /* checks/licence_job.c: judges the text that waits */
int manifest_job(struct job *job, struct err *err) MUST_USE;       /* checks/: the files of a release, to run_dir/output */
int expire_job(struct job *job, struct err *err) MUST_USE;         /* removes what is past its time */
