/* ready - readiness as the runbook asks for it: at its beginning, and once more right before the
 * stop, when hours of backup may lie between.
 *
 * Changes nothing. FAIL_BLOCKED names what stands in the way; that ends the run "not ready". */
#pragma once
#include "agent/worker/job.h"

/* The last act before the stop. What the run itself has made room for is not asked for again. */
int ready_again(struct job *job, struct err *err) MUST_USE;
bool ready_is_again(const struct job *job); /* this order is that second look */
