/* hooks - local programs that a site's own people put before the stop and after the start: balancers, monitoring, banners.
 *
 * HOOKS_DIR/pre-stop.d and post-start.d, in order of their names, nothing of them over the wire. A hook runs only when it, and
 * the folders above it, belong to root (or to us) and nobody else can write them. A cut-off step runs its hooks again: they
 * must bear that. */
#pragma once
#include "agent/worker/job.h"

#define HOOK_LIMIT_MS 60000
#define HOOKS_MAX 64

/* when: "pre-stop" or "post-start"; why: "upgrade" or "rollback". The first failure ends the row. No folder means no hooks. */
int hooks_run(struct job *job, const char *when, const char *why, struct err *err) MUST_USE;
/* The same where a failure must not stop anything: it becomes a finding. */
void hooks_run_noted(struct job *job, const char *when, const char *why);
