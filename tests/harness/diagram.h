/* diagram - a state machine as it was found by running it: which event leads from where to where.
 *
 * Explorers walk a core's real functions over all states within reach and add what they saw; this
 * prints it, as Mermaid text or as the list of what never happens. Knows no machine by itself. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define DIAGRAM_NODES 32
#define DIAGRAM_EVENTS 32
#define DIAGRAM_TRAITS 4

struct diagram {
    const char *nodes[DIAGRAM_NODES];   /* NULL: no such place */
    const char *events[DIAGRAM_EVENTS]; /* NULL: no such event */
    bool reached[DIAGRAM_NODES], quiet[DIAGRAM_NODES]; /* quiet: nothing is asked of it here */
    int first;
    uint32_t loops; /* events (one bit each) shown also where they change nothing */
    /* Of which of the machine's parts it was seen (one bit each); zero: never. */
    uint32_t seen[DIAGRAM_NODES][DIAGRAM_NODES][DIAGRAM_EVENTS];
    uint32_t whole; /* all parts; zero: the machine has none, and none is told */
    struct diagram_trait {
        const char *yes, *no;
        uint32_t parts;
    } traits[DIAGRAM_TRAITS]; /* by which an arrow says for which parts it is */
};

/* to: where the event led, also when that is where it was. */
void diagram_add(struct diagram *diagram, int from, int to, int event, uint32_t parts);

void diagram_step(struct diagram *diagram);    /* one step of the agent's runbook */
void diagram_run(struct diagram *diagram);     /* the whole runbook: phases and ends */
void diagram_session(struct diagram *diagram); /* the agent's session with its controller */
void diagram_site(struct diagram *diagram);    /* one site in a rollout */
void diagram_rollout(struct diagram *diagram);
