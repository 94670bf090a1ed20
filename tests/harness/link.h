/* harness/link - one server and one client of it over loopback, for the tests of link and of what
 * runs on it. */
#pragma once
#include "common/link_inside.h"
#include "confleet/link.h"
#include "confleet/clock.h"
#include "confleet/str.h"
#include "harness/test.h"

struct pair {
    const char *domain; /* NULL: "test" */
    struct link_server *server;
    struct link_client *client;
    struct keys server_keys, client_keys;
    struct link_key key;
    struct link_in in; /* newest frame at the server */
    bool has_in;
    struct str heard; /* newest frame at the client */
    bool stranger;    /* the client's key is not in the table at first */
    int greetings;    /* how often the client was new */
};

static inline void pair_allow(struct pair *pair)
{
    link_keys_set(&pair->key, 1);
}

static inline void pair_serve(struct pair *pair, const char *endpoint)
{
    struct err err = { 0 };
    struct link_server_options options = { .endpoint = endpoint,
                                           .keys = &pair->server_keys,
                                           .domain = pair->domain ? pair->domain : "test" };
    test_wait_free(endpoint);
    CHECK_OK(link_server_open(&options, &pair->server, &err), err);
}

/* With its threads ended, a leak checker sees nothing that is only on its way to be freed. A test
 * that failed leaves sockets open, for which the context would wait. */
static inline void pair_stop(void)
{
    if (link_sockets_add(0) == 0)
        link_stop();
}

static inline void pair_open(struct pair *pair, const char *id)
{
    static bool started;
    struct err err = { 0 };
    if (!started) {
        CHECK_OK(link_start(&err), err);
        CHECK_INT(atexit(pair_stop), 0);
    }
    started = true;
    CHECK_OK(keys_make("controller", &pair->server_keys, &err), err);
    CHECK_OK(keys_make("client", &pair->client_keys, &err), err);
    (void)snprintf(pair->key.id, sizeof pair->key.id, "%s", id);
    memcpy(pair->key.curve_public, pair->client_keys.curve_public, KEY_SIZE);
    if (pair->stranger)
        link_keys_set(NULL, 0);
    else
        pair_allow(pair);
    pair_serve(pair, "tcp://127.0.0.1:*");
    struct link_client_options options = { .endpoint = link_server_endpoint(pair->server),
                                           .server_key = pair->server_keys.curve_public,
                                           .curve_public = pair->client_keys.curve_public,
                                           .curve_secret = pair->client_keys.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 100 };
    CHECK_OK(link_client_open(&options, &pair->client, &err), err);
}

static inline void pair_drop_in(struct pair *pair)
{
    if (pair->has_in)
        link_in_close(&pair->in);
    pair->has_in = false;
}

static inline void pair_close(struct pair *pair)
{
    pair_drop_in(pair);
    str_free(&pair->heard);
    link_client_close(&pair->client);
    link_server_close(&pair->server);
}

/* One turn of the client's loop, at most 20 ms of waiting. */
static inline void pair_turn(struct pair *pair)
{
    bool is_new = false;
    zmq_pollitem_t items[2] = {
        { .socket = link_client_socket(pair->client), .events = ZMQ_POLLIN },
        { .socket = link_client_monitor(pair->client), .events = ZMQ_POLLIN }
    };
    CHECK(zmq_poll(items, 2, 20) >= 0);
    (void)link_client_tick(pair->client, clock_mono_ms(), &is_new);
    pair->greetings += is_new;
}

static inline bool pair_wait(struct pair *pair, enum link_state state)
{
    for (int64_t end_ms = clock_mono_ms() + 15000; clock_mono_ms() < end_ms;) {
        pair_turn(pair);
        if (link_client_state(pair->client) == state)
            return true;
    }
    print_error("still: %s\n", link_client_why(pair->client));
    return false;
}

/* The next frame at the server, in pair->in; false when none came in time. */
static inline bool pair_receive(struct pair *pair, int64_t timeout_ms)
{
    struct err err = { 0 };
    pair_drop_in(pair);
    for (int64_t end_ms = clock_mono_ms() + timeout_ms; clock_mono_ms() < end_ms;) {
        zmq_pollitem_t item = { .socket = link_server_socket(pair->server), .events = ZMQ_POLLIN };
        CHECK(zmq_poll(&item, 1, 20) >= 0);
        int result = link_server_recv(pair->server, &pair->in, &err);
        CHECK(result >= 0);
        pair->has_in = result == 1;
        if (pair->has_in)
            return true;
    }
    return false;
}

/* Waits until the client is up, sends one frame and takes it at the server. */
static inline void pair_greet(struct pair *pair)
{
    struct err err = { 0 };
    CHECK(pair_wait(pair, LINK_UP));
    CHECK_OK(link_client_send(pair->client, "hello", 5, &err), err);
    CHECK(pair_receive(pair, 15000));
    CHECK_INT(pair->in.len, 5);
    CHECK_INT(memcmp(pair->in.bytes, "hello", 5), 0);
}

/* The next frame at the client. */
static inline const char *pair_hear(struct pair *pair)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 15000; clock_mono_ms() < end_ms;) {
        pair_turn(pair);
        int result = link_client_recv(pair->client, &pair->heard, &err);
        CHECK(result >= 0);
        if (result == 1)
            return str_text(&pair->heard);
    }
    return "nothing";
}
