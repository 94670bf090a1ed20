/* expire - removes the backups of one installation that are beyond their time.
 *
 * Kept are: what was finished after the given moment, what the order names, the newest one that was
 * proven by restoring, the last one so proven before each of the latest changes of build, whatever
 * holds packs of one that is kept, and what cannot be read (a person must look at it). A backup
 * loses its name before its files, so that a cut leaves no half one. */
#pragma once
#include "agent/worker/job.h"

#define KEEP_CHANGES                                                                               \
    2 /* changes of build before which the last proven backup is kept, however old */

int backups_expire(struct job *job, struct err *err) MUST_USE;
