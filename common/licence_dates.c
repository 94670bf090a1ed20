/* Days, durations and ends as licences write them (facts 2.3), and what people read. */
#include "confleet/licence.h"
#include "confleet/str.h"
#include <stdio.h>
#include <string.h>

#define DAY_MS (24LL * 3600 * 1000)

static bool digits(const char *text, size_t count, int32_t *ret)
{
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret = value;
    return true;
}

static bool is_leap(int32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 by the count of 400-year eras, which are all alike; a year begins in March. */
static int32_t day_of(int32_t year, int32_t month, int32_t day)
{
    int32_t y = month <= 2 ? year - 1 : year;
    int32_t era = y / 400, of_era = y - era * 400;
    int32_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool licence_day_parse(const char *text, int32_t *ret_day)
{
    static const int32_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int32_t year = 0, month = 0, day = 0;
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !digits(text, 4, &year) ||
        !digits(text + 5, 2, &month) || !digits(text + 8, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (month == 2 && is_leap(year)))
        return false;
    *ret_day = day_of(year, month, day);
    return true;
}

const char *licence_day_text(int32_t day, char out[16])
{
    int32_t shifted = day + 719468, era = shifted / 146097, of_era = shifted - era * 146097;
    int32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int32_t month = (5 * of_year + 2) / 153;
    int32_t number = month < 10 ? month + 3 : month - 9;
    (void)snprintf(out, 16, "%04d-%02d-%02d", (int)(year + era * 400 + (number <= 2)) % 10000,
                   (int)number % 100, (int)(of_year - (153 * month + 2) / 5 + 1) % 100);
    return out;
}

int32_t licence_day_of(int64_t wall_ms)
{
    return (int32_t)(wall_ms / DAY_MS);
}

/* P3H and P72H as the vendor writes them, PT3H as ISO 8601 does. P3M could be months or minutes and
 * stays unclear. */
static bool duration_parse(const char *text, int64_t *ret_ms)
{
    uint64_t value = 0;
    static const char word[] = "Duration:";
    if (strncasecmp(text, word, sizeof word - 1) == 0)
        text += sizeof word - 1;
    else if (*text != 'P')
        return false;
    if (*text != 'P') {
        if (!text_parse_u64(text, (uint64_t)INT64_MAX, &value))
            return false;
        *ret_ms = (int64_t)value;
        return true;
    }
    bool time = *++text == 'T';
    text += time;
    size_t count = strspn(text, "0123456789");
    if (count == 0 || count > 7 || !text[count] || text[count + 1])
        return false;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    char unit = text[count];
    int64_t unit_ms = unit == 'H'            ? 3600 * 1000
                      : unit == 'D' && !time ? DAY_MS
                      : unit == 'W' && !time ? 7 * DAY_MS
                      : unit == 'M' && time  ? 60 * 1000
                      : unit == 'S' && time  ? 1000
                                             : 0;
    *ret_ms = (int64_t)value * unit_ms;
    return unit_ms > 0;
}

void licence_end_parse(const char *text_or_null, struct licence_end *ret)
{
    char text[48] = "";
    *ret = (struct licence_end){ .when = LICENCE_ABSENT };
    if (!text_or_null)
        return;
    text_or_null += strspn(text_or_null, " \t\r\n");
    size_t len = strlen(text_or_null);
    while (len > 0 && strchr(" \t\r\n", text_or_null[len - 1]))
        len--;
    if (len == 0)
        return;
    ret->when = LICENCE_UNCLEAR;
    if (len >= sizeof text)
        return;
    memcpy(text, text_or_null, len);
    if (strcasecmp(text, "unlimited") == 0)
        ret->when = LICENCE_UNLIMITED;
    else if (licence_day_parse(text, &ret->day))
        ret->when = LICENCE_DAY;
    else if (duration_parse(text, &ret->duration_ms))
        ret->when = LICENCE_DURATION;
}

const char *licence_end_text(const struct licence_end *end, char out[48])
{
    char part[24];
    switch (end->when) {
    case LICENCE_ABSENT:
        (void)snprintf(out, 48, "none named");
        break;
    case LICENCE_DAY:
        (void)licence_day_text(end->day, out);
        break;
    case LICENCE_DURATION:
        (void)snprintf(out, 48, "%s after the first use", text_duration(end->duration_ms, part));
        break;
    case LICENCE_UNLIMITED:
        (void)snprintf(out, 48, "never");
        break;
    case LICENCE_UNCLEAR:
        (void)snprintf(out, 48, "written in an unknown way");
        break;
    }
    return out;
}
