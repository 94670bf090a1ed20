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
    { "covers", 0, "SITE", "production site that this test site stands for", .complete = "site" },
    { 0 }
};
static const struct cli_option check_options[] = {
    { "label", 'l', "KEY=VALUE", "only sites with this label; may be repeated", .many = true },
    { "to", 0, "VERSION", "readiness for this release", .complete = "release" },
    { "all", 'a', NULL, "show what is in order too", .needed = false },
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option job_options[] = { TIMEOUT_OPTION, JSON_OPTION, { 0 } };
static const struct cli_option release_import_options[] = {
    { "artifact", 0, "FILE", "the vendor's archive or installer", .needed = true,
      .complete = "file" },
    { "version", 0, "V", "its version, such as 9.2.13", .needed = true },
    { "build", 0, "N", "its build number; the agent compares it with what it unpacks",
      .needed = true },
    { "date", 0, "D", "its release date, yyyy-mm-dd", .needed = false },
    { 0 }
};
static const struct cli_option apply_options[] = {
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
    TIMEOUT_OPTION,
    JSON_OPTION,
    { 0 }
};
static const struct cli_option commit_options[] = {
    { "site", 0, "SITE", "whose soak ends now", .needed = true, .complete = "site" },
    { "reason", 0, "R", "why, for the audit record", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    { 0 }
};
static const struct cli_option rollback_options[] = {
    { "site", 0, "SITE", "which site goes back", .needed = true, .complete = "site" },
    { "reason", 0, "R", "why, for the audit record", .needed = false },
    { "plan", 0, NULL, "only show what would be lost", .needed = false },
    { "yes", 'y', NULL, "do not ask", .needed = false },
    { "detach", 'd', NULL, "do not follow it", .needed = false },
    { "watch", 0, "BOOL", "false: show its state once", .complete = "true|false" },
    TIMEOUT_OPTION,
    { 0 }
};
static const struct cli_option report_options[] = {
    { "format", 0, "F", "text or json", .complete = "text|json" }, JSON_OPTION, { 0 }
};
static const struct cli_option audit_list_options[] = {
    { "after", 0, "N", "only records after this one", .needed = false }, JSON_OPTION, { 0 }
};
static const struct cli_option logs_options[] = {
    { "follow", 'f', NULL, "wait for more", .needed = false }, JSON_OPTION, { 0 }
};

#define PLAN_MORE                                                                                  \
    "A plan file:\n\n"                                                                             \
    "  name: spring-upgrade\n  release: 9.2.13\n  stages:\n    - name: test\n      select: { "     \
    "env: test }\n"                                                                                \
    "      soak: 24h\n    - name: production\n      select: { env: production }\n      needs: { "  \
    "stage: test }\n"                                                                              \
    "      batch: [1, 3, rest]\n      gate: { max_failed: 0, max_silent: 0 }\n  on_failure: "      \
    "rollback\n\n"                                                                                 \
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
    { "site show", "SITE", 1, 1, json_options, "one site, its findings and backups", "site",
      cmd_site_show, NULL },
    { "site set", "SITE [KEY=VALUE…]", 1, -1, site_set_options, "make or change a site", "site",
      cmd_site_set, NULL },
    { "check", "[SITE…]", 0, -1, check_options, "check readiness; changes nothing", "site",
      cmd_check,
      "Exit status: 3 when something blocks, 2 for warnings and what could not be found out." },
    { "plan", "FILE", 1, 1, json_options, "read a plan and show whom it touches; changes nothing",
      "file", cmd_plan, PLAN_MORE },
    { "apply", "FILE", 1, 1, apply_options, "sign a plan, start it and follow it", "file",
      cmd_apply, NULL },
    { "rollout list", "", 0, 0, json_options, "all rollouts", NULL, cmd_rollout_list, NULL },
    { "rollout status", "[ID]", 0, 1, status_options, "follow a rollout to its end", "rollout",
      cmd_rollout_status, NULL },
    { "rollout history", "", 0, 0, json_options, "rollouts that are over", NULL,
      cmd_rollout_history, NULL },
    { "rollout commit", "ID", 1, 1, commit_options, "end a site's soak early", "rollout",
      cmd_rollout_commit, NULL },
    { "rollback", "ID", 1, 1, rollback_options,
      "take one site back to the state of its stop, and follow it", "rollout", cmd_rollback, NULL },
    { "backup run", "SITE", 1, 1, job_options, "take and prove a backup now", "site",
      cmd_backup_run, NULL },
    { "backup list", "[SITE]", 0, 1, json_options, "backups and the level each reached", "site",
      cmd_backup_list, NULL },
    { "backup verify", "SITE [BACKUP]", 1, 2, job_options, "prove a backup again (the newest)",
      "site", cmd_backup_verify, NULL },
    { "release list", "", 0, 0, json_options, "target versions", NULL, cmd_release_list, NULL },
    { "release show", "VERSION", 1, 1, json_options, "one target version", "release",
      cmd_release_show, NULL },
    { "release import", "", 0, 0, release_import_options,
      "bring a release's artifact to the controller", NULL, cmd_release_import, NULL },
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
