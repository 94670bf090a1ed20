#include "controller/cli/cli.h"
#include "confleet/cleanup.h"
#include "controller/cli/client.h"
#include <string.h>

#define ASK_MS 1500 /* a person waits for the Tab key */

static void candidate(struct str *text, const char *prefix, const char *word)
{
    if (strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    out_clean(text, word);
    str_add(text, "\n");
}

static void names_add(const Confleet__Reply *reply, const char *prefix, struct str *text)
{
    for (size_t i = 0; i < reply->n_sites; i++)
        candidate(text, prefix, reply->sites[i]->name);
    for (size_t i = 0; i < reply->n_agents; i++)
        candidate(text, prefix, reply->agents[i]->name);
    for (size_t i = 0; i < reply->n_operators; i++)
        candidate(text, prefix, reply->operators[i]->name);
    for (size_t i = 0; i < reply->n_releases; i++)
        candidate(text, prefix, reply->releases[i]->version);
    for (size_t i = 0; i < reply->n_rollouts; i++)
        candidate(text, prefix, reply->rollouts[i]->id);
}

/* Names that only the controller knows; when it does not answer there are none. */
static void ask_names(struct cli *cli, const char *kind, const char *prefix, struct str *text)
{
    static const struct {
        const char *kind;
        Confleet__Request__WhatCase what;
    } lists[] = {
        { "site", CONFLEET__REQUEST__WHAT_SITE_LIST },
        { "agent", CONFLEET__REQUEST__WHAT_AGENT_LIST },
        { "operator", CONFLEET__REQUEST__WHAT_OPERATOR_LIST },
        { "release", CONFLEET__REQUEST__WHAT_RELEASE_LIST },
        { "rollout", CONFLEET__REQUEST__WHAT_ROLLOUT_LIST },
    };
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    struct client *client = NULL;
    request.ping = &nothing;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(lists[i].kind, kind) == 0)
            request.what_case = lists[i].what;
    }
    if (request.what_case == CONFLEET__REQUEST__WHAT__NOT_SET)
        return;
    if (ask_client(cli, &client, NULL) == 0 &&
        client_call_all(client, &request, ASK_MS, &answer, NULL) == 0)
        names_add(answer.reply, prefix, text);
}

static void values_add(struct cli *cli, const char *complete, const char *prefix, struct str *text)
{
    char word[64];
    if (!complete || strcmp(complete, "file") == 0)
        return;
    if (!strchr(complete, '|')) {
        ask_names(cli, complete, prefix, text);
        return;
    }
    for (const char *s = complete; *s; s += strspn(s, "|")) {
        size_t len = strcspn(s, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)len, s);
        candidate(text, prefix, word);
        s += len;
    }
}

static const struct cli_option *option_find(const struct cli_option *options, const char *word)
{
    for (; options && options->name; options++) {
        bool is_long = strncmp(word, "--", 2) == 0 && strcmp(word + 2, options->name) == 0;
        if (is_long ||
            (word[0] == '-' && options->letter && word[1] == options->letter && !word[2]))
            return options;
    }
    return NULL;
}

static void options_complete(const struct cli_option *options, const char *prefix, struct str *text)
{
    char word[64];
    for (; options && options->name; options++) {
        (void)snprintf(word, sizeof word, "--%s", options->name);
        candidate(text, prefix, word);
    }
}

static void commands_complete(const char *first, const char *prefix, struct str *text)
{
    char word[64], last[64] = "";
    size_t len = first ? strlen(first) : 0;
    for (const struct command *command = cli_commands; command->name; command++) {
        const char *name = command->name;
        if (strncmp(name, "__", 2) == 0)
            continue;
        if (first && (strncmp(name, first, len) != 0 || name[len] != ' '))
            continue;
        name += first ? len + 1 : 0;
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
        if (strcmp(word, last) != 0)
            candidate(text, prefix, word);
        (void)snprintf(last, sizeof last, "%s", word);
    }
}

void complete_words(struct cli *cli, int count, char **words, struct str *text)
{
    char two[64] = "";
    const char *prefix = count > 0 ? words[count - 1] : "";
    const struct command *command = NULL;
    if (count > 2) {
        (void)snprintf(two, sizeof two, "%.30s %.30s", words[0], words[1]);
        command = command_find(two);
    }
    if (!command && count > 1)
        command = command_find(words[0]);
    if (!command) {
        if (count <= 2)
            commands_complete(count == 2 ? words[0] : NULL, prefix, text);
        return;
    }
    const struct cli_option *before = option_find(command->options, words[count - 2]);
    before = before ? before : option_find(cli_options_common, words[count - 2]);
    if (before && before->arg) {
        values_add(cli, before->complete, prefix, text);
    } else if (prefix[0] == '-') {
        options_complete(command->options, prefix, text);
        options_complete(cli_options_common, prefix, text);
    } else {
        if (count == 2) /* "hold" takes a site, and there is "hold list" */
            commands_complete(words[0], prefix, text);
        values_add(cli, command->complete, prefix, text);
    }
}
