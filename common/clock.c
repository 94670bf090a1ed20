#include "confleet/clock.h"
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    int result = clock_gettime(id, &ts);
    assert(result == 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void) { return read_ms(CLOCK_REALTIME); }

int64_t clock_mono_ms(void) { return read_ms(CLOCK_BOOTTIME); }

static bool broken_down(int64_t wall_ms, struct tm *ret_tm)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    return wall_ms != 0 && gmtime_r(&seconds, ret_tm);
}

const char *clock_text(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    struct tm tm;
    if (!broken_down(wall_ms, &tm) || strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, CLOCK_TEXT_MAX, "-");
    return out;
}

const char *clock_compact(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    struct tm tm;
    if (!broken_down(wall_ms, &tm) || strftime(out, CLOCK_TEXT_MAX, "%Y%m%dT%H%M%SZ", &tm) == 0)
        (void)snprintf(out, CLOCK_TEXT_MAX, "-");
    return out;
}
