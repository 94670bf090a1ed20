/* The promises of rollout.h over 20,000 random lives: every order of reports, deadlines, decisions
 * and time. The oracle counts for itself and asks the engine nothing but its states. */
#include "tale.h"
#include <string.h>

#define LIVES  20000
#define EVENTS 80
#define SITES  9
#define STAGES 3

struct life {
    struct tale tale;
    uint32_t random;
    struct span windows[STAGES][2], freeze, hold;
    struct gate run;
    bool was_halted, was_aborted;
};

static uint32_t roll(struct life *life, uint32_t sides)
{
    life->random = life->random * 1664525U + 1013904223U;
    return (life->random >> 9) % sides;
}

static void life_begin(struct life *life)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };
    static const uint32_t batches[][3] = { { 1, 1, 1 }, { 2, 2, 2 }, { 1, 3, 0 }, { 0, 0, 0 } };
    struct rollout *r = &life->tale.rollout;
    r->stages = life->tale.stages;
    r->sites = life->tale.sites;
    r->stage_count = STAGES;
    r->site_count = SITES;
    r->limits = (struct rollout_limits){ 30, 50 };
    life->run = gate_open();
    life->run.max[GATE_FAILED] = roll(life, 5);
    r->run_gate = roll(life, 2) ? &life->run : NULL;
    for (size_t i = 0; i < STAGES; i++) {
        struct rollout_stage *stage = &life->tale.stages[i];
        int64_t from = roll(life, 200);
        *stage = (struct rollout_stage){ .name = stage_names[i], .batch_count = 3 };
        memcpy(stage->batch, batches[roll(life, 4)], sizeof batches[0]);
        stage->gate = gate_strict();
        stage->gate.max[GATE_FAILED] = roll(life, 4);
        stage->gate.max[GATE_SILENT] = roll(life, 3);
        if (roll(life, 3) == 0)
            stage->gate.max[GATE_REFUSED + roll(life, 4)] = roll(life, 2);
        stage->needs = i == 2 ? roll(life, 3) : 0;
        stage->approvals_needed = roll(life, 2);
        life->windows[i][0] = (struct span){ from, from + 400, NULL };
        life->windows[i][1] = (struct span){ from + 600, from + 1500, NULL };
        if (roll(life, 2))
            stage->windows = (struct span_list){ life->windows[i], 2 };
    }
    life->freeze = (struct span){ roll(life, 800), 0, "freeze" };
    life->freeze.to_ms = life->freeze.from_ms + roll(life, 300);
    r->freezes = (struct span_list){ &life->freeze, 1 };
    life->hold = (struct span){ 0, roll(life, 300), "hold" };
    for (size_t i = 0; i < SITES; i++)
        life->tale.sites[i] = (struct rollout_site){ .name = names[i],
                                                     .stage = i / 3,
                                                     .estimate_ms = roll(life, 60) };
    life->tale.sites[roll(life, SITES)].holds = (struct span_list){ &life->hold, 1 };
}

static bool inside(const struct span_list *list, int64_t now_ms)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->spans[i].from_ms <= now_ms && now_ms < list->spans[i].to_ms)
            return true;
    return false;
}

static bool ended(enum site_state state)
{
    return state != SITE_QUEUED && !site_state_busy(state);
}

/* What the stage's batch allows at this moment, counted from its sites. */
static uint32_t allowed(const struct tale *tale, size_t stage)
{
    const struct rollout_stage *rule = &tale->stages[stage];
    uint32_t sites = 0, done = 0, before = 0;
    for (size_t i = 0; i < SITES; i++) {
        if (tale->sites[i].stage != stage || tale->sites[i].state == SITE_SKIPPED)
            continue;
        sites++;
        done += ended(tale->sites[i].state);
    }
    for (size_t batch = 0;; batch++) {
        uint32_t size = rule->batch[batch < 2 ? batch : 2];
        if (size == 0 || before + size >= sites)
            return sites - before;
        if (done < before + size)
            return size;
        before += size;
    }
}

static void start_check(struct life *life, size_t at)
{
    struct tale *tale = &life->tale;
    const struct rollout_site *site = &tale->sites[at];
    const struct rollout_stage *stage = &tale->stages[site->stage];
    uint32_t taken = 0;
    size_t needs = stage->needs != 0 ? stage->needs : site->stage;
    CHECK_INT(site->state, SITE_ORDERED);
    CHECK(!tale->rollout.paused && !tale->rollout.aborted && tale->rollout.reason[0] == '\0');
    CHECK(stage->windows.count == 0 || inside(&stage->windows, tale->now_ms));
    CHECK(stage->windows.count == 0 ||
          inside(&stage->windows, tale->now_ms + site->estimate_ms - 1) || site->estimate_ms == 0);
    CHECK(!inside(&tale->rollout.freezes, tale->now_ms));
    CHECK(!inside(&site->holds, tale->now_ms));
    CHECK(stage->approvals >= stage->approvals_needed);
    for (size_t i = 0; i < SITES; i++) {
        enum site_state state = tale->sites[i].state;
        taken += tale->sites[i].stage == site->stage &&
                 (site_state_busy(state) || state == SITE_SILENT || state == SITE_HELD);
        /* Stage order: what it needs has ended, and is not only healthy. */
        if (needs != 0 && tale->sites[i].stage == needs - 1)
            CHECK(state != SITE_QUEUED && !site_state_in_flight(state));
    }
    CHECK(taken <= allowed(tale, site->stage));
}

static void gates_check(const struct tale *tale)
{
    for (size_t stage = 0; stage < STAGES; stage++) {
        uint32_t failed = 0, silent = 0;
        for (size_t i = 0; i < SITES; i++) {
            if (tale->sites[i].stage != stage || tale->sites[i].excused)
                continue;
            failed += site_state_failed(tale->sites[i].state);
            silent += tale->sites[i].state == SITE_SILENT;
        }
        if (failed > tale->stages[stage].gate.max[GATE_FAILED] ||
            silent > tale->stages[stage].gate.max[GATE_SILENT])
            CHECK(tale->rollout.reason[0] != '\0');
    }
}

static void life_step(struct life *life, struct rollout_event *event)
{
    struct tale *tale = &life->tale;
    size_t site = 0;
    bool halted = tale->rollout.reason[0] != '\0';
    (void)rollout_on(&tale->rollout, event);
    if (halted && event->kind != ROLLOUT_RESUME)
        CHECK(tale->rollout.reason[0] != '\0'); /* halted stays halted */
    if (life->was_aborted)
        CHECK(tale->rollout.aborted && tale->rollout.reason[0] != '\0');
    life->was_aborted = tale->rollout.aborted;
    while (rollout_next(&tale->rollout, tale->now_ms, &site))
        start_check(life, site);
    gates_check(tale);
}

static void life_event(struct life *life)
{
    static const enum rollout_event_kind people[] = { ROLLOUT_PAUSE, ROLLOUT_RESUME, ROLLOUT_RESUME,
                                                      ROLLOUT_ABORT };
    struct rollout_event event = { ROLLOUT_SITE, roll(life, SITES), INPUT_ACK, 0, "words" };
    uint32_t kind = roll(life, 40);
    life->tale.now_ms += roll(life, 25);
    event.now_ms = life->tale.now_ms;
    if (kind < 6)
        event.kind = ROLLOUT_TICK;
    else if (kind < 8)
        event.kind = people[roll(life, roll(life, 10) == 0 ? 4 : 3)];
    else if (kind < 9)
        event.kind = ROLLOUT_HEARD;
    else
        do
            event.input = (enum site_input)roll(life, INPUT_COUNT);
        while (event.input == INPUT_ORDER); /* only the engine gives orders */
    if (roll(life, 12) == 0)
        life->tale.stages[roll(life, STAGES)].approvals = roll(life, 2);
    life_step(life, &event);
}

/* Left to itself, with approvals given and nobody who pauses, every rollout ends: silence has a
 * deadline, and windows are over one day. */
static void life_end(struct life *life)
{
    struct rollout_event resume = { .kind = ROLLOUT_RESUME, .now_ms = life->tale.now_ms };
    for (size_t i = 0; i < STAGES; i++)
        life->tale.stages[i].approvals = 1;
    if (life->tale.rollout.paused)
        life_step(life, &resume);
    for (int n = 0; n < 100 && life->tale.rollout.state == ROLLOUT_RUNNING; n++) {
        life->tale.now_ms += 60;
        struct rollout_event tick = { .kind = ROLLOUT_TICK, .now_ms = life->tale.now_ms };
        life_step(life, &tick);
    }
    CHECK(life->tale.rollout.state != ROLLOUT_RUNNING);
    for (size_t i = 0; i < SITES; i++) {
        CHECK(!site_state_in_flight(life->tale.sites[i].state));
        if (life->tale.rollout.state == ROLLOUT_DONE)
            CHECK(life->tale.sites[i].state != SITE_QUEUED);
    }
}

TEST(whatever_happens_in_whatever_order_the_promises_hold)
{
    size_t done = 0, halted = 0;
    for (uint32_t n = 0; n < LIVES; n++) {
        struct life life = { .random = n * 2654435761U + 1 };
        life_begin(&life);
        for (int e = 0; e < EVENTS; e++)
            life_event(&life);
        life_end(&life);
        done += life.tale.rollout.state == ROLLOUT_DONE;
        halted += life.tale.rollout.state == ROLLOUT_HALTED;
    }
    /* Both ends are common, or the test would show nothing. */
    CHECK(done > LIVES / 100);
    CHECK(halted > LIVES / 100);
}
