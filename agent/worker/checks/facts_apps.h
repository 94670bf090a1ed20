/* facts_apps - installed and bundled apps, from the database and from jars. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_apps {
    struct part part;
};
gather_fn facts_gather_apps;
void facts_apps_free(struct facts_apps *facts);
