#include "tests/sim/laws.h"
#include "tests/sim/site.h"

#include <stdio.h>
#include <string.h>

/* How the controller must see a site whose reports it has all read. */
static bool agrees(const struct world *world, const struct site *site)
{
    enum site_state state = world->places[site->number].state;
    if (site->run_count == 0)
        return state == SITE_QUEUED || state == SITE_REFUSED || state == SITE_SILENT || state == SITE_SKIPPED ||
               state == SITE_HELD;
    const struct run *run = &site->runs[site->run_count - 1];
    bool next = run->attempt < site->attempt; /* the attempt after it has not come, or was refused */
    switch (run->outcome) {
    case OUTCOME_COMMITTED:
        return state == SITE_COMMITTED || state == SITE_SKIPPED ||
               (next && (state == SITE_REFUSED || state == SITE_QUEUED));
    case OUTCOME_ROLLED_BACK:
        return state == SITE_ROLLED_BACK || state == SITE_SKIPPED || next;
    case OUTCOME_NOT_READY:
        return state == SITE_NOT_READY || state == SITE_SKIPPED || next;
    case OUTCOME_HELD:
        return state == SITE_HELD || state == SITE_SKIPPED || next;
    case OUTCOME_NONE:
        break;
    }
    return false;
}

static const char *unsettled(const struct world *world, uint32_t *ret_site)
{
    for (size_t i = 0; i < world->site_count; i++) {
        const struct site *site = &world->sites[i];
        *ret_site = (uint32_t)i;
        if (!site->up)
            return "its agent is not back";
        if (site->open && site->rb.mode != MODE_ENDED)
            return "its run has no end";
        if (site->event_seq != site->report_count)
            return "its reports are not all heard";
        if (site_state_in_flight(world->places[i].state))
            return "the controller takes it for under way";
    }
    for (size_t i = 0; i < world->order_count; i++) {
        *ret_site = world->orders[i].site;
        if (world->orders[i].state == ORDER_PENDING)
            return "an order is not answered";
    }
    return NULL;
}

/* What the summary tells a person to do, when it is a person that the rollout waits for. */
static bool waits_for_person(const struct world *world)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    struct stage_look look;
    stage_tallies(&world->rollout, tallies);
    for (size_t i = 0; i < world->rollout.stage_count; i++) {
        stage_look(&world->rollout, tallies, i, world->now_ms, &look);
        if (look.reason[0] != '\0' && (look.state == STAGE_APPROVAL || (world->rollout.paused &&
                                                                         look.state == STAGE_WAITING)))
            return true;
    }
    for (size_t i = 0; i < world->site_count; i++)
        if (world->places[i].state == SITE_QUEUED && world->places[i].uncovered)
            return true;
    return false;
}

/* Where nothing can begin any more, the faults end before their time: nobody is left to meet them. */
static void idle(struct world *world)
{
    uint32_t site = 0;
    bool people = world->faults.person_ms != 0 && world->rollout.state != ROLLOUT_DONE;
    if (world->rollout.state == ROLLOUT_RUNNING || people || unsettled(world, &site))
        world->idle_from_ms = world->now_ms;
    else if (world->now_ms - world->idle_from_ms >= IDLE_MS)
        world->faults_end_ms = world->now_ms;
}

void laws_end(struct world *world)
{
    const struct rollout *rollout = &world->rollout;
    uint32_t site = 0;
    if (world_faulty(world)) {
        idle(world);
        return;
    }
    const char *why = unsettled(world, &site);
    bool late = world->now_ms > world->faults_end_ms + BOUND_MS;
    if (why && late)
        laws_broken(world, site, "law 6: no end within %lld h after the last fault: %s (%s)",
                    (long long)(BOUND_MS / HOUR_MS), why, site_state_name(world->places[site].state));
    if (why)
        return;
    if (rollout->state == ROLLOUT_RUNNING && !waits_for_person(world)) {
        if (late)
            laws_broken(world, 0, "law 6: the rollout runs on, and nobody is told what it waits for");
        return;
    }
    for (uint32_t i = 0; i < world->site_count; i++) {
        const struct site *it = &world->sites[i];
        if (!agrees(world, it))
            laws_broken(world, i, "law 5: at the end the controller takes it for %s, its journal says %s",
                        site_state_name(world->places[i].state),
                        it->run_count ? outcome_name(it->runs[it->run_count - 1].outcome) : "nothing");
        if (rollout->state == ROLLOUT_DONE && world->places[i].state == SITE_QUEUED)
            laws_broken(world, i, "law 6: the rollout is done, and it is still queued");
    }
    world->over = true;
}
