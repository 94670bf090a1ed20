/* store_case - turns what the store knows of a rollout into the engine's terms: the plan's rules,
 * the holds and approvals in force now, the test sites that are on the release. */
#pragma once
#include "controller/edge/store_rollouts.h"

/* Stages, gates, windows and sites of the decoded plan. */
void case_rules(struct pool *pool, struct rollout_case *rollout);
/* What may have changed since: holds, approvals, coverage. */
int case_circumstances(struct store *store, struct pool *pool, struct rollout_case *rollout,
                       struct err *err) MUST_USE;
