#include "tests/sim/network.h"
#include "tests/sim/story.h"

static int64_t delay_ms(struct world *world)
{
    const struct faults *faults = &world->faults;
    if (!world_faulty(world) || !world_chance(world, faults->late))
        return 1 + (int64_t)world_random(world, 40);
    return 1 + (int64_t)world_random(world, (uint64_t)faults->late_ms);
}

static bool keeps_order(enum letter_kind kind)
{
    return kind == LETTER_HELLO || kind == LETTER_WELCOME || kind == LETTER_BEAT || kind == LETTER_BEAT_BACK;
}

void network_send(struct world *world, const struct letter *letter)
{
    struct site *site = &world->sites[letter->site];
    bool faulty = world_faulty(world), in_turn = keeps_order(letter->kind);
    int copies = 1;
    if (site->dead && !letter->to_agent)
        return;
    if (faulty && (world->now_ms < site->cut_to_ms[letter->to_agent] || world_chance(world, world->faults.loss)))
        copies = 0;
    else if (faulty && !in_turn && world_chance(world, world->faults.twice))
        copies = 2;
    /* A connection that loses what it must keep in order does not live on: it is noticed, and made anew. */
    if (copies == 0 && in_turn && site->linked)
        world_foresee(world, world->now_ms + world_wait(world, 15 * SECOND_MS), HAPPENS_LINK_BREAK, letter->site, letter->link);
    while (copies-- > 0) {
        int64_t at_ms = world->now_ms + delay_ms(world), *turn_ms = &site->in_turn_ms[letter->to_agent];
        if (in_turn && at_ms <= *turn_ms)
            at_ms = *turn_ms + 1;
        if (in_turn)
            *turn_ms = at_ms;
        world_foresee(world, at_ms, HAPPENS_LETTER, letter->site, 0)->letter = *letter;
    }
}

void network_cut(struct world *world, struct site *site)
{
    bool to_agent = world_random(world, 2);
    site->cut_to_ms[to_agent] = world->now_ms + world_wait(world, 12 * MINUTE_MS);
    STORY(world, site->number, "the way %s is cut for %lld s", to_agent ? "to its agent" : "from its agent",
          (long long)((site->cut_to_ms[to_agent] - world->now_ms) / 1000));
}
