/* journal_db - the journal's store, for the journal's own source files only. */
#pragma once
#include "agent/edge/journal.h"

struct db *journal_db(struct journal *journal);
