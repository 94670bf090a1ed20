#include "controller/cli/cli.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

#define WORDS_MAX 12
static char *words[WORDS_MAX + 1];
static int split(char *line)
{
    int count = 0;
    for (char *word = strtok(line, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
        words[count++] = word;
    words[count] = NULL;
    return count;
}

static struct cli parsed(const char *line)
{
    static char copy[512];
    struct cli cli = { 0 };
    struct err err = { 0 };
    (void)snprintf(copy, sizeof copy, "%s", line);
    CHECK_OK(cli_parse(&cli, split(copy), words, &err), err);
    return cli;
}

static const char *refused(const char *line)
{
    static char copy[512], text[ERR_TEXT_MAX];
    struct cli cli = { 0 };
    struct err err = { 0 };
    (void)snprintf(copy, sizeof copy, "%s", line);
    CHECK_INT(cli_parse(&cli, split(copy), words, &err), -FAIL_USAGE);
    (void)snprintf(text, sizeof text, "%s", err.text);
    return text;
}

static const char *completed(const char *line, bool next_word)
{
    static char copy[512], text[4096];
    struct cli cli = { 0 };
    CLEANUP(str_free) struct str out = { 0 };
    (void)snprintf(copy, sizeof copy, "%s", line);
    int count = split(copy);
    if (next_word)
        words[count++] = (char *)"";
    complete_words(&cli, count, words, &out);
    cli_free(&cli);
    (void)snprintf(text, sizeof text, "%s", str_text(&out));
    return text;
}

TEST(options_may_follow_arguments)
{
    struct cli cli = parsed("site set wiki env=test --node host:/opt/c --covers docs team=x");
    CHECK_STR(cli.command->name, "site set");
    CHECK_INT(cli.arg_count, 3);
    CHECK_STR(cli.args[2], "team=x");
    CHECK_STR(cli_value(&cli, "node"), "host:/opt/c");
    CHECK_STR(cli_value(&cli, "covers"), "docs");
}

TEST(short_and_repeated_options_are_kept_in_order)
{
    struct cli cli = parsed("check -l env=test wiki --label team=x --json");
    CHECK_STR(cli_value_at(&cli, "label", 0), "env=test");
    CHECK_STR(cli_value_at(&cli, "label", 1), "team=x");
    CHECK(cli_value_at(&cli, "label", 2) == NULL);
    CHECK(cli_flag(&cli, "json"));
    CHECK_INT(cli.arg_count, 1);
    cli = parsed("rollback r1 --site=wiki --reason --plan -y");
    CHECK_STR(cli_value(&cli, "reason"), "--plan");
    CHECK(cli_flag(&cli, "yes"));
    CHECK(!cli_flag(&cli, "plan"));
}

TEST(abbreviated_options_are_refused_with_the_whole_name)
{
    CHECK_STR(refused("apply f.yaml --det"), "apply: unknown option --det; did you mean --detach?");
    CHECK_STR(refused("agent token h --joi=f"),
              "agent token: unknown option --joi; did you mean --join?");
    CHECK_STR(refused("agent token h --joi f"),
              "agent token: unknown option --joi; did you mean --join?");
}

TEST(wrong_options_name_the_remedy)
{
    CHECK_STR(refused("agent list --jsn"),
              "agent list: unknown option --jsn; did you mean --json?");
    CHECK_STR(refused("agent list --zzzzzz"),
              "agent list: unknown option --zzzzzz; see: confleet help agent list");
    CHECK_STR(refused("agent list -q"),
              "agent list: unknown option -q; see: confleet help agent list");
    CHECK_STR(refused("agent list --json=1"), "agent list: --json takes no value");
    CHECK_STR(refused("agent list --json --json"), "agent list: --json is given twice");
    CHECK_STR(refused("check -l"), "check: -l needs a value");
    CHECK_STR(refused("agent token h --join"), "agent token: --join needs a value");
    CHECK_HAS(refused("agent token h"), "agent token needs --join FILE: ");
    CHECK_HAS(refused("agent show"),
              "agent show needs an argument; usage: confleet agent show HOST");
    CHECK_HAS(refused("agent show a b"), "agent show: unexpected argument 'b'");
}

TEST(unknown_commands_get_a_suggestion)
{
    CHECK_STR(refused("agnet list"), "unknown command 'agnet'; see: confleet help");
    CHECK_STR(refused("chekc"), "unknown command 'chekc'; did you mean 'check'?");
    CHECK_STR(refused("agent lst"), "unknown command 'agent lst'; did you mean 'agent list'?");
    CHECK_STR(refused("rollout explode"),
              "unknown command 'rollout explode'; 'rollout' has: list, status, "
              "history, pause, resume, approve, retry, skip, abort, commit");
    CHECK_STR(refused("backup"), "incomplete command 'backup'; 'backup' has: run, list, verify, restore");
}

TEST(help_lists_each_command_and_hides_the_internal_one)
{
    CLEANUP(str_free) struct str text = { 0 };
    help_list(&text);
    for (const struct command *command = cli_commands; command->name; command++) {
        bool hidden = strncmp(command->name, "__", 2) == 0;
        CHECK((strstr(text.s, command->name) != NULL) != hidden);
        CHECK(command->run != NULL);
    }
    str_clear(&text);
    help_command(&text, command_find("agent token"));
    CHECK_HAS(text.s, "usage: confleet agent token HOST [OPTION…]");
    CHECK_HAS(text.s, "--join FILE");
    CHECK_HAS(text.s, "(needed)");
    CHECK_HAS(text.s, "--home DIR");
}

TEST(completion_follows_the_table)
{
    CHECK_STR(completed("ag", false), "agent\n");
    CHECK_STR(completed("agent re", false), "revoke\n");
    CHECK_STR(completed("backup", true), "run\nlist\nverify\nrestore\n");
    CHECK_STR(completed("agent token h --j", false), "--join\n");
    CHECK_STR(completed("operator token bob --role a", false), "approver\nadmin\n");
    CHECK_STR(completed("rollout status --watch", true), "true\nfalse\n");
    CHECK_STR(completed("nonsense here", true), "");
}

TEST(completion_of_names_is_silent_without_a_controller)
{
    CHECK_INT(setenv("CONFLEET_HOME", test_dir(), 1), 0);
    CHECK_STR(completed("site show w", false), "");
}

TEST(durations_and_numbers_of_options_are_checked)
{
    struct err err = { 0 };
    int64_t ms = 5;
    uint64_t number = 6;
    struct cli cli = parsed("agent token h --join f --ttl 1h30m");
    CHECK_OK(cli_duration(&cli, "ttl", &ms, &err), err);
    CHECK_INT(ms, 5400000);
    cli = parsed("agent token h --join f --ttl soon");
    CHECK_INT(cli_duration(&cli, "ttl", &ms, &err), -FAIL_USAGE);
    CHECK_HAS(err.text, "--ttl 'soon' is no duration");
    CHECK_INT(ms, 5400000);
    err_clear(&err);
    cli = parsed("audit list --after x");
    CHECK_INT(cli_number(&cli, "after", 10, &number, &err), -FAIL_USAGE);
    CHECK_INT(number, 6);
}

TEST(rollout_of_a_decision_may_be_left_out)
{
    struct cli cli = parsed("rollout approve production --yes");
    CHECK_INT(cli.arg_count, 1);
    cli = parsed("rollout approve spring-7 production");
    CHECK_STR(cli.args[1], "production");
    cli = parsed("rollout retry spring-7 wiki --reason fixed");
    CHECK_STR(cli_value(&cli, "reason"), "fixed");
    cli = parsed("rollback --stage production --plan");
    CHECK_INT(cli.arg_count, 0);
}

TEST(decisions_that_stop_or_change_something_need_a_reason)
{
    static const char *const lines[] = { "rollout pause",     "rollout resume spring-7",
                                         "rollout abort",     "rollout retry wiki",
                                         "rollout skip wiki", "hold wiki --until 2h" };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        CHECK_HAS(refused(lines[i]), "needs --reason R");
    CHECK_HAS(refused("hold all --reason freeze"),
              "hold needs --until T: 2h, 3d, or a time in UTC");
    CHECK_HAS(refused("rollout skip --reason r"), "usage: confleet rollout skip [ID] SITE");
}

TEST(hold_is_a_command_and_a_group)
{
    CHECK_STR(parsed("hold wiki --until 2h --reason r").command->name, "hold");
    CHECK_STR(parsed("hold list").command->name, "hold list");
    CHECK_HAS(completed("hold l", false), "list\n");
    CHECK_HAS(completed("rollout re", false), "resume\nretry\n");
    CHECK_HAS(completed("report --format h", false), "html\n");
}
