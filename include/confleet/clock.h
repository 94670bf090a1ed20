/* clock - the two clocks, in milliseconds. Wall time is for people and windows, monotonic time for durations.
 * core/ never calls this: time arrives there in events. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_ms(void);                       /* since 1970 UTC */
int64_t clock_mono_ms(void);                       /* never steps back; counts through suspend */
#define CLOCK_TEXT_MAX 32
const char *clock_text(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);      /* 2026-11-23T04:18:00Z; "-" for zero */
const char *clock_compact(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);   /* 20261123T041800Z */
