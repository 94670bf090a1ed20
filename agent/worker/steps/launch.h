/* launch - starts and stops one Confluence by its systemd unit or its own scripts, never as a child that dies with us.
 *
 * The environment that the running one was started in (JAVA_HOME, umask and such, no secrets) is remembered before it is stopped,
 * because nothing else on the server knows it. Knows nothing of upgrades. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

#define MEMO_START_ENV "start-env"

/* Remembers from the running process what the next start needs. */
void launch_remember(struct job *job, const struct installation *found);
int launch_start(struct job *job, const struct installation *found, struct err *err) MUST_USE;     /* returns before it is ready */
/* Asks the unit or the stop script; whether it went is for launch_wait_gone() to see. */
int launch_stop(struct job *job, const struct installation *found, int64_t timeout_ms, struct err *err) MUST_USE;
/* Polls until no process of the tree is left. 0, or -FAIL_TIMEOUT naming the first one. */
int launch_wait_gone(struct job *job, const struct installation *found, int64_t timeout_ms, struct err *err) MUST_USE;
/* SIGTERM, then SIGKILL, to every process of the tree, each looked at again right before. */
int launch_kill(struct job *job, const struct installation *found, int64_t grace_ms, struct err *err) MUST_USE;
