/* plan_text - a resolved plan as a person reads it before it is signed; says which values are
 * defaults. Pure, but for the time zones. */
#pragma once
#include "controller/cli/out.h"
#include "controller/cli/planfile.h"

struct plan_shown {
    const Confleet__Plan *plan;
    const struct planfile *file;
    const Confleet__Reply *sites; /* for what is offline now, and waived */
    int64_t now_ms;
};
void plan_text(const struct plan_shown *shown, const struct out *out, struct str *to);
