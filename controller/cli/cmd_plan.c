#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/json.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "controller/cli/client.h"
#include "controller/cli/confirm.h"
#include "controller/cli/plan_text.h"
#include "controller/cli/releases.h"
#include "controller/cli/resolve.h"
#include "controller/cli/signing.h"
#include "controller/cli/watch.h"
#include <assert.h>
#include <string.h>

#define SHOWN_FILE "plan.shown" /* the plan this account was shown last, beside its keys */

/* What a plan file comes to, and all that it is resolved against. */
struct planning {
    struct yaml_report report;
    struct answer sites, agents, releases, operators, serial;
    struct str warnings;
    struct catalogue *catalogue;
    Confleet__Plan *plan;
    int64_t now_ms;
};

static void planning_free(struct planning *planning)
{
    plan_free(&planning->plan);
    str_free(&planning->warnings);
    catalogue_free(&planning->catalogue);
    yaml_report_free(&planning->report);
    answer_free(&planning->sites);
    answer_free(&planning->agents);
    answer_free(&planning->releases);
    answer_free(&planning->operators);
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
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_OPERATOR_LIST, &planning->operators, err);
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SERIAL, &planning->serial, err);
    return result == 0 ? fleet_check(cli->client, &planning->serial, err) : result;
}

static int planning_resolve(struct cli *cli, const struct planfile *file, struct planning *planning,
                            struct err *err)
{
    int result = fleet_ask(cli, planning, err);
    if (result != 0)
        return result;
    planning->now_ms = clock_wall_ms();
    releases_join(planning->releases.reply, &planning->catalogue, &planning->warnings);
    struct resolve_in in = {
        .file = file,
        .sites = planning->sites.reply->sites,
        .site_count = planning->sites.reply->n_sites,
        .agents = planning->agents.reply->agents,
        .agent_count = planning->agents.reply->n_agents,
        .releases = planning->releases.reply->releases,
        .release_count = planning->releases.reply->n_releases,
        .operators = planning->operators.reply->operators,
        .operator_count = planning->operators.reply->n_operators,
        .catalogue = planning->catalogue,
        .fleet = planning->serial.reply->serial->fleet,
        .operator= client_keys(cli->client)->name,
        .serial = planning->serial.reply->serial->next,
        .now_ms = planning->now_ms,
        .warnings = &planning->warnings,
    };
    return plan_resolve(&in, &planning->plan, &planning->report, err);
}

/* What is wrong goes to the reader here; the last line, with the count, is the error that
 * cli_main() prints. */
static int planning_make(struct cli *cli, struct planfile *file, struct planning *planning,
                         struct err *err)
{
    int result = planfile_load(cli->args[0], file, &planning->report, err);
    /* A file that could be read whole is judged against the fleet as well: one pass. */
    if (result == -FAIL_USAGE && file->whole) {
        err_clear(err);
        result = 0;
    }
    if (result == 0)
        result = planning_resolve(cli, file, planning, err);
    out_show(&cli->note, &planning->report.text);
    out_show(&cli->note, &planning->warnings);
    return result;
}

/* ------------------------------------------------------------------ stale plans */

/* So that `apply --inputs` can say what changed. Only a convenience: when it cannot be kept, the
 * comparison itself still holds. */
static void shown_keep(struct cli *cli, const Confleet__Plan *plan)
{
    const char *dir = NULL;
    CLEANUP(str_free) struct str bytes = { 0 };
    if (cli_home(cli, &dir, NULL) != 0)
        return;
    CLEANUP(free_mem) char *path = fs_join(dir, SHOWN_FILE);
    wire_encode(&plan->base, &bytes);
    if (fs_write(path, bytes.s, bytes.len, 0600, NULL) != 0)
        return; /* as said above */
}

static void shown_compare(struct cli *cli, const char *inputs, const Confleet__Plan *is,
                          struct str *to)
{
    const char *dir = NULL;
    char own[PLAN_INPUTS_MAX];
    Confleet__Plan *was = NULL;
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    if (cli_home(cli, &dir, NULL) != 0)
        return;
    CLEANUP(free_mem) char *path = fs_join(dir, SHOWN_FILE);
    if (fs_read(path, WIRE_FRAME_MAX, &bytes, NULL) != 0 ||
        wire_decode_plan(arena, bytes.s, bytes.len, &was, NULL) != 0)
        return;
    plan_inputs(was, own);
    if (strcmp(own, inputs) == 0)
        plan_changes(was, is, to);
}

static int stale(struct cli *cli, const struct str *changes, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    out_lines(&text, "\n  ", "what changed: ", str_text(changes));
    str_add(&text, "\n");
    out_show(&cli->note, &text);
    return err_set(err, FAIL_STALE,
                   "the plan is not the one that was shown; nothing was started: look at it again "
                   "with confleet plan %s",
                   cli->args[0]);
}

/* The plan must still be the one whose fingerprint the command was given. */
static int inputs_check(struct cli *cli, const Confleet__Plan *plan, struct err *err)
{
    char now[PLAN_INPUTS_MAX];
    const char *wanted = cli_value(cli, "inputs");
    CLEANUP(str_free) struct str changes = { 0 };
    plan_inputs(plan, now);
    if (!wanted || strcmp(wanted, now) == 0)
        return 0;
    if (strlen(wanted) != PLAN_INPUTS_MAX - 1 ||
        strspn(wanted, "0123456789abcdef") != strlen(wanted))
        return err_set(err, FAIL_USAGE,
                       "--inputs %s: give the 16 digits of the line \"inputs\" that confleet plan "
                       "printed",
                       wanted);
    shown_compare(cli, wanted, plan, &changes);
    if (changes.len == 0)
        str_addf(&changes, "inputs were %s, are %s\n", wanted, now);
    return stale(cli, &changes, err);
}

/* A person took his time to answer: what he saw must still be so. The newer plan is the one to
 * sign, since its openings are counted from now. */
static int again_check(struct cli *cli, const struct planfile *file, const struct planning *shown,
                       struct planning *again, struct err *err)
{
    CLEANUP(str_free) struct str changes = { 0 };
    int result = planning_resolve(cli, file, again, err);
    if (result == -FAIL_USAGE) {
        out_show(&cli->note, &again->report.text);
        err_clear(err);
        return err_set(err, FAIL_STALE,
                       "the fleet changed and the plan that was shown can no longer be made; "
                       "nothing was started");
    }
    if (result != 0)
        return result;
    plan_changes(shown->plan, again->plan, &changes);
    return changes.len > 0 ? stale(cli, &changes, err) : 0;
}

/* ------------------------------------------------------------------ commands */

static void planning_text(struct cli *cli, const struct planfile *file,
                          const struct planning *planning, struct str *to)
{
    const struct plan_shown shown = { .plan = planning->plan,
                                      .file = file,
                                      .sites = planning->sites.reply,
                                      .now_ms = planning->now_ms };
    plan_text(&shown, &cli->out, to);
}

/* Those of the sites of the plan. */
static void waivers_json(const struct planning *planning, struct str *to)
{
    const char *comma = "";
    const Confleet__Reply *reply = planning->sites.reply;
    for (size_t i = 0; i < reply->n_sites; i++) {
        const Confleet__SiteView *site = reply->sites[i];
        bool planned = false;
        for (size_t s = 0; s < planning->plan->n_stages; s++)
            for (size_t k = 0; k < planning->plan->stages[s]->n_sites; k++)
                planned = planned ||
                          strcmp(planning->plan->stages[s]->sites[k]->name, site->name) == 0;
        for (size_t w = 0; planned && w < site->n_waivers; w++) {
            str_add(to, comma);
            json_message(to, &site->waivers[w]->base, false);
            comma = ",";
        }
    }
}

static void planning_json(const struct planning *planning, struct str *to)
{
    char inputs[PLAN_INPUTS_MAX];
    json_one(to, "plan", &planning->plan->base);
    assert(to->len > 2 && strcmp(to->s + to->len - 2, "}\n") == 0);
    to->s[to->len -= 2] = '\0';
    plan_inputs(planning->plan, inputs);
    str_addf(to, ",\"inputs\":\"%s\",\"waivers\":[", inputs);
    waivers_json(planning, to);
    str_add(to, "]}\n");
}

int cmd_plan(struct cli *cli, struct err *err)
{
    CLEANUP(planfile_free) struct planfile file = { 0 };
    CLEANUP(planning_free) struct planning planning = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = planning_make(cli, &file, &planning, err);
    if (result != 0)
        return result;
    size_t count = plan_site_count(planning.plan);
    if (cli_flag(cli, "json"))
        planning_json(&planning, &text);
    else
        planning_text(cli, &file, &planning, &text);
    if (!cli_flag(cli, "json") && count > 0) {
        char inputs[PLAN_INPUTS_MAX];
        plan_inputs(planning.plan, inputs);
        str_addf(&text, "To start it, just as it is here: confleet apply %s --inputs %s\n",
                 cli->args[0], inputs);
    }
    shown_keep(cli, planning.plan);
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

/* Shows the plan, asks, and has it signed only if it is still the same; *ret_id: the rollout's, or
 * NULL when there is nothing to do. */
static int apply_ask(struct cli *cli, const struct planfile *file, const struct planning *planning,
                     char **ret_id, struct err *err)
{
    CLEANUP(planning_free) struct planning again = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, question = { 0 };
    size_t count = plan_site_count(planning->plan);
    planning_text(cli, file, planning, &text);
    int result = out_write(cli_flag(cli, "json") ? &cli->note : &cli->out, &text, err);
    if (result != 0 || count == 0)
        return result;
    str_addf(&question, "Upgrade %zu site%s to %s?", count, count == 1 ? "" : "s",
             planning->plan->release->version);
    result = confirm(cli, str_text(&question), err);
    if (result == 0 && !cli_flag(cli, "yes"))
        result = again_check(cli, file, planning, &again, err);
    if (result != 0)
        return result;
    return apply_send(cli, again.plan ? again.plan : planning->plan, ret_id, err);
}

int cmd_apply(struct cli *cli, struct err *err)
{
    CLEANUP(planfile_free) struct planfile file = { 0 };
    CLEANUP(planning_free) struct planning planning = { 0 };
    CLEANUP(free_mem) char *id = NULL;
    int result = planning_make(cli, &file, &planning, err);
    if (result == 0)
        result = inputs_check(cli, planning.plan, err);
    if (result == 0)
        result = apply_ask(cli, &file, &planning, &id, err);
    if (result != 0 || !id || cli_flag(cli, "detach"))
        return result;
    return watch(cli, id, err);
}
