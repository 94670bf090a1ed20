#include "agent/worker/checks/facts_platform.h"

void facts_gather_platform(const struct gather_source *source, void *part)
{
    struct facts_platform *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_platform_free(struct facts_platform *facts)
{
    (void)facts;
}
