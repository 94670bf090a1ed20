/* views - parts of several listings: findings worst first, backups. */
#pragma once
#include "controller/cli/out.h"

int severity_rank(
    Confleet__Severity severity); /* worst is highest: block, warn, unknown, info, ok */
/* site NULL: no column for it. Callers that list several sites use findings_add() for each. */
void findings_print(const struct out *out, const char *site, Confleet__Finding *const *findings,
                    size_t count, struct str *to);
/* Not yet cleaned. "waived by anna until Sat 2026-11-28 02:00 UTC: reason"; nothing when it is not
 * waived. */
void finding_waived_words(const Confleet__Finding *finding, struct str *to);
/* "heap (warn) by anna until …: reason"; the findings (of the last check) say how bad it is. */
void waiver_words(const Confleet__Waiver *waiver, Confleet__Finding *const *findings, size_t count,
                  struct str *to);
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
