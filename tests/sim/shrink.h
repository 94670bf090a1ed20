/* shrink - makes a run that broke a law smaller, as long as it goes on breaking that law.
 *
 * Fewer sites, whole faults left out, then single ones, by trying. What remains is a run like any other: seed,
 * sites and wish tell it again. */
#pragma once
#include "tests/sim/world.h"

struct tale { /* all that a run follows from */
    uint64_t seed;
    size_t sites; /* 0: as many as the seed says */
    uint32_t without;
    uint32_t *strikes; /* owned; NULL: all */
    size_t strike_count;
    /* Of the last time that it was run. */
    uint32_t faults;
    uint64_t happenings;
};

void tale_run(struct world *world, const struct tale *tale);
/* The world holds a run of this tale that broke a law; afterwards a run of what became of it. */
void tale_shrink(struct world *world, struct tale *tale);
/* The words that run it again. */
void tale_print(const struct tale *tale);
/* False: it is no such list. */
bool tale_without_read(struct tale *tale, const char *text);
bool tale_strikes_read(struct tale *tale, const char *text);
