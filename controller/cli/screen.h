/* screen - a rollout of any size on one screen: counts first, the stages, what needs attention,
 * then the sites at work.
 *
 * Pure. A rollout that fits is shown whole (status_lines()); a larger one never takes more than
 * out->height lines, and what is left out is counted. */
#pragma once
#include "controller/cli/status.h"

/* all: every site, however many. */
void screen_add(const Confleet__RolloutView *rollout, const struct out *out, bool all,
                int64_t now_ms, struct str *to);
/* Whether status_lines() of a rollout with so many sites and stages keeps within the screen. */
bool screen_fits(size_t sites, size_t stages, const struct out *out);
