/* timing - may a site of this plan start now? The windows of its stage and of the site itself, and
 * the plan's freezes, all of them instants that were computed when the plan was signed.
 *
 * Asked once, when the order comes: what has started is never interrupted. Holds that an operator
 * sets later are the controller's; here counts what was signed. */
#pragma once
#include "confleet/err.h"
#include "confleet/wire.h"

/* An order that was sent inside its window may arrive so much later, by clocks that differ. */
#define TIMING_TOLERANCE_MS (2 * 60 * 1000)

/* FAIL_DENIED before a window, in a freeze and when one begins before the plan's estimate is over,
 * FAIL_EXPIRED when the last window is over or has too little left for the estimate. */
int timing_allows(const Confleet__Plan *plan, const Confleet__PlanStage *stage,
                  const Confleet__PlanSite *site, int64_t now_ms, struct err *err) MUST_USE;
