/* dialled - an agent and a controller in one process: real sockets, real keys, and a script of what
 * the controller does. */
#pragma once
#include "agent/edge/uplink.h"
#include "agent/edge/orders.h"
#include "trusted.h"
#include <sys/stat.h>

struct bench {
    struct lab lab;
    struct signers signers;
    struct keys server_keys, agent_keys;
    struct link_server *control, *bulk;
    struct bulk_store *store;
    struct link_peer peer;
    struct uplink *uplink;
    struct agent *agent;
    struct signed_text plan, decision;
    uint64_t retry_serial; /* of the retry that orders of later attempts hold; zero: none */
    struct str told;       /* acknowledgements and outcomes, in words */
    uint64_t epoch, acked;
    int hellos;
    uint32_t connection; /* of the last hello */
    const char *head, *seen_hash; /* of its store; NULL: it shows none */
    uint64_t head_seq, adopted;
    int64_t now_ms, start_by_ms; /* by the controller's clock; zero: it says nothing of it */
    bool mute; /* takes events and does not acknowledge them */
    const char *standing;
};

static inline void server_open(struct bench *bench, const char *endpoint, struct link_server **ret)
{
    struct err err = { 0 };
    struct link_server_options options = { .endpoint = endpoint,
                                           .keys = &bench->server_keys,
                                           .domain = "test" };
    test_wait_free(endpoint);
    CHECK_OK(link_server_open(&options, ret, &err), err);
}

static inline void agent_begin(struct bench *bench)
{
    struct err err = { 0 };
    CHECK_OK(uplink_open(&bench->agent_keys, &bench->signers.controller, bench->lab.journal,
                         &bench->uplink, &err),
             err);
    CHECK_OK(agent_open(&bench->lab.config, bench->lab.journal, &bench->signers.controller,
                        uplink_say, bench->uplink, &bench->agent, &err),
             err);
    uplink_agent_set(bench->uplink, bench->agent);
}

static inline void agent_end(struct bench *bench)
{
    agent_close(&bench->agent);
    uplink_close(&bench->uplink);
}

static inline void policy_open(struct policy *policy)
{
    static const char *const names[] = { "upgrade", "backup", "rollback" };
    char **operations = mem_zero(3, sizeof *operations),
         **installations = mem_zero(1, sizeof *installations);
    for (int i = 0; i < 3; i++)
        operations[i] = text_dup(names[i]);
    installations[0] = text_dup("/opt/conf");
    policy->operations = (struct yaml_list){ .items = operations, .count = 3 };
    policy->installations = (struct yaml_list){ .items = installations, .count = 1 };
}

static inline void bench_open(struct bench *bench)
{
    struct err err = { 0 };
    struct link_key key = { 0 };
    *bench = (struct bench){ .epoch = 3, .standing = "accepted" };
    CHECK_OK(link_start(&err), err);
    lab_open(&bench->lab);
    policy_open(&bench->lab.config.policy);
    signers_make(&bench->signers, 2);
    CHECK_OK(keys_make("controller", &bench->server_keys, &err), err);
    CHECK_OK(keys_make("server1", &bench->agent_keys, &err), err);
    memcpy(key.curve_public, bench->agent_keys.curve_public, KEY_SIZE);
    (void)snprintf(key.id, sizeof key.id, "agent:server1");
    link_keys_set(&key, 1);
    server_open(bench, "tcp://127.0.0.1:*", &bench->control);
    server_open(bench, "tcp://127.0.0.1:*", &bench->bulk);
    struct join *join = &bench->signers.controller;
    (void)snprintf(join->control, sizeof join->control, "%s", link_server_endpoint(bench->control));
    (void)snprintf(join->bulk, sizeof join->bulk, "%s", link_server_endpoint(bench->bulk));
    memcpy(join->controller_key, bench->server_keys.curve_public, KEY_SIZE);
    agent_begin(bench);
}

static inline void bench_close(struct bench *bench)
{
    agent_end(bench);
    link_server_close(&bench->control);
    link_server_close(&bench->bulk);
    bulk_store_close(&bench->store);
    str_free(&bench->told);
    lab_close(&bench->lab);
    link_stop();
}

static inline void answer(struct bench *bench, const Confleet__Frame *frame)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    wire_encode(&frame->base, &bytes);
    CHECK_OK(link_server_send(bench->control, &bench->peer, bytes.s, bytes.len, &err), err);
}

static inline void welcome(struct bench *bench)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Welcome body = CONFLEET__WELCOME__INIT;
    bench->hellos++;
    body.protocol = CONFLEET_PROTOCOL;
    body.you = lend("server1");
    body.state = lend(bench->standing);
    body.epoch = bench->epoch;
    body.fleet = lend("fleet1");
    body.event_acked = bench->acked;
    body.heartbeat_ms = 10000;
    body.now_ms = bench->now_ms;
    Confleet__StoreHead head = CONFLEET__STORE_HEAD__INIT;
    head.seq = bench->head_seq;
    head.hash = lend(bench->head);
    body.head = bench->head ? &head : NULL;
    body.seen_hash = lend(bench->seen_hash ? bench->seen_hash : "");
    body.adopted_epoch = bench->adopted;
    frame.body_case = CONFLEET__FRAME__BODY_WELCOME;
    frame.welcome = &body;
    answer(bench, &frame);
}

static inline void take_event(struct bench *bench, const Confleet__Event *event)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__EventAck ack = CONFLEET__EVENT_ACK__INIT;
    if (event->seq == 0 || bench->mute)
        return;
    if (event->seq == bench->acked + 1) {
        bench->acked++;
        if (event->what_case == CONFLEET__EVENT__WHAT_DONE)
            str_addf(&bench->told, "done %s %u; ", event->order_id, event->done->code);
        if (event->what_case == CONFLEET__EVENT__WHAT_SURVEY)
            str_addf(&bench->told, "survey %zu; ", event->survey->n_installations);
        if (event->what_case == CONFLEET__EVENT__WHAT_CHECK)
            str_addf(&bench->told, "findings %zu; ", event->check->n_findings);
        if (event->what_case == CONFLEET__EVENT__WHAT_RUN)
            str_addf(&bench->told, "run %d; ", (int)event->run->state);
    }
    ack.seq = bench->acked;
    frame.body_case = CONFLEET__FRAME__BODY_EVENT_ACK;
    frame.event_ack = &ack;
    answer(bench, &frame);
}

static inline void controller_turn(struct bench *bench)
{
    struct err err = { 0 };
    struct link_in in = { 0 };
    while (bench->control && link_server_recv(bench->control, &in, &err) == 1) {
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        Confleet__Frame *frame = NULL;
        CHECK_STR(in.id, "agent:server1");
        bench->peer = in.peer;
        CHECK_OK(wire_decode_frame(arena, in.bytes, in.len, &frame, &err), err);
        if (frame->body_case == CONFLEET__FRAME__BODY_HELLO) {
            bench->connection = frame->hello->connection;
            welcome(bench);
        } else if (frame->body_case == CONFLEET__FRAME__BODY_EVENT)
            take_event(bench, frame->event);
        else if (frame->body_case == CONFLEET__FRAME__BODY_ORDER_ACK)
            str_addf(&bench->told, "ack %s %u; ", frame->order_ack->id, frame->order_ack->code);
        link_in_close(&in);
    }
}

static inline int bulk_answer(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct link_in *in = ((void **)arg)[0];
    struct bench *bench = ((void **)arg)[1];
    return link_server_send(bench->bulk, &in->peer, bytes, len, err);
}

static inline void bulk_turn(struct bench *bench)
{
    struct err err = { 0 };
    struct link_in in = { 0 };
    while (bench->store && link_server_recv(bench->bulk, &in, &err) == 1) {
        void *both[] = { &in, bench };
        CHECK_OK(
            bulk_store_on(bench->store, in.id, false, 0, in.bytes, in.len, bulk_answer, both, &err),
            err);
        link_in_close(&in);
    }
}

/* Both sides take turns until the controller was told the words, or a minute is over. */
static inline void pump(struct bench *bench, const char *words)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 60000; !strstr(str_text(&bench->told), words);) {
        if (clock_mono_ms() > end_ms)
            CHECK_HAS(str_text(&bench->told), words);
        CHECK_OK(uplink_tick(bench->uplink, &err), err);
        CHECK_OK(agent_tick(bench->agent, &err), err);
        controller_turn(bench);
        bulk_turn(bench);
        (void)poll(NULL, 0, 5);
    }
}

static inline void order(struct bench *bench, Confleet__Order *body, const char *id)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    body->id = lend(id);
    if (!body->epoch)
        body->epoch = bench->epoch;
    frame.body_case = CONFLEET__FRAME__BODY_ORDER;
    frame.order = body;
    answer(bench, &frame);
}

static inline void decision_sign(struct bench *bench, const char *kind, uint64_t serial,
                                 struct str *bytes)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex(bench->lab.plan.s, bench->lab.plan.len, sha256);
    decision.format = 1;
    decision.fleet = lend("fleet1");
    decision.plan_sha256 = sha256;
    decision.kind = lend(kind);
    decision.site = lend("wiki");
    decision.serial = serial;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    wire_encode(&decision.base, bytes);
    bench->decision = (struct signed_text){ 0 };
    text_sign(&bench->decision, &bench->signers, ANN, SIGN_CONTEXT_DECISION, bytes);
}

static inline void order_upgrade(struct bench *bench, const char *id, unsigned who,
                                 uint32_t attempt)
{
    CLEANUP(str_free) struct str retry = { 0 };
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderUpgrade upgrade = CONFLEET__ORDER_UPGRADE__INIT;
    bench->plan = (struct signed_text){ 0 };
    text_sign(&bench->plan, &bench->signers, who, SIGN_CONTEXT_PLAN, &bench->lab.plan);
    upgrade.plan = &bench->plan.text;
    upgrade.site = lend("wiki");
    upgrade.attempt = attempt;
    if (bench->retry_serial) {
        decision_sign(bench, "retry", bench->retry_serial, &retry);
        upgrade.retry = &bench->decision.text;
    }
    body.what_case = CONFLEET__ORDER__WHAT_UPGRADE;
    body.upgrade = &upgrade;
    body.start_by_ms = bench->start_by_ms;
    order(bench, &body, id);
}

static inline void order_decision(struct bench *bench, const char *id, const char *kind,
                                  uint64_t serial)
{
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    CLEANUP(str_free) struct str bytes = { 0 };
    decision_sign(bench, kind, serial, &bytes);
    bench->plan = (struct signed_text){ 0 };
    text_sign(&bench->plan, &bench->signers, ANN, SIGN_CONTEXT_PLAN, &bench->lab.plan);
    decide.decision = &bench->decision.text;
    decide.plan = &bench->plan.text;
    decide.site = lend("wiki");
    body.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    body.decide = &decide;
    order(bench, &body, id);
}

static inline void order_check(struct bench *bench, const char *id, const char *installation,
                               uint64_t epoch)
{
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderCheck check = CONFLEET__ORDER_CHECK__INIT;
    check.installation = lend(installation);
    check.site = lend("wiki");
    body.epoch = epoch;
    body.what_case = CONFLEET__ORDER__WHAT_CHECK;
    body.check = &check;
    order(bench, &body, id);
}

static inline void order_backup(struct bench *bench, const char *id, Confleet__Order__WhatCase what,
                                const char *into)
{
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderBackup backup = CONFLEET__ORDER_BACKUP__INIT;
    Confleet__OrderVerify verify = CONFLEET__ORDER_VERIFY__INIT;
    Confleet__OrderRestore restore = CONFLEET__ORDER_RESTORE__INIT;
    body.what_case = what;
    backup.installation = verify.installation = restore.installation = lend("conf-12345678");
    backup.site = verify.site = restore.site = lend("wiki");
    verify.backup = restore.backup = lend("20261123T041800Z-1a2b3c");
    backup.full_speed = verify.full_speed = true;
    restore.into = lend(into);
    body.backup = &backup;
    if (what == CONFLEET__ORDER__WHAT_VERIFY)
        body.verify = &verify;
    if (what == CONFLEET__ORDER__WHAT_RESTORE)
        body.restore = &restore;
    order(bench, &body, id);
}
