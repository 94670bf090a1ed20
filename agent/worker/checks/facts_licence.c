#include "agent/worker/checks/facts_licence.h"

void facts_gather_licence(const struct gather_source *source, void *part)
{
    struct facts_licence *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_licence_free(struct facts_licence *facts)
{
    (void)facts;
}
