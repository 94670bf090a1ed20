#include "controller/edge/requests_inside.h"

#include "confleet/clock.h"
#include "confleet/hash.h"
#include "controller/edge/views.h"
#include <string.h>

int ask_agent_list(struct ask *ask, struct err *err)
{
    struct agent **agents = NULL;
    struct page page = { 0 };
    size_t count = 0;
    int result = agents_list(ask->store, ask->pool, ask->request->after, PAGE_ROWS_MAX, &agents,
                             &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        Confleet__AgentView *view = NULL;
        result = view_agent(ask, agents[i], &view, err);
        if (result != 0)
            return result;
        if (!page_takes(ask, &page, confleet__agent_view__get_packed_size(view)))
            break;
        pool_push(ask->pool, &ask->reply->agents, &ask->reply->n_agents, view);
    }
    if (page.rows > 0 && (page.rows < count || count == PAGE_ROWS_MAX))
        ask->reply->next = field(agents[page.rows - 1]->name);
    return result;
}

static int agent_need(struct ask *ask, const char *name, struct agent **ret, struct err *err)
{
    int result = agent_find(ask->store, ask->pool, name, ret, err);
    if (result == 0 && !*ret)
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s (confleet agent list)", name);
    return result;
}

int ask_agent_show(struct ask *ask, struct err *err)
{
    struct agent *agent = NULL;
    Confleet__AgentView *view = NULL;
    int result = agent_need(ask, ask->request->agent_show->name, &agent, err);
    if (result == 0)
        result = view_agent(ask, agent, &view, err);
    if (result == 0)
        pool_push(ask->pool, &ask->reply->agents, &ask->reply->n_agents, view);
    return result;
}

static int operators_view(struct ask *ask, Confleet__OperatorView ***ret, size_t *ret_count,
                          bool revoked_too, struct err *err)
{
    struct operator** operators = NULL;
    size_t count = 0;
    int result = operators_list(ask->store, ask->pool, &operators, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        uint8_t curve[KEY_SIZE], *sign = pool_alloc(ask->pool, KEY_SIZE);
        char *fingerprint = pool_alloc(ask->pool, FINGERPRINT_MAX);
        if (operators[i]->standing != STANDING_ACCEPTED && !revoked_too)
            continue;
        if (!hex_parse(operators[i]->curve_public, curve, KEY_SIZE) ||
            !hex_parse(operators[i]->sign_public, sign, KEY_SIZE))
            return err_set(err, FAIL_CORRUPT, "the keys of operator %s in the store are no keys",
                           operators[i]->name);
        keys_fingerprint(curve, fingerprint);
        Confleet__OperatorView *view =
            POOL_MESSAGE(ask->pool, Confleet__OperatorView, confleet__operator_view__init);
        view->name = field(operators[i]->name);
        view->role = operators[i]->role;
        view->fingerprint = fingerprint;
        view->sign_public = (ProtobufCBinaryData){ KEY_SIZE, sign };
        view->state = field(standing_name(operators[i]->standing));
        view->key_id = field(operators[i]->key_id);
        pool_push(ask->pool, ret, ret_count, view);
    }
    return result;
}

int ask_operator_list(struct ask *ask, struct err *err)
{
    return operators_view(ask, &ask->reply->operators, &ask->reply->n_operators, true, err);
}

static int token_answer(struct ask *ask, const struct token_spec *spec, struct err *err)
{
    char at[CLOCK_TEXT_MAX];
    Confleet__TokenView *view =
        POOL_MESSAGE(ask->pool, Confleet__TokenView, confleet__token_view__init);
    uint8_t *secret = pool_alloc(ask->pool, KEY_SIZE);
    char *key = pool_alloc(ask->pool, KEY_HEX_MAX);
    int result = token_make(ask->store, spec, secret, err);
    if (result == 0)
        result = operators_view(ask, &view->operators, &view->n_operators, false, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "token", err, "%s token for %s, role %s, until %s",
                           spec->kind, spec->name, role_name(spec->role),
                           clock_text(spec->expires_ms, at));
    if (result != 0)
        return result;
    hex_text(ask->daemon->keys.curve_public, KEY_SIZE, key);
    view->name = field(spec->name);
    view->token = (ProtobufCBinaryData){ KEY_SIZE, secret };
    view->expires_ms = spec->expires_ms;
    view->controller_key = key;
    view->fleet = ask->store->fleet;
    view->role = spec->role;
    view->kind = field(spec->kind);
    ask->reply->token = view;
    ask->keys_changed = true;
    return 0;
}

static int token_until(const struct ask *ask, const Confleet__AskToken *token, int64_t *ret_ms,
                       struct err *err)
{
    uint32_t ttl_s = token->ttl_s != 0 ? token->ttl_s : TOKEN_TTL_DEFAULT_S;
    if (ttl_s > TOKEN_TTL_MAX_S)
        return err_set(err, FAIL_LIMIT, "a token lives for %d days at most",
                       TOKEN_TTL_MAX_S / 86400);
    *ret_ms = ask->store->now_ms + (int64_t)ttl_s * 1000;
    return 0;
}

int ask_agent_token(struct ask *ask, struct err *err)
{
    const Confleet__AskToken *token = ask->request->agent_token;
    struct token_spec spec = { "agent", token->name, ask->who, CONFLEET__ROLE__ROLE_NONE, 0 };
    struct agent *agent = NULL;
    int result = token_until(ask, token, &spec.expires_ms, err);
    if (result == 0)
        result = agent_find(ask->store, ask->pool, token->name, &agent, err);
    if (result == 0 && agent && agent->standing != STANDING_REVOKED)
        return err_set(err, FAIL_EXISTS,
                       "agent %s is enrolled already; revoke it first: confleet agent revoke %s",
                       token->name, token->name);
    return result == 0 ? token_answer(ask, &spec, err) : result;
}

int ask_operator_token(struct ask *ask, struct err *err)
{
    const Confleet__AskToken *token = ask->request->operator_token;
    struct token_spec spec = { "operator", token->name, ask->who, token->role, 0 };
    struct operator** operators = NULL;
    size_t count = 0;
    if (token->role == CONFLEET__ROLE__ROLE_NONE)
        return err_set(err, FAIL_USAGE,
                       "an operator needs a role: viewer, operator, approver or admin");
    int result = token_until(ask, token, &spec.expires_ms, err);
    if (result == 0)
        result = operators_list(ask->store, ask->pool, &operators, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strcmp(operators[i]->name, token->name) == 0 &&
            operators[i]->standing != STANDING_REVOKED)
            return err_set(err, FAIL_EXISTS, "operator %s is enrolled already; revoke it first",
                           token->name);
    return result == 0 ? token_answer(ask, &spec, err) : result;
}

int ask_agent_accept(struct ask *ask, struct err *err)
{
    const Confleet__AskAccept *accept = ask->request->agent_accept;
    int result = agent_accept(ask->store, accept->name, accept->fingerprint, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "agent-accepted", err, "agent %s, fingerprint %s",
                           accept->name, accept->fingerprint);
    if (result == 0)
        ask->welcome = accept->name;
    return result;
}

static const char *id_start(struct ask *ask, const char *kind, const char *name)
{
    char start[PEER_ID_MAX];
    (void)snprintf(start, sizeof start, "%s:%s:", kind, name);
    return pool_text(ask->pool, start);
}

int ask_agent_revoke(struct ask *ask, struct err *err)
{
    const Confleet__AskRevoke *revoke = ask->request->agent_revoke;
    int result = agent_standing_set(ask->store, revoke->name, STANDING_REVOKED, err);
    if (result == 0)
        result = orders_withdraw_agent(ask->store, revoke->name, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "agent-revoked", err, "agent %s%s%s", revoke->name,
                           revoke->reason[0] ? ": " : "", revoke->reason);
    if (result == 0) {
        ask->keys_changed = true;
        ask->cut = id_start(ask, "agent", revoke->name);
    }
    return result;
}

int ask_operator_revoke(struct ask *ask, struct err *err)
{
    const Confleet__AskRevoke *revoke = ask->request->operator_revoke;
    int result = operator_revoke(ask->store, revoke->name, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "operator-revoked", err, "operator %s%s%s",
                           revoke->name, revoke->reason[0] ? ": " : "", revoke->reason);
    if (result == 0) {
        ask->keys_changed = true;
        ask->cut = id_start(ask, "operator", revoke->name);
    }
    return result;
}
