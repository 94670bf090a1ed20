#include "controller/cli/commands.h"

#define JSON_OPTION                                                                                \
    {                                                                                              \
        "json", 0, NULL, "print JSON", .needed = false                                             \
    }
#define TIMEOUT_OPTION                                                                             \
    {                                                                                              \
        "timeout", 0, "D", "wait at most so long (exit status 7), such as 30m",                    \
            .complete = "30s|10m|1h"                                                               \
    }

static const struct cli_option json_options[] = { JSON_OPTION, { 0 } };
static const struct cli_option agent_token_options[] = {
    { "join", 0, "FILE", "file to write, for the new server", .needed = true, .complete = "file" },
    { "ttl", 0, "D", "how long the token is good; 1h", .complete = "15m|1h|1d" },
    { 0 }
};
static const struct cli_option agent_accept_options[] = {
    { "fingerprint", 0, "F", "as 'confleet-agent enrol' printed it on the server", .needed = true },
    { 0 }
};
static const struct cli_option agent_revoke_options[] = {
    { "reason", 0, "R", "why, for the audit record", .needed = true }, { 0 }
};
static const struct cli_option operator_token_options[] = {
    { "role", 0, "R", "viewer, operator, approver or admin", .needed = true,
      .complete = "viewer|operator|approver|admin" },
    { "join", 0, "FILE", "file to write, for the new operator", .needed = true,
      .complete = "file" },
    { "ttl", 0, "D", "how long the token is good; 1h", .complete = "15m|1h|1d" },
    { 0 }
};
static const struct cli_option operator_revoke_options[] = {
    { "reason", 0, "R", "why, for the audit record", .needed = false }, { 0 }
};
static const struct cli_option site_set_options[] = {
    { "node", 0, "HOST:INSTALL", "the site's installation: path or id as in 'agent show HOST'",
      .needed = false },
    { "no-node", 0, "HOST:INSTALL", "takes it away again, as when a site has moved to another server",
      .needed = false },
    { "covers", 0, "SITE", "production site that this test site stands for, besides those it has", .complete = "site" },
    { 0 }
};
static const struct cli_option check_options[] = {
    { "label", 'l', "KEY=VALUE", "only sites with this label; may be repeated", .many = true },
    { "to", 0, "VERSION", "readiness for this release", .complete = "release" },
    { "severity", 0, "S", "details from this one on: ok, info, unknown, warn, block",
      .complete = "ok|info|unknown|warn|block" },
    { "all", 'a', NULL, "show what is in order too", .needed = false },
    { "csv", 0, NULL, "print CSV, one finding a row", .needed = false },
    { "html", 0, "FILE", "write one page with everything to this file", .complete = "file" },
    { "timeout", 0, "D", "who was not heard of by then is silent (exit status 7); 10m",
      .complete = "1m|10m|1h" },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option waive_options[] = {
    { "until", 0, "T", "2h, 3d, or a time in UTC such as 2026-12-24T18:00Z; half a year at most",
      .needed = true, .complete = "1d|7d|30d" },
    { "reason", 0, "R", "why; it is signed, audited and shown with the finding", .needed = true },
    { 0 }
};
#define FULL_SPEED_OPTION                                                                          \
    { "full-speed", 0, NULL, "without the server's backup_rate, with all its cores",               \
      .needed = false }
static const struct cli_option backup_options[] = { FULL_SPEED_OPTION, TIMEOUT_OPTION, JSON_OPTION,
                                                    { 0 } };
static const struct cli_option restore_options[] = {
    { "into", 0, "NAME", "folder to be made in the server's drill_dir", .needed = true },
    FULL_SPEED_OPTION,
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option release_list_options[] = {
    { "all", 'a', NULL, "every release that is known", .needed = false },
    { "feature", 0, "V", "those of one feature version, such as 9.2", .needed = false },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option release_import_options[] = {
    { "artifact", 0, "FILE", "the vendor's archive or installer", .complete = "file" },
    { "version", 0, "V", "its version, such as 9.2.13", .needed = false },
    { "build", 0, "N", "its build number; the agent compares it with what it unpacks",
      .needed = false },
    { "date", 0, "D", "its release date, yyyy-mm-dd", .needed = false },
    { 0 }
};
static const struct cli_option licence_options[] = {
    { "to", 0, "VERSION", "whether it covers this release", .complete = "release" },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option app_import_options[] = {
    { "replace", 0, NULL, "what was known before goes", .needed = false }, { 0 }
};
#define APP_MORE                                                                                   \
    "FILE is JSON, for example a marketplace's answers brought into this form:\n\n"                 \
    "  { \"source\": \"marketplace\", \"date\": \"2026-06-01\", \"apps\": [\n"                        \
    "    { \"key\": \"com.example.app\", \"name\": \"Example\", \"versions\": [\n"                    \
    "      { \"name\": \"2.3.1\", \"from\": \"8.5.0\", \"to\": \"9.2\", \"dataCenter\": true } ] } ] "  \
    "}\n\n"                                                                                        \
    "name is the app's version, \"*\" any; from and to are Confluence's, both included, and 9.2 "  \
    "stands for all\n9.2.x. \"blocks\": true says that outside this range the app keeps "         \
    "Confluence from starting: where it is\nenabled, no upgrade begins. An entry takes the place "  \
    "of the one of that app, version and range.\nNothing is fetched."
static const struct cli_option apply_options[] = {
    { "inputs", 0, "X", "only if it still comes to what 'confleet plan' printed", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    { "detach", 'd', NULL, "do not follow it", .needed = false },
    { "watch", 0, "BOOL", "false: show its state once", .complete = "true|false" },
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option status_options[] = {
    { "watch", 0, "BOOL", "false: show it once; exit status 2 while it runs",
      .complete = "true|false" },
    { "all", 'a', NULL, "show every site once, however many", .needed = false },
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option reason_options[] = {
    { "reason", 0, "R", "why; it is signed, audited and reported", .needed = true },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option approve_options[] = {
    { "reason", 0, "R", "why, for the audit record", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option hold_options[] = {
    { "until", 0, "T", "2h, 3d, or a time in UTC such as 2026-12-24T18:00Z", .needed = true,
      .complete = "2h|1d|3d" },
    { "reason", 0, "R", "why, for those who wait", .needed = true },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option unhold_options[] = {
    { "reason", 0, "R", "why, for the audit record", .needed = false }, JSON_OPTION, { 0 }
};
static const struct cli_option commit_options[] = {
    { "site", 0, "SITE", "whose soak ends now", .needed = true, .complete = "site" },
    { "reason", 0, "R", "why, for the audit record", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    JSON_OPTION,
    { 0 }
};
static const struct cli_option rollback_options[] = {
    { "site", 0, "SITE", "which site goes back", .complete = "site" },
    { "stage", 0, "STAGE", "all sites of this stage go back", .needed = false },
    { "reason", 0, "R", "why, for the audit record", .needed = false },
    { "plan", 0, NULL, "only show what would be lost", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    { "detach", 'd', NULL, "do not follow it", .needed = false },
    { "watch", 0, "BOOL", "false: show its state once", .complete = "true|false" },
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option report_options[] = {
    { "format", 0, "F", "text, json or html", .complete = "text|json|html" }, JSON_OPTION, { 0 }
};
static const struct cli_option audit_list_options[] = {
    { "after", 0, "N", "only records after this one", .needed = false }, JSON_OPTION, { 0 }
};
static const struct cli_option logs_options[] = {
    { "follow", 'f', NULL, "wait for more", .needed = false }, JSON_OPTION, { 0 }
};

#define ONE_ACTIVE                                                                                 \
    "ID may be left out where one rollout is active, or none and the newest is halted."

#define PLAN_MORE                                                                                  \
    "A plan file:\n"                                                                               \
    "\n"                                                                                           \
    "  name: spring-upgrade\n"                                                                     \
    "  release: 9.2.13\n"                                                                          \
    "  notes_read: [\"9.1\", \"9.2\"]\n"                                                           \
    "  stages:\n"                                                                                  \
    "    - name: test\n"                                                                           \
    "      select: { env: test }\n"                                                                \
    "    - name: production\n"                                                                     \
    "      select: { env: production }\n"                                                          \
    "      needs: { stage: test, approvals: 2, covered: true }\n"                                  \
    "      batch: [1, 3, rest]\n"                                                                  \
    "      soak: 24h\n"                                                                            \
    "      estimate: 45m\n"                                                                        \
    "      window: { days: [sat], from: \"02:00\", for: 4h, tz: Europe/Berlin }\n"                 \
    "      gate: { max_failed: 1, max_silent: 0, max_rolled_back: 0 }\n"                           \
    "  gate: { max_failed: 2 }\n"                                                                  \
    "  site_windows: { site: wiki, window: { from: \"20:00\", for: 10h, tz: UTC } }\n"             \
    "  freeze: { from: 2026-12-20, to: 2027-01-06, reason: year end, tz: UTC }\n"                  \
    "  silence: 10m\n"                                                                             \
    "  expires: 14d\n"                                                                             \
    "  on_failure: rollback\n"                                                                     \
    "\n"                                                                                           \
    "Left out: one site at a time, soak 24h, estimate 30m, no site may fail or fall "              \
    "silent, one approval before production, any time, 7d. A stage begins when the "               \
    "one it needs (the one before it) is through and soaked. Nothing starts when "                 \
    "less than the estimate is left of its window. Clock changes: a skipped time is "              \
    "the end of the gap, a doubled one its first coming; \"for\" is elapsed time. "                \
    "The line \"inputs\" says what the plan comes to; give it to apply --inputs, and "             \
    "nothing starts when that has changed since (exit status 3).\n"                                \
    "\n"                                                                                           \
    "Exit status 2: there is work."

const struct command cli_commands[] = {
    { "enrol", "JOINFILE", 1, 1, NULL, "make keys and join the controller of a join file", "file",
      cmd_enrol, NULL },
    { "agent list", "", 0, 0, json_options, "agents and whether they are online", NULL,
      cmd_agent_list, NULL },
    { "agent show", "HOST", 1, 1, json_options, "one agent and its installations", "agent",
      cmd_agent_show, NULL },
    { "agent token", "HOST", 1, 1, agent_token_options, "a one-time token for a new agent", NULL,
      cmd_agent_token, NULL },
    { "agent accept", "HOST", 1, 1, agent_accept_options, "let an enrolled agent in", "agent",
      cmd_agent_accept, NULL },
    { "agent revoke", "HOST", 1, 1, agent_revoke_options, "refuse an agent's key from now on",
      "agent", cmd_agent_revoke, NULL },
    { "operator list", "", 0, 0, json_options, "operators and their roles", NULL, cmd_operator_list,
      NULL },
    { "operator token", "NAME", 1, 1, operator_token_options, "a one-time token for a new operator",
      NULL, cmd_operator_token, NULL },
    { "operator revoke", "NAME", 1, 1, operator_revoke_options,
      "refuse an operator's key from now on", "operator", cmd_operator_revoke, NULL },
    { "site list", "", 0, 0, json_options, "the inventory", NULL, cmd_site_list, NULL },
    { "site show", "SITE", 1, 1, json_options, "all that is known of one site", "site",
      cmd_site_show, NULL },
    { "site set", "SITE [KEY=VALUE…]", 1, -1, site_set_options, "make or change a site", "site",
      cmd_site_set, NULL },
    { "check", "[SITE…]", 0, -1, check_options, "check readiness; changes nothing", "site",
      cmd_check,
      "A matrix of sites and families of checks, worst first, then each finding once with the "
      "sites it\nwas seen on, and what changed since the check before. Exit status: 3 when "
      "something blocks, 7 when a\nsite stayed silent, 1 when a check failed, 2 for warnings and "
      "what could not be found out. What is\nwaived counts for none of these." },
    { "waive", "SITE CHECK", 2, 2, waive_options,
      "let an upgrade begin in spite of a finding, until a time", "site", cmd_waive,
      "Signed with this account's key (operator or admin) and verified again by the site's agent. "
      "The\nfinding stays what it is and is shown as waived. What the way back depends on cannot be "
      "waived." },
    { "waive list", "[SITE]", 0, 1, json_options, "what is waived, until when and why", "site",
      cmd_waive_list, NULL },
    { "unwaive", "SITE CHECK", 2, 2, unhold_options, "let a finding count again", "site",
      cmd_unwaive, NULL },
    { "plan", "FILE", 1, 1, json_options, "read a plan and show whom it touches; changes nothing",
      "file", cmd_plan, PLAN_MORE },
    { "apply", "FILE", 1, 1, apply_options, "sign a plan, start it and follow it", "file",
      cmd_apply, NULL },
    { "rollout list", "", 0, 0, json_options, "all rollouts", NULL, cmd_rollout_list, NULL },
    { "rollout status", "[ID]", 0, 1, status_options, "follow a rollout to its end", "rollout",
      cmd_rollout_status, NULL },
    { "rollout history", "[SITE]", 0, 1, json_options,
      "rollouts that are over; or what each did with one site", "site", cmd_rollout_history, NULL },
    { "rollout pause", "[ID]", 0, 1, reason_options,
      "start nothing new; sites at work go on to their end", "rollout", cmd_rollout_pause,
      ONE_ACTIVE },
    { "rollout resume", "[ID]", 0, 1, reason_options,
      "go on after a pause or a halt; gates count anew", "rollout", cmd_rollout_resume,
      ONE_ACTIVE },
    { "rollout approve", "[ID] STAGE", 1, 2, approve_options,
      "show what a stage would do, ask, and sign for it", "rollout", cmd_rollout_approve,
      ONE_ACTIVE },
    { "rollout retry", "[ID] SITE", 1, 2, reason_options, "try a site once more", "site",
      cmd_rollout_retry, ONE_ACTIVE },
    { "rollout skip", "[ID] SITE", 1, 2, reason_options, "leave a site out and go on", "site",
      cmd_rollout_skip, ONE_ACTIVE },
    { "rollout abort", "[ID]", 0, 1, reason_options,
      "stop for good; sites at work go to their nearest safe end", "rollout", cmd_rollout_abort,
      ONE_ACTIVE },
    { "rollout commit", "[ID]", 0, 1, commit_options, "end a site's soak early", "rollout",
      cmd_rollout_commit, ONE_ACTIVE },
    { "rollback", "[ID]", 0, 1, rollback_options,
      "take a site or a stage back to the state of its stop, and follow it", "rollout",
      cmd_rollback,
      "Shows the age of each backup and what would be lost, then asks. --plan only shows: exit "
      "status 2 when\nsomething can go back, 3 when nothing can. " ONE_ACTIVE },
    { "hold", "SITE|all", 1, 1, hold_options, "let nothing start until a time", "site", cmd_hold,
      "Beats every window and interrupts nothing that is at work." },
    { "hold list", "", 0, 0, json_options, "who is held, until when and why", NULL, cmd_hold_list,
      NULL },
    { "unhold", "SITE|all", 1, 1, unhold_options, "lift a hold", "site", cmd_unhold, NULL },
    { "backup run", "SITE", 1, 1, backup_options, "take and prove a backup now", "site",
      cmd_backup_run, NULL },
    { "backup list", "[SITE]", 0, 1, json_options, "backups and the level each reached", "site",
      cmd_backup_list,
      "What was made by hand on a server, or has lost its proof there, is told within the hour; on "
      "the server\nitself: confleet-agent backups INSTALL." },
    { "backup verify", "SITE [BACKUP]", 1, 2, backup_options, "prove a backup again (the newest)",
      "site", cmd_backup_verify, NULL },
    { "backup restore", "SITE [BACKUP]", 1, 2, restore_options,
      "restore a backup (the newest) aside, for a drill", "site", cmd_backup_restore,
      "Nothing of the site is touched. Trees and dump come into a new folder of that name in the "
      "drill_dir of the\nserver's agent.yaml; where that is not set, the server refuses." },
    { "release list", "", 0, 0, release_list_options, "releases, and what is known of them", NULL,
      cmd_release_list, NULL },
    { "release show", "VERSION", 1, 1, json_options, "what is known of one release", "release",
      cmd_release_show, NULL },
    { "release import", "[FILE]", 0, 1, release_import_options,
      "bring a release's artifact, or facts of releases, to the controller", "file",
      cmd_release_import,
      "FILE tells facts of releases: CSV of the shipped form (NAME.csv), or YAML:\n\n"
      "  releases:\n"
      "    - version: 9.2.21\n"
      "      build: 9116\n"
      "      date: 2026-06-02\n"
      "      eol: 2026-12-10\n"
      "      upgrade_from: 7.19.0        # or upgrade_from_build: 8804\n"
      "      java: [17, 21]\n"
      "      platforms: { postgresql: 12-16, mysql: \"8.0\" }\n"
      "      lts: yes\n"
      "      data_center_only: yes\n"
      "      note: what people must know before\n"
      "      note_url: https://wiki.example.org/9.2\n"
      "      source: where this is from\n\n"
      "All but version may be left out. An entry takes the place of an earlier one of that "
      "version, "
      "and comes\nbefore the shipped catalogue field by field." },
    { "licence show", "FILE|-", 1, 1, licence_options,
      "read and judge one licence text; needs no controller", "file", cmd_licence_show,
      "The text itself is never shown. Exit status: 3 when something blocks, 2 for warnings and "
      "what could\nnot be found out." },
    { "app list", "", 0, 0, json_options, "what is known of apps and the releases they fit", NULL,
      cmd_app_list, NULL },
    { "app import", "FILE", 1, 1, app_import_options,
      "tell which releases the versions of apps fit", "file", cmd_app_import, APP_MORE },
    { "report", "[ID]", 0, 1, report_options, "everything about one rollout", "rollout", cmd_report,
      NULL },
    { "audit list", "", 0, 0, audit_list_options, "who decided what", NULL, cmd_audit_list, NULL },
    { "audit verify", "", 0, 0, json_options, "recompute the chain of audit records", NULL,
      cmd_audit_verify, NULL },
    { "logs", "HOST", 1, 1, logs_options, "what an agent reported", "agent", cmd_logs, NULL },
    { "version", "", 0, 0, NULL, "version of this command", NULL, cmd_version, NULL },
    { "help", "[COMMAND]", 0, 2, NULL, "this list, or a command's options", NULL, cmd_help, NULL },
    { "__complete", "[WORD…]", 0, -1, NULL, "candidates for the last word", NULL, cmd_complete,
      NULL },
    { 0 }
};
