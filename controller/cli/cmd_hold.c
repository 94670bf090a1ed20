#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/until.h"
#include <string.h>

static int hold_send(struct cli *cli, int64_t until_ms, struct err *err)
{
    Confleet__AskHold hold = CONFLEET__ASK_HOLD__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *site = cli->args[0], *reason = cli_value(cli, "reason");
    char day[DAY_WORD_MAX];
    bool all = strcmp(site, "all") == 0;
    hold.site = (char *)(all ? "" : site);
    hold.until_ms = until_ms;
    hold.reason = (char *)(reason ? reason : "");
    request.what_case = CONFLEET__REQUEST__WHAT_HOLD;
    request.hold = &hold;
    int result = ask(cli, &request, &answer, err);
    if (result != 0)
        return err_wrap(err, "%s %s", cli->command->name, site);
    if (cli_flag(cli, "json")) {
        JSON_LIST(&text, "holds", answer.reply->holds, answer.reply->n_holds);
        return out_write(&cli->out, &text, err);
    }
    out_clean(&text, all ? "all sites" : site);
    if (until_ms > 0)
        str_addf(&text,
                 "%s until %s: nothing starts there before; what is at work goes on to its end\n",
                 all ? " are held" : " is held", day_word(until_ms, day));
    else
        str_addf(&text, "%s held by this any more; a hold of %s stays what it is\n",
                 all ? " are not" : " is not", all ? "a single site" : "all sites");
    return out_write(&cli->out, &text, err);
}

int cmd_hold(struct cli *cli, struct err *err)
{
    int64_t until_ms = 0;
    int result = until_parse(cli_value(cli, "until"), clock_wall_ms(), &until_ms, err);
    return result == 0 ? hold_send(cli, until_ms, err) : result;
}

int cmd_unhold(struct cli *cli, struct err *err)
{
    return hold_send(cli, 0, err);
}

int cmd_hold_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "SITE", "UNTIL", "REASON", "BY", "SINCE" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 5 };
    char word[DAY_WORD_MAX];
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_HOLD_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_holds; i++) {
        const Confleet__HoldView *hold = answer.reply->holds[i];
        table_add(&table, hold->site[0] ? hold->site : "all");
        table_add(&table, day_word(hold->until_ms, word));
        table_add(&table, hold->reason);
        table_add(&table, hold->by);
        table_add(&table, time_word(hold->at_ms, word));
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "holds", answer.reply->holds, answer.reply->n_holds);
    else if (answer.reply->n_holds == 0)
        str_add(&text, "no site is held\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}
