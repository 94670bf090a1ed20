#include "agent/worker/checks/facts_custom.h"

void facts_gather_custom(const struct gather_source *source, void *part)
{
    struct facts_custom *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_custom_free(struct facts_custom *facts)
{
    (void)facts;
}
