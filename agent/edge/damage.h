/* damage - a server whose journal cannot be read: everything is kept, nothing is begun, and both
 * sides are told what a person can safely do.
 *
 * A run that is open leaves a note in its folder, outside the journal, which says what it is about.
 * Invariant: nothing here writes to a site, a backup or the journal. */
#pragma once
#include "agent/edge/config.h"
#include "agent/edge/journal.h"
#include "agent/edge/status.h"
#include "confleet/str.h"

/* Beside what the run itself writes down; there as long as it is open or held. */
int damage_note(const char *run_dir, const struct journal_run *run, struct err *err) MUST_USE;
/* Takes away the notes of runs that are not open any more. */
void damage_keep(const struct config *config, bool (*is_open)(const void *arg, const char *run),
                 const void *arg);
/* Commands, a line each, that give the backups of a run out without touching the site. */
void damage_ways(const struct config *config, const char *run, const char *installation,
                 const char *install, const char *site, struct str *out);

/* What the agent last found wrong with its journal, owned by the caller; NULL: nothing. */
char *damage_known(const struct config *config);
void damage_gone(const struct config *config); /* the journal was read */
/* What confleet-agent status says instead of the journal. */
void damage_status(const struct config *config, const struct err *why, bool json,
                   struct status *ret);
/* Tells the controller at each connection, until one of the signals; answers why. */
int damage_serve(const struct config *config, const struct err *why, int signals,
                 struct err *err) MUST_USE;
