/* setenv - the customer's Java options in bin/setenv.sh, merged into the next version's file.
 *
 * The new version's file stays as shipped but for -Xms and -Xmx, which are replaced in place; what else the customer has is
 * put into one block of ours at the end. Options that a newer Java refuses are left out: copying an old file whole is a
 * classic way to a server that does not start (facts 1.2, 8 row 19). Works on text alone; runs nothing. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

struct setenv_report { struct str carried, dropped, left; };      /* for people: one line each */
void setenv_report_free(struct setenv_report *report);            /* fits CLEANUP() */

/* shipped: the old version's own file when it is known, else NULL; options that stand there are nobody's. version is the
 * old one's, for the block's comment. ret_text: the merged file. */
int setenv_merge(const char *old, const char *shipped_or_null, const char *fresh, const char *version, struct str *ret_text,
                 struct setenv_report *ret, struct err *err) MUST_USE;
/* Whether Java 17 refuses to start, or refuses the option. */
bool setenv_refused(const char *option);
