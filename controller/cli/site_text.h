/* site_text - all that is known of one site, for a person: what stops it and what is waived, where
 * it runs, its licence and database, the last checks with what changed, its rollouts, its backups.
 *
 * Pure. Fits the terminal, and 80 columns where there is none; what has no room is counted and its
 * command named. */
#pragma once
#include "controller/cli/out.h"

struct site_shown {
    const Confleet__SiteView *site;
    Confleet__CheckView *const *checks; /* newest first */
    size_t check_count;
    int64_t now_ms;
};
void site_text(const struct site_shown *shown, const struct out *out, struct str *to);
