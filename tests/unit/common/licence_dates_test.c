#include "confleet/licence.h"
#include "harness/test.h"

static const char *read_back(const char *text)
{
    static char out[48];
    struct licence_end end;
    licence_end_parse(text, &end);
    return licence_end_text(&end, out);
}

TEST(days_are_counted_from_1970_and_written_back)
{
    static const struct {
        const char *text;
        int32_t day;
    } days[] = { { "1970-01-01", 0 },     { "1970-03-01", 59 },    { "2000-02-29", 11016 },
                 { "2026-06-02", 20606 }, { "2112-09-11", 52118 }, { "9999-12-31", 2932896 } };
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        int32_t day = -1;
        char text[16];
        CHECK(licence_day_parse(days[i].text, &day));
        CHECK_INT(day, days[i].day);
        CHECK_STR(licence_day_text(day, text), days[i].text);
    }
    for (int32_t day = 0; day < 200000; day++) {
        int32_t again = -1;
        char text[16];
        CHECK(licence_day_parse(licence_day_text(day, text), &again));
        CHECK(again == day);
    }
    CHECK_INT(licence_day_of(86400000LL * 3 + 5), 3);
}

TEST(what_is_no_day_is_refused)
{
    static const char *const wrong[] = { "",           "2026-13-01", "2026-00-01", "2026-01-00",
                                         "2025-02-29", "2100-02-29", "2026-04-31", "26-04-30",
                                         "2026/04/30", "1969-12-31", "2026-04-3x", "2026-04-30 " };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int32_t day = 7;
        CHECK(!licence_day_parse(wrong[i], &day));
        CHECK_INT(day, 7);
    }
}

TEST(ends_are_days_durations_or_never)
{
    CHECK_STR(read_back("2030-12-31"), "2030-12-31");
    CHECK_STR(read_back(" 2030-12-31\n"), "2030-12-31");
    CHECK_STR(read_back("P3H"), "3h 00m after the first use");
    CHECK_STR(read_back("PT30M"), "30m 00s after the first use");
    CHECK_STR(read_back("Duration:10000"), "10 s after the first use");
    CHECK_STR(read_back("Duration:P72H"), "3d 00h after the first use");
    CHECK_STR(read_back("unlimited"), "never");
    CHECK_STR(read_back("Unlimited"), "never");
    CHECK_STR(read_back(NULL), "none named");
    CHECK_STR(read_back("  "), "none named");
}

TEST(unclear_ends_stay_unclear)
{
    static const char *const unclear[] = { "P3M",
                                           "P",
                                           "PT",
                                           "PH",
                                           "P3",
                                           "P3HH",
                                           "P99999999H",
                                           "-3",
                                           "Duration:",
                                           "Duration:x",
                                           "Duration:99999999999999999999",
                                           "soon",
                                           "2026-1-1",
                                           "2026-01-01 and much more text than an end can have" };
    for (size_t i = 0; i < sizeof unclear / sizeof *unclear; i++)
        CHECK_STR(read_back(unclear[i]), "written in an unknown way");
}
