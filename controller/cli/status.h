/* status - a rollout as a person sees it: a line per site, one line per change, the recap and the
 * exit status.
 *
 * Pure: a view from the controller in, text out. What is behind a state is the controller's to say;
 * here it is only shown. */
#pragma once
#include "controller/cli/out.h"

/* Nothing moves any more: done, or halted with no site in flight. */
bool status_is_over(const Confleet__RolloutView *rollout);
bool status_site_in_flight(const Confleet__RolloutSiteView *site);
/* The whole display; every line is at most out->width columns wide. */
void status_lines(const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to);
/* Counts per outcome, and what a person must know or do. */
void status_recap(const Confleet__RolloutView *rollout, const struct out *out, struct str *to);
enum exit_status status_exit(const Confleet__RolloutView *rollout);
enum tone status_tone(const char *state);
const char *status_word(
    const Confleet__RolloutSiteView *site); /* "rolled back" for "rolled-back" */

/* Lines for what changed since the last call; for logs and pipes. */
struct status_memory {
    char **keys;
    size_t count;
};
void status_changes(struct status_memory *memory, const Confleet__RolloutView *rollout,
                    int64_t now_ms, struct str *to);
void status_memory_free(struct status_memory *memory);
