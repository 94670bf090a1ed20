/* until - a time in the future as a person types it: "2h", "3d", "2026-12-24", "2026-12-24 18:00",
 * "2026-12-24T18:00:00Z". UTC. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

int until_parse(const char *text, int64_t now_ms, int64_t *ret_ms, struct err *err) MUST_USE;
