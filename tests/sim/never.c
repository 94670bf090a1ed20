/* What of the cores' diagrams was gone in the runs, and what never was. The arrows are found as the diagrams are, by
 * walking the cores themselves. */
#include "harness/diagram.h"
#include "tests/sim/coverage.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void diagram_add(struct diagram *diagram, int from, int to, int event, uint32_t parts)
{
    diagram->reached[from] = diagram->reached[to] = true;
    diagram->seen[from][to][event] |= parts;
}

struct sum {
    unsigned arrows, gone;
};

static bool is_arrow(const struct diagram *diagram, int from, int event, int part)
{
    uint32_t parts = 0;
    for (int to = 0; to < DIAGRAM_NODES; to++)
        parts |= diagram->seen[from][to][event];
    return (parts >> part & 1) != 0;
}

/* One line for each arrow; the words before the first bracket are the place's. */
static void arrow_print(const struct diagram *diagram, const char *machine, int from, int event, uint64_t hits,
                        struct sum *sum)
{
    sum->arrows++;
    sum->gone += hits > 0;
    printf("cell %" PRIu64 " %s %.*s: %s\n", hits, machine, (int)strcspn(diagram->nodes[from], "("),
           diagram->nodes[from], diagram->events[event]);
}

static void table_print(const char *machine, void (*explore)(struct diagram *), const uint64_t *hits, int nodes,
                        int events, struct sum *sum)
{
    static struct diagram diagram;
    diagram = (struct diagram){ 0 };
    explore(&diagram);
    for (int from = 0; from < nodes; from++)
        for (int event = 0; event < events; event++)
            if (is_arrow(&diagram, from, event, 0))
                arrow_print(&diagram, machine, from, event, hits[from * events + event], sum);
}

void coverage_print(const struct coverage *coverage)
{
    static const char *const lives[COVERAGE_LIVES] = { "ready", "busy", "busy, back wanted", "probing",
                                                       "probing, back wanted", "undo", "undo busy", "held" };
    static struct diagram steps;
    struct sum sum = { 0, 0 };
    table_print("rollout", diagram_rollout, &coverage->rollout[0][0], ROLLOUT_STATE_COUNT * COVERAGE_BY,
                ROLLOUT_EVENT_COUNT + 2, &sum);
    table_print("site", diagram_site, &coverage->site[0][0], SITE_STATE_COUNT, INPUT_COUNT, &sum);
    table_print("session", diagram_session, &coverage->session[0][0], SESSION_STATE_COUNT, COVERAGE_CALLS, &sum);
    diagram_step(&steps);
    for (int life = 0; life < COVERAGE_LIVES; life++) {
        assert(strcmp(steps.nodes[life], lives[life]) == 0);
        for (int event = 0; event < EVENT_COUNT; event++)
            for (int step = 0; step < STEP_COUNT; step++)
                if (is_arrow(&steps, life, event, step)) {
                    char machine[64];
                    (void)snprintf(machine, sizeof machine, "step %s,", runbook_steps[step].name);
                    arrow_print(&steps, machine, life, event, coverage->step[life][event][step], &sum);
                }
    }
    printf("sim: %u of %u arrows of the diagrams were gone\n", sum.gone, sum.arrows);
}
