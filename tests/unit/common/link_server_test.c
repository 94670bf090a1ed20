#include "confleet/link.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/wire.h"
#include "harness/link.h"
#include "harness/test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(a_known_key_exchanges_frames_both_ways_under_its_own_name)
{
    struct pair pair = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    CHECK_STR(pair.in.id, "agent:app-01");
    CHECK(pair.in.turn > 0);
    struct err err = { 0 };
    CHECK_OK(link_server_send(pair.server, &pair.in.peer, "welcome", 7, &err), err);
    CHECK_STR(pair_hear(&pair), "welcome");
    CHECK_INT(link_server_stats(pair.server).handshakes_ok, 1);
    CHECK_INT(link_server_stats(pair.server).handshakes_refused, 0);
    pair_close(&pair);
}

TEST(an_unknown_key_is_refused_and_none_of_its_frames_arrives)
{
    struct pair pair = { .stranger = true };
    pair_open(&pair, "agent:app-01");
    CHECK(pair_wait(&pair, LINK_REFUSED));
    CHECK_HAS(link_client_why(pair.client), "does not know this key");
    struct err err = { 0 };
    CHECK_INT(link_client_send(pair.client, "hello", 5, &err), -FAIL_UNREACHABLE);
    CHECK(!pair_receive(&pair, 200));
    CHECK(link_server_stats(pair.server).handshakes_refused >= 1);
    pair_close(&pair);
}

/* The events of a bare ZeroMQ socket, until one of them is among the wanted. */
static bool raw_event(void *monitor, int wanted)
{
    for (int64_t end_ms = clock_mono_ms() + 10000; clock_mono_ms() < end_ms;) {
        zmq_pollitem_t item = { .socket = monitor, .events = ZMQ_POLLIN };
        CHECK(zmq_poll(&item, 1, 100) >= 0);
        uint8_t head[6], where[256];
        uint16_t event = 0;
        if (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) < 0)
            continue;
        memcpy(&event, head, sizeof event);
        CHECK(zmq_recv(monitor, where, sizeof where, ZMQ_DONTWAIT) >= 0);
        if (event & wanted)
            return true;
    }
    return false;
}

TEST(a_client_without_encryption_is_refused)
{
    struct pair pair = { 0 };
    pair_open(&pair, "agent:app-01");
    void *context = zmq_ctx_new();
    void *raw = zmq_socket(context, ZMQ_DEALER), *monitor = zmq_socket(context, ZMQ_PAIR);
    int zero = 0;
    CHECK_INT(zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero), 0);
    CHECK_INT(zmq_socket_monitor(raw, "inproc://raw", ZMQ_EVENT_ALL), 0);
    CHECK_INT(zmq_connect(monitor, "inproc://raw"), 0);
    CHECK_INT(zmq_connect(raw, link_server_endpoint(pair.server)), 0);
    CHECK_INT(zmq_send(raw, "hello", 5, 0), 5);
    int bad = ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
              ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    CHECK(raw_event(monitor, bad));
    CHECK(!pair_receive(&pair, 200));
    CHECK(link_server_stats(pair.server).handshakes_broken >= 1);
    CHECK_INT(link_server_stats(pair.server).handshakes_refused, 0);
    CHECK_INT(zmq_socket_monitor(raw, NULL, 0), 0);
    CHECK_INT(zmq_close(monitor), 0);
    CHECK_INT(zmq_close(raw), 0);
    CHECK_INT(zmq_ctx_term(context), 0);
    pair_close(&pair);
}

/* A bare CURVE client with a routing id of its choice. */
static void *raw_client(void *context, const struct pair *pair, const struct keys *keys,
                        const void *route, size_t route_len)
{
    void *raw = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    CHECK_INT(zmq_setsockopt(raw, ZMQ_LINGER, &zero, sizeof zero), 0);
    CHECK_INT(zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, pair->server_keys.curve_public, KEY_SIZE),
              0);
    CHECK_INT(zmq_setsockopt(raw, ZMQ_CURVE_PUBLICKEY, keys->curve_public, KEY_SIZE), 0);
    CHECK_INT(zmq_setsockopt(raw, ZMQ_CURVE_SECRETKEY, keys->curve_secret, KEY_SIZE), 0);
    if (route)
        CHECK_INT(zmq_setsockopt(raw, ZMQ_ROUTING_ID, route, route_len), 0);
    CHECK_INT(zmq_connect(raw, link_server_endpoint(pair->server)), 0);
    return raw;
}

/* With an id of its own choice a peer is known by its key alone; with another's id it gets nothing
 * of the other's. */
TEST(a_peer_that_takes_anothers_routing_id_gets_nothing_of_the_others)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys evil = { 0 };
    pair_open(&pair, "agent:victim");
    CHECK_OK(keys_make("evil", &evil, &err), err);
    struct link_key table[2] = { { .id = "agent:victim" }, { .id = "agent:evil" } };
    memcpy(table[0].curve_public, pair.client_keys.curve_public, KEY_SIZE);
    memcpy(table[1].curve_public, evil.curve_public, KEY_SIZE);
    link_keys_set(table, 2);
    void *context = zmq_ctx_new();
    void *victim = raw_client(context, &pair, &pair.client_keys, "the-id", 6);
    CHECK_INT(zmq_send(victim, "mine", 4, 0), 4);
    CHECK(pair_receive(&pair, 10000));
    CHECK_STR(pair.in.id, "agent:victim");
    struct link_peer to_victim = pair.in.peer;
    CHECK_INT(to_victim.route_len, 6);

    void *thief = raw_client(context, &pair, &evil, "the-id", 6);
    CHECK_INT(zmq_send(thief, "steal", 5, 0), 5);
    for (int64_t end_ms = clock_mono_ms() + 10000;
         clock_mono_ms() < end_ms && link_server_stats(pair.server).handshakes_ok < 3;)
        CHECK(zmq_poll(NULL, 0, 5) >= 0);
    /* The pair's own client, the victim and the thief, in whatever order they came. */
    CHECK_INT(link_server_stats(pair.server).handshakes_ok, 3);

    CHECK_OK(link_server_send(pair.server, &to_victim, "secret", 6, &err), err);
    zmq_pollitem_t items[2] = { { .socket = victim, .events = ZMQ_POLLIN },
                                { .socket = thief, .events = ZMQ_POLLIN } };
    CHECK(zmq_poll(items, 2, 10000) == 1);
    CHECK_INT(items[0].revents, ZMQ_POLLIN);
    CHECK_INT(zmq_poll(&items[1], 1, 200), 0);
    /* Whatever of the thief still gets through carries the thief's own name. */
    while (pair_receive(&pair, 100))
        CHECK_STR(pair.in.id, "agent:evil");
    CHECK_INT(zmq_close(victim), 0);
    CHECK_INT(zmq_close(thief), 0);
    CHECK_INT(zmq_ctx_term(context), 0);
    pair_close(&pair);
}

TEST(a_revoked_key_is_cut_on_its_live_connection_and_comes_back_when_it_is_known_again)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    link_keys_set(NULL, 0);
    /* The connection outlives its key: the owner must look at each frame. */
    CHECK_OK(link_client_send(pair.client, "more", 4, &err), err);
    CHECK(pair_receive(&pair, 10000));
    int64_t start_ms = clock_mono_ms();
    link_server_cut(pair.server, &pair.in.peer);
    CHECK(pair_wait(&pair, LINK_REFUSED));
    CHECK(clock_mono_ms() - start_ms < 5000);
    struct link_peer gone = pair.in.peer;
    CHECK_INT(link_server_send(pair.server, &gone, "x", 1, &err), -FAIL_UNREACHABLE);
    link_server_cut(pair.server, &gone); /* once more does no harm */
    pair_allow(&pair);
    CHECK(pair_wait(&pair, LINK_UP));
    pair_greet(&pair);
    CHECK_STR(pair.in.id, "agent:app-01");
    pair_close(&pair);
}

TEST(frames_in_several_parts_and_above_the_cap_never_reach_the_owner)
{
    struct pair pair = { 0 };
    pair_open(&pair, "agent:app-01");
    void *context = zmq_ctx_new();
    void *raw = raw_client(context, &pair, &pair.client_keys, NULL, 0);
    CHECK_INT(zmq_send(raw, "one", 3, ZMQ_SNDMORE), 3);
    CHECK_INT(zmq_send(raw, "two", 3, ZMQ_SNDMORE), 3);
    CHECK_INT(zmq_send(raw, "three", 5, 0), 5);
    CHECK_INT(zmq_send(raw, "whole", 5, 0), 5);
    CHECK(pair_receive(&pair, 10000));
    CHECK_INT(pair.in.len, 5);
    CHECK_INT(memcmp(pair.in.bytes, "whole", 5), 0);
    /* Within what the socket lets through, above what a frame may have. */
    CLEANUP(free_mem) uint8_t *big = mem_zero(1, 2 * WIRE_FRAME_MAX);
    CHECK_INT(zmq_send(raw, big, WIRE_FRAME_MAX + 1, 0), WIRE_FRAME_MAX + 1);
    CHECK_INT(zmq_send(raw, big, WIRE_FRAME_MAX, 0), WIRE_FRAME_MAX);
    CHECK(pair_receive(&pair, 10000));
    CHECK_INT(pair.in.len, WIRE_FRAME_MAX);
    /* Above that the connection is dropped. */
    CHECK_INT(zmq_send(raw, big, 2 * WIRE_FRAME_MAX, 0), 2 * WIRE_FRAME_MAX);
    CHECK(!pair_receive(&pair, 300));
    CHECK_INT(zmq_close(raw), 0);
    CHECK_INT(zmq_ctx_term(context), 0);
    pair_close(&pair);
}

/* A plain TCP connection to the server. */
static int tcp_to(const struct pair *pair)
{
    const char *port = strrchr(link_server_endpoint(pair->server), ':') + 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    uint64_t number = 0;
    CHECK(text_parse_u64(port, 65535, &number));
    address.sin_port = htons((uint16_t)number);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

TEST(idle_connections_and_other_protocols_keep_no_known_peer_out)
{
    static const char *const words[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                         "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03", "" };
    struct pair pair = { 0 };
    int fds[200];
    pair_open(&pair, "agent:app-01");
    for (size_t i = 0; i < 200; i++) {
        const char *word = words[i % 4];
        fds[i] = tcp_to(&pair);
        CHECK(send(fds[i], word, strlen(word), MSG_NOSIGNAL) >= 0);
    }
    pair_greet(&pair);
    CHECK_INT(link_server_stats(pair.server).handshakes_ok, 1);
    for (size_t i = 0; i < 200; i++)
        CHECK_INT(close(fds[i]), 0);
    pair_close(&pair);
}

TEST(the_owner_cannot_send_a_frame_above_the_cap)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    CLEANUP(free_mem) uint8_t *big = mem_zero(1, WIRE_FRAME_MAX + 1);
    CHECK_INT(link_server_send(pair.server, &pair.in.peer, big, WIRE_FRAME_MAX + 1, &err),
              -FAIL_LIMIT);
    err_clear(&err);
    CHECK_INT(link_client_send(pair.client, big, WIRE_FRAME_MAX + 1, &err), -FAIL_LIMIT);
    pair_close(&pair);
}

TEST(a_peer_that_does_not_read_fills_its_queue_and_nobody_elses)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    CLEANUP(free_mem) uint8_t *big = mem_zero(1, WIRE_FRAME_MAX);
    int result = 0;
    for (int i = 0; i < 2000 && result == 0; i++)
        result = link_server_send(pair.server, &pair.in.peer, big, WIRE_FRAME_MAX, &err);
    CHECK_INT(result, -FAIL_BUSY);
    CHECK_HAS(err.text, "does not read");
    pair_close(&pair);
}

TEST(two_servers_share_the_table_and_keep_their_own_counts)
{
    struct pair control = { 0 }, bulk = { .domain = "bulk" };
    pair_open(&control, "agent:app-01");
    pair_open(&bulk, "agent:app-02");
    pair_greet(&bulk);
    CHECK_STR(bulk.in.id, "agent:app-02");
    CHECK_INT(link_server_stats(bulk.server).handshakes_ok, 1);
    CHECK_INT(link_server_stats(control.server).handshakes_ok, 0);
    pair_close(&bulk);
    pair_close(&control);
}

TEST(an_address_that_is_taken_or_none_is_told_in_words)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    struct link_server *second = NULL;
    pair_open(&pair, "agent:app-01");
    struct link_server_options options = { .endpoint = link_server_endpoint(pair.server),
                                           .keys = &pair.server_keys,
                                           .domain = "test" };
    CHECK_INT(link_server_open(&options, &second, &err), -FAIL_BUSY);
    CHECK_HAS(err.text, "listen at tcp://127.0.0.1:");
    CHECK(second == NULL);
    err_clear(&err);
    options.endpoint = "nonsense";
    CHECK_INT(link_server_open(&options, &second, &err), -FAIL_IO);
    CHECK_HAS(err.text, "nonsense");
    pair_close(&pair);
}
