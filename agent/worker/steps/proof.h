/* proof - that nothing else uses the site's database, and what was in it then.
 *
 * No other session in pg_stat_activity, and the safety number that a running Confluence keeps rewriting (facts 4.1) is the
 * same as before. Only where sessions cannot be seen is the number watched for a while instead. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

#define PROOF_WATCH_MS 40000

/* FAIL_CONFLICT names who else is there. Sessions of a process that has just ended get a moment to vanish. */
int proof_alone(struct job *job, const struct database *database, int64_t *ret_number, bool *ret_found, struct err *err) MUST_USE;
/* Rows that must not get fewer by an upgrade, as JSON text for the memo; "{}" when they cannot be counted. Owned. */
char *proof_counts(const struct database *database);
