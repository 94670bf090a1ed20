/* coverage - counts which event was fed to which state of the cores, over all runs.
 *
 * The places are those of the diagrams in the cores' READMEs; never.c says which of their arrows nobody went. */
#pragma once
#include "tests/sim/world.h"

#define COVERAGE_LIVES 8  /* of a step, up to and with "held" */
#define COVERAGE_BY    4  /* nothing, a pause, a stop, an abort */
#define COVERAGE_CALLS 7  /* of a session, in the order of its diagram */
#define COVERAGE_ORDER  ROLLOUT_EVENT_COUNT
#define COVERAGE_EXPIRY (ROLLOUT_EVENT_COUNT + 1)
enum session_call { CALL_UP, CALL_DOWN, CALL_WELCOME, CALL_PENDING, CALL_ACK, CALL_TOLD, CALL_SAID };

struct coverage {
    uint64_t site[SITE_STATE_COUNT][INPUT_COUNT];
    uint64_t rollout[ROLLOUT_STATE_COUNT * COVERAGE_BY][ROLLOUT_EVENT_COUNT + 2];
    uint64_t step[COVERAGE_LIVES][EVENT_COUNT][STEP_COUNT];
    uint64_t session[SESSION_STATE_COUNT][COVERAGE_CALLS];
};

void coverage_run(struct world *world, const struct runbook *before, enum run_event event);
void coverage_session(struct world *world, const struct session *before, enum session_call call);
void coverage_site(struct world *world, enum site_state before, enum site_input input);
/* As the rollout is now; kind may be COVERAGE_ORDER or COVERAGE_EXPIRY. */
int coverage_rollout_node(const struct rollout *rollout);
void coverage_rollout(struct world *world, int node, int kind);
/* Each arrow with how often it was gone, then in words those that never were. */
void coverage_print(const struct coverage *coverage);
