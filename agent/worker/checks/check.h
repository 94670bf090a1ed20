/* check - the readiness of one site, as a table of checks: id, title, remedy, and a judge that is a
 * pure function of the facts.
 *
 * A judge that lacks a fact says unknown with the reason. BLOCK means that the runbook will not
 * begin. */
#pragma once
#include "agent/worker/checks/facts.h"

#define VERDICT_TEXT 1500
struct verdict {
    Confleet__Severity severity;
    char evidence[VERDICT_TEXT];
    const char *remedy; /* NULL: the table's */
};
typedef void judge_fn(const struct facts *facts, struct verdict *ret);
struct check_def {
    const char *id, *title, *remedy;
    judge_fn *judge;
};
extern const struct check_def checks[]; /* ended by a NULL id */

void verdict_set(struct verdict *verdict, Confleet__Severity severity, const char *format, ...)
    FORMAT(3, 4);
const struct check_def *check_find(const char *id);

judge_fn judge_setup_complete, judge_build_numbers, judge_version_path, judge_home_inside,
    judge_files_outside, judge_one_node;
judge_fn judge_database_kind, judge_database_reachable, judge_database_rights,
    judge_database_encoding, judge_client_tools, judge_scratch, judge_sessions, judge_safety;
judge_fn judge_run_user, judge_ports, judge_space, judge_backup_dir, judge_artifact, judge_service,
    judge_hooks, judge_other_run, judge_installer_made, judge_java;
