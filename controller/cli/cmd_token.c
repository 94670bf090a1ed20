#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "controller/cli/client.h"
#include <string.h>

#define TTL_DEFAULT_MS (3600LL * 1000)

static bool may_sign(const Confleet__OperatorView *operator)
{
    return operator->role >= CONFLEET__ROLE__OPERATOR && operator->sign_public.len == KEY_SIZE &&
           strcmp(operator->state, "revoked") != 0;
}

static void trust_add(struct join *join, const char *name, Confleet__Role role,
                      const uint8_t *sign_public)
{
    struct join_trust *trust = &join->trust[join->trust_count++];
    (void)snprintf(trust->name, sizeof trust->name, "%s", name);
    (void)snprintf(trust->role, sizeof trust->role, "%s", role_word(role));
    memcpy(trust->sign_public, sign_public, KEY_SIZE);
}

/* Whom the new machine will believe: this operator's own key as it is here, never as the controller
 * tells it, first. */
static int trust_fill(struct join *join, const struct keys *own, const Confleet__TokenView *token,
                      struct err *err)
{
    for (size_t i = 0; i < token->n_operators; i++) {
        const Confleet__OperatorView *operator= token->operators[i];
        if (may_sign(operator) &&
            memcmp(operator->sign_public.data, own->sign_public, KEY_SIZE) == 0)
            trust_add(join, own->name, operator->role, own->sign_public);
    }
    for (size_t i = 0; i < token->n_operators; i++) {
        const Confleet__OperatorView *operator= token->operators[i];
        if (!may_sign(operator) ||
            memcmp(operator->sign_public.data, own->sign_public, KEY_SIZE) == 0)
            continue;
        if (join->trust_count == JOIN_TRUST_MAX)
            return err_set(
                err, FAIL_LIMIT,
                "more than %d operators may sign plans; revoke those that are not needed",
                JOIN_TRUST_MAX);
        trust_add(join, operator->name, operator->role, operator->sign_public.data);
    }
    return 0;
}

static int join_fill(struct join *join, const struct client *client,
                     const Confleet__TokenView *token, struct err *err)
{
    const struct join *own = client_join(client);
    if (token->token.len != KEY_SIZE)
        return err_set(err, FAIL_PROTOCOL, "the controller answered without a token");
    (void)snprintf(join->kind, sizeof join->kind, "%s", token->kind);
    (void)snprintf(join->name, sizeof join->name, "%s", token->name);
    (void)snprintf(join->fleet, sizeof join->fleet, "%s",
                   own->fleet[0] ? own->fleet : token->fleet);
    (void)snprintf(join->control, sizeof join->control, "%s", own->control);
    (void)snprintf(join->bulk, sizeof join->bulk, "%s", own->bulk);
    /* The key that this command has pinned itself, not the one of the reply. */
    memcpy(join->controller_key, own->controller_key, KEY_SIZE);
    memcpy(join->token, token->token.data, KEY_SIZE);
    join->expires_ms = token->expires_ms;
    return trust_fill(join, client_keys(client), token, err);
}

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
        result = join_fill(join, cli->client, answer.reply->token, err);
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
