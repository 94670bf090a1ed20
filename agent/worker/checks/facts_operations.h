/* facts_operations - scanners, index, tasks, access mode, clones. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_operations {
    struct part part;
};
gather_fn facts_gather_operations;
void facts_operations_free(struct facts_operations *facts);
