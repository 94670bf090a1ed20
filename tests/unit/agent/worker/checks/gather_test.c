#include "agent/worker/checks/gather.h"
#include "harness/test.h"
#include <pthread.h>
#include <string.h>

struct fact_pair {
    struct part part;
    int value;
};
struct whole {
    struct fact_pair quick, stuck, unknown;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void quick(const struct gather_source *source, void *part)
{
    (void)source;
    ((struct fact_pair *)part)->value = 7;
}

static void stuck(const struct gather_source *source, void *part)
{
    (void)source;
    (void)pthread_mutex_lock(&gate);
    ((struct fact_pair *)part)->value = 8;
    (void)pthread_mutex_unlock(&gate);
}

static void not_known(const struct gather_source *source, void *part)
{
    struct fact_pair *pair = part;
    (void)source;
    pair->part.known = FACT_UNKNOWN;
    (void)snprintf(pair->part.why, sizeof pair->part.why, "no permission");
}

TEST(parts_are_gathered_side_by_side_and_one_that_hangs_costs_itself_alone)
{
    static const struct gatherer table[] = {
        { "the quick one", offsetof(struct whole, quick), sizeof(struct fact_pair), 60000, quick },
        { "the stuck one", offsetof(struct whole, stuck), sizeof(struct fact_pair), 50, stuck },
        { "the modest one", offsetof(struct whole, unknown), sizeof(struct fact_pair), 60000,
          not_known },
        { NULL, 0, 0, 0, NULL },
    };
    static const struct gather_source source;
    struct whole whole = { 0 };
    (void)pthread_mutex_lock(&gate);
    CHECK(!gather_all(table, &source, &whole));
    CHECK_INT(whole.quick.part.known, FACT_YES);
    CHECK_INT(whole.quick.value, 7);
    CHECK(whole.quick.part.at_ms > 0);
    CHECK_INT(whole.stuck.part.known, FACT_UNKNOWN);
    CHECK(strstr(whole.stuck.part.why, "the stuck one") != NULL);
    CHECK_INT(whole.unknown.part.known, FACT_UNKNOWN);
    CHECK(strcmp(whole.unknown.part.why, "no permission") == 0);
    (void)pthread_mutex_unlock(&gate);
}

TEST(when_nothing_hangs_the_source_may_be_freed)
{
    static const struct gatherer table[] = {
        { "the quick one", offsetof(struct whole, quick), sizeof(struct fact_pair), 60000, quick },
        { NULL, 0, 0, 0, NULL },
    };
    static const struct gather_source source;
    struct whole whole = { 0 };
    CHECK(gather_all(table, &source, &whole));
    CHECK_INT(whole.quick.value, 7);
}
