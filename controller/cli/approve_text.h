/* approve_text - what an approver is about to sign for: the stage, its sites from where to where,
 * how the stage before it went, which test site stands for each, the windows.
 *
 * Pure. Stage, sites and versions come from the signed plan, outcomes from the controller's view.
 */
#pragma once
#include "controller/cli/out.h"

/* NULL: the plan has no such stage. */
const Confleet__PlanStage *plan_stage_find(const Confleet__Plan *plan, const char *name);
void approve_text(const Confleet__Plan *plan, const Confleet__PlanStage *stage,
                  const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to);
