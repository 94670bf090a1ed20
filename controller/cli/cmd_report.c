#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/report.h"
#include "controller/cli/watch.h"
#include <string.h>

int cmd_report(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *format = cli_value(cli, "format");
    bool json = cli_flag(cli, "json") || (format && strcmp(format, "json") == 0);
    if (format && !json && strcmp(format, "text") != 0)
        return err_set(err, FAIL_USAGE, "--format '%s': write text or json", format);
    int result = rollout_ask(cli, cli->arg_count > 0 ? cli->args[0] : "", &answer, err);
    if (result != 0)
        return result;
    if (json)
        json_one(&text, "report", &answer.reply->rollouts[0]->base);
    else
        report_text(answer.reply->rollouts[0], &cli->out, &text);
    return out_write(&cli->out, &text, err);
}
