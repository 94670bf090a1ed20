/* licence - a new licence that waits on this server, put into the home while the site is stopped.
 *
 * The text goes from its file into confluence.cfg.xml and nowhere else. The way back needs nothing
 * of it: it puts the home back as it was at the stop. */
#pragma once
#include "agent/worker/job.h"

/* Does nothing when none waits, or when what waits is no licence for Confluence. Idempotent. */
int licence_apply(struct job *job, const char *home, struct err *err) MUST_USE;
/* Whether there is nothing (more) to apply. */
bool licence_applied(struct job *job, const char *home);
/* Removes the file when its licence is the one in use. */
int licence_settle(struct job *job, const char *home, struct err *err) MUST_USE;
