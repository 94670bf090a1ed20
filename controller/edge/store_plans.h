/* store_plans - the plans of rollouts as they were decoded last.
 *
 * A plan with all its sites is needed for each report that may move its rollout and for each order
 * that carries it, and decoding it takes longer than all else. What is kept is found again by the
 * very bytes in the store, so it can never be another plan. A case that was loaded points in here:
 * nothing is given up before plans_trim(), which the owner calls where no case is alive. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/store.h"

#define PLANS_KEPT_MAX 8 /* after plans_trim() */

/* envelope: an Order with nothing but the signed plan, as rollout_put() keeps it. ret_plan: may be
 * NULL. */
int plans_read(struct store *store, const void *envelope, size_t len,
               const Confleet__SignedText **ret_text, const Confleet__Plan **ret_plan,
               struct err *err) MUST_USE;
void plans_trim(struct store *store);
void plans_drop(struct store *store); /* all of them */
