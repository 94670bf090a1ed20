#include "controller/core/stage.h"

#include "confleet/guard.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define X(id, name) [STAGE_##id] = name,
static const char *const stage_names[STAGE_STATE_COUNT] = { STAGE_STATES(X) };
#undef X

const char *stage_state_name(enum stage_state state)
{
    assert((unsigned)state < STAGE_STATE_COUNT);
    return stage_names[state];
}

void stage_tallies(const struct rollout *rollout, struct stage_tally *tallies)
{
    assert(rollout->stage_count <= ROLLOUT_STAGES_MAX);
    memset(tallies, 0, rollout->stage_count * sizeof *tallies);
    for (size_t i = 0; i < rollout->site_count; i++) {
        const struct rollout_site *site = &rollout->sites[i];
        assert(site->stage < rollout->stage_count);
        struct stage_tally *tally = &tallies[site->stage];
        tally->sites++;
        tally->of[site->state]++;
        tally->busy += site_state_busy(site->state);
        tally->doubt += site_state_in_doubt(site->state);
        tally->flight += site_state_in_flight(site->state);
        if (NEEDS(law6_excused_is_not_counted, !site->excused))
            gate_count(&tally->bad, site->state);
    }
}

bool stage_succeeded(const struct rollout *rollout, const struct stage_tally *tallies, size_t stage)
{
    const struct stage_tally *tally = &tallies[stage];
    enum gate_class class = GATE_NONE;
    if (GUARD(law1_all_of_a_stage_started, tally->of[SITE_QUEUED] > 0) ||
        GUARD(law1_all_of_a_stage_ended, tally->flight > 0) ||
        GUARD(law1_gate_of_a_stage_is_open,
              gate_closed(&rollout->stages[stage].gate, &tally->bad, &class)))
        return false;
    /* A gate as wide as the stage must not call it a success that every site of it failed. */
    return GUARD(law1_one_kept_is_a_success, tally->of[SITE_COMMITTED] > 0) ||
           NEEDS(law1_none_kept_is_no_success,
                 tally->bad.of[GATE_FAILED] + tally->bad.of[GATE_SILENT] == 0);
}

/* Number of the stage before, from 1; zero: it needs none. */
static size_t stage_needed(const struct rollout *rollout, size_t stage)
{
    size_t needs = rollout->stages[stage].needs;
    assert(needs <= stage);            /* never itself or a later one: that would wait for ever */
    return needs != 0 ? needs : stage; /* No guard: the plan may leave it open. */
}

bool stage_approved(const struct rollout *rollout, size_t stage)
{
    return NEEDS(law1_approvals_are_there,
                 rollout->stages[stage].approvals >= rollout->stages[stage].approvals_needed);
}

static bool stage_is_due(const struct rollout *rollout, const struct stage_tally *tallies,
                         size_t stage)
{
    size_t needed = stage_needed(rollout, stage);
    /* No guard: the first stage needs none. */
    return needed == 0 ||
           NEEDS(law1_stage_before_succeeded, stage_succeeded(rollout, tallies, needed - 1));
}

bool stage_may_begin(const struct rollout *rollout, const struct stage_tally *tallies, size_t stage)
{
    /* No guard: both have their own. */
    return stage_is_due(rollout, tallies, stage) && stage_approved(rollout, stage);
}

bool stage_has_place(const struct rollout *rollout, const struct stage_tally *tallies, size_t stage)
{
    const struct rollout_stage *rule = &rollout->stages[stage];
    const struct stage_tally *tally = &tallies[stage];
    /* A skipped site was never part of a batch: the next one takes its place. */
    uint32_t sites = tally->sites - tally->of[SITE_SKIPPED];
    uint32_t started = sites - tally->of[SITE_QUEUED], ended = started - tally->busy;
    uint32_t quota = 0, size = 0;
    /* No guard: the plan's numbers, and not what became of its sites. */
    for (size_t batch = 0; quota < sites; batch++) {
        size_t last = rule->batch_count == 0 ? 0 : rule->batch_count - 1; /* No guard: as above. */
        /* No guard: the last batch of the plan repeats, none is one. */
        size = rule->batch_count == 0 ? 1 : rule->batch[batch < last ? batch : last];
        /* No guard: "all the rest" has no number in the plan. */
        size = size == 0 || size > sites - quota ? sites - quota : size;
        quota += size;
        if (GUARD(law7_batch_after_batch, ended < quota))
            break;
    }
    return NEEDS(law7_batch_has_a_quota, started < quota) &&
           NEEDS(law7_batch_has_a_size, tally->busy + tally->doubt < size);
}

static void site_look(const struct rollout *rollout, const struct rollout_site *site,
                      int64_t now_ms, struct window_answer *ret)
{
    struct window_rule rule = { rollout->stages[site->stage].windows, site->windows,
                                rollout->freezes, site->holds, site->estimate_ms };
    window_look(&rule, now_ms, ret);
}

bool stage_candidate(const struct rollout *rollout, size_t stage, int64_t now_ms, size_t *ret_site,
                     struct stage_block *ret_block)
{
    struct stage_block block = { .forever = true };
    bool found = false;
    for (size_t i = 0; i < rollout->site_count; i++) {
        const struct rollout_site *site = &rollout->sites[i];
        struct window_answer answer = { 0 };
        if (GUARD(law1_site_starts_with_its_stage, site->stage != stage) ||
            GUARD(law4_only_queued_is_ordered, site->state != SITE_QUEUED))
            continue;
        site_look(rollout, site, now_ms, &answer);
        if (NEEDS(law7_starts_in_an_opening, answer.open) &&
            NEEDS(law1_test_site_goes_first, !site->uncovered)) {
            *ret_site = i;
            return true;
        }
        /* No guard: what is open has an opening; only at the instant zero it would look like none.
         */
        block.forever &=
            !answer.open && NEEDS(law6_opening_to_come_is_worth_waiting, answer.next_ms == 0);
        /* No guard: from here on, which site's words are told. */
        bool sooner = !block.window && !answer.open;
        /* No guard: which site's words are told. */
        sooner = sooner || (!answer.open && answer.next_ms != 0 &&
                            (block.answer.next_ms == 0 || answer.next_ms < block.answer.next_ms));
        if (found && !sooner) /* No guard: which site's words are told. */
            continue;
        found = true;
        block.site = i;
        block.window = !answer.open; /* No guard: which words are told. */
        block.answer = answer;
    }
    *ret_block = block;
    return false;
}

/* No guards in here: words for people. */
static void look_waiting(const struct rollout *rollout, const struct stage_tally *tallies,
                         size_t stage, struct stage_look *look)
{
    size_t needed = stage_needed(rollout, stage) - 1;
    const struct stage_tally *tally = &tallies[needed];
    uint32_t open = tally->sites - tally->of[SITE_COMMITTED] - tally->of[SITE_SKIPPED];
    look->state = STAGE_WAITING;
    (void)snprintf(look->reason, sizeof look->reason,
                   "waits for stage %s: %u of its %u sites %s not kept yet",
                   rollout->stages[needed].name, open, tally->sites, open == 1 ? "is" : "are");
}

/* No guards in here: words for people. */
static void look_approval(const struct rollout *rollout, size_t stage, struct stage_look *look)
{
    const struct rollout_stage *rule = &rollout->stages[stage];
    uint32_t missing = rule->approvals_needed - rule->approvals;
    look->state = STAGE_APPROVAL;
    (void)snprintf(look->reason, sizeof look->reason,
                   "waits for %u %sapproval%s, %u needed (confleet rollout approve %s)", missing,
                   rule->approvals > 0 ? "more " : "", missing == 1 ? "" : "s",
                   rule->approvals_needed, rule->name);
}

/* No guards in here: words for people. */
static void look_queued(const struct rollout *rollout, const struct stage_tally *tallies,
                        size_t stage, int64_t now_ms, struct stage_look *look)
{
    const struct stage_tally *tally = &tallies[stage];
    struct stage_block block;
    size_t site = 0;
    look->state = tally->busy > 0 ? STAGE_RUNNING : STAGE_WAITING;
    if (!stage_has_place(rollout, tallies, stage)) {
        (void)snprintf(look->reason, sizeof look->reason, "%u of %u sites wait%s for %s batch",
                       tally->of[SITE_QUEUED], tally->sites, tally->of[SITE_QUEUED] == 1 ? "s" : "",
                       tally->of[SITE_QUEUED] == 1 ? "its" : "their");
        return;
    }
    if (stage_candidate(rollout, stage, now_ms, &site, &block)) {
        look->state = STAGE_RUNNING;
        return;
    }
    const struct rollout_site *first = &rollout->sites[block.site];
    look->window_from_ms = block.answer.next_ms;
    look->window_to_ms = block.answer.until_ms;
    if (block.window) {
        look->state = tally->busy > 0 ? STAGE_RUNNING : STAGE_WINDOW;
        (void)snprintf(look->reason, sizeof look->reason, "site %s: %s", first->name,
                       block.answer.reason);
    } else {
        (void)snprintf(look->reason, sizeof look->reason,
                       "site %s waits for its test site %s to be kept on this release", first->name,
                       first->uncovered);
    }
}

/* No guards in here: words for people, decided by what has guards. */
void stage_look(const struct rollout *rollout, const struct stage_tally *tallies, size_t stage,
                int64_t now_ms, struct stage_look *ret)
{
    const struct stage_tally *tally = &tallies[stage];
    struct stage_look look = { 0 };
    if (stage_succeeded(rollout, tallies, stage)) {
        look.state = STAGE_DONE;
    } else if (rollout->reason[0] != '\0') {
        look.state = tally->busy > 0 ? STAGE_RUNNING : STAGE_HALTED;
        (void)snprintf(look.reason, sizeof look.reason, "%s", rollout->reason);
    } else if (!stage_is_due(rollout, tallies, stage)) {
        look_waiting(rollout, tallies, stage, &look);
    } else if (rollout->paused && tally->of[SITE_QUEUED] > 0) {
        look.state = tally->busy > 0 ? STAGE_RUNNING : STAGE_WAITING;
        (void)snprintf(look.reason, sizeof look.reason, "%s", rollout->paused_reason);
    } else if (!stage_approved(rollout, stage) && tally->of[SITE_QUEUED] > 0) {
        look_approval(rollout, stage, &look);
    } else if (tally->of[SITE_QUEUED] > 0) {
        look_queued(rollout, tallies, stage, now_ms, &look);
    } else if (tally->busy > 0) {
        look.state = STAGE_RUNNING;
    } else {
        look.state = STAGE_SOAKING;
        (void)snprintf(look.reason, sizeof look.reason, "%u of %u sites are soaking",
                       tally->of[SITE_SOAKING], tally->sites);
    }
    *ret = look;
}
