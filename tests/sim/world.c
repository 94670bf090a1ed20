#include "tests/sim/world.h"
#include "tests/sim/agent.h"
#include "tests/sim/controller.h"
#include "tests/sim/laws.h"
#include "tests/sim/network.h"
#include "tests/sim/operator.h"
#include "tests/sim/site.h"
#include "tests/sim/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_MS (1000 * HOUR_MS)

#define X(id, name) name,
const char *const fault_names[FAULT_COUNT] = { FAULTS(X) };
#undef X

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t world_random(struct world *world, uint64_t below)
{
    return mixed(*world->stream += 0x9e3779b97f4a7c15u) % below;
}

/* Each fault that has its turn has a number; a run that was made smaller passes some over. */
static bool strikes_now(struct world *world)
{
    const struct wish *wish = &world->wish;
    uint32_t number = ++world->strikes;
    if (!wish->strikes)
        return true;
    while (world->strike_at < wish->strike_count && wish->strikes[world->strike_at] < number)
        world->strike_at++;
    return world->strike_at < wish->strike_count && wish->strikes[world->strike_at] == number;
}

bool world_chance(struct world *world, uint32_t percent)
{
    return percent != 0 && world_random(world, 100) < percent && strikes_now(world);
}

int64_t world_wait(struct world *world, int64_t mean_ms)
{
    return 1 + (int64_t)world_random(world, 2 * (uint64_t)mean_ms);
}

bool world_faulty(const struct world *world)
{
    return world->now_ms < world->faults_end_ms;
}

void *world_grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t more = *room == 0 ? 64 : 2 * *room;
    void *grown = realloc(items, more * size);
    if (!grown) {
        (void)fprintf(stderr, "sim: out of memory\n");
        exit(2);
    }
    *room = more;
    return grown;
}

static bool sooner(const struct turn *a, const struct turn *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static uint32_t place_for(struct world *world)
{
    if (world->unused_count > 0)
        return world->unused[--world->unused_count];
    world->foreseen = world_grow(world->foreseen, world->foreseen_count, &world->foreseen_room, sizeof *world->foreseen);
    return (uint32_t)world->foreseen_count++;
}

struct happening *world_foresee(struct world *world, int64_t at_ms, enum happening_kind kind, uint32_t site,
                                uint32_t token)
{
    struct turn new = { at_ms, world->number++, place_for(world) };
    world->heap = world_grow(world->heap, world->heap_count, &world->heap_room, sizeof *world->heap);
    size_t at = world->heap_count++;
    while (at > 0 && sooner(&new, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = new;
    struct happening *it = &world->foreseen[new.at];
    it->kind = kind;
    it->site = site;
    it->token = token;
    return it;
}

static struct turn world_next(struct world *world)
{
    struct turn first = world->heap[0], last = world->heap[--world->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < world->heap_count; at = child) {
        if (child + 1 < world->heap_count && sooner(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!sooner(&world->heap[child], &last))
            break;
        world->heap[at] = world->heap[child];
    }
    world->heap[at] = last;
    return first;
}

/* Every fault is there in about a third of the runs. */
static bool has(struct world *world)
{
    return world_random(world, 3) == 0;
}

static void faults_choose(struct world *world)
{
    struct faults *faults = &world->faults;
    if (has(world))
        faults->loss = 1 + (uint32_t)world_random(world, 50);
    if (has(world))
        faults->twice = 1 + (uint32_t)world_random(world, 40);
    if (has(world)) {
        faults->late = 1 + (uint32_t)world_random(world, 60);
        faults->late_ms = world_wait(world, has(world) ? 5 * MINUTE_MS : 20 * SECOND_MS);
    }
    faults->fail = has(world) ? 1 + (uint32_t)world_random(world, has(world) ? 12 : 3) : 0;
    faults->hang = has(world) ? 1 + (uint32_t)world_random(world, 5) : 0;
    faults->died = has(world) ? 1 + (uint32_t)world_random(world, 20) : 0;
    faults->probe_worse = has(world) ? 1 + (uint32_t)world_random(world, 60) : 0;
    faults->probe_fails = has(world) ? 1 + (uint32_t)world_random(world, 60) : 0;
    faults->undo_fails = has(world) ? 1 + (uint32_t)world_random(world, 60) : 0;
    faults->agent_crash_ms = has(world) ? world_wait(world, 30 * MINUTE_MS) + MINUTE_MS : 0;
    faults->controller_crash_ms = has(world) ? world_wait(world, HOUR_MS) + MINUTE_MS : 0;
    faults->cut_ms = has(world) ? world_wait(world, HOUR_MS) + MINUTE_MS : 0;
    faults->broken_link_ms = has(world) ? world_wait(world, HOUR_MS) + MINUTE_MS : 0;
    faults->person_ms = has(world) ? world_wait(world, has(world) ? MINUTE_MS : 15 * MINUTE_MS) + 10 * SECOND_MS : 0;
    faults->two_controllers = has(world);
    world->heartbeat_ms = 30 * SECOND_MS + world_wait(world, 75 * SECOND_MS);
    world->tick_ms = 5 * SECOND_MS + world_wait(world, 45 * SECOND_MS);
}

static struct span_list spans_choose(struct world *world, size_t row, int64_t mean_ms)
{
    struct span *spans = world->spans[row];
    size_t count = has(world) ? 1 + world_random(world, SPANS_MAX - 1) : 0;
    int64_t at_ms = world->now_ms;
    for (size_t i = 0; i < count; i++) {
        at_ms += world_wait(world, mean_ms);
        spans[i] = (struct span){ at_ms, at_ms + world_wait(world, 2 * mean_ms), "by the seed" };
        at_ms = spans[i].to_ms;
    }
    return (struct span_list){ spans, count };
}

static struct gate gate_choose(struct world *world)
{
    struct gate gate = has(world) ? gate_strict() : gate_open();
    for (unsigned i = GATE_FAILED; i < GATE_CLASS_COUNT && has(world); i++)
        gate.max[i] = (uint32_t)world_random(world, 3);
    return gate;
}

static void plan_choose(struct world *world)
{
    struct rollout *rollout = &world->rollout;
    static const char *const names[STAGES_MAX] = { "test", "pilot", "production", "rest" };
    size_t stages = 1 + world_random(world, STAGES_MAX);
    stages = stages > world->site_count ? world->site_count : stages;
    for (size_t i = 0; i < stages; i++) {
        struct rollout_stage *stage = &world->stages[i];
        *stage = (struct rollout_stage){ .name = names[i], .gate = gate_choose(world) };
        stage->batch_count = world_random(world, 3);
        for (size_t k = 0; k < stage->batch_count; k++)
            stage->batch[k] = (uint32_t)world_random(world, world->site_count > 12 ? world->site_count / 2 : 5);
        stage->needs = i > 0 && has(world) ? 1 + world_random(world, i) : 0;
        stage->approvals_needed = has(world) ? 1 + (uint32_t)world_random(world, 2) : 0;
        stage->windows = spans_choose(world, i, 3 * HOUR_MS);
    }
    world->run_gate = gate_choose(world);
    *rollout = (struct rollout){ .stages = world->stages,
                                 .stage_count = stages,
                                 .sites = world->places,
                                 .site_count = world->site_count,
                                 .run_gate = has(world) ? &world->run_gate : NULL,
                                 .limits = { DEADLINE_MS, DEADLINE_MS } };
    rollout->freezes = spans_choose(world, STAGES_MAX, 2 * HOUR_MS);
    rollout->expires_ms = has(world) ? world->now_ms + world_wait(world, 24 * HOUR_MS) : 0;
    struct span_list holds = spans_choose(world, STAGES_MAX + 1, 2 * HOUR_MS);
    struct span_list windows = spans_choose(world, STAGES_MAX + 2, 6 * HOUR_MS);
    for (size_t i = 0; i < world->site_count; i++) {
        struct site *site = &world->sites[i];
        site->number = (uint32_t)i;
        (void)snprintf(site->name, sizeof site->name, "site-%zu", i + 1);
        site->attempt = 1;
        site->run_state = INPUT_COUNT;
        site->clock_skew_ms = (int64_t)world_random(world, 1000 * (uint64_t)HOUR_MS) - 500 * HOUR_MS;
        world->places[i] = (struct rollout_site){ .name = site->name,
                                                  .stage = i * stages / world->site_count,
                                                  .estimate_ms = 20 * MINUTE_MS };
        site->accepted_ms = has(world) && has(world) ? world->now_ms + world_wait(world, 10 * MINUTE_MS) : 0;
        if (has(world))
            world->places[i].holds = holds;
        if (has(world))
            world->places[i].windows = windows;
        if (i > 0 && has(world) && has(world))
            world->covered_by[i] = 1 + world_random(world, i);
    }
    world->hold_on_failure = world_random(world, 4) == 0;
    world->soak_ms = world_wait(world, 15 * MINUTE_MS);
}

/* Not of the seeds below, so that they stay the runs that tests/mutants/killed.txt remembers. */
static void faults_choose_more(struct world *world)
{
    if (world->seed < 100000)
        return;
    world->faults.power = has(world) ? 1 + (uint32_t)world_random(world, 4) : 0;
    world->faults.policy = has(world) ? 1 + (uint32_t)world_random(world, 40) : 0;
}

static void leave_out(struct world *world)
{
    struct faults *faults = &world->faults;
    uint32_t *percents[] = { &faults->loss, &faults->twice, &faults->late, &faults->fail, &faults->hang,
                             &faults->died, &faults->probe_worse, &faults->probe_fails, &faults->undo_fails,
                             &faults->power, &faults->policy };
    int64_t *means[] = { &faults->agent_crash_ms, &faults->controller_crash_ms, &faults->cut_ms,
                         &faults->broken_link_ms, &faults->person_ms };
    uint32_t without = world->wish.without;
    for (int i = FAULT_LOSS; i <= FAULT_POLICY; i++)
        if (without & (1U << i))
            *percents[i - FAULT_LOSS] = 0;
    for (int i = FAULT_AGENT_CRASH; i <= FAULT_PERSON; i++)
        if (without & (1U << i))
            *means[i - FAULT_AGENT_CRASH] = 0;
    if (without & (1U << FAULT_TWO_CONTROLLERS))
        faults->two_controllers = false;
    for (size_t i = 0; i < STAGES_MAX && (without & (1U << FAULT_WINDOWS)); i++)
        world->stages[i].windows.count = 0;
    for (size_t i = 0; i < world->site_count && (without & (1U << FAULT_WINDOWS)); i++)
        world->places[i].windows.count = 0;
    for (size_t i = 0; i < world->site_count && (without & (1U << FAULT_HOLDS)); i++)
        world->places[i].holds.count = 0;
    if (without & (1U << FAULT_FREEZES))
        world->rollout.freezes.count = 0;
    if (without & (1U << FAULT_EXPIRY))
        world->rollout.expires_ms = 0;
}

/* Arrays keep their room from run to run. */
static void world_clear(struct world *world)
{
    struct world *old = malloc(sizeof *old);
    if (!old)
        exit(2);
    *old = *world;
    memset(world, 0, sizeof *world);
    world->heap = old->heap;
    world->heap_room = old->heap_room;
    world->foreseen = old->foreseen;
    world->foreseen_room = old->foreseen_room;
    world->unused = old->unused;
    world->unused_room = old->unused_room;
    world->orders = old->orders;
    world->order_room = old->order_room;
    world->telling = old->telling;
    world->wish = old->wish;
    world->coverage = old->coverage;
    world->story = old->story;
    for (size_t i = 0; i < SITES_MAX; i++) {
        struct site *site = &world->sites[i], *from = &old->sites[i];
        site->answers = from->answers;
        site->answer_room = from->answer_room;
        site->reports = from->reports;
        site->report_room = from->report_room;
        for (size_t k = 0; k < RUNS_MAX; k++) {
            site->runs[k].rows = from->runs[k].rows;
            site->runs[k].row_room = from->runs[k].row_room;
        }
    }
    free(old);
}

void world_begin(struct world *world, uint64_t seed, size_t sites)
{
    world_clear(world);
    world->seed = seed;
    world->choices = seed * 0x2545f4914f6cdd1du;
    world->stream = &world->choices;
    world->now_ms = EPOCH_MS;
    world->site_count = 1 + world_random(world, 12);
    world->site_count = sites != 0 ? sites : world->site_count;
    world->faults_end_ms = world->now_ms + HOUR_MS + world_wait(world, 10 * HOUR_MS);
    faults_choose(world);
    plan_choose(world);
    faults_choose_more(world);
    leave_out(world);
    for (size_t kind = 0; kind < HAPPENS_COUNT; kind++)
        for (size_t i = 0; i < world->site_count; i++)
            world->streams[kind][i] = mixed(world->choices + kind * SITES_MAX + i);
    controller_start(world);
    for (size_t i = 0; i < world->site_count; i++) {
        agent_start(world, &world->sites[i]);
        if (world->faults.agent_crash_ms)
            world_foresee(world, world->now_ms + world_wait(world, world->faults.agent_crash_ms), HAPPENS_AGENT_CRASH,
                          (uint32_t)i, 0);
        if (world->faults.cut_ms)
            world_foresee(world, world->now_ms + world_wait(world, world->faults.cut_ms), HAPPENS_CUT, (uint32_t)i, 0);
        if (world->faults.broken_link_ms)
            world_foresee(world, world->now_ms + world_wait(world, world->faults.broken_link_ms), HAPPENS_LINK_BREAK,
                          (uint32_t)i, 0);
    }
    if (world->faults.controller_crash_ms)
        world_foresee(world, world->now_ms + world_wait(world, world->faults.controller_crash_ms),
                      HAPPENS_CONTROLLER_CRASH, 0, 0);
    /* Somebody approves now and then even where nobody meddles. */
    world_foresee(world, world->now_ms + world_wait(world, 10 * MINUTE_MS), HAPPENS_PERSON, 0, 0);
}

/* A fault, and the next of its kind; none after their end. */
static bool strikes(struct world *world, const struct happening *it, int64_t mean_ms)
{
    if (!world_faulty(world))
        return false;
    world_foresee(world, world->now_ms + world_wait(world, mean_ms), it->kind, it->site, 0);
    return strikes_now(world);
}

static void world_happen(struct world *world, const struct happening *it)
{
    struct site *site = &world->sites[it->site];
    const struct faults *faults = &world->faults;
    switch (it->kind) {
    case HAPPENS_LETTER:
        if (it->letter.to_agent)
            agent_hear(world, site, &it->letter);
        else
            controller_hear(world, &it->letter);
        break;
    case HAPPENS_WAKE:
        if (site->up && world->now_ms == site->wake_ms)
            agent_turn(world, site);
        break;
    case HAPPENS_ACT_END:
        site_act_end(world, site, it->token);
        if (!world->broken)
            agent_turn(world, site);
        break;
    case HAPPENS_AGENT_CRASH:
        if (strikes(world, it, faults->agent_crash_ms))
            agent_crash(world, site);
        break;
    case HAPPENS_AGENT_START:
        agent_start(world, site);
        break;
    case HAPPENS_LINK_BREAK:
        if (it->token != 0 ? it->token == site->link : strikes(world, it, faults->broken_link_ms))
            agent_link_break(world, site);
        break;
    case HAPPENS_LINK_UP:
        agent_link_up(world, site);
        break;
    case HAPPENS_CUT:
        if (strikes(world, it, faults->cut_ms))
            network_cut(world, site);
        break;
    case HAPPENS_CONTROLLER_CRASH:
        if (strikes(world, it, faults->controller_crash_ms))
            controller_crash(world);
        break;
    case HAPPENS_CONTROLLER_START:
        controller_start(world);
        break;
    case HAPPENS_TICK:
        controller_tick(world);
        break;
    case HAPPENS_PERSON:
        if (strikes(world, it, faults->person_ms ? faults->person_ms : 30 * MINUTE_MS))
            operator_decide(world);
        break;
    case HAPPENS_COUNT:
        break;
    }
}

void world_run(struct world *world)
{
    while (!world->broken && !world->over && world->heap_count > 0) {
        struct turn turn = world_next(world);
        struct happening it = world->foreseen[turn.at];
        world->unused = world_grow(world->unused, world->unused_count, &world->unused_room, sizeof *world->unused);
        world->unused[world->unused_count++] = turn.at;
        world->now_ms = turn.at_ms;
        world->stream = &world->streams[it.kind][it.site];
        world->happenings++;
        world_happen(world, &it);
        if (world->dying && !world->broken)
            agent_crash(world, world->dying);
        world->dying = NULL;
        if (!world->broken)
            laws_always(world, it.site);
    }
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < SITES_MAX; i++) {
        free(world->sites[i].answers);
        free(world->sites[i].reports);
        for (size_t k = 0; k < RUNS_MAX; k++)
            free(world->sites[i].runs[k].rows);
    }
    free(world->heap);
    free(world->foreseen);
    free(world->unused);
    free(world->orders);
    free(world->story);
    free(world);
}
