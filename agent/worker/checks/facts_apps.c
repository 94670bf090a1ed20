#include "agent/worker/checks/facts_apps.h"

void facts_gather_apps(const struct gather_source *source, void *part)
{
    struct facts_apps *facts = part;
    (void)source;
    facts->part.known = FACT_UNKNOWN;
    (void)snprintf(facts->part.why, sizeof facts->part.why, "not looked at yet");
}

void facts_apps_free(struct facts_apps *facts)
{
    (void)facts;
}
