/* status - a rollout as a person sees it: a line per site, one line per change, the recap and the
 * exit status.
 *
 * Pure: a view from the controller in, text out. What is behind a state is the controller's to say;
 * here it is only shown. */
#pragma once
#include "controller/cli/states.h"

/* Every site, below its stage; every line is at most out->width columns wide. */
void status_lines(const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to);
/* The parts of it, for the screen of a large rollout. */
void status_head(const Confleet__RolloutView *rollout, const struct out *out, struct str *to);
size_t status_name_width(const Confleet__RolloutView *rollout, const struct out *out);
void status_site_line(const Confleet__RolloutSiteView *site, const struct out *out,
                      size_t name_width, int64_t now_ms, struct str *to);
/* Counts per outcome, and what a person must know or do. Of more than 40 sites only those that need
 * a look are named. */
void status_recap(const Confleet__RolloutView *rollout, const struct out *out, struct str *to);
/* The worst outcome's, when it is over; 4 while nothing moves before a person says something;
 * else 2. */
enum exit_status status_exit(const Confleet__RolloutView *rollout);

/* "was down for 1m 05s", "is down since …"; nothing when it was up all the time. */
void status_outage(const Confleet__RolloutSiteView *site, struct str *to);

/* Lines for what changed since the last call; for logs and pipes. Every call must show all sites.
 */
struct status_memory {
    char **keys;
    size_t count;
};
void status_changes(struct status_memory *memory, const Confleet__RolloutView *rollout,
                    int64_t now_ms, struct str *to);
void status_memory_free(struct status_memory *memory);
