/* consent - what persons must have said, beside the plan's own signature, before a site may start:
 * the approvals of its stage, and the retry that a later attempt stands on.
 *
 * The controller counts them for display; the agent counts them again by the keys of its own
 * controller file, so that a controller that is wrong or not ours can start nothing. An approval
 * counts once per key, for one plan and one stage only. One that does not count is no reason to
 * refuse as long as enough others do (its key may be newer than this agent's file); one that a
 * trusted key is said to have signed and has not always is. */
#pragma once
#include "agent/edge/trust.h"

#define CONSENT_APPROVALS_MAX 64 /* of one order */

/* For production stages as many as the plan says, everywhere at least policy.approvals_needed.
 * FAIL_DENIED: too few, or by those who may not; FAIL_SIGNATURE: by no key known here, or altered;
 * FAIL_MISMATCH: said of something else; FAIL_EXPIRED. */
int consent_approvals(const struct trust *trust, struct arena *arena,
                      const struct trusted_plan *plan, const Confleet__OrderUpgrade *order,
                      int64_t now_ms, struct err *err) MUST_USE;

/* Attempts above the first need a retry of this very site, newer than the one that the attempt
 * before stood on. *ret_serial: of that decision, zero when none was needed. */
int consent_retry(const struct trust *trust, struct arena *arena, const struct trusted_plan *plan,
                  const Confleet__OrderUpgrade *order, int64_t now_ms, uint64_t *ret_serial,
                  struct err *err) MUST_USE;
/* Kept with the run that was begun upon it, in the journal's transaction of that run. */
int consent_retry_used(struct journal *journal, const char *run, uint64_t serial,
                       struct err *err) MUST_USE;
