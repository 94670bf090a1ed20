/* facts_custom - files of the installation against the release as it was shipped; layouts and
 * themes. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_custom {
    struct part part;
};
gather_fn facts_gather_custom;
void facts_custom_free(struct facts_custom *facts);
