/* Openings as plain numbers: an hour is 100, so that a case can be read at a glance. */
#include "controller/core/window.h"
#include "harness/test.h"
#include <string.h>

#define SPANS_MAX 4
struct look_case {
    struct span stage[SPANS_MAX], site[SPANS_MAX], freezes[SPANS_MAX], holds[SPANS_MAX];
    int64_t estimate_ms, now_ms;
    bool open;
    int64_t next_ms, until_ms;
};

static struct span_list list_of(const struct span *spans)
{
    size_t count = 0;
    while (count < SPANS_MAX && spans[count].to_ms != 0)
        count++;
    return (struct span_list){ spans, count };
}

#define W(from, to)                                                                                \
    {                                                                                              \
        from, to, NULL                                                                             \
    }
static const struct look_case cases[] = {
    /* No window: any time. */
    { .now_ms = 5, .open = true, .next_ms = 5 },
    { .now_ms = 0, .estimate_ms = 1000, .open = true, .next_ms = 0 },
    /* One window: its first instant is inside, its last is not. */
    { .stage = { W(100, 200) }, .now_ms = 99, .next_ms = 100, .until_ms = 200 },
    { .stage = { W(100, 200) }, .now_ms = 100, .open = true, .next_ms = 100, .until_ms = 200 },
    { .stage = { W(100, 200) }, .now_ms = 199, .open = true, .next_ms = 199, .until_ms = 200 },
    { .stage = { W(100, 200) }, .now_ms = 200 },
    { .stage = { W(100, 200) }, .now_ms = 5000 },
    /* What is left must hold the estimate, to the millisecond. */
    { .stage = { W(100, 200) },
      .estimate_ms = 100,
      .now_ms = 100,
      .open = true,
      .next_ms = 100,
      .until_ms = 200 },
    { .stage = { W(100, 200) }, .estimate_ms = 100, .now_ms = 101 },
    { .stage = { W(100, 200) }, .estimate_ms = 101, .now_ms = 100 },
    { .stage = { W(100, 200), W(300, 420) },
      .estimate_ms = 101,
      .now_ms = 100,
      .next_ms = 300,
      .until_ms = 420 },
    { .stage = { W(300, 420), W(100, 200) },
      .estimate_ms = 50,
      .now_ms = 160,
      .next_ms = 300,
      .until_ms = 420 },
    /* Windows that touch or overlap are one. */
    { .stage = { W(100, 200), W(200, 300) },
      .estimate_ms = 150,
      .now_ms = 120,
      .open = true,
      .next_ms = 120,
      .until_ms = 300 },
    { .stage = { W(150, 300), W(100, 200) },
      .estimate_ms = 150,
      .now_ms = 120,
      .open = true,
      .next_ms = 120,
      .until_ms = 300 },
    { .stage = { W(100, 200), W(201, 300) },
      .estimate_ms = 90,
      .now_ms = 120,
      .next_ms = 201,
      .until_ms = 300 },
    { .stage = { W(100, 400), W(200, 300) },
      .estimate_ms = 90,
      .now_ms = 310,
      .open = true,
      .next_ms = 310,
      .until_ms = 400 },
    /* Stage and site: both must be open. */
    { .stage = { W(100, 200) },
      .site = { W(150, 250) },
      .now_ms = 120,
      .next_ms = 150,
      .until_ms = 200 },
    { .stage = { W(100, 200) },
      .site = { W(150, 250) },
      .now_ms = 150,
      .open = true,
      .next_ms = 150,
      .until_ms = 200 },
    { .stage = { W(100, 200) }, .site = { W(150, 250) }, .estimate_ms = 51, .now_ms = 150 },
    { .stage = { W(100, 200) }, .site = { W(200, 250) }, .now_ms = 120 },
    { .stage = { W(100, 200), W(500, 600) },
      .site = { W(550, 700) },
      .now_ms = 120,
      .next_ms = 550,
      .until_ms = 600 },
    { .site = { W(550, 700) }, .now_ms = 120, .next_ms = 550, .until_ms = 700 },
    /* A freeze beats windows, wherever it lies. */
    { .freezes = { W(100, 200) }, .now_ms = 150, .next_ms = 200 },
    { .freezes = { W(100, 200) }, .now_ms = 200, .open = true, .next_ms = 200 },
    { .stage = { W(100, 300) },
      .freezes = { W(150, 200) },
      .now_ms = 150,
      .next_ms = 200,
      .until_ms = 300 },
    { .stage = { W(100, 300) },
      .freezes = { W(150, 200) },
      .now_ms = 120,
      .open = true,
      .next_ms = 120,
      .until_ms = 150 },
    { .stage = { W(100, 300) },
      .freezes = { W(150, 200) },
      .estimate_ms = 40,
      .now_ms = 120,
      .next_ms = 200,
      .until_ms = 300 },
    { .stage = { W(100, 300) }, .freezes = { W(50, 400) }, .now_ms = 120 },
    { .stage = { W(100, 300), W(390, 500) },
      .freezes = { W(50, 400) },
      .now_ms = 120,
      .next_ms = 400,
      .until_ms = 500 },
    { .freezes = { W(100, 200), W(200, 300), W(250, 350) }, .now_ms = 150, .next_ms = 350 },
    /* And so does a hold, of which only the end is known. */
    { .holds = { W(0, 200) }, .now_ms = 150, .next_ms = 200 },
    { .stage = { W(100, 300) }, .holds = { W(0, 250) }, .estimate_ms = 60, .now_ms = 120 },
    { .stage = { W(100, 300) },
      .holds = { W(0, 250) },
      .estimate_ms = 50,
      .now_ms = 120,
      .next_ms = 250,
      .until_ms = 300 },
    { .holds = { W(0, 200) }, .freezes = { W(190, 260) }, .now_ms = 150, .next_ms = 260 },
    /* A span that ends before it begins is nothing. */
    { .stage = { W(300, 200), W(400, 500) }, .now_ms = 250, .next_ms = 400, .until_ms = 500 },
};

TEST(each_instant_has_the_answer_of_the_table)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct look_case *c = &cases[i];
        struct window_rule rule = { list_of(c->stage), list_of(c->site), list_of(c->freezes),
                                    list_of(c->holds), c->estimate_ms };
        struct window_answer answer;
        window_look(&rule, c->now_ms, &answer);
        if (answer.open != c->open || answer.next_ms != c->next_ms ||
            answer.until_ms != c->until_ms)
            (void)printf("case %zu: open %d next %lld until %lld\n", i, answer.open,
                         (long long)answer.next_ms, (long long)answer.until_ms);
        CHECK_INT(answer.open, c->open);
        CHECK_INT(answer.next_ms, c->next_ms);
        CHECK_INT(answer.until_ms, c->until_ms);
        CHECK_INT(answer.reason[0] == '\0', c->open);
    }
}

TEST(the_words_say_what_is_in_the_way_and_when_it_opens)
{
    const struct span night = { 1795485600000, 1795500000000, NULL };
    const struct span freeze = { 1795480000000, 1795490000000, "year end" };
    struct window_rule rule = { .stage = { &night, 1 } };
    struct window_answer answer;
    window_look(&rule, 1795480000000, &answer);
    CHECK_STR(answer.reason, "outside the stage's maintenance windows; the next opening is at "
                             "2026-11-24T02:00Z");
    rule.freezes = (struct span_list){ &freeze, 1 };
    window_look(&rule, 1795480000000, &answer);
    CHECK_STR(
        answer.reason,
        "frozen until 2026-11-24T03:13Z (year end); the next opening is at 2026-11-24T03:13Z");
    rule.estimate_ms = 3 * 3600000;
    window_look(&rule, 1795491000000, &answer);
    CHECK_STR(answer.reason, "150 minutes are left of the opening, outage and rollback may take "
                             "180; no opening comes any more");
    rule.holds = (struct span_list){ &freeze, 1 };
    window_look(&rule, 1795481000000, &answer);
    CHECK_HAS(answer.reason, "on hold until 2026-11-24T03:13Z (year end)");
}

/* The answer is the same as that of looking at every instant one by one. */
TEST(the_next_opening_is_the_first_instant_that_is_open)
{
    uint32_t random = 4711;
    for (int life = 0; life < 3000; life++) {
        struct span spans[4][3];
        size_t counts[4];
        for (size_t l = 0; l < 4; l++) {
            random = random * 1664525U + 1013904223U;
            counts[l] = (random >> 10) % 4;
            for (size_t i = 0; i < 3; i++) {
                random = random * 1664525U + 1013904223U;
                int64_t from = (random >> 8) % 60, len = (random >> 20) % 20;
                spans[l][i] = (struct span){ l == 3 ? 0 : from, from + len, NULL };
            }
        }
        struct window_rule rule = { { spans[0], counts[0] },
                                    { spans[1], counts[1] },
                                    { spans[2], counts[2] },
                                    { spans[3], counts[3] },
                                    (random >> 12) % 12 };
        struct window_answer first, answer;
        window_look(&rule, 0, &first);
        int64_t found = -1;
        for (int64_t at = 0; at < 100 && found < 0; at++) {
            window_look(&rule, at, &answer);
            found = answer.open ? at : found;
        }
        CHECK_INT(first.open ? 0 : first.next_ms != 0 ? first.next_ms : -1, found);
    }
}

TEST(instants_read_as_dates_also_around_leap_days)
{
    char text[INSTANT_TEXT_MAX];
    CHECK_STR(instant_text(0, text), "1970-01-01T00:00Z");
    CHECK_STR(instant_text(951782340000, text), "2000-02-28T23:59Z");
    CHECK_STR(instant_text(951782400000, text), "2000-02-29T00:00Z");
    CHECK_STR(instant_text(951868800000, text), "2000-03-01T00:00Z");
    CHECK_STR(instant_text(4107542400000, text), "2100-03-01T00:00Z");
    CHECK_STR(instant_text(1798761540000, text), "2026-12-31T23:59Z");
    CHECK_STR(instant_text(-60000, text), "1969-12-31T23:59Z");
}
