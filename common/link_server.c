#include "link_inside.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/str.h"
#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Declared by zmq.h for drafts only, but honoured by the library: with a domain and no handler,
 * nobody gets in. */
#define OPTION_ZAP_ENFORCE_DOMAIN 93
#define PEERS_DEFAULT             1024
#define SELF_TEST_MS              10000
#define DROPS_MAX                 64 /* frames dropped in one call before the owner's loop has its turn */

struct link_server {
    void *socket, *monitor;
    uint64_t broken; /* handshakes that ended before the key check */
    char endpoint[256];
    uint16_t port; /* in network order, as bound */
    struct link_domain *domain;
    struct link_stats before; /* counts of the domain when this server opened */
};

/* Each peer is one descriptor. A limit that cannot be raised so far is not fatal: later peers are
 * not served. */
static int raise_files(int peers_max, struct err *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_sys(err, FAIL_IO, errno, "read the limit of open files");
    rlim_t wanted = 4 * (rlim_t)peers_max + 1024;
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_sys(err, FAIL_IO, errno, "raise the limit of open files to %llu",
                       (unsigned long long)limit.rlim_cur);
    return 0;
}

static int set_up(struct link_server *server, const struct link_server_options *options,
                  struct err *err)
{
    const struct {
        int option, value;
    } numbers[] = {
        { ZMQ_CURVE_SERVER, 1 },    { OPTION_ZAP_ENFORCE_DOMAIN, 1 }, { ZMQ_ROUTER_MANDATORY, 1 },
        { ZMQ_ROUTER_HANDOVER, 0 }, { ZMQ_BACKLOG, LINK_BACKLOG },
    };
    int heartbeat_ms = options->heartbeat_ms ? (int)options->heartbeat_ms : LINK_HEARTBEAT_MS;
    int result = link_set_common(server->socket, options->endpoint, heartbeat_ms, err);
    if (result == 0)
        result = link_set_bytes(server->socket, ZMQ_ZAP_DOMAIN, options->domain,
                                strlen(options->domain), err);
    if (result == 0)
        result = link_set_bytes(server->socket, ZMQ_CURVE_SECRETKEY, options->keys->curve_secret,
                                KEY_SIZE, err);
    for (size_t i = 0; result == 0 && i < sizeof numbers / sizeof numbers[0]; i++)
        result = link_set(server->socket, numbers[i].option, numbers[i].value, err);
    return result == 0 ? link_check_curve(server->socket, err) : result;
}

/* Peers without CURVE never reach the key check; only the socket's own events tell of them. */
static int watch(struct link_server *server, struct err *err)
{
    static atomic_ullong number;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "inproc://server-%llu", atomic_fetch_add(&number, 1));
    server->monitor = zmq_socket(link_context(), ZMQ_PAIR);
    if (!server->monitor)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "make a socket");
    (void)link_sockets_add(1);
    int result = link_set(server->monitor, ZMQ_LINGER, 0, err);
    if (result < 0)
        return result;
    int events = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    if (zmq_socket_monitor(server->socket, endpoint, events) != 0 ||
        zmq_connect(server->monitor, endpoint) != 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "watch the connections");
    return 0;
}

/* Must be called often: a monitor whose queue is full holds up libzmq's own thread. */
static void watched(struct link_server *server)
{
    uint8_t head[6], where[256];
    while (zmq_recv(server->monitor, head, sizeof head, ZMQ_DONTWAIT) >= 0) {
        if (zmq_recv(server->monitor, where, sizeof where, ZMQ_DONTWAIT) >= 0)
            server->broken++;
    }
}

static int bind_to(struct link_server *server, const char *endpoint, struct err *err)
{
    if (zmq_bind(server->socket, endpoint) != 0)
        return err_sys(err, zmq_errno() == EADDRINUSE ? FAIL_BUSY : FAIL_IO, zmq_errno(),
                       "listen at %s", endpoint);
    size_t len = sizeof server->endpoint;
    if (zmq_getsockopt(server->socket, ZMQ_LAST_ENDPOINT, server->endpoint, &len) != 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "ask where %s was bound", endpoint);
    const char *port = strrchr(server->endpoint, ':');
    uint64_t number = 0;
    if (!port || !text_parse_u64(port + 1, UINT16_MAX, &number))
        return err_set(err, FAIL_USAGE, "%s is no TCP address", endpoint);
    server->port = htons((uint16_t)number);
    return 0;
}

/* A key that nobody knows must be refused by this very socket. Until then the owner has not got it,
 * so that a frame of a peer that should not be let in is read by nobody. */
static int self_test(const struct link_server *server, const uint8_t server_key[KEY_SIZE],
                     struct err *err)
{
    CLEANUP(keys_wipe) struct keys stranger = { 0 };
    CLEANUP(link_client_close) struct link_client *client = NULL;
    if (crypto_box_keypair(stranger.curve_public, stranger.curve_secret) != 0)
        return err_set(err, FAIL_INTERNAL, "libsodium made no key for the self-test");
    struct link_client_options options = { .endpoint = server->endpoint,
                                           .server_key = server_key,
                                           .curve_public = stranger.curve_public,
                                           .curve_secret = stranger.curve_secret };
    int result = link_client_open(&options, &client, err);
    if (result < 0)
        return result;
    for (int64_t end_ms = clock_mono_ms() + SELF_TEST_MS; clock_mono_ms() < end_ms;) {
        bool is_new = false;
        (void)link_client_tick(client, clock_mono_ms(), &is_new);
        if (link_client_state(client) == LINK_REFUSED)
            return 0;
        if (is_new || link_client_state(client) == LINK_UP)
            return err_set(err, FAIL_INTERNAL,
                           "self-test: %s fails open, an unknown key was let in; it is not served",
                           server->endpoint);
        zmq_pollitem_t item = { .socket = link_client_monitor(client), .events = ZMQ_POLLIN };
        if (zmq_poll(&item, 1, 50) < 0 && errno != EINTR)
            return err_sys(err, FAIL_INTERNAL, zmq_errno(), "self-test");
    }
    return err_set(err, FAIL_TIMEOUT, "self-test: %s did not refuse an unknown key in time: %s",
                   server->endpoint, link_client_why(client));
}

int link_server_open(const struct link_server_options *options, struct link_server **ret,
                     struct err *err)
{
    assert(options && ret && options->endpoint && options->keys);
    assert(options->domain && *options->domain && link_context());
    CLEANUP(link_server_close) struct link_server *server = mem_zero(1, sizeof *server);
    uint8_t public[KEY_SIZE];
    int result = raise_files(options->peers_max ? options->peers_max : PEERS_DEFAULT, err);
    if (result == 0)
        result = keys_curve_from_secret(options->keys->curve_secret, public, err);
    if (result == 0)
        result = link_zap_start(err);
    if (result < 0)
        return result;
    server->domain = link_domain_add(options->domain);
    if (!server->domain)
        return err_set(err, FAIL_LIMIT, "more than %d ZAP domains", LINK_DOMAINS_MAX);
    server->socket = zmq_socket(link_context(), ZMQ_ROUTER);
    if (!server->socket)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "make a socket for %s", options->endpoint);
    (void)link_sockets_add(1);
    result = set_up(server, options, err);
    if (result == 0)
        result = watch(server, err);
    if (result == 0)
        result = bind_to(server, options->endpoint, err);
    if (result == 0)
        result = self_test(server, public, err);
    if (result < 0)
        return result;
    watched(server);
    server->before = (struct link_stats){ atomic_load(&server->domain->ok),
                                          atomic_load(&server->domain->refused), server->broken };
    *ret = TAKE(server);
    return 0;
}

void link_server_close(struct link_server **server)
{
    if (!*server)
        return;
    if ((*server)->socket) {
        /* Both fail for a bad socket only. */
        (void)zmq_socket_monitor((*server)->socket, NULL, 0);
        (void)zmq_close((*server)->socket);
        (void)link_sockets_add(-1);
    }
    if ((*server)->monitor) {
        (void)zmq_close((*server)->monitor);
        (void)link_sockets_add(-1);
    }
    free(*server);
    *server = NULL;
}

void *link_server_socket(struct link_server *server)
{
    return server->socket;
}

const char *link_server_endpoint(const struct link_server *server)
{
    return server->endpoint;
}

static bool more_follows(void *socket)
{
    int more = 0;
    size_t len = sizeof more;
    return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &len) == 0 && more;
}

static void drop_rest(void *socket)
{
    while (more_follows(socket)) {
        zmq_msg_t rest;
        (void)zmq_msg_init(&rest); /* cannot fail */
        int result = zmq_msg_recv(&rest, socket, ZMQ_DONTWAIT);
        (void)zmq_msg_close(&rest);
        if (result < 0)
            return;
    }
}

/* Fills *in from the payload frame. False: the frame is none of ours to answer. The identity is
 * read from the payload: this libzmq can lose it on the first frame after a poll. */
static bool take_payload(struct link_server *server, struct link_in *in)
{
    if (zmq_msg_recv(&in->message, server->socket, ZMQ_DONTWAIT) < 0)
        return false;
    bool alone = !more_follows(server->socket);
    drop_rest(server->socket);
    const char *id = zmq_msg_gets(&in->message, "User-Id"),
               *turn = zmq_msg_gets(&in->message, LINK_TURN);
    if (!alone || !id || !*id || strlen(id) >= sizeof in->id || !turn ||
        !text_parse_u64(turn, UINT64_MAX, &in->turn) ||
        zmq_msg_size(&in->message) > WIRE_FRAME_MAX)
        return false;
    (void)snprintf(in->id, sizeof in->id, "%s", id);
    in->peer.fd = zmq_msg_get(&in->message, ZMQ_SRCFD);
    in->bytes = zmq_msg_data(&in->message);
    in->len = zmq_msg_size(&in->message);
    return true;
}

int link_server_recv(struct link_server *server, struct link_in *ret, struct err *err)
{
    assert(server && ret);
    watched(server);
    for (int drops = 0; drops < DROPS_MAX; drops++) {
        struct link_peer peer = { .fd = -1 };
        int len = zmq_recv(server->socket, peer.route, sizeof peer.route, ZMQ_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (len < 0)
            return err_sys(err, FAIL_INTERNAL, zmq_errno(), "receive at %s", server->endpoint);
        if ((size_t)len > sizeof peer.route || !more_follows(server->socket)) {
            drop_rest(server->socket);
            continue;
        }
        peer.route_len = (size_t)len;
        ret->peer = peer;
        (void)zmq_msg_init(&ret->message);
        if (take_payload(server, ret))
            return 1;
        link_in_close(ret);
    }
    return 0;
}

void link_in_close(struct link_in *in)
{
    (void)zmq_msg_close(&in->message);
    in->bytes = NULL;
    in->len = 0;
}

int link_server_send(struct link_server *server, const struct link_peer *peer, const void *bytes,
                     size_t len, struct err *err)
{
    assert(server && peer && (bytes || len == 0));
    if (len > WIRE_FRAME_MAX)
        return err_set(err, FAIL_LIMIT, "a frame of %zu bytes, at most %d are sent", len,
                       WIRE_FRAME_MAX);
    if (zmq_send(server->socket, peer->route, peer->route_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        if (errno == EHOSTUNREACH)
            return err_set(err, FAIL_UNREACHABLE, "the peer's connection is gone");
        if (errno == EAGAIN)
            return err_set(err, FAIL_BUSY, "the peer does not read: its queue of %d frames is full",
                           LINK_QUEUE_MAX);
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "send at %s", server->endpoint);
    }
    if (zmq_send(server->socket, bytes, len, ZMQ_DONTWAIT) < 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "send at %s", server->endpoint);
    return 0;
}

/* Is the descriptor a connection that came in by this server's port? */
static bool is_ours(const struct link_server *server, int fd)
{
    struct sockaddr_storage here = { 0 }, there = { 0 };
    socklen_t here_len = sizeof here, there_len = sizeof there;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&here, &here_len) != 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_len) != 0)
        return false;
    uint16_t port = here.ss_family == AF_INET    ? ((const struct sockaddr_in *)&here)->sin_port
                    : here.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&here)->sin6_port
                                                 : 0;
    return port != 0 && port == server->port;
}

void link_server_cut(struct link_server *server, const struct link_peer *peer)
{
    /* The number may have been closed and given to something else since: only a connection of this
     * server is touched, and if it is another peer's by now, that one connects again. */
    if (is_ours(server, peer->fd))
        (void)shutdown(peer->fd, SHUT_RDWR); /* gone already is as good */
}

struct link_stats link_server_stats(struct link_server *server)
{
    watched(server);
    return (struct link_stats){
        .handshakes_ok = atomic_load(&server->domain->ok) - server->before.handshakes_ok,
        .handshakes_refused =
            atomic_load(&server->domain->refused) - server->before.handshakes_refused,
        .handshakes_broken = server->broken - server->before.handshakes_broken,
    };
}
