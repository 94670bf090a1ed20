#include "controller/core/window.h"

#include "confleet/guard.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS 60000LL
#define DAY_MS    (24LL * 60 * MINUTE_MS)

/* No guards in here: arithmetic of the calendar. */
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

/* No guards in here: the lesser of two, where zero is none. */
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
            if (GUARD(law7_gap_ends_an_opening, span->from_ms > end_ms) ||
                span->to_ms <= end_ms) /* No guard: it adds nothing, and ends the search. */
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
    if (GUARD(law6_no_window_is_any_time, list->count == 0))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct span *span = &list->spans[i];
        if (NEEDS(law7_not_before_the_window, span->from_ms <= at_ms) &&
            NEEDS(law7_not_after_the_window, span->to_ms > at_ms))
            end = windows_end(list, span->to_ms);
        else if (span->from_ms > at_ms &&
                 span->to_ms > span->from_ms) /* No guard: when to look again. */
            next = earlier(next, span->from_ms);
    }
    if (end != 0) { /* No guard: found by the two above. */
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
        if (NEEDS(law6_freeze_to_come_freezes_nothing, span->from_ms <= at_ms) &&
            NEEDS(law6_freeze_that_is_over_freezes_nothing, span->to_ms > at_ms)) {
            ret->span = span;
            ret->over_ms = span->to_ms;
            return true;
        }
        if (GUARD(law7_freeze_to_come_ends_an_opening, span->from_ms > at_ms) &&
            span->to_ms > span->from_ms) /* No guard: an empty one is none. */
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
    if (GUARD(law7_hold_beats_every_window, span_inside(&rule->holds, at_ms, &end_ms, ret)))
        ret->kind = "on hold";
    else if (GUARD(law7_freeze_beats_every_window,
                   span_inside(&rule->freezes, at_ms, &end_ms, ret)))
        ret->kind = "frozen";
    else if (GUARD(law7_windows_of_the_stage, windows_outside(&rule->stage, at_ms, &end_ms, ret)))
        ret->kind = "outside the stage's maintenance windows";
    else if (GUARD(law7_windows_of_the_site, windows_outside(&rule->site, at_ms, &end_ms, ret)))
        ret->kind = "outside the site's maintenance windows";
    else if (end_ms != 0 && /* No guard: the opening may have no end. */
             GUARD(law7_opening_is_long_enough, end_ms - at_ms < rule->estimate_ms)) {
        ret->kind = "too little is left";
        ret->over_ms = end_ms;
    }
    *ret_end_ms = end_ms;
}

/* No guards in here: words for people. */
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
    while (GUARD(law6_next_opening_is_looked_for, next.kind) &&
           next.over_ms > at_ms) { /* No guard: none is later any more. */
        at_ms = next.over_ms;
        obstacle_find(rule, at_ms, &end_ms, &next);
    }
    /* No guard: what was found above, told to the caller. */
    answer.open = !first.kind;
    answer.next_ms = next.kind ? 0 : at_ms; /* No guard: as above. */
    answer.until_ms = next.kind ? 0 : end_ms;
    if (first.kind) /* No guard: words for people. */
        reason_write(rule, &first, first_end_ms, now_ms, &answer);
    *ret = answer;
}
