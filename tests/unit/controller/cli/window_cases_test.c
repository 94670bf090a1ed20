/* Local time to UTC, and the first start of a plan, by the table of tests/unit/windows. */
#include "confleet/cleanup.h"
#include "controller/cli/window.h"
#include "unit/windows/cases.h"

static bool kind_expand(const struct time_case *c, const struct case_kind *kind, struct spans *ret)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    struct err err = { 0 };
    for (size_t i = 0; i < kind->rule_count; i++) {
        const struct case_rule *from = &kind->rules[i];
        struct window_rule rule = { .for_ms = from->minutes * CASE_MINUTES, .tz = from->zone };
        for (int day = 0; day < 7; day++)
            rule.days |= strstr(from->days, names[day]) ? 1u << day : 0;
        rule.days = rule.days ? rule.days : WINDOW_EVERY_DAY;
        CHECK(window_clock_parse(from->clock, &rule.from_minute));
        CHECK_OK(window_expand(&rule, c->plan.from_ms, c->plan.to_ms, ret, &err), err);
    }
    spans_merge(ret);
    bool good = ret->count == kind->open_count;
    for (size_t i = 0; good && i < ret->count; i++)
        good = ret->list[i].from_ms == kind->open[i].from_ms &&
               ret->list[i].to_ms == kind->open[i].to_ms;
    return good;
}

static bool freezes_read(const struct time_case *c, struct spans *ret)
{
    bool good = c->freeze_count == c->frozen_count;
    for (size_t i = 0; good && i < c->freeze_count; i++) {
        const struct case_freeze *freeze = &c->freezes[i];
        struct err err = { 0 };
        int64_t from_ms = 0, to_ms = 0;
        CHECK_OK(window_instant(freeze->from, freeze->zone, false, &from_ms, &err), err);
        CHECK_OK(window_instant(freeze->to, freeze->zone, true, &to_ms, &err), err);
        good = from_ms == c->frozen[i].from_ms && to_ms == c->frozen[i].to_ms;
        spans_add(ret, from_ms, to_ms);
    }
    spans_merge(ret);
    return good;
}

static bool case_holds(const struct time_case *c)
{
    CLEANUP(spans_free) struct spans stage = { 0 }, site = { 0 }, both = { 0 }, frozen = { 0 };
    bool good = kind_expand(c, &c->stage, &stage);
    good = kind_expand(c, &c->site, &site) && good;
    good = freezes_read(c, &frozen) && good;
    spans_both(&stage, &site, &both);
    const struct spans *windows = c->site.rule_count > 0    ? &both
                                  : c->stage.rule_count > 0 ? &stage
                                                            : NULL;
    int64_t first_ms =
        window_first_start(windows, &frozen, c->estimate_ms, c->plan.from_ms, c->plan.to_ms);
    return good && first_ms == (c->first_ms == CASE_NEVER ? -1 : c->first_ms);
}

TEST(local_rules_open_and_freeze_at_the_instants_of_the_table)
{
    CHECK(cases_each(case_holds) >= 200);
}
