/* views - parts of several listings: findings worst first, backups. */
#pragma once
#include "controller/cli/out.h"

int severity_rank(
    Confleet__Severity severity); /* worst is highest: block, warn, unknown, info, ok */
/* site NULL: no column for it. Callers that list several sites use findings_add() for each. */
void findings_print(const struct out *out, const char *site, Confleet__Finding *const *findings,
                    size_t count, struct str *to);
void backups_print(Confleet__BackupRecord *const *backups, size_t count, struct str *to);

/* Findings of several sites in one order: worst first, and what is found at several sites told once,
 * with what differs told for each. */
struct finding_row {
    const char *site;
    const Confleet__Finding *finding;
};
void finding_rows_sort(struct finding_row *rows, size_t count);
void finding_rows_print(const struct out *out, const struct finding_row *rows, size_t count,
                        bool with_site, struct str *to);
