#include "controller/edge/progress.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static void set(struct progress_table *table, const char *work, int site, uint64_t done,
                int64_t at_ms)
{
    struct progress progress = { .done = done, .at_ms = at_ms };
    (void)snprintf(progress.work, sizeof progress.work, "%s", work);
    (void)snprintf(progress.site, sizeof progress.site, "s%d", site);
    progress_set(table, &progress);
}

TEST(the_newest_word_of_each_site_in_each_work_is_kept)
{
    CLEANUP(progress_free) struct progress_table *table = progress_new();
    set(table, "plan", 1, 10, 1);
    set(table, "plan", 2, 20, 2);
    set(table, "other", 1, 30, 3);
    set(table, "plan", 1, 11, 4);
    CHECK_INT(progress_find(table, "plan", "s1")->done, 11);
    CHECK_INT(progress_find(table, "plan", "s2")->done, 20);
    CHECK_INT(progress_find(table, "other", "s1")->done, 30);
    CHECK(!progress_find(table, "other", "s2"));
}

TEST(a_full_table_forgets_the_oldest)
{
    CLEANUP(progress_free) struct progress_table *table = progress_new();
    for (int i = 0; i < PROGRESS_MAX + 1; i++)
        set(table, "plan", i, (uint64_t)i, 100 + i);
    CHECK(!progress_find(table, "plan", "s0"));
    CHECK(progress_find(table, "plan", "s1"));
    char last[16];
    (void)snprintf(last, sizeof last, "s%d", PROGRESS_MAX);
    CHECK_INT(progress_find(table, "plan", last)->done, PROGRESS_MAX);
}
