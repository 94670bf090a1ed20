/* facts_schema - rows and rights in the database that tell of trouble ahead. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_schema {
    struct part part;
};
gather_fn facts_gather_schema;
void facts_schema_free(struct facts_schema *facts);
