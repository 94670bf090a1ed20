/* restore_into - a whole backup unpacked into an empty folder, for drills: install/, home/ and
 * database.dump.
 *
 * Everything is read and compared before the first byte is written, so that a forged or damaged
 * backup leaves nothing behind. */
#pragma once
#include "agent/worker/job.h"

int restore_into(struct job *job, struct err *err) MUST_USE;
