#include "controller/core/rollout.h"
#include "controller/core/stage.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_BACK "a person decided to go back"

static const char *const rollout_names[ROLLOUT_STATE_COUNT] = { "running", "done", "halted" };

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

static void FORMAT(2, 3) rollout_stop(struct rollout *rollout, const char *format, ...)
{
    va_list ap;
    if (rollout->reason[0] != '\0')
        return; /* the first reason is the one that counts */
    va_start(ap, format);
    (void)vsnprintf(rollout->reason, sizeof rollout->reason, format, ap);
    va_end(ap);
}

/* The sites that a gate counted, in one line; stage SIZE_MAX: of all stages. */
static void names_write(const struct rollout *rollout, size_t stage, enum gate_class class,
                        char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < rollout->site_count; i++) {
        const struct rollout_site *site = &rollout->sites[i];
        if ((stage != SIZE_MAX && site->stage != stage) || site->excused ||
            !gate_counts_in(class, site->state))
            continue;
        int more = snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", site->name);
        if (more < 0 || (size_t)more + 6 >= size - used) {
            (void)snprintf(out + used, size - used, "%s", used > 0 ? ", ..." : "");
            return;
        }
        used += (size_t)more;
    }
}

struct gate_view {
    const struct gate *gate;
    const struct gate_counts *counts;
    size_t stage, sites;
};

static void gate_judge(struct rollout *rollout, const struct gate_view *view)
{
    enum gate_class class = GATE_NONE;
    char names[256], where[96];
    if (!gate_closed(view->gate, view->counts, &class))
        return;
    names_write(rollout, view->stage, class, names, sizeof names);
    if (view->stage == SIZE_MAX)
        (void)snprintf(where, sizeof where, "the whole run");
    else
        (void)snprintf(where, sizeof where, "stage %s", rollout->stages[view->stage].name);
    rollout_stop(rollout, "%s: %u of %zu sites %s, the gate allows %u (%s): %s", where,
                 view->counts->of[class], view->sites, gate_class_words(class),
                 view->gate->max[class], gate_class_name(class), names);
}

/* The one place where gates are evaluated. */
static void rollout_gates(struct rollout *rollout, const struct stage_tally *tallies)
{
    struct gate_counts all = { 0 };
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        struct gate_view view = { &rollout->stages[stage].gate, &tallies[stage].bad, stage,
                                  tallies[stage].sites };
        gate_judge(rollout, &view);
        for (unsigned i = 0; i < GATE_CLASS_COUNT; i++)
            all.of[i] += tallies[stage].bad.of[i];
    }
    struct gate_view run = { rollout->run_gate, &all, SIZE_MAX, rollout->site_count };
    if (rollout->run_gate)
        gate_judge(rollout, &run);
}

/* Law 6: every wait ends. With nothing in flight, a stage whose turn it is and that can start
 * nothing any more stops the rollout in words. Approvals and openings to come are worth waiting
 * for, and so is a person who paused. */
static void stage_dead_end(struct rollout *rollout, const struct stage_tally *tallies, size_t stage,
                           int64_t now_ms)
{
    const struct stage_tally *tally = &tallies[stage];
    struct stage_block block;
    size_t site = 0;
    if (tally->of[SITE_QUEUED] == 0) {
        if (tally->flight == 0 && !stage_succeeded(rollout, tallies, stage))
            rollout_stop(rollout, "stage %s: none of its %u sites was upgraded",
                         rollout->stages[stage].name, tally->sites);
        return;
    }
    if (rollout->paused || !stage_may_begin(rollout, tallies, stage))
        return;
    if (!stage_has_place(rollout, tallies, stage))
        rollout_stop(rollout,
                     "stage %s: %u silent or held sites may be down and fill the batch: retry or "
                     "skip them",
                     rollout->stages[stage].name, tally->doubt);
    else if (!stage_candidate(rollout, stage, now_ms, &site, &block) && block.forever)
        rollout_stop(rollout, "stage %s: site %s can never start: %s", rollout->stages[stage].name,
                     rollout->sites[block.site].name, block.answer.reason);
}

static void rollout_settle(struct rollout *rollout, int64_t now_ms)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    char at[INSTANT_TEXT_MAX];
    size_t flight = 0, queued = 0;
    stage_tallies(rollout, tallies);
    rollout_gates(rollout, tallies);
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        flight += tallies[stage].flight;
        queued += tallies[stage].of[SITE_QUEUED];
    }
    if (queued > 0 && rollout->expires_ms != 0 && now_ms >= rollout->expires_ms)
        rollout_stop(rollout,
                     "the plan expired at %s with %zu sites not started: make a new plan for them",
                     instant_text(rollout->expires_ms, at), queued);
    for (size_t stage = 0; flight == 0 && stage < rollout->stage_count; stage++)
        stage_dead_end(rollout, tallies, stage, now_ms);
    if (flight > 0)
        rollout->state = ROLLOUT_RUNNING;
    else if (rollout->reason[0] != '\0')
        rollout->state = ROLLOUT_HALTED;
    else
        rollout->state = queued > 0 ? ROLLOUT_RUNNING : ROLLOUT_DONE;
}

static bool site_feed(struct rollout *rollout, size_t at, enum site_input input, int64_t now_ms)
{
    assert(at < rollout->site_count);
    struct rollout_site *site = &rollout->sites[at];
    if (!site_state_after(site->state, input, &site->state))
        return false;
    site->heard_ms = now_ms;
    site->excused = false;
    if (input == INPUT_BACK)
        rollout_stop(rollout, REASON_BACK);
    return true;
}

static bool site_tick(struct rollout *rollout, size_t at, int64_t now_ms)
{
    const struct rollout_site *site = &rollout->sites[at];
    bool late = site->state == SITE_ORDERED
                    ? now_ms - site->ordered_ms >= rollout->limits.order_ms
                    : site_state_in_flight(site->state) &&
                          now_ms - site->heard_ms >= rollout->limits.silence_ms;
    return late && site_feed(rollout, at, INPUT_DEADLINE, now_ms);
}

static bool rollout_tick(struct rollout *rollout, int64_t now_ms)
{
    enum rollout_state state = rollout->state;
    bool stopped = rollout->reason[0] != '\0', changed = false;
    for (size_t i = 0; i < rollout->site_count; i++)
        changed |= site_tick(rollout, i, now_ms);
    /* Time alone can end an opening or a plan. */
    rollout_settle(rollout, now_ms);
    return changed || state != rollout->state || stopped != (rollout->reason[0] != '\0');
}

static bool rollout_resume(struct rollout *rollout)
{
    if (rollout->aborted || (!rollout->paused && rollout->reason[0] == '\0'))
        return false;
    rollout->paused = false;
    rollout->paused_reason[0] = '\0';
    if (rollout->reason[0] == '\0')
        return true;
    rollout->reason[0] = '\0';
    for (size_t i = 0; i < rollout->site_count; i++)
        rollout->sites[i].excused =
            rollout->sites[i].excused || gate_class_of(rollout->sites[i].state) != GATE_NONE;
    return true;
}

static bool rollout_pause(struct rollout *rollout, const char *reason)
{
    if (rollout->aborted || rollout->paused)
        return false;
    rollout->paused = true;
    (void)snprintf(rollout->paused_reason, sizeof rollout->paused_reason, "%s", reason);
    return true;
}

static bool rollout_abort(struct rollout *rollout, const char *reason)
{
    if (rollout->aborted)
        return false;
    rollout->aborted = true;
    rollout->reason[0] = '\0';
    rollout_stop(rollout, "%s", reason);
    return true;
}

/* A way back that was refused is none. A rollout with sites to come stays stopped, since somebody
 * was not content with it, and says what happened; any other is what it was before. */
static bool rollout_stays(struct rollout *rollout, const struct rollout_event *event)
{
    const struct rollout_site *site = &rollout->sites[event->site];
    bool queued = false;
    bool changed = site->state == SITE_UNDOING &&
                   site_feed(rollout, event->site, event->input, event->now_ms);
    if (strcmp(rollout->reason, REASON_BACK) != 0)
        return changed;
    for (size_t i = 0; i < rollout->site_count; i++) {
        enum site_state state = rollout->sites[i].state;
        if (state == SITE_UNDOING || state == SITE_ROLLED_BACK)
            return changed;
        queued |= state == SITE_QUEUED;
    }
    rollout->reason[0] = '\0';
    if (queued)
        rollout_stop(rollout, "site %s was not rolled back: %s; resume goes on with the others",
                     site->name, event->reason);
    return true;
}

bool rollout_on(struct rollout *rollout, const struct rollout_event *event)
{
    bool changed = false;
    assert(rollout->stage_count > 0);
    assert(rollout->stage_count <= ROLLOUT_STAGES_MAX);
    switch (event->kind) {
    case ROLLOUT_TICK:
        return rollout_tick(rollout, event->now_ms);
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
    case ROLLOUT_PAUSE:
        changed = rollout_pause(rollout, event->reason);
        break;
    case ROLLOUT_RESUME:
        changed = rollout_resume(rollout);
        break;
    case ROLLOUT_ABORT:
        changed = rollout_abort(rollout, event->reason);
        break;
    case ROLLOUT_STAYS:
        assert(event->site < rollout->site_count);
        changed = rollout_stays(rollout, event);
        break;
    case ROLLOUT_EVENT_COUNT:
        break;
    }
    if (changed)
        rollout_settle(rollout, event->now_ms);
    return changed;
}

bool rollout_next(struct rollout *rollout, int64_t now_ms, size_t *ret_site)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    struct stage_block block;
    size_t site = 0;
    if (rollout->state != ROLLOUT_RUNNING || rollout->reason[0] != '\0' || rollout->paused ||
        (rollout->expires_ms != 0 && now_ms >= rollout->expires_ms))
        return false;
    stage_tallies(rollout, tallies);
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        if (tallies[stage].of[SITE_QUEUED] == 0 || !stage_may_begin(rollout, tallies, stage) ||
            !stage_has_place(rollout, tallies, stage) ||
            !stage_candidate(rollout, stage, now_ms, &site, &block))
            continue;
        bool taken = site_feed(rollout, site, INPUT_ORDER, now_ms);
        assert(taken);
        (void)taken;
        rollout->sites[site].ordered_ms = now_ms;
        *ret_site = site;
        return true;
    }
    return false;
}
