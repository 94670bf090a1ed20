/* facts_history - traces that an upgrade before this one was not finished.
 *
 * From the home's files and the database's rows alone; the build numbers themselves are elsewhere.
 */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_history {
    struct part part;
    enum fact lock_known, recovery_known; /* FACT_YES: looked at; else the text says why not */
    char lock_text[FACT_TEXT], recovery_text[FACT_TEXT];
    uint32_t lock_build; /* highest build that a row of confversion is locked for; zero: none */
    uint32_t finalized_build; /* of confluence.cfg.xml; zero: none written */
    char recovery[256];       /* newest recovery file by its target; "" for none */
    uint32_t recovery_from, recovery_to;
};
gather_fn facts_gather_history;
void facts_history_free(struct facts_history *facts);
