/* facts_links - how many application links the database of a site holds.
 *
 * Confluence keeps them in bandana under keys that begin with "applinks." (not confirmed by the
 * vendor's text; what is found there is told, and finding none is no proof). Values, which may hold
 * secrets, are never read. */
#pragma once
#include "agent/worker/checks/gather.h"

void facts_links_count(const struct database *database, enum fact *ret_known, uint64_t *ret_count,
                       char ret_why[FACT_TEXT]);
