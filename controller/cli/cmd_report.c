#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/report.h"
#include "controller/cli/fetch.h"
#include <string.h>

int cmd_report(struct cli *cli, struct err *err)
{
    CLEANUP(fetched_free) struct fetched rollout = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *format = cli_value(cli, "format");
    bool json = cli_flag(cli, "json") || (format && strcmp(format, "json") == 0);
    if (format && !json && strcmp(format, "text") != 0)
        return err_set(err, FAIL_USAGE, "--format '%s': write text or json", format);
    int result =
        rollout_fetch(cli, cli->arg_count > 0 ? cli->args[0] : "", FETCH_FULL, &rollout, err);
    if (result != 0)
        return result;
    if (json)
        json_one(&text, "report", &rollout.view->base);
    else
        report_text(rollout.view, &cli->out, &text);
    return out_write(&cli->out, &text, err);
}
