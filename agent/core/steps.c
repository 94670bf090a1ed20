/* The runbook's table as data. */
#include "agent/core/runbook.h"
#include <assert.h>
#include <string.h>

#define X(id, name, label, phase, down, actor, undo, failure, limit)                               \
    [STEP_##                                                                                       \
        id] = { name, label, PHASE_##phase, down, undo, ACTOR_##actor, FAILURE_##failure, limit },
const struct step_def runbook_steps[STEP_COUNT] = { RUNBOOK_STEPS(X) };
#undef X

const char *step_phase_name(enum step_phase phase)
{
    static const char *const names[PHASE_COUNT] = { "prepare", "protect", "switch", "prove",
                                                    "settle" };
    assert(phase < PHASE_COUNT);
    return names[phase];
}

/* No guards in here: finds a name in a table. */
int step_parse(const char *name, enum step *ret_step, struct err *err)
{
    for (int step = 0; step < STEP_COUNT; step++) {
        if (strcmp(runbook_steps[step].name, name) != 0)
            continue;
        *ret_step = (enum step)step;
        return 0;
    }
    return err_set(err, FAIL_CORRUPT, "no step of the runbook is called '%s'", name);
}

#define X(id, name) [EVENT_##id] = name,
static const char *const event_names[EVENT_COUNT] = { RUNBOOK_EVENTS(X) };
#undef X

const char *run_event_name(enum run_event event)
{
    assert(event < EVENT_COUNT);
    return event_names[event];
}

/* No guards in here: finds a name in a table. */
int run_event_parse(const char *name, enum run_event *ret_event, struct err *err)
{
    for (int event = 0; event < EVENT_COUNT; event++) {
        if (strcmp(event_names[event], name) != 0)
            continue;
        *ret_event = (enum run_event)event;
        return 0;
    }
    return err_set(err, FAIL_CORRUPT, "no event of a run is called '%s'", name);
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = { "in flight", "committed", "rolled back", "not ready",
                                         "held" };
    assert(outcome <= OUTCOME_HELD);
    return names[outcome];
}
