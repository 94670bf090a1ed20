#include "link_inside.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libzmq's own reconnecting is switched off: each connection is a new socket, made here after a
 * back-off. So there is one rule for every way to lose a connection (a refused key ends a libzmq
 * socket for good anyway), the routing id is new each time, and nothing that was queued for the old
 * connection is sent late on the new one. */

#define SILENCE_MS     45000
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 60000
#define CONNECT_MS     5000
#define TRY_MS                                                                                     \
    (CONNECT_MS + LINK_HANDSHAKE_MS + 2000) /* longest way to a connection, or to its failure */
#define HEALTHY_MS    60000 /* a connection that held so long makes the next back-off start small */
#define TICK_MS       1000
#define DOUBLINGS_MAX 20

enum phase { PHASE_TRYING, PHASE_UP, PHASE_RESTING };

struct link_client {
    char endpoint[256];
    uint8_t server_key[KEY_SIZE], curve_public[KEY_SIZE], curve_secret[KEY_SIZE];
    int64_t silence_ms, backoff_min_ms, backoff_max_ms;
    void *socket, *monitor; /* kept while resting, so that the owner's poll set stays valid */
    enum phase phase;
    enum link_state state;
    bool deaf;    /* what still arrives on the old connection is dropped */
    bool fell;    /* resting, and the next try has no time yet */
    bool reached; /* this try got a TCP connection */
    bool heard;   /* a frame came since the last tick */
    int attempts;
    int64_t next_ms, up_ms, heard_ms; /* next_ms: of the next try, or the end of this one */
    char why[384];
};

static void __attribute__((format(printf, 2, 3)))
say(struct link_client *client, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(client->why, sizeof client->why, format, ap);
    va_end(ap);
}

static void drop_socket(struct link_client *client)
{
    if (client->socket) {
        (void)zmq_socket_monitor(client->socket, NULL,
                                 0); /* fails for a bad socket only, as do the closes */
        (void)zmq_close(client->socket);
        (void)link_sockets_add(-1);
    }
    if (client->monitor) {
        (void)zmq_close(client->monitor);
        (void)link_sockets_add(-1);
    }
    client->socket = client->monitor = NULL;
}

static int set_up(struct link_client *client, void *socket, struct err *err)
{
    int result = link_set_common(socket, client->endpoint, LINK_HEARTBEAT_MS, err);
    if (result == 0)
        result = link_set_bytes(socket, ZMQ_CURVE_SERVERKEY, client->server_key, KEY_SIZE, err);
    if (result == 0)
        result = link_set_bytes(socket, ZMQ_CURVE_PUBLICKEY, client->curve_public, KEY_SIZE, err);
    if (result == 0)
        result = link_set_bytes(socket, ZMQ_CURVE_SECRETKEY, client->curve_secret, KEY_SIZE, err);
    if (result == 0)
        result = link_set(socket, ZMQ_IMMEDIATE, 1, err);
    if (result == 0)
        result = link_set(socket, ZMQ_RECONNECT_IVL, -1, err);
    if (result == 0)
        result = link_set(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS, err);
    return result == 0 ? link_check_curve(socket, err) : result;
}

/* Events of a socket come over a pair of its own, so none is mistaken for one of an earlier
 * connection. */
static int watch(void *socket, void *monitor, struct err *err)
{
    static atomic_ullong number;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "inproc://link-%llu", atomic_fetch_add(&number, 1));
    int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    int result = link_set(monitor, ZMQ_LINGER, 0, err);
    if (result < 0)
        return result;
    if (zmq_socket_monitor(socket, endpoint, events) != 0 || zmq_connect(monitor, endpoint) != 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "watch the connection");
    return 0;
}

/* What the old connection did not take is the outbox's to send again, not a dying socket's. A
 * socket that does not take the option lingers for half a second: no harm. */
static void forget_unsent(void *socket)
{
    int none = 0;
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
}

/* A new socket in place of the old one; the old one stays when there can be no new one. */
static int open_socket(struct link_client *client, struct err *err)
{
    void *socket = zmq_socket(link_context(), ZMQ_DEALER);
    void *monitor = socket ? zmq_socket(link_context(), ZMQ_PAIR) : NULL;
    int result = monitor ? 0 : err_sys(err, FAIL_IO, zmq_errno(), "make a socket");
    if (result == 0)
        result = set_up(client, socket, err);
    if (result == 0)
        result = watch(socket, monitor, err);
    if (result == 0 && zmq_connect(socket, client->endpoint) != 0)
        result = err_sys(err, FAIL_USAGE, zmq_errno(), "connect to '%s'", client->endpoint);
    if (result < 0) {
        if (socket)
            (void)zmq_close(socket);
        if (monitor)
            (void)zmq_close(monitor);
        return result;
    }
    if (client->socket)
        forget_unsent(client->socket);
    drop_socket(client);
    client->socket = socket;
    client->monitor = monitor;
    (void)link_sockets_add(2);
    client->deaf = client->reached = false;
    return 0;
}

int link_client_open(const struct link_client_options *options, struct link_client **ret,
                     struct err *err)
{
    assert(options && ret && options->endpoint && link_context());
    assert(options->server_key && options->curve_public && options->curve_secret);
    CLEANUP(link_client_close) struct link_client *client = mem_zero(1, sizeof *client);
    if (strlen(options->endpoint) >= sizeof client->endpoint)
        return err_set(err, FAIL_USAGE, "the controller's address has more than %zu characters",
                       sizeof client->endpoint - 1);
    (void)snprintf(client->endpoint, sizeof client->endpoint, "%s", options->endpoint);
    memcpy(client->server_key, options->server_key, KEY_SIZE);
    memcpy(client->curve_public, options->curve_public, KEY_SIZE);
    memcpy(client->curve_secret, options->curve_secret, KEY_SIZE);
    client->silence_ms = options->silence_ms ? options->silence_ms : SILENCE_MS;
    client->backoff_min_ms = options->backoff_min_ms ? options->backoff_min_ms : BACKOFF_MIN_MS;
    client->backoff_max_ms = options->backoff_max_ms ? options->backoff_max_ms : BACKOFF_MAX_MS;
    int result = open_socket(client, err);
    if (result < 0)
        return result;
    client->phase = PHASE_TRYING;
    client->state = LINK_CONNECTING;
    client->next_ms = 0; /* the first tick knows the time */
    say(client, "connecting to %s", client->endpoint);
    *ret = TAKE(client);
    return 0;
}

void link_client_close(struct link_client **client)
{
    if (!*client)
        return;
    drop_socket(*client);
    explicit_bzero((*client)->curve_secret, KEY_SIZE);
    free(*client);
    *client = NULL;
}

void *link_client_socket(struct link_client *client)
{
    return client->socket;
}

void *link_client_monitor(struct link_client *client)
{
    return client->monitor;
}

/* Ends a connection that still stands. It may be gone already; then there is nothing to end. */
static void hang_up(struct link_client *client)
{
    client->deaf = true;
    (void)zmq_disconnect(client->socket, client->endpoint);
}

static void fall(struct link_client *client, enum link_state state)
{
    client->phase = PHASE_RESTING;
    client->state = state;
    client->fell = true;
}

/* Full jitter: after an outage a fleet comes back spread over the whole span, not in step. */
static void rest(struct link_client *client, int64_t now_ms)
{
    uint64_t random = 0;
    if (client->up_ms && now_ms - client->up_ms >= HEALTHY_MS)
        client->attempts = 0;
    int64_t span = client->backoff_min_ms << client->attempts;
    if (client->attempts < DOUBLINGS_MAX)
        client->attempts++;
    if (span > client->backoff_max_ms)
        span = client->backoff_max_ms;
    random_bytes(&random, sizeof random);
    client->next_ms = now_ms + (int64_t)(random % (uint64_t)(span + 1));
    client->up_ms = 0;
    client->fell = false;
}

static void try_again(struct link_client *client, int64_t now_ms)
{
    struct err err = { 0 };
    if (open_socket(client, &err) < 0) {
        say(client, "%s", err.text);
        fall(client, LINK_WAITING);
        return;
    }
    client->phase = PHASE_TRYING;
    client->next_ms = now_ms + TRY_MS;
    /* A refused key stays refused until the controller says otherwise; no flicker in what people
     * see. */
    if (client->state != LINK_REFUSED)
        client->state = LINK_CONNECTING;
}

static void lost(struct link_client *client)
{
    if (client->phase == PHASE_UP)
        say(client, "the connection to %s was cut", client->endpoint);
    else if (client->reached)
        say(client,
            "%s closed the connection during the handshake: not the controller with the pinned "
            "key, or it asks to slow down",
            client->endpoint);
    else
        say(client, "nothing answers at %s", client->endpoint);
    fall(client, LINK_WAITING);
}

static void on_event(struct link_client *client, unsigned event, int64_t now_ms, bool *ret_new)
{
    if (client->phase == PHASE_RESTING)
        return; /* the rest of a connection that is given up */
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        client->reached = true;
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        client->phase = PHASE_UP;
        client->state = LINK_UP;
        client->up_ms = client->heard_ms = now_ms;
        say(client, "connected to %s", client->endpoint);
        *ret_new = true;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        say(client, "refused: the controller does not know this key");
        fall(client, LINK_REFUSED);
        break;
    default:
        lost(client);
        break;
    }
}

/* False when no event waits. */
static bool take_event(void *monitor, unsigned *ret_event)
{
    uint8_t head[6], where[256];
    uint16_t event = 0;
    int len = zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT);
    if (len < 0)
        return false;
    if (len == (int)sizeof head)
        memcpy(&event, head, sizeof event);
    if (zmq_recv(monitor, where, sizeof where, ZMQ_DONTWAIT) < 0)
        return false;
    *ret_event = event;
    return true;
}

static void look_at_clock(struct link_client *client, int64_t now_ms)
{
    if (client->next_ms == 0)
        client->next_ms = now_ms + TRY_MS;
    if (client->phase == PHASE_UP && now_ms - client->heard_ms >= client->silence_ms) {
        say(client, "%s was silent for %" PRId64 " s", client->endpoint,
            (now_ms - client->heard_ms) / 1000);
        hang_up(client);
        fall(client, LINK_WAITING);
    }
    if (client->phase == PHASE_TRYING && now_ms >= client->next_ms)
        lost(client);
    if (client->fell)
        rest(client, now_ms);
    if (client->phase == PHASE_RESTING && now_ms >= client->next_ms)
        try_again(client, now_ms);
}

int64_t link_client_tick(struct link_client *client, int64_t now_mono_ms, bool *ret_new)
{
    unsigned event = 0;
    assert(client && ret_new);
    *ret_new = false;
    if (client->heard)
        client->heard_ms = now_mono_ms;
    client->heard = false;
    while (take_event(client->monitor, &event))
        on_event(client, event, now_mono_ms, ret_new);
    /* Up and lost within one tick: there is nobody to greet. */
    *ret_new = *ret_new && client->phase == PHASE_UP;
    look_at_clock(client, now_mono_ms);
    int64_t at_ms =
        client->phase == PHASE_UP ? client->heard_ms + client->silence_ms : client->next_ms;
    int64_t left_ms = at_ms - now_mono_ms;
    return left_ms < 0 ? 0 : left_ms > TICK_MS ? TICK_MS : left_ms;
}

enum link_state link_client_state(const struct link_client *client)
{
    return client->state;
}

const char *link_client_why(const struct link_client *client)
{
    return client->why;
}

/* One whole message; what follows a first frame is dropped with it. 1, 0, or -1 with errno. */
static int take_message(struct link_client *client, zmq_msg_t *message)
{
    bool multipart = false;
    while (true) {
        if (zmq_msg_recv(message, client->socket, ZMQ_DONTWAIT) < 0)
            return -1;
        if (!zmq_msg_more(message))
            return multipart ? 0 : 1;
        multipart = true;
    }
}

int link_client_recv(struct link_client *client, struct str *ret_bytes, struct err *err)
{
    assert(client && ret_bytes);
    for (int drops = 0; drops < LINK_QUEUE_MAX; drops++) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message); /* cannot fail */
        int result = take_message(client, &message);
        if (result < 0) {
            int code = zmq_errno();
            (void)zmq_msg_close(&message);
            if (code == EAGAIN || code == EINTR)
                return 0;
            return err_sys(err, FAIL_INTERNAL, code, "receive from %s", client->endpoint);
        }
        bool good = result == 1 && !client->deaf && zmq_msg_size(&message) <= WIRE_FRAME_MAX;
        if (good) {
            str_clear(ret_bytes);
            str_add_bytes(ret_bytes, zmq_msg_data(&message), zmq_msg_size(&message));
            client->heard = true;
        }
        (void)zmq_msg_close(&message);
        if (good)
            return 1;
    }
    return 0;
}

int link_client_send(struct link_client *client, const void *bytes, size_t len, struct err *err)
{
    assert(client && (bytes || len == 0));
    if (len > WIRE_FRAME_MAX)
        return err_set(err, FAIL_LIMIT, "a frame of %zu bytes, at most %d are sent", len,
                       WIRE_FRAME_MAX);
    if (client->phase != PHASE_UP)
        return err_set(err, FAIL_UNREACHABLE, "%s", client->why);
    if (zmq_send(client->socket, bytes, len, ZMQ_DONTWAIT) >= 0)
        return 0;
    if (errno == EAGAIN || errno == EINTR)
        return err_set(err, FAIL_BUSY, "%s does not read: the queue of %d frames is full",
                       client->endpoint, LINK_QUEUE_MAX);
    return err_sys(err, FAIL_INTERNAL, zmq_errno(), "send to %s", client->endpoint);
}

void link_client_restart(struct link_client *client)
{
    if (client->phase == PHASE_RESTING)
        return;
    say(client, "refused by %s", client->endpoint);
    hang_up(client);
    fall(client, LINK_WAITING);
}
