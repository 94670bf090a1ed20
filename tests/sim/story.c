#include "tests/sim/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES   8192
#define SHOWN   400
#define LINE_MAX 200

struct line {
    int64_t at_ms;
    uint32_t site;
    char text[LINE_MAX];
};
struct story {
    struct line lines[LINES];
    size_t count;
};

void story_add(struct world *world, uint32_t site, const char *format, ...)
{
    va_list ap;
    if (!world->story)
        world->story = calloc(1, sizeof *world->story);
    if (!world->story)
        exit(2);
    struct line *line = &world->story->lines[world->story->count++ % LINES];
    line->at_ms = world->now_ms;
    line->site = site;
    va_start(ap, format);
    (void)vsnprintf(line->text, sizeof line->text, format, ap);
    va_end(ap);
}

void story_print(const struct world *world, uint32_t site)
{
    const struct story *story = world->story;
    if (!story)
        return;
    size_t first = story->count > LINES ? story->count - LINES : 0, from = story->count, shown = 0;
    while (from > first && shown < SHOWN) {
        const struct line *line = &story->lines[--from % LINES];
        shown += line->site == site || line->site == STORY_NOBODY;
    }
    for (; from < story->count; from++) {
        const struct line *line = &story->lines[from % LINES];
        if (line->site != site && line->site != STORY_NOBODY)
            continue;
        int64_t s = line->at_ms / 1000;
        printf("  %3" PRId64 ":%02d:%02d.%03d  %-10s %s\n", s / 3600, (int)(s / 60 % 60), (int)(s % 60),
               (int)(line->at_ms % 1000), line->site == STORY_NOBODY ? "-" : world->sites[line->site].name, line->text);
    }
}
