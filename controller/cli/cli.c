#include "controller/cli/cli.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/link.h"
#include "confleet/yaml.h"
#include "controller/cli/client.h"
#include <assert.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#define OPTIONS_MAX  24
#define COMMANDS_MAX 64
#define LONG_BASE    1000 /* above every letter */

const struct cli_option cli_options_common[] = {
    { "home", 0, "DIR",
      "folder with operator.key and controller (default: $CONFLEET_HOME or ~/.config/confleet)",
      .complete = "file" },
    { "help", 'h', NULL, "show this help", .needed = false },
    { 0 }
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = cli_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* The option table of getopt, and which of ours each entry is. */
struct parse {
    struct option longs[OPTIONS_MAX + 1];
    char letters[3 * OPTIONS_MAX + 2];
    const struct cli_option *own[OPTIONS_MAX];
    int count;
};

static void parse_add(struct parse *parse, const struct cli_option *options)
{
    for (; options && options->name; options++) {
        assert(parse->count < OPTIONS_MAX);
        size_t used = strlen(parse->letters);
        parse->longs[parse->count] =
            (struct option){ options->name, options->arg ? required_argument : no_argument, NULL,
                             LONG_BASE + parse->count };
        if (options->letter)
            (void)snprintf(parse->letters + used, sizeof parse->letters - used, "%c%s",
                           options->letter, options->arg ? ":" : "");
        parse->own[parse->count++] = options;
    }
}

static const struct cli_option *parse_option(const struct parse *parse, int code)
{
    for (int i = 0; i < parse->count; i++) {
        if (code == LONG_BASE + i || (code < LONG_BASE && parse->own[i]->letter == code))
            return parse->own[i];
    }
    return NULL;
}

static int unknown_option(const struct parse *parse, const struct command *command,
                          const char *word, struct err *err)
{
    char name[64];
    const char *names[OPTIONS_MAX + 1] = { NULL };
    for (int i = 0; i < parse->count; i++)
        names[i] = parse->own[i]->name;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *meant = strncmp(name, "--", 2) == 0 ? yaml_suggest(name + 2, names) : NULL;
    if (meant && strcmp(meant, name + 2) == 0)
        return err_set(err, FAIL_USAGE, "%s: %s takes no value", command->name, name);
    if (meant)
        return err_set(err, FAIL_USAGE, "%s: unknown option %s; did you mean --%s?", command->name,
                       name, meant);
    return err_set(err, FAIL_USAGE, "%s: unknown option %s; see: confleet help %s", command->name,
                   name, command->name);
}

/* getopt_long takes any unambiguous beginning of a name: what was typed is compared with the whole
 * name. */
static bool typed_whole(const struct cli_option *option, const char *word)
{
    size_t len = strlen(option->name);
    if (strncmp(word, "--", 2) != 0)
        return true;
    return strncmp(word + 2, option->name, len) == 0 &&
           (word[2 + len] == '\0' || word[2 + len] == '=');
}

static int value_take(struct cli *cli, const struct parse *parse, const struct cli_option *option,
                      const char *word, struct err *err)
{
    if (!typed_whole(option, word))
        return unknown_option(parse, cli->command, word, err);
    if (!option->many && cli_value(cli, option->name))
        return err_set(err, FAIL_USAGE, "%s: --%s is given twice", cli->command->name,
                       option->name);
    if (cli->value_count == CLI_VALUES_MAX)
        return err_set(err, FAIL_USAGE, "%s: too many options", cli->command->name);
    if (strcmp(option->name, "home") == 0)
        cli->home_option = optarg;
    cli->values[cli->value_count++] = (struct cli_value){ option, option->arg ? optarg : "" };
    return 0;
}

static int arguments_check(const struct cli *cli, struct err *err)
{
    const struct command *command = cli->command;
    if (cli_flag(cli, "help"))
        return 0;
    if (cli->arg_count < command->min)
        return err_set(err, FAIL_USAGE, "%s needs %s; usage: confleet %s %s", command->name,
                       command->min == 1 ? "an argument" : "more arguments", command->name,
                       command->args);
    if (command->max >= 0 && cli->arg_count > command->max)
        return err_set(err, FAIL_USAGE, "%s: unexpected argument '%s'; usage: confleet %s %s",
                       command->name, cli->args[command->max], command->name, command->args);
    for (const struct cli_option *option = command->options; option && option->name; option++) {
        if (option->needed && !cli_value(cli, option->name))
            return err_set(err, FAIL_USAGE, "%s needs --%s %s: %s", command->name, option->name,
                           option->arg, option->help);
    }
    return 0;
}

static int options_parse(struct cli *cli, int argc, char **argv, struct err *err)
{
    struct parse parse = { .letters = ":" };
    parse_add(&parse, cli->command->options);
    parse_add(&parse, cli_options_common);
    optind = 0; /* zero makes getopt forget an earlier run */
    opterr = 0;
    for (int code; (code = getopt_long(argc, argv, parse.letters, parse.longs, NULL)) != -1;) {
        const char *word =
            optind > 1 && optarg == argv[optind - 1] ? argv[optind - 2] : argv[optind - 1];
        const struct cli_option *option = parse_option(&parse, code);
        char letter[3] = { '-', (char)optopt, '\0' };
        if (code == ':')
            return err_set(err, FAIL_USAGE, "%s: %s needs a value", cli->command->name,
                           optopt < LONG_BASE ? letter : argv[optind - 1]);
        if (!option)
            return unknown_option(&parse, cli->command,
                                  optopt > 0 && optopt < LONG_BASE ? letter : argv[optind - 1],
                                  err);
        int result = value_take(cli, &parse, option, word, err);
        if (result != 0)
            return result;
    }
    cli->args = argv + optind;
    cli->arg_count = argc - optind;
    return arguments_check(cli, err);
}

/* A group is the first word of commands of two words: its second words then are what can be meant.
 */
static int unknown_command(const char *first, const char *second, struct err *err)
{
    CLEANUP(str_free) struct str known = { 0 };
    const char *names[COMMANDS_MAX + 1] = { NULL }, *seconds[COMMANDS_MAX + 1] = { NULL };
    size_t count = 0, second_count = 0, len = strlen(first);
    for (const struct command *command = cli_commands; command->name && count < COMMANDS_MAX;
         command++) {
        names[count++] = command->name;
        if (strncmp(command->name, first, len) != 0 || command->name[len] != ' ')
            continue;
        seconds[second_count++] = command->name + len + 1;
        str_addf(&known, "%s%s", known.len ? ", " : "", command->name + len + 1);
    }
    if (second_count > 0 && !second)
        return err_set(err, FAIL_USAGE, "incomplete command '%s'; '%s' has: %s", first, first,
                       str_text(&known));
    const char *meant =
        second_count > 0 ? yaml_suggest(second, seconds) : yaml_suggest(first, names);
    if (second_count > 0 && meant)
        return err_set(err, FAIL_USAGE, "unknown command '%s %s'; did you mean '%s %s'?", first,
                       second, first, meant);
    if (second_count > 0)
        return err_set(err, FAIL_USAGE, "unknown command '%s %s'; '%s' has: %s", first, second,
                       first, str_text(&known));
    if (meant)
        return err_set(err, FAIL_USAGE, "unknown command '%s'; did you mean '%s'?", first, meant);
    return err_set(err, FAIL_USAGE, "unknown command '%s'; see: confleet help", first);
}

int cli_parse(struct cli *cli, int argc, char **argv, struct err *err)
{
    char two[64];
    int words = 1;
    if (argc < 1)
        return err_set(err, FAIL_USAGE, "which command? see: confleet help");
    if (argc > 1 && argv[1][0] != '-') {
        (void)snprintf(two, sizeof two, "%.30s %.30s", argv[0], argv[1]);
        cli->command = command_find(two);
        words = cli->command ? 2 : 1;
    }
    if (!cli->command)
        cli->command = strchr(argv[0], ' ') ? NULL : command_find(argv[0]);
    if (!cli->command)
        return unknown_command(argv[0], argc > 1 && argv[1][0] != '-' ? argv[1] : NULL, err);
    /* getopt skips the first word: the last one of the command's name. */
    return options_parse(cli, argc - words + 1, argv + words - 1, err);
}

const char *cli_value_at(const struct cli *cli, const char *name, size_t index)
{
    for (size_t i = 0; i < cli->value_count; i++) {
        if (strcmp(cli->values[i].option->name, name) == 0 && index-- == 0)
            return cli->values[i].value;
    }
    return NULL;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    return cli_value_at(cli, name, 0);
}
bool cli_flag(const struct cli *cli, const char *name)
{
    return cli_value(cli, name) != NULL;
}

int cli_duration(const struct cli *cli, const char *name, int64_t *ret_ms, struct err *err)
{
    const char *text = cli_value(cli, name);
    if (text && !yaml_duration(text, ret_ms))
        return err_set(
            err, FAIL_USAGE,
            "--%s '%s' is no duration: write a number and a unit, such as 90s, 10m, 4h or 7d", name,
            text);
    return 0;
}

int cli_number(const struct cli *cli, const char *name, uint64_t max, uint64_t *ret_value,
               struct err *err)
{
    const char *text = cli_value(cli, name);
    if (text && !text_parse_u64(text, max, ret_value))
        return err_set(err, FAIL_USAGE, "--%s '%s' is no whole number up to %llu", name, text,
                       (unsigned long long)max);
    return 0;
}

int cli_home(struct cli *cli, const char **ret_dir, struct err *err)
{
    const char *given = cli->home_option ? cli->home_option : getenv("CONFLEET_HOME");
    const char *user = getenv("HOME");
    if (!cli->home && given && *given)
        cli->home = text_dup(given);
    if (!cli->home && user && user[0] == '/')
        cli->home = text_printf("%s/.config/confleet", user);
    if (!cli->home)
        return err_set(
            err, FAIL_USAGE,
            "no folder for keys: $HOME is not set; give --home DIR or set CONFLEET_HOME");
    *ret_dir = cli->home;
    return 0;
}

void cli_free(struct cli *cli)
{
    client_close(&cli->client);
    free_mem(&cli->home);
}

static int run_checked(struct cli *cli, int argc, char **argv, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = cli_parse(cli, argc, argv, err);
    if (result != 0)
        return result;
    if (!cli_flag(cli, "help"))
        return cli->command->run(cli, err);
    help_command(&text, cli->command);
    return out_write(&cli->out, &text, err);
}

/* Options before the command's first word: the common ones only. Their end in argv, or a negative
 * error. */
static int leading_options(struct cli *cli, int argc, char **argv, struct err *err)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            argv[at] = (char *)"help";
            return at;
        }
        if (strcmp(argv[at], "--version") == 0) {
            argv[at] = (char *)"version";
            return at;
        }
        if (strncmp(argv[at], "--home=", 7) == 0)
            cli->home_option = argv[at] + 7;
        else if (strcmp(argv[at], "--home") == 0 && at + 1 < argc)
            cli->home_option = argv[++at];
        else
            return err_set(err, FAIL_USAGE,
                           "unknown option %s before the command; see: confleet help", argv[at]);
    }
    return at;
}

int cli_main(int argc, char **argv)
{
    CLEANUP(cli_free) struct cli cli = { 0 };
    struct err err = { 0 };
    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pager is an error of write() */
    out_open(&cli.out, STDOUT_FILENO);
    out_open(&cli.note, STDERR_FILENO);
    int result = leading_options(&cli, argc, argv, &err);
    if (result >= 0) {
        bool bare = result >= argc;
        char *help[] = { (char *)"help", NULL };
        result = run_checked(&cli, bare ? 1 : argc - result, bare ? help : argv + result, &err);
        if (bare && result == 0)
            result = EXIT_ERROR;
    }
    if (result >= 0)
        return result;
    CLEANUP(str_free) struct str text = { 0 };
    str_add(&text, "confleet: ");
    out_clean(&text, err.text);
    str_add(&text, "\n");
    out_show(&cli.note, &text); /* nothing is left to tell it to */
    return fail_exit_status(result);
}
