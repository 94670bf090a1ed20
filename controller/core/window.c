#include "controller/core/window.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS 60000LL
#define DAY_MS    (24LL * 60 * MINUTE_MS)

const char *instant_text(int64_t at_ms, char out[INSTANT_TEXT_MAX])
{
    /* Days to a date of the Gregorian calendar, counted in eras of 400 years from 1 March of year
     * zero, so that the leap day is the last of its year. */
    int64_t day = at_ms >= 0 ? at_ms / DAY_MS : (at_ms - DAY_MS + 1) / DAY_MS;
    int64_t minute = (at_ms - day * DAY_MS) / MINUTE_MS;
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097, of_era = day - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    year += era * 400 + (month <= 2);
    int used = snprintf(out, INSTANT_TEXT_MAX, "%04lld-%02d-%02dT%02d:%02dZ", (long long)year,
                        (int)month, (int)(of_year - (153 * shifted + 2) / 5 + 1),
                        (int)(minute / 60), (int)(minute % 60));
    if (used < 0 || used >= INSTANT_TEXT_MAX)
        out[0] = '\0';
    return out;
}

/* What keeps a start away at one instant. */
struct obstacle {
    const char *kind; /* NULL: nothing */
    const struct span *span;
    int64_t over_ms; /* the first instant worth another look; zero: none comes */
};

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return b_ms != 0 && (a_ms == 0 || b_ms < a_ms) ? b_ms : a_ms;
}

/* Windows that touch or overlap are one opening. */
static int64_t windows_end(const struct span_list *list, int64_t end_ms)
{
    bool grew = true;
    for (size_t n = 0; grew && n < list->count; n++) {
        grew = false;
        for (size_t i = 0; i < list->count; i++) {
            const struct span *span = &list->spans[i];
            if (span->from_ms > end_ms || span->to_ms <= end_ms)
                continue;
            end_ms = span->to_ms;
            grew = true;
        }
    }
    return end_ms;
}

static bool windows_outside(const struct span_list *list, int64_t at_ms, int64_t *end_ms,
                            struct obstacle *ret)
{
    int64_t end = 0, next = 0;
    if (list->count == 0)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct span *span = &list->spans[i];
        if (span->from_ms <= at_ms && span->to_ms > at_ms)
            end = windows_end(list, span->to_ms);
        else if (span->from_ms > at_ms && span->to_ms > span->from_ms)
            next = earlier(next, span->from_ms);
    }
    if (end != 0) {
        *end_ms = earlier(*end_ms, end);
        return false;
    }
    ret->over_ms = next;
    return true;
}

static bool span_inside(const struct span_list *list, int64_t at_ms, int64_t *end_ms,
                        struct obstacle *ret)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct span *span = &list->spans[i];
        if (span->from_ms <= at_ms && span->to_ms > at_ms) {
            ret->span = span;
            ret->over_ms = span->to_ms;
            return true;
        }
        if (span->from_ms > at_ms && span->to_ms > span->from_ms)
            *end_ms = earlier(*end_ms, span->from_ms);
    }
    return false;
}

/* The instant after which what is left has changed: the end of the part that is too short. */
static void obstacle_find(const struct window_rule *rule, int64_t at_ms, int64_t *ret_end_ms,
                          struct obstacle *ret)
{
    int64_t end_ms = 0;
    *ret = (struct obstacle){ 0 };
    if (span_inside(&rule->holds, at_ms, &end_ms, ret))
        ret->kind = "on hold";
    else if (span_inside(&rule->freezes, at_ms, &end_ms, ret))
        ret->kind = "frozen";
    else if (windows_outside(&rule->stage, at_ms, &end_ms, ret))
        ret->kind = "outside the stage's maintenance windows";
    else if (windows_outside(&rule->site, at_ms, &end_ms, ret))
        ret->kind = "outside the site's maintenance windows";
    else if (end_ms != 0 && end_ms - at_ms < rule->estimate_ms) {
        ret->kind = "too little is left";
        ret->over_ms = end_ms;
    }
    *ret_end_ms = end_ms;
}

static void reason_write(const struct window_rule *rule, const struct obstacle *first,
                         int64_t end_ms, int64_t now_ms, struct window_answer *answer)
{
    char until[INSTANT_TEXT_MAX], next[INSTANT_TEXT_MAX];
    char what[WINDOW_REASON_MAX - 80];
    if (first->span)
        (void)snprintf(what, sizeof what, "%s until %s%s%s%s", first->kind,
                       instant_text(first->span->to_ms, until),
                       first->span->reason && first->span->reason[0] ? " (" : "",
                       first->span->reason ? first->span->reason : "",
                       first->span->reason && first->span->reason[0] ? ")" : "");
    else if (first->over_ms == end_ms && end_ms != 0)
        (void)snprintf(what, sizeof what,
                       "%lld minutes are left of the opening, outage and rollback may take %lld",
                       (long long)((end_ms - now_ms) / MINUTE_MS),
                       (long long)((rule->estimate_ms + MINUTE_MS - 1) / MINUTE_MS));
    else
        (void)snprintf(what, sizeof what, "%s", first->kind);
    if (answer->next_ms != 0)
        (void)snprintf(answer->reason, sizeof answer->reason, "%s; the next opening is at %s", what,
                       instant_text(answer->next_ms, next));
    else
        (void)snprintf(answer->reason, sizeof answer->reason, "%s; no opening comes any more",
                       what);
}

void window_look(const struct window_rule *rule, int64_t now_ms, struct window_answer *ret)
{
    struct window_answer answer = { 0 };
    struct obstacle first, next;
    int64_t first_end_ms = 0, end_ms = 0, at_ms = now_ms;
    obstacle_find(rule, at_ms, &first_end_ms, &first);
    next = first;
    end_ms = first_end_ms;
    /* Each look moves to a later edge of some span, so there are no more looks than edges. */
    while (next.kind && next.over_ms > at_ms) {
        at_ms = next.over_ms;
        obstacle_find(rule, at_ms, &end_ms, &next);
    }
    answer.open = !first.kind;
    answer.next_ms = next.kind ? 0 : at_ms;
    answer.until_ms = next.kind ? 0 : end_ms;
    if (first.kind)
        reason_write(rule, &first, first_end_ms, now_ms, &answer);
    *ret = answer;
}
