/* Judges of what the site is: set up, builds, home, nodes. */
#include "agent/worker/checks/check.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

void judge_setup_complete(const struct facts *facts, struct verdict *ret)
{
    const struct installation *site = &facts->site;
    if (!site->home && site->home_hidden)
        verdict_set(ret, UNKNOWN, "Which home this installation uses is not known. %.1000s",
                    str_text(&site->notes));
    else if (site->home && !site->has_config && site->config_hidden)
        verdict_set(ret, UNKNOWN, "%s/confluence.cfg.xml may not be read by this account.",
                    site->home);
    else if (!site->home)
        verdict_set(ret, BLOCK, "The installation names no home that can be found out. %.1000s",
                    str_text(&site->notes));
    else if (!site->has_config)
        verdict_set(ret, BLOCK, "%s/confluence.cfg.xml cannot be read. %.1000s", site->home,
                    site->config_why);
    else if (strcmp(site->setup_step, "complete") != 0)
        verdict_set(ret, BLOCK, "The set-up stands at '%s', a live site says 'complete'.",
                    site->setup_step[0] ? site->setup_step : "(nothing)");
    else
        verdict_set(ret, OK, "Set-up complete, home %s.", site->home);
}

void judge_build_numbers(const struct facts *facts, struct verdict *ret)
{
    uint32_t app = facts->site.app_build, home = facts->site.home_build,
             database = facts->database.build;
    if (home && database && home != database)
        verdict_set(ret, BLOCK,
                    "Home has build %u, database has build %u: they are from different moments, or "
                    "an upgrade failed half-way.",
                    home, database);
    else if (app && home && app != home)
        verdict_set(ret, BLOCK, "The installation has build %u, its home has build %u: %s.", app,
                    home,
                    app > home ? "the next start would upgrade it"
                               : "an older version was put under a newer home");
    else if (app && database && app != database)
        verdict_set(ret, BLOCK, "The installation has build %u, the database has build %u.", app,
                    database);
    else if (!app || !home || !database)
        verdict_set(
            ret, UNKNOWN, "Not known: %s%s%s%s%s",
            !app ? "the installation's build (no default.properties in confluence-*.jar); " : "",
            !home ? "the home's build (confluence.cfg.xml); " : "",
            !database ? "the database's build: " : "", !database ? facts->database.build_text : "",
            !database && !facts->database.build_text[0] ? "not asked" : "");
    else
        verdict_set(ret, OK, "All three have build %u.", app);
}

void judge_home_inside(const struct facts *facts, struct verdict *ret)
{
    const struct installation *site = &facts->site;
    if (!site->home)
        verdict_set(ret, UNKNOWN, "The home is not known.");
    else if (site->home_absent && !site->home_inside)
        verdict_set(ret, UNKNOWN, "The home %s is not there, or may not be looked at.", site->home);
    else if (site->home_inside)
        verdict_set(
            ret, BLOCK,
            "The home %s lies in the installation %s: replacing the installation would destroy it.",
            site->home, site->install);
    else
        verdict_set(ret, OK, "Home %s, installation %s.", site->home, site->install);
}

void judge_files_outside(const struct facts *facts, struct verdict *ret)
{
    if (!facts->site.home || facts->outside_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The home cannot be looked at.");
    else if (facts->site.attachments)
        verdict_set(ret, BLOCK, "attachments.dir is %s, outside of the home %s.",
                    facts->site.attachments, facts->site.home);
    else if (facts->outside[0])
        verdict_set(ret, BLOCK, "A link in the home leads out of it: %s.", facts->outside);
    else if (facts->outside_allowed[0]) {
        verdict_set(ret, INFO,
                    "A link leads out of the home: %s. What is there is in no backup, and after a "
                    "rollback it is as the new version left it; Confluence can do without.",
                    facts->outside_allowed);
        ret->remedy = "After a rollback have the search index rebuilt if it is the index.";
    } else
        verdict_set(ret, OK, "No link of %s leads out of it, and attachments.dir does not either.",
                    facts->site.home);
}

void judge_one_node(const struct facts *facts, struct verdict *ret)
{
    if (!facts->site.has_config)
        verdict_set(ret, UNKNOWN,
                    "Without confluence.cfg.xml it is not known whether the site is a cluster.");
    else if (facts->site.clustered)
        verdict_set(
            ret, BLOCK,
            "confluence.cfg.xml describes a node of a cluster or a shared home outside of %s.",
            facts->site.home ? facts->site.home : "the home");
    else
        verdict_set(ret, OK, "A single node without a shared home.");
}

/* clang-format off */
const struct check_def checks_site[] = {
    { "setup-complete", "Set-up of Confluence",
      "Finish the set-up in the browser, or repair confluence.cfg.xml in the home.",
      judge_setup_complete, NEED_FILES, NULL },
    { "build-numbers", "Build numbers of application, home and database",
      "Restore home and database from one and the same moment, or finish the upgrade that "
      "was begun. Never edit the number.",
      judge_build_numbers, NEED_FILES | NEED_DATABASE, NULL },
    { "home-inside", "Place of the home",
      "Stop Confluence, move the home to a folder of its own and name it in "
      "confluence-init.properties.",
      judge_home_inside, NEED_FILES, NULL },
    { "files-outside", "Files outside of the home",
      "Move them into the home while Confluence is stopped; what lies elsewhere would not be "
      "backed up.",
      judge_files_outside, NEED_FILES, NULL },
    { "one-node", "Number of nodes",
      "Clusters and shared homes are not supported yet; upgrade this site by hand.",
      judge_one_node, NEED_FILES, NULL },
    { "other-run", "What earlier runs left",
      "confleet-agent status shows it; confleet-agent resume or confleet-agent rollback ends "
      "it.",
      judge_other_run, NEED_FILES, NULL },
    { "installer-made", "How the installation was made",
      "",
      judge_installer_made, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
