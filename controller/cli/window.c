#include "controller/cli/window.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <string.h>

#define DAY_S (24 * 3600)

bool window_clock_parse(const char *text, int *ret_minute)
{
    static const char form[] = "00:00";
    if (strlen(text) != strlen(form))
        return false;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == ':' ? text[i] != ':' : text[i] < '0' || text[i] > '9')
            return false;
    }
    int hour = (text[0] - '0') * 10 + text[1] - '0', minute = (text[3] - '0') * 10 + text[4] - '0';
    if (hour > 23 || minute > 59)
        return false;
    *ret_minute = hour * 60 + minute;
    return true;
}

/* ------------------------------------------------------------------ spans */

void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms)
{
    if (from_ms >= to_ms)
        return;
    spans->list = mem_grow(spans->list, spans->count + 1, sizeof *spans->list);
    spans->list[spans->count++] = (struct span){ from_ms, to_ms };
}

void spans_free(struct spans *spans)
{
    free_mem(&spans->list);
    spans->count = 0;
}

static int span_compare(const void *one, const void *two)
{
    const struct span *a = one, *b = two;
    if (a->from_ms != b->from_ms)
        return a->from_ms < b->from_ms ? -1 : 1;
    return a->to_ms < b->to_ms ? -1 : a->to_ms > b->to_ms;
}

void spans_merge(struct spans *spans)
{
    size_t kept = 0;
    if (spans->count == 0)
        return;
    qsort(spans->list, spans->count, sizeof *spans->list, span_compare);
    for (size_t i = 1; i < spans->count; i++) {
        struct span *last = &spans->list[kept], *next = &spans->list[i];
        if (next->from_ms > last->to_ms)
            spans->list[++kept] = *next;
        else if (next->to_ms > last->to_ms)
            last->to_ms = next->to_ms;
    }
    spans->count = kept + 1;
}

void spans_both(const struct spans *one, const struct spans *two, struct spans *ret)
{
    for (size_t a = 0, b = 0; a < one->count && b < two->count;) {
        const struct span *x = &one->list[a], *y = &two->list[b];
        spans_add(ret, x->from_ms > y->from_ms ? x->from_ms : y->from_ms,
                  x->to_ms < y->to_ms ? x->to_ms : y->to_ms);
        if (x->to_ms < y->to_ms)
            a++;
        else
            b++;
    }
}

void spans_cut(struct spans *spans, const struct spans *without)
{
    struct spans left = { 0 };
    for (size_t i = 0; i < spans->count; i++) {
        struct span rest = spans->list[i];
        for (size_t w = 0; w < without->count && rest.from_ms < rest.to_ms; w++) {
            const struct span *cut = &without->list[w];
            if (cut->to_ms <= rest.from_ms || cut->from_ms >= rest.to_ms)
                continue;
            spans_add(&left, rest.from_ms, cut->from_ms);
            rest.from_ms = cut->to_ms;
        }
        spans_add(&left, rest.from_ms, rest.to_ms);
    }
    spans_free(spans);
    *spans = left;
}

/* ------------------------------------------------------------------ rules */

int window_expand(const struct window_rule *rule, int64_t from_ms, int64_t to_ms,
                  struct spans *spans, struct err *err)
{
    int64_t first_s = 0, last_s = 0;
    size_t count = 0;
    int result = zone_local(rule->tz, from_ms - rule->for_ms, &first_s, err);
    if (result == 0)
        result = zone_local(rule->tz, to_ms, &last_s, err);
    if (result != 0)
        return result;
    /* A day more on both sides: a clock change may move an opening over midnight. */
    int64_t first = first_s / DAY_S - 1, last = last_s / DAY_S + 1;
    CLEANUP(free_mem) int64_t *walls = mem_zero((size_t)(last - first) + 1, sizeof *walls);
    CLEANUP(free_mem) int64_t *opens = mem_zero((size_t)(last - first) + 1, sizeof *opens);
    for (int64_t day = first; day <= last; day++) {
        if (rule->days & 1u << date_weekday(day))
            walls[count++] = day * DAY_S + rule->from_minute * 60;
    }
    result = zone_instants(rule->tz, walls, count, opens, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (opens[i] + rule->for_ms <= from_ms || opens[i] >= to_ms)
            continue;
        if (spans->count == WINDOW_OPENINGS_MAX)
            return err_set(err, FAIL_LIMIT,
                           "the window opens more than %d times before the plan "
                           "expires",
                           WINDOW_OPENINGS_MAX);
        spans_add(spans, opens[i], opens[i] + rule->for_ms);
    }
    return result;
}

/* Digits for '0', anything else as it is: "0000-00-00" and so on. */
static bool form_matches(const char *text, const char *form)
{
    if (strlen(text) != strlen(form))
        return false;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    }
    return true;
}

static int digits(const char *text, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

int window_instant(const char *text, const char *tz, bool last, int64_t *ret_ms, struct err *err)
{
    static const char *const forms[] = { "0000-00-00",           "0000-00-00 00:00",
                                         "0000-00-00T00:00",     "0000-00-00T00:00Z",
                                         "0000-00-00T00:00:00Z", NULL };
    size_t form = 0;
    int64_t days = 0;
    while (forms[form] && !form_matches(text, forms[form]))
        form++;
    if (!forms[form])
        return err_set(err, FAIL_USAGE,
                       "\"%s\" is no time: write 2026-12-24, \"2026-12-24 18:00\" "
                       "or 2026-12-24T17:00:00Z",
                       text);
    int hour = form > 0 ? digits(text + 11, 2) : 0, minute = form > 0 ? digits(text + 14, 2) : 0;
    int second = form == 4 ? digits(text + 17, 2) : 0;
    if (!date_days(digits(text, 4), digits(text + 5, 2), digits(text + 8, 2), &days) || hour > 23 ||
        minute > 59 || second > 59)
        return err_set(err, FAIL_USAGE, "\"%s\" is no time of the calendar", text);
    int64_t wall_s = (days + (form == 0 && last)) * DAY_S + hour * 3600 + minute * 60 + second;
    if (form >= 3) {
        *ret_ms = wall_s * 1000;
        return 0;
    }
    /* What ends at a time of day lasts as long as the clock shows an earlier one. */
    return form > 0 && last ? zone_instant_last(tz, wall_s, ret_ms, err)
                            : zone_instant(tz, wall_s, ret_ms, err);
}

int64_t window_first_start(const struct spans *windows, const struct spans *freezes,
                           int64_t estimate_ms, int64_t from_ms, int64_t to_ms)
{
    CLEANUP(spans_free) struct spans open = { 0 };
    for (size_t i = 0; windows && i < windows->count; i++)
        spans_add(&open, windows->list[i].from_ms, windows->list[i].to_ms);
    if (!windows)
        spans_add(&open, from_ms, INT64_MAX);
    spans_cut(&open, freezes);
    for (size_t i = 0; i < open.count; i++) {
        int64_t start_ms = open.list[i].from_ms > from_ms ? open.list[i].from_ms : from_ms;
        if (start_ms < to_ms && open.list[i].to_ms - start_ms >= estimate_ms)
            return start_ms;
    }
    return -1;
}
