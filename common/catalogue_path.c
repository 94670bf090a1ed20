/* The way from one version to another, over the floors that are known. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <stdio.h>
#include <string.h>

struct point {
    struct version version;
    uint32_t build;
};

/* Whether what stands at point may go to release directly. UNKNOWN: its floor, or the build that
 * would have to be compared with it, is not known. */
enum direct { DIRECT_UNKNOWN, DIRECT_NO, DIRECT_YES };

static enum direct direct(const struct point *point, const struct catalogue_release *release)
{
    struct version floor;
    if (version_compare(&release->version, &point->version) <= 0)
        return DIRECT_NO;
    if (version_same_feature(&release->version, &point->version))
        return DIRECT_YES;
    if (release->floor_build && point->build)
        return point->build >= release->floor_build ? DIRECT_YES : DIRECT_NO;
    if (!version_parse(release->floor_version, &floor))
        return DIRECT_UNKNOWN;
    return version_compare(&point->version, &floor) >= 0 ? DIRECT_YES : DIRECT_NO;
}

static struct point point_of(const struct catalogue_release *release)
{
    return (struct point){ release->version, release->build };
}

/* Of two stops between, the one that people would rather run: long-term support, then newer. */
static bool better(const struct catalogue_release *a, const struct catalogue_release *b)
{
    if (!b)
        return true;
    bool a_lts = strcmp(a->lts, "yes") == 0, b_lts = strcmp(b->lts, "yes") == 0;
    if (a_lts != b_lts)
        return a_lts;
    return version_compare(&a->version, &b->version) > 0;
}

/* steps[i]: fewest upgrades after which release i can be reached; zero: not found so far. Each
 * round starts from the newest release of the round before, which reaches all that an older one
 * does. */
static size_t spread(const struct catalogue *catalogue, const struct point *from,
                     const struct catalogue_release *target, uint8_t *steps)
{
    struct point top = *from;
    for (uint8_t round = 1; round <= CATALOGUE_HOPS_MAX; round++) {
        const struct catalogue_release *newest = NULL, *release = NULL;
        for (size_t i = 0; (release = catalogue_at(catalogue, i)) != NULL; i++) {
            if (steps[i] || version_compare(&release->version, &target->version) > 0 ||
                version_compare(&release->version, &from->version) <= 0 ||
                (release->version.rank < 0 && release != target) ||
                direct(&top, release) != DIRECT_YES)
                continue;
            steps[i] = round;
            newest = release;
            if (release == target)
                return round;
        }
        if (!newest)
            return 0;
        top = point_of(newest);
    }
    return 0;
}

/* From the target back: each stop is reached one upgrade earlier and may go to the next. */
static bool pick(const struct catalogue *catalogue, const struct catalogue_release *target,
                 const uint8_t *steps, struct catalogue_path *path)
{
    const struct catalogue_release *next = target;
    for (size_t at = path->count; at-- > 0;) {
        (void)snprintf(path->hops[at], sizeof path->hops[at], "%s", next->text);
        const struct catalogue_release *best = NULL, *release = NULL;
        for (size_t i = 0; at > 0 && (release = catalogue_at(catalogue, i)) != NULL; i++) {
            struct point point = point_of(release);
            if (steps[i] == at && direct(&point, next) == DIRECT_YES && better(release, best))
                best = release;
        }
        if (at > 0 && !best)
            return false;
        next = best;
    }
    return true;
}

static void between(const struct catalogue *catalogue, const struct point *from,
                    const struct catalogue_release *target, struct catalogue_path *path)
{
    size_t count = 0;
    while (catalogue_at(catalogue, count))
        count++;
    CLEANUP(free_mem) uint8_t *steps = mem_zero(count + 1, 1);
    path->count = spread(catalogue, from, target, steps);
    path->known = path->count > 0 && pick(catalogue, target, steps, path);
    if (path->known)
        return;
    path->count = 0;
    (void)snprintf(path->why, sizeof path->why,
                   "%s wants at least %s%s, and no release is known that can be reached before it: "
                   "floors of the releases between are missing",
                   target->text, target->floor_version[0] ? target->floor_version : "another build",
                   target->floor_version[0] ? "" : " than the installed one");
}

void catalogue_path_find(const struct catalogue *catalogue, const struct catalogue_from *from,
                         const char *target, struct catalogue_path *ret)
{
    struct catalogue_release bare = { 0 };
    struct point start = { .build = from->build };
    const struct catalogue_release *release = catalogue_find(catalogue, target);
    *ret = (struct catalogue_path){ 0 };
    (void)snprintf(bare.text, sizeof bare.text, "%.63s", target);
    if (!version_parse(from->version, &start.version)) {
        (void)snprintf(ret->why, sizeof ret->why, "'%.63s' cannot be read as a version",
                       from->version);
        return;
    }
    if (!release && !version_parse(target, &bare.version)) {
        (void)snprintf(ret->why, sizeof ret->why, "'%.63s' cannot be read as a version", target);
        return;
    }
    release = release ? release : &bare;
    if (version_compare(&release->version, &start.version) <= 0) {
        (void)snprintf(ret->why, sizeof ret->why, "%.63s is not after %.63s", target,
                       from->version);
        return;
    }
    switch (direct(&start, release)) {
    case DIRECT_YES:
        ret->count = 1;
        ret->known = true;
        (void)snprintf(ret->hops[0], sizeof ret->hops[0], "%s", release->text);
        break;
    case DIRECT_NO:
        ret->below_floor = true;
        between(catalogue, &start, release, ret);
        break;
    case DIRECT_UNKNOWN:
        (void)snprintf(ret->why, sizeof ret->why,
                       "the oldest version that may be upgraded to %s directly is not known",
                       release->text);
        break;
    }
}
