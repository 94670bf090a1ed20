#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/confirm.h"
#include "controller/cli/decision.h"
#include "controller/cli/loss_text.h"
#include "controller/cli/subject.h"
#include "controller/cli/states.h"
#include "controller/cli/watch.h"
#include <string.h>

/* What is to go back: one site, or the sites of one stage for which it is possible. */
struct back {
    const char *stage, *site; /* NULL: not given */
    const Confleet__RolloutSiteView *first;
    size_t named, possible;
};

static bool back_names(const struct back *back, const Confleet__RolloutSiteView *site)
{
    return (!back->site || strcmp(back->site, site->site) == 0) &&
           (!back->stage || strcmp(back->stage, site->stage) == 0);
}

static int back_show(struct cli *cli, struct back *back, const Confleet__RolloutView *rollout,
                     struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem)
    Confleet__RolloutSiteView **shown = mem_zero(rollout->n_sites + 1, sizeof *shown);
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < rollout->n_sites; i++) {
        const Confleet__RolloutSiteView *site = rollout->sites[i];
        if (!back_names(back, site))
            continue;
        shown[back->named++] = rollout->sites[i];
        if (!loss_obstacle(site)) {
            back->first = back->first ? back->first : site;
            back->possible++;
        }
        loss_text(site, now_ms, &text);
    }
    bool json = cli_flag(cli, "json");
    if (json && cli_flag(cli, "plan")) {
        str_clear(&text);
        JSON_LIST(&text, "sites", shown, back->named);
        return out_write(&cli->out, &text, err);
    }
    if (back->named > 1)
        str_addf(&text, "%zu of %zu sites of stage %s can go back\n", back->possible, back->named,
                 back->stage);
    /* Who is asked must see what for; what a program reads begins with the outcome. */
    return out_write(json ? &cli->note : &cli->out, &text, err);
}

static int back_need(const struct subject *subject, struct back *back, struct err *err)
{
    const Confleet__RolloutSiteView *site = NULL;
    bool known = false;
    if (!back->site == !back->stage)
        return err_set(err, FAIL_USAGE, "rollback needs one of --site SITE and --stage STAGE");
    if (back->site) {
        int result = subject_site(subject, back->site, &site, err);
        back->stage = result == 0 ? site->stage : NULL;
        return result;
    }
    for (size_t i = 0; i < subject->view->n_sites; i++)
        known = known || strcmp(subject->view->sites[i]->stage, back->stage) == 0;
    return known ? 0
                 : err_set(err, FAIL_NOT_FOUND, "rollout %s has no stage '%s'", subject->id,
                           back->stage);
}

/* A site that is committed at the end was refused its way back by its agent; how the others are
 * says nothing about that. */
static int back_check(struct cli *cli, const char *rollout, const struct back *back, int status,
                      struct err *err)
{
    CLEANUP(fetched_free) struct fetched after = { 0 };
    int result = rollout_fetch(cli, rollout, FETCH_FULL, &after, err);
    for (size_t i = 0; result == 0 && i < after.view->n_sites; i++) {
        const Confleet__RolloutSiteView *site = after.view->sites[i];
        if (back_names(back, site) && strcmp(site->state, "committed") == 0)
            result = err_set(err, FAIL_DENIED, "site %s was not rolled back, it is %s", site->site,
                             status_word(site));
    }
    return result == 0 ? status : result;
}

static int back_order(struct cli *cli, const struct subject *subject, const struct back *back,
                      struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    struct decision decision = { .kind = "rollback",
                                 .stage = back->stage,
                                 .site = back->site,
                                 .reason = cli_value(cli, "reason") };
    if (back->possible == 0)
        return err_set(err, FAIL_DENIED, "nothing can go back: the reason is above");
    if (back->site)
        str_addf(&question, "Roll %s back to %s?", back->site, back->first->from_version);
    else
        str_addf(&question, "Roll %zu site%s of stage %s back?", back->possible,
                 back->possible == 1 ? "" : "s", back->stage);
    int result = confirm(cli, str_text(&question), err);
    if (result == 0)
        result = decision_send(cli, subject->view, &decision, &text, err);
    if (result != 0)
        return result;
    str_addf(
        &text,
        "%sthe signed order to roll %s%s back is with the controller; follow it with: confleet "
        "rollout status %s\n",
        text.len > 0 ? "\n" : "", back->site ? "" : "stage ", back->site ? back->site : back->stage,
        subject->id);
    if (cli_flag(cli, "json")) {
        result = cli_flag(cli, "detach") ? subject_show(cli, subject, err) : 0;
    } else {
        result = out_write(&cli->out, &text, err);
    }
    if (result != 0 || cli_flag(cli, "detach"))
        return result;
    result = watch(cli, subject->id, err);
    return result == EXIT_DONE || result == EXIT_PERSON
               ? back_check(cli, subject->id, back, result, err)
               : result;
}

int cmd_rollback(struct cli *cli, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    CLEANUP(fetched_free) struct fetched full = { 0 };
    struct back back = { .stage = cli_value(cli, "stage"), .site = cli_value(cli, "site") };
    const char *reason = cli_value(cli, "reason");
    bool plan = cli_flag(cli, "plan");
    if (!plan && (!reason || !*reason))
        return err_set(err, FAIL_USAGE,
                       "rollback needs --reason R: it is signed, audited and reported (--plan only "
                       "shows what would be lost)");
    int result = subject_open(cli, cli->arg_count > 0 ? cli->args[0] : NULL, &subject, err);
    if (result == 0)
        result = back_need(&subject, &back, err);
    if (result == 0)
        result = rollout_fetch(cli, subject.id, FETCH_FULL, &full, err);
    if (result == 0)
        result = back_show(cli, &back, full.view, err);
    if (result != 0)
        return result;
    return plan ? (back.possible > 0 ? EXIT_PENDING : EXIT_BLOCKED)
                : back_order(cli, &subject, &back, err);
}
