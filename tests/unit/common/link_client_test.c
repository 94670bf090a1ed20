#include "confleet/link.h"
#include "confleet/cleanup.h"
#include "harness/link.h"
#include "harness/test.h"

TEST(a_client_finds_a_server_that_was_restarted_and_greets_it_again)
{
    struct pair pair = { 0 };
    char endpoint[256];
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    (void)snprintf(endpoint, sizeof endpoint, "%s", link_server_endpoint(pair.server));
    pair_drop_in(&pair);
    link_server_close(&pair.server);
    CHECK(pair_wait(&pair, LINK_WAITING));
    pair_serve(&pair, endpoint);
    pair_greet(&pair);
    CHECK_INT(pair.greetings, 2);
    pair_close(&pair);
}

TEST(a_client_that_nobody_answers_says_so_and_keeps_trying)
{
    struct pair pair = { 0 };
    char endpoint[256];
    pair_open(&pair, "agent:app-01");
    (void)snprintf(endpoint, sizeof endpoint, "%s", link_server_endpoint(pair.server));
    link_server_close(&pair.server);
    CHECK(pair_wait(&pair, LINK_WAITING));
    for (int i = 0; i < 20; i++)
        pair_turn(&pair);
    CHECK(link_client_state(pair.client) != LINK_UP);
    CHECK_HAS(link_client_why(pair.client), "nothing answers at tcp://127.0.0.1:");
    pair_serve(&pair, endpoint);
    CHECK(pair_wait(&pair, LINK_UP));
    pair_close(&pair);
}

TEST(a_wrong_pinned_key_never_connects_and_is_told_apart_from_silence)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys other = { 0 };
    pair_open(&pair, "agent:app-01");
    CHECK_OK(keys_make("other", &other, &err), err);
    struct link_client_options options = { .endpoint = link_server_endpoint(pair.server),
                                           .server_key = other.curve_public,
                                           .curve_public = pair.client_keys.curve_public,
                                           .curve_secret = pair.client_keys.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    link_client_close(&pair.client);
    CHECK_OK(link_client_open(&options, &pair.client, &err), err);
    CHECK(pair_wait(&pair, LINK_WAITING));
    CHECK_HAS(link_client_why(pair.client), "not the controller with the pinned key");
    CHECK_INT(pair.greetings, 0);
    pair_close(&pair);
}

TEST(a_silent_server_is_left_and_called_again)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    struct link_client_options options = { .endpoint = link_server_endpoint(pair.server),
                                           .server_key = pair.server_keys.curve_public,
                                           .curve_public = pair.client_keys.curve_public,
                                           .curve_secret = pair.client_keys.curve_secret,
                                           .silence_ms = 200,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    link_client_close(&pair.client);
    CHECK_OK(link_client_open(&options, &pair.client, &err), err);
    pair_greet(&pair);
    struct link_peer first = pair.in.peer;
    CHECK(pair_wait(&pair, LINK_WAITING));
    CHECK_HAS(link_client_why(pair.client), "was silent");
    pair_greet(&pair);
    CHECK(pair.greetings >= 2);
    CHECK(pair.in.peer.route_len != first.route_len ||
          memcmp(pair.in.peer.route, first.route, first.route_len) != 0);
    /* Each frame that is read starts the wait anew. */
    int before = pair.greetings;
    for (int64_t end_ms = clock_mono_ms() + 600; clock_mono_ms() < end_ms;) {
        CHECK_OK(link_server_send(pair.server, &pair.in.peer, "beat", 4, &err), err);
        CHECK_STR(pair_hear(&pair), "beat");
    }
    CHECK_INT(pair.greetings, before);
    pair_close(&pair);
}

TEST(a_client_told_to_restart_drops_what_is_left_of_the_old_connection)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    CHECK_OK(link_server_send(pair.server, &pair.in.peer, "stale", 5, &err), err);
    zmq_pollitem_t item = { .socket = link_client_socket(pair.client), .events = ZMQ_POLLIN };
    CHECK_INT(zmq_poll(&item, 1, 10000), 1);
    link_client_restart(pair.client);
    CHECK_INT(link_client_state(pair.client), LINK_WAITING);
    CHECK_INT(link_client_send(pair.client, "x", 1, &err), -FAIL_UNREACHABLE);
    CHECK_INT(link_client_recv(pair.client, &pair.heard, &err), 0);
    pair_greet(&pair);
    CHECK_OK(link_server_send(pair.server, &pair.in.peer, "fresh", 5, &(struct err){ 0 }), err);
    CHECK_STR(pair_hear(&pair), "fresh");
    pair_close(&pair);
}

TEST(a_key_that_knocks_too_often_is_kept_waiting_and_not_refused)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    CHECK(pair_wait(&pair, LINK_UP));
    /* Each restart is a handshake; the burst is a few dozen. */
    for (int i = 0; i < 60 && link_server_stats(pair.server).handshakes_refused == 0; i++) {
        link_client_restart(pair.client);
        for (int64_t end_ms = clock_mono_ms() + 2000; clock_mono_ms() < end_ms;) {
            pair_turn(&pair);
            if (link_client_state(pair.client) == LINK_UP ||
                link_server_stats(pair.server).handshakes_refused > 0)
                break;
        }
    }
    CHECK(link_server_stats(pair.server).handshakes_refused > 0);
    CHECK(link_server_stats(pair.server).handshakes_ok >= 40);
    CHECK(link_client_state(pair.client) != LINK_REFUSED);
    /* The same table set again does not give a new burst; another key is served at once. */
    CLEANUP(keys_wipe) struct keys other = { 0 };
    CHECK_OK(keys_make("other", &other, &err), err);
    struct link_key table[2] = { pair.key, { .id = "operator:ada" } };
    memcpy(table[1].curve_public, other.curve_public, KEY_SIZE);
    link_keys_set(table, 2);
    uint64_t refused = link_server_stats(pair.server).handshakes_refused;
    link_client_close(&pair.client);
    struct link_client_options options = { .endpoint = link_server_endpoint(pair.server),
                                           .server_key = pair.server_keys.curve_public,
                                           .curve_public = other.curve_public,
                                           .curve_secret = other.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    CHECK_OK(link_client_open(&options, &pair.client, &err), err);
    pair_greet(&pair);
    CHECK_STR(pair.in.id, "operator:ada");
    CHECK_INT(link_server_stats(pair.server).handshakes_refused, refused);
    pair_close(&pair);
}

TEST(an_address_that_is_none_is_refused_at_once)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    struct link_client *client = NULL;
    pair_open(&pair, "agent:app-01");
    struct link_client_options options = { .endpoint = "controller",
                                           .server_key = pair.server_keys.curve_public,
                                           .curve_public = pair.client_keys.curve_public,
                                           .curve_secret = pair.client_keys.curve_secret };
    CHECK_INT(link_client_open(&options, &client, &err), -FAIL_USAGE);
    CHECK_HAS(err.text, "'controller'");
    CHECK(client == NULL);
    pair_close(&pair);
}

TEST(the_process_can_end_its_context_and_start_a_new_one)
{
    struct pair pair = { 0 };
    struct err err = { 0 };
    pair_open(&pair, "agent:app-01");
    pair_greet(&pair);
    pair_close(&pair);
    link_stop();
    link_stop();
    CHECK_OK(link_start(&err), err);
    struct pair again = { 0 };
    pair_open(&again, "agent:app-02");
    pair_greet(&again);
    pair_close(&again);
}
