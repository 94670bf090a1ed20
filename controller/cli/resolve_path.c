/* The way of each site to the release: one hop a plan, and the notes that were read for it. */
#include "confleet/cleanup.h"
#include "controller/cli/resolve_inside.h"
#include <string.h>

#define FLOOR_BUILD  7103 /* 6.0.5: what 8.9 and later start from (facts 7) */
#define FEATURES_MAX 256

static void far_warn(const struct resolve_in *in, const Confleet__Plan *plan,
                     const Confleet__PlanSite *site)
{
    str_addf(in->warnings,
             "%s:%d:%d: warning: release: site \"%s\" goes from %s to %s, over more than one "
             "major version; the catalogue does not say whether that is one hop: see the "
             "release notes\n",
             in->file->file, in->file->release_at.line, in->file->release_at.column, site->name,
             site->from_version, plan->release->version);
}

static void hops_complain(const struct resolve_in *in, const Confleet__Plan *plan,
                          const Confleet__PlanSite *site, const struct catalogue_path *path,
                          struct yaml_report *report)
{
    CLEANUP(str_free) struct str way = { 0 };
    for (size_t i = 0; i < path->count; i++)
        str_addf(&way, "%s%s", i ? ", then " : "", path->hops[i]);
    if (path->known)
        resolve_complain(in, report, in->file->release_at,
                         "release: site \"%s\" is on %s, and %s cannot be reached from there in "
                         "one hop; a plan is one hop: write %zu of them, to %s",
                         site->name, site->from_version, plan->release->version, path->count,
                         str_text(&way));
    else
        resolve_complain(in, report, in->file->release_at, "release: site \"%s\" is on %s, and %s",
                         site->name, site->from_version, path->why);
}

static void hop_judge(const struct resolve_in *in, const Confleet__Plan *plan,
                      const Confleet__PlanSite *site, struct yaml_report *report)
{
    struct version to, from;
    struct catalogue_path path;
    struct catalogue_from start = { site->from_version, site->from_build };
    if (!version_parse(plan->release->version, &to))
        return;
    if (version_at_least(&to, 8, 9) && site->from_build < FLOOR_BUILD) {
        resolve_complain(
            in, report, in->file->release_at,
            "release: site \"%s\" is on %s (build %u), and %s starts from 6.0.5 (build "
            "7103) at the oldest; a plan is one hop: write one to a release between "
            "them first, such as 7.19",
            site->name, site->from_version[0] ? site->from_version : "no known version",
            site->from_build, plan->release->version);
        return;
    }
    catalogue_path_find(in->catalogue, &start, plan->release->version, &path);
    if (path.below_floor)
        hops_complain(in, plan, site, &path, report);
    else if (!path.known && in->warnings && version_parse(site->from_version, &from) &&
             to.numbers[0] > from.numbers[0] + 1)
        far_warn(in, plan, site);
}

static bool was_read(const struct resolve_in *in, const char *feature)
{
    char *const *names = in->file->notes_read.items;
    struct version wanted, have;
    if (!version_parse(feature, &wanted))
        return true;
    for (size_t i = 0; i < in->file->notes_read.count; i++)
        if (version_parse(names[i], &have) && version_same_feature(&wanted, &have))
            return true;
    return false;
}

struct unread {
    struct catalogue_feature features[FEATURES_MAX];
    size_t count;
    const char *site; /* the first one that needs them */
};

static void unread_collect(const struct resolve_in *in, const Confleet__Plan *plan,
                           const Confleet__PlanSite *site, struct unread *unread)
{
    CLEANUP(free_mem)
    struct catalogue_feature *features = mem_zero(FEATURES_MAX, sizeof *features);
    size_t count = catalogue_features(in->catalogue, site->from_version, plan->release->version,
                                      features, FEATURES_MAX);
    for (size_t i = 0; i < count && i < FEATURES_MAX; i++) {
        bool known = was_read(in, features[i].name);
        for (size_t u = 0; u < unread->count && !known; u++)
            known = strcmp(unread->features[u].name, features[i].name) == 0;
        if (known || unread->count == FEATURES_MAX)
            continue;
        if (unread->count == 0)
            unread->site = site->name;
        unread->features[unread->count++] = features[i];
    }
}

/* All of what the file must name, so that the line can be taken over as it is. */
static void line_add(const struct resolve_in *in, const struct unread *unread, struct str *to)
{
    char *const *names = in->file->notes_read.items;
    str_add(to, "notes_read: [");
    for (size_t i = 0; i < in->file->notes_read.count; i++)
        str_addf(to, "\"%s\", ", names[i]);
    for (size_t i = 0; i < unread->count; i++)
        str_addf(to, "%s\"%s\"", i ? ", " : "", unread->features[i].name);
    str_add(to, "]");
}

static void notes_complain(const struct resolve_in *in, const struct unread *unread,
                           struct yaml_report *report)
{
    CLEANUP(str_free) struct str text = { 0 }, line = { 0 };
    for (size_t i = 0; i < unread->count; i++) {
        const struct catalogue_feature *feature = &unread->features[i];
        str_addf(&text, "%s%s", i ? "; " : "", feature->name);
        for (size_t n = 0; n < feature->noted_count; n++)
            str_addf(&text, " (%s%s%s)", feature->noted[n]->note,
                     feature->noted[n]->note[0] && feature->noted[n]->note_url[0] ? ", " : "",
                     feature->noted[n]->note_url);
    }
    line_add(in, unread, &line);
    resolve_complain(in, report, at_or(in->file->notes_at, in->file->release_at),
                     "notes_read: site \"%s\" goes over feature versions whose notes nobody says "
                     "to have read: %s. Read them, then write: %s",
                     unread->site, str_text(&text), str_text(&line));
}

void resolve_path(const struct resolve_in *in, const Confleet__Plan *plan,
                  struct yaml_report *report)
{
    CLEANUP(free_mem) struct unread *unread = mem_zero(1, sizeof *unread);
    for (size_t i = 0; plan->release->build > 0 && i < plan->n_stages; i++) {
        const Confleet__PlanStage *stage = plan->stages[i];
        for (size_t s = 0; s < stage->n_sites; s++) {
            hop_judge(in, plan, stage->sites[s], report);
            if (in->catalogue)
                unread_collect(in, plan, stage->sites[s], unread);
        }
    }
    if (unread->count > 0)
        notes_complain(in, unread, report);
}
