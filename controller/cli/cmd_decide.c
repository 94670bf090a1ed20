#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/approve_text.h"
#include "controller/cli/confirm.h"
#include "controller/cli/decision.h"
#include "controller/cli/states.h"
#include "controller/cli/subject.h"
#include <string.h>

#define WAITING_MS                                                                                 \
    (7LL * 24 * 3600 * 1000) /* for a turn or a window, where the plan is not at hand */

/* The decision goes out; what the controller says about it is shown, else `words`. With --json: the
 * rollout as it is then, without what went on inside its sites. */
static int decide(struct cli *cli, const struct subject *subject, const struct decision *decision,
                  const char *words, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = decision_send(cli, subject->view, decision, &text, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        return subject_show(cli, subject, err);
    if (text.len == 0)
        out_clean(&text, words);
    str_add(&text, "\n");
    return out_write(&cli->out, &text, err);
}

/* Decisions about the whole rollout. */
static int decide_all(struct cli *cli, const char *kind, const char *words, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    struct decision decision = { .kind = kind, .reason = cli_value(cli, "reason") };
    int result = subject_open(cli, cli->arg_count > 0 ? cli->args[0] : NULL, &subject, err);
    return result == 0 ? decide(cli, &subject, &decision, words, err) : result;
}

int cmd_rollout_pause(struct cli *cli, struct err *err)
{
    return decide_all(cli, "pause", "paused: nothing new starts; sites at work go on to their end",
                      err);
}

int cmd_rollout_resume(struct cli *cli, struct err *err)
{
    return decide_all(cli, "resume", "resumed: its gates count what happens from now on", err);
}

int cmd_rollout_abort(struct cli *cli, struct err *err)
{
    return decide_all(cli, "abort",
                      "aborted: nothing new starts, and each site at work goes to its nearest safe "
                      "end; follow it with: confleet rollout status",
                      err);
}

/* Decisions about one site: [ID] SITE. */
static int decide_site(struct cli *cli, const char *kind, const char *words, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    const Confleet__RolloutSiteView *site = NULL;
    const char *name = cli->args[cli->arg_count - 1];
    int result = subject_open(cli, cli->arg_count > 1 ? cli->args[0] : NULL, &subject, err);
    if (result == 0)
        result = subject_site(&subject, name, &site, err);
    if (result != 0)
        return result;
    /* The site may have to wait for its turn or its window: the word is good as long as the plan
     * is. */
    struct decision decision = { .kind = kind,
                                 .stage = site->stage,
                                 .site = site->site,
                                 .reason = cli_value(cli, "reason"),
                                 .good_until_ms = subject.plan ? subject.plan->expires_ms
                                                               : clock_wall_ms() + WAITING_MS };
    CLEANUP(free_mem) char *line = text_printf("%s: %s", site->site, words);
    return decide(cli, &subject, &decision, line, err);
}

int cmd_rollout_retry(struct cli *cli, struct err *err)
{
    return decide_site(
        cli, "retry",
        "is tried again when it may start; a rollout that is halted or paused goes on "
        "with: confleet rollout resume",
        err);
}

int cmd_rollout_skip(struct cli *cli, struct err *err)
{
    return decide_site(cli, "skip", "is skipped", err);
}

static int stage_need(const struct subject *subject, const char *name,
                      const Confleet__PlanStage **ret, struct err *err)
{
    CLEANUP(str_free) struct str known = { 0 };
    if (!subject->plan)
        return err_set(
            err, FAIL_LIMIT,
            "the plan of rollout %s is too large to be shown here, and nothing is approved "
            "unseen: write plans of fewer sites or windows",
            subject->id);
    const Confleet__PlanStage *stage = plan_stage_find(subject->plan, name);
    for (size_t i = 0; i < subject->plan->n_stages; i++)
        str_addf(&known, "%s%s", i > 0 ? ", " : "", subject->plan->stages[i]->name);
    if (!stage)
        return err_set(err, FAIL_NOT_FOUND, "rollout %s has no stage '%s'; it has: %.600s",
                       subject->id, name, str_text(&known));
    if (stage->needs_approvals == 0)
        return err_set(err, FAIL_DENIED, "stage %s needs no approval: its plan says so", name);
    *ret = stage;
    return 0;
}

int cmd_rollout_approve(struct cli *cli, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    const Confleet__PlanStage *stage = NULL;
    const char *name = cli->args[cli->arg_count - 1];
    int result = subject_open(cli, cli->arg_count > 1 ? cli->args[0] : NULL, &subject, err);
    if (result == 0)
        result = stage_need(&subject, name, &stage, err);
    if (result != 0)
        return result;
    const struct out *reader = cli_flag(cli, "json") ? &cli->note : &cli->out;
    approve_text(subject.plan, stage, subject.view, reader, clock_wall_ms(), &text);
    result = out_write(reader, &text, err);
    if (result != 0)
        return result;
    str_addf(&question, "Approve stage %s: %zu site%s to %s?", stage->name, stage->n_sites,
             stage->n_sites == 1 ? "" : "s", subject.plan->release->version);
    result = confirm(cli, str_text(&question), err);
    if (result != 0)
        return result;
    struct decision decision = { .kind = "approve",
                                 .stage = stage->name,
                                 .reason = cli_value(cli, "reason"),
                                 .good_until_ms = subject.plan->expires_ms };
    CLEANUP(free_mem)
    char *words =
        text_printf("stage %s is approved by %s", stage->name, client_keys(cli->client)->name);
    return decide(cli, &subject, &decision, words, err);
}

int cmd_rollout_commit(struct cli *cli, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    CLEANUP(str_free) struct str question = { 0 };
    const Confleet__RolloutSiteView *site = NULL;
    int result = subject_open(cli, cli->arg_count > 0 ? cli->args[0] : NULL, &subject, err);
    if (result == 0)
        result = subject_site(&subject, cli_value(cli, "site"), &site, err);
    if (result == 0 && strcmp(site->state, "soaking") != 0)
        result = err_set(err, FAIL_DENIED, "site %s is %s; only a soak can be ended early",
                         site->site, status_word(site));
    if (result != 0)
        return result;
    str_addf(&question, "End the soak of %s now and keep the new version?", site->site);
    result = confirm(cli, str_text(&question), err);
    if (result != 0)
        return result;
    struct decision decision = { .kind = "commit",
                                 .stage = site->stage,
                                 .site = site->site,
                                 .reason = cli_value(cli, "reason") };
    CLEANUP(free_mem)
    char *words =
        text_printf("the signed order to end the soak of %s is with the controller", site->site);
    return decide(cli, &subject, &decision, words, err);
}
