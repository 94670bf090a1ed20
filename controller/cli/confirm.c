#include "controller/cli/confirm.h"
#include "confleet/cleanup.h"
#include <string.h>

int confirm(struct cli *cli, const char *question, struct err *err)
{
    char line[16] = "";
    CLEANUP(str_free) struct str text = { 0 };
    if (cli_flag(cli, "yes"))
        return 0;
    if (!isatty(STDIN_FILENO))
        return err_set(
            err, FAIL_USAGE,
            "%s: nobody can be asked, standard input is no terminal; give --yes when this is meant",
            cli->command->name);
    out_clean(&text, question);
    str_add(&text, " Type yes: ");
    int result = out_write(&cli->note, &text, err);
    if (result != 0)
        return result;
    if (fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0)
        return 0;
    return err_set(err, FAIL_CANCELLED, "not started: the answer was not yes");
}
