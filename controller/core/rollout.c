#include "controller/core/rollout.h"
#include "controller/core/stage.h"

#include "confleet/guard.h"

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

/* No guards in here: finds a name in a table. */
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

/* The rollout is stopped while it has a reason to be. */
static bool is_stopped(const struct rollout *rollout)
{
    return rollout->reason[0] != '\0'; /* No guard: those who ask have one. */
}

/* Agents take no order of it any more. */
static bool is_expired(const struct rollout *rollout, int64_t now_ms)
{
    return NEEDS(law6_plan_without_expiry_lives, rollout->expires_ms != 0) &&
           GUARD(law8_plan_expires, now_ms >= rollout->expires_ms);
}

static void FORMAT(2, 3) rollout_stop(struct rollout *rollout, const char *format, ...)
{
    va_list ap;
    if (is_stopped(rollout)) /* No guard: the first reason counts, and any of them stops. */
        return;
    va_start(ap, format);
    (void)vsnprintf(rollout->reason, sizeof rollout->reason, format, ap);
    va_end(ap);
}

/* The sites that a gate counted, in one line; stage SIZE_MAX: of all stages. No guards in here:
 * words for people. */
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
    if (!gate_closed(view->gate, view->counts, &class)) /* No guard: the gate's own are in it. */
        return;
    names_write(rollout, view->stage, class, names, sizeof names);
    if (view->stage == SIZE_MAX) /* No guard: words for people. */
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
    if (rollout->run_gate) /* No guard: there may be none. */
        gate_judge(rollout, &run);
}

/* Law 6: every wait ends. With nothing in flight, a stage whose turn it is and that can start
 * nothing any more stops the rollout in words. Approvals and openings to come are worth waiting
 * for, and so is a person who paused. */
static void stage_dead_end(struct rollout *rollout, const struct stage_tally *tallies, size_t stage,
                           int64_t now_ms)
{
    const struct stage_tally *tally = &tallies[stage];
    struct stage_block block = { 0 }; /* and stays so when a site may start */
    size_t site = 0;
    (void)stage_candidate(rollout, stage, now_ms, &site, &block);
    if (tally->of[SITE_QUEUED] == 0) { /* No guard: which of the two ends it may have come to. */
        if (GUARD(law6_stage_that_failed_stops, !stage_succeeded(rollout, tallies, stage)))
            rollout_stop(rollout, "stage %s: none of its %u sites was upgraded",
                         rollout->stages[stage].name, tally->sites);
        return;
    }
    if (GUARD(law6_pause_is_no_dead_end, rollout->paused) ||
        GUARD(law6_turn_to_come_is_no_dead_end, !stage_may_begin(rollout, tallies, stage)))
        return;
    if (GUARD(law6_batch_full_of_doubt_stops, !stage_has_place(rollout, tallies, stage)))
        rollout_stop(rollout,
                     "stage %s: %u silent or held sites may be down and fill the batch: retry or "
                     "skip them",
                     rollout->stages[stage].name, tally->doubt);
    else if (GUARD(law6_no_opening_to_come_stops, block.forever))
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
    if (NEEDS(law6_finished_plan_may_expire, queued > 0) &&
        GUARD(law6_expired_plan_stops, is_expired(rollout, now_ms)))
        rollout_stop(rollout,
                     "the plan expired at %s with %zu sites not started: make a new plan for them",
                     instant_text(rollout->expires_ms, at), queued);
    bool flies = GUARD(law6_flight_is_no_end, flight > 0);
    for (size_t stage = 0; !flies && stage < rollout->stage_count; stage++)
        stage_dead_end(rollout, tallies, stage, now_ms);
    if (flies)
        rollout->state = ROLLOUT_RUNNING;
    else if (GUARD(law6_stopped_is_halted, is_stopped(rollout)))
        rollout->state = ROLLOUT_HALTED;
    else
        rollout->state =
            GUARD(law6_queued_is_not_done, queued > 0) ? ROLLOUT_RUNNING : ROLLOUT_DONE;
}

static bool site_feed(struct rollout *rollout, size_t at, enum site_input input, int64_t now_ms)
{
    assert(at < rollout->site_count);
    struct rollout_site *site = &rollout->sites[at];
    if (!site_state_after(site->state, input,
                          &site->state)) /* No guard: the table's own are in it. */
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
    int64_t order_ms = now_ms - site->ordered_ms, silence_ms = now_ms - site->heard_ms;
    /* No guard: an order has a deadline of its own. */
    bool late = site->state == SITE_ORDERED
                    ? GUARD(law6_order_has_a_deadline, order_ms >= rollout->limits.order_ms)
                    : GUARD(law6_silence_has_a_deadline, silence_ms >= rollout->limits.silence_ms);
    return late &&
           site_feed(rollout, at, INPUT_DEADLINE, now_ms); /* No guard: what the table takes. */
}

/* No guards in here: tells the caller whether there is anything to store. */
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
    if (GUARD(law6_aborted_is_for_good, rollout->aborted))
        return false;
    if (!rollout->paused && !is_stopped(rollout)) /* No guard: there is nothing to resume. */
        return false;
    rollout->paused = false;
    rollout->paused_reason[0] = '\0';
    if (GUARD(law6_pause_excuses_nobody, !is_stopped(rollout)))
        return true;
    rollout->reason[0] = '\0';
    /* No guard: the excuse of a site that no gate counts is none. */
    for (size_t i = 0; i < rollout->site_count; i++)
        rollout->sites[i].excused |= gate_class_of(rollout->sites[i].state) != GATE_NONE;
    return true;
}

static bool rollout_pause(struct rollout *rollout, const char *reason)
{
    if (rollout->aborted || rollout->paused) /* No guard: it is stopped already, either way. */
        return false;
    rollout->paused = true;
    (void)snprintf(rollout->paused_reason, sizeof rollout->paused_reason, "%s", reason);
    return true;
}

static bool rollout_abort(struct rollout *rollout, const char *reason)
{
    if (rollout->aborted) /* No guard: it is aborted either way. */
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
    /* No guard: a site that does not go back is moved by its own reports to the same state. */
    bool changed =
        site->state == SITE_UNDOING && site_feed(rollout, event->site, event->input, event->now_ms);
    if (GUARD(law6_other_reasons_stay, strcmp(rollout->reason, REASON_BACK) != 0))
        return changed;
    for (size_t i = 0; i < rollout->site_count; i++) {
        enum site_state state = rollout->sites[i].state;
        if (GUARD(law6_other_ways_back_stay, state == SITE_UNDOING) ||
            GUARD(law6_rolled_back_stays_a_reason, state == SITE_ROLLED_BACK))
            return changed;
        queued |= GUARD(law6_refused_way_back_stops_starts, state == SITE_QUEUED);
    }
    rollout->reason[0] = '\0';
    if (queued)
        rollout_stop(rollout, "site %s was not rolled back: %s; resume goes on with the others",
                     site->name, event->reason);
    return true;
}

/* No guards in here: leads each event to who takes it in. */
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
    if (GUARD(law6_stopped_starts_nothing, is_stopped(rollout)) ||
        GUARD(law6_paused_starts_nothing, rollout->paused) ||
        GUARD(law8_expired_plan_starts_nothing, is_expired(rollout, now_ms)))
        return false;
    stage_tallies(rollout, tallies);
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        if (GUARD(law1_stages_begin_in_turn, !stage_may_begin(rollout, tallies, stage)) ||
            GUARD(law7_batch_is_not_full, !stage_has_place(rollout, tallies, stage)) ||
            !stage_candidate(rollout, stage, now_ms, &site, &block)) /* No guard: has its own. */
            continue;
        if (!site_feed(rollout, site, INPUT_ORDER, now_ms)) /* No guard: who is queued takes it. */
            return false;
        rollout->sites[site].ordered_ms = now_ms;
        *ret_site = site;
        return true;
    }
    return false;
}
