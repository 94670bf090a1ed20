/* The agent's machines, walked. */
#include "agent/core/runbook.h"
#include "agent/core/session.h"
#include "harness/diagram.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A runbook is few enough bits to be its own number. */
#define STARTS (RUNBOOK_STARTS_MAX + 1)
#define UNDOS  (RUNBOOK_UNDO_MAX + 1)
#define PROBES (RUNBOOK_PROBES_MAX + 1)
#define STATES ((STEP_COUNT + 1) * 4 * 5 * 64 * STARTS * UNDOS * PROBES)

static unsigned number_of(const struct runbook *rb)
{
    assert(rb->at >= -1 && rb->at < STEP_COUNT && rb->mode <= MODE_ENDED);
    assert(rb->outcome <= OUTCOME_HELD && rb->starts < STARTS);
    assert(rb->undo_fails < UNDOS && rb->probe_fails < PROBES);
    unsigned flags = rb->begun * 32U + rb->undoing * 16U + rb->stop_intended * 8U + rb->start_intended * 4U +
                     rb->rollback_wanted * 2U + rb->hold_on_failure;
    unsigned number = (unsigned)(rb->at + 1) * 4 + rb->mode;
    number = (number * 5 + rb->outcome) * 64 + flags;
    return ((number * STARTS + rb->starts) * UNDOS + rb->undo_fails) * PROBES + rb->probe_fails;
}

/* Every runbook within reach, and from each one every event that it takes. */
static void runbook_walk(struct diagram *diagram,
                         void (*see)(struct diagram *diagram, const struct runbook *from,
                                     const struct runbook *to, enum run_event event))
{
    static bool known[STATES];
    static struct runbook queue[STATES];
    size_t head = 0, tail = 0;
    memset(known, 0, sizeof known);
    queue[tail++] = (struct runbook){ 0 };
    queue[tail++] = (struct runbook){ .hold_on_failure = true };
    for (size_t i = 0; i < tail; i++)
        known[number_of(&queue[i])] = true;
    for (; head < tail; head++)
        for (int event = 0; event < EVENT_COUNT; event++) {
            struct runbook rb = queue[head];
            if (!runbook_takes(&rb, (enum run_event)event))
                continue;
            (void)runbook_on(&rb, (enum run_event)event);
            see(diagram, &queue[head], &rb, (enum run_event)event);
            if (!known[number_of(&rb)]) {
                known[number_of(&rb)] = true;
                queue[tail++] = rb;
            }
        }
}

static void events_name(struct diagram *diagram)
{
    for (int event = 0; event < EVENT_COUNT; event++)
        diagram->events[event] = run_event_name((enum run_event)event);
}

enum life {
    LIFE_READY,
    LIFE_BUSY,
    LIFE_BUSY_BACK,
    LIFE_PROBING,
    LIFE_PROBING_BACK,
    LIFE_UNDO,
    LIFE_UNDOING,
    LIFE_HELD,
    LIFE_NEXT,
    LIFE_BEFORE
};

/* Where a step is in its life; once the runbook is at another one, which way it went. */
static enum life life_of(int step, const struct runbook *rb)
{
    if (rb->outcome == OUTCOME_COMMITTED || rb->at > step)
        return LIFE_NEXT;
    if (rb->outcome == OUTCOME_ROLLED_BACK || rb->outcome == OUTCOME_NOT_READY || rb->at < step)
        return LIFE_BEFORE;
    switch (rb->mode) {
    case MODE_READY:
        return rb->undoing ? LIFE_UNDO : LIFE_READY;
    case MODE_BUSY:
        if (rb->undoing)
            return LIFE_UNDOING;
        return rb->rollback_wanted ? LIFE_BUSY_BACK : LIFE_BUSY;
    case MODE_PROBING:
        return rb->rollback_wanted ? LIFE_PROBING_BACK : LIFE_PROBING;
    case MODE_ENDED:
        break;
    }
    return LIFE_HELD;
}

static void step_see(struct diagram *diagram, const struct runbook *from, const struct runbook *to,
                     enum run_event event)
{
    enum life life = from->at < 0 ? LIFE_BEFORE : life_of(from->at, from);
    if (life < LIFE_NEXT)
        diagram_add(diagram, (int)life, (int)life_of(from->at, to), (int)event,
                    UINT32_C(1) << from->at);
}

static void step_traits(struct diagram *diagram)
{
    uint32_t undo = 0, note = 0, stopped = 0;
    for (int step = 0; step < STEP_COUNT; step++) {
        uint32_t bit = UINT32_C(1) << step;
        diagram->whole |= bit;
        undo |= runbook_steps[step].undo ? bit : 0;
        note |= runbook_steps[step].failure == FAILURE_NOTE ? bit : 0;
        stopped |= step >= STEP_STOP ? bit : 0;
    }
    diagram->traits[0] = (struct diagram_trait){ "undo", "no undo", undo };
    diagram->traits[1] = (struct diagram_trait){ "from stop on", "before stop", stopped };
    diagram->traits[2] = (struct diagram_trait){ "note", "no note", note };
    diagram->traits[3] = (struct diagram_trait){ "soak", "not soak", UINT32_C(1) << STEP_SOAK };
}

void diagram_step(struct diagram *diagram)
{
    static const char *const names[] = {
        [LIFE_READY] = "ready",
        [LIFE_BUSY] = "busy",
        [LIFE_BUSY_BACK] = "busy, back wanted",
        [LIFE_PROBING] = "probing",
        [LIFE_PROBING_BACK] = "probing, back wanted",
        [LIFE_UNDO] = "undo",
        [LIFE_UNDOING] = "undo busy",
        [LIFE_HELD] = "held",
        [LIFE_NEXT] = "next step, or committed",
        [LIFE_BEFORE] = "undo of a step before, or its end",
    };
    memcpy(diagram->nodes, names, sizeof names);
    diagram->quiet[LIFE_NEXT] = diagram->quiet[LIFE_BEFORE] = true;
    diagram->loops = UINT32_MAX;
    events_name(diagram);
    step_traits(diagram);
    runbook_walk(diagram, step_see);
}

/* Ahead, on the way back, and the ends. */
static int place_of(const struct runbook *rb)
{
    if (rb->mode == MODE_ENDED)
        return 2 * PHASE_COUNT + (int)rb->outcome;
    return (int)runbook_steps[rb->at].phase + (rb->undoing ? PHASE_COUNT : 0);
}

static void run_see(struct diagram *diagram, const struct runbook *from, const struct runbook *to,
                    enum run_event event)
{
    diagram_add(diagram, place_of(from), place_of(to), (int)event, 1);
}

void diagram_run(struct diagram *diagram)
{
    static char back[PHASE_COUNT][32];
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        diagram->nodes[phase] = step_phase_name((enum step_phase)phase);
        (void)snprintf(back[phase], sizeof back[phase], "undoing %s", diagram->nodes[phase]);
        diagram->nodes[PHASE_COUNT + phase] = back[phase];
    }
    for (int outcome = OUTCOME_COMMITTED; outcome <= OUTCOME_HELD; outcome++)
        diagram->nodes[2 * PHASE_COUNT + outcome] = outcome_name((enum outcome)outcome);
    events_name(diagram);
    runbook_walk(diagram, run_see);
}

/* The session's inputs are functions, so that their list is here. */
#define CALLS(X)                                                                                   \
    X("connected", session_up(&s, now_ms))                                                         \
    X("disconnected", session_down(&s))                                                            \
    X("welcome", session_welcome(&s, true, s.acked, 1000, now_ms))                                 \
    X("welcome (not accepted)", session_welcome(&s, false, 0, 1000, now_ms))                       \
    X("acknowledged", session_ack(&s, s.sent, now_ms))                                             \
    X("time told", session_told(&s, SAY_HEARTBEAT, now_ms, now_ms))                                \
    X("said", session_said(&s, session_next(&s, 9, now_ms).say, s.sent, now_ms))

static struct session session_call(struct session s, int call, int64_t now_ms)
{
    int at = 0;
#define X(name, made)                                                                              \
    if (at++ == call)                                                                              \
        made;
    CALLS(X)
#undef X
    return s;
}

/* What it may say in this state: nothing, or at the right time one of these. */
static void session_says(struct session s, bool says[4])
{
    for (uint64_t newest = 0; newest < 2; newest++)
        for (int64_t now_ms = 0; now_ms <= 100000; now_ms += 100000)
            says[session_next(&s, s.sent + newest, now_ms).say] = true;
}

void diagram_session(struct diagram *diagram)
{
#define X(id, name) name,
    static const char *const states[] = { SESSION_STATES(X) };
#undef X
#define X(name, made) name,
    static const char *const calls[] = { CALLS(X) };
#undef X
    static const char *const words[] = { "", "hello", "events", "heartbeat" };
    static char labels[SESSION_STATE_COUNT][64];
    struct session found[SESSION_STATE_COUNT] = { 0 };
    int tail = 1;
    memcpy(diagram->nodes, states, sizeof states);
    memcpy(diagram->events, calls, sizeof calls);
    for (int head = 0; head < tail; head++)
        for (int call = 0; call < (int)(sizeof calls / sizeof *calls); call++) {
            struct session to = session_call(found[head], call, 1000);
            diagram_add(diagram, (int)found[head].state, (int)to.state, call, 1);
            bool known = false;
            for (int i = 0; i < tail; i++)
                known |= found[i].state == to.state;
            if (!known)
                found[tail++] = to;
        }
    for (int i = 0; i < tail; i++) {
        bool says[4] = { false };
        char *label = labels[found[i].state];
        int used = snprintf(label, 64, "%s", states[found[i].state]);
        session_says(found[i], says);
        for (int say = SAY_HELLO; say <= SAY_HEARTBEAT; say++)
            if (says[say])
                used += snprintf(label + used, 64 - (size_t)used, "%s%s",
                                 strchr(label, '(') ? ", " : " (says ", words[say]);
        if (strchr(label, '('))
            (void)snprintf(label + used, 64 - (size_t)used, ")");
        diagram->nodes[found[i].state] = label;
    }
}
