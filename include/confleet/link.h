/* link - encrypted, authenticated frames between one controller and its peers, over libzmq with CURVE.
 *
 * Server: ROUTER with an own ZAP handler (own thread, keys in memory, unknown keys get 400; fails closed: enforced
 * domain, and a self-test with an unknown key must be refused before link_server_open() returns). Every received frame
 * carries the identity of the key it came by; routing ids and names inside messages identify nobody. Client: DEALER with the server's
 * key pinned; back-off with full jitter; a watchdog that makes a new socket after a refusal or a silence.
 * A link keeps nothing: what must arrive is kept in the owner's outbox and sent again. One thread per object. */
#pragma once
#include "confleet/err.h"
#include "confleet/keys.h"
#include <stdint.h>
#include <zmq.h>

enum peer_kind { PEER_NONE, PEER_AGENT, PEER_OPERATOR, PEER_TOKEN };
enum peer_state { PEER_UNKNOWN, PEER_PENDING, PEER_ACCEPTED };     /* a token's own key counts as accepted; its message is judged by the owner */

/* One row of the key table. id: "agent:NAME:KEY", "operator:NAME:KEY" or "token:KEY"; KEY: first 16 hex digits of the public key,
 * so that a connection made with an older key of a name is never taken for the newer one. */
struct link_key { uint8_t curve_public[KEY_SIZE]; char id[96]; };

struct link_server;
struct link_server_options {
    const char *endpoint;                 /* "tcp://127.0.0.1:9310"; port "*" picks one */
    const struct keys *keys;
    const char *domain;                   /* ZAP domain, such as "control" */
    int peers_max;                        /* sizes file descriptors and backlog; 0: 1024 */
    uint32_t heartbeat_ms;                /* 0: 10000 */
};
/* One process-wide context; signals must be blocked before. */
int link_start(struct err *err) MUST_USE;
void link_stop(void);

/* The key table serves all servers of the process; replaced as a whole, atomically, effective at the next handshake. Set it
 * before a server is opened: an unknown key is refused for good. A known key that connects too often (40 times a minute, an
 * operator's 240) is kept waiting without a word. A connection outlives its key: the owner checks each frame's id, and cuts. */
void link_keys_set(const struct link_key *keys, size_t count);

int link_server_open(const struct link_server_options *options, struct link_server **ret, struct err *err) MUST_USE;
void link_server_close(struct link_server **server);
void *link_server_socket(struct link_server *server);              /* for zmq_poll */
const char *link_server_endpoint(const struct link_server *server);/* as bound */

struct link_peer { uint8_t route[256]; size_t route_len; int fd; };   /* where an answer goes; fd: of the connection, from a message just received */
struct link_in {                          /* one received frame; free with link_in_close() */
    struct link_peer peer;
    char id[96];                          /* ZAP User-Id; a frame without one is dropped before it gets here */
    uint64_t turn;                        /* of the connection's handshake: a peer that made a connection with a greater one has given this one up */
    const uint8_t *bytes; size_t len;
    zmq_msg_t message;
};
/* 1: a frame was received; 0: none is waiting; negative: error. */
int link_server_recv(struct link_server *server, struct link_in *ret, struct err *err) MUST_USE;
void link_in_close(struct link_in *in);
/* FAIL_UNREACHABLE, FAIL_BUSY */
int link_server_send(struct link_server *server, const struct link_peer *peer, const void *bytes, size_t len, struct err *err) MUST_USE;
/* Cuts the TCP connection of the peer whose frame was just received (revoked keys). A frame sent just before may be lost. */
void link_server_cut(struct link_server *server, const struct link_peer *peer);
/* refused: by its key, which is unknown or came too often; broken: before a key was shown, such as without encryption. */
struct link_stats { uint64_t handshakes_ok, handshakes_refused, handshakes_broken; };
struct link_stats link_server_stats(struct link_server *server);

struct link_client;
struct link_client_options {
    const char *endpoint;
    const uint8_t *server_key;            /* KEY_SIZE bytes, pinned */
    const uint8_t *curve_public, *curve_secret;
    uint32_t silence_ms;                  /* no frame for so long: new socket; 0: 45000 */
    uint32_t backoff_min_ms, backoff_max_ms;   /* 0: 500, 60000 */
};
/* REFUSED: our key is not known there, kept while it is tried again; WAITING: backing off */
enum link_state { LINK_CONNECTING, LINK_UP, LINK_REFUSED, LINK_WAITING };
int link_client_open(const struct link_client_options *options, struct link_client **ret, struct err *err) MUST_USE;
void link_client_close(struct link_client **client);
void *link_client_socket(struct link_client *client);              /* for zmq_poll; changes after link_client_tick() */
void *link_client_monitor(struct link_client *client);             /* for zmq_poll too */
/* Call when either is readable and at least once a second; handles monitor events, silence, back-off. *ret_new is set when a
 * new connection is up: the owner sends its Hello again. Returns the milliseconds until it wants to be called. */
int64_t link_client_tick(struct link_client *client, int64_t now_mono_ms, bool *ret_new);
enum link_state link_client_state(const struct link_client *client);
const char *link_client_why(const struct link_client *client);     /* words for people: "refused: the controller does not know this key" */
int link_client_recv(struct link_client *client, struct str *ret_bytes, struct err *err) MUST_USE;   /* 1, 0, negative, as above */
/* FAIL_BUSY when the queue is full, FAIL_UNREACHABLE when not up */
int link_client_send(struct link_client *client, const void *bytes, size_t len, struct err *err) MUST_USE;
void link_client_restart(struct link_client *client);              /* the owner heard a Refusal: back off and try anew */
