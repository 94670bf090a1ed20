#include "controller/core/rollout.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct site_def {
    const char *name;
    bool flight, well, failed;
};
#define X(id, name, flight, well, failed) [SITE_##id] = { name, flight, well, failed },
static const struct site_def site_defs[SITE_STATE_COUNT] = { ROLLOUT_SITE_STATES(X) };
#undef X

static const char *const rollout_names[ROLLOUT_STATE_COUNT] = { "running", "done", "halted" };

/* The one table of a site's life. What is not here changes nothing: a report that comes late or
 * twice is not news. Entries are state + 1, so that an empty place means "stay". A site that ended
 * can still be heard of again: its server decides what happened to it, also after we gave it up. */
#define TO(state) (SITE_##state + 1)
#define FROM_LIFE                                                                                  \
    [INPUT_FORWARD] = TO(RUNNING), [INPUT_APPLIED] = TO(SOAKING),                                  \
    [INPUT_COMMITTED] = TO(COMMITTED), [INPUT_UNDOING] = TO(UNDOING),                              \
    [INPUT_ROLLED_BACK] = TO(ROLLED_BACK), [INPUT_NOT_READY] = TO(NOT_READY),                      \
    [INPUT_REFUSED] = TO(REFUSED), [INPUT_HELD] = TO(HELD)
static const unsigned char site_table[SITE_STATE_COUNT][INPUT_COUNT] = {
    [SITE_QUEUED] = { [INPUT_ORDER] = TO(ORDERED), [INPUT_SKIP] = TO(SKIPPED) },
    [SITE_ORDERED] = { FROM_LIFE, [INPUT_ACK] = TO(RUNNING), [INPUT_REFUSE] = TO(REFUSED),
                       [INPUT_LOST] = TO(REFUSED), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING) },
    [SITE_RUNNING] = { FROM_LIFE, [INPUT_LOST] = TO(HELD), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING) },
    [SITE_UNDOING] = { [INPUT_ROLLED_BACK] = TO(ROLLED_BACK),
                       [INPUT_HELD] = TO(HELD),
                       [INPUT_NOT_READY] = TO(NOT_READY),
                       [INPUT_LOST] = TO(HELD),
                       [INPUT_REFUSE] = TO(HELD),
                       [INPUT_REFUSED] = TO(REFUSED),
                       [INPUT_COMMITTED] = TO(COMMITTED),
                       [INPUT_DEADLINE] = TO(SILENT) },
    [SITE_SOAKING] = { FROM_LIFE, [INPUT_LOST] = TO(HELD), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING) },
    [SITE_COMMITTED] = { [INPUT_UNDOING] = TO(UNDOING),
                         [INPUT_ROLLED_BACK] = TO(ROLLED_BACK),
                         [INPUT_HELD] = TO(HELD),
                         [INPUT_BACK] = TO(UNDOING) },
    [SITE_ROLLED_BACK] = { [INPUT_HELD] = TO(HELD) },
    [SITE_NOT_READY] = { [INPUT_HELD] = TO(HELD) },
    [SITE_REFUSED] = { FROM_LIFE },
    [SITE_HELD] = { FROM_LIFE, [INPUT_BACK] = TO(UNDOING) },
    [SITE_SILENT] = { FROM_LIFE, [INPUT_ACK] = TO(RUNNING), [INPUT_REFUSE] = TO(REFUSED),
                      [INPUT_BACK] = TO(UNDOING) },
};
#undef FROM_LIFE
#undef TO

const char *site_state_name(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].name;
}

bool site_state_parse(const char *name, enum site_state *ret_state)
{
    for (unsigned i = 0; i < SITE_STATE_COUNT; i++) {
        if (strcmp(site_defs[i].name, name) != 0)
            continue;
        *ret_state = (enum site_state)i;
        return true;
    }
    return false;
}

bool site_state_in_flight(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].flight;
}

bool site_state_failed(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].failed;
}

const char *rollout_state_name(enum rollout_state state)
{
    assert((unsigned)state < ROLLOUT_STATE_COUNT);
    return rollout_names[state];
}

bool rollout_state_parse(const char *name, enum rollout_state *ret_state)
{
    for (unsigned i = 0; i < ROLLOUT_STATE_COUNT; i++) {
        if (strcmp(rollout_names[i], name) != 0)
            continue;
        *ret_state = (enum rollout_state)i;
        return true;
    }
    return false;
}

struct tally {
    size_t sites, queued, flight, down, well, failed, silent;
};

static struct tally stage_tally(const struct rollout *rollout, size_t stage)
{
    struct tally tally = { 0 };
    for (size_t i = 0; i < rollout->site_count; i++) {
        enum site_state state = rollout->sites[i].state;
        if (rollout->sites[i].stage != stage)
            continue;
        tally.sites++;
        tally.queued += state == SITE_QUEUED;
        tally.flight += site_defs[state].flight;
        tally.down += site_defs[state].flight && state != SITE_SOAKING;
        tally.well += site_defs[state].well;
        tally.failed += site_defs[state].failed;
        tally.silent += state == SITE_SILENT;
    }
    return tally;
}

static void FORMAT(2, 3) rollout_stop(struct rollout *rollout, const char *format, ...)
{
    va_list ap;
    if (rollout->reason[0] != '\0')
        return; /* the first reason is the one that counts */
    va_start(ap, format);
    (void)vsnprintf(rollout->reason, sizeof rollout->reason, format, ap);
    va_end(ap);
}

/* The one place where gates are evaluated. */
static void rollout_gates(struct rollout *rollout)
{
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        const struct rollout_stage *rule = &rollout->stages[stage];
        struct tally tally = stage_tally(rollout, stage);
        if (tally.failed > rule->max_failed)
            rollout_stop(rollout,
                         "stage %zu: %zu of %zu sites did not end well, the gate allows %u",
                         stage + 1, tally.failed, tally.sites, rule->max_failed);
        if (tally.silent > rule->max_silent)
            rollout_stop(rollout,
                         "stage %zu: nothing heard of %zu of %zu sites, the gate allows %u",
                         stage + 1, tally.silent, tally.sites, rule->max_silent);
    }
}

static bool stage_over(const struct rollout *rollout, size_t stage)
{
    struct tally tally = stage_tally(rollout, stage);
    return tally.queued == 0 && tally.flight == 0;
}

/* How many sites may have been started when the first `settled` ones are out of danger: whole
 * batches only. */
static size_t stage_quota(const struct rollout_stage *rule, size_t sites, size_t settled)
{
    size_t quota = 0;
    for (size_t batch = 0; quota < sites; batch++) {
        size_t last = rule->batch_count == 0 ? 0 : rule->batch_count - 1;
        uint32_t size = rule->batch_count == 0 ? 1 : rule->batch[batch < last ? batch : last];
        quota = size == 0 || size > sites - quota ? sites : quota + size;
        if (settled < quota)
            break;
    }
    return quota;
}

static bool stage_may_start(const struct rollout *rollout, size_t stage)
{
    struct tally tally = stage_tally(rollout, stage);
    size_t started = tally.sites - tally.queued;
    /* A silent site may be down: it keeps its place in the batch. */
    size_t settled = started - tally.down - tally.silent;
    return tally.queued > 0 && started < stage_quota(&rollout->stages[stage], tally.sites, settled);
}

static size_t rollout_stage_now(const struct rollout *rollout)
{
    size_t stage = 0;
    while (stage < rollout->stage_count && stage_over(rollout, stage))
        stage++;
    return stage;
}

static void rollout_settle(struct rollout *rollout)
{
    size_t flight = 0, queued = 0;
    rollout_gates(rollout);
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        struct tally tally = stage_tally(rollout, stage);
        flight += tally.flight;
        queued += tally.queued;
    }
    if (flight > 0) {
        rollout->state = ROLLOUT_RUNNING;
        return;
    }
    size_t stage = rollout_stage_now(rollout);
    /* Law 6: silence ends too. With nothing in flight and no place left to start one, waiting would
     * never end. */
    if (stage < rollout->stage_count && !stage_may_start(rollout, stage))
        rollout_stop(rollout, "stage %zu: silent sites may be down and fill the batch", stage + 1);
    if (rollout->reason[0] != '\0')
        rollout->state = ROLLOUT_HALTED;
    else
        rollout->state = queued > 0 ? ROLLOUT_RUNNING : ROLLOUT_DONE;
}

static bool site_feed(struct rollout *rollout, size_t at, enum site_input input, int64_t now_ms)
{
    assert(at < rollout->site_count);
    assert((unsigned)input < INPUT_COUNT);
    struct rollout_site *site = &rollout->sites[at];
    unsigned char to = site_table[site->state][input];
    if (to == 0 || (enum site_state)(to - 1) == site->state)
        return false;
    site->state = (enum site_state)(to - 1);
    site->heard_ms = now_ms;
    if (input == INPUT_BACK)
        rollout_stop(rollout, "a person decided to go back");
    return true;
}

static bool site_tick(struct rollout *rollout, size_t at, int64_t now_ms)
{
    const struct rollout_site *site = &rollout->sites[at];
    bool late = site->state == SITE_ORDERED
                    ? now_ms - site->ordered_ms >= rollout->limits.order_ms
                    : site_defs[site->state].flight &&
                          now_ms - site->heard_ms >= rollout->limits.silence_ms;
    return late && site_feed(rollout, at, INPUT_DEADLINE, now_ms);
}

bool rollout_on(struct rollout *rollout, const struct rollout_event *event)
{
    bool changed = false;
    assert(rollout->stage_count > 0);
    switch (event->kind) {
    case ROLLOUT_TICK:
        for (size_t i = 0; i < rollout->site_count; i++)
            changed |= site_tick(rollout, i, event->now_ms);
        break;
    case ROLLOUT_HEARD:
        assert(event->site < rollout->site_count);
        rollout->sites[event->site].heard_ms = event->now_ms;
        return false;
    case ROLLOUT_SITE:
        changed = site_feed(rollout, event->site, event->input, event->now_ms);
        break;
    case ROLLOUT_STOP:
        changed = rollout->reason[0] == '\0';
        rollout_stop(rollout, "%s", event->reason);
        break;
    }
    if (changed)
        rollout_settle(rollout);
    return changed;
}

bool rollout_next(struct rollout *rollout, int64_t now_ms, size_t *ret_site)
{
    if (rollout->state != ROLLOUT_RUNNING || rollout->reason[0] != '\0')
        return false;
    size_t stage = rollout_stage_now(rollout);
    if (stage == rollout->stage_count || !stage_may_start(rollout, stage))
        return false;
    for (size_t i = 0; i < rollout->site_count; i++) {
        struct rollout_site *site = &rollout->sites[i];
        if (site->stage != stage || site->state != SITE_QUEUED)
            continue;
        bool taken = site_feed(rollout, i, INPUT_ORDER, now_ms);
        assert(taken);
        (void)taken;
        site->ordered_ms = now_ms;
        *ret_site = i;
        return true;
    }
    return false;
}
