/* store_peers - who may speak to the controller: agents, operators, and the one-time tokens by
 * which they came.
 *
 * A key names its owner: the id under which a key stands in the key table holds the key's first 16
 * hex digits beside the name, so that a connection made with an older key of the same name never
 * passes for the newer one. Tokens are kept as SHA-256 and public key, never as themselves.
 * Invariant: a token makes at most one peer, in the transaction that marks it used. */
#pragma once
#include "confleet/keys.h"
#include "confleet/link.h"
#include "controller/core/admission.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define PEER_ID_MAX 96
#define KEY_HEX_MAX (2 * KEY_SIZE + 1)
#define TOKEN_KEPT_MS                                                                              \
    (24LL * 3600 * 1000) /* used and expired tokens still get a clear answer for so long */
#define TOKEN_TTL_DEFAULT_S 3600
#define TOKEN_TTL_MAX_S     (7 * 24 * 3600)
#define PEERS_MAX           16384

struct agent { /* one row, in a pool */
    const char *name, *curve_public, *version, *host, *os, *boot_id;
    const char *outdated; /* why this store is too old for it; "": it is not */
    enum standing standing;
    int64_t created_ms, seen_ms, survey_ms;
    uint64_t start_count, event_seq;
    uint64_t connection; /* of that start: the newest that said Hello */
    const uint8_t *survey; /* Survey message, empty before the first */
    size_t survey_len;
};
struct operator
{
    const char *name, *curve_public, *sign_public, *key_id;
    enum standing standing;
    Confleet__Role role;
};
struct token {
    const char *sha256, *curve_public, *kind, *name;
    Confleet__Role role;
    int64_t expires_ms, used_ms;
};
struct peer {
    struct admission_peer admission;
    char name[STORE_NAME_MAX];
};

/* Who owns the key behind a link id. Standing UNKNOWN when nobody does any more, REVOKED when the
 * name has another key. */
int peer_find(struct store *store, const char *link_id, struct peer *ret, struct err *err) MUST_USE;
/* "operator:anna" for the audit record; "token:16 digits" for a token. */
void peer_label(const struct peer *peer, const char *link_id, char out[PEER_ID_MAX]);
int peers_keys(struct store *store, struct link_key **ret_owned, size_t *ret_count,
               struct err *err) MUST_USE;

/* NULL when there is none of that name. */
int agent_find(struct store *store, struct pool *pool, const char *name, struct agent **ret,
               struct err *err) MUST_USE;
/* By name, those behind this one (empty: from the first on). */
int agents_list(struct store *store, struct pool *pool, const char *after, int64_t limit,
                struct agent ***ret, size_t *ret_count, struct err *err) MUST_USE;
int agent_standing_set(struct store *store, const char *name, enum standing standing,
                       struct err *err) MUST_USE;
int agent_seen(struct store *store, const char *name, struct err *err) MUST_USE;
int agent_survey_set(struct store *store, const char *name, const Confleet__Survey *survey,
                     struct err *err) MUST_USE;
int agent_event_seq_set(struct store *store, const char *name, uint64_t seq,
                        struct err *err) MUST_USE;
/* Takes a Hello in: FAIL_CONFLICT when this state was seen further along already (the owner then
 * holds the agent). again: it is not the first one on its connection. */
int agent_hello(struct store *store, const struct agent *agent, const Confleet__Hello *hello,
                bool again, struct err *err) MUST_USE;
int agent_accept(struct store *store, const char *name, const char *fingerprint,
                 struct err *err) MUST_USE;

int operators_list(struct store *store, struct pool *pool, struct operator*** ret,
                   size_t *ret_count, struct err *err) MUST_USE;
int operator_revoke(struct store *store, const char *name, struct err *err) MUST_USE;

struct token_spec {
    const char *kind, *name, *made_by;
    Confleet__Role role;
    int64_t expires_ms;
};
/* Makes and keeps a token; the secret goes to the caller only. */
int token_make(struct store *store, const struct token_spec *spec, uint8_t ret_secret[KEY_SIZE],
               struct err *err) MUST_USE;
int token_find(struct store *store, struct pool *pool, const char *link_id, struct token **ret,
               struct err *err) MUST_USE;
/* Refuses with FAIL_EXISTS, FAIL_EXPIRED or FAIL_MISMATCH; used first, since that is what its owner
 * must hear of. */
int token_judge(const struct token *token, int64_t now_ms, const char *name,
                struct err *err) MUST_USE;
int peer_enrol(struct store *store, const struct token *token, const Confleet__Enrol *enrol,
               struct err *err) MUST_USE;
int tokens_expire(struct store *store, int64_t *ret_removed, struct err *err) MUST_USE;
