/* stage - what a stage's sites add up to: may it begin, may a site of it start, what does it wait
 * for. Counts and judges; changes nothing. */
#pragma once
#include "controller/core/rollout.h"

struct stage_tally {
    uint32_t sites, of[SITE_STATE_COUNT];
    uint32_t busy, doubt, flight;
    struct gate_counts bad; /* without the excused */
};
/* One pass over the sites; tallies has a place for each stage. */
void stage_tallies(const struct rollout *rollout, struct stage_tally *tallies);

/* All its sites kept or skipped, as far as the gate asks, and none under way. */
bool stage_succeeded(const struct rollout *rollout, const struct stage_tally *tallies,
                     size_t stage);
/* The stage it needs has succeeded, and the approvals are there. */
bool stage_may_begin(const struct rollout *rollout, const struct stage_tally *tallies,
                     size_t stage);
bool stage_approved(const struct rollout *rollout, size_t stage);
/* One more site of it may be at work: its batch is open and not full. */
bool stage_has_place(const struct rollout *rollout, const struct stage_tally *tallies,
                     size_t stage);

/* What keeps the stage's queued sites from starting, told by the one that may start first. */
struct stage_block {
    size_t site;
    bool window;  /* by a window, freeze or hold */
    bool forever; /* no site of the stage has an opening to come */
    struct window_answer answer;
};
/* The first queued site that may start at this instant. False: none, and ret_block says why. */
bool stage_candidate(const struct rollout *rollout, size_t stage, int64_t now_ms, size_t *ret_site,
                     struct stage_block *ret_block);

#define STAGE_STATES(X)                                                                            \
    X(WAITING, "waiting")                                                                          \
    X(APPROVAL, "approval")                                                                        \
    X(WINDOW, "window")                                                                            \
    X(RUNNING, "running")                                                                          \
    X(SOAKING, "soaking")                                                                          \
    X(DONE, "done")                                                                                \
    X(HALTED, "halted")
#define X(id, name) STAGE_##id,
enum stage_state { STAGE_STATES(X) STAGE_STATE_COUNT };
#undef X
struct stage_look {
    enum stage_state state;
    char reason[ROLLOUT_REASON_MAX];
    int64_t window_from_ms, window_to_ms; /* the opening now or next; zero: not told by windows */
};
void stage_look(const struct rollout *rollout, const struct stage_tally *tallies, size_t stage,
                int64_t now_ms, struct stage_look *ret);
const char *stage_state_name(enum stage_state state);
