#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/confirm.h"
#include "controller/cli/plan_text.h"
#include "controller/cli/resolve.h"
#include "controller/cli/signing.h"
#include "controller/cli/watch.h"
#include <string.h>

/* A plan file and all that it is resolved against. */
struct planning {
    struct planfile file;
    struct yaml_report report;
    struct answer sites, agents, releases, serial;
    Confleet__Plan *plan;
};

static void planning_free(struct planning *planning)
{
    plan_free(&planning->plan);
    planfile_free(&planning->file);
    yaml_report_free(&planning->report);
    answer_free(&planning->sites);
    answer_free(&planning->agents);
    answer_free(&planning->releases);
    answer_free(&planning->serial);
}

/* The fleet that the keys were made for, and no other: a signed plan names it. */
static int fleet_check(const struct client *client, const struct answer *serial, struct err *err)
{
    const char *own = client_join(client)->fleet;
    if (!serial->reply->serial)
        return err_set(err, FAIL_PROTOCOL, "the controller answered without a serial");
    if (own[0] && strcmp(own, serial->reply->serial->fleet) != 0)
        return err_set(
            err, FAIL_MISMATCH,
            "the controller calls its fleet '%s', but this account was enrolled in '%s': "
            "its store was replaced; enrol again",
            serial->reply->serial->fleet, own);
    return 0;
}

static int fleet_ask(struct cli *cli, struct planning *planning, struct err *err)
{
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SITE_LIST, &planning->sites, err);
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_AGENT_LIST, &planning->agents, err);
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_RELEASE_LIST, &planning->releases, err);
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SERIAL, &planning->serial, err);
    return result == 0 ? fleet_check(cli->client, &planning->serial, err) : result;
}

static int planning_make(struct cli *cli, struct planning *planning, struct err *err)
{
    int result = planfile_load(cli->args[0], &planning->file, &planning->report, err);
    if (result == 0)
        result = fleet_ask(cli, planning, err);
    if (result != 0)
        return result;
    struct resolve_in in = {
        .file = &planning->file,
        .sites = planning->sites.reply->sites,
        .site_count = planning->sites.reply->n_sites,
        .agents = planning->agents.reply->agents,
        .agent_count = planning->agents.reply->n_agents,
        .releases = planning->releases.reply->releases,
        .release_count = planning->releases.reply->n_releases,
        .fleet = planning->serial.reply->serial->fleet,
        .operator= client_keys(cli->client)->name,
        .serial = planning->serial.reply->serial->next,
        .now_ms = clock_wall_ms(),
    };
    return plan_resolve(&in, &planning->plan, &planning->report, err);
}

/* Prints what is wrong in the file; the last line, with the count, is the error that cli_main()
 * prints. */
static int planning_report(struct cli *cli, const struct planning *planning, int result)
{
    out_show(&cli->note, &planning->report.text);
    return result;
}

int cmd_plan(struct cli *cli, struct err *err)
{
    CLEANUP(planning_free) struct planning planning = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = planning_make(cli, &planning, err);
    if (result != 0)
        return planning_report(cli, &planning, result);
    size_t count = plan_site_count(planning.plan);
    if (cli_flag(cli, "json"))
        json_one(&text, "plan", &planning.plan->base);
    else
        plan_text(planning.plan, planning.sites.reply, &cli->out, &text);
    if (!cli_flag(cli, "json") && count > 0)
        str_addf(&text, "To start it: confleet apply %s\n", cli->args[0]);
    result = out_write(&cli->out, &text, err);
    if (result != 0)
        return result;
    return count > 0 ? EXIT_PENDING : EXIT_DONE;
}

static int apply_send(struct cli *cli, const Confleet__Plan *plan, char **ret_id, struct err *err)
{
    Confleet__AskApply apply = CONFLEET__ASK_APPLY__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(signed_free) struct signed_bytes signed_plan = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result =
        signed_make(client_keys(cli->client), SIGN_CONTEXT_PLAN, &plan->base, &signed_plan, err);
    if (result != 0)
        return result;
    apply.plan = &signed_plan.text;
    apply.name = plan->name;
    request.what_case = CONFLEET__REQUEST__WHAT_APPLY;
    request.apply = &apply;
    result = ask(cli, &request, &answer, err);
    if (result != 0)
        return err_wrap(err, "apply %s", cli->args[0]);
    *ret_id = text_dup(answer.reply->n_rollouts > 0 ? answer.reply->rollouts[0]->id : plan->id);
    str_addf(&text, "rollout %s: plan %.16s… signed by %s (key %s)\n", *ret_id, signed_plan.sha256,
             plan->signed_by, signed_plan.key_id);
    return out_write(cli_flag(cli, "json") ? &cli->note : &cli->out, &text, err);
}

int cmd_apply(struct cli *cli, struct err *err)
{
    CLEANUP(planning_free) struct planning planning = { 0 };
    CLEANUP(free_mem) char *id = NULL;
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    int result = planning_make(cli, &planning, err);
    if (result != 0)
        return planning_report(cli, &planning, result);
    size_t count = plan_site_count(planning.plan);
    plan_text(planning.plan, planning.sites.reply, &cli->out, &text);
    result = out_write(cli_flag(cli, "json") ? &cli->note : &cli->out, &text, err);
    if (result != 0 || count == 0)
        return result;
    str_addf(&question, "Upgrade %zu site%s to %s?", count, count == 1 ? "" : "s",
             planning.plan->release->version);
    result = confirm(cli, str_text(&question), err);
    if (result == 0)
        result = apply_send(cli, planning.plan, &id, err);
    if (result != 0 || cli_flag(cli, "detach"))
        return result;
    return watch(cli, id, err);
}
