#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/waiver.h"
#include "controller/cli/client.h"
#include "controller/cli/decision.h"
#include "controller/cli/until.h"
#include <string.h>

int cmd_waive(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct decision decision = { .kind = "waive",
                                 .site = cli->args[0],
                                 .check = cli->args[1],
                                 .reason = cli_value(cli, "reason") };
    char until[DAY_WORD_MAX];
    int64_t now_ms = clock_wall_ms();
    int result = waiver_allowed(decision.check, err);
    if (result == 0)
        result = until_parse(cli_value(cli, "until"), now_ms, &decision.good_until_ms, err);
    if (result == 0 && decision.good_until_ms <= now_ms)
        result = err_set(err, FAIL_USAGE, "--until %s is over already", cli_value(cli, "until"));
    if (result == 0)
        result = decision_waive(cli, &decision, &answer, err);
    if (result != 0)
        return result;
    out_clean(&text, decision.check);
    str_add(&text, " of site ");
    out_clean(&text, decision.site);
    str_addf(&text, " stops nothing until %s; its agent learns of it with the next check or "
                    "upgrade: confleet check ",
             day_word(decision.good_until_ms, until));
    out_clean(&text, decision.site);
    str_add(&text, "\n");
    return out_write(&cli->out, &text, err);
}

int cmd_unwaive(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *reason = cli_value(cli, "reason");
    struct decision decision = { .kind = "waive",
                                 .site = cli->args[0],
                                 .check = cli->args[1],
                                 .reason = reason ? reason : "lifted",
                                 .good_until_ms = clock_wall_ms() - 1000 };
    int result = decision_waive(cli, &decision, &answer, err);
    if (result != 0)
        return result;
    out_clean(&text, decision.check);
    str_add(&text, " of site ");
    out_clean(&text, decision.site);
    str_add(&text, " counts again, from the next check on\n");
    return out_write(&cli->out, &text, err);
}

int cmd_waive_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "SITE", "CHECK", "UNTIL", "BY", "REASON" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 5 };
    char until[DAY_WORD_MAX];
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_WAIVER_LIST,
                          cli->arg_count > 0 ? cli->args[0] : "", &answer, err);
    for (size_t i = 0; result == 0 && i < answer.reply->n_waivers; i++) {
        const Confleet__Waiver *waiver = answer.reply->waivers[i];
        table_add(&table, waiver->site);
        table_add(&table, waiver->check);
        table_add(&table, day_word(waiver->until_ms, until));
        table_add(&table, waiver->by);
        table_add(&table, waiver->reason);
    }
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "waivers", answer.reply->waivers, answer.reply->n_waivers);
    else if (answer.reply->n_waivers == 0)
        str_add(&text, "nothing is waived\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}
