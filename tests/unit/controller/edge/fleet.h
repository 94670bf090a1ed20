/* fleet - one controller on real sockets and scripted peers, all in one thread, for the tests of
 * the controller.
 *
 * Peers are written out here: they say what a test tells them to, right or wrong. Time passes only
 * in fleet_turn(). At its end each fleet has its audit chain walked. */
#pragma once
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/audit.h"
#include "controller/edge/daemon.h"
#include "controller/edge/setup.h"
#include "harness/test.h"

#define FLEET_WAIT_MS 60000 /* a hang, even under sanitizers on a busy machine */
#define HEARD_MAX     64

struct end { /* one peer's side */
    struct fleet *fleet;
    struct keys keys;
    struct link_client *client;
    struct arena *arena;
    Confleet__Frame *heard[HEARD_MAX]; /* not taken yet */
    size_t heard_count;
    bool is_new;
    int greetings;
};

struct fleet {
    const char *dir;
    char *state_dir, *control, *bulk;
    struct daemon *daemon;
    struct join join;
    struct end anna, agent; /* the first admin; the agent most tests need */
    struct end *ends[8];
    size_t end_count;
    uint64_t serial;
};

static inline char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

static inline void fleet_start(struct fleet *fleet)
{
    struct err err = { 0 };
    struct daemon_options options = { .state_dir = fleet->state_dir,
                                      .control = fleet->control,
                                      .bulk = fleet->bulk,
                                      .heartbeat_ms = 2000 };
    test_wait_free(fleet->control);
    test_wait_free(fleet->bulk);
    CHECK_OK(daemon_open(&options, &fleet->daemon, &err), err);
    free(fleet->control);
    free(fleet->bulk);
    fleet->control = text_dup(link_server_endpoint(fleet->daemon->control));
    fleet->bulk = text_dup(link_server_endpoint(fleet->daemon->bulk));
}

static inline void end_open_at(struct fleet *fleet, struct end *end, const char *endpoint)
{
    struct err err = { 0 };
    struct link_client_options options = { .endpoint = endpoint,
                                           .server_key = fleet->join.controller_key,
                                           .curve_public = end->keys.curve_public,
                                           .curve_secret = end->keys.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    end->fleet = fleet;
    end->arena = arena_new(64 * 1024 * 1024);
    CHECK_OK(link_client_open(&options, &end->client, &err), err);
    CHECK(fleet->end_count < 8);
    fleet->ends[fleet->end_count++] = end;
}

static inline void end_open(struct fleet *fleet, struct end *end)
{
    end_open_at(fleet, end, fleet->control);
}

static inline void end_close(struct end *end)
{
    struct fleet *fleet = end->fleet;
    size_t at = 0;
    if (!end->client)
        return;
    while (fleet->ends[at] != end)
        at++;
    memmove(&fleet->ends[at], &fleet->ends[at + 1],
            (fleet->end_count - at - 1) * sizeof fleet->ends[0]);
    fleet->end_count--;
    link_client_close(&end->client);
    arena_free(&end->arena);
    end->heard_count = 0;
    end->is_new = false;
}

static inline void end_turn(struct end *end)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    bool is_new = false;
    zmq_pollitem_t items[] = { { link_client_socket(end->client), 0, ZMQ_POLLIN, 0 },
                               { link_client_monitor(end->client), 0, ZMQ_POLLIN, 0 } };
    CHECK(zmq_poll(items, 2, 0) >= 0);
    (void)link_client_tick(end->client, clock_mono_ms(), &is_new);
    end->is_new |= is_new;
    end->greetings += is_new;
    while (link_client_recv(end->client, &bytes, &err) == 1) {
        CHECK(end->heard_count < HEARD_MAX);
        CHECK_OK(wire_decode_frame(end->arena, bytes.s, bytes.len, &end->heard[end->heard_count++],
                                   &err),
                 err);
        str_clear(&bytes);
    }
}

static inline void fleet_turn(struct fleet *fleet)
{
    struct err err = { 0 };
    if (fleet->daemon)
        CHECK_OK(daemon_turn(fleet->daemon, -1, 3, &err), err);
    for (size_t i = 0; i < fleet->end_count; i++)
        end_turn(fleet->ends[i]);
}

/* The next frame of that kind; others before it are dropped. NULL when none comes in time. */
static inline Confleet__Frame *end_hear_for(struct end *end, Confleet__Frame__BodyCase body,
                                            int64_t wait_ms)
{
    for (int64_t until_ms = clock_mono_ms() + wait_ms; clock_mono_ms() < until_ms;) {
        while (end->heard_count > 0) {
            Confleet__Frame *frame = end->heard[0];
            memmove(&end->heard[0], &end->heard[1], --end->heard_count * sizeof end->heard[0]);
            if (frame->body_case == body)
                return frame;
        }
        fleet_turn(end->fleet);
    }
    return NULL;
}

static inline Confleet__Frame *end_hear(struct end *end, Confleet__Frame__BodyCase body)
{
    Confleet__Frame *frame = end_hear_for(end, body, FLEET_WAIT_MS);
    if (!frame)
        print_error("no frame of kind %d from the controller (%s)\n", (int)body,
                    link_client_why(end->client));
    CHECK(frame);
    return frame;
}

static inline void end_up(struct end *end)
{
    int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
    while (!end->is_new && clock_mono_ms() < until_ms)
        fleet_turn(end->fleet);
    CHECK(end->is_new);
    end->is_new = false;
}

static inline void end_say(struct end *end, Confleet__Frame *frame)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    wire_encode(&frame->base, &bytes);
    CHECK_OK(link_client_send(end->client, bytes.s, bytes.len, &err), err);
}

/* Turns until the controller has handled all that this peer said: it answers a heartbeat behind it.
 * What else came meanwhile stays heard. Needed before another peer asks, since nothing orders the
 * frames of two connections, and operators come first. */
static inline void end_settle(struct end *end)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Heartbeat heartbeat = CONFLEET__HEARTBEAT__INIT;
    frame.body_case = CONFLEET__FRAME__BODY_HEARTBEAT;
    frame.heartbeat = &heartbeat;
    end_say(end, &frame);
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS; clock_mono_ms() < until_ms;
         fleet_turn(end->fleet))
        for (size_t i = 0; i < end->heard_count; i++)
            if (end->heard[i]->body_case == CONFLEET__FRAME__BODY_HEARTBEAT) {
                memmove(&end->heard[i], &end->heard[i + 1],
                        (--end->heard_count - i) * sizeof end->heard[0]);
                return;
            }
    print_error("the controller does not answer a heartbeat (%s)\n", link_client_why(end->client));
    CHECK(false);
}

struct greeting {
    uint64_t start_count, event_seq;
    const char *boot_id;
    uint32_t protocol;
    const char *name;
    uint64_t event_gone, epoch_seen, seen_seq;
    const char *seen_hash;
    uint32_t connection;
};

static inline void end_say_hello(struct end *end, struct greeting greeting)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Hello hello = CONFLEET__HELLO__INIT;
    hello.protocol = greeting.protocol ? greeting.protocol : CONFLEET_PROTOCOL;
    hello.program = word("test");
    hello.version = word("1.2");
    hello.name = word(greeting.name ? greeting.name : ""); /* says nothing: identity is the key */
    hello.start_count = greeting.start_count;
    hello.event_seq = greeting.event_seq;
    hello.event_gone = greeting.event_gone;
    hello.connection = greeting.connection;
    hello.epoch_seen = greeting.epoch_seen;
    Confleet__StoreHead seen = CONFLEET__STORE_HEAD__INIT;
    seen.seq = greeting.seen_seq;
    seen.hash = word(greeting.seen_hash);
    hello.seen = greeting.seen_hash ? &seen : NULL;
    hello.boot_id = word(greeting.boot_id ? greeting.boot_id : "boot");
    frame.body_case = CONFLEET__FRAME__BODY_HELLO;
    frame.hello = &hello;
    end_say(end, &frame);
}

static inline const Confleet__Welcome *end_greet(struct end *end, uint64_t start_count,
                                                 uint64_t event_seq)
{
    end_up(end);
    end_say_hello(end, (struct greeting){ .start_count = start_count, .event_seq = event_seq });
    return end_hear(end, CONFLEET__FRAME__BODY_WELCOME)->welcome;
}

/* Keys of a token, to enrol with. */
static inline void end_of_token(struct end *end, const uint8_t token[KEY_SIZE])
{
    struct err err = { 0 };
    memcpy(end->keys.curve_secret, token, KEY_SIZE);
    CHECK_OK(keys_curve_from_secret(token, end->keys.curve_public, &err), err);
}

static inline void end_say_enrol(struct end *end, const char *name, const struct keys *keys,
                                 bool sign)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Enrol enrol = CONFLEET__ENROL__INIT;
    enrol.name = word(name);
    enrol.curve_public =
        (ProtobufCBinaryData){ KEY_SIZE, (uint8_t *)(uintptr_t)keys->curve_public };
    if (sign)
        enrol.sign_public =
            (ProtobufCBinaryData){ KEY_SIZE, (uint8_t *)(uintptr_t)keys->sign_public };
    frame.body_case = CONFLEET__FRAME__BODY_ENROL;
    frame.enrol = &enrol;
    end_say(end, &frame);
}

/* Enrols new keys with a token; the answer is Enrolled. */
static inline void fleet_enrol(struct fleet *fleet, const uint8_t token[KEY_SIZE], const char *name,
                               struct keys *ret_keys, bool sign)
{
    struct end end = { 0 };
    struct err err = { 0 };
    CHECK_OK(keys_make(name, ret_keys, &err), err);
    end_of_token(&end, token);
    end_open(fleet, &end);
    (void)end_greet(&end, 0, 0);
    end_say_enrol(&end, name, ret_keys, sign);
    CHECK_STR(end_hear(&end, CONFLEET__FRAME__BODY_ENROLLED)->enrolled->name, name);
    end_close(&end);
}

static inline const Confleet__Reply *end_ask_as(struct end *end, Confleet__Request *request,
                                                const char *id)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    request->id = word(id);
    frame.body_case = CONFLEET__FRAME__BODY_REQUEST;
    frame.request = request;
    end_say(end, &frame);
    const Confleet__Reply *reply = end_hear(end, CONFLEET__FRAME__BODY_REPLY)->reply;
    CHECK_STR(reply->id, id);
    return reply;
}

static inline const Confleet__Reply *end_ask(struct end *end, Confleet__Request *request)
{
    static unsigned count;
    char id[16];
    (void)snprintf(id, sizeof id, "r%u", ++count);
    return end_ask_as(end, request, id);
}

static inline const Confleet__Reply *good(const Confleet__Reply *reply)
{
    if (reply->code != 0)
        print_error("refused: %s\n", reply->message);
    CHECK_INT(reply->code, 0);
    return reply;
}

static inline const Confleet__Reply *ask_name(struct end *end, Confleet__Request__WhatCase what,
                                              const char *name)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskName ask = CONFLEET__ASK_NAME__INIT;
    ask.name = word(name);
    request.what_case = what;
    request.agent_show = &ask; /* all kinds that ask with a name share the place */
    return end_ask(end, &request);
}

static inline const Confleet__Reply *ask_nothing(struct end *end, Confleet__Request__WhatCase what)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    request.what_case = what;
    request.ping = &nothing;
    return end_ask(end, &request);
}

static inline const Confleet__Reply *ask_token(struct end *end, bool agent, const char *name,
                                               uint32_t ttl_s, Confleet__Role role)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskToken ask = CONFLEET__ASK_TOKEN__INIT;
    ask.name = word(name);
    ask.ttl_s = ttl_s;
    ask.role = role;
    request.what_case =
        agent ? CONFLEET__REQUEST__WHAT_AGENT_TOKEN : CONFLEET__REQUEST__WHAT_OPERATOR_TOKEN;
    request.agent_token = &ask;
    return end_ask(end, &request);
}

static inline const Confleet__Reply *ask_accept(struct end *end, const char *name,
                                                const char *fingerprint)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskAccept ask = CONFLEET__ASK_ACCEPT__INIT;
    ask.name = word(name);
    ask.fingerprint = word(fingerprint);
    request.what_case = CONFLEET__REQUEST__WHAT_AGENT_ACCEPT;
    request.agent_accept = &ask;
    return end_ask(end, &request);
}

static inline const Confleet__Reply *ask_revoke(struct end *end, bool agent, const char *name)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskRevoke ask = CONFLEET__ASK_REVOKE__INIT;
    ask.name = word(name);
    ask.reason = word("test");
    request.what_case =
        agent ? CONFLEET__REQUEST__WHAT_AGENT_REVOKE : CONFLEET__REQUEST__WHAT_OPERATOR_REVOKE;
    request.agent_revoke = &ask;
    return end_ask(end, &request);
}

static inline void fleet_open(struct fleet *fleet)
{
    static bool started;
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = NULL;
    if (!started)
        CHECK_OK(link_start(&err), err);
    started = true;
    fleet->dir = test_dir();
    fleet->state_dir = fs_join(fleet->dir, "state");
    path = fs_join(fleet->dir, "anna.join");
    struct setup setup = { fleet->state_dir, "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "anna",
                           path };
    CHECK_OK(setup_run(&setup, &err), err);
    CHECK_OK(join_load(path, &fleet->join, &err), err);
    fleet_start(fleet);
    fleet_enrol(fleet, fleet->join.token, "anna", &fleet->anna.keys, true);
    end_open(fleet, &fleet->anna);
    CHECK_STR(end_greet(&fleet->anna, 0, 0)->state, "accepted");
}

static inline void fleet_close(struct fleet *fleet)
{
    struct err err = { 0 };
    uint64_t rows = 0;
    CHECK_OK(audit_verify(fleet->daemon->store, &rows, &err), err);
    CHECK(rows > 0);
    while (fleet->end_count > 0)
        end_close(fleet->ends[0]);
    daemon_close(&fleet->daemon);
    free(fleet->state_dir);
    free(fleet->control);
    free(fleet->bulk);
}

/* Waits until that many frames were taken in and none of them was handled. */
static inline void fleet_take_in(struct fleet *fleet, size_t count)
{
    struct err err = { 0 };
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         intake_count(fleet->daemon->intake) < count && clock_mono_ms() < until_ms;) {
        for (size_t i = 0; i < fleet->end_count; i++)
            end_turn(fleet->ends[i]);
        CHECK_OK(intake_fill(fleet->daemon->intake, fleet->daemon->control, &err), err);
    }
    CHECK_INT(intake_count(fleet->daemon->intake), count);
}

/* An agent that was accepted and has not connected yet. */
static inline void make_agent(struct fleet *fleet, struct end *agent, const char *name)
{
    char fingerprint[FINGERPRINT_MAX];
    const Confleet__Reply *reply =
        good(ask_token(&fleet->anna, true, name, 0, CONFLEET__ROLE__ROLE_NONE));
    CHECK_INT(reply->token->token.len, KEY_SIZE);
    fleet_enrol(fleet, reply->token->token.data, name, &agent->keys, false);
    keys_fingerprint(agent->keys.curve_public, fingerprint);
    good(ask_accept(&fleet->anna, name, fingerprint));
    end_open(fleet, agent);
}

static inline void say_log(struct end *end, uint64_t seq, const char *text)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Event event = CONFLEET__EVENT__INIT;
    Confleet__LogEvent log = CONFLEET__LOG_EVENT__INIT;
    event.seq = seq;
    event.what_case = CONFLEET__EVENT__WHAT_LOG;
    event.log = &log;
    log.level = 6;
    log.text = word(text);
    frame.body_case = CONFLEET__FRAME__BODY_EVENT;
    frame.event = &event;
    end_say(end, &frame);
}

/* Kills and starts the controller; its peers find it again. */
static inline void fleet_restart(struct fleet *fleet)
{
    daemon_close(&fleet->daemon);
    fleet_start(fleet);
}

/* Rows of the audit with this word and this part in the detail. */
static inline int audited(struct fleet *fleet, const char *what, const char *part)
{
    struct err err = { 0 };
    int64_t count = 0;
    CLEANUP(free_mem) char *like = text_printf("%%%s%%", part);
    CHECK_OK(db_get_i64(fleet->daemon->store->db, &count, NULL, &err,
                        "SELECT count(*) FROM audit WHERE what=$1 AND detail LIKE $2", "tt", what,
                        like),
             err);
    return (int)count;
}
