/* scratch_local - the throw-away server behind a local scratch database; of scratch.c alone. */
#pragma once
#include "agent/worker/backup/scratch.h"

void scratch_name(const struct scratch_spec *spec, char out[64]);
/* Removes what a crash left, makes a cluster of the same major version, starts it, and fills
 * s->server. */
int scratch_local_start(const struct scratch_spec *spec, struct scratch *s,
                        const struct contents *contents, struct err *err) MUST_USE;
int scratch_local_stop(struct scratch *s, struct err *err) MUST_USE;
