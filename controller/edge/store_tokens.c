#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "controller/edge/store_peers.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

int token_make(struct store *store, const struct token_spec *spec, uint8_t ret_secret[KEY_SIZE],
               struct err *err)
{
    uint8_t secret[KEY_SIZE], public[KEY_SIZE];
    char sha256[HASH_HEX_MAX], public_hex[KEY_HEX_MAX];
    assert(strcmp(spec->kind, "agent") == 0 || strcmp(spec->kind, "operator") == 0);
    if (!text_is_name(spec->name))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name: small letters, digits, dot, dash, underscore", spec->name);
    random_bytes(secret, sizeof secret);
    int result = keys_curve_from_secret(secret, public, err);
    if (result == 0) {
        hash_bytes_hex(secret, sizeof secret, sha256);
        hex_text(public, sizeof public, public_hex);
        result = db_run(store->db, err,
                        "INSERT INTO tokens(token_sha256, curve_public, kind, name, role, "
                        "created_ms, expires_ms, used_ms,"
                        " made_by) VALUES($1, $2, $3, $4, $5, $6, $7, 0, $8)",
                        "ttttiiit", sha256, public_hex, spec->kind, spec->name, (int64_t)spec->role,
                        store->now_ms, spec->expires_ms, spec->made_by);
    }
    if (result == 0)
        memcpy(ret_secret, secret, sizeof secret);
    OPENSSL_cleanse(secret, sizeof secret);
    return result;
}

struct token_list {
    struct pool *pool;
    struct token *token;
};

static int token_row(void *arg, const struct db_row *row, struct err *err)
{
    struct token_list *list = arg;
    struct token *token = pool_alloc(list->pool, sizeof *token);
    (void)err;
    token->sha256 = pool_text(list->pool, db_text(row, 0));
    token->curve_public = pool_text(list->pool, db_text(row, 1));
    token->kind = pool_text(list->pool, db_text(row, 2));
    token->name = pool_text(list->pool, db_text(row, 3));
    token->role = (Confleet__Role)db_i64(row, 4);
    token->expires_ms = db_i64(row, 5);
    token->used_ms = db_i64(row, 6);
    list->token = token;
    return 0;
}

int token_find(struct store *store, struct pool *pool, const char *link_id, struct token **ret,
               struct err *err)
{
    struct token_list list = { pool, NULL };
    if (strncmp(link_id, "token:", 6) != 0)
        return err_set(err, FAIL_DENIED, "only a token's own connection may enrol");
    int result = db_each(
        store->db, token_row, &list, err,
        "SELECT token_sha256, curve_public, kind, name, role, expires_ms, used_ms FROM tokens"
        " WHERE substr(curve_public, 1, 16)=$1",
        "t", link_id + 6);
    if (result == 0 && !list.token)
        return err_set(err, FAIL_NOT_FOUND, "this token is not known any more; ask for a new one");
    if (result == 0)
        *ret = list.token;
    return result;
}

int token_judge(const struct token *token, int64_t now_ms, const char *name, struct err *err)
{
    char at[CLOCK_TEXT_MAX];
    const char *again =
        strcmp(token->kind, "agent") == 0 ? "confleet agent token" : "confleet operator token";
    if (token->used_ms != 0)
        return err_set(err, FAIL_EXISTS,
                       "token was used at %s; if that was not you, revoke %s; then: %s %s",
                       clock_text(token->used_ms, at), token->name, again, token->name);
    if (now_ms >= token->expires_ms)
        return err_set(err, FAIL_EXPIRED, "token expired at %s; make a new one: %s %s",
                       clock_text(token->expires_ms, at), again, token->name);
    if (strcmp(token->name, name) != 0)
        return err_set(err, FAIL_MISMATCH, "this token is for %s, not for %s", token->name, name);
    return 0;
}

static int key_is_new(struct store *store, const char *curve_public, struct err *err)
{
    int64_t count = 0;
    int result = db_get_i64(store->db, &count, NULL, err,
                            "SELECT (SELECT count(*) FROM agents WHERE curve_public=$1)"
                            " + (SELECT count(*) FROM operators WHERE curve_public=$1)"
                            " + (SELECT count(*) FROM tokens WHERE curve_public=$1)",
                            "t", curve_public);
    if (result == 0 && count > 0)
        return err_set(err, FAIL_EXISTS,
                       "this key is known already: each enrolment makes keys of its own");
    return result;
}

static int agent_insert(struct store *store, const char *name, const char *curve_public,
                        struct err *err)
{
    int result =
        db_run(store->db, err, "DELETE FROM agents WHERE name=$1 AND state='revoked'", "t", name);
    if (result == 0)
        result = db_run(store->db, err,
                        "INSERT INTO agents(name, curve_public, state, created_ms, seen_ms, "
                        "version, host, os, start_count,"
                        " boot_id, event_seq, survey, survey_ms) VALUES($1, $2, 'pending', $3, 0, "
                        "'', '', '', 0, '', 0, $4, 0)"
                        " ON CONFLICT(name) DO NOTHING",
                        "ttib", name, curve_public, store->now_ms, "", (size_t)0);
    if (result == 0 && db_changes(store->db) != 1)
        return err_set(err, FAIL_EXISTS,
                       "agent %s is enrolled already; revoke it first: confleet agent revoke %s",
                       name, name);
    return result;
}

static int operator_insert(struct store *store, const struct token *token,
                           const Confleet__Enrol *enrol, const char *curve_public, struct err *err)
{
    char sign_public[KEY_HEX_MAX], key_id[KEY_ID_MAX];
    int64_t known = 0;
    if (enrol->sign_public.len != KEY_SIZE)
        return err_set(err, FAIL_PROTOCOL, "an operator enrols with a signing key of %d bytes",
                       KEY_SIZE);
    hex_text(enrol->sign_public.data, KEY_SIZE, sign_public);
    keys_id(enrol->sign_public.data, key_id);
    int result = db_run(store->db, err, "DELETE FROM operators WHERE name=$1 AND state='revoked'",
                        "t", token->name);
    if (result == 0)
        result = db_get_i64(store->db, &known, NULL, err,
                            "SELECT count(*) FROM operators WHERE key_id=$1", "t", key_id);
    if (result == 0 && known > 0)
        return err_set(err, FAIL_EXISTS,
                       "this signing key is known already: each enrolment makes keys of its own");
    if (result == 0)
        result = db_run(store->db, err,
                        "INSERT INTO operators(name, curve_public, sign_public, key_id, role, "
                        "state, created_ms)"
                        " VALUES($1, $2, $3, $4, $5, 'accepted', $6) ON CONFLICT(name) DO NOTHING",
                        "ttttii", token->name, curve_public, sign_public, key_id,
                        (int64_t)token->role, store->now_ms);
    if (result == 0 && db_changes(store->db) != 1)
        return err_set(err, FAIL_EXISTS, "operator %s is enrolled already; revoke it first",
                       token->name);
    return result;
}

/* The answer to an enrolment may be lost: the same peer asking again with the same token gets it
 * again. */
static int enrolled_before(struct store *store, const struct token *token, const char *curve_public,
                           bool *ret, struct err *err)
{
    int64_t count = 0;
    bool agent = strcmp(token->kind, "agent") == 0;
    int result = agent ? db_get_i64(store->db, &count, NULL, err,
                                    "SELECT count(*) FROM agents WHERE name=$1 AND curve_public=$2 "
                                    "AND state='pending'",
                                    "tt", token->name, curve_public)
                       : db_get_i64(store->db, &count, NULL, err,
                                    "SELECT count(*) FROM operators WHERE name=$1 AND "
                                    "curve_public=$2 AND state='accepted'",
                                    "tt", token->name, curve_public);
    if (result == 0)
        *ret = token->used_ms != 0 && count == 1;
    return result;
}

int peer_enrol(struct store *store, const struct token *token, const Confleet__Enrol *enrol,
               struct err *err)
{
    char curve_public[KEY_HEX_MAX];
    bool before = false;
    if (enrol->curve_public.len != KEY_SIZE)
        return err_set(err, FAIL_PROTOCOL, "a public key has %d bytes", KEY_SIZE);
    hex_text(enrol->curve_public.data, KEY_SIZE, curve_public);
    int result = enrolled_before(store, token, curve_public, &before, err);
    if (result != 0 || before)
        return result;
    result = token_judge(token, store->now_ms, enrol->name, err);
    if (result == 0)
        result = key_is_new(store, curve_public, err);
    if (result != 0)
        return result;
    result = strcmp(token->kind, "agent") == 0
                 ? agent_insert(store, token->name, curve_public, err)
                 : operator_insert(store, token, enrol, curve_public, err);
    if (result == 0)
        result = db_run(store->db, err,
                        "UPDATE tokens SET used_ms=$2 WHERE token_sha256=$1 AND used_ms=0", "ti",
                        token->sha256, store->now_ms);
    if (result == 0 && db_changes(store->db) != 1)
        return err_set(err, FAIL_EXISTS, "token was used by another enrolment just now");
    return result;
}

int tokens_expire(struct store *store, int64_t *ret_removed, struct err *err)
{
    int result = db_run(store->db, err, "DELETE FROM tokens WHERE expires_ms<$1 AND used_ms<$1",
                        "i", store->now_ms - TOKEN_KEPT_MS);
    if (result == 0)
        *ret_removed = db_changes(store->db);
    return result;
}
