/* confleet-sim - runs rollouts that never happened, one for each seed, and looks whether a law was broken. */
#include "tests/sim/coverage.h"
#include "tests/sim/laws.h"
#include "tests/sim/shrink.h"
#include "tests/sim/story.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_MAX 5

static volatile uint64_t seed_now; /* for who is told of an assertion */

static void aborted(int number)
{
    char text[64];
    int len = snprintf(text, sizeof text, "sim: aborted in seed %" PRIu64 "\n", seed_now);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(3);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

struct options {
    uint64_t seed, seeds, sites, minutes, trip;
    bool told; /* the one seed is to be told whole */
    bool coverage, whole;
    struct tale tale;
};

static bool number_read(const char *text, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return false;
    *ret = number;
    return true;
}

static bool option_read(struct options *options, const char *name, const char *value)
{
    struct {
        const char *name;
        uint64_t *place;
    } known[] = { { "--seed", &options->seed },
                  { "--seeds", &options->seeds },
                  { "--sites", &options->sites },
                  { "--minutes", &options->minutes },
                  { "--trip", &options->trip } };
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (strcmp(name, known[k].name) == 0)
            return number_read(value, known[k].place);
    if (strcmp(name, "--without") == 0)
        return tale_without_read(&options->tale, value);
    return strcmp(name, "--strikes") == 0 && tale_strikes_read(&options->tale, value);
}

static bool options_read(int argc, char **argv, struct options *options)
{
    bool many = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--coverage") == 0) {
            options->coverage = true;
            continue;
        }
        if (strcmp(argv[i], "--whole") == 0) {
            options->whole = true;
            continue;
        }
        if (i + 1 >= argc || !option_read(options, argv[i], argv[i + 1]))
            return false;
        many |= strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--minutes") == 0;
        options->told |= strcmp(argv[i], "--seed") == 0;
        i++;
    }
    if (options->minutes != 0 && options->seeds == 0)
        options->seeds = UINT64_MAX;
    if (options->seeds == 0)
        options->seeds = options->told && !many ? 1 : 1000;
    options->told = options->told && !many;
    options->tale.sites = options->sites;
    return options->sites <= SITES_MAX;
}

static void commit_print(void)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("git", "git", "-C", CONFLEET_ROOT, "describe", "--always", "--dirty", "--abbrev=12", (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        puts("unknown");
}

/* The world holds a run that broke a law, or one that somebody asked for. */
static void tell(struct world *world, struct tale tale, bool shrinks)
{
    uint64_t happenings = world->happenings;
    uint32_t faults = world->strikes;
    struct coverage *coverage = world->coverage;
    world->coverage = NULL;
    uint32_t *given = tale.strikes;
    if (shrinks) {
        tale.strikes = NULL;
        tale_shrink(world, &tale);
    }
    world->telling = true;
    tale_run(world, &tale);
    world->telling = false;
    if (world->broken)
        printf("seed %" PRIu64 ", %s: %s\n", tale.seed, world->sites[world->violation_site].name, world->violation);
    else
        printf("seed %" PRIu64 ": no law was broken\n", tale.seed);
    story_print(world, world->violation_site);
    if (shrinks)
        printf("  made smaller: %" PRIu32 " faults of %" PRIu32 ", %" PRIu64 " events of %" PRIu64 "\n",
               (uint32_t)tale.strike_count, faults, world->happenings, happenings);
    printf("  again: ");
    tale_print(&tale);
    printf("\n  commit ");
    commit_print();
    free(world->story);
    world->story = NULL;
    world->coverage = coverage;
    if (tale.strikes != given)
        free(tale.strikes);
}

int main(int argc, char **argv)
{
    struct options options = { .seed = 1 };
    struct world *world = calloc(1, sizeof *world);
    uint64_t runs = 0, bad = 0, happenings = 0;
    if (!world || !options_read(argc, argv, &options)) {
        (void)fprintf(stderr,
                      "usage: confleet-sim [--seed N] [--seeds N] [--sites N, at most %d] [--minutes M] [--coverage]\n"
                      "                    [--whole: do not make failures smaller] [--without FAULT,…] [--strikes N,N-N,…]\n",
                      SITES_MAX);
        return 2;
    }
    (void)signal(SIGABRT, aborted);
    world->coverage = options.coverage ? calloc(1, sizeof *world->coverage) : NULL;
    laws_trip = options.trip;
    clock_t begin = clock(), shown = begin;
    time_t until = options.minutes ? time(NULL) + 60 * (time_t)options.minutes : 0;
    bool reduced = options.tale.without != 0 || options.tale.strikes || options.whole;
    for (; runs < options.seeds && (until == 0 || time(NULL) < until); runs++) {
        options.tale.seed = seed_now = options.seed + runs;
        tale_run(world, &options.tale);
        happenings += world->happenings;
        bool broken = world->broken;
        bad += broken;
        if ((broken && bad <= SHOWN_MAX) || options.told)
            tell(world, options.tale, broken && !reduced);
        if (clock() - shown > 5 * CLOCKS_PER_SEC) {
            shown = clock();
            (void)fprintf(stderr, "sim: %" PRIu64 " runs, %" PRIu64 " violations, seed %" PRIu64 "\n", runs + 1, bad,
                          seed_now);
        }
    }
    double took_s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    if (world->coverage)
        coverage_print(world->coverage);
    printf("sim: %.0f runs and %.0f events a second of one core\n", (double)runs / (took_s > 0 ? took_s : 1),
           (double)happenings / (took_s > 0 ? took_s : 1));
    printf("sim: %" PRIu64 " runs, %" PRIu64 " violations\n", runs, bad);
    free(world->coverage);
    free(options.tale.strikes);
    world_free(world);
    return bad != 0;
}
