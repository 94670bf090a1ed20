#include "tests/sim/coverage.h"

/* In the order of the diagram of one step. */
static int life_of(const struct runbook *rb)
{
    if (rb->mode == MODE_READY)
        return rb->undoing ? 5 : 0;
    if (rb->mode == MODE_BUSY)
        return rb->undoing ? 6 : rb->rollback_wanted ? 2 : 1;
    if (rb->mode == MODE_PROBING)
        return rb->rollback_wanted ? 4 : 3;
    return rb->outcome == OUTCOME_HELD ? 7 : COVERAGE_LIVES;
}

void coverage_run(struct world *world, const struct runbook *before, enum run_event event)
{
    int life = life_of(before);
    if (world->coverage && life < COVERAGE_LIVES && before->at >= 0)
        world->coverage->step[life][event][before->at]++;
}

void coverage_session(struct world *world, const struct session *before, enum session_call call)
{
    if (world->coverage)
        world->coverage->session[before->state][call]++;
}

void coverage_site(struct world *world, enum site_state before, enum site_input input)
{
    if (world->coverage)
        world->coverage->site[before][input]++;
}

int coverage_rollout_node(const struct rollout *rollout)
{
    int by = rollout->aborted ? 3 : rollout->reason[0] != '\0' ? 2 : rollout->paused ? 1 : 0;
    return (int)rollout->state * COVERAGE_BY + by;
}

void coverage_rollout(struct world *world, int node, int kind)
{
    if (world->coverage)
        world->coverage->rollout[node][kind]++;
}
