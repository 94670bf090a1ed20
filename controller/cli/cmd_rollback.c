#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/confirm.h"
#include "controller/cli/signing.h"
#include "controller/cli/status.h"
#include "controller/cli/watch.h"
#include <string.h>

#define DECISION_MS (3600LL * 1000) /* how long agents take a decision after it was signed */

static int site_find(const Confleet__RolloutView *rollout, const char *name,
                     const Confleet__RolloutSiteView **ret, struct err *err)
{
    CLEANUP(str_free) struct str known = { 0 };
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (strcmp(rollout->sites[i]->site, name) == 0) {
            *ret = rollout->sites[i];
            return 0;
        }
        str_addf(&known, "%s%s", i > 0 ? ", " : "", rollout->sites[i]->site);
    }
    return err_set(err, FAIL_NOT_FOUND, "rollout %s has no site '%s'; it has: %.600s", rollout->id,
                   name, str_text(&known));
}

/* The capture taken at the stop is the way back; the hot one only stands in when that is not
 * listed. */
static const Confleet__BackupRecord *backup_find(const Confleet__RolloutSiteView *site)
{
    const Confleet__BackupRecord *best = NULL;
    for (size_t i = 0; i < site->n_backups; i++) {
        const Confleet__BackupRecord *backup = site->backups[i];
        bool stop = strcmp(backup->kind, "stop") == 0,
             best_stop = best && strcmp(best->kind, "stop") == 0;
        if (!best || (stop && !best_stop) ||
            (stop == best_stop && backup->started_ms > best->started_ms))
            best = backup;
    }
    return best;
}

/* When users could write to the new version at the earliest; zero: it was never started. */
static int64_t start_find(const Confleet__RolloutSiteView *site)
{
    for (size_t i = 0; i < site->n_steps; i++) {
        if (strcmp(site->steps[i]->step, "start") == 0 && !site->steps[i]->undo)
            return site->steps[i]->at_ms;
    }
    return 0;
}

static void loss_text(const Confleet__RolloutSiteView *site, struct str *to)
{
    const Confleet__BackupRecord *backup = backup_find(site);
    int64_t now_ms = clock_wall_ms(), start_ms = start_find(site);
    char when[32], ago[48];
    str_add(to, "site ");
    out_clean(to, site->site);
    str_addf(to, ": %s on ", status_word(site));
    version_add(to, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    str_add(to, "\n  back to    ");
    version_add(to, site->from_version, site->from_build);
    if (backup) {
        str_add(to, "\n  from       backup ");
        out_clean(to, backup->id);
        str_addf(
            to, " (%s, level %s), taken %s, %s",
            strcmp(backup->kind, "stop") == 0 ? "at the stop" : "while running",
            level_word(backup->level),
            time_word(backup->finished_ms ? backup->finished_ms : backup->started_ms, when),
            ago_word(backup->finished_ms ? backup->finished_ms : backup->started_ms, now_ms, ago));
    } else {
        str_add(to,
                "\n  from       no backup is listed: the agent decides what it has, or refuses");
    }
    if (start_ms > 0)
        str_addf(to, "\n  lost       everything written since the new version started: %s, %s\n",
                 time_word(start_ms, when), ago_word(start_ms, now_ms, ago));
    else
        str_add(to, "\n  lost       nothing: the new version was not started\n");
}

static int decision_send(struct cli *cli, const Confleet__RolloutView *rollout,
                         const Confleet__RolloutSiteView *site, const char *kind, struct err *err)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__AskDecide decide = CONFLEET__ASK_DECIDE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer serial = { 0 };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(signed_free) struct signed_bytes signed_decision = { 0 };
    const char *reason = cli_value(cli, "reason");
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SERIAL, &serial, err);
    if (result == 0 && !serial.reply->serial)
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a serial");
    if (result != 0)
        return result;
    decision.format = 1;
    decision.fleet = serial.reply->serial->fleet;
    decision.plan_sha256 = rollout->plan_sha256;
    decision.kind = (char *)kind;
    decision.stage = site->stage;
    decision.site = site->site;
    decision.reason = (char *)(reason ? reason : "");
    decision.serial = serial.reply->serial->next;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + DECISION_MS;
    decision.signed_by = (char *)client_keys(cli->client)->name;
    result = signed_make(client_keys(cli->client), SIGN_CONTEXT_DECISION, &decision.base,
                         &signed_decision, err);
    if (result != 0)
        return result;
    decide.decision = &signed_decision.text;
    decide.rollout = rollout->id;
    request.what_case = CONFLEET__REQUEST__WHAT_DECIDE;
    request.decide = &decide;
    result = ask(cli, &request, &answer, err);
    return result == 0 ? 0 : err_wrap(err, "%s %s", kind, site->site);
}

/* A site that is committed at the end was refused its way back by its agent; how the others are
 * says nothing about that. */
static int back_check(struct cli *cli, const char *rollout, const char *name, int status,
                      struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    const Confleet__RolloutSiteView *site = NULL;
    int result = rollout_ask(cli, rollout, &answer, err);
    if (result == 0)
        result = site_find(answer.reply->rollouts[0], name, &site, err);
    if (result != 0)
        return result;
    return strcmp(site->state, "committed") != 0
               ? status
               : err_set(err, FAIL_DENIED, "site %s was not rolled back, it is %s", name,
                         status_word(site));
}

int cmd_rollback(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    const Confleet__RolloutSiteView *site = NULL;
    const char *reason = cli_value(cli, "reason");
    if (!cli_flag(cli, "plan") && (!reason || !*reason))
        return err_set(err, FAIL_USAGE,
                       "rollback needs --reason R: it is signed, audited and reported (--plan only "
                       "shows what would be lost)");
    int result = rollout_ask(cli, cli->args[0], &answer, err);
    if (result == 0)
        result = site_find(answer.reply->rollouts[0], cli_value(cli, "site"), &site, err);
    if (result != 0)
        return result;
    loss_text(site, &text);
    result = out_write(&cli->out, &text, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "plan"))
        return EXIT_PENDING;
    str_addf(&question, "Roll %s back to %s?", site->site, site->from_version);
    result = confirm(cli, str_text(&question), err);
    if (result == 0)
        result = decision_send(cli, answer.reply->rollouts[0], site, "rollback", err);
    if (result != 0)
        return result;
    str_clear(&text);
    str_addf(&text,
             "the signed order to roll %s back is with the controller; follow it with: confleet "
             "rollout status %s\n",
             site->site, answer.reply->rollouts[0]->id);
    result = out_write(&cli->out, &text, err);
    if (result != 0 || cli_flag(cli, "detach"))
        return result;
    result = watch(cli, answer.reply->rollouts[0]->id, err);
    return result == EXIT_DONE || result == EXIT_PERSON
               ? back_check(cli, answer.reply->rollouts[0]->id, site->site, result, err)
               : result;
}

int cmd_rollout_commit(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    const Confleet__RolloutSiteView *site = NULL;
    int result = rollout_ask(cli, cli->args[0], &answer, err);
    if (result == 0)
        result = site_find(answer.reply->rollouts[0], cli_value(cli, "site"), &site, err);
    if (result == 0 && strcmp(site->state, "soaking") != 0)
        result = err_set(err, FAIL_DENIED, "site %s is %s; only a soak can be ended early",
                         site->site, status_word(site));
    if (result != 0)
        return result;
    str_addf(&question, "End the soak of %s now and keep the new version?", site->site);
    result = confirm(cli, str_text(&question), err);
    if (result == 0)
        result = decision_send(cli, answer.reply->rollouts[0], site, "commit", err);
    if (result != 0)
        return result;
    str_addf(&text, "the signed order to end the soak of %s is with the controller\n", site->site);
    return out_write(&cli->out, &text, err);
}
