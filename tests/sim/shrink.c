#include "tests/sim/shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 4000
#define SEEDS 100

struct shrink {
    struct world *world;
    struct tale best;
    const char *rule;
    unsigned left; /* tries */
};

static uint32_t *numbers_new(size_t count)
{
    uint32_t *numbers = malloc((count + 1) * sizeof *numbers);
    if (!numbers) {
        (void)fprintf(stderr, "sim: out of memory\n");
        exit(2);
    }
    return numbers;
}

void tale_run(struct world *world, const struct tale *tale)
{
    world->wish = (struct wish){ tale->without, tale->strikes, tale->strike_count };
    world_begin(world, tale->seed, tale->sites);
    world_run(world);
}

/* Does it break the same law? Then it is the better one, and takes what the other owned. */
static bool is_enough(struct shrink *shrink, struct tale *tale)
{
    if (shrink->left == 0)
        return false;
    shrink->left--;
    tale_run(shrink->world, tale);
    if (!shrink->world->broken || shrink->world->rule != shrink->rule)
        return false;
    tale->faults = shrink->world->strikes;
    tale->happenings = shrink->world->happenings;
    if (tale->strikes != shrink->best.strikes)
        free(shrink->best.strikes);
    shrink->best = *tale;
    return true;
}

static void fewer_sites(struct shrink *shrink)
{
    for (size_t sites = 1; sites < shrink->best.sites; sites++) {
        struct tale tale = shrink->best;
        tale.sites = sites;
        if (is_enough(shrink, &tale))
            return;
    }
}

static void fewer_kinds(struct shrink *shrink)
{
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        struct tale tale = shrink->best;
        tale.without |= 1U << fault;
        if (tale.without != shrink->best.without)
            (void)is_enough(shrink, &tale);
    }
}

/* A law that breaks easily breaks sooner in another seed. */
static void other_seeds(struct shrink *shrink)
{
    struct tale least = shrink->best;
    for (uint64_t i = 1; i <= SEEDS && shrink->left > 0; i++) {
        struct tale tale = shrink->best;
        tale.seed += i;
        tale_run(shrink->world, &tale);
        if (!shrink->world->broken || shrink->world->rule != shrink->rule || shrink->world->strikes >= least.faults)
            continue;
        tale.faults = shrink->world->strikes;
        tale.happenings = shrink->world->happenings;
        least = tale;
    }
    shrink->best = least;
}

/* All numbers but count of them from place on; what lies behind the run's end goes as well. */
static struct tale tale_but(const struct tale *from, size_t place, size_t count)
{
    struct tale tale = *from;
    tale.strikes = numbers_new(from->strike_count);
    tale.strike_count = 0;
    for (size_t i = 0; i < from->strike_count && from->strikes[i] <= from->faults; i++)
        if (i < place || i >= place + count)
            tale.strikes[tale.strike_count++] = from->strikes[i];
    return tale;
}

static bool tried_but(struct shrink *shrink, size_t place, size_t count)
{
    struct tale tale = tale_but(&shrink->best, place, count);
    if (is_enough(shrink, &tale))
        return true;
    free(tale.strikes);
    return false;
}

static void fewer_strikes(struct shrink *shrink)
{
    if (!shrink->best.strikes) {
        struct tale tale = shrink->best;
        tale.strikes = numbers_new(tale.faults);
        for (tale.strike_count = 0; tale.strike_count < tale.faults; tale.strike_count++)
            tale.strikes[tale.strike_count] = (uint32_t)tale.strike_count + 1;
        if (!is_enough(shrink, &tale)) {
            free(tale.strikes);
            return;
        }
    }
    for (size_t chunk = (shrink->best.strike_count + 1) / 2; chunk > 0 && shrink->left > 0; chunk /= 2) {
        size_t at = shrink->best.strike_count;
        while (at > 0 && shrink->left > 0) { /* from the end: what comes late is needed least */
            at = at > chunk ? at - chunk : 0;
            (void)tried_but(shrink, at, chunk);
            at = at < shrink->best.strike_count ? at : shrink->best.strike_count;
        }
    }
}

void tale_shrink(struct world *world, struct tale *tale)
{
    struct shrink shrink = { world, *tale, world->rule, TRIES };
    shrink.best.sites = world->site_count;
    shrink.best.faults = world->strikes;
    shrink.best.happenings = world->happenings;
    for (int round = 0; round < 2; round++) {
        fewer_kinds(&shrink);
        fewer_sites(&shrink);
        if (round == 0)
            other_seeds(&shrink);
        fewer_strikes(&shrink);
    }
    *tale = shrink.best;
    tale_run(world, tale);
}

void tale_print(const struct tale *tale)
{
    const char *comma = " --without ";
    printf("confleet-sim --seed %" PRIu64, tale->seed);
    if (tale->sites)
        printf(" --sites %zu", tale->sites);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        if (tale->without & (1U << fault)) {
            printf("%s%s", comma, fault_names[fault]);
            comma = ",";
        }
    if (tale->strikes)
        printf(" --strikes %s", tale->strike_count == 0 ? "none" : "");
    for (size_t i = 0, to; i < tale->strike_count; i = to + 1) {
        for (to = i; to + 1 < tale->strike_count && tale->strikes[to + 1] == tale->strikes[to] + 1;)
            to++;
        printf("%s%" PRIu32, i > 0 ? "," : "", tale->strikes[i]);
        if (to > i)
            printf("-%" PRIu32, tale->strikes[to]);
    }
}

bool tale_without_read(struct tale *tale, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        int fault = 0;
        while (fault < FAULT_COUNT && (strlen(fault_names[fault]) != len || strncmp(text, fault_names[fault], len) != 0))
            fault++;
        if (fault == FAULT_COUNT)
            return false;
        tale->without |= 1U << fault;
        text += len + (text[len] == ',');
    }
    return true;
}

bool tale_strikes_read(struct tale *tale, const char *text)
{
    size_t room = 0, count = 0;
    uint32_t *numbers = numbers_new(0);
    while (strcmp(text, "none") != 0 && *text) {
        char *end = NULL;
        unsigned long from = strtoul(text, &end, 10), to = from;
        if (end != text && *end == '-')
            to = strtoul(text = end + 1, &end, 10);
        if (end == text || (*end != ',' && *end != '\0') || from == 0 || to < from || to > 100000000) {
            free(numbers);
            return false;
        }
        for (; from <= to; from++) {
            numbers = world_grow(numbers, count, &room, sizeof *numbers);
            numbers[count++] = (uint32_t)from;
        }
        text = end + (*end == ',');
    }
    tale->strikes = numbers;
    tale->strike_count = count;
    return true;
}
