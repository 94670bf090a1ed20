#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"

int cmd_version(struct cli *cli, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    str_addf(&text, "confleet %s, protocol %d\n", CONFLEET_VERSION, CONFLEET_PROTOCOL);
    return out_write(&cli->out, &text, err);
}

int cmd_help(struct cli *cli, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 }, name = { 0 };
    for (int i = 0; i < cli->arg_count; i++)
        str_addf(&name, "%s%s", i > 0 ? " " : "", cli->args[i]);
    const struct command *command = cli->arg_count > 0 ? command_find(str_text(&name)) : NULL;
    if (cli->arg_count > 0 && !command)
        return err_set(err, FAIL_USAGE, "no command '%s'; see: confleet help", str_text(&name));
    if (command)
        help_command(&text, command);
    else
        help_list(&text);
    return out_write(&cli->out, &text, err);
}

int cmd_complete(struct cli *cli, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    complete_words(cli, cli->arg_count, cli->args, &text);
    return out_write(&cli->out, &text, err);
}
