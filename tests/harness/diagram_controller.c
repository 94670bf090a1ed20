/* The controller's machines, walked. */
#include "controller/core/rollout.h"
#include "harness/diagram.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define X(id, name) name,
static const char *const input_names[INPUT_COUNT] = { SITE_INPUTS(X) };
static const char *const event_names[ROLLOUT_EVENT_COUNT] = { ROLLOUT_EVENTS(X) };
#undef X

void diagram_site(struct diagram *diagram)
{
    enum site_state queue[SITE_STATE_COUNT] = { SITE_QUEUED };
    int head = 0, tail = 1;
    memcpy(diagram->events, input_names, sizeof input_names);
    for (int state = 0; state < SITE_STATE_COUNT; state++)
        diagram->nodes[state] = site_state_name((enum site_state)state);
    diagram->reached[SITE_QUEUED] = true;
    for (; head < tail; head++)
        for (int input = 0; input < INPUT_COUNT; input++) {
            enum site_state to = queue[head];
            if (!site_state_after(queue[head], (enum site_input)input, &to))
                continue;
            if (!diagram->reached[to])
                queue[tail++] = to;
            diagram_add(diagram, (int)queue[head], (int)to, input, 1);
        }
}

/* Two sites, in a stage each or side by side, are the smallest rollout in which one can wait for
 * another. Times matter by deadlines and the plan's end alone: each event happens at NOW or END,
 * the clock of a site begins anew with it, and a tick comes at once, when a deadline is over, or at
 * the end. */
enum { NOW_MS = 1000, LATE_MS = 10, END_MS = 100000 };
enum why { WHY_NONE, WHY_BACK, WHY_OTHER, WHY_COUNT };
#define SITES 2
/* Beside the core's list: rollout_next() is asked, and the tick at the plan's end. */
#define EVENT_ORDER  ROLLOUT_EVENT_COUNT
#define EVENT_EXPIRY (ROLLOUT_EVENT_COUNT + 1)

struct place {
    enum rollout_state state;
    enum why why;
    bool paused, aborted, expired;
    struct {
        enum site_state state;
        bool excused;
    } sites[SITES];
};
#define PLACES                                                                                     \
    (ROLLOUT_STATE_COUNT * WHY_COUNT * 8 * SITE_STATE_COUNT * 2 * SITE_STATE_COUNT * 2)

static unsigned number_of(const struct place *place)
{
    unsigned number = place->state * WHY_COUNT + place->why;
    number = number * 8 + place->paused * 4U + place->aborted * 2U + place->expired;
    for (size_t i = 0; i < SITES; i++)
        number = (number * SITE_STATE_COUNT + place->sites[i].state) * 2 + place->sites[i].excused;
    return number;
}

struct walk {
    struct diagram *diagram;
    struct rollout_stage stages[SITES];
    size_t stage_count;
    const struct gate *run_gate;
    char back[ROLLOUT_REASON_MAX]; /* the core's words for a stop because somebody goes back */
    struct place *queue;
    size_t head, tail;
    bool *known;
};

static void rollout_make(const struct walk *walk, const struct place *place,
                         struct rollout_site sites[SITES], struct rollout *ret)
{
    static const char *const names[SITES] = { "one", "two" };
    int64_t now_ms = place->expired ? END_MS : NOW_MS;
    *ret = (struct rollout){ .state = place->state,
                             .paused = place->paused,
                             .aborted = place->aborted,
                             .stages = walk->stages,
                             .stage_count = walk->stage_count,
                             .run_gate = walk->run_gate,
                             .sites = sites,
                             .site_count = SITES,
                             .expires_ms = END_MS,
                             .limits = { LATE_MS, LATE_MS } };
    (void)snprintf(ret->reason, sizeof ret->reason, "%s",
                   place->why == WHY_NONE   ? ""
                   : place->why == WHY_BACK ? walk->back
                                            : "other");
    for (size_t i = 0; i < SITES; i++)
        sites[i] = (struct rollout_site){ .name = names[i],
                                          .stage = i < walk->stage_count ? i : 0,
                                          .state = place->sites[i].state,
                                          .excused = place->sites[i].excused,
                                          .ordered_ms = now_ms,
                                          .heard_ms = now_ms };
}

static struct place place_of(const struct walk *walk, const struct rollout *rollout, bool expired)
{
    struct place place = { .state = rollout->state,
                           .paused = rollout->paused,
                           .aborted = rollout->aborted,
                           .expired = expired };
    if (rollout->reason[0] != '\0')
        place.why = strcmp(rollout->reason, walk->back) == 0 ? WHY_BACK : WHY_OTHER;
    for (size_t i = 0; i < SITES; i++) {
        place.sites[i].state = rollout->sites[i].state;
        place.sites[i].excused = rollout->sites[i].excused;
    }
    return place;
}

/* What a person sees of it: its state, and what keeps it from starting more. */
enum { BY_NOTHING, BY_PAUSE, BY_STOP, BY_ABORT, BY_COUNT };
static int node_of(const struct place *place)
{
    int by = place->aborted           ? BY_ABORT
             : place->why != WHY_NONE ? BY_STOP
             : place->paused          ? BY_PAUSE
                                      : BY_NOTHING;
    return (int)place->state * BY_COUNT + by;
}

static void arrive(struct walk *walk, const struct place *place)
{
    unsigned number = number_of(place);
    if (walk->known[number])
        return;
    walk->known[number] = true;
    walk->queue[walk->tail++] = *place;
}

static void try_event(struct walk *walk, int kind, size_t site, enum site_input input,
                      int64_t now_ms)
{
    struct rollout_site sites[SITES];
    struct rollout rollout;
    const struct place *from = &walk->queue[walk->head];
    struct rollout_event event = { kind < ROLLOUT_EVENT_COUNT ? (enum rollout_event_kind)kind
                                                              : ROLLOUT_TICK,
                                   site, input, now_ms, "other" };
    rollout_make(walk, from, sites, &rollout);
    bool changed = kind == EVENT_ORDER ? rollout_next(&rollout, now_ms, &site)
                                       : rollout_on(&rollout, &event);
    struct place to = place_of(walk, &rollout, now_ms >= END_MS);
    if (changed || number_of(&to) != number_of(from))
        diagram_add(walk->diagram, node_of(from), node_of(&to), kind, 1);
    arrive(walk, &to);
}

static void try_all(struct walk *walk)
{
    int64_t now_ms = walk->queue[walk->head].expired ? END_MS : NOW_MS;
    try_event(walk, EVENT_ORDER, 0, INPUT_ORDER, now_ms);
    try_event(walk, ROLLOUT_TICK, 0, INPUT_ORDER, now_ms);
    try_event(walk, ROLLOUT_TICK, 0, INPUT_ORDER, now_ms + LATE_MS);
    try_event(walk, EVENT_EXPIRY, 0, INPUT_ORDER, END_MS);
    for (int kind = ROLLOUT_STOP; kind <= ROLLOUT_ABORT; kind++)
        try_event(walk, kind, 0, INPUT_ORDER, now_ms);
    for (size_t site = 0; site < SITES; site++) {
        try_event(walk, ROLLOUT_HEARD, site, INPUT_ORDER, now_ms);
        /* The engine alone orders, and time alone is a deadline. */
        for (int input = INPUT_ORDER + 1; input < INPUT_COUNT; input++)
            if (input != INPUT_DEADLINE)
                try_event(walk, ROLLOUT_SITE, site, (enum site_input)input, now_ms);
        for (int input = INPUT_REFUSE; input <= INPUT_HELD; input++)
            try_event(walk, ROLLOUT_STAYS, site, (enum site_input)input, now_ms);
    }
}

/* The words of the core for going back, asked of the core. */
static void back_learn(struct walk *walk)
{
    struct place place = { .sites[0].state = SITE_RUNNING };
    struct rollout_event event = { ROLLOUT_SITE, 0, INPUT_BACK, NOW_MS, NULL };
    struct rollout_site sites[SITES];
    struct rollout rollout;
    rollout_make(walk, &place, sites, &rollout);
    bool changed = rollout_on(&rollout, &event);
    assert(changed && rollout.reason[0] != '\0');
    (void)changed;
    memcpy(walk->back, rollout.reason, sizeof walk->back);
}

static void rollout_walk(struct diagram *diagram, size_t stage_count, struct gate gate,
                         const struct gate *run_gate)
{
    static struct place queue[PLACES];
    static bool known[PLACES];
    struct walk walk = { .diagram = diagram,
                         .stages = { { .name = "first", .gate = gate },
                                     { .name = "second", .gate = gate } },
                         .stage_count = stage_count,
                         .run_gate = run_gate,
                         .queue = queue,
                         .known = known };
    memset(known, 0, sizeof known);
    back_learn(&walk);
    arrive(&walk, &(struct place){ 0 });
    for (; walk.head < walk.tail; walk.head++)
        try_all(&walk);
}

void diagram_rollout(struct diagram *diagram)
{
    static const char *const by[BY_COUNT] = { "", ", paused", ", stopped", ", aborted" };
    static char names[ROLLOUT_STATE_COUNT * BY_COUNT][32];
    for (int node = 0; node < ROLLOUT_STATE_COUNT * BY_COUNT; node++) {
        (void)snprintf(names[node], sizeof names[node], "%s%s",
                       rollout_state_name((enum rollout_state)(node / BY_COUNT)),
                       by[node % BY_COUNT]);
        diagram->nodes[node] = names[node];
    }
    memcpy(diagram->events, event_names, sizeof event_names);
    diagram->events[EVENT_ORDER] = "order";
    diagram->events[EVENT_EXPIRY] = "expiry";
    /* Persons' words and orders say what they do not change, too. */
    for (int event = ROLLOUT_STOP; event <= ROLLOUT_ABORT; event++)
        diagram->loops |= UINT32_C(1) << event;
    diagram->loops |= UINT32_C(1) << EVENT_ORDER;
    const struct gate strict = gate_strict();
    rollout_walk(diagram, SITES, strict, NULL);
    rollout_walk(diagram, SITES, gate_open(), NULL);
    rollout_walk(diagram, 1, gate_open(), NULL);
    rollout_walk(diagram, 1, gate_open(), &strict);
}
