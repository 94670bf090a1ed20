#include "controller/cli/client.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/link.h"
#include "controller/cli/cli.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define POLL_MS    1000 /* the link wants its tick at least so often */
#define CONNECT_MS 8000 /* a controller that is there answers a first connection sooner */

struct client {
    struct keys keys;
    struct join join;
    struct link_client *link;
    bool up_once; /* tells "not reachable" from "does not answer" */
    bool welcome; /* on the connection that is up now */
};

void answer_free(struct answer *answer)
{
    arena_free(&answer->arena);
    joined_free(&answer->joined);
    answer->reply = NULL;
}

/* libzmq's threads inherit the mask: a signal meant for the command must not end in one of them. */
static int link_begin(struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return err_set(err, FAIL_INTERNAL, "cannot block signals");
    int result = link_start(err);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int client_link(struct client *client, const uint8_t *public, const uint8_t *secret,
                       struct err *err)
{
    struct link_client_options options = { .endpoint = client->join.control,
                                           .server_key = client->join.controller_key,
                                           .curve_public = public,
                                           .curve_secret = secret,
                                           .backoff_min_ms = 200,
                                           .backoff_max_ms = 2000 };
    int result = link_begin(err);
    return result == 0 ? link_client_open(&options, &client->link, err) : result;
}

void client_close(struct client **client)
{
    if (!*client)
        return;
    if ((*client)->link) {
        link_client_close(&(*client)->link);
        link_stop();
    }
    keys_wipe(&(*client)->keys);
    free(TAKE(*client));
}

static int files_load(const char *dir, struct client *client, struct err *err)
{
    CLEANUP(free_mem) char *key_path = fs_join(dir, "operator.key");
    CLEANUP(free_mem) char *controller_path = fs_join(dir, "controller");
    if (!fs_exists(key_path))
        return err_set(
            err, FAIL_NOT_FOUND,
            "%s does not exist: this account is not enrolled; ask an admin for a join file "
            "(confleet operator token NAME --role ROLE --join FILE) and run: confleet enrol FILE",
            key_path);
    int result = keys_load(key_path, &client->keys, err);
    return result == 0 ? join_load(controller_path, &client->join, err) : result;
}

int client_open(const char *dir, struct client **ret, struct err *err)
{
    CLEANUP(client_close) struct client *client = mem_zero(1, sizeof *client);
    int result = files_load(dir, client, err);
    if (result == 0)
        result = client_link(client, client->keys.curve_public, client->keys.curve_secret, err);
    if (result == 0)
        *ret = TAKE(client);
    return result;
}

const struct keys *client_keys(const struct client *client)
{
    return &client->keys;
}
const struct join *client_join(const struct client *client)
{
    return &client->join;
}

static int frame_send(struct client *client, Confleet__Frame *frame, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    return link_client_send(client->link, bytes.s, bytes.len, err);
}

static int hello_send(struct client *client, struct err *err)
{
    Confleet__Hello hello = CONFLEET__HELLO__INIT;
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    hello.protocol = CONFLEET_PROTOCOL;
    hello.program = (char *)"confleet";
    hello.version = (char *)CONFLEET_VERSION;
    hello.name = client->keys.name[0] ? client->keys.name : client->join.name;
    frame.body_case = CONFLEET__FRAME__BODY_HELLO;
    frame.hello = &hello;
    return frame_send(client, &frame, err);
}

/* A frame that could not leave goes again after the next connection; anything else is an error. */
static bool send_may_wait(int result)
{
    return result == -FAIL_BUSY || result == -FAIL_UNREACHABLE;
}

static int late(const struct client *client, struct err *err)
{
    const char *why = link_client_why(client->link);
    if (client->up_once && client->welcome)
        return err_set(err, FAIL_UNREACHABLE, "the controller at %s did not answer in time",
                       client->join.control);
    return err_set(err, FAIL_UNREACHABLE, "cannot reach the controller at %s: %s",
                   client->join.control, why && *why ? why : "no connection");
}

static int link_turn(struct client *client, bool *ret_new, int64_t *ret_wait_ms, struct err *err)
{
    bool fresh = false;
    int64_t wait_ms = link_client_tick(client->link, clock_mono_ms(), &fresh);
    if (link_client_state(client->link) == LINK_REFUSED)
        return err_set(
            err, FAIL_DENIED,
            "the controller at %s refuses this key: it was revoked, is not accepted yet, "
            "or the token was used or has expired",
            client->join.control);
    if (fresh) {
        client->up_once = true;
        client->welcome = false;
        *ret_new = true;
        struct err unsent = { 0 };
        int result = hello_send(client, &unsent);
        if (result != 0 && !send_may_wait(result))
            return err_set(err, (enum fail) - result, "%s", unsent.text);
    }
    *ret_wait_ms = wait_ms < 0 || wait_ms > POLL_MS ? POLL_MS : wait_ms;
    return 0;
}

static int link_wait(struct client *client, int64_t wait_ms, struct err *err)
{
    zmq_pollitem_t items[2] = {
        { .socket = link_client_socket(client->link), .events = ZMQ_POLLIN },
        { .socket = link_client_monitor(client->link), .events = ZMQ_POLLIN }
    };
    if (zmq_poll(items, 2, (long)wait_ms) < 0 && errno != EINTR)
        return err_sys(err, FAIL_IO, errno, "wait for the controller");
    return 0;
}

/* Takes in what every frame can be. 1: the frame is for the caller. */
static int frame_common(struct client *client, const Confleet__Frame *frame, struct err *err)
{
    if (frame->body_case == CONFLEET__FRAME__BODY_WELCOME) {
        if (frame->welcome->protocol != CONFLEET_PROTOCOL)
            return err_set(
                err, FAIL_PROTOCOL,
                "the controller (version %s) speaks protocol %u, this command (version %s) "
                "protocol %d: install the same version on both",
                frame->welcome->version, frame->welcome->protocol, CONFLEET_VERSION,
                CONFLEET_PROTOCOL);
        client->welcome = true;
        return 0;
    }
    if (frame->body_case == CONFLEET__FRAME__BODY_REFUSAL) {
        uint32_t code = frame->refusal->code;
        return err_set(err, code > 0 && code <= FAIL_MEMORY ? (enum fail)code : FAIL_DENIED,
                       "the controller refuses: %s", frame->refusal->message);
    }
    return 1;
}

/* What goes out once on each connection, and what is waited for. Enrolment comes before any
 * welcome, the rest after it. */
struct errand {
    Confleet__Frame *request;
    Confleet__Frame__BodyCase wanted;
    const char *id; /* of the reply; NULL: any */
    int64_t timeout_ms;
    bool sent;
};

static int errand_send(struct client *client, struct errand *errand, struct err *err)
{
    struct err unsent = { 0 };
    bool ready = client->welcome || errand->wanted == CONFLEET__FRAME__BODY_ENROLLED;
    if (errand->sent || !ready || link_client_state(client->link) != LINK_UP)
        return 0;
    int result = frame_send(client, errand->request, &unsent);
    if (result != 0 && !send_may_wait(result))
        return err_set(err, (enum fail) - result, "%s", unsent.text);
    errand->sent = result == 0;
    return 0;
}

/* One round: 1 when the wanted frame came, which lives in the arena. */
static int errand_turn(struct client *client, struct errand *errand, struct arena *arena,
                       Confleet__Frame **ret, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Frame *frame = NULL;
    bool fresh = false;
    int64_t wait_ms = 0;
    int result = link_turn(client, &fresh, &wait_ms, err);
    if (result == 0) {
        errand->sent = errand->sent && !fresh;
        result = errand_send(client, errand, err);
    }
    if (result == 0)
        result = link_wait(client, wait_ms, err);
    if (result == 0)
        result = link_client_recv(client->link, &bytes, err);
    if (result <= 0)
        return result;
    result = wire_decode_frame(arena, bytes.s, bytes.len, &frame, err);
    if (result == 0)
        result = frame_common(client, frame, err);
    if (result <= 0)
        return result;
    *ret = frame;
    return frame->body_case == errand->wanted &&
           (!errand->id || strcmp(frame->reply->id, errand->id) == 0);
}

static int errand_run(struct client *client, struct errand *errand, struct arena **ret_arena,
                      Confleet__Frame **ret, struct err *err)
{
    int64_t start_ms = clock_mono_ms();
    for (;;) {
        int64_t limit_ms =
            client->up_once || errand->timeout_ms < CONNECT_MS ? errand->timeout_ms : CONNECT_MS;
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        if (clock_mono_ms() - start_ms >= limit_ms)
            return late(client, err);
        int result = errand_turn(client, errand, arena, ret, err);
        if (result < 0)
            return result;
        if (result > 0) {
            *ret_arena = TAKE(arena);
            return 0;
        }
    }
}

int client_call(struct client *client, Confleet__Request *request, int64_t timeout_ms,
                struct answer *ret, struct err *err)
{
    uint8_t random[16];
    char id[2 * sizeof random + 1];
    struct err local = { 0 };
    Confleet__Frame frame = CONFLEET__FRAME__INIT, *reply = NULL;
    CLEANUP(arena_free) struct arena *arena = NULL;
    err = err ? err : &local;
    random_bytes(random, sizeof random);
    hex_text(random, sizeof random, id);
    request->id = id;
    frame.body_case = CONFLEET__FRAME__BODY_REQUEST;
    frame.request = request;
    struct errand errand = { &frame, CONFLEET__FRAME__BODY_REPLY, id, timeout_ms, false };
    int result = errand_run(client, &errand, &arena, &reply, err);
    request->id = (char *)protobuf_c_empty_string;
    if (result != 0)
        return result;
    uint32_t code = reply->reply->code;
    if (code != 0)
        return err_set(err, code <= FAIL_MEMORY ? (enum fail)code : FAIL_INTERNAL, "%s",
                       reply->reply->message[0] ? reply->reply->message : fail_name((int)code));
    *ret = (struct answer){ .arena = TAKE(arena), .reply = reply->reply };
    return 0;
}

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
}

int client_enrol(const struct join *join, const struct keys *keys, int64_t timeout_ms,
                 struct enrolled *ret, struct err *err)
{
    uint8_t public[KEY_SIZE];
    struct err local = { 0 };
    CLEANUP(client_close) struct client *client = mem_zero(1, sizeof *client);
    CLEANUP(arena_free) struct arena *arena = NULL;
    Confleet__Enrol enrol = CONFLEET__ENROL__INIT;
    Confleet__Frame frame = CONFLEET__FRAME__INIT, *answer = NULL;
    err = err ? err : &local;
    client->join = *join;
    int result = keys_curve_from_secret(join->token, public, err);
    if (result == 0)
        result = client_link(client, public, join->token, err);
    if (result != 0)
        return result;
    enrol.name = (char *)keys->name;
    enrol.curve_public = (ProtobufCBinaryData){ KEY_SIZE, (uint8_t *)keys->curve_public };
    enrol.sign_public = (ProtobufCBinaryData){ KEY_SIZE, (uint8_t *)keys->sign_public };
    frame.body_case = CONFLEET__FRAME__BODY_ENROL;
    frame.enrol = &enrol;
    struct errand errand = { &frame, CONFLEET__FRAME__BODY_ENROLLED, NULL, timeout_ms, false };
    result = errand_run(client, &errand, &arena, &answer, err);
    explicit_bzero(client->join.token, KEY_SIZE);
    if (result != 0)
        return result;
    copy(ret->name, sizeof ret->name, answer->enrolled->name);
    copy(ret->state, sizeof ret->state, answer->enrolled->state);
    copy(ret->fingerprint, sizeof ret->fingerprint, answer->enrolled->fingerprint);
    copy(ret->fleet, sizeof ret->fleet, answer->enrolled->fleet);
    ret->role = answer->enrolled->role;
    return 0;
}

int ask_client(struct cli *cli, struct client **ret_borrowed, struct err *err)
{
    const char *dir = NULL;
    if (!cli->client) {
        int result = cli_home(cli, &dir, err);
        if (result == 0)
            result = client_open(dir, &cli->client, err);
        if (result != 0)
            return result;
    }
    *ret_borrowed = cli->client;
    return 0;
}

int ask(struct cli *cli, Confleet__Request *request, struct answer *ret, struct err *err)
{
    struct client *client = NULL;
    int result = ask_client(cli, &client, err);
    return result == 0 ? client_call_all(client, request, CLIENT_TIMEOUT_MS, ret, err) : result;
}

int ask_nothing(struct cli *cli, Confleet__Request__WhatCase what, struct answer *ret,
                struct err *err)
{
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    request.what_case = what;
    request.ping = &nothing; /* all members of the oneof that hold nothing share this place */
    return ask(cli, &request, ret, err);
}

int ask_name(struct cli *cli, Confleet__Request__WhatCase what, const char *name,
             struct answer *ret, struct err *err)
{
    Confleet__AskName value = CONFLEET__ASK_NAME__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    value.name = (char *)name;
    request.what_case = what;
    request.agent_show = &value; /* as above, for members that hold a name */
    return ask(cli, &request, ret, err);
}
