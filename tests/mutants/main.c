/* confleet-sim-mutants - the simulator with the cores' guards, one of which can be taken away; tells the first seed that breaks a law
 * without it and none with it.
 *
 * Assertions, crashes and seeds without an end are counted and told, and are no kill: only a law's checker sees what the guard is for.
 * Each search runs in a child, since the code under test is broken on purpose. */
#include "confleet/guard.h"
#include "controller/core/site_state.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED_S      2  /* of processor time; a seed takes a hundredth of one */
#define WRECKS_MAX  40 /* assertions and crashes before the search is given up */
#define ENDLESS_MAX 3  /* seeds without an end before it is */

extern struct guard *__start_guards[], *__stop_guards[];
struct guard_cell guard_cell_off;

#define X(id, name) [INPUT_##id] = name,
static const char *const input_names[INPUT_COUNT] = { SITE_INPUTS(X) };
#undef X

bool guard_cell_is_off(const char *table, int row, int column)
{
    return guard_cell_off.table && guard_cell_off.row == row && guard_cell_off.column == column &&
           strcmp(guard_cell_off.table, table) == 0;
}

static void cell_name(int state, int input, char *out, size_t size)
{
    (void)snprintf(out, size, "site_table:%s:%s", site_state_name((enum site_state)state), input_names[input]);
}

static struct guard *guard_of(const char *name)
{
    for (struct guard **at = __start_guards; at < __stop_guards; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

/* Takes it away; false: there is none of this name. */
static bool switch_off(const char *name)
{
    struct guard *guard = guard_of(name);
    char cell[80];
    enum site_state to;
    guard_cell_off = (struct guard_cell){ 0 };
    if (guard)
        guard->off = true;
    for (int state = 0; !guard && state < SITE_STATE_COUNT; state++)
        for (int input = 0; input < INPUT_COUNT; input++) {
            cell_name(state, input, cell, sizeof cell);
            if (strcmp(cell, name) != 0 || !site_state_after((enum site_state)state, (enum site_input)input, &to))
                continue;
            guard_cell_off = (struct guard_cell){ "site_table", state, input };
            return true;
        }
    return guard != NULL;
}

static void list(void)
{
    char cell[80];
    enum site_state to;
    for (struct guard **at = __start_guards; at < __stop_guards; at++)
        puts((*at)->name);
    for (int state = 0; state < SITE_STATE_COUNT; state++)
        for (int input = 0; input < INPUT_COUNT; input++) {
            cell_name(state, input, cell, sizeof cell);
            if (site_state_after((enum site_state)state, (enum site_input)input, &to))
                puts(cell);
        }
}

struct search {
    uint64_t seed, end;
    bool found;
    char law[sizeof((struct world *)0)->violation];
};

static bool breaks(struct world *world, uint64_t seed)
{
    world_begin(world, seed, 0);
    world_run(world);
    return world->broken && strncmp(world->violation, "law ", 4) == 0;
}

static void look(struct search *search, const char *name, const char *told)
{
    struct world *world = calloc(1, sizeof *world), *sound = calloc(1, sizeof *sound);
    struct itimerval limit = { .it_value.tv_sec = SEED_S };
    struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &none);
    if (!told && !freopen("/dev/null", "w", stderr))
        _exit(2);
    for (; world && sound && search->seed < search->end; search->seed++) {
        if (setitimer(ITIMER_VIRTUAL, &limit, NULL) != 0 || !switch_off(name))
            _exit(2);
        if (!breaks(world, search->seed))
            continue;
        (void)snprintf(search->law, sizeof search->law, "%s", world->violation);
        struct guard *guard = guard_of(name);
        if (guard)
            guard->off = false;
        guard_cell_off = (struct guard_cell){ 0 };
        if (breaks(sound, search->seed))
            continue;
        search->found = true;
        _exit(0);
    }
    _exit(world && sound ? 0 : 2);
}

int main(int argc, char **argv)
{
    uint64_t asserted = 0, crashed = 0, endless = 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list();
        return 0;
    }
    if (argc != 4 || !switch_off(argv[1])) {
        (void)fprintf(stderr, "usage: confleet-sim-mutants --list | GUARD FIRST-SEED SEEDS\n");
        return 2;
    }
    struct search *search = mmap(NULL, sizeof *search, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (search == MAP_FAILED)
        return 2;
    search->seed = strtoull(argv[2], NULL, 10);
    search->end = search->seed + strtoull(argv[3], NULL, 10);
    while (!search->found && search->seed < search->end && asserted + crashed < WRECKS_MAX && endless < ENDLESS_MAX) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            look(search, argv[1], getenv("CONFLEET_TOLD"));
        if (child < 0 || waitpid(child, &status, 0) != child)
            return 2;
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
            return 2;
        if (!WIFSIGNALED(status))
            break;
        asserted += WTERMSIG(status) == SIGABRT;
        endless += WTERMSIG(status) == SIGVTALRM;
        crashed += WTERMSIG(status) != SIGABRT && WTERMSIG(status) != SIGVTALRM;
        search->seed++;
    }
    if (search->found)
        printf("%" PRIu64 " %s\n", search->seed, search->law);
    else
        printf("- survived: %" PRIu64 " assertions, %" PRIu64 " crashes, %" PRIu64 " without an end\n", asserted, crashed,
               endless);
    return search->found ? 0 : 1;
}
