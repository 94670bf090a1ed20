/* Fixtures of the family operations. */
#pragma once
#include "fixtures.h"

static void ops_scanner(struct facts *facts)
{
    (void)snprintf(facts->operations.scanners, FACT_TEXT, "clamd (pid 5)");
}
static void ops_watcher(struct facts *facts)
{
    (void)snprintf(facts->operations.fanotify, FACT_TEXT, "watchd (pid 6)");
}
static void ops_no_processes(struct facts *facts)
{
    facts->operations.processes_known = FACT_UNKNOWN;
}
static void ops_not_root(struct facts *facts)
{
    facts->operations.fanotify_known = FACT_UNKNOWN;
}
static void ops_late(struct facts *facts)
{
    facts->operations.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->operations.part.why, FACT_TEXT, "not found out within 20 s");
}
static void ops_large_index(struct facts *facts)
{
    facts->operations.index_bytes = 5000000000;
    (void)snprintf(facts->target_version, sizeof facts->target_version, "9.3.1");
}
static void ops_small_index(struct facts *facts)
{
    (void)snprintf(facts->target_version, sizeof facts->target_version, "9.3.1");
}
static void ops_index_unseen(struct facts *facts)
{
    facts->operations.index_known = FACT_UNKNOWN;
    (void)snprintf(facts->operations.index_why, FACT_TEXT, "Permission denied");
}
static void ops_read_only(struct facts *facts)
{
    (void)snprintf(facts->operations.access_mode, 32, "READ_ONLY");
}
static void ops_no_mode(struct facts *facts)
{
    facts->operations.access_mode[0] = 0;
}
static void ops_no_config(struct facts *facts)
{
    facts->operations.config_known = FACT_UNKNOWN;
    (void)snprintf(facts->operations.node_count_why, FACT_TEXT, "Permission denied");
}
static void ops_synchrony(struct facts *facts)
{
    (void)snprintf(facts->operations.synchrony, 32, "true");
}
static void ops_synchrony_untold(struct facts *facts)
{
    facts->operations.synchrony[0] = 0;
}
static void ops_tasks(struct facts *facts)
{
    facts->operations.tasks_running = 2;
}
static void ops_tasks_unasked(struct facts *facts)
{
    facts->operations.tasks_known = FACT_UNKNOWN;
    (void)snprintf(facts->operations.tasks_why, FACT_TEXT, "HTTP status 401");
}
static void ops_rolling(struct facts *facts)
{
    facts->operations.clustered = true;
    facts->operations.peers = 2;
}
static void ops_rolling_not(struct facts *facts)
{
    ops_rolling(facts);
    (void)snprintf(facts->target_version, sizeof facts->target_version, "10.2.1");
}
static void ops_rolling_skips(struct facts *facts)
{
    ops_rolling(facts);
    (void)snprintf(facts->target_version, sizeof facts->target_version, "9.4.1");
}
static void ops_rolling_early(struct facts *facts)
{
    ops_rolling(facts);
    (void)snprintf(facts->site.version, sizeof facts->site.version, "7.8.1");
    (void)snprintf(facts->target_version, sizeof facts->target_version, "7.9.0");
}
static void ops_rolling_next(struct facts *facts)
{
    ops_rolling(facts);
    (void)snprintf(facts->target_version, sizeof facts->target_version, "9.3.1");
}
static void ops_rolling_unknown(struct facts *facts)
{
    ops_rolling(facts);
    facts->has_target = false;
}
static void ops_shared(struct facts *facts)
{
    (void)snprintf(facts->operations.same_database, FACT_TEXT, "wiki");
}
static void ops_alone(struct facts *facts)
{
    facts->operations.by_controller = false;
}
static void ops_test_site(struct facts *facts)
{
    facts->operations.env = ENV_TEST;
}
static void ops_test_sends(struct facts *facts)
{
    ops_test_site(facts);
    facts->operations.mail_fetch_off = true;
}
static void ops_test_quiet(struct facts *facts)
{
    ops_test_site(facts);
    facts->operations.mail_fetch_off = facts->operations.mail_send_off = true;
}
static void ops_test_mail_unknown(struct facts *facts)
{
    ops_test_site(facts);
    facts->operations.mail_known = FACT_UNKNOWN;
}
static void ops_test_links(struct facts *facts)
{
    ops_test_site(facts);
    facts->operations.links = 3;
}
static void ops_test_links_unknown(struct facts *facts)
{
    ops_test_site(facts);
    facts->operations.links_known = FACT_UNKNOWN;
    (void)snprintf(facts->operations.links_why, FACT_TEXT, "the database is mysql");
}

static const struct fixture fixtures_operations[] = {
    { "scanners", OK, NULL, "No known scanner" },
    { "scanners", WARN, ops_scanner, "clamd (pid 5)" },
    { "scanners", WARN, ops_watcher, "watchd (pid 6)" },
    { "scanners", UNKNOWN, ops_no_processes, "cannot be listed" },
    { "scanners", UNKNOWN, ops_not_root, "root alone" },
    { "scanners", UNKNOWN, ops_late, "within 20 s" },
    { "index", OK, NULL, "bug-fix release" },
    { "index", WARN, ops_large_index, "5.0 GB" },
    { "index", INFO, ops_small_index, "not known" },
    { "index", UNKNOWN, ops_index_unseen, "Permission denied" },
    { "access-mode", OK, NULL, "read-write" },
    { "access-mode", WARN, ops_read_only, "READ_ONLY" },
    { "access-mode", UNKNOWN, ops_no_mode, "does not tell" },
    { "access-mode", UNKNOWN, ops_no_config, "Permission denied" },
    { "collaborative-editing", OK, NULL, "switched off" },
    { "collaborative-editing", INFO, ops_synchrony, "publish" },
    { "collaborative-editing", UNKNOWN, ops_synchrony_untold, "does not tell" },
    { "collaborative-editing", UNKNOWN, ops_no_config, "cannot be read" },
    { "long-tasks", OK, NULL, "No long task" },
    { "long-tasks", WARN, ops_tasks, "2 long tasks" },
    { "long-tasks", UNKNOWN, ops_tasks_unasked, "401" },
    { "rolling-upgrade", OK, NULL, "single node" },
    { "rolling-upgrade", INFO, ops_rolling, "is allowed" },
    { "rolling-upgrade", INFO, ops_rolling_next, "is allowed" },
    { "rolling-upgrade", WARN, ops_rolling_not, "stopped together" },
    { "rolling-upgrade", WARN, ops_rolling_skips, "stopped together" },
    { "rolling-upgrade", WARN, ops_rolling_early, "stopped together" },
    { "rolling-upgrade", UNKNOWN, ops_rolling_unknown, "cannot be told" },
    { "rolling-upgrade", UNKNOWN, ops_no_config, "cannot be read" },
    { "clone-database", OK, NULL, "No other site" },
    { "clone-database", BLOCK, ops_shared, "wiki" },
    { "clone-database", UNKNOWN, ops_alone, "Here it is not known" },
    { "clone-mail", OK, NULL, "Not a test site" },
    { "clone-mail", OK, ops_test_quiet, "switched off" },
    { "clone-mail", WARN, ops_test_site, "send and fetch" },
    { "clone-mail", WARN, ops_test_sends, "may send mail" },
    { "clone-mail", UNKNOWN, ops_test_mail_unknown, "setenv.sh" },
    { "clone-links", OK, NULL, "Not a test site" },
    { "clone-links", WARN, ops_test_links, "3 settings" },
    { "clone-links", UNKNOWN, ops_test_site, "no proof" },
    { "clone-links", UNKNOWN, ops_test_links_unknown, "mysql" },
    { NULL, OK, NULL, NULL },
};
