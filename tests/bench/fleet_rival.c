/* The limit: a bare loop of libzmq with CURVE that does what a controller's socket must do, and
 * nothing else: no store, no decoding, no decisions. Server and clients are two processes, as the
 * controller and the emulated agents are. */
#include "bench/fleet.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define ROUNDS 3 /* of each kind; the best one is the limit */
#define SIZE_MAX_BYTES 524288

enum kind { HELLO = 'h', WELCOME = 'w', PING = 'p', PONG = 'q', ORDER = 'o', ACK = 'a', EVENT = 'e',
            EVENT_ACK = 'k', GO_PING = 'P', GO_ORDER = 'O', ALL = 'd' };
struct sizes {
    size_t hello, welcome, order, ack, event, event_ack;
};
struct keys_pair {
    uint8_t public[32], secret[32];
};

static void set(void *socket, int option, const void *value, size_t len)
{
    need(zmq_setsockopt(socket, option, value, len) == 0, "option of a socket");
}

static void set_number(void *socket, int option, int value)
{
    set(socket, option, &value, sizeof value);
}

/* Every key is let in: the least that a handler can do. */
static void *doorman(void *socket)
{
    for (;;) {
        char part[8][256];
        int len[8], count = 0, more = 1;
        for (; more && count < 8; count++) {
            size_t size = sizeof more;
            len[count] = zmq_recv(socket, part[count], sizeof part[0], 0);
            if (len[count] < 0) {
                (void)zmq_close(socket);
                return NULL;
            }
            need(zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0, "parts");
        }
        const char *answer[] = { "1.0", NULL, "200", "OK", "peer", "" };
        for (int i = 0; i < 6; i++)
            need(zmq_send(socket, i == 1 ? part[1] : answer[i],
                          i == 1 ? (size_t)len[1] : strlen(answer[i]), i < 5 ? ZMQ_SNDMORE : 0) >= 0,
                 "answer of the door");
    }
}

struct server {
    void *socket;
    size_t peers, pongs;
    uint8_t (*routes)[8];
    int *route_len;
    const struct sizes *sizes;
    uint8_t *bytes;
};

static void send_to(struct server *server, const void *route, int route_len, enum kind kind,
                    size_t len)
{
    server->bytes[0] = (uint8_t)kind;
    need(zmq_send(server->socket, route, (size_t)route_len, ZMQ_SNDMORE) >= 0, "send");
    need(zmq_send(server->socket, server->bytes, len, 0) >= 0, "send");
}

static void send_all(struct server *server, enum kind kind)
{
    for (size_t i = 0; i < server->peers; i++)
        send_to(server, server->routes[i], server->route_len[i], kind, server->sizes->order);
}

static void serve(struct server *server)
{
    uint8_t route[256], *in = malloc(SIZE_MAX_BYTES);
    need(in != NULL, "memory");
    for (;;) {
        int route_len = zmq_recv(server->socket, route, sizeof route, 0);
        int len = zmq_recv(server->socket, in, SIZE_MAX_BYTES, 0);
        need(route_len > 0 && route_len <= 8 && len > 0, "receive");
        switch (in[0]) {
        case HELLO:
            memcpy(server->routes[server->peers], route, (size_t)route_len);
            server->route_len[server->peers++] = route_len;
            send_to(server, route, route_len, WELCOME, server->sizes->welcome);
            break;
        case EVENT:
            send_to(server, route, route_len, EVENT_ACK, server->sizes->event_ack);
            break;
        case PONG:
            if (++server->pongs % server->peers == 0)
                send_to(server, server->routes[0], server->route_len[0], ALL, 1);
            break;
        case GO_PING:
            send_all(server, PING);
            break;
        case GO_ORDER:
            send_all(server, ORDER);
            break;
        default:
            break;
        }
    }
}

static void server_run(const struct keys_pair *keys, const struct sizes *sizes, size_t count, int to)
{
    void *context = zmq_ctx_new(), *zap = zmq_socket(context, ZMQ_REP);
    char endpoint[256];
    size_t len = sizeof endpoint;
    pthread_t thread;
    struct server server = { .sizes = sizes };
    server.socket = zmq_socket(context, ZMQ_ROUTER);
    server.routes = calloc(count, sizeof *server.routes);
    server.route_len = calloc(count, sizeof *server.route_len);
    server.bytes = calloc(1, SIZE_MAX_BYTES);
    need(zap && server.socket && server.routes && server.route_len && server.bytes, "start");
    need(zmq_bind(zap, "inproc://zeromq.zap.01") == 0, "bind the door");
    need(pthread_create(&thread, NULL, doorman, zap) == 0, "thread");
    set_number(server.socket, ZMQ_CURVE_SERVER, 1);
    set(server.socket, ZMQ_CURVE_SECRETKEY, keys->secret, sizeof keys->secret);
    set(server.socket, ZMQ_ZAP_DOMAIN, "rival", 5);
    set_number(server.socket, ZMQ_BACKLOG, 4096);
    set_number(server.socket, ZMQ_SNDHWM, 0);
    set_number(server.socket, ZMQ_RCVHWM, 0);
    need(zmq_bind(server.socket, "tcp://127.0.0.1:*") == 0, "bind");
    need(zmq_getsockopt(server.socket, ZMQ_LAST_ENDPOINT, endpoint, &len) == 0, "endpoint");
    need(write(to, endpoint, sizeof endpoint) == (ssize_t)sizeof endpoint, "pipe");
    serve(&server);
}

struct clients {
    void **sockets;
    size_t count, seen[256];
    const struct sizes *sizes;
    uint8_t *bytes;
    int epoll;
};

static void say(struct clients *clients, void *socket, enum kind kind, size_t len)
{
    clients->bytes[0] = (uint8_t)kind;
    need(zmq_send(socket, clients->bytes, len, 0) >= 0, "send");
}

static bool take_one(struct clients *clients, void *socket, uint8_t *in)
{
    if (zmq_recv(socket, in, SIZE_MAX_BYTES, ZMQ_DONTWAIT) < 0)
        return false;
    clients->seen[in[0]]++;
    if (in[0] == PING) {
        say(clients, socket, PONG, clients->sizes->event);
    } else if (in[0] == ORDER) { /* what an agent says to an order: taken, found out, done */
        say(clients, socket, ACK, clients->sizes->ack);
        say(clients, socket, EVENT, clients->sizes->event);
        say(clients, socket, EVENT, clients->sizes->ack);
    }
    return true;
}

static void wait_for(struct clients *clients, enum kind kind, size_t wanted)
{
    static uint8_t in[SIZE_MAX_BYTES];
    struct epoll_event events[256];
    double end = now_s() + 120;
    clients->seen[kind] = 0;
    /* A descriptor tells of nothing before a receive has found nothing. */
    for (size_t i = 0; i < clients->count; i++)
        while (take_one(clients, clients->sockets[i], in))
            ;
    while (clients->seen[kind] < wanted) {
        need(now_s() < end, "answers in 120 s");
        int got = epoll_wait(clients->epoll, events, 256, 1000);
        for (int i = 0; i < got; i++)
            while (take_one(clients, events[i].data.ptr, in))
                ;
    }
}

static void dial(struct clients *clients, void *context, const char *endpoint, const uint8_t *server)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct keys_pair keys;
        void *socket = clients->sockets[i] = zmq_socket(context, ZMQ_DEALER);
        int fd = -1;
        size_t len = sizeof fd;
        need(socket && crypto_box_keypair(keys.public, keys.secret) == 0, "socket");
        set(socket, ZMQ_CURVE_SERVERKEY, server, 32);
        set(socket, ZMQ_CURVE_PUBLICKEY, keys.public, 32);
        set(socket, ZMQ_CURVE_SECRETKEY, keys.secret, 32);
        set_number(socket, ZMQ_LINGER, 0);
        need(zmq_connect(socket, endpoint) == 0, "connect");
        say(clients, socket, HELLO, clients->sizes->hello);
        need(zmq_getsockopt(socket, ZMQ_FD, &fd, &len) == 0, "descriptor");
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = socket };
        need(epoll_ctl(clients->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
    }
}

static double best(struct clients *clients, enum kind go, enum kind answer, size_t wanted)
{
    double best_s = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_s();
        say(clients, clients->sockets[0], go, 1);
        wait_for(clients, answer, wanted);
        double took = now_s() - start;
        best_s = took < best_s ? took : best_s;
    }
    return best_s;
}

int fleet_rival(int count, char **words)
{
    char endpoint[256];
    int pipe_fds[2];
    struct keys_pair keys;
    need(count == 7, "rival N HELLO WELCOME ORDER ACK EVENT EVENT_ACK");
    struct sizes sizes = { need_number(words[1]), need_number(words[2]), need_number(words[3]),
                           need_number(words[4]), need_number(words[5]), need_number(words[6]) };
    struct clients clients = { .count = need_number(words[0]), .sizes = &sizes };
    need(sodium_init() >= 0 && pipe(pipe_fds) == 0, "start");
    need(crypto_box_keypair(keys.public, keys.secret) == 0, "keys");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        server_run(&keys, &sizes, clients.count, pipe_fds[1]);
    (void)close(pipe_fds[1]); /* so that a server that died ends the read */
    need(read(pipe_fds[0], endpoint, sizeof endpoint) == (ssize_t)sizeof endpoint, "the server");
    void *context = zmq_ctx_new();
    need(context && zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 16384) == 0, "context");
    clients.sockets = calloc(clients.count, sizeof *clients.sockets);
    clients.bytes = calloc(1, SIZE_MAX_BYTES);
    clients.epoll = epoll_create1(EPOLL_CLOEXEC);
    need(clients.sockets && clients.bytes && clients.epoll >= 0, "memory");
    double start = now_s();
    dial(&clients, context, endpoint, keys.public);
    wait_for(&clients, WELCOME, clients.count);
    double connect_s = now_s() - start;
    double ping_s = best(&clients, GO_PING, ALL, 1);
    double order_s = best(&clients, GO_ORDER, EVENT_ACK, 2 * clients.count);
    struct rusage usage;
    int status = 0;
    need(kill(child, SIGKILL) == 0 && wait4(child, &status, 0, &usage) == child, "end the server");
    (void)printf("{\"connect_s\":%.6f,\"ping_s\":%.6f,\"order_s\":%.6f,\"rss_kib\":%ld,"
                 "\"cpu_s\":%.3f}\n",
                 connect_s, ping_s, order_s, usage.ru_maxrss,
                 (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    (void)fflush(stdout);
    _exit(0); /* thousands of sockets need no orderly end */
}
