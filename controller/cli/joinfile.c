#include "controller/cli/joinfile.h"
#include "controller/cli/out.h"
#include <stdio.h>
#include <string.h>

static bool may_sign(const Confleet__OperatorView *one)
{
    return one->role >= CONFLEET__ROLE__OPERATOR && one->sign_public.len == KEY_SIZE &&
           strcmp(one->state, "revoked") != 0;
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
        const Confleet__OperatorView *one = token->operators[i];
        if (join->trust_count == 0 && may_sign(one) &&
            memcmp(one->sign_public.data, own->sign_public, KEY_SIZE) == 0)
            trust_add(join, own->name, one->role, own->sign_public);
    }
    /* Then the reply comes from another store, or this operator was put aside meanwhile. */
    if (join->trust_count == 0)
        return err_set(
            err, FAIL_MISMATCH,
            "the controller does not list this account's signing key; see: confleet operator list");
    for (size_t i = 0; i < token->n_operators; i++) {
        const Confleet__OperatorView *one = token->operators[i];
        if (!may_sign(one) || memcmp(one->sign_public.data, own->sign_public, KEY_SIZE) == 0)
            continue;
        if (join->trust_count == JOIN_TRUST_MAX)
            return err_set(
                err, FAIL_LIMIT,
                "more than %d operators may sign plans; revoke those that are not needed",
                JOIN_TRUST_MAX);
        trust_add(join, one->name, one->role, one->sign_public.data);
    }
    return 0;
}

int joinfile_make(const struct join *own, const struct keys *keys, const Confleet__TokenView *token,
                  struct join *join, struct err *err)
{
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
    return trust_fill(join, keys, token, err);
}
