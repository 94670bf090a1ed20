/* pace - how fast a backup may go while the site serves users, and how far it is.
 *
 * Bytes are told as they are moved; whoever is ahead of the rate is made to wait, and so is a
 * process that has used more than one core since it began. Knows nothing of files. Without a rate
 * it only counts. */
#pragma once
#include <stdint.h>

#define PACE_RATE (100ULL * 1000 * 1000) /* bytes a second while the site serves users */

struct pace {
    uint64_t rate; /* bytes a second; zero: as fast as it goes */
    uint64_t done, total;
    int64_t began_ms, cpu_began_ms;
};
void pace_begin(struct pace *pace, uint64_t rate, uint64_t total);
void pace_moved(struct pace *pace, uint64_t bytes);
/* How long it must wait now, were this much time gone and this much CPU time used. */
int64_t pace_ahead_ms(const struct pace *pace, int64_t gone_ms, int64_t cpu_ms);
/* "1.2 GB of 4.1 GB, 98 MB/s, about 30 s left"; parts that cannot be known yet are left out. */
void pace_text(const struct pace *pace, int64_t gone_ms, char out[128]);
