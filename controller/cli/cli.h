/* cli - the operator's command: one table of commands drives parsing, help and completion.
 *
 * Options may follow arguments; abbreviations of long options are refused, so that a script keeps
 * its meaning when an option is added. A command answers an exit status, or -FAIL_X with *err
 * filled, which cli_main() prints once. */
#pragma once
#include "confleet/err.h"
#include "controller/cli/out.h"

#define CLI_VALUES_MAX 64

struct cli_option {
    const char *name;
    char letter;     /* zero: none */
    const char *arg; /* NULL: a flag */
    const char *help;
    bool needed, many;
    const char *complete; /* what its value is: "site", "agent", "operator", "release", "rollout",
                             "file" or words */
};
struct cli_value {
    const struct cli_option *option;
    const char *value;
};

struct client;
struct cli {
    const struct command *command;
    char **args;
    int arg_count;
    struct cli_value values[CLI_VALUES_MAX];
    size_t value_count;
    const char *home_option; /* --home, NULL: not given */
    char *home;              /* found by cli_home(), owned */
    struct client *client;   /* opened by the first request, owned */
    struct out out, note;    /* results; progress and prompts */
};

struct command {
    const char *name;                 /* "agent list" */
    const char *args;                 /* for people: "HOST" */
    int min, max;                     /* count of arguments; max -1: any */
    const struct cli_option *options; /* ended by a NULL name; NULL: none of its own */
    const char *help;                 /* one line */
    const char *complete;             /* of its arguments */
    int (*run)(struct cli *cli, struct err *err);
    const char *more; /* paragraphs of `help COMMAND`, may be NULL */
};
extern const struct command cli_commands[]; /* ended by a NULL name */
extern const struct cli_option cli_options_common[];

int cli_main(int argc, char **argv); /* the whole program; returns its exit status */
/* Fills the command, arguments and values; FAIL_USAGE names the remedy. argv[0] is the first word
 * of the command. */
int cli_parse(struct cli *cli, int argc, char **argv, struct err *err) MUST_USE;
const char *cli_value(const struct cli *cli, const char *name); /* NULL: not given; "" for a flag */
const char *cli_value_at(const struct cli *cli, const char *name,
                         size_t index); /* of an option that may be repeated */
bool cli_flag(const struct cli *cli, const char *name);
int cli_duration(const struct cli *cli, const char *name, int64_t *ret_ms,
                 struct err *err) MUST_USE; /* untouched when not given */
int cli_number(const struct cli *cli, const char *name, uint64_t max, uint64_t *ret_value,
               struct err *err) MUST_USE;
/* The folder with operator.key and controller: --home, $CONFLEET_HOME, ~/.config/confleet. */
int cli_home(struct cli *cli, const char **ret_dir, struct err *err) MUST_USE;
void cli_free(struct cli *cli);

void help_list(struct str *text);
void help_command(struct str *text, const struct command *command);
const struct command *command_find(const char *name);
/* Candidates for the last of the words, one a line. */
void complete_words(struct cli *cli, int count, char **words, struct str *text);
