/* What may start when, in the instants of the table of tests/unit/windows: window_look() at each
 * edge, and a rollout whose clock is set to and fro by hours. */
#include "controller/core/rollout.h"
#include "unit/windows/cases.h"

#define HOUR_MS (60 * CASE_MINUTES)
#define DAYS_MS (60 * 24 * HOUR_MS)

struct listed {
    struct span stage[CASE_SPANS], site[CASE_SPANS], frozen[4], holds[4];
    struct window_rule rule;
};

static struct span_list list_fill(struct span *to, const struct case_span *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (struct span){ from[i].from_ms, from[i].to_ms, NULL };
    return (struct span_list){ to, count };
}

/* A rule that never opens within the plan leaves no span, which would mean any time: such a case
 * has nothing to be looked at here. */
static bool listed_fill(const struct time_case *c, struct listed *to)
{
    to->rule =
        (struct window_rule){ list_fill(to->stage, c->stage.open, c->stage.open_count),
                              list_fill(to->site, c->site.open, c->site.open_count),
                              list_fill(to->frozen, c->frozen, c->frozen_count),
                              list_fill(to->holds, c->holds, c->hold_count), c->estimate_ms };
    return (c->stage.rule_count == 0 || c->stage.open_count > 0) &&
           (c->site.rule_count == 0 || c->site.open_count > 0);
}

/* The same opening as two windows that touch. */
static struct span_list list_split(struct span *to, const struct span_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct span *span = &from->spans[i];
        int64_t middle_ms = span->from_ms + (span->to_ms - span->from_ms) / 2;
        to[2 * i] = (struct span){ middle_ms, span->to_ms, NULL };
        to[2 * i + 1] = (struct span){ span->from_ms, middle_ms, NULL };
    }
    return (struct span_list){ to, 2 * from->count };
}

static bool looks_hold(const struct time_case *c)
{
    struct listed listed;
    struct span halves[2 * CASE_SPANS];
    if (!listed_fill(c, &listed))
        return c->look_count == 0;
    listed.rule.stage = list_split(halves, &listed.rule.stage);
    for (size_t i = 0; i < c->look_count; i++) {
        const struct case_look *look = &c->looks[i];
        struct window_answer answer;
        window_look(&listed.rule, look->at_ms, &answer);
        if (answer.open != (look->next_ms == look->at_ms) || answer.next_ms != look->next_ms ||
            answer.until_ms != look->until_ms) {
            print_error("at %lld: open %d, next %lld, until %lld\n", (long long)look->at_ms,
                        answer.open, (long long)answer.next_ms, (long long)answer.until_ms);
            return false;
        }
    }
    return true;
}

TEST(each_edge_of_the_table_is_open_or_shut_as_the_oracle_has_it)
{
    CHECK(cases_each(looks_hold) >= 200);
}

/* ------------------------------------------------------------------ a clock set to and fro */

#define SITES   4
#define ORDER   (10 * CASE_MINUTES)
#define SILENCE (30 * CASE_MINUTES)

struct unsteady {
    struct listed listed;
    struct rollout rollout;
    struct rollout_stage stage;
    struct rollout_site sites[SITES];
    int64_t now_ms;
    size_t started, asked;
};

/* By the table's own spans, without the code that is tested. */
static bool inside(const struct span_list *list, int64_t from_ms, int64_t to_ms, bool whole)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct span *span = &list->spans[i];
        if (whole ? span->from_ms <= from_ms && to_ms <= span->to_ms
                  : span->from_ms < to_ms && from_ms < span->to_ms)
            return true;
    }
    return false;
}

static bool may_start(const struct window_rule *rule, int64_t now_ms)
{
    int64_t to_ms = now_ms + (rule->estimate_ms > 0 ? rule->estimate_ms : 1);
    return (rule->stage.count == 0 || inside(&rule->stage, now_ms, to_ms, true)) &&
           (rule->site.count == 0 || inside(&rule->site, now_ms, to_ms, true)) &&
           !inside(&rule->freezes, now_ms, to_ms, false) &&
           !inside(&rule->holds, now_ms, to_ms, false);
}

static void unsteady_begin(struct unsteady *life, const struct time_case *c)
{
    static const char *const names[SITES] = { "a", "b", "c", "d" };
    life->stage = (struct rollout_stage){
        .name = "prod", .batch = { 2 }, .batch_count = 1, .windows = life->listed.rule.stage
    };
    for (unsigned class = 0; class < GATE_CLASS_COUNT; class ++)
        life->stage.gate.max[class] = SITES;
    for (size_t i = 0; i < SITES; i++)
        life->sites[i] = (struct rollout_site){ .name = names[i],
                                                .windows = life->listed.rule.site,
                                                .holds = life->listed.rule.holds,
                                                .estimate_ms = c->estimate_ms };
    life->rollout = (struct rollout){ .stages = &life->stage,
                                      .stage_count = 1,
                                      .sites = life->sites,
                                      .site_count = SITES,
                                      .freezes = life->listed.rule.freezes,
                                      .expires_ms = c->plan.to_ms,
                                      .limits = { ORDER, SILENCE } };
}

static bool unsteady_starts(struct unsteady *life, int64_t now_ms)
{
    struct rollout_site before[SITES];
    size_t site = 0;
    memcpy(before, life->sites, sizeof before);
    while (rollout_next(&life->rollout, now_ms, &site)) {
        CHECK_INT(before[site].state, SITE_QUEUED);
        CHECK_INT(life->sites[site].ordered_ms, now_ms);
        if (!may_start(&life->listed.rule, now_ms) || now_ms >= life->rollout.expires_ms)
            return false;
        life->started++;
    }
    return true;
}

static bool unsteady_tick(struct unsteady *life, int64_t now_ms)
{
    struct rollout_event event = { .kind = ROLLOUT_TICK, .now_ms = now_ms };
    enum site_state before[SITES];
    int64_t ordered[SITES], heard[SITES];
    life->now_ms = now_ms;
    for (size_t i = 0; i < SITES; i++) {
        before[i] = life->sites[i].state;
        ordered[i] = life->sites[i].ordered_ms;
        heard[i] = life->sites[i].heard_ms;
    }
    (void)rollout_on(&life->rollout, &event);
    for (size_t i = 0; i < SITES; i++) {
        bool due = before[i] == SITE_ORDERED
                       ? now_ms - ordered[i] >= ORDER
                       : site_state_in_flight(before[i]) && now_ms - heard[i] >= SILENCE;
        /* Time alone makes a site silent, and nothing else: none is forgotten or begun again. */
        CHECK_INT(life->sites[i].state, due ? SITE_SILENT : before[i]);
    }
    return unsteady_starts(life, now_ms);
}

/* The agents' word counts, whatever the clock did meanwhile: what was called silent comes back. */
static void unsteady_word(struct unsteady *life, uint32_t random)
{
    static const enum site_input words[] = { INPUT_ACK, INPUT_FORWARD, INPUT_APPLIED,
                                             INPUT_COMMITTED };
    size_t at = random % SITES;
    enum site_state after = life->sites[at].state;
    struct rollout_event heard = { .kind = ROLLOUT_HEARD, .site = at, .now_ms = life->now_ms };
    struct rollout_event event = { ROLLOUT_SITE, at, words[(random >> 4) % 4], life->now_ms, NULL };
    if ((random >> 6) % 4 == 0)
        CHECK(!rollout_on(&life->rollout, &heard));
    if (life->sites[at].state == SITE_QUEUED || (random >> 6) % 4 == 0 ||
        !site_state_after(life->sites[at].state, event.input, &after))
        return;
    CHECK(rollout_on(&life->rollout, &event));
    CHECK_INT(life->sites[at].state, after);
    CHECK_INT(life->sites[at].heard_ms, life->now_ms);
}

/* The clock shows a site's deadline, and a moment less before. */
static bool unsteady_deadline(struct unsteady *life, size_t at)
{
    const struct rollout_site *site = &life->sites[at];
    int64_t late_ms =
        site->state == SITE_ORDERED ? site->ordered_ms + ORDER : site->heard_ms + SILENCE;
    return !site_state_in_flight(site->state) ||
           (unsteady_tick(life, late_ms - 1) && unsteady_tick(life, late_ms));
}

static size_t started_at_all;

static bool clock_steps_do_no_harm(const struct time_case *c)
{
    uint32_t random = (uint32_t)(c->plan.from_ms / 1000) ^ (uint32_t)strlen(c->name);
    struct unsteady life = { .started = 0 };
    if (!listed_fill(c, &life.listed))
        return true;
    unsteady_begin(&life, c);
    int64_t now_ms = c->plan.from_ms;
    for (int i = 0; i < 400; i++) {
        random = random * 1664525U + 1013904223U;
        int64_t hours = (int64_t)(random >> 8) % 19 - 9; /* to 9 hours either way */
        if (i % 8 == 7)
            now_ms += hours * HOUR_MS;
        else
            now_ms += (c->plan.to_ms - c->plan.from_ms) / 250;
        if ((i % 3 == 0 && !unsteady_starts(&life, now_ms)) || !unsteady_tick(&life, now_ms))
            return false;
        unsteady_word(&life, random >> 12);
        if (i % 16 == 3 && !unsteady_deadline(&life, (random >> 20) % SITES))
            return false;
    }
    started_at_all += life.started;
    /* The end is in sight whatever the clock did: nobody is waited for without a limit. */
    for (size_t i = 0; i < SITES; i++)
        if (!unsteady_deadline(&life, i))
            return false;
    for (int i = 0; i < 2; i++) /* what these began, and the end of the plan */
        (void)unsteady_tick(&life, (now_ms > c->plan.to_ms ? now_ms : c->plan.to_ms) + i * DAYS_MS);
    for (size_t i = 0; i < SITES; i++)
        CHECK(!site_state_in_flight(life.sites[i].state));
    CHECK(life.rollout.state != ROLLOUT_RUNNING);
    return true;
}

TEST(nothing_starts_outside_its_time_or_is_lost_when_the_clock_is_set)
{
    CHECK(cases_each(clock_steps_do_no_harm) >= 200);
    CHECK(started_at_all >= 200); /* it would be quiet if nothing ever began */
}
