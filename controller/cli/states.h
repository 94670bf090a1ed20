/* states - the words of a rollout: each state of a site with its word for people, colour, exit
 * status and rank, counts of them, and what a stage waits for.
 *
 * Pure. The spellings are the controller's; one that this version does not know is never taken for
 * success. */
#pragma once
#include "controller/cli/out.h"

#define STATES_MAX 12 /* known ones; index STATES_MAX counts the unknown */

struct state_word {
    const char *state, *word;
    bool flight; /* something is being done, or may still be undone, at its server */
    enum tone tone;
    enum exit_status exit;
    int rank; /* what decides the exit status, highest first; zero: nothing a person must look at */
};
extern const struct state_word state_words[STATES_MAX];

size_t state_index(const char *state); /* STATES_MAX: unknown */
enum tone status_tone(const char *state);
const char *status_word(
    const Confleet__RolloutSiteView *site); /* "rolled back" for "rolled-back" */
bool status_site_in_flight(const Confleet__RolloutSiteView *site);
int state_rank(const char *state);

/* By the controller's own count where it gives one, else by the sites that are shown. */
struct state_counts {
    size_t count[STATES_MAX + 1], total;
};
struct state_counts counts_of(const Confleet__RolloutView *rollout);
struct state_counts counts_of_stage(const Confleet__StageView *stage);
void counts_add(struct str *to, const struct state_counts *counts); /* "3 committed, 1 held" */

/* "approval 0 of 1: confleet rollout approve ID STAGE", "window opens …", "soak until …": true, for
 * these words name the stage's state. Else the controller's reason, nothing for a stage that just
 * runs: false. */
bool stage_wait_add(struct str *to, const Confleet__StageView *stage, const char *rollout,
                    int64_t now_ms);
/* Nothing moves before a person says something: an approval is waited for or the rollout is paused,
 * and no site is on its way. */
bool rollout_waits_for_person(const Confleet__RolloutView *rollout);
/* Nothing moves any more: done, or halted with no site in flight. */
bool status_is_over(const Confleet__RolloutView *rollout);
