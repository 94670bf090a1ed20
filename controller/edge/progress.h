/* progress - how far running work has come, as its agents last said. Memory only and never more
 * than PROGRESS_MAX entries: it is for eyes; what counts comes as events with a number. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/store.h"

#define PROGRESS_MAX 4096

struct progress {
    char agent[STORE_NAME_MAX], site[STORE_NAME_MAX], work[STORE_NAME_MAX], step[STORE_NAME_MAX],
        text[256];
    uint64_t done, total;
    int64_t at_ms;
};
struct progress_table;
struct progress_table *progress_new(void);
void progress_free(struct progress_table **table);
/* work: a rollout's or a job's id. */
void progress_set(struct progress_table *table, const struct progress *progress);
const struct progress *progress_find(const struct progress_table *table, const char *work,
                                     const char *site);
