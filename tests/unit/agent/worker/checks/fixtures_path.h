/* Fixtures of the family path. */
#pragma once
#include "fixtures.h"

static void goes(struct facts *facts, const char *from, uint32_t from_build, const char *to)
{
    const struct catalogue_release *found = catalogue_find(facts->catalogue, to);
    (void)snprintf(facts->site.version, sizeof facts->site.version, "%s", from);
    facts->site.app_build = facts->site.home_build = facts->database.build = from_build;
    (void)snprintf(facts->target_version, sizeof facts->target_version, "%s", to);
    facts->source->target = (struct catalogue_release){ 0 };
    facts->catalogued = (struct catalogue_release){ 0 };
    if (found)
        facts->source->target = facts->catalogued = *found;
    facts->target_build = facts->source->target.build;
    (void)snprintf(facts->source->target.text, sizeof facts->source->target.text, "%s", to);
}
static void path_same(struct facts *facts)
{
    facts->target_build = 9109;
}
static void path_back(struct facts *facts)
{
    facts->target_build = 9108;
}
static void path_back_by_version(struct facts *facts)
{
    goes(facts, "10.2.1", 0, "9.2.21");
}
static void path_higher_build_of_older(struct facts *facts)
{
    goes(facts, "9.3.1", 9110, "9.2.21");
}
static void path_very_old(struct facts *facts)
{
    goes(facts, "5.5.3", 5515, "9.2.21");
}
static void path_unknown_build(struct facts *facts)
{
    facts->target_build = 0;
}
static void path_no_target(struct facts *facts)
{
    facts->has_target = false;
}
static void floor_above(struct facts *facts)
{
    goes(facts, "7.18.1", 0, "9.2.21");
}
static void floor_above_no_way(struct facts *facts)
{
    goes(facts, "5.9.1", 0, "9.2.21");
}
static void floor_unknown_far(struct facts *facts)
{
    goes(facts, "8.5.4", 9012, "10.2.1");
}
static void floor_unknown(struct facts *facts)
{
    goes(facts, "9.2.13", 9109, "10.2.1");
}
static void floor_far_enough(struct facts *facts)
{
    goes(facts, "8.5.4", 9012, "9.2.21");
}
static void floor_same_feature(struct facts *facts)
{
    goes(facts, "10.2.0", 0, "10.2.1");
}
static void floor_same(struct facts *facts)
{
    goes(facts, "9.2.21", 9116, "9.2.21");
}
static void floor_same_without_builds(struct facts *facts)
{
    goes(facts, "10.2.1", 0, "10.2.1");
    facts->target_build = 0;
}
static void floor_back(struct facts *facts)
{
    goes(facts, "9.2.21", 9116, "9.2.13");
}
static void floor_odd_version(struct facts *facts)
{
    goes(facts, "custom", 9109, "9.2.21");
}
static void left_unequal(struct facts *facts)
{
    facts->database.build = 9111;
}
static void left_below(struct facts *facts)
{
    facts->site.app_build = 9116;
}
static void left_locked(struct facts *facts)
{
    facts->history.lock_build = 9116;
}
static void left_lock_of_old(struct facts *facts)
{
    facts->history.lock_build = 9109;
    facts->history.recovery_to = 9109;
    facts->history.finalized_build = 9109;
}
static void left_rolling(struct facts *facts)
{
    facts->history.finalized_build = 9100;
}
static void left_recovery(struct facts *facts)
{
    facts->history.recovery_from = 9109;
    facts->history.recovery_to = 9116;
    (void)snprintf(facts->history.recovery, sizeof facts->history.recovery,
                   "upgradeRecoveryFile-9109-9116-before.xml.gz");
}
static void left_unseen(struct facts *facts)
{
    facts->history.lock_known = FACT_UNKNOWN;
    (void)snprintf(facts->history.lock_text, FACT_TEXT, "permission denied for confversion");
}
static void left_home_unseen(struct facts *facts)
{
    facts->history.recovery_known = FACT_UNKNOWN;
    (void)snprintf(facts->history.recovery_text, FACT_TEXT, "recovery: Permission denied");
}
static void left_not_gathered(struct facts *facts)
{
    facts->history.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->history.part.why, FACT_TEXT, "not found out within 20 s");
}
static void left_no_numbers(struct facts *facts)
{
    facts->site.home_build = facts->database.build = 0;
}
static void known_not(struct facts *facts)
{
    goes(facts, "9.2.13", 9109, "9.9.9");
    (void)snprintf(facts->catalogue_text, FACT_TEXT, "/c.csv: No such file");
}
static void known_by_import(struct facts *facts)
{
    goes(facts, "9.2.13", 9109, "9.9.9");
    (void)snprintf(facts->source->target.date, 16, "2026-06-01");
}
static void known_other_build(struct facts *facts)
{
    facts->target_build = 9117;
}
static void notes_with_text(struct facts *facts)
{
    goes(facts, "8.5.4", 9012, "8.7.1");
}
static void notes_bare(struct facts *facts)
{
    goes(facts, "9.2.13", 9109, "10.2.1");
}
static void notes_odd(struct facts *facts)
{
    goes(facts, "custom", 9109, "10.2.1");
}
static void support_over(struct facts *facts)
{
    (void)snprintf(facts->source->target.eol, 16, "2026-06-14");
}
static void support_near(struct facts *facts)
{
    (void)snprintf(facts->source->target.eol, 16, "2026-06-15");
}
static void support_unknown(struct facts *facts)
{
    facts->source->target.eol[0] = 0;
}
static void artifact_not_named(struct facts *facts)
{
    facts->has_artifact = false;
}
static void artifact_missing(struct facts *facts)
{
    facts->artifact_path.exists = FACT_NO;
}
static void artifact_empty(struct facts *facts)
{
    facts->artifact_bytes = 0;
}
static void artifact_folder(struct facts *facts)
{
    facts->artifact_path.is_dir = true;
}
static void artifact_short(struct facts *facts)
{
    facts->artifact_bytes = 99;
}
static void artifact_unseen(struct facts *facts)
{
    facts->artifact_path.exists = FACT_UNKNOWN;
}

static const struct fixture fixtures_path[] = {
    { "version-path", OK, NULL, "From 9.2.13 (build 9109) to 9.2.21 (build 9116)" },
    { "version-path", INFO, path_no_target, "No release was named" },
    { "version-path", BLOCK, path_same, "nothing to upgrade" },
    { "version-path", BLOCK, path_back, "not an upgrade" },
    { "version-path", BLOCK, path_back_by_version, "older than the installed 10.2.1" },
    { "version-path", BLOCK, path_very_old, "6.0.5" },
    { "version-path", WARN, path_higher_build_of_older, "older than" },
    { "version-path", UNKNOWN, path_unknown_build, "build number of the release" },
    { "upgrade-floor", OK, NULL, "One upgrade" },
    { "upgrade-floor", OK, floor_far_enough, "from 7.19.0 on" },
    { "upgrade-floor", OK, floor_same_feature, "one feature version" },
    { "upgrade-floor", INFO, path_no_target, "No release was named" },
    { "upgrade-floor", INFO, floor_same, "9.2.21 is what is installed: nothing to upgrade" },
    { "upgrade-floor", INFO, floor_same_without_builds, "nothing to upgrade" },
    { "upgrade-floor", INFO, floor_back, "older than the installed 9.2.21: see version-path" },
    { "upgrade-floor", BLOCK, floor_above,
      "2 plans are to be written, one after the other: to "
      "8.5.4, then 9.2.21" },
    { "upgrade-floor", BLOCK, floor_above_no_way, "9.2.21 wants at least 7.19.0" },
    { "upgrade-floor", WARN, floor_unknown_far, "over more than one major" },
    { "upgrade-floor", UNKNOWN, floor_unknown, "directly is not known" },
    { "upgrade-floor", UNKNOWN, floor_odd_version, "'custom' cannot be read" },
    { "upgrade-finished", OK, NULL, "9109" },
    { "upgrade-finished", OK, left_lock_of_old, "9109" },
    { "upgrade-finished", WARN, left_unequal, "9111" },
    { "upgrade-finished", WARN, left_below, "never started" },
    { "upgrade-finished", WARN, left_locked, "locked for an upgrade to build 9116" },
    { "upgrade-finished", WARN, left_rolling, "finalized build 9100" },
    { "upgrade-finished", WARN, left_recovery, "upgradeRecoveryFile-9109-9116" },
    { "upgrade-finished", UNKNOWN, left_unseen, "permission denied" },
    { "upgrade-finished", UNKNOWN, left_home_unseen, "Permission denied" },
    { "upgrade-finished", UNKNOWN, left_not_gathered, "within 20 s" },
    { "upgrade-finished", UNKNOWN, left_no_numbers, "build numbers" },
    { "release-known", OK, NULL, "9.2.21 of 2026-06-02, from TEST." },
    { "release-known", OK, known_by_import, "Not known of it: the oldest version to upgrade from" },
    { "release-known", INFO, path_no_target, "No release was named" },
    { "release-known", WARN, known_other_build, "build 9117" },
    { "release-known", UNKNOWN, known_not, "not in the catalogue of releases: /c.csv" },
    { "release-notes", OK, NULL, "no feature version" },
    { "release-notes", INFO, notes_bare, "No note is recorded for 10.2" },
    { "release-notes", WARN, notes_with_text,
      "\n8.6.0: Data Center licence only\nNo note is "
      "recorded for 8.7" },
    { "release-notes", UNKNOWN, notes_odd, "cannot be told" },
    { "release-support", OK, NULL, "2027-12-10" },
    { "release-support", INFO, path_no_target, "No release was named" },
    { "release-support", WARN, support_over, "1 days ago" },
    { "release-support", WARN, support_near, "in 0 days" },
    { "release-support", UNKNOWN, support_unknown, "not known" },
    { "artifact", OK, NULL, "/var/a.tar.gz" },
    { "artifact", INFO, artifact_not_named, "No file was named" },
    { "artifact", BLOCK, artifact_missing, "does not exist" },
    { "artifact", BLOCK, artifact_empty, "empty" },
    { "artifact", BLOCK, artifact_folder, "a folder" },
    { "artifact", BLOCK, artifact_short, "99" },
    { "artifact", UNKNOWN, artifact_unseen, "cannot be looked at" },
    { NULL, OK, NULL, NULL },
};
