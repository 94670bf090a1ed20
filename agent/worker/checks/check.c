#include "agent/worker/checks/check.h"
#include "confleet/cleanup.h"
#include <string.h>

/* clang-format off */
/* Order is what a person reads first: what the site is, then what is missing on the way. */
const struct check_def checks[] = {
    { "setup-complete", "Confluence is set up",
      "Finish the set-up in the browser, or repair confluence.cfg.xml in the home.",
      judge_setup_complete },
    { "build-numbers", "Build numbers of application, home and database agree",
      "Restore home and database from one and the same moment, or finish the upgrade that "
      "was begun. Never edit the number.",
      judge_build_numbers },
    { "version-path", "The release can follow the installed version",
      "Choose a release with a higher build number.",
      judge_version_path },
    { "home-inside", "The home is not inside the installation",
      "Stop Confluence, move the home to a folder of its own and name it in "
      "confluence-init.properties.",
      judge_home_inside },
    { "files-outside", "All of the site's files are in its home",
      "Move them into the home while Confluence is stopped; what lies elsewhere would not be "
      "backed up.",
      judge_files_outside },
    { "one-node", "The site has one node",
      "Clusters and shared homes are not supported yet; upgrade this site by hand.",
      judge_one_node },
    { "run-user", "The account that Confluence runs as owns its home",
      "Create the account, or give it the home: chown -R USER HOME.",
      judge_run_user },
    { "ports", "Nothing else has Confluence's ports",
      "Find the program with: ss -ltnp. It may be a Confluence that was started from a copy.",
      judge_ports },
    { "database-kind", "The database is PostgreSQL",
      "Move the site to PostgreSQL first.",
      judge_database_kind },
    { "database-reachable", "The database answers",
      "Make the server of hibernate.connection.url reachable from this host with that "
      "account.",
      judge_database_reachable },
    { "database-rights", "The account may restore everything in the database",
      "Set database_admin (and passfile) in the agent's policy to an account that is "
      "superuser or owns the database and its objects.",
      judge_database_rights },
    { "database-encoding", "The database is UTF-8",
      "Dump the database and restore it into one created with ENCODING 'UTF8'.",
      judge_database_encoding },
    { "client-tools", "Safe PostgreSQL client programs are here",
      "Install the postgresql-client package of the server's major version, up to date.",
      judge_client_tools },
    { "scratch", "There is a place to prove a restore",
      "Grant CREATEDB to the site's account, set database_admin, or install the postgresql "
      "package of the server's major version.",
      judge_scratch },
    { "sessions", "Nobody else uses the database",
      "Stop the other program, or point it to another database.",
      judge_sessions },
    { "safety", "A second Confluence would be noticed",
      "Look whether this is Confluence's own database.",
      judge_safety },
    { "space", "There is room for the new version, the backup and the way back",
      "Free space, or move backup_dir to a larger file system.",
      judge_space },
    { "backup-dir", "The backup folder can be used",
      "Create it, owned by root, mode 0700, outside of home and installation.",
      judge_backup_dir },
    { "artifact", "The release's file is here and whole",
      "Fetch it again.",
      judge_artifact },
    { "service", "Confluence can be started and stopped",
      "Make bin/start-confluence.sh and bin/stop-confluence.sh executable, or name the right "
      "unit under services.",
      judge_service },
    { "hooks", "Local hooks belong to root alone",
      "chown root: FILE; chmod go-w FILE, for the hook and its folder.",
      judge_hooks },
    { "other-run", "No earlier run is left over",
      "confleet-agent status shows it; confleet-agent resume or confleet-agent rollback ends "
      "it.",
      judge_other_run },
    { "installer-made", "What only the installer brought is known",
      "",
      judge_installer_made },
    { "java", "Java is found",
      "Set JAVA_HOME in bin/setenv.sh.",
      judge_java },
    { NULL, NULL, NULL, NULL },
};
/* clang-format on */

void verdict_set(struct verdict *verdict, Confleet__Severity severity, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(verdict->evidence, sizeof verdict->evidence, format, ap);
    va_end(ap);
    verdict->severity = severity;
}

const struct check_def *check_find(const char *id)
{
    for (const struct check_def *check = checks; check->id; check++)
        if (strcmp(check->id, id) == 0)
            return check;
    return NULL;
}

int check_job(struct job *job, struct err *err)
{
    CLEANUP(facts_free) struct facts facts = { 0 };
    int result = facts_gather(job, &facts, err);
    if (result != 0)
        return result;
    for (const struct check_def *check = checks; check->id; check++) {
        struct verdict verdict = { .severity = CONFLEET__SEVERITY__UNKNOWN };
        check->judge(&facts, &verdict);
        bool fine = verdict.severity == CONFLEET__SEVERITY__OK ||
                    verdict.severity == CONFLEET__SEVERITY__INFO;
        const char *remedy = verdict.remedy ? verdict.remedy : check->remedy;
        job_finding(job, check->id, verdict.severity, check->title, fine ? "" : remedy, "%s",
                    verdict.evidence);
    }
    return 0;
}
