/* story - what happened, in lines of text, kept for the last few thousand of them; told only of runs that failed. */
#pragma once
#include "tests/sim/world.h"

#define STORY_NOBODY UINT32_MAX
void story_add(struct world *world, uint32_t site, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The last lines that concern the site, the controller or a person. */
void story_print(const struct world *world, uint32_t site);
#define STORY(world, ...)                  \
    do {                                   \
        if ((world)->telling)              \
            story_add(world, __VA_ARGS__); \
    } while (0)
