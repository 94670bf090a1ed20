#include "agent/worker/checks/facts_schema.h"

void facts_gather_schema(const struct gather_source *source, void *part)
{
    struct facts_schema *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_schema_free(struct facts_schema *facts)
{
    (void)facts;
}
