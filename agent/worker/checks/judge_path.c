/* The way from the installed version to the release. */
#include "agent/worker/checks/check.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define FLOOR_BUILD    7103 /* 6.0.5: the floor compiled into 8.9 and later (facts 4.2, 6) */
#define SUPPORT_DAYS   90   /* an end of support that is so near is worth a word */
#define FEATURES_SHOWN 64

static const struct catalogue *catalogue_of(const struct facts *facts)
{
    return facts->source ? facts->source->catalogue : NULL;
}

/* What is known of the release; all empty when there is nothing. */
static const struct catalogue_release *target_of(const struct facts *facts)
{
    static const struct catalogue_release nothing;
    return facts->source ? &facts->source->target : &nothing;
}

static bool no_target(const struct facts *facts, struct verdict *ret)
{
    if (!facts->has_target)
        verdict_set(ret, INFO, "No release was named.");
    return !facts->has_target;
}

static const char *installed(const struct facts *facts)
{
    return facts->site.version[0] ? facts->site.version : "an unknown version";
}

/* ------------------------------------------------------------------ numbers */

static bool older_version(const struct facts *facts)
{
    struct version from, to;
    return version_parse(facts->site.version, &from) && version_parse(facts->target_version, &to) &&
           version_compare(&to, &from) < 0;
}

static bool below_605(const struct facts *facts)
{
    struct version to;
    return facts->site.app_build != 0 && facts->site.app_build < FLOOR_BUILD &&
           version_parse(facts->target_version, &to) && version_at_least(&to, 8, 9);
}

void judge_version_path(const struct facts *facts, struct verdict *ret)
{
    uint32_t from = facts->site.app_build, to = facts->target_build;
    const char *version = installed(facts);
    if (!facts->has_target)
        verdict_set(ret, INFO, from ? "No release was named; %s (build %u) is installed."
                                    : "No release was named; %s is installed, of what build is not "
                                      "known.",
                    version, from);
    else if ((!from || !to) && older_version(facts))
        verdict_set(ret, BLOCK, "%s is older than the installed %s: going back is not an upgrade.",
                    facts->target_version, version);
    else if (!from || !to) {
        verdict_set(
            ret, UNKNOWN,
            "The build number of %s is not known, so it cannot be told whether %s may follow %s.",
            !from ? "the installation" : "the release", facts->target_version, version);
        ret->remedy = "Import the release with its file and its number: confleet release import "
                      "--artifact FILE --version VERSION --build NUMBER.";
    } else if (to == from)
        verdict_set(ret, BLOCK,
                    "%s has build %u, and so has the installed %s: there is nothing to upgrade.",
                    facts->target_version, to, version);
    else if (to < from)
        verdict_set(
            ret, BLOCK,
            "%s has build %u, below the installed %s with build %u: going back is not an upgrade.",
            facts->target_version, to, version, from);
    else if (below_605(facts))
        verdict_set(ret, BLOCK,
                    "Versions from 8.9 on refuse to upgrade what is older than 6.0.5 (build %d); "
                    "%s has build %u. Upgrade to a version between first.",
                    FLOOR_BUILD, version, from);
    else if (older_version(facts))
        verdict_set(ret, WARN,
                    "%s has the higher build (%u, installed is %u), but its version is older than "
                    "the installed %s: see that no other release was meant.",
                    facts->target_version, to, from, version);
    else
        verdict_set(ret, OK, "From %s (build %u) to %s (build %u).", version, from,
                    facts->target_version, to);
}

/* ------------------------------------------------------------------ floor and hops */

static void say_hops(const struct facts *facts, const struct catalogue_path *path,
                     const char *floor, struct verdict *ret)
{
    char text[CATALOGUE_HOPS_MAX * 66] = "";
    size_t len = 0;
    for (size_t i = 0; i < path->count && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? ", then " : "",
                                path->hops[i]);
    verdict_set(ret, BLOCK,
                "%s can be upgraded to directly from %s on at the oldest, and %s is installed. "
                "%zu plans are to be written, one after the other: to %s.",
                facts->target_version, floor, installed(facts), path->count, text);
    ret->remedy = "Write a plan for the first release of that way; the next one when the site is "
                  "on it: confleet plan FILE.";
}

static uint32_t majors_between(const struct facts *facts)
{
    struct version from, to;
    if (!version_parse(facts->site.version, &from) || !version_parse(facts->target_version, &to) ||
        to.numbers[0] < from.numbers[0])
        return 0;
    return to.numbers[0] - from.numbers[0];
}

/* What version-path complains about already; there is no floor to be asked for. */
static bool no_way_to_go(const struct facts *facts, struct verdict *ret)
{
    uint32_t from = facts->site.app_build, to = facts->target_build;
    bool told = from && to;
    if (told ? from == to : strcmp(facts->site.version, facts->target_version) == 0)
        verdict_set(ret, INFO, "%s is what is installed: nothing to upgrade.",
                    facts->target_version);
    else if (older_version(facts))
        verdict_set(ret, INFO, "%s is older than the installed %s: see version-path.",
                    facts->target_version, installed(facts));
    else
        return false;
    return true;
}

void judge_upgrade_floor(const struct facts *facts, struct verdict *ret)
{
    struct catalogue_path path;
    struct catalogue_from from = { facts->site.version, facts->site.app_build };
    const struct catalogue_release *target = target_of(facts);
    char floor[96];
    if (no_target(facts, ret) || no_way_to_go(facts, ret))
        return;
    catalogue_path_find(catalogue_of(facts), &from, facts->target_version, &path);
    if (target->floor_version[0])
        (void)snprintf(floor, sizeof floor, "%s", target->floor_version);
    else
        (void)snprintf(floor, sizeof floor, "build %u", target->floor_build);
    if (path.known && path.count == 1 && !target->floor_version[0] && !target->floor_build)
        verdict_set(ret, OK, "%s and %s are of one feature version: one upgrade.", installed(facts),
                    facts->target_version);
    else if (path.known && path.count == 1)
        verdict_set(ret, OK, "One upgrade: %s can be upgraded to from %s on, and %s is installed.",
                    facts->target_version, floor, installed(facts));
    else if (path.known)
        say_hops(facts, &path, floor, ret);
    else if (path.below_floor)
        verdict_set(ret, BLOCK,
                    "%s can be upgraded to directly from %s on at the oldest, and %s is installed. "
                    "Which releases lie on the way is not known: %s.",
                    facts->target_version, floor, installed(facts), path.why);
    else if (majors_between(facts) > 1)
        verdict_set(
            ret, WARN,
            "From %s to %s is over more than one major version, and it is not known whether "
            "that is one upgrade or several: %s.",
            installed(facts), facts->target_version, path.why);
    else
        verdict_set(ret, UNKNOWN, "Whether %s can be upgraded to %s directly is not known: %s.",
                    installed(facts), facts->target_version, path.why);
}

/* ------------------------------------------------------------------ earlier upgrades */

void judge_upgrade_finished(const struct facts *facts, struct verdict *ret)
{
    const struct facts_history *history = &facts->history;
    uint32_t app = facts->site.app_build, home = facts->site.home_build,
             database = facts->database.build;
    uint32_t reached = home > database ? home : database;
    if (history->part.known != FACT_YES)
        verdict_set(ret, UNKNOWN, "Traces of earlier upgrades were not found out: %s.",
                    history->part.why[0] ? history->part.why : "not looked at");
    else if (home && database && home != database)
        verdict_set(ret, WARN,
                    "Home and database stand at different builds (%u and %u), as an upgrade that "
                    "broke off between two of its tasks leaves them.",
                    home, database);
    else if (app && home && home == database && app > home)
        verdict_set(ret, WARN,
                    "The installation has build %u, home and database have %u: either it was never "
                    "started, or its upgrade broke off at %u.",
                    app, home, home);
    else if (reached && history->lock_build > reached)
        verdict_set(ret, WARN,
                    "A row of confversion is locked for an upgrade to build %u, and the site is on "
                    "%u: that upgrade was begun and did not get there.",
                    history->lock_build, reached);
    else if (history->finalized_build && home && history->finalized_build != home)
        verdict_set(
            ret, WARN,
            "confluence.cfg.xml holds finalized build %u beside build %u: a rolling upgrade "
            "was not finalized.",
            history->finalized_build, home);
    else if (reached && history->recovery_to > reached)
        verdict_set(
            ret, WARN,
            "The home holds recovery/%s, written before an upgrade from build %u to %u, and "
            "the site is on %u: that upgrade was begun and did not get there.",
            history->recovery, history->recovery_from, history->recovery_to, reached);
    else if (history->recovery_known != FACT_YES || history->lock_known != FACT_YES || !reached)
        verdict_set(ret, UNKNOWN, "Not all traces could be looked for: %s.",
                    !reached                          ? "the build numbers are not known"
                    : history->lock_known != FACT_YES ? history->lock_text
                                                      : history->recovery_text);
    else
        verdict_set(ret, OK,
                    "No lock in confversion, recovery file or finalized build is for more than "
                    "build %u, which the site is on.",
                    reached);
}

/* ------------------------------------------------------------------ what the catalogue says */

static void add(char *text, size_t size, const char *format, ...) FORMAT(3, 4);
static void add(char *text, size_t size, const char *format, ...)
{
    size_t len = strlen(text);
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text + len, size - len, format, ap);
    va_end(ap);
}

void judge_release_known(const struct facts *facts, struct verdict *ret)
{
    const struct catalogue_release *known = &facts->catalogued, *target = target_of(facts);
    char lacks[200] = "";
    if (no_target(facts, ret))
        return;
    if (!known->text[0] && !target->date[0]) {
        verdict_set(ret, UNKNOWN, "%s is not in the catalogue of releases%s%s.",
                    facts->target_version, facts->catalogue_text[0] ? ": " : "",
                    facts->catalogue_text);
        return;
    }
    if (known->build && facts->target_build && known->build != facts->target_build) {
        verdict_set(ret, WARN,
                    "The catalogue says that %s has build %u, and the release that was imported "
                    "under this name has build %u.",
                    facts->target_version, known->build, facts->target_build);
        ret->remedy = "Compare the file's digest with the vendor's, then correct the one that is "
                      "wrong.";
        return;
    }
    if (!target->floor_version[0] && !target->floor_build)
        add(lacks, sizeof lacks, ", the oldest version to upgrade from");
    if (target->java_count == 0)
        add(lacks, sizeof lacks, ", its Java");
    if (!target->postgresql[0])
        add(lacks, sizeof lacks, ", its databases");
    verdict_set(ret, OK, "%s of %s, from %s.%s%s%s", facts->target_version,
                target->date[0] ? target->date : "an unknown date",
                target->source[0] ? target->source : "an entry without a source",
                lacks[0] ? " Not known of it: " : "", lacks[0] ? lacks + 2 : "",
                lacks[0] ? "; checks that need it say so." : "");
}

/* Whole entries alone: what has no room is counted, never cut within a sentence. */
static void add_feature(const struct catalogue_feature *feature, char *text, size_t size,
                        size_t *left_out)
{
    char one[2400] = "";
    for (size_t i = 0; i < feature->noted_count; i++) {
        const struct catalogue_release *release = feature->noted[i];
        add(one, sizeof one, "\n%s: %s%s%s", release->text, release->note,
            release->note[0] && release->note_url[0] ? ", " : "", release->note_url);
    }
    if (strlen(text) + strlen(one) + 1 < size)
        add(text, size, "%s", one);
    else
        ++*left_out;
}

void judge_release_notes(const struct facts *facts, struct verdict *ret)
{
    struct catalogue_feature features[FEATURES_SHOWN];
    struct version from, to;
    char names[700] = "", bare[700] = "", notes[2200] = "";
    size_t left_out = 0, noted = 0;
    if (no_target(facts, ret))
        return;
    if (!version_parse(facts->site.version, &from) || !version_parse(facts->target_version, &to)) {
        verdict_set(ret, UNKNOWN, "Which versions lie between %s and %s cannot be told.",
                    installed(facts), facts->target_version);
        return;
    }
    size_t count = catalogue_features(catalogue_of(facts), facts->site.version,
                                      facts->target_version, features, FEATURES_SHOWN);
    size_t shown = count < FEATURES_SHOWN ? count : FEATURES_SHOWN;
    if (count == 0) {
        verdict_set(ret, OK, "%s and %s: no feature version is entered or skipped.",
                    facts->site.version, facts->target_version);
        return;
    }
    for (size_t i = 0; i < shown; i++) {
        add(names, sizeof names, "%s%s", names[0] ? ", " : "", features[i].name);
        noted += features[i].noted_count > 0;
        if (features[i].noted_count == 0)
            add(bare, sizeof bare, "%s%s", bare[0] ? ", " : "", features[i].name);
        else
            add_feature(&features[i], notes, sizeof notes, &left_out);
    }
    verdict_set(ret, noted > 0 ? WARN : INFO, "%zu feature version%s to be read about: %s.%s",
                count, count == 1 ? "" : "s", names, notes);
    if (left_out > 0)
        add(ret->evidence, sizeof ret->evidence, "\nand %zu more: confleet release show VERSION.",
            left_out);
    if (bare[0])
        add(ret->evidence, sizeof ret->evidence, "\nNo note is recorded for %s: read the vendor's.",
            bare);
    if (facts->catalogue_text[0])
        add(ret->evidence, sizeof ret->evidence, "\nThe shipped catalogue was not read: %s.",
            facts->catalogue_text);
}

/* Days since 1970 of a date that the catalogue has checked. */
static int64_t days_of(const char *date)
{
    int64_t number[3] = { 0 };
    for (size_t i = 0, at = 0; date[i]; i++) {
        if (date[i] == '-')
            at++;
        else if (at < 3)
            number[at] = number[at] * 10 + (date[i] - '0');
    }
    /* Years that begin in March end with the leap day. */
    int64_t year = number[0] - (number[1] <= 2), month = (number[1] + 9) % 12;
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + number[2] - 1 -
           719468;
}

void judge_release_support(const struct facts *facts, struct verdict *ret)
{
    const struct catalogue_release *target = target_of(facts);
    if (no_target(facts, ret))
        return;
    if (!target->eol[0]) {
        verdict_set(ret, UNKNOWN, "When the support of %s ends is not known.",
                    facts->target_version);
        return;
    }
    int64_t left = days_of(target->eol) - facts->at_ms / (24LL * 3600 * 1000);
    if (left < 0)
        verdict_set(ret, WARN, "The support of %s ended at %s, %lld days ago.",
                    facts->target_version, target->eol, (long long)-left);
    else if (left < SUPPORT_DAYS)
        verdict_set(ret, WARN, "The support of %s ends at %s, in %lld days.", facts->target_version,
                    target->eol, (long long)left);
    else
        verdict_set(ret, OK, "%s is supported until %s%s.", facts->target_version, target->eol,
                    strcmp(target->lts, "yes") == 0 ? ", as a release of long-term support" : "");
}

/* clang-format off */
const struct check_def checks_path[] = {
    { "version-path", "Build numbers of the release and of the installed version",
      "Choose a release with a higher build number.",
      judge_version_path, NEED_FILES | NEED_CATALOGUE,
      "A start with a build below that of the home is refused; going back means restoring a backup." },
    { "upgrade-floor", "Oldest version from which the release can be reached",
      "See the vendor's upgrade path and record the floor: confleet release import FILE with "
      "upgrade_from.",
      judge_upgrade_floor, NEED_FILES | NEED_CATALOGUE,
      "Each release can be upgraded to from a certain version on; from 8.9 on that is 6.0.5 at the "
      "oldest." },
    { "upgrade-finished", "Traces of an earlier upgrade that was not finished",
      "Look into the application log of that time; restore home and database from before it, or "
      "finish it.",
      judge_upgrade_finished, NEED_FILES | NEED_DATABASE,
      "An upgrade that failed is repaired by restoring home and database together before the next." },
    { "release-known", "What the catalogue knows of the release",
      "Record it: confleet release import FILE.",
      judge_release_known, NEED_CATALOGUE, NULL },
    { "release-notes", "Release and upgrade notes of the versions between",
      "Read them, and write the versions into the plan: notes_read: [8.9, 9.0].",
      judge_release_notes, NEED_CATALOGUE,
      "The notes of each version between the installed one and the new one are to be read." },
    { "release-support", "How long the release is supported",
      "Choose a release that is supported for longer: confleet release list.",
      judge_release_support, NEED_CATALOGUE,
      "A feature version gets fixes until its end of support, and none after it." },
    { "artifact", "File of the release",
      "Fetch it again.",
      judge_artifact, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
