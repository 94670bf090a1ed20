/* cases - the table of windows and freezes in local time (cases.txt), as an oracle has it that
 * shares nothing with the product: tests/tidy/windows.py makes it and tidy/windows compares.
 *
 * case NAME; plan BEGIN END; then, any of them several times: stage|site ZONE DAYS CLOCK MINUTES, a
 * rule; stage-open|site-open FROM TO, where the rules of that kind are open, merged; freeze ZONE
 * FROM TO and frozen FROM TO; hold FROM TO; estimate MINUTES, 30 unless told; first AT, the first
 * start before the plan's end, without a look at holds; look AT NEXT UNTIL AGENT: at this instant
 * the next start (or "open") and the end of that opening; an agent says yes or no, near a limit
 * either. Instants are UTC, a date its midnight; TO may be +MINUTES. */
#pragma once
#include "harness/test.h"
#include <time.h>

#define CASES_FILE   "tests/unit/windows/cases.txt" /* tests run in the folder of the sources */
#define CASE_NEVER   INT64_C(0)
#define CASE_SPANS   16
#define CASE_LOOKS   40
#define CASE_TEXT    48
#define CASE_MINUTES 60000LL

struct case_rule {
    char zone[CASE_TEXT], days[CASE_TEXT], clock[CASE_TEXT];
    int minutes;
};
struct case_span {
    int64_t from_ms, to_ms;
};
struct case_freeze {
    char zone[CASE_TEXT], from[CASE_TEXT], to[CASE_TEXT];
};
struct case_look {
    int64_t at_ms, next_ms, until_ms; /* CASE_NEVER: none */
    char agent[8];
};
struct case_kind {
    struct case_rule rules[4];
    struct case_span open[CASE_SPANS];
    size_t rule_count, open_count;
};
struct time_case {
    char name[120];
    struct case_span plan;
    struct case_kind stage, site;
    struct case_freeze freezes[4];
    struct case_span frozen[4], holds[4];
    struct case_look looks[CASE_LOOKS];
    size_t freeze_count, frozen_count, hold_count, look_count;
    int64_t estimate_ms, first_ms;
};

static inline int64_t case_instant(const char *text)
{
    struct tm tm = { .tm_mday = 1 };
    if (strcmp(text, "-") == 0)
        return CASE_NEVER;
    int got = sscanf(text, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                     &tm.tm_min, &tm.tm_sec);
    CHECK(got == 3 || got >= 5);
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (int64_t)timegm(&tm) * 1000;
}

static inline void case_span_add(struct case_span *spans, size_t max, size_t *count,
                                 char words[5][CASE_TEXT])
{
    int64_t from_ms = case_instant(words[1]), minutes = 0;
    CHECK(*count < max);
    if (sscanf(words[2], "+%" SCNd64, &minutes) == 1)
        spans[*count] = (struct case_span){ from_ms, from_ms + minutes * CASE_MINUTES };
    else
        spans[*count] = (struct case_span){ from_ms, case_instant(words[2]) };
    (*count)++;
}

static inline void case_rule_add(struct case_kind *kind, char words[5][CASE_TEXT])
{
    CHECK(kind->rule_count < 4);
    struct case_rule *rule = &kind->rules[kind->rule_count++];
    memcpy(rule->zone, words[1], CASE_TEXT);
    memcpy(rule->days, words[2], CASE_TEXT);
    memcpy(rule->clock, words[3], CASE_TEXT);
    CHECK(sscanf(words[4], "%d", &rule->minutes) == 1);
}

static inline void case_more(struct time_case *to, const char *what, char words[5][CASE_TEXT])
{
    if (strcmp(what, "freeze") == 0) {
        CHECK(to->freeze_count < 4);
        struct case_freeze *freeze = &to->freezes[to->freeze_count++];
        memcpy(freeze->zone, words[1], CASE_TEXT);
        memcpy(freeze->from, words[2], CASE_TEXT);
        memcpy(freeze->to, words[3], CASE_TEXT);
    } else if (strcmp(what, "look") == 0) {
        CHECK(to->look_count < CASE_LOOKS);
        struct case_look *look = &to->looks[to->look_count++];
        *look = (struct case_look){ case_instant(words[1]), 0, case_instant(words[3]), "" };
        look->next_ms = strcmp(words[2], "open") == 0 ? look->at_ms : case_instant(words[2]);
        (void)snprintf(look->agent, sizeof look->agent, "%.7s", words[4]);
    } else if (strcmp(what, "estimate") == 0) {
        CHECK(sscanf(words[1], "%" SCNd64, &to->estimate_ms) == 1);
        to->estimate_ms *= CASE_MINUTES;
    } else if (strcmp(what, "first") == 0) {
        to->first_ms = case_instant(words[1]);
    } else {
        print_error("%s: no such line\n", what);
        fail();
    }
}

static inline void case_line(struct time_case *to, const char *line)
{
    char words[5][CASE_TEXT] = { "" };
    const char *what = words[0];
    CHECK(sscanf(line, "%47s %47s %47s %47s %47s", words[0], words[1], words[2], words[3],
                 words[4]) >= 2);
    if (strcmp(what, "plan") == 0)
        to->plan = (struct case_span){ case_instant(words[1]), case_instant(words[2]) };
    else if (strcmp(what, "stage") == 0)
        case_rule_add(&to->stage, words);
    else if (strcmp(what, "site") == 0)
        case_rule_add(&to->site, words);
    else if (strcmp(what, "stage-open") == 0)
        case_span_add(to->stage.open, CASE_SPANS, &to->stage.open_count, words);
    else if (strcmp(what, "site-open") == 0)
        case_span_add(to->site.open, CASE_SPANS, &to->site.open_count, words);
    else if (strcmp(what, "frozen") == 0)
        case_span_add(to->frozen, 4, &to->frozen_count, words);
    else if (strcmp(what, "hold") == 0)
        case_span_add(to->holds, 4, &to->hold_count, words);
    else
        case_more(to, what, words);
}

/* Calls `each` for every case of the table; answers how many there were. It says whether the case
 * came out as it should. */
static inline size_t cases_each(bool (*each)(const struct time_case *))
{
    struct time_case one = { .name = "" };
    char line[256];
    size_t count = 0, wrong = 0;
    FILE *file = fopen(CASES_FILE, "re");
    CHECK(file != NULL);
    for (bool more = true; more;) {
        more = fgets(line, sizeof line, file) != NULL;
        bool begins = more && strncmp(line, "case ", 5) == 0;
        if ((begins || !more) && count > 0 && !each(&one)) {
            print_error("wrong: %s\n", one.name);
            wrong++;
        }
        if (begins) {
            one = (struct time_case){ .estimate_ms = 30 * CASE_MINUTES };
            (void)snprintf(one.name, sizeof one.name, "%.*s", (int)strcspn(line + 5, "\n"),
                           line + 5);
            count++;
        } else if (more && line[0] != '#') {
            CHECK(count > 0);
            case_line(&one, line);
        }
    }
    (void)fclose(file); /* only read from */
    CHECK_INT(wrong, 0);
    return count;
}
