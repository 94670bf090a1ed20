#include "controller/edge/store_peers.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define KEY_START 16 /* hex digits of a public key in a link id */
#define AGENT_COLUMNS                                                                              \
    "SELECT name, curve_public, state, created_ms, seen_ms, version, host, os, start_count, "      \
    "boot_id, event_seq,"                                                                          \
    " survey, survey_ms, outdated, connection FROM agents "
#define OPERATOR_COLUMNS                                                                           \
    "SELECT name, curve_public, sign_public, key_id, role, state FROM operators "

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

static enum standing standing_of(const char *name)
{
    enum standing standing = STANDING_REVOKED; /* what we cannot read is let in nowhere */
    (void)standing_parse(name, &standing);
    return standing;
}

static int agent_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct agent *agent = pool_alloc(list->pool, sizeof *agent);
    size_t len = 0;
    (void)err;
    agent->name = pool_text(list->pool, db_text(row, 0));
    agent->curve_public = pool_text(list->pool, db_text(row, 1));
    agent->standing = standing_of(db_text(row, 2));
    agent->created_ms = db_i64(row, 3);
    agent->seen_ms = db_i64(row, 4);
    agent->version = pool_text(list->pool, db_text(row, 5));
    agent->host = pool_text(list->pool, db_text(row, 6));
    agent->os = pool_text(list->pool, db_text(row, 7));
    agent->start_count = (uint64_t)db_i64(row, 8);
    agent->boot_id = pool_text(list->pool, db_text(row, 9));
    agent->event_seq = (uint64_t)db_i64(row, 10);
    const void *bytes = db_bytes(row, 11, &len);
    agent->survey = pool_copy(list->pool, bytes, len);
    agent->survey_len = len;
    agent->survey_ms = db_i64(row, 12);
    agent->outdated = pool_text(list->pool, db_text(row, 13));
    agent->connection = (uint64_t)db_i64(row, 14);
    pool_push(list->pool, &list->items, &list->count, agent);
    return 0;
}

static int operator_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct operator* operator= pool_alloc(list->pool, sizeof *operator);
    (void)err;
    operator->name = pool_text(list->pool, db_text(row, 0));
    operator->curve_public = pool_text(list->pool, db_text(row, 1));
    operator->sign_public = pool_text(list->pool, db_text(row, 2));
    operator->key_id = pool_text(list->pool, db_text(row, 3));
    operator->role =(Confleet__Role) db_i64(row, 4);
    operator->standing = standing_of(db_text(row, 5));
    pool_push(list->pool, &list->items, &list->count, operator);
    return 0;
}

int agent_find(struct store *store, struct pool *pool, const char *name, struct agent **ret,
               struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result =
        db_each(store->db, agent_row, &list, err, AGENT_COLUMNS "WHERE name=$1", "t", name);
    if (result == 0)
        *ret = list.count > 0 ? list.items[0] : NULL;
    return result;
}

int agents_list(struct store *store, struct pool *pool, const char *after, int64_t limit,
                struct agent ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, agent_row, &list, err,
                         AGENT_COLUMNS "WHERE name>$1 ORDER BY name LIMIT $2", "ti", after, limit);
    if (result != 0)
        return result;
    *ret = (struct agent **)list.items;
    *ret_count = list.count;
    return 0;
}

int operators_list(struct store *store, struct pool *pool, struct operator*** ret,
                   size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, operator_row, &list, err, OPERATOR_COLUMNS "ORDER BY name", "");
    if (result != 0)
        return result;
    *ret = (struct operator**)list.items;
    *ret_count = list.count;
    return 0;
}

static void peer_id(const char *kind, const char *name, const char *curve_public,
                    char out[PEER_ID_MAX])
{
    (void)snprintf(out, PEER_ID_MAX, "%s:%s%s%.*s", kind, name, name[0] ? ":" : "", KEY_START,
                   curve_public);
}

struct standing_row {
    struct peer *peer;
    const char *key;
    bool agent;
};

static int peer_row(void *arg, const struct db_row *row, struct err *err)
{
    struct standing_row *found = arg;
    (void)err;
    found->peer->admission.standing = standing_of(db_text(row, 1));
    found->peer->admission.role =
        found->agent ? CONFLEET__ROLE__ROLE_NONE : (Confleet__Role)db_i64(row, 2);
    if (strncmp(db_text(row, 0), found->key, KEY_START) != 0)
        found->peer->admission.standing = STANDING_REVOKED;
    return 0;
}

static int token_peer(struct store *store, const char *key, struct peer *peer, struct err *err)
{
    bool found = false;
    int64_t expires_ms = 0;
    int result =
        db_get_i64(store->db, &expires_ms, &found, err,
                   "SELECT expires_ms FROM tokens WHERE substr(curve_public, 1, 16)=$1", "t", key);
    if (result != 0)
        return result;
    /* Used or expired, it still may ask: its own message is judged, and answered in words. */
    peer->admission.standing = found ? STANDING_ACCEPTED : STANDING_REVOKED;
    return 0;
}

int peer_find(struct store *store, const char *link_id, struct peer *ret, struct err *err)
{
    struct peer peer = { 0 };
    const char *first = strchr(link_id, ':'), *key = first ? strrchr(link_id, ':') + 1 : "";
    int result = 0;
    if (strncmp(link_id, "token:", 6) == 0 && first + 1 == key) {
        peer.admission.who = WHO_TOKEN;
        result = token_peer(store, key, &peer, err);
    } else if (first && key > first + 2 && (size_t)(key - first - 2) < sizeof peer.name) {
        struct standing_row found = { &peer, key, strncmp(link_id, "agent:", 6) == 0 };
        bool operator= strncmp(link_id, "operator:", 9) == 0;
        memcpy(peer.name, first + 1, (size_t)(key - first - 2));
        peer.admission.who = found.agent ? WHO_AGENT : operator? WHO_OPERATOR : WHO_NOBODY;
        if (found.agent)
            result =
                db_each(store->db, peer_row, &found, err,
                        "SELECT curve_public, state FROM agents WHERE name=$1", "t", peer.name);
        else if (operator)
            result = db_each(store->db, peer_row, &found, err,
                             "SELECT curve_public, state, role FROM operators WHERE name=$1", "t",
                             peer.name);
    }
    if (result == 0)
        *ret = peer;
    return result;
}

void peer_label(const struct peer *peer, const char *link_id, char out[PEER_ID_MAX])
{
    static const char *const kinds[WHO_COUNT] = { "nobody", "token", "agent", "operator" };
    assert((unsigned)peer->admission.who < WHO_COUNT);
    if (peer->admission.who == WHO_AGENT || peer->admission.who == WHO_OPERATOR)
        (void)snprintf(out, PEER_ID_MAX, "%s:%s", kinds[peer->admission.who], peer->name);
    else
        (void)snprintf(out, PEER_ID_MAX, "%s", link_id);
}

struct key_list {
    struct link_key *keys;
    size_t count;
};

static int key_row(void *arg, const struct db_row *row, struct err *err)
{
    struct key_list *list = arg;
    struct link_key key = { 0 };
    if (list->count == PEERS_MAX)
        return err_set(err, FAIL_LIMIT, "more than %d keys in the store", PEERS_MAX);
    if (!hex_parse(db_text(row, 2), key.curve_public, KEY_SIZE))
        return err_set(err, FAIL_CORRUPT, "key of %s %s in the store is no key", db_text(row, 0),
                       db_text(row, 1));
    peer_id(db_text(row, 0), db_text(row, 1), db_text(row, 2), key.id);
    if ((list->count & (list->count - 1)) == 0)
        list->keys =
            mem_grow(list->keys, list->count == 0 ? 1 : list->count * 2, sizeof *list->keys);
    list->keys[list->count++] = key;
    return 0;
}

int peers_keys(struct store *store, struct link_key **ret_owned, size_t *ret_count, struct err *err)
{
    struct key_list list = { 0 };
    int result = db_each(
        store->db, key_row, &list, err,
        "SELECT 'agent', name, curve_public FROM agents WHERE state<>'revoked' UNION ALL"
        " SELECT 'operator', name, curve_public FROM operators WHERE state<>'revoked' UNION ALL"
        " SELECT 'token', '', curve_public FROM tokens",
        "");
    if (result != 0) {
        free(list.keys);
        return result;
    }
    *ret_owned = list.keys;
    *ret_count = list.count;
    return 0;
}

int agent_standing_set(struct store *store, const char *name, enum standing standing,
                       struct err *err)
{
    int result = db_run(store->db, err, "UPDATE agents SET state=$2 WHERE name=$1", "tt", name,
                        standing_name(standing));
    if (result == 0 && db_changes(store->db) != 1)
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s (confleet agent list)", name);
    return result;
}

int agent_seen(struct store *store, const char *name, struct err *err)
{
    return db_run(store->db, err, "UPDATE agents SET seen_ms=$2 WHERE name=$1", "ti", name,
                  store->now_ms);
}

int agent_survey_set(struct store *store, const char *name, const Confleet__Survey *survey,
                     struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&survey->base, &bytes);
    return db_run(
        store->db, err,
        "UPDATE agents SET survey=$2, survey_ms=$3, host=$4, os=$5, version=$6 WHERE name=$1",
        "tbittt", name, bytes.s, bytes.len, store->now_ms, survey->host, survey->os,
        survey->agent_version);
}

int agent_event_seq_set(struct store *store, const char *name, uint64_t seq, struct err *err)
{
    return db_run(store->db, err, "UPDATE agents SET event_seq=$2, seen_ms=$3 WHERE name=$1", "tii",
                  name, (int64_t)seq, store->now_ms);
}

int agent_hello(struct store *store, const struct agent *agent, const Confleet__Hello *hello,
                bool again, struct err *err)
{
    if (hello->start_count < agent->start_count)
        return err_set(err, FAIL_CONFLICT,
                       "agent %s shows start %" PRIu64 " of its state, and start %" PRIu64
                       " was seen already: two servers have"
                       " the same state, or it was put back from a copy",
                       agent->name, hello->start_count, agent->start_count);
    if (hello->start_count == agent->start_count && hello->start_count != 0 &&
        strcmp(hello->boot_id, agent->boot_id) != 0)
        return err_set(err, FAIL_CONFLICT,
                       "agent %s: two servers show start %" PRIu64 " of the same state",
                       agent->name, hello->start_count);
    /* Two that run at once, from a copy that no start has told apart. */
    if (hello->start_count == agent->start_count && hello->connection != 0 && !again &&
        hello->connection <= agent->connection)
        return err_set(err, FAIL_CONFLICT,
                       "agent %s makes connection %" PRIu64 " of start %" PRIu64
                       ", and connection %" PRIu64 " was seen already: its state runs twice",
                       agent->name, (uint64_t)hello->connection, hello->start_count,
                       agent->connection);
    if (hello->event_seq < agent->event_seq)
        return err_set(err, FAIL_CONFLICT,
                       "agent %s has reported %" PRIu64 " events and now knows of %" PRIu64
                       " only: its state was put back from"
                       " a copy",
                       agent->name, agent->event_seq, hello->event_seq);
    return db_run(
        store->db, err,
        "UPDATE agents SET start_count=$2, boot_id=$3, seen_ms=$4, version=$5, connection=$6 "
        "WHERE name=$1",
        "tititi", agent->name, (int64_t)hello->start_count, hello->boot_id, store->now_ms,
        hello->version, (int64_t)hello->connection);
}

int agent_accept(struct store *store, const char *name, const char *fingerprint, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct agent *agent = NULL;
    uint8_t key[KEY_SIZE];
    char have[FINGERPRINT_MAX];
    int result = agent_find(store, &pool, name, &agent, err);
    if (result != 0)
        return result;
    if (!agent)
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s (confleet agent list)", name);
    if (agent->standing == STANDING_REVOKED)
        return err_set(err, FAIL_DENIED,
                       "agent %s was revoked; it needs a new token (confleet agent token %s)", name,
                       name);
    if (!hex_parse(agent->curve_public, key, sizeof key))
        return err_set(err, FAIL_CORRUPT, "the key of agent %s in the store is no key", name);
    keys_fingerprint(key, have);
    if (strcmp(have, fingerprint) != 0)
        return err_set(
            err, FAIL_MISMATCH,
            "agent %s has the fingerprint %s, not %s: compare with what its server shows", name,
            have, fingerprint);
    /* A person vouches for this very key: what was seen of the other copy of its state counts no
     * more. */
    if (agent->standing == STANDING_HELD)
        result = db_run(store->db, err,
                        "UPDATE agents SET start_count=0, boot_id='', connection=0 WHERE name=$1",
                        "t", name);
    return result != 0 ? result : agent_standing_set(store, name, STANDING_ACCEPTED, err);
}

int operator_revoke(struct store *store, const char *name, struct err *err)
{
    int64_t admins = 0;
    int result = db_run(store->db, err,
                        "UPDATE operators SET state='revoked' WHERE name=$1 AND state<>'revoked'",
                        "t", name);
    if (result == 0 && db_changes(store->db) != 1)
        return err_set(err, FAIL_NOT_FOUND, "no operator in force is called %s", name);
    if (result == 0)
        result = db_get_i64(store->db, &admins, NULL, err,
                            "SELECT count(*) FROM operators WHERE state='accepted' AND role=$1",
                            "i", (int64_t)CONFLEET__ROLE__ADMIN);
    if (result == 0 && admins == 0)
        return err_set(err, FAIL_DENIED, "%s is the last admin: enrol another one first", name);
    return result;
}
