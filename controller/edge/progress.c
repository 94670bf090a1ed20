#include "controller/edge/progress.h"

#include <stdlib.h>
#include <string.h>

struct progress_table {
    struct progress *items;
    size_t count;
};

struct progress_table *progress_new(void)
{
    struct progress_table *table = mem_zero(1, sizeof *table);
    table->items = mem_zero(PROGRESS_MAX, sizeof *table->items);
    return table;
}

void progress_free(struct progress_table **table)
{
    if (!*table)
        return;
    free((*table)->items);
    free(*table);
    *table = NULL;
}

void progress_set(struct progress_table *table, const struct progress *progress)
{
    struct progress *at = NULL;
    for (size_t i = 0; i < table->count; i++) {
        struct progress *item = &table->items[i];
        if (strcmp(item->work, progress->work) == 0 && strcmp(item->site, progress->site) == 0) {
            *item = *progress;
            return;
        }
        if (!at || item->at_ms < at->at_ms)
            at = item;
    }
    if (table->count < PROGRESS_MAX)
        at = &table->items[table->count++];
    *at = *progress;
}

const struct progress *progress_find(const struct progress_table *table, const char *work,
                                     const char *site)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->items[i].work, work) == 0 && strcmp(table->items[i].site, site) == 0)
            return &table->items[i];
    return NULL;
}
