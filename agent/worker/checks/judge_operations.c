/* What runs beside and around the site. */
#include "agent/worker/checks/check.h"
#include "confleet/str.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define INDEX_LARGE (1024ULL * 1024 * 1024)

static judge_fn judge_scanners, judge_index, judge_access_mode, judge_collaborative, judge_tasks,
    judge_rolling, judge_clone_database, judge_clone_mail, judge_clone_links;

/* True when the part was not gathered; the verdict then says so. */
static bool missing(const struct facts *facts, struct verdict *ret)
{
    if (facts->operations.part.known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "%s",
                facts->operations.part.why[0] ? facts->operations.part.why : "not looked at");
    return true;
}

static void judge_scanners(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->scanners[0] || seen->fanotify[0])
        verdict_set(ret, WARN,
                    "Programs that open or lock files while others write them run here: %s%s%s.",
                    seen->scanners,
                    seen->scanners[0] && seen->fanotify[0] ? "; told of every "
                                                             "file event: "
                                                           : "",
                    seen->fanotify);
    else if (seen->processes_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The processes of this server cannot be listed.");
    else if (seen->fanotify_known != FACT_YES)
        verdict_set(ret, UNKNOWN,
                    "No known scanner runs; whether a program watches the file system is seen by "
                    "root alone.");
    else
        verdict_set(ret, OK, "No known scanner runs, and no program watches the file system.");
}

/* Which versions rebuild the index is not published, so a larger step is told as a likelihood. */
static void judge_index(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    struct version from, to;
    char size[24];
    if (missing(facts, ret))
        return;
    text_size(seen->index_bytes, size);
    bool known = facts->has_target && version_parse(facts->site.version, &from) &&
                 version_parse(facts->target_version, &to);
    if (seen->index_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The size of the index is not known: %s.", seen->index_why);
    else if (known && version_same_feature(&from, &to))
        verdict_set(ret, OK,
                    "The index has %s in %llu files; %s is a bug-fix release of the same "
                    "line, which rarely rebuilds it.",
                    size, (unsigned long long)seen->index_files, facts->target_version);
    else if (known && seen->index_bytes >= INDEX_LARGE)
        verdict_set(ret, WARN,
                    "The index has %s, and %s is another feature release: it may be rebuilt after "
                    "the start, with load and incomplete search for as long.",
                    size, facts->target_version);
    else
        verdict_set(ret, INFO,
                    "The index has %s in %llu files. Whether the release rebuilds it is "
                    "not known.",
                    size, (unsigned long long)seen->index_files);
}

static void judge_access_mode(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->config_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml cannot be read: %s.", seen->node_count_why);
    else if (strcmp(seen->access_mode, "READ_ONLY") == 0)
        verdict_set(ret, WARN, "The site is in read-only mode (access.mode is READ_ONLY).");
    else if (strcmp(seen->access_mode, "READ_WRITE") == 0)
        verdict_set(ret, OK, "The site is in read-write mode.");
    else
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml does not tell the mode%s%s.",
                    seen->access_mode[0] ? ": access.mode is " : "", seen->access_mode);
}

static void judge_collaborative(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->config_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml cannot be read: %s.", seen->node_count_why);
    else if (strcmp(seen->synchrony, "true") == 0)
        verdict_set(ret, INFO,
                    "Collaborative editing is set up (synchrony.btf). Drafts that nobody published "
                    "live in Synchrony's tables; they are in the backup like all tables. Ask "
                    "people to publish before the stop.");
    else if (strcmp(seen->synchrony, "false") == 0)
        verdict_set(ret, OK, "Collaborative editing is switched off.");
    else
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml does not tell whether it is used.");
}

static void judge_tasks(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->tasks_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The list of tasks could not be asked for: %s.", seen->tasks_why);
    else if (seen->tasks_running > 0)
        verdict_set(ret, WARN, "%u long tasks are running, such as an export or an import.",
                    seen->tasks_running);
    else
        verdict_set(ret, OK, "%s",
                    facts->site.pid ? "No long task is running."
                                    : "Confluence is stopped and runs no task.");
}

/* The vendor's table (facts 6): below 7.8 never; to 7.13 within a feature release; from 7.14 also
 * to the next one; never across a platform release. */
static bool rolling_allowed(const struct version *from, const struct version *to)
{
    if (!version_at_least(from, 7, 8) || from->numbers[0] != to->numbers[0])
        return false;
    if (version_same_feature(from, to))
        return true;
    return version_at_least(from, 7, 14) && to->numbers[1] == from->numbers[1] + 1;
}

static void judge_rolling(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    struct version from, to;
    if (missing(facts, ret))
        return;
    if (seen->config_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml cannot be read: %s.", seen->node_count_why);
    else if (!seen->clustered)
        verdict_set(ret, OK, "A single node: it is stopped for the upgrade in any case.");
    else if (!facts->has_target || !version_parse(facts->site.version, &from) ||
             !version_parse(facts->target_version, &to))
        verdict_set(ret, UNKNOWN,
                    "A cluster%s; without both versions it cannot be told whether a "
                    "rolling upgrade is allowed.",
                    seen->peers ? " with peers" : "");
    else if (rolling_allowed(&from, &to))
        verdict_set(ret, INFO,
                    "A cluster (%u peers named). From %s to %s a rolling upgrade is allowed with a "
                    "Data Center licence and two nodes or more.",
                    seen->peers, facts->site.version, facts->target_version);
    else
        verdict_set(ret, WARN,
                    "A cluster (%u peers named). From %s to %s no rolling upgrade is allowed: all "
                    "nodes must be stopped together.",
                    seen->peers, facts->site.version, facts->target_version);
}

static void judge_clone_database(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->same_database[0])
        verdict_set(ret, BLOCK,
                    "The database is also that of: %s. Two Confluences on one database destroy it.",
                    seen->same_database);
    else if (!seen->by_controller)
        verdict_set(ret, UNKNOWN,
                    "Here it is not known which databases other sites use; the controller's check "
                    "and its plans look at that.");
    else
        verdict_set(ret, OK, "No other site of the fleet names this database.");
}

static void judge_clone_mail(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->env == ENV_PRODUCTION)
        verdict_set(ret, OK, "Not a test site.");
    else if (seen->mail_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "bin/setenv.sh cannot be read or sets it in an unclear way.");
    else if (!seen->mail_send_off || !seen->mail_fetch_off)
        verdict_set(ret, WARN, "A test site that may %s%s%s mail as production does.",
                    seen->mail_send_off ? "" : "send",
                    !seen->mail_send_off && !seen->mail_fetch_off ? " and " : "",
                    seen->mail_fetch_off ? "" : "fetch");
    else
        verdict_set(ret, OK, "Mail is switched off on this test site.");
}

static void judge_clone_links(const struct facts *facts, struct verdict *ret)
{
    const struct facts_operations *seen = &facts->operations;
    if (missing(facts, ret))
        return;
    if (seen->env == ENV_PRODUCTION)
        verdict_set(ret, OK, "Not a test site.");
    else if (seen->links_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The database was not asked: %s.", seen->links_why);
    else if (seen->links > 0)
        verdict_set(ret, WARN,
                    "The database holds %llu settings of application links. A copy of production "
                    "answers other applications under production's own id.",
                    (unsigned long long)seen->links);
    else
        verdict_set(ret, UNKNOWN,
                    "None was found where links are thought to be kept; that is no proof.");
}

/* clang-format off */
const struct check_def checks_operations[] = {
    { "scanners", "Scanners that can interfere with files",
      "Exclude the home, the installation and the backup folder from scanning while upgrades run.",
      judge_scanners, NEED_PROCESSES,
      "Stop anti-virus software during the upgrade (upgrade guide)." },
    { "index", "Size of the search index",
      "Plan a window with room for a rebuild, and look at the queue afterwards.",
      judge_index, NEED_FILES | NEED_CATALOGUE,
      "An upgrade may rebuild the index." },
    { "access-mode", "Access mode",
      "End read-only mode unless it is meant to stay; the upgrade leaves it as it is.",
      judge_access_mode, NEED_FILES, NULL },
    { "collaborative-editing", "Collaborative editing",
      "Ask people to publish their drafts before the window.",
      judge_collaborative, NEED_FILES, NULL },
    { "long-tasks", "Long tasks that are running",
      "Wait until they are done, or stop them in the administration. A token_file in the agent's "
      "policy lets it look.",
      judge_tasks, NEED_HTTP, NULL },
    { "rolling-upgrade", "Nodes, and whether a rolling upgrade is allowed",
      "Plan an outage for all nodes, or go by feature releases one at a time.",
      judge_rolling, NEED_FILES | NEED_CATALOGUE,
      "From 7.8 within a feature release, from 7.14 also to the next one, never across platform "
      "releases." },
    { "clone-database", "Database that other sites use, too",
      "Stop this site, and give it a database of its own before it is started again.",
      judge_clone_database, NEED_DATABASE,
      "A copy must never start on the database of the original." },
    { "clone-mail", "Mail of a test site",
      "Add -Datlassian.mail.senddisabled=true -Datlassian.mail.fetchdisabled=true to "
      "CATALINA_OPTS in bin/setenv.sh.",
      judge_clone_mail, NEED_FILES | NEED_PROCESSES,
      "Switch off mail on copies for testing." },
    { "clone-links", "Application links of a test site",
      "Remove the links on the copy before it can reach other applications.",
      judge_clone_links, NEED_DATABASE,
      "Unlink copies for testing." },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
