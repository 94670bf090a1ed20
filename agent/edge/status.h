/* status - what the journal says, for a person or a program on this server; works beside a running
 * agent or without one. Reads only. */
#pragma once
#include "agent/edge/config.h"
#include "confleet/str.h"

struct status {
    struct str text;
    size_t runs, in_flight, held;
};
/* json: one object; else lines for people. FAIL_NOT_FOUND when this server has no journal yet. */
int status_read(const struct config *config, bool json, struct status *ret,
                struct err *err) MUST_USE;
void status_free(struct status *status);
