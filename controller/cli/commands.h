/* commands - what runs behind each row of the table; one file per noun. */
#pragma once
#include "controller/cli/cli.h"

int cmd_enrol(struct cli *cli, struct err *err);
int cmd_agent_list(struct cli *cli, struct err *err);
int cmd_agent_show(struct cli *cli, struct err *err);
int cmd_agent_token(struct cli *cli, struct err *err);
int cmd_agent_accept(struct cli *cli, struct err *err);
int cmd_agent_revoke(struct cli *cli, struct err *err);
int cmd_operator_list(struct cli *cli, struct err *err);
int cmd_operator_token(struct cli *cli, struct err *err);
int cmd_operator_revoke(struct cli *cli, struct err *err);
int cmd_site_list(struct cli *cli, struct err *err);
int cmd_site_show(struct cli *cli, struct err *err);
int cmd_site_set(struct cli *cli, struct err *err);
int cmd_check(struct cli *cli, struct err *err);
int cmd_backup_run(struct cli *cli, struct err *err);
int cmd_backup_list(struct cli *cli, struct err *err);
int cmd_backup_verify(struct cli *cli, struct err *err);
int cmd_release_list(struct cli *cli, struct err *err);
int cmd_release_show(struct cli *cli, struct err *err);
int cmd_release_import(struct cli *cli, struct err *err);
int cmd_licence_show(struct cli *cli, struct err *err);
int cmd_plan(struct cli *cli, struct err *err);
int cmd_apply(struct cli *cli, struct err *err);
int cmd_rollout_list(struct cli *cli, struct err *err);
int cmd_rollout_status(struct cli *cli, struct err *err);
int cmd_rollout_history(struct cli *cli, struct err *err);
int cmd_rollout_pause(struct cli *cli, struct err *err);
int cmd_rollout_resume(struct cli *cli, struct err *err);
int cmd_rollout_approve(struct cli *cli, struct err *err);
int cmd_rollout_retry(struct cli *cli, struct err *err);
int cmd_rollout_skip(struct cli *cli, struct err *err);
int cmd_rollout_abort(struct cli *cli, struct err *err);
int cmd_rollout_commit(struct cli *cli, struct err *err);
int cmd_hold(struct cli *cli, struct err *err);
int cmd_hold_list(struct cli *cli, struct err *err);
int cmd_unhold(struct cli *cli, struct err *err);
int cmd_rollback(struct cli *cli, struct err *err);
int cmd_report(struct cli *cli, struct err *err);
int cmd_audit_list(struct cli *cli, struct err *err);
int cmd_audit_verify(struct cli *cli, struct err *err);
int cmd_logs(struct cli *cli, struct err *err);
int cmd_version(struct cli *cli, struct err *err);
int cmd_help(struct cli *cli, struct err *err);
int cmd_complete(struct cli *cli, struct err *err);
