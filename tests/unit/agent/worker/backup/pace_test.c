#include "agent/worker/backup/pace.h"
#include "confleet/clock.h"
#include "harness/test.h"

TEST(who_is_ahead_of_the_rate_waits_and_who_is_not_does_not)
{
    struct pace pace = { .rate = 1000000, .done = 500000 };
    CHECK_INT(pace_ahead_ms(&pace, 100, 0), 400);
    CHECK_INT(pace_ahead_ms(&pace, 500, 0), 0);
    CHECK_INT(pace_ahead_ms(&pace, 9000, 0), 0);
}

TEST(more_than_one_core_is_made_up_for)
{
    struct pace pace = { .rate = 1000000000, .done = 1000 };
    CHECK_INT(pace_ahead_ms(&pace, 1000, 1900), 900);
    CHECK_INT(pace_ahead_ms(&pace, 1000, 1000), 0);
}

TEST(without_a_rate_nothing_waits)
{
    struct pace pace;
    pace_begin(&pace, 0, 0);
    int64_t before = clock_mono_ms();
    pace_moved(&pace, 1ULL << 40);
    CHECK(clock_mono_ms() - before < 1000);
    CHECK_INT(pace_ahead_ms(&pace, 0, 5000), 0);
}

TEST(a_rate_is_kept)
{
    struct pace pace;
    pace_begin(&pace, 1000000, 300000);
    int64_t before = clock_mono_ms();
    for (int i = 0; i < 30; i++)
        pace_moved(&pace, 10000);
    int64_t took = clock_mono_ms() - before;
    CHECK(took >= 280);
}

TEST(the_text_has_what_can_be_known)
{
    char text[128];
    struct pace pace = { .done = 1000000000, .total = 4000000000 };
    pace_text(&pace, 10000, text);
    CHECK_STR(text, "1.0 GB of 4.0 GB, 100 MB/s, about 30 s left");
    pace_text(&pace, 10, text);
    CHECK_STR(text, "1.0 GB of 4.0 GB");
    pace.total = 0;
    pace_text(&pace, 10000, text);
    CHECK_STR(text, "1.0 GB, 100 MB/s");
}
