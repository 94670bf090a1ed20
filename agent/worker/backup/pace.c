#include "pace.h"
#include "confleet/clock.h"
#include "confleet/str.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define WAIT_LEAST_MS 5   /* shorter waits are gathered */
#define WAIT_MOST_MS  500 /* so that progress is told and an end is noticed */
#define ESTIMATE_MS   500 /* a rate taken from less is noise */

static int64_t cpu_ms(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) != 0)
        return 0;
    return (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

void pace_begin(struct pace *pace, uint64_t rate, uint64_t total)
{
    *pace = (struct pace){
        .rate = rate, .total = total, .began_ms = clock_mono_ms(), .cpu_began_ms = cpu_ms()
    };
}

int64_t pace_ahead_ms(const struct pace *pace, int64_t gone_ms, int64_t cpu)
{
    if (pace->rate == 0)
        return 0;
    int64_t due_ms = (int64_t)((double)pace->done * 1000.0 / (double)pace->rate);
    if (cpu > due_ms)
        due_ms = cpu;
    return due_ms > gone_ms ? due_ms - gone_ms : 0;
}

void pace_moved(struct pace *pace, uint64_t bytes)
{
    pace->done += bytes;
    if (pace->rate == 0)
        return;
    for (;;) {
        int64_t ahead =
            pace_ahead_ms(pace, clock_mono_ms() - pace->began_ms, cpu_ms() - pace->cpu_began_ms);
        if (ahead < WAIT_LEAST_MS)
            return;
        (void)poll(NULL, 0, (int)(ahead < WAIT_MOST_MS ? ahead : WAIT_MOST_MS));
    }
}

void pace_text(const struct pace *pace, int64_t gone_ms, char out[128])
{
    char done[24], total[24], rate[24], left[24];
    size_t used = (size_t)snprintf(out, 128, "%s", text_size(pace->done, done));
    if (pace->total >= pace->done && pace->total > 0)
        used += (size_t)snprintf(out + used, 128 - used, " of %s", text_size(pace->total, total));
    if (gone_ms < ESTIMATE_MS || pace->done == 0)
        return;
    double speed = (double)pace->done / (double)gone_ms; /* bytes a millisecond */
    used += (size_t)snprintf(out + used, 128 - used, ", %s/s",
                             text_size((uint64_t)(speed * 1000.0), rate));
    if (pace->total > pace->done)
        (void)snprintf(out + used, 128 - used, ", about %s left",
                       text_duration((int64_t)((double)(pace->total - pace->done) / speed), left));
}
