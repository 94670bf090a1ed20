/* report - the whole story of one rollout as text: who, what, when, how long, what was lost. Pure.
 */
#pragma once
#include "controller/cli/out.h"

void report_text(const Confleet__RolloutView *rollout, const struct out *out, struct str *to);
