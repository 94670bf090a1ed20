/* store_decisions - what people decided about rollouts after their plans were signed: approvals,
 * further attempts, holds. Signed texts are kept as they came, since the agents judge them again.
 *
 * Invariant: an operator's key counts once for a stage, however often it approved. */
#pragma once
#include "controller/edge/store_rollouts.h"

#define HOLDS_MAX 4096

/* The form in which a signed text and its signatures are kept. */
void decision_envelope(const Confleet__SignedText *text, struct str *out);
int decision_unwrap(struct pool *pool, const struct db_row *row, int column,
                  const Confleet__SignedText **ret, struct err *err) MUST_USE;

struct hold {
    const char *site, *reason, *made_by; /* site "": all */
    int64_t until_ms, at_ms;
};

struct approval_new {
    const char *rollout, *stage, *key_id, *operator_name;
    int64_t expires_ms;
    const Confleet__SignedText *text;
};
int approval_put(struct store *store, const struct approval_new *approval,
                 struct err *err) MUST_USE;
/* All approvals of the rollout, oldest first, judged at the store's time. */
int approvals_list(struct store *store, struct pool *pool, const struct rollout_case *rollout,
                   struct approval **ret, size_t *ret_count, struct err *err) MUST_USE;
/* Whether this operator may approve what the plan's signer signed; ret_alone: he is the only
 * one known who may sign, so that nobody else could. */
int approver_check(struct store *store, struct pool *pool, const struct rollout_case *rollout,
                   const char *operator_name, bool *ret_alone, struct err *err) MUST_USE;

struct attempt_new {
    const char *rollout, *site, *decided_by, *before_state, *before_reason;
    int64_t attempt;
    const Confleet__SignedText *text;
};
int attempt_put(struct store *store, const struct attempt_new *attempt, struct err *err) MUST_USE;
/* The signed decision that led to this attempt; NULL for the first. */
int attempt_decision(struct store *store, struct pool *pool, const char *rollout, const char *site,
                     int64_t attempt, const Confleet__SignedText **ret, struct err *err) MUST_USE;

int hold_set(struct store *store, const struct hold *hold, struct err *err) MUST_USE;
int hold_lift(struct store *store, const char *site, bool *ret_found, struct err *err) MUST_USE;
/* Those that are not over. */
int holds_list(struct store *store, struct pool *pool, struct hold ***ret, size_t *ret_count,
               struct err *err) MUST_USE;
/* Some rollout brought this site to the artifact and the site was kept. */
int coverage_kept(struct store *store, const char *site, const char *artifact_sha256, bool *ret,
                  struct err *err) MUST_USE;
