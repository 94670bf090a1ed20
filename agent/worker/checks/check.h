/* check - the readiness of one site, as families of checks: id, title, the vendor's rule, remedy,
 * what it needs, and a judge that is a pure function of the facts.
 *
 * A judge that lacks a fact says unknown with the reason, never ok. BLOCK means that the runbook
 * will not begin, unless an operator's signed waiver names the check. Each family is a table of its
 * own in judge_FAMILY.c; check.c lists the families, whose order is the order in which people read
 * them. */
#pragma once
#include "agent/worker/checks/facts.h"

#define VERDICT_TEXT 4000
struct verdict {
    Confleet__Severity severity;
    char evidence[VERDICT_TEXT];
    const char *remedy; /* NULL: the table's */
};
typedef void judge_fn(const struct facts *facts, struct verdict *ret);
enum check_need { /* where its facts come from */
                  NEED_FILES = 1,
                  NEED_PROCESSES = 2,
                  NEED_DATABASE = 4,
                  NEED_HTTP = 8,
                  NEED_CATALOGUE = 16,
};
struct check_def {
    const char *id, *title, *remedy;
    judge_fn *judge;
    unsigned needs;   /* of enum check_need, or-ed */
    const char *rule; /* the vendor's rule it comes from, in words; NULL: Confleet's own */
};
struct check_family {
    const char *name, *title;       /* spelling on the wire and column of the matrix; for people */
    const struct check_def *checks; /* ended by a NULL id */
};
extern const struct check_family check_families[]; /* ended by a NULL name */
extern const struct check_def checks_site[], checks_licence[], checks_path[], checks_platform[],
    checks_database[], checks_apps[], checks_custom[], checks_operations[], checks_backup[];

void verdict_set(struct verdict *verdict, Confleet__Severity severity, const char *format, ...)
    FORMAT(3, 4);
const struct check_def *check_find(const char *id);
/* By the rule of the check backup-medium, for a backup that no check comes before: FAIL_BLOCKED with
 * evidence and remedy. */
int check_backup_medium(const Confleet__WorkerNode *node, const struct installation *site,
                        struct err *err) MUST_USE;

judge_fn judge_setup_complete, judge_build_numbers, judge_home_inside, judge_files_outside,
    judge_one_node;
judge_fn judge_version_path, judge_upgrade_floor, judge_upgrade_finished, judge_release_known,
    judge_release_notes, judge_release_support;
judge_fn judge_database_kind, judge_database_reachable, judge_database_rights,
    judge_database_encoding, judge_client_tools, judge_scratch, judge_sessions, judge_safety, judge_stop_capture;
judge_fn judge_run_user, judge_ports, judge_space, judge_backup_dir, judge_artifact, judge_service,
    judge_hooks, judge_other_run, judge_installer_made;
