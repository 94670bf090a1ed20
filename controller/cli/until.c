#include "controller/cli/until.h"
#include "confleet/clock.h"
#include "confleet/str.h"
#include "confleet/yaml.h"
#include <string.h>

#define DAY_MS      (24LL * 3600 * 1000)
#define FURTHEST_MS (10 * 366 * DAY_MS) /* beyond that it is a slip of the finger */

struct moment {
    int year, month, day, hour, minute, second;
};

static bool digits(const char **at, int count, int *ret)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret = value;
    return true;
}

static bool letter(const char **at, const char *any)
{
    if (**at == '\0' || !strchr(any, **at))
        return false;
    (*at)++;
    return true;
}

static bool clock_parse(const char **at, struct moment *m)
{
    if (!digits(at, 2, &m->hour) || !letter(at, ":") || !digits(at, 2, &m->minute))
        return false;
    return !letter(at, ":") || digits(at, 2, &m->second);
}

static bool moment_parse(const char *text, struct moment *ret)
{
    struct moment m = { 0 };
    const char *at = text;
    if (!digits(&at, 4, &m.year) || !letter(&at, "-") || !digits(&at, 2, &m.month) ||
        !letter(&at, "-") || !digits(&at, 2, &m.day))
        return false;
    if (letter(&at, "T ") && !clock_parse(&at, &m))
        return false;
    (void)letter(&at, "Z");
    *ret = m;
    return *at == '\0';
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool moment_ms(const struct moment *m, int64_t *ret_ms)
{
    int64_t days = 0;
    if (m->year < 1970 || m->year > 9999 || m->month < 1 || m->month > 12 || m->day < 1 ||
        m->day > month_days(m->year, m->month) || m->hour > 23 || m->minute > 59 || m->second > 59)
        return false;
    for (int year = 1970; year < m->year; year++)
        days += 337 + month_days(year, 2);
    for (int month = 1; month < m->month; month++)
        days += month_days(m->year, month);
    days += m->day - 1;
    *ret_ms = days * DAY_MS + ((m->hour * 60LL + m->minute) * 60 + m->second) * 1000;
    return true;
}

int until_parse(const char *text, int64_t now_ms, int64_t *ret_ms, struct err *err)
{
    struct moment moment = { 0 };
    char words[CLOCK_TEXT_MAX];
    int64_t ms = 0;
    if (yaml_duration(text, &ms))
        ms += now_ms;
    else if (!moment_parse(text, &moment) || !moment_ms(&moment, &ms))
        return err_set(err, FAIL_USAGE,
                       "--until '%s' is no time: write a duration such as 2h or 3d, or a time in "
                       "UTC such as 2026-12-24T18:00Z",
                       text);
    if (ms <= now_ms)
        return err_set(err, FAIL_USAGE, "--until '%s' is over already: it is %s", text,
                       clock_text(now_ms, words));
    if (ms - now_ms > FURTHEST_MS)
        return err_set(err, FAIL_USAGE, "--until '%s' is more than ten years away", text);
    *ret_ms = ms;
    return 0;
}
