#include "tests/sim/operator.h"
#include "tests/sim/agent.h"
#include "tests/sim/controller.h"
#include "tests/sim/site.h"
#include "tests/sim/stranger.h"
#include "tests/sim/story.h"

static void say(struct world *world, enum rollout_event_kind kind, const char *words)
{
    struct rollout_event event = { .kind = kind, .now_ms = world->now_ms, .reason = words };
    STORY(world, STORY_NOBODY, "operator: %s", words);
    world->serial++;
    controller_feed(world, &event);
}

static void approve(struct world *world)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    struct stage_look look;
    stage_tallies(&world->rollout, tallies);
    for (size_t i = 0; i < world->rollout.stage_count && !world->rollout.aborted; i++) {
        stage_look(&world->rollout, tallies, i, world->now_ms, &look);
        if (look.state != STAGE_APPROVAL)
            continue;
        STORY(world, STORY_NOBODY, "operator: approves stage %s", world->stages[i].name);
        world->stages[i].approvals++;
        controller_feed(world, NULL);
        return;
    }
}

static void abort_all(struct world *world)
{
    if (world->rollout.aborted || world->rollout.state == ROLLOUT_DONE)
        return;
    say(world, ROLLOUT_ABORT, "aborts");
    for (uint32_t i = 0; i < world->site_count && !world->broken; i++) {
        enum site_state state = world->places[i].state;
        if (!site_state_in_flight(state) && state != SITE_SILENT)
            continue;
        if (state == SITE_ORDERED)
            controller_withdraw(world, i, true);
        controller_order(world, i, DECISION_ABORT);
    }
}

static void retry(struct world *world, uint32_t at)
{
    enum site_state state = world->places[at].state;
    bool expired = world->rollout.expires_ms != 0 && world->now_ms >= world->rollout.expires_ms;
    if (!site_state_after(state, INPUT_RETRY, &state) || world->rollout.aborted || expired ||
        world->sites[at].attempt + 1 > RUNS_MAX)
        return;
    STORY(world, at, "operator: retry");
    world->serial++;
    controller_withdraw(world, at, true);
    world->sites[at].attempt++;
    world->sites[at].run_state = INPUT_COUNT;
    controller_feed_site(world, at, INPUT_RETRY);
}

static void skip(struct world *world, uint32_t at)
{
    enum site_state state = world->places[at].state, next;
    if (!site_state_after(state, INPUT_SKIP, &next))
        return;
    STORY(world, at, "operator: skip");
    world->sites[at].given_up = true;
    world->serial++;
    controller_withdraw(world, at, true);
    if (state == SITE_SILENT || (state == SITE_QUEUED && world->sites[at].attempt > 1))
        controller_order(world, at, DECISION_SKIP);
    controller_feed_site(world, at, INPUT_SKIP);
}

static void rollback(struct world *world, uint32_t at)
{
    enum site_state state = world->places[at].state;
    if (state != SITE_ORDERED && state != SITE_RUNNING && state != SITE_SOAKING && state != SITE_COMMITTED &&
        state != SITE_HELD && state != SITE_SILENT)
        return;
    STORY(world, at, "operator: rollback");
    world->serial++;
    controller_withdraw(world, at, false);
    controller_order(world, at, DECISION_ROLLBACK);
    controller_feed_site(world, at, INPUT_BACK);
}

static void commit(struct world *world, uint32_t at)
{
    if (world->places[at].state != SITE_SOAKING)
        return;
    STORY(world, at, "operator: commit");
    world->serial++;
    controller_order(world, at, DECISION_COMMIT);
}

/* By hand on the server, as its agent's safe next commands say. */
static void local(struct world *world, struct site *site)
{
    enum run_event word = world_random(world, 2) ? EVENT_RESUME_ORDERED : EVENT_ROLLBACK_ORDERED;
    if (!site->up || site->run_count == 0)
        return;
    STORY(world, site->number, "somebody on the server: %s", run_event_name(word));
    (void)site_word(world, site, &site->runs[site->run_count - 1], word, NO_ORDER);
    if (!world->broken && word == EVENT_RESUME_ORDERED && world_random(world, 3) == 0) /* on second thoughts */
        (void)site_word(world, site, &site->runs[site->run_count - 1], EVENT_ROLLBACK_ORDERED, NO_ORDER);
    if (!world->broken)
        agent_turn(world, site);
}

static void meddle(struct world *world)
{
    uint32_t at = (uint32_t)world_random(world, world->site_count), first = at;
    /* Mostly of a site that something happens to. */
    while (world_random(world, 4) != 0 && !site_state_in_flight(world->places[at].state) &&
           (at = (at + 1) % (uint32_t)world->site_count) != first)
        ;
    switch (world_random(world, 12)) {
    case 0:
        if (!world->rollout.paused && world->rollout.state == ROLLOUT_RUNNING)
            say(world, ROLLOUT_PAUSE, "pauses");
        break;
    case 1:
        if (world_random(world, 4) == 0)
            abort_all(world);
        break;
    case 2:
    case 3:
        retry(world, at);
        break;
    case 4:
        skip(world, at);
        break;
    case 5:
        rollback(world, at);
        break;
    case 6:
        commit(world, at);
        break;
    case 7:
        if (world->sites[at].open && (world->sites[at].rb.outcome == OUTCOME_HELD || world_random(world, 4) == 0))
            local(world, &world->sites[at]);
        break;
    default:
        if (world->rollout.paused || world->rollout.reason[0] != '\0')
            say(world, ROLLOUT_RESUME, "resumes");
        break;
    }
}

void operator_decide(struct world *world)
{
    if (!world->controller_up)
        return;
    stranger_knocks(world);
    approve(world);
    if (world->faults.person_ms && !world->broken)
        meddle(world);
}
