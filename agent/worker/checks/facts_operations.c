#include "agent/worker/checks/facts_operations.h"

void facts_gather_operations(const struct gather_source *source, void *part)
{
    struct facts_operations *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_operations_free(struct facts_operations *facts)
{
    (void)facts;
}
