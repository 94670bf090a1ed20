/* diagrams - the cores' state machines as text: `diagrams` names them, `diagrams NAME` prints one
 * for a README (Mermaid), `diagrams never` lists what no state takes. */
#include "harness/diagram.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*explore)(struct diagram *diagram);
} machines[] = { { "step", diagram_step },
                 { "run", diagram_run },
                 { "session", diagram_session },
                 { "site", diagram_site },
                 { "rollout", diagram_rollout } };
#define MACHINES (sizeof machines / sizeof *machines)

void diagram_add(struct diagram *diagram, int from, int to, int event, uint32_t parts)
{
    assert(from >= 0 && from < DIAGRAM_NODES && diagram->nodes[from]);
    assert(to >= 0 && to < DIAGRAM_NODES && diagram->nodes[to]);
    assert(event >= 0 && event < DIAGRAM_EVENTS && diagram->events[event]);
    diagram->reached[from] = diagram->reached[to] = true;
    diagram->seen[from][to][event] |= parts;
}

/* Mermaid's own name of a place: letters, digits and _ alone. */
static const char *node_id(const char *name, char out[64])
{
    size_t used = 0;
    for (; *name && used + 1 < 64; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9');
        if (plain || (used > 0 && out[used - 1] != '_'))
            out[used++] = plain ? *name : '_';
    }
    used -= used > 0 && out[used - 1] == '_';
    out[used] = '\0';
    return out;
}

/* Each trait asked for (1), ruled out (2) or not looked at (0). */
static uint32_t parts_of(const struct diagram *diagram, const int wanted[DIAGRAM_TRAITS])
{
    uint32_t parts = diagram->whole;
    for (int i = 0; i < DIAGRAM_TRAITS; i++)
        if (wanted[i] != 0)
            parts &= wanted[i] == 1 ? diagram->traits[i].parts : ~diagram->traits[i].parts;
    return parts;
}

/* Which parts an arrow is for, when not for all: in as few traits as will do, else their number. */
static void parts_print(const struct diagram *diagram, uint32_t parts)
{
    int best[DIAGRAM_TRAITS] = { 0 }, terms = DIAGRAM_TRAITS + 1;
    if (diagram->whole == 0 || parts == diagram->whole)
        return;
    for (int choice = 0; choice < 3 * 3 * 3 * 3; choice++) {
        int wanted[DIAGRAM_TRAITS], used = 0;
        for (int i = 0, rest = choice; i < DIAGRAM_TRAITS; i++, rest /= 3) {
            wanted[i] = rest % 3;
            used += wanted[i] != 0;
        }
        if (used >= terms || parts_of(diagram, wanted) != parts)
            continue;
        terms = used;
        memcpy(best, wanted, sizeof best);
    }
    if (terms > DIAGRAM_TRAITS) {
        (void)printf(" (%d of %d)", __builtin_popcount(parts), __builtin_popcount(diagram->whole));
        return;
    }
    const char *comma = " (";
    for (int i = 0; i < DIAGRAM_TRAITS; i++)
        if (best[i] != 0) {
            const char *word = best[i] == 1 ? diagram->traits[i].yes : diagram->traits[i].no;
            (void)printf("%s%s", comma, word);
            comma = ", ";
        }
    (void)putchar(')');
}

static bool hidden(const struct diagram *diagram, int from, int to, int event)
{
    return from == to && (diagram->loops & UINT32_C(1) << event) == 0;
}

/* Events of the same parts stand together. */
static void arrow_print(const struct diagram *diagram, int from, int to)
{
    char id[2][64];
    bool told[DIAGRAM_EVENTS] = { false }, any = false;
    (void)node_id(diagram->nodes[from], id[0]);
    (void)node_id(diagram->nodes[to], id[1]);
    for (int first = 0; first < DIAGRAM_EVENTS; first++) {
        uint32_t parts = diagram->seen[from][to][first];
        if (parts == 0 || told[first] || hidden(diagram, from, to, first))
            continue;
        if (any)
            (void)printf(" / ");
        else
            (void)printf("    %s --> %s: ", id[0], id[1]);
        any = true;
        for (int event = first; event < DIAGRAM_EVENTS; event++)
            if (diagram->seen[from][to][event] == parts && !hidden(diagram, from, to, event)) {
                (void)printf("%s%s", event > first ? ", " : "", diagram->events[event]);
                told[event] = true;
            }
        parts_print(diagram, parts);
    }
    if (any)
        (void)putchar('\n');
}

static void mermaid_print(const struct diagram *diagram)
{
    char id[64];
    (void)puts("```mermaid\nstateDiagram-v2");
    for (int node = 0; node < DIAGRAM_NODES; node++)
        if (diagram->reached[node] &&
            strcmp(node_id(diagram->nodes[node], id), diagram->nodes[node]) != 0)
            (void)printf("    state \"%s\" as %s\n", diagram->nodes[node], id);
    (void)printf("    [*] --> %s\n", node_id(diagram->nodes[diagram->first], id));
    for (int from = 0; from < DIAGRAM_NODES; from++)
        for (int to = 0; to < DIAGRAM_NODES; to++)
            if (diagram->reached[from] && diagram->reached[to])
                arrow_print(diagram, from, to);
    (void)puts("```");
}

static bool happens(const struct diagram *diagram, int from, int event)
{
    for (int to = 0; to < DIAGRAM_NODES; to++)
        if (diagram->seen[from][to][event] != 0)
            return true;
    return false;
}

static void never_print(const char *name, const struct diagram *diagram)
{
    for (int node = 0; node < DIAGRAM_NODES; node++) {
        const char *comma = " ";
        if (!diagram->nodes[node] || diagram->quiet[node])
            continue;
        (void)printf("%s: %s:", name, diagram->nodes[node]);
        if (!diagram->reached[node])
            (void)printf(" never reached");
        for (int event = 0; diagram->reached[node] && event < DIAGRAM_EVENTS; event++)
            if (diagram->events[event] && !happens(diagram, node, event)) {
                (void)printf("%s%s", comma, diagram->events[event]);
                comma = ", ";
            }
        (void)putchar('\n');
    }
}

int main(int argc, char **argv)
{
    static struct diagram diagram;
    bool never = argc == 2 && strcmp(argv[1], "never") == 0, found = never;
    for (size_t i = 0; i < MACHINES; i++) {
        if (argc == 1) {
            (void)puts(machines[i].name);
            found = true;
        } else if (never || (argc == 2 && strcmp(argv[1], machines[i].name) == 0)) {
            diagram = (struct diagram){ 0 };
            machines[i].explore(&diagram);
            found = true;
            if (never)
                never_print(machines[i].name, &diagram);
            else
                mermaid_print(&diagram);
        }
    }
    if (!found)
        (void)fputs("usage: diagrams [NAME | never]\n", stderr);
    return found ? 0 : 2;
}
