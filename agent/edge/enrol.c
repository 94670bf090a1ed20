#include "agent/edge/enrol.h"
#include "agent/edge/uplink.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <errno.h>
#include <string.h>

struct enrolment {
    const struct join *join;
    const struct keys *keys;
    struct link_client *link;
    bool asked, done;
    struct enrolled answer;
};

static void enrolment_close(struct enrolment *enrolment)
{
    link_client_close(&enrolment->link);
}

static int own_keys(const struct config *config, const char *name, struct keys *ret,
                    struct err *err)
{
    CLEANUP(free_mem) char *path = config_state(config, "agent.key");
    if (fs_exists(path))
        return keys_load(path, ret, err);
    int result = keys_make(name, ret, err);
    return result ? result : keys_save(path, ret, err);
}

static int say(struct enrolment *enrolment, const Confleet__Frame *frame, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    return link_client_send(enrolment->link, bytes.s, bytes.len, err);
}

static int say_hello(struct enrolment *enrolment, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    uplink_hello(NULL, NULL, enrolment->join->name, 0, &bytes);
    return link_client_send(enrolment->link, bytes.s, bytes.len, err);
}

static int say_enrol(struct enrolment *enrolment, struct err *err)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Enrol body = CONFLEET__ENROL__INIT;
    body.name = (char *)(uintptr_t)enrolment->join->name;
    body.curve_public.data = (uint8_t *)(uintptr_t)enrolment->keys->curve_public;
    body.curve_public.len = KEY_SIZE;
    frame.body_case = CONFLEET__FRAME__BODY_ENROL;
    frame.enrol = &body;
    enrolment->asked = true;
    return say(enrolment, &frame, err);
}

static int on_enrolled(struct enrolment *enrolment, const Confleet__Enrolled *body, struct err *err)
{
    char mine[FINGERPRINT_MAX];
    keys_fingerprint(enrolment->keys->curve_public, mine);
    if (strcmp(body->fingerprint, mine) != 0)
        return err_set(err, FAIL_MISMATCH,
                       "the controller shows fingerprint %s, this agent's key has %s",
                       body->fingerprint, mine);
    if (enrolment->join->fleet[0] && strcmp(body->fleet, enrolment->join->fleet) != 0)
        return err_set(err, FAIL_MISMATCH,
                       "the controller belongs to fleet %s, the join file to %s", body->fleet,
                       enrolment->join->fleet);
    (void)snprintf(enrolment->answer.name, sizeof enrolment->answer.name, "%s", body->name);
    (void)snprintf(enrolment->answer.fleet, sizeof enrolment->answer.fleet, "%s", body->fleet);
    (void)snprintf(enrolment->answer.state, sizeof enrolment->answer.state, "%s", body->state);
    (void)snprintf(enrolment->answer.fingerprint, sizeof enrolment->answer.fingerprint, "%s", mine);
    enrolment->done = true;
    return 0;
}

static int on_frame(struct enrolment *enrolment, const struct str *bytes, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Frame *frame = NULL;
    int result = wire_decode_frame(arena, bytes->s, bytes->len, &frame, err);
    if (result != 0)
        return result;
    if (frame->body_case == CONFLEET__FRAME__BODY_REFUSAL)
        return err_set(err, frame->refusal->code ? (enum fail)frame->refusal->code : FAIL_DENIED,
                       "the controller says: %s", frame->refusal->message);
    if (frame->body_case == CONFLEET__FRAME__BODY_WELCOME && !enrolment->asked)
        return say_enrol(enrolment, err);
    if (frame->body_case == CONFLEET__FRAME__BODY_ENROLLED)
        return on_enrolled(enrolment, frame->enrolled, err);
    return 0;
}

static int turn(struct enrolment *enrolment, struct err *err)
{
    bool fresh = false;
    CLEANUP(str_free) struct str bytes = { 0 };
    int64_t wait_ms = link_client_tick(enrolment->link, clock_mono_ms(), &fresh);
    if (link_client_state(enrolment->link) == LINK_REFUSED)
        return err_set(
            err, FAIL_DENIED,
            "the token is not known to the controller: used already, expired or revoked");
    if (fresh) {
        enrolment->asked = false;
        int result = say_hello(enrolment, err);
        if (result != 0)
            return result;
    }
    int got;
    while (!enrolment->done && (got = link_client_recv(enrolment->link, &bytes, err)) != 0) {
        int result = got < 0 ? got : on_frame(enrolment, &bytes, err);
        if (result != 0)
            return result;
    }
    zmq_pollitem_t items[2] = { { link_client_socket(enrolment->link), 0, ZMQ_POLLIN, 0 },
                                { link_client_monitor(enrolment->link), 0, ZMQ_POLLIN, 0 } };
    if (!enrolment->done && zmq_poll(items, 2, wait_ms < 200 ? (long)wait_ms : 200) < 0 &&
        errno != EINTR)
        return err_sys(err, FAIL_INTERNAL, errno, "poll");
    return 0;
}

static int talk(struct enrolment *enrolment, int64_t timeout_ms, struct err *err)
{
    uint8_t token_public[KEY_SIZE];
    int result = keys_curve_from_secret(enrolment->join->token, token_public, err);
    struct link_client_options options = { .endpoint = enrolment->join->control,
                                           .server_key = enrolment->join->controller_key,
                                           .curve_public = token_public,
                                           .curve_secret = enrolment->join->token };
    if (result == 0)
        result = link_client_open(&options, &enrolment->link, err);
    for (int64_t end_ms = clock_mono_ms() + timeout_ms; result == 0 && !enrolment->done;) {
        if (clock_mono_ms() > end_ms)
            return err_set(err, FAIL_UNREACHABLE, "no answer from %s: %s", enrolment->join->control,
                           link_client_why(enrolment->link));
        result = turn(enrolment, err);
    }
    return result;
}

static int remember(const struct config *config, const struct join *join,
                    const struct enrolled *answer, struct err *err)
{
    CLEANUP(free_mem) char *path = config_state(config, "controller");
    struct join known = *join;
    memset(known.token, 0, sizeof known.token);
    known.expires_ms = 0;
    (void)snprintf(known.fleet, sizeof known.fleet, "%s", answer->fleet);
    return join_save(path, &known, err);
}

int enrol(const struct config *config, const char *join_path, int64_t timeout_ms,
          struct enrolled *ret, struct err *err)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(enrolment_close) struct enrolment enrolment = { 0 };
    CLEANUP(free_mem) char *controller = config_state(config, "controller");
    struct join join = { 0 };
    if (fs_exists(controller))
        return err_set(err, FAIL_EXISTS,
                       "this agent is enrolled already (%s); to enrol it anew, revoke it on the "
                       "controller and put that file and agent.key aside",
                       controller);
    int result = join_load(join_path, &join, err);
    if (result == 0 && strcmp(join.kind, "agent") != 0)
        result = err_set(err, FAIL_USAGE, "%s is a join file for an %s, not for an agent",
                         join_path, join.kind);
    if (result == 0 && join.expires_ms && join.expires_ms < clock_wall_ms())
        result = err_set(err, FAIL_EXPIRED,
                         "the token in %s has expired; ask for a new one: confleet agent token %s",
                         join_path, join.name);
    if (result == 0)
        result = fs_mkdirs(config->state_dir, 0700, err);
    if (result == 0)
        result = own_keys(config, join.name, &keys, err);
    if (result == 0)
        result = link_start(err);
    if (result != 0)
        return result;
    enrolment.join = &join;
    enrolment.keys = &keys;
    result = talk(&enrolment, timeout_ms, err);
    link_client_close(&enrolment.link);
    link_stop();
    if (result == 0)
        result = remember(config, &join, &enrolment.answer, err);
    explicit_bzero(join.token, sizeof join.token);
    if (result == 0)
        *ret = enrolment.answer;
    return result;
}
