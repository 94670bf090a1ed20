/* trust - may this signed text be acted upon here? Verifies, and changes nothing.
 *
 * Signatures by keys of the local controller file, over the exact bytes, before anything of them is
 * read; then fleet, format, serial, expiry, this agent's own name and installation, the windows
 * (timing.h), the local policy, and what persons must have said beside it (consent.h). Each refusal
 * has a code and a text of its own. What the controller says beside the signed
 * bytes decides nothing. */
#pragma once
#include "agent/edge/config.h"
#include "agent/edge/journal.h"
#include "confleet/keys.h"

#define TRUST_CLOCK_SKEW_MS (5 * 60 * 1000) /* a text signed so far in the future is refused */

struct trust {
    const struct join *controller; /* name of this agent, fleet, keys that may sign */
    const struct policy *policy;
    struct journal *journal;
    const Confleet__Survey *survey; /* what is on this server */
};

/* FAIL_SIGNATURE unless so many different trusted keys have signed these bytes; a wrong signature
 * by a trusted key refuses too. */
int trust_signatures(const struct join *controller, const char *context,
                     const Confleet__SignedText *text, uint64_t needed, struct err *err) MUST_USE;
bool trust_may_sign(const struct join_trust *key); /* plans: any role but the viewer's */
/* One trusted key: did it sign? 1, 0, or negative for a signature in its name that is wrong. */
int trust_signed_by(const struct join_trust *key, const char *context,
                    const Confleet__SignedText *text, struct err *err) MUST_USE;
/* FAIL_EXPIRED for what is over, or was signed in the future by the clock here. */
int trust_times(int64_t created_ms, int64_t expires_ms, int64_t now_ms, const char *what,
                struct err *err) MUST_USE;

struct trusted_plan {
    const Confleet__Plan *plan; /* lives in the arena given */
    const Confleet__PlanSite *site;
    const Confleet__PlanStage *stage;
    const Confleet__Installation *installation; /* of the survey */
    char sha256[65];                            /* of the payload */
    uint64_t retry_serial; /* of the decision that a later attempt stands on; zero: the first */
};
int trust_plan(const struct trust *trust, struct arena *arena, const Confleet__OrderUpgrade *order,
               int64_t now_ms, struct trusted_plan *ret, struct err *err) MUST_USE;

enum decision_kind { DECIDE_ROLLBACK, DECIDE_COMMIT, DECIDE_ABORT, DECIDE_SKIP };
/* stage, site: of the run that it is about; plan_sha256 too. */
struct decision_about {
    const char *plan_sha256, *stage, *site, *install;
    int64_t run_created_ms;
};
struct trusted_decision {
    enum decision_kind kind;
    const Confleet__Decision *decision;
};
int trust_decision(const struct trust *trust, struct arena *arena, const Confleet__SignedText *text,
                   const struct decision_about *about, int64_t now_ms, struct trusted_decision *ret,
                   struct err *err) MUST_USE;

const Confleet__Installation *survey_find(const Confleet__Survey *survey, const char *id);
