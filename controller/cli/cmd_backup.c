#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/jobs.h"
#include "controller/cli/views.h"
#include <string.h>

/* Of each site what its newest backup said of the folder's room; the list is newest first. */
static void rooms_text(const Confleet__Reply *reply, struct str *text)
{
    char when[32];
    for (size_t i = 0; i < reply->n_backups; i++) {
        const Confleet__BackupRecord *backup = reply->backups[i];
        bool newest = backup->room[0] != '\0';
        for (size_t k = 0; k < i; k++)
            newest = newest && (strcmp(reply->backups[k]->site, backup->site) != 0 ||
                                reply->backups[k]->room[0] == '\0');
        if (!newest)
            continue;
        out_clean(text, backup->site);
        str_add(text, ": ");
        out_clean(text, backup->room);
        str_addf(text, " (%s)\n", time_word(backup->finished_ms, when));
    }
}

int cmd_backup_list(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_BACKUP_LIST,
                          cli->arg_count > 0 ? cli->args[0] : "", &answer, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "backups", answer.reply->backups, answer.reply->n_backups);
    else if (answer.reply->n_backups == 0)
        str_add(&text, "no backups: confleet backup run SITE\n");
    else {
        backups_print(answer.reply->backups, answer.reply->n_backups, &text);
        rooms_text(answer.reply, &text);
    }
    return out_write(&cli->out, &text, err);
}

static void sites_text(struct cli *cli, const Confleet__JobView *job, struct str *text,
                       bool *ret_good)
{
    for (size_t i = 0; i < job->n_sites; i++) {
        const Confleet__JobSiteView *site = job->sites[i];
        bool good = job_state_is_good(site->state);
        *ret_good = *ret_good && good;
        out_tone(text, &cli->out, good ? TONE_GOOD : TONE_BAD, site->site);
        str_add(text, ": ");
        out_clean(text, site->state);
        str_add(text, site->message[0] ? ": " : "");
        out_clean(text, site->message);
        str_add(text, "\n");
        if (site->backup) {
            backups_print(&site->backup, 1, text);
            if (site->backup->note[0]) {
                str_add(text, "  note: ");
                out_clean(text, site->backup->note);
                str_add(text, "\n");
            }
            if (site->backup->room[0]) {
                str_add(text, "  ");
                out_clean(text, site->backup->room);
                str_add(text, "\n");
            }
        }
    }
}

static int backup_job(struct cli *cli, Confleet__Request__WhatCase what, const char *backup,
                      struct err *err)
{
    Confleet__AskBackup ask_backup = CONFLEET__ASK_BACKUP__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer first = { 0 };
    CLEANUP(answer_free) struct answer last = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int64_t timeout_ms = 0;
    bool good = true;
    int result = cli_duration(cli, "timeout", &timeout_ms, err);
    if (result != 0)
        return result;
    ask_backup.site = cli->args[0];
    ask_backup.backup = (char *)backup;
    ask_backup.full_speed = cli_flag(cli, "full-speed");
    if (cli_value(cli, "into"))
        ask_backup.into = (char *)(uintptr_t)cli_value(cli, "into");
    request.what_case = what;
    request.backup_run = &ask_backup; /* the place of the others as well */
    result = ask(cli, &request, &first, err);
    if (result == 0)
        result = job_wait(cli, &first, timeout_ms, &last, err);
    if (result != 0)
        return result;
    CLEANUP(str_free) struct str plain = { 0 };
    sites_text(cli, last.reply->job, &plain, &good);
    if (cli_flag(cli, "json"))
        json_one(&text, "job", &last.reply->job->base);
    result = out_write(&cli->out, cli_flag(cli, "json") ? &text : &plain, err);
    if (result != 0)
        return result;
    return good ? EXIT_DONE : EXIT_ERROR;
}

int cmd_backup_run(struct cli *cli, struct err *err)
{
    return backup_job(cli, CONFLEET__REQUEST__WHAT_BACKUP_RUN, "", err);
}

/* The newest one of the site when none is named; a capture without its database yet is none. */
static int backup_use(struct cli *cli, Confleet__Request__WhatCase what, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    const Confleet__BackupRecord *newest = NULL;
    if (cli->arg_count > 1)
        return backup_job(cli, what, cli->args[1], err);
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_BACKUP_LIST, cli->args[0], &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_backups; i++) {
        const Confleet__BackupRecord *backup = answer.reply->backups[i];
        if (strcmp(backup->site, cli->args[0]) == 0 &&
            backup->level >= CONFLEET__BACKUP_LEVEL__COMPLETE &&
            (!newest || backup->started_ms > newest->started_ms))
            newest = backup;
    }
    if (!newest)
        return err_set(err, FAIL_NOT_FOUND,
                       "site %s has no backup; make one with: confleet backup run %s", cli->args[0],
                       cli->args[0]);
    return backup_job(cli, what, newest->id, err);
}

int cmd_backup_verify(struct cli *cli, struct err *err)
{
    return backup_use(cli, CONFLEET__REQUEST__WHAT_BACKUP_VERIFY, err);
}

int cmd_backup_restore(struct cli *cli, struct err *err)
{
    const char *into = cli_value(cli, "into");
    if (!text_is_name(into))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name of one folder (a-z, 0-9, '.', '_', '-'): it is made in the "
                       "drill_dir of the server's agent.yaml, since no path goes over the wire; into "
                       "any folder, on the server: confleet-agent restore INSTALL BACKUP --into DIR",
                       into);
    return backup_use(cli, CONFLEET__REQUEST__WHAT_BACKUP_RESTORE, err);
}
