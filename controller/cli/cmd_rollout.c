#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/json.h"
#include "controller/cli/fetch.h"
#include "controller/cli/states.h"
#include "controller/cli/watch.h"
#include <string.h>

static void row_add(struct table *table, const Confleet__RolloutView *rollout)
{
    struct state_counts counts = counts_of(rollout);
    size_t failed = 0;
    char when[32], span[24];
    for (size_t i = 0; i <= STATES_MAX; i++)
        failed += i == STATES_MAX || state_words[i].rank > 0 ? counts.count[i] : 0;
    table_add(table, rollout->id);
    table_add(table, rollout->release ? rollout->release->version : "");
    table_add(table, rollout->paused ? "paused" : rollout->state);
    table_addf(table, "%zu of %zu", counts.count[state_index("committed")], counts.total);
    table_addf(table, "%zu", failed);
    table_add(table, time_word(rollout->started_ms, when));
    table_add(table,
              rollout->finished_ms > 0
                  ? text_duration((rollout->finished_ms - rollout->started_ms) / 1000 * 1000, span)
                  : "");
    table_add(table, rollout->signed_by);
}

static int list(struct cli *cli, bool only_over, struct err *err)
{
    static const char *const heads[] = { "ROLLOUT", "RELEASE", "STATE", "COMMITTED",
                                         "FAILED",  "STARTED", "TOOK",  "SIGNED BY" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 8 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST, &answer, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem)
    Confleet__RolloutView **shown = mem_zero(answer.reply->n_rollouts + 1, sizeof *shown);
    size_t count = 0;
    for (size_t i = 0; i < answer.reply->n_rollouts; i++) {
        Confleet__RolloutView *rollout = answer.reply->rollouts[i];
        if (only_over && rollout->finished_ms == 0)
            continue;
        shown[count++] = rollout;
        row_add(&table, rollout);
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "rollouts", shown, count);
    else if (count == 0)
        str_add(&text, "no rollouts yet: confleet plan FILE\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

int cmd_rollout_list(struct cli *cli, struct err *err)
{
    return list(cli, false, err);
}

static void passage_add(struct table *table, const Confleet__RolloutView *rollout,
                        const Confleet__RolloutSiteView *site)
{
    char when[32], since[32], span[24];
    table_add(table, rollout->id);
    table_add(table, site->stage);
    table_add(table, status_word(site));
    table_add(table, site->from_version);
    table_add(table, rollout->release ? rollout->release->version : "");
    table_add(table, time_word(site->started_ms, when));
    if (site->down)
        table_addf(table, "since %s", time_word(site->down_since_ms, since));
    else
        table_add(table, site->outage_ms > 0 ? text_duration(site->outage_ms, span) : "");
    table_addf(table, "%u", site->attempt);
    table_add(table, site->reason);
}

/* What every rollout did with one site. */
static int history_of(struct cli *cli, const char *name, struct err *err)
{
    static const char *const heads[] = { "ROLLOUT", "STAGE",  "OUTCOME", "FROM",  "TO",
                                         "STARTED", "OUTAGE", "ATTEMPT", "REASON" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 9 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST, &answer, err);
    if (cli_flag(cli, "json"))
        str_addf(&text, "{\"schema\":%d,\"history\":[", OUT_SCHEMA);
    for (size_t i = 0; result == 0 && i < answer.reply->n_rollouts; i++) {
        CLEANUP(fetched_free) struct fetched one = { 0 };
        result = rollout_fetch(cli, answer.reply->rollouts[i]->id, FETCH_BRIEF, &one, err);
        for (size_t s = 0; result == 0 && s < one.view->n_sites; s++) {
            if (strcmp(one.view->sites[s]->site, name) != 0)
                continue;
            if (cli_flag(cli, "json")) {
                str_add(&text, table.count > 0 ? ",{\"rollout\":" : "{\"rollout\":");
                json_text(&text, one.view->id);
                str_add(&text, ",\"site\":");
                json_message(&text, &one.view->sites[s]->base, false);
                str_add(&text, "}");
            }
            passage_add(&table, one.view, one.view->sites[s]);
        }
    }
    if (result != 0)
        return result;
    if (cli_flag(cli, "json")) {
        str_add(&text, "]}\n");
    } else if (table.count == 0) {
        str_add(&text, "no rollout has named site ");
        out_clean(&text, name);
        str_add(&text, "\n");
    } else {
        table_print(&table, &text);
    }
    return out_write(&cli->out, &text, err);
}

int cmd_rollout_history(struct cli *cli, struct err *err)
{
    return cli->arg_count > 0 ? history_of(cli, cli->args[0], err) : list(cli, true, err);
}

int cmd_rollout_status(struct cli *cli, struct err *err)
{
    return watch(cli, cli->arg_count > 0 ? cli->args[0] : "", err);
}
