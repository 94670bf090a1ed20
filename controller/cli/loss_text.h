/* loss_text - what going back would cost a site: which backup would be restored, how old it is, and
 * what was written since.
 *
 * Pure, from the controller's full view of the site. What it cannot know it says. */
#pragma once
#include "controller/cli/out.h"

/* Why a rollback can do nothing for this site; NULL: it can be ordered. */
const char *loss_obstacle(const Confleet__RolloutSiteView *site);
void loss_text(const Confleet__RolloutSiteView *site, int64_t now_ms, struct str *to);
