/* plan_text - a resolved plan as a person reads it before it is signed. Pure. */
#pragma once
#include "controller/cli/out.h"

/* reply holds the sites, for what is offline now. */
void plan_text(const Confleet__Plan *plan, const Confleet__Reply *reply, const struct out *out,
               struct str *to);
