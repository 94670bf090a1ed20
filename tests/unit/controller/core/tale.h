/* tale - a rollout driven by hand and told as text. */
#pragma once
#include "controller/core/rollout.h"
#include "controller/core/stage.h"
#include "harness/test.h"
#include <stdarg.h>

/* A rollout told as text: sites are a, b, c … stage by stage; each line of a story is an event and
 * what followed. */
struct tale {
    struct rollout rollout;
    struct rollout_stage stages[3];
    struct rollout_site sites[16];
    char names[16][2];
    char text[2048];
    size_t used;
    int64_t now_ms;
};

static inline void FORMAT(2, 3) tell(struct tale *tale, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tale->used +=
        (size_t)vsnprintf(tale->text + tale->used, sizeof tale->text - tale->used, format, ap);
    va_end(ap);
    CHECK(tale->used < sizeof tale->text);
}

/* Takes what the engine orders, and sees to it that no site is started twice. */
static inline void tell_orders(struct tale *tale)
{
    size_t site = 0;
    while (rollout_next(&tale->rollout, tale->now_ms, &site)) {
        CHECK_INT(tale->sites[site].state, SITE_ORDERED);
        CHECK_INT(tale->sites[site].ordered_ms, tale->now_ms);
        tell(tale, " start %c", (char)('a' + site));
    }
    if (tale->rollout.state != ROLLOUT_RUNNING)
        tell(tale, " [%s]", rollout_state_name(tale->rollout.state));
    tell(tale, ".");
}

static const char *const stage_names[] = { "test", "prod", "late" };

/* sizes: "2 3" is a stage of two sites and one of three. */
static inline void tale_begin(struct tale *tale, const char *sizes)
{
    struct rollout *r = &tale->rollout;
    r->stages = tale->stages;
    r->sites = tale->sites;
    r->limits = (struct rollout_limits){ 100, 1000 };
    for (size_t i = 0; i < 3; i++) {
        struct gate strict = gate_strict();
        tale->stages[i].name = stage_names[i];
        for (unsigned class = GATE_REFUSED; class < GATE_CLASS_COUNT; class ++)
            if (tale->stages[i].gate.max[class] == 0)
                tale->stages[i].gate.max[class] = strict.max[class];
    }
    for (size_t i = 0; i < 16; i++) {
        tale->names[i][0] = (char)('a' + i);
        tale->sites[i].name = tale->names[i];
    }
    for (const char *p = sizes; *p; p++) {
        if (*p == ' ')
            continue;
        for (int n = 0; n < *p - '0'; n++)
            tale->sites[r->site_count++].stage = r->stage_count;
        r->stage_count++;
    }
    tell_orders(tale);
}

static inline void happen(struct tale *tale, char site, enum site_input input)
{
    struct rollout_event event = { ROLLOUT_SITE, (size_t)(site - 'a'), input, tale->now_ms, NULL };
    (void)rollout_on(&tale->rollout, &event);
    tell_orders(tale);
}

static inline void tick(struct tale *tale, int64_t now_ms)
{
    struct rollout_event event = { .kind = ROLLOUT_TICK, .now_ms = now_ms };
    tale->now_ms = now_ms;
    (void)rollout_on(&tale->rollout, &event);
    tell_orders(tale);
}

static inline void person(struct tale *tale, enum rollout_event_kind kind, const char *reason)
{
    struct rollout_event event = { .kind = kind, .now_ms = tale->now_ms, .reason = reason };
    (void)rollout_on(&tale->rollout, &event);
    tell_orders(tale);
}

static inline void go_well(struct tale *tale, char site)
{
    happen(tale, site, INPUT_ACK);
    happen(tale, site, INPUT_FORWARD);
    happen(tale, site, INPUT_APPLIED);
    happen(tale, site, INPUT_COMMITTED);
}
