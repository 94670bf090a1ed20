#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "controller/cli/client.h"
#include "controller/cli/joinfile.h"
#include <string.h>

#define TTL_DEFAULT_MS (3600LL * 1000)

static int tell(struct cli *cli, const struct join *join, const char *path, struct err *err)
{
    static const char *const heads[] = { "KEY", "ROLE", "OPERATOR" };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 3 };
    char when[32], id[KEY_ID_MAX];
    str_addf(&text, "%s: a one-time token for %s %s, good until %s\n", path, join->kind, join->name,
             time_word(join->expires_ms, when));
    str_addf(
        &text,
        "Bring the file to that machine by a way that others cannot read, and run there: %s %s\n",
        strcmp(join->kind, "agent") == 0 ? "confleet-agent enrol" : "confleet enrol", path);
    str_add(&text, "It will believe plans signed by:\n");
    for (size_t i = 0; i < join->trust_count; i++) {
        keys_id(join->trust[i].sign_public, id);
        table_add(&table, id);
        table_add(&table, join->trust[i].role);
        table_add(&table, join->trust[i].name);
    }
    table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

static void join_wipe(struct join **join)
{
    explicit_bzero(*join, sizeof **join);
    free_mem(join);
}

static int token_make(struct cli *cli, Confleet__Request__WhatCase what, Confleet__Role role,
                      struct err *err)
{
    Confleet__AskToken token = CONFLEET__ASK_TOKEN__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(join_wipe) struct join *join = mem_zero(1, sizeof *join);
    const char *path = cli_value(cli, "join");
    int64_t ttl_ms = TTL_DEFAULT_MS;
    int result = cli_duration(cli, "ttl", &ttl_ms, err);
    if (result != 0)
        return result;
    if (ttl_ms < 1000 || ttl_ms > 7 * 24 * TTL_DEFAULT_MS)
        return err_set(err, FAIL_USAGE, "--ttl must lie between 1s and 7d");
    if (fs_exists(path))
        return err_set(err, FAIL_EXISTS, "%s exists; give another name to --join, or remove it",
                       path);
    token.name = cli->args[0];
    token.ttl_s = (uint32_t)(ttl_ms / 1000);
    token.role = role;
    request.what_case = what;
    request.agent_token = &token; /* the place of operator_token as well */
    result = ask(cli, &request, &answer, err);
    if (result == 0 && !answer.reply->token)
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a token");
    if (result == 0)
        result = joinfile_make(client_join(cli->client), client_keys(cli->client),
                               answer.reply->token, join, err);
    if (result == 0)
        result = join_save(path, join, err);
    if (answer.reply && answer.reply->token)
        explicit_bzero(answer.reply->token->token.data, answer.reply->token->token.len);
    return result == 0 ? tell(cli, join, path, err) : result;
}

int cmd_agent_token(struct cli *cli, struct err *err)
{
    return token_make(cli, CONFLEET__REQUEST__WHAT_AGENT_TOKEN, CONFLEET__ROLE__ROLE_NONE, err);
}

int cmd_operator_token(struct cli *cli, struct err *err)
{
    Confleet__Role role = CONFLEET__ROLE__ROLE_NONE;
    if (!role_parse(cli_value(cli, "role"), &role))
        return err_set(err, FAIL_USAGE,
                       "--role '%s' is no role: viewer, operator, approver or admin",
                       cli_value(cli, "role"));
    return token_make(cli, CONFLEET__REQUEST__WHAT_OPERATOR_TOKEN, role, err);
}
