/* handover - a new licence that a person leaves on this server for the next upgrade.
 *
 * One file per installation in the state folder, 0600. It is read and judged by the worker, applied
 * by the runbook while the site is stopped, and removed when the new version is kept. It never goes
 * over the wire, into the journal, a log or an argument list. */
#pragma once
#include "agent/edge/config.h"
#include "confleet/str.h"

struct handover {
    const char *install; /* path */
    const char *file;    /* to take the text from; "-" for standard input */
    const char *version; /* target to judge for, "" for none */
    bool json;
};
/* An exit status, or -FAIL_X. set refuses what cannot be read and what is none for Confluence, and
 * then leaves what was there before. */
int handover_set(const struct config *config, const struct handover *what, struct str *out,
                 struct err *err) MUST_USE;
int handover_show(const struct config *config, const struct handover *what, struct str *out,
                  struct err *err) MUST_USE;
int handover_remove(const struct config *config, const struct handover *what, struct str *out,
                    struct err *err) MUST_USE;
