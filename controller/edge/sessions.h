/* sessions - the connections that are open now: where an answer goes and who was heard when.
 *
 * Keyed by route, which only says where a frame came from; who sent it is its link id, taken anew
 * from each frame. Memory only: after a restart each peer says Hello again. Invariant: at most
 * SESSIONS_MAX; the one that was silent for longest makes room. */
#pragma once
#include "confleet/link.h"
#include "controller/edge/store_peers.h"

#define SESSIONS_MAX 20000

struct session {
    struct link_peer peer;
    char id[PEER_ID_MAX];      /* as the last frame's key said */
    char name[STORE_NAME_MAX]; /* agents after Hello, else empty */
    bool greeted;
    uint64_t turn; /* of its handshake, which orders the connections of one peer */
    char seen_hash[65]; /* of an agent's Hello: what the store holds of the head it has seen */
    unsigned refusals; /* recorded in the audit so far */
    int64_t seen_ms;   /* wall time of the last frame */
    struct session *next_route, *next_name;
};

struct sessions;
struct sessions *sessions_new(void);
void sessions_free(struct sessions **sessions);
/* The session of this connection, made when it is new; another id on the same route starts it anew.
 */
struct session *sessions_take(struct sessions *sessions, const struct link_peer *peer,
                              const char *id, int64_t now_ms);
/* After Hello: this is the connection of the agent of that name from now on. */
void sessions_name(struct sessions *sessions, struct session *session, const char *name);
/* The newest greeted connection of an agent; NULL when it has none. */
struct session *sessions_agent(const struct sessions *sessions, const char *name);
/* Has this agent said Hello on a connection that it made later? Nothing orders the frames of two
 * connections, so that what comes here may be from before that Hello. */
bool sessions_replaced(const struct sessions *sessions, const struct session *session,
                       const char *name);
void sessions_drop(struct sessions *sessions, struct session *session);
/* Drops all of an agent's (by name) or peer's (by link id start) connections from the table. */
void sessions_drop_id(struct sessions *sessions, const char *id_start);
void sessions_expire(struct sessions *sessions, int64_t seen_before_ms);
/* The clock was set: nobody was heard at a time that is still to come. */
void sessions_clock_set(struct sessions *sessions, int64_t now_ms);
size_t sessions_count(const struct sessions *sessions);
