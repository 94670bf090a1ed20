#include "controller/cli/zone.h"
#include "harness/test.h"
#include <time.h>

TEST(zone_is_a_file_of_the_database_and_nothing_else)
{
    static const char *const good[] = { "Europe/Berlin",          "UTC",       "Etc/GMT+8",
                                        "America/Port-au-Prince", "EST5EDT",   "GMT-0",
                                        "America/Indiana/Knox",   "Asia/Tokyo" };
    static const char *const bad[] = {
        "",
        "/etc/localtime",
        "/usr/share/zoneinfo/UTC",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "Europe//Berlin",
        "Europe/Berlin/",
        "Europe",
        "./UTC",
        "localtime",
        "posixrules",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "tzdata.zi",
        "zone.tab",
        "leapseconds",
        "europe/berlin",
        "CET-1CEST",
        "Europe/Berlin\n",
        "Europe/Berlin UTC",
        ":UTC",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!zone_exists(good[i]))
            print_error("%s\n", good[i]);
        CHECK(zone_exists(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (zone_exists(bad[i]))
            print_error("%s\n", bad[i]);
        CHECK(!zone_exists(bad[i]));
    }
}

TEST(misspelt_zone_is_guessed)
{
    char meant[ZONE_TEXT_MAX];
    CHECK_STR(zone_suggest("Europe/Berln", meant), "Europe/Berlin");
    CHECK_STR(zone_suggest("America/Indiana/Knoxx", meant), "America/Indiana/Knox");
    CHECK(zone_suggest("Europe/Atlantis", meant) == NULL);
    CHECK(zone_suggest("../Berlin", meant) == NULL);
    CHECK(zone_suggest("Nowhere/Berlin", meant) == NULL);
}

TEST(zone_of_the_process_is_put_back)
{
    struct err err = { 0 };
    int64_t wall_s = 0, at_ms = 0;
    struct tm tm;
    time_t at = 1795400000;
    char text[ZONE_TEXT_MAX];
    CHECK_INT(setenv("TZ", "Asia/Tokyo", 1), 0);
    tzset();
    CHECK_OK(zone_local("America/New_York", 1795400000000, &wall_s, &err), err);
    CHECK_INT(wall_s, 1795400000 - 5 * 3600);
    CHECK_STR(getenv("TZ"), "Asia/Tokyo");
    CHECK(localtime_r(&at, &tm) && tm.tm_gmtoff == 9 * 3600);
    CHECK_INT(unsetenv("TZ"), 0);
    CHECK_OK(zone_instant("Asia/Tokyo", 1795400000, &at_ms, &err), err);
    CHECK_INT(at_ms, (1795400000 - 9 * 3600) * 1000LL);
    CHECK(getenv("TZ") == NULL);
    CHECK_STR(zone_text("Asia/Kathmandu", 1795400000000, text), "Mon 2026-11-23 07:58 +0545");
    CHECK_STR(zone_text("Nowhere", 1795400000000, text), "-");
}

TEST(folder_of_zones_named_by_the_environment_has_no_say)
{
    struct err err = { 0 };
    int64_t wall_s = 0;
    CHECK_INT(setenv("TZDIR", "/nonexistent", 1), 0);
    CHECK_OK(zone_local("Asia/Tokyo", 0, &wall_s, &err), err);
    CHECK_INT(unsetenv("TZDIR"), 0);
    CHECK_INT(wall_s, 9 * 3600);
}

TEST(unknown_zone_is_an_error_and_leaves_the_output_alone)
{
    struct err err = { 0 };
    int64_t value = 7;
    CHECK_INT(zone_local("Europe/Berln", 0, &value, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "Europe/Berln");
    CHECK_INT(zone_instant("../etc/passwd", 0, &value, NULL), -FAIL_NOT_FOUND);
    CHECK_INT(value, 7);
}

TEST(dates_follow_the_calendar)
{
    int64_t days = 7;
    CHECK(!date_days(2026, 2, 29, &days) && !date_days(2100, 2, 29, &days));
    CHECK(!date_days(2026, 0, 1, &days) && !date_days(2026, 13, 1, &days));
    CHECK(!date_days(2026, 1, 0, &days) && !date_days(2026, 6, 31, &days));
    CHECK(!date_days(1969, 12, 31, &days));
    CHECK_INT(days, 7);
    CHECK(date_days(1970, 1, 1, &days) && days == 0 && date_weekday(days) == 3);
    CHECK(date_days(2000, 2, 29, &days) && days == 11016);
    CHECK(date_days(2026, 11, 28, &days) && date_weekday(days) == 5);
    CHECK(date_days(2028, 2, 29, &days) && date_weekday(days) == 1);
}
