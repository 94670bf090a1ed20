/* confleet-sim - runs rollouts that never happened, one for each seed, and looks whether a law was broken. */
#include "tests/sim/story.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    uint64_t seed, seeds, sites, minutes;
    bool told; /* the one seed is to be told whole */
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

static bool options_read(int argc, char **argv, struct options *options)
{
    struct {
        const char *name;
        uint64_t *place;
    } known[] = { { "--seed", &options->seed },
                  { "--seeds", &options->seeds },
                  { "--sites", &options->sites },
                  { "--minutes", &options->minutes } };
    bool many = false;
    for (int i = 1; i < argc; i += 2) {
        bool good = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            if (i + 1 < argc && strcmp(argv[i], known[k].name) == 0) {
                good = number_read(argv[i + 1], known[k].place);
                many |= k == 1 || k == 3;
                options->told |= k == 0;
            }
        if (!good)
            return false;
    }
    if (options->minutes != 0 && options->seeds == 0)
        options->seeds = UINT64_MAX;
    if (options->seeds == 0)
        options->seeds = options->told && !many ? 1 : 1000;
    options->told = options->told && !many;
    return options->sites <= SITES_MAX;
}

static void told_again(struct world *world, uint64_t seed, uint64_t sites)
{
    world->telling = true;
    world_begin(world, seed, sites);
    world_run(world);
    world->telling = false;
    if (world->broken)
        printf("seed %" PRIu64 ", %s: %s\n", seed, world->sites[world->violation_site].name, world->violation);
    else
        printf("seed %" PRIu64 ": no law was broken\n", seed);
    story_print(world, world->violation_site);
    printf("  again: confleet-sim --seed %" PRIu64 "%s", seed, sites ? "" : "\n");
    if (sites)
        printf(" --sites %" PRIu64 "\n", sites);
    free(world->story);
    world->story = NULL;
}

int main(int argc, char **argv)
{
    struct options options = { .seed = 1 };
    struct world *world = calloc(1, sizeof *world);
    uint64_t runs = 0, bad = 0, happenings = 0;
    if (!world || !options_read(argc, argv, &options)) {
        (void)fprintf(stderr, "usage: confleet-sim [--seed N] [--seeds N] [--sites N, at most %d] [--minutes M]\n",
                      SITES_MAX);
        return 2;
    }
    (void)signal(SIGABRT, aborted);
    clock_t begin = clock(), shown = begin;
    time_t until = options.minutes ? time(NULL) + 60 * (time_t)options.minutes : 0;
    for (; runs < options.seeds && (until == 0 || time(NULL) < until); runs++) {
        seed_now = options.seed + runs;
        world_begin(world, seed_now, options.sites);
        world_run(world);
        happenings += world->happenings;
        bool broken = world->broken;
        bad += broken;
        if ((broken && bad <= SHOWN_MAX) || options.told)
            told_again(world, seed_now, options.sites);
        if (clock() - shown > 5 * CLOCKS_PER_SEC) {
            shown = clock();
            (void)fprintf(stderr, "sim: %" PRIu64 " runs, %" PRIu64 " violations, seed %" PRIu64 "\n", runs + 1, bad,
                          seed_now);
        }
    }
    double took_s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("sim: %.0f runs and %.0f events a second of one core\n", (double)runs / (took_s > 0 ? took_s : 1),
           (double)happenings / (took_s > 0 ? took_s : 1));
    printf("sim: %" PRIu64 " runs, %" PRIu64 " violations\n", runs, bad);
    world_free(world);
    return bad != 0;
}
