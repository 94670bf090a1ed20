/* facts_licence - what the licence in use, and one that waits on this server, say. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_licence {
    struct part part;
};
gather_fn facts_gather_licence;
void facts_licence_free(struct facts_licence *facts);
