#include "controller/cli/cli.h"
#include "confleet/cleanup.h"
#include "controller/cli/out.h"
#include <string.h>

static void options_add(struct str *text, const struct cli_option *options)
{
    char left[64];
    for (; options && options->name; options++) {
        (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", options->letter ? "-" : "  ",
                       options->letter ? options->letter : ' ', options->letter ? ", " : " ",
                       options->name, options->arg ? " " : "", options->arg ? options->arg : "");
        str_addf(text, "  %-26s %s%s\n", left, options->help, options->needed ? " (needed)" : "");
    }
}

void help_command(struct str *text, const struct command *command)
{
    str_addf(text, "usage: confleet %s%s%s%s\n\n%s\n", command->name, *command->args ? " " : "",
             command->args, command->options ? " [OPTION…]" : "", command->help);
    if (command->more)
        str_addf(text, "\n%s\n", command->more);
    str_add(text, "\noptions\n");
    options_add(text, command->options);
    options_add(text, cli_options_common);
}

void help_list(struct str *text)
{
    char left[96];
    str_add(text,
            "confleet - checks, backs up, upgrades and rolls back a fleet of Confluence sites\n\n");
    for (const struct command *command = cli_commands; command->name; command++) {
        if (strncmp(command->name, "__", 2) == 0)
            continue;
        (void)snprintf(left, sizeof left, "%s %s", command->name, command->args);
        size_t columns = out_columns(left);
        str_addf(text, "  %s%*s %s\n", left, columns < 42 ? (int)(42 - columns) : 0, "",
                 command->help);
    }
    str_add(
        text,
        "\nconfleet help COMMAND shows its options. Every listing takes --json. Times are UTC.\n"
        "exit status: 0 done, 1 error, 2 work pending, 3 blocked, 4 needs a person, 5 rolled "
        "back,\n"
        "             6 inconsistent, 7 waited too long, 8 controller unreachable\n");
}
