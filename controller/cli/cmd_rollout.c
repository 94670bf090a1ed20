#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/status.h"
#include "controller/cli/watch.h"
#include <string.h>

static void row_add(struct table *table, const Confleet__RolloutView *rollout)
{
    size_t committed = 0, failed = 0;
    char when[32], span[24];
    for (size_t i = 0; i < rollout->n_sites; i++) {
        committed += strcmp(rollout->sites[i]->state, "committed") == 0;
        failed += status_tone(rollout->sites[i]->state) == TONE_BAD ||
                  strcmp(rollout->sites[i]->state, "rolled-back") == 0;
    }
    table_add(table, rollout->id);
    table_add(table, rollout->release ? rollout->release->version : "");
    table_add(table, rollout->state);
    table_addf(table, "%zu of %zu", committed, rollout->n_sites);
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

int cmd_rollout_history(struct cli *cli, struct err *err)
{
    return list(cli, true, err);
}

int cmd_rollout_status(struct cli *cli, struct err *err)
{
    return watch(cli, cli->arg_count > 0 ? cli->args[0] : "", err);
}
