#include "controller/cli/window.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include "harness/test.h"

#define MINUTE_MS 60000LL

static int64_t utc(const char *text)
{
    struct err err = { 0 };
    int64_t at_ms = 0;
    CHECK_OK(window_instant(text, "UTC", false, &at_ms, &err), err);
    return at_ms;
}

static void utc_add(struct str *to, int64_t at_ms)
{
    char local[ZONE_TEXT_MAX];
    (void)zone_text("UTC", at_ms, local); /* Sat 2026-11-28 02:00 UTC */
    str_addf(to, "%.10sT%.5sZ", local + 4, local + 15);
}

/* Days as in a plan file; none: every day. */
static unsigned days_of(const char *text)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    unsigned days = 0;
    for (int day = 0; day < 7; day++)
        days |= strstr(text, names[day]) ? 1u << day : 0;
    return days ? days : WINDOW_EVERY_DAY;
}

/* Made by brute force, minute by minute, with another reader of the tz database, and read through
 * by hand. */
static const struct {
    const char *what, *tz, *days, *from;
    int minutes;
    const char *begin, *end, *opens;
} table[] = {
    /* clang-format off */
    { "plain", "Europe/Berlin", "sat", "02:00", 240, "2026-11-23T00:00Z", "2026-12-07T00:00Z", "2026-11-28T01:00Z 2026-12-05T01:00Z" },
    { "plain, every day", "UTC", "", "00:00", 60, "2026-11-23T00:30Z", "2026-11-26T00:00Z", "2026-11-23T00:00Z 2026-11-24T00:00Z 2026-11-25T00:00Z" },
    { "day not named never opens", "Europe/Berlin", "sun", "02:00", 60, "2026-11-23T00:00Z", "2026-11-28T00:00Z", "" },
    { "begins at the very end of the plan", "UTC", "tue", "00:00", 60, "2026-11-23T00:00Z", "2026-11-24T00:00Z", "" },
    { "ends at the very beginning of the plan", "UTC", "mon", "00:00", 60, "2026-11-23T01:00Z", "2026-11-24T00:00Z", "" },
    { "open already", "UTC", "mon", "00:00", 61, "2026-11-23T01:00Z", "2026-11-24T00:00Z", "2026-11-23T00:00Z" },
    { "open for a week already", "UTC", "mon", "00:00", 10080, "2026-11-22T23:59Z", "2026-11-23T00:00Z", "2026-11-16T00:00Z" },
    { "skipped time, Berlin, spring", "Europe/Berlin", "sun",
      "02:00", 240, "2026-03-27T00:00Z", "2026-04-07T00:00Z", "2026-03-29T01:00Z 2026-04-05T00:00Z" },
    { "in the middle of the gap", "Europe/Berlin", "sun", "02:30", 240, "2026-03-27T00:00Z", "2026-03-31T00:00Z", "2026-03-29T01:00Z" },
    { "last minute of the gap", "Europe/Berlin", "sun", "02:59", 240, "2026-03-27T00:00Z", "2026-03-31T00:00Z", "2026-03-29T01:00Z" },
    { "end of the gap", "Europe/Berlin", "sun", "03:00", 240, "2026-03-27T00:00Z", "2026-03-31T00:00Z", "2026-03-29T01:00Z" },
    { "a minute before the gap", "Europe/Berlin", "sun", "01:59", 240, "2026-03-27T00:00Z", "2026-03-31T00:00Z", "2026-03-29T00:59Z" },
    { "doubled time, Berlin, autumn", "Europe/Berlin", "sun",
      "02:00", 240, "2026-10-23T00:00Z", "2026-11-03T00:00Z", "2026-10-25T00:00Z 2026-11-01T01:00Z" },
    { "in the middle of the doubled hour", "Europe/Berlin", "sun", "02:30", 240, "2026-10-23T00:00Z", "2026-10-27T00:00Z", "2026-10-25T00:30Z" },
    { "last doubled minute", "Europe/Berlin", "sun", "02:59", 60, "2026-10-23T00:00Z", "2026-10-27T00:00Z", "2026-10-25T00:59Z" },
    { "after the doubled hour", "Europe/Berlin", "sun", "03:00", 60, "2026-10-23T00:00Z", "2026-10-27T00:00Z", "2026-10-25T02:00Z" },
    { "every day over the spring change", "Europe/Berlin", "",
      "02:30", 60, "2026-03-28T00:00Z", "2026-03-31T00:00Z", "2026-03-28T01:30Z 2026-03-29T01:00Z 2026-03-30T00:30Z" },
    { "every day over the autumn change", "Europe/Berlin", "",
      "02:30", 60, "2026-10-24T00:00Z", "2026-10-27T00:00Z", "2026-10-24T00:30Z 2026-10-25T00:30Z 2026-10-26T01:30Z" },
    { "London, spring", "Europe/London", "sun", "01:30", 120, "2026-03-27T00:00Z", "2026-04-06T00:00Z", "2026-03-29T01:00Z 2026-04-05T00:30Z" },
    { "London, autumn", "Europe/London", "sun", "01:30", 120, "2026-10-23T00:00Z", "2026-11-02T00:00Z", "2026-10-25T00:30Z 2026-11-01T01:30Z" },
    { "Lisbon, spring", "Europe/Lisbon", "sun", "01:00", 120, "2026-03-27T00:00Z", "2026-04-06T00:00Z", "2026-03-29T01:00Z 2026-04-05T00:00Z" },
    { "New York, spring", "America/New_York", "sun", "02:30", 60, "2026-03-06T00:00Z", "2026-03-16T00:00Z", "2026-03-08T07:00Z 2026-03-15T06:30Z" },
    { "New York, autumn", "America/New_York", "sun", "01:30", 60, "2026-10-30T00:00Z", "2026-11-09T12:00Z", "2026-11-01T05:30Z 2026-11-08T06:30Z" },
    { "Los Angeles, both sides of the date", "America/Los_Angeles", "sat",
      "23:00", 120, "2026-03-06T00:00Z", "2026-03-16T00:00Z", "2026-03-08T07:00Z 2026-03-15T06:00Z" },
    { "Phoenix has no summer time", "America/Phoenix", "sun",
      "02:30", 60, "2026-03-06T00:00Z", "2026-03-16T00:00Z", "2026-03-08T09:30Z 2026-03-15T09:30Z" },
    { "Saint John's, half an hour", "America/St_Johns", "sun",
      "02:30", 60, "2026-03-06T00:00Z", "2026-03-16T00:00Z", "2026-03-08T05:30Z 2026-03-15T05:00Z" },
    { "Santiago, midnight is skipped", "America/Santiago", "sun",
      "00:00", 120, "2026-09-04T00:00Z", "2026-09-14T00:00Z", "2026-09-06T04:00Z 2026-09-13T03:00Z" },
    { "Santiago, the hour before midnight doubled", "America/Santiago", "sat",
      "23:30", 120, "2026-04-03T00:00Z", "2026-04-13T12:00Z", "2026-04-05T02:30Z 2026-04-12T03:30Z" },
    { "Havana, midnight is skipped", "America/Havana", "sun",
      "00:00", 60, "2026-03-06T00:00Z", "2026-03-16T12:00Z", "2026-03-08T05:00Z 2026-03-15T04:00Z" },
    { "Beirut, midnight is skipped", "Asia/Beirut", "sun",
      "00:30", 60, "2026-03-27T00:00Z", "2026-04-06T00:00Z", "2026-03-28T22:00Z 2026-04-04T21:30Z" },
    { "Cairo, Friday begins late", "Africa/Cairo", "fri",
      "00:15", 60, "2026-04-22T00:00Z", "2026-05-02T00:00Z", "2026-04-23T22:00Z 2026-04-30T21:15Z" },
    { "Sydney, spring in October", "Australia/Sydney", "sun",
      "02:30", 60, "2026-10-02T00:00Z", "2026-10-12T00:00Z", "2026-10-03T16:00Z 2026-10-10T15:30Z" },
    { "Sydney, autumn in April", "Australia/Sydney", "sun",
      "02:30", 60, "2026-04-03T00:00Z", "2026-04-13T00:00Z", "2026-04-04T15:30Z 2026-04-11T16:30Z" },
    { "Auckland, spring", "Pacific/Auckland", "sun", "02:00", 60, "2026-09-25T00:00Z", "2026-10-05T00:00Z", "2026-09-26T14:00Z 2026-10-03T13:00Z" },
    { "Auckland, autumn", "Pacific/Auckland", "sun", "02:45", 60, "2026-04-03T00:00Z", "2026-04-13T00:00Z", "2026-04-04T13:45Z 2026-04-11T14:45Z" },
    { "Lord Howe, half an hour skipped", "Australia/Lord_Howe", "sun",
      "02:15", 60, "2026-10-02T00:00Z", "2026-10-12T00:00Z", "2026-10-03T15:30Z 2026-10-10T15:15Z" },
    { "Lord Howe, right after the gap", "Australia/Lord_Howe", "sun", "02:30", 60, "2026-10-02T00:00Z", "2026-10-05T00:00Z", "2026-10-03T15:30Z" },
    { "Lord Howe, half an hour doubled", "Australia/Lord_Howe", "sun",
      "01:45", 60, "2026-04-03T00:00Z", "2026-04-13T00:00Z", "2026-04-04T14:45Z 2026-04-11T15:15Z" },
    { "Lord Howe, after the doubled half hour", "Australia/Lord_Howe", "sun",
      "02:00", 60, "2026-04-03T00:00Z", "2026-04-06T00:00Z", "2026-04-04T15:30Z" },
    { "Kolkata, half-hour zone", "Asia/Kolkata", "wed",
      "02:00", 60, "2026-11-23T00:00Z", "2026-12-03T00:00Z", "2026-11-24T20:30Z 2026-12-01T20:30Z" },
    { "Kathmandu, 45 minutes", "Asia/Kathmandu", "wed",
      "02:00", 60, "2026-11-23T00:00Z", "2026-12-03T00:00Z", "2026-11-24T20:15Z 2026-12-01T20:15Z" },
    { "Chatham, 45 minutes, spring", "Pacific/Chatham", "sun",
      "02:50", 60, "2026-09-25T00:00Z", "2026-10-05T00:00Z", "2026-09-26T14:00Z 2026-10-03T13:05Z" },
    { "Chatham, 45 minutes, autumn", "Pacific/Chatham", "sun",
      "03:00", 60, "2026-04-03T00:00Z", "2026-04-13T00:00Z", "2026-04-04T13:15Z 2026-04-11T14:15Z" },
    { "Eucla, 45 minutes", "Australia/Eucla", "fri", "22:00", 60, "2026-11-23T00:00Z", "2026-12-03T00:00Z", "2026-11-27T13:15Z" },
    { "Adelaide, half hour and summer time", "Australia/Adelaide", "sun",
      "02:30", 60, "2026-10-02T00:00Z", "2026-10-12T00:00Z", "2026-10-03T16:30Z 2026-10-10T16:00Z" },
    { "Tehran, half hour without summer time", "Asia/Tehran", "",
      "03:30", 60, "2026-03-21T00:00Z", "2026-03-23T00:00Z", "2026-03-21T00:00Z 2026-03-22T00:00Z" },
    { "Kiritimati, a day ahead", "Pacific/Kiritimati", "sat", "00:30", 60, "2026-11-23T00:00Z", "2026-12-03T00:00Z", "2026-11-27T10:30Z" },
    { "Pago Pago, a day behind", "Pacific/Pago_Pago", "sat", "23:30", 60, "2026-11-23T00:00Z", "2026-12-03T00:00Z", "2026-11-29T10:30Z" },
    { "Apia, the Friday that was left out", "Pacific/Apia", "fri",
      "02:00", 60, "2011-12-28T00:00Z", "2012-01-07T00:00Z", "2011-12-30T10:00Z 2012-01-05T12:00Z" },
    { "Casablanca, summer time upside down, February", "Africa/Casablanca", "sun",
      "02:30", 60, "2026-02-13T00:00Z", "2026-02-24T00:00Z", "2026-02-15T01:30Z 2026-02-22T02:30Z" },
    { "Casablanca, summer time upside down, March", "Africa/Casablanca", "sun",
      "02:30", 60, "2026-03-20T00:00Z", "2026-03-31T00:00Z", "2026-03-22T02:00Z 2026-03-29T01:30Z" },
    { "Dublin", "Europe/Dublin", "sun", "01:15", 60, "2026-03-27T00:00Z", "2026-04-06T00:00Z", "2026-03-29T01:00Z 2026-04-05T00:15Z" },
    { "Troll, two hours at once", "Antarctica/Troll", "sun",
      "02:00", 60, "2026-03-27T00:00Z", "2026-04-06T00:00Z", "2026-03-29T01:00Z 2026-04-05T00:00Z" },
    { "over midnight", "Europe/Berlin", "fri", "22:00", 480, "2026-11-28T00:00Z", "2026-11-29T00:00Z", "2026-11-27T21:00Z" },
    { "over midnight and the spring change", "Europe/Berlin", "sat", "23:00", 300, "2026-03-27T00:00Z", "2026-03-31T00:00Z", "2026-03-28T22:00Z" },
    { "over midnight and the autumn change", "Europe/Berlin", "sat", "23:00", 300, "2026-10-23T00:00Z", "2026-10-27T00:00Z", "2026-10-24T21:00Z" },
    { "over the end of the year", "Asia/Tokyo", "thu", "23:30", 120, "2026-12-30T00:00Z", "2027-01-02T00:00Z", "2026-12-31T14:30Z" },
    { "leap day", "Europe/Berlin", "tue", "02:00", 60, "2028-02-27T00:00Z", "2028-03-08T00:00Z", "2028-02-29T01:00Z 2028-03-07T01:00Z" },
    { "leap day, every day", "Europe/Berlin", "",
      "23:59", 60, "2028-02-27T12:00Z", "2028-03-02T00:00Z", "2028-02-27T22:59Z 2028-02-28T22:59Z 2028-02-29T22:59Z 2028-03-01T22:59Z" },
    { "no leap day", "Europe/Berlin", "",
      "23:59", 60, "2027-02-26T12:00Z", "2027-03-02T00:00Z", "2027-02-26T22:59Z 2027-02-27T22:59Z 2027-02-28T22:59Z 2027-03-01T22:59Z" },
    { "no leap day in 2100", "UTC", "",
      "12:00", 60, "2100-02-27T00:00Z", "2100-03-03T00:00Z", "2100-02-27T12:00Z 2100-02-28T12:00Z 2100-03-01T12:00Z 2100-03-02T12:00Z" },
    { "two days of the week", "America/Chicago", "tue,thu",
      "21:00", 180, "2026-11-23T00:00Z", "2026-12-01T00:00Z", "2026-11-25T03:00Z 2026-11-27T03:00Z" },
    { "zone behind UTC by name", "Etc/GMT+8", "mon", "09:00", 60, "2026-11-23T00:00Z", "2026-11-25T00:00Z", "2026-11-23T17:00Z" },
    { "far ahead, beyond the table of the zone", "Europe/Berlin", "sun", "02:30", 60, "2060-03-26T00:00Z", "2060-03-30T00:00Z", "2060-03-28T01:00Z" },
    /* clang-format on */
};

TEST(each_selected_local_day_opens_once_at_the_instant_of_its_zone)
{
    size_t count = sizeof table / sizeof table[0];
    for (size_t i = 0; i < count; i++) {
        CLEANUP(spans_free) struct spans spans = { 0 };
        CLEANUP(str_free) struct str got = { 0 };
        struct err err = { 0 };
        struct window_rule rule = { .days = days_of(table[i].days),
                                    .for_ms = table[i].minutes * MINUTE_MS,
                                    .tz = table[i].tz };
        CHECK(window_clock_parse(table[i].from, &rule.from_minute));
        CHECK_OK(window_expand(&rule, utc(table[i].begin), utc(table[i].end), &spans, &err), err);
        for (size_t s = 0; s < spans.count; s++) {
            str_add(&got, s > 0 ? " " : "");
            utc_add(&got, spans.list[s].from_ms);
            /* The length is elapsed time, whatever the clock does. */
            CHECK_INT(spans.list[s].to_ms - spans.list[s].from_ms, rule.for_ms);
        }
        if (strcmp(str_text(&got), table[i].opens) != 0)
            print_error("%s:\n", table[i].what);
        CHECK_STR(str_text(&got), table[i].opens);
    }
    CHECK(count >= 60);
}

/* "FROM/TO FROM/TO" */
static void spans_of(const char *text, struct spans *ret)
{
    for (const char *at = text; *at; at += strcspn(at, " "), at += *at == ' ') {
        char from[20], to[20];
        CHECK(strcspn(at, " ") == 35);
        (void)snprintf(from, sizeof from, "%.17s", at);
        (void)snprintf(to, sizeof to, "%.17s", at + 18);
        spans_add(ret, utc(from), utc(to));
    }
    spans_merge(ret);
}

#define SAT "2026-11-28T01:00Z/2026-11-28T05:00Z"
#define SUN "2026-11-29T01:00Z/2026-11-29T05:00Z"

static const struct {
    const char *what, *windows, *freezes; /* windows NULL: always open */
    int estimate;
    const char *begin, *end, *start; /* start NULL: never */
} starts[] = {
    /* clang-format off */
    { "no windows", NULL, "", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-23T00:00Z" },
    { "waits for the window", SAT, "", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T01:00Z" },
    { "open already", SAT, "", 30, "2026-11-28T02:00Z", "2026-11-30T00:00Z", "2026-11-28T02:00Z" },
    { "the rest is just enough", SAT, "", 30, "2026-11-28T04:30Z", "2026-11-30T00:00Z", "2026-11-28T04:30Z" },
    { "the rest is a minute too short", SAT, "", 30, "2026-11-28T04:31Z", "2026-11-30T00:00Z", NULL },
    { "too short a rest waits for the next", SAT " " SUN, "", 30, "2026-11-28T04:31Z", "2026-11-30T00:00Z", "2026-11-29T01:00Z" },
    { "as long as the estimate", SAT, "", 240, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T01:00Z" },
    { "shorter than the estimate", SAT, "", 241, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "opens after the plan's end", SAT, "", 30, "2026-11-23T00:00Z", "2026-11-28T01:00Z", NULL },
    { "opens at the last moment", SAT, "", 30, "2026-11-23T00:00Z", "2026-11-28T01:01Z", "2026-11-28T01:00Z" },
    { "never opens", "", "", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "freeze over the window's begin", SAT, "2026-11-27T00:00Z/2026-11-28T03:00Z", 30, "2026-11-23T00:00Z",
      "2026-11-30T00:00Z", "2026-11-28T03:00Z" },
    { "freeze over the window's end", SAT, "2026-11-28T03:00Z/2026-11-29T00:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T01:00Z" },
    { "freeze within the window", SAT, "2026-11-28T01:30Z/2026-11-28T02:00Z", 30, "2026-11-28T01:30Z", "2026-11-30T00:00Z", "2026-11-28T02:00Z" },
    { "freeze over the window", SAT, "2026-11-28T00:00Z/2026-11-28T06:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "freeze leaves too little", SAT, "2026-11-28T00:00Z/2026-11-28T04:45Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "freeze leaves just enough", SAT, "2026-11-28T00:00Z/2026-11-28T04:30Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T04:30Z" },
    { "freeze over one of two windows", SAT " " SUN, "2026-11-27T00:00Z/2026-11-29T00:00Z", 30, "2026-11-23T00:00Z",
      "2026-11-30T00:00Z", "2026-11-29T01:00Z" },
    { "freezes that touch", SAT " " SUN, "2026-11-28T00:00Z/2026-11-28T03:00Z 2026-11-28T03:00Z/2026-11-29T02:00Z", 30, "2026-11-23T00:00Z",
      "2026-11-30T00:00Z", "2026-11-29T02:00Z" },
    { "freeze without windows", NULL, "2026-11-22T00:00Z/2026-11-25T00:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-25T00:00Z" },
    { "freeze of the whole plan", NULL, "2026-11-22T00:00Z/2026-12-25T00:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "windows that overlap are one", "2026-11-28T01:00Z/2026-11-28T02:00Z 2026-11-28T01:45Z/2026-11-28T03:00Z", "",
      120, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T01:00Z" },
    { "windows that touch are one", "2026-11-28T01:00Z/2026-11-28T02:00Z 2026-11-28T02:00Z/2026-11-28T03:00Z", "",
      120, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T01:00Z" },
    { "windows apart are not one", "2026-11-28T01:00Z/2026-11-28T02:00Z 2026-11-28T02:01Z/2026-11-28T03:00Z", "",
      120, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "freeze comes too soon", SAT, "2026-11-28T01:29Z/2026-11-28T02:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", "2026-11-28T02:00Z" },
    { "freeze comes just late enough", SAT, "2026-11-28T01:30Z/2026-11-28T02:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z",
      "2026-11-28T01:00Z" },
    { "freezes leave only scraps", SAT, "2026-11-28T01:29Z/2026-11-28T04:31Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z", NULL },
    { "a freeze comes too soon without windows", NULL, "2026-11-23T00:20Z/2026-11-24T00:00Z", 30, "2026-11-23T00:00Z", "2026-11-30T00:00Z",
      "2026-11-24T00:00Z" },
    { "plan of no length", NULL, "", 30, "2026-11-23T00:00Z", "2026-11-23T00:00Z", NULL },
    /* clang-format on */
};

TEST(start_needs_a_window_with_enough_left_and_no_freeze)
{
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        CLEANUP(spans_free) struct spans windows = { 0 }, freezes = { 0 };
        if (starts[i].windows)
            spans_of(starts[i].windows, &windows);
        spans_of(starts[i].freezes, &freezes);
        int64_t got = window_first_start(starts[i].windows ? &windows : NULL, &freezes,
                                         starts[i].estimate * MINUTE_MS, utc(starts[i].begin),
                                         utc(starts[i].end));
        int64_t want = starts[i].start ? utc(starts[i].start) : -1;
        if (got != want)
            print_error("%s:\n", starts[i].what);
        CHECK_INT(got, want);
    }
}

TEST(two_sets_of_windows_are_open_where_both_are)
{
    CLEANUP(spans_free) struct spans one = { 0 }, two = { 0 }, both = { 0 };
    spans_of(SAT " " SUN, &one);
    spans_of("2026-11-28T00:00Z/2026-11-28T02:00Z 2026-11-28T04:00Z/2026-11-29T03:00Z", &two);
    spans_both(&one, &two, &both);
    CHECK_INT(both.count, 3);
    CHECK_INT(both.list[0].from_ms, utc("2026-11-28T01:00Z"));
    CHECK_INT(both.list[0].to_ms, utc("2026-11-28T02:00Z"));
    CHECK_INT(both.list[1].from_ms, utc("2026-11-28T04:00Z"));
    CHECK_INT(both.list[1].to_ms, utc("2026-11-28T05:00Z"));
    CHECK_INT(both.list[2].from_ms, utc("2026-11-29T01:00Z"));
    CHECK_INT(both.list[2].to_ms, utc("2026-11-29T03:00Z"));
}

TEST(openings_have_a_limit)
{
    CLEANUP(spans_free) struct spans spans = { 0 };
    struct err err = { 0 };
    struct window_rule rule = {
        .days = WINDOW_EVERY_DAY, .for_ms = MINUTE_MS, .from_minute = 60, .tz = "UTC"
    };
    CHECK_OK(window_expand(&rule, utc("2026-01-01"), utc("2027-02-05"), &spans, &err), err);
    CHECK_INT(spans.count, WINDOW_OPENINGS_MAX);
    CHECK_INT(window_expand(&rule, utc("2027-02-05"), utc("2027-02-06"), &spans, &err),
              -FAIL_LIMIT);
    CHECK_INT(spans.count, WINDOW_OPENINGS_MAX);
}

TEST(time_of_day_is_hours_and_minutes)
{
    static const char *const bad[] = { "",      "2:00",  "24:00", "02:60",  "0200",
                                       "02.00", "02:0a", "-2:00", "02:000", " 2:00" };
    int minute = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!window_clock_parse(bad[i], &minute));
    CHECK_INT(minute, 7);
    CHECK(window_clock_parse("00:00", &minute) && minute == 0);
    CHECK(window_clock_parse("23:59", &minute) && minute == 23 * 60 + 59);
}

TEST(freeze_times_are_dates_local_times_or_instants)
{
    static const char *const bad[] = { "2026-13-01",
                                       "2026-02-29",
                                       "2026-12-24 24:00",
                                       "2026-12-24 18:60",
                                       "2026-12-24T18:00:61Z",
                                       "24.12.2026",
                                       "2026-12-24 18:00Z",
                                       "tomorrow",
                                       "",
                                       "1969-12-31",
                                       "2026-00-10",
                                       "2026-04-31" };
    struct err err = { 0 };
    int64_t at_ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(window_instant(bad[i], "UTC", false, &at_ms, &err), -FAIL_USAGE);
        CHECK_HAS(err.text, "is no time");
        err_clear(&err);
    }
    CHECK_INT(at_ms, 7);
    CHECK_OK(window_instant("2026-12-24", "Europe/Berlin", false, &at_ms, &err), err);
    CHECK_INT(at_ms, utc("2026-12-23T23:00Z"));
    CHECK_OK(window_instant("2026-12-24", "Europe/Berlin", true, &at_ms, &err), err);
    CHECK_INT(at_ms, utc("2026-12-24T23:00Z"));
    /* To the end of a day that has 25 hours. */
    CHECK_OK(window_instant("2026-10-25", "Europe/Berlin", true, &at_ms, &err), err);
    CHECK_INT(at_ms - utc("2026-10-24T22:00Z"), 25 * 60 * MINUTE_MS);
    CHECK_OK(window_instant("2026-12-24 18:00", "Asia/Kathmandu", true, &at_ms, &err), err);
    CHECK_INT(at_ms, utc("2026-12-24T12:15Z"));
    CHECK_OK(window_instant("2026-12-24T17:00:30Z", "Asia/Tokyo", true, &at_ms, &err), err);
    CHECK_INT(at_ms, utc("2026-12-24T17:00Z") + 30000);
    CHECK_OK(window_instant("2028-02-29", "UTC", false, &at_ms, &err), err);
    CHECK_INT(window_instant("2026-12-24", "Mars/Base", false, &at_ms, &err), -FAIL_NOT_FOUND);
}
