#include "controller/cli/states.h"
#include "confleet/cleanup.h"
#include <string.h>

const struct state_word state_words[STATES_MAX] = {
    { "queued", "queued", false, TONE_DIM, EXIT_PENDING, 0 },
    { "ordered", "ordered", true, TONE_PLAIN, EXIT_PENDING, 0 },
    { "running", "running", true, TONE_PLAIN, EXIT_PENDING, 0 },
    { "undoing", "going back", true, TONE_WARN, EXIT_PENDING, 0 },
    { "soaking", "soaking", true, TONE_GOOD, EXIT_PENDING, 0 },
    { "committed", "committed", false, TONE_GOOD, EXIT_DONE, 0 },
    { "skipped", "skipped", false, TONE_DIM, EXIT_DONE, 0 },
    { "not-ready", "not ready", false, TONE_WARN, EXIT_BLOCKED, 2 },
    { "refused", "refused", false, TONE_BAD, EXIT_BLOCKED, 2 },
    { "rolled-back", "rolled back", false, TONE_WARN, EXIT_ROLLED_BACK, 3 },
    { "silent", "silent", false, TONE_BAD, EXIT_TIMEOUT, 4 },
    { "held", "held", false, TONE_BAD, EXIT_PERSON, 5 },
};

size_t state_index(const char *state)
{
    size_t i = 0;
    while (i < STATES_MAX && strcmp(state_words[i].state, state) != 0)
        i++;
    return i;
}

enum tone status_tone(const char *state)
{
    size_t i = state_index(state);
    return i < STATES_MAX ? state_words[i].tone : TONE_WARN;
}

const char *status_word(const Confleet__RolloutSiteView *site)
{
    size_t i = state_index(site->state);
    return i < STATES_MAX ? state_words[i].word : site->state;
}

bool status_site_in_flight(const Confleet__RolloutSiteView *site)
{
    size_t i = state_index(site->state);
    return i < STATES_MAX && state_words[i].flight;
}

int state_rank(const char *state)
{
    size_t i = state_index(state);
    /* A word that this version does not know: a person must look. */
    return i < STATES_MAX ? state_words[i].rank : 4;
}

static struct state_counts counts_sum(Confleet__ClassCount *const *list, size_t count)
{
    struct state_counts counts = { 0 };
    for (size_t i = 0; i < count; i++) {
        counts.count[state_index(list[i]->state)] += list[i]->count;
        counts.total += list[i]->count;
    }
    return counts;
}

struct state_counts counts_of(const Confleet__RolloutView *rollout)
{
    struct state_counts counts = { 0 };
    if (rollout->n_counts > 0 && rollout->n_sites < rollout->site_count)
        return counts_sum(rollout->counts, rollout->n_counts);
    for (size_t i = 0; i < rollout->n_sites; i++)
        counts.count[state_index(rollout->sites[i]->state)]++;
    counts.total = rollout->n_sites;
    return counts;
}

struct state_counts counts_of_stage(const Confleet__StageView *stage)
{
    return counts_sum(stage->counts, stage->n_counts);
}

void counts_add(struct str *to, const struct state_counts *counts)
{
    bool first = true;
    for (size_t i = 0; i <= STATES_MAX; i++) {
        if (counts->count[i] == 0)
            continue;
        str_addf(to, "%s%zu %s", first ? "" : ", ", counts->count[i],
                 i < STATES_MAX ? state_words[i].word : "other");
        first = false;
    }
}

static void moment_add(struct str *to, const char *label, int64_t ms, int64_t now_ms)
{
    char day[DAY_WORD_MAX], span[24];
    str_addf(to, "%s %s", label, day_word(ms, day));
    if (ms > now_ms)
        str_addf(to, " (in %s)", text_duration((ms - now_ms) / 1000 * 1000, span));
}

bool stage_wait_add(struct str *to, const Confleet__StageView *stage, const char *rollout,
                    int64_t now_ms)
{
    if (strcmp(stage->state, "approval") == 0 && stage->approvals_needed > 0) {
        str_addf(to, "approval %u of %u", stage->approvals, stage->approvals_needed);
        for (size_t i = 0; i < stage->n_approved_by; i++)
            str_addf(to, "%s%s", i == 0 ? " by " : ", ", stage->approved_by[i]);
        str_addf(to, ": confleet rollout approve %s %s", rollout, stage->name);
    } else if (strcmp(stage->state, "window") == 0 && stage->window_from_ms > now_ms) {
        moment_add(to, "window opens", stage->window_from_ms, now_ms);
    } else if (strcmp(stage->state, "soaking") == 0 && stage->soak_until_ms > 0) {
        moment_add(to, "soak until", stage->soak_until_ms, now_ms);
    } else {
        str_add(to, stage->reason);
        return false;
    }
    return true;
}

static bool is_moving(const struct state_counts *counts)
{
    static const char *const moving[] = { "ordered", "running", "undoing" };
    for (size_t i = 0; i < sizeof moving / sizeof moving[0]; i++) {
        if (counts->count[state_index(moving[i])] > 0)
            return true;
    }
    return false;
}

bool rollout_waits_for_person(const Confleet__RolloutView *rollout)
{
    struct state_counts counts = counts_of(rollout);
    bool waits = rollout->paused;
    if (status_is_over(rollout) || is_moving(&counts))
        return false;
    for (size_t i = 0; i < rollout->n_stages; i++)
        waits = waits || strcmp(rollout->stages[i]->state, "approval") == 0;
    return waits;
}

bool status_is_over(const Confleet__RolloutView *rollout)
{
    struct state_counts counts = counts_of(rollout);
    if (strcmp(rollout->state, "done") == 0)
        return true;
    for (size_t i = 0; i < STATES_MAX; i++) {
        if (counts.count[i] > 0 && state_words[i].flight)
            return false;
    }
    return strcmp(rollout->state, "halted") == 0;
}
