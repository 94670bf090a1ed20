#include "agent/edge/uplink.h"
#include "agent/edge/orders.h"
#include "trusted.h"
#include <sys/stat.h>

/* A controller in this process: real sockets, real keys, and a script of what it does. */
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
    const char *head, *seen_hash; /* of its store; NULL: it shows none */
    uint64_t head_seq, adopted;
    int64_t now_ms, start_by_ms; /* by the controller's clock; zero: it says nothing of it */
    bool mute; /* takes events and does not acknowledge them */
    const char *standing;
};

static void server_open(struct bench *bench, const char *endpoint, struct link_server **ret)
{
    struct err err = { 0 };
    struct link_server_options options = { .endpoint = endpoint,
                                           .keys = &bench->server_keys,
                                           .domain = "test" };
    test_wait_free(endpoint);
    CHECK_OK(link_server_open(&options, ret, &err), err);
}

static void agent_begin(struct bench *bench)
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

static void agent_end(struct bench *bench)
{
    agent_close(&bench->agent);
    uplink_close(&bench->uplink);
}

static void policy_open(struct policy *policy)
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

static void bench_open(struct bench *bench)
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

static void bench_close(struct bench *bench)
{
    agent_end(bench);
    link_server_close(&bench->control);
    link_server_close(&bench->bulk);
    bulk_store_close(&bench->store);
    str_free(&bench->told);
    lab_close(&bench->lab);
    link_stop();
}

static void answer(struct bench *bench, const Confleet__Frame *frame)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    wire_encode(&frame->base, &bytes);
    CHECK_OK(link_server_send(bench->control, &bench->peer, bytes.s, bytes.len, &err), err);
}

static void welcome(struct bench *bench)
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

static void take_event(struct bench *bench, const Confleet__Event *event)
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

static void controller_turn(struct bench *bench)
{
    struct err err = { 0 };
    struct link_in in = { 0 };
    while (bench->control && link_server_recv(bench->control, &in, &err) == 1) {
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        Confleet__Frame *frame = NULL;
        CHECK_STR(in.id, "agent:server1");
        bench->peer = in.peer;
        CHECK_OK(wire_decode_frame(arena, in.bytes, in.len, &frame, &err), err);
        if (frame->body_case == CONFLEET__FRAME__BODY_HELLO)
            welcome(bench);
        else if (frame->body_case == CONFLEET__FRAME__BODY_EVENT)
            take_event(bench, frame->event);
        else if (frame->body_case == CONFLEET__FRAME__BODY_ORDER_ACK)
            str_addf(&bench->told, "ack %s %u; ", frame->order_ack->id, frame->order_ack->code);
        link_in_close(&in);
    }
}

static int bulk_answer(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct link_in *in = ((void **)arg)[0];
    struct bench *bench = ((void **)arg)[1];
    return link_server_send(bench->bulk, &in->peer, bytes, len, err);
}

static void bulk_turn(struct bench *bench)
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
static void pump(struct bench *bench, const char *words)
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

static void order(struct bench *bench, Confleet__Order *body, const char *id)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    body->id = lend(id);
    if (!body->epoch)
        body->epoch = bench->epoch;
    frame.body_case = CONFLEET__FRAME__BODY_ORDER;
    frame.order = body;
    answer(bench, &frame);
}

static void decision_sign(struct bench *bench, const char *kind, uint64_t serial, struct str *bytes)
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

static void order_upgrade(struct bench *bench, const char *id, unsigned who, uint32_t attempt)
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

static void order_decision(struct bench *bench, const char *id, const char *kind, uint64_t serial)
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

static void order_check(struct bench *bench, const char *id, const char *installation,
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

static void order_backup(struct bench *bench, const char *id, Confleet__Order__WhatCase what,
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

TEST(full_speed_reaches_the_worker_and_a_restore_goes_where_root_allows_it)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_backup(&bench, "b1", CONFLEET__ORDER__WHAT_BACKUP, "");
    pump(&bench, "done b1 0; ");
    order_backup(&bench, "b2", CONFLEET__ORDER__WHAT_VERIFY, "");
    pump(&bench, "done b2 0; ");
    order_backup(&bench, "r1", CONFLEET__ORDER__WHAT_RESTORE, "drill");
    pump(&bench, "ack r1 8; "); /* no drill_dir */
    bench.lab.config.drill_dir = text_dup("/srv/drills");
    order_backup(&bench, "r2", CONFLEET__ORDER__WHAT_RESTORE, "../../etc");
    pump(&bench, "ack r2 2; ");
    order_backup(&bench, "r3", CONFLEET__ORDER__WHAT_RESTORE, "drill");
    pump(&bench, "done r3 0; ");
    CHECK_HAS(lab_story(&bench.lab), "backup at full speed, verify at full speed, "
                                     "restore into /srv/drills/drill");
    CHECK(!strstr(lab_story(&bench.lab), "etc"));
    bench_close(&bench);
}

TEST(a_signed_plan_over_the_link_becomes_a_run_whose_artifact_is_fetched)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem)
    char *here = config_artifact(&bench.lab.config, sha256),
         *there = text_printf("%s/store/%s", bench.lab.dir, sha256);
    CLEANUP(free_mem) char *store = fs_join(bench.lab.dir, "store");
    CHECK_INT(mkdir(store, 0700), 0);
    CHECK_INT(rename(here, there), 0);
    CHECK_OK(bulk_store_open(store, &bench.store, &err), err);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    CHECK_HAS(str_text(&bench.told), "ack o1 0; ");
    CHECK_HAS(str_text(&bench.told), "run 1; run 2; run 3; done o1 0; ");
    CHECK(!fs_exists(here)); /* used and given back */
    CHECK_INT(lab_serial(&bench.lab), 7);
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench_close(&bench);
}

TEST(an_order_that_comes_twice_has_one_effect_and_the_same_answer)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_check(&bench, "c1", "conf-12345678", 0);
    order_check(&bench, "c1", "conf-12345678", 0);
    pump(&bench, "done c1 0; ");
    order_check(&bench, "c1", "conf-12345678", 0);
    order_check(&bench, "c2", "conf-12345678", 0);
    pump(&bench, "done c2 0; ");
    CHECK_STR(str_text(&bench.told), "survey 1; ack c1 0; ack c1 0; findings 1; done c1 0; ack c1 "
                                     "0; ack c2 0; findings 1; done c2 0; ");
    bench_close(&bench);
}

TEST(what_is_refused_is_acknowledged_with_its_code_and_changes_nothing)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "bad", EVE, 1);
    pump(&bench, "ack bad 9; ");
    order_check(&bench, "nowhere", "other-00000000", 0);
    pump(&bench, "ack nowhere 6; ");
    order_check(&bench, "old", "conf-12345678", 2);
    pump(&bench, "ack old 11; ");
    CHECK_INT(lab_serial(&bench.lab), 0);
    CHECK_INT(bench.agent->run_count, 0);
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

TEST(the_same_attempt_is_not_made_twice_under_another_order_id)
{
    struct bench bench;
    bench_open(&bench);
    lab_script(&bench.lab, "act check 1 fail\nact check 2 fail\n");
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 23; ");
    order_upgrade(&bench, "o2", ANN, 1);
    pump(&bench, "ack o2 7; ");
    order_upgrade(&bench, "o3", ANN, 2); /* nobody has decided upon a retry */
    pump(&bench, "ack o3 8; ");
    bench.retry_serial = 9;
    order_upgrade(&bench, "o4", ANN, 2);
    pump(&bench, "done o4 23; ");
    order_upgrade(&bench, "o5", ANN, 3); /* that one was used up */
    pump(&bench, "ack o5 11; ");
    bench.retry_serial = 10;
    order_upgrade(&bench, "o6", ANN, 3);
    pump(&bench, "done o6 0; ");
    bench_close(&bench);
}

TEST(an_abort_cuts_a_fetch_short_and_has_no_meaning_when_nothing_is_in_flight)
{
    struct bench bench;
    bench_open(&bench);
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem) char *artifact = config_artifact(&bench.lab.config, sha256);
    CHECK_INT(unlink(artifact), 0); /* and no bulk store that could give it */
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 1; ");
    order_decision(&bench, "a1", "abort", 9);
    pump(&bench, "ack a1 0; ");
    pump(&bench, "run 6; "); /* not ready: nothing was changed */
    CHECK_INT(journal_decision(bench.lab.journal), 9);
    order_decision(&bench, "a2", "abort", 10);
    pump(&bench, "ack a2 22; ");
    bench.retry_serial = 11;
    order_upgrade(&bench, "o2", ANN, 2); /* it was aborted for good */
    pump(&bench, "ack o2 25; ");
    bench_close(&bench);
}

/* By the controller's clock, which is an hour behind; what counts is when the order is looked at,
 * and an agent that slept looks late. */
#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

/* So many greetings more, or five seconds without one: false. */
static bool greeted(struct bench *bench, int hellos)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 5000; bench->hellos < hellos; (void)poll(NULL, 0, 5)) {
        if (clock_mono_ms() > end_ms)
            return false;
        CHECK_OK(uplink_tick(bench->uplink, &err), err);
        controller_turn(bench);
    }
    for (int i = 0; i < 50; i++, (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench->uplink, &err), err);
        controller_turn(bench);
    }
    return true;
}

TEST(a_store_that_does_not_hold_what_was_seen_of_it_is_followed_when_a_person_adopted_it)
{
    struct bench bench;
    struct err err = { 0 };
    struct journal_head head = { 0 };
    bench_open(&bench);
    bench.head = ONE;
    bench.head_seq = 40;
    pump(&bench, "survey 1; ");
    CHECK_OK(journal_store_head(bench.lab.journal, &head, &err), err);
    CHECK_INT(head.seq, 40);
    CHECK_STR(head.hash, ONE);
    /* One epoch higher, and longer by now: but it is another one. */
    agent_end(&bench);
    bench.epoch++;
    bench.head = bench.seen_hash = TWO;
    bench.head_seq = 70;
    bench.adopted = 3; /* the epoch that was obeyed before is none to go back with */
    agent_begin(&bench);
    CHECK(greeted(&bench, bench.hellos + 1));
    CHECK(greeted(&bench, bench.hellos + 1)); /* it asks again and again, and says nothing else */
    CHECK_STR(str_text(&bench.told), "survey 1; ");
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench.adopted = 4;
    pump(&bench, "survey 1; survey 1; ");
    CHECK_OK(journal_store_head(bench.lab.journal, &head, &err), err);
    CHECK_INT(head.seq, 70);
    CHECK_INT(journal_epoch(bench.lab.journal), 4);
    bench_close(&bench);
}

TEST(an_order_starts_nothing_after_its_time_by_the_controller_s_clock)
{
    struct bench bench;
    bench_open(&bench);
    bench.now_ms = clock_wall_ms() - 3600 * 1000;
    pump(&bench, "survey 1; ");
    bench.start_by_ms = bench.now_ms;
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ");
    CHECK_HAS(str_text(&bench.told), "done late 10; "); /* told durably, should the answer be lost */
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ack late 10; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench.start_by_ms = bench.now_ms + 120 * 1000;
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(without_the_controller_s_clock_the_own_one_judges_with_the_tolerance_of_windows)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    bench.start_by_ms = clock_wall_ms() - 121 * 1000;
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ");
    bench.start_by_ms = clock_wall_ms() - 60 * 1000;
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(a_skipped_site_starts_nothing_when_its_order_comes_after_the_skip)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_decision(&bench, "r1", "rollback", 8);
    pump(&bench, "ack r1 6; "); /* nothing is here to go back */
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 0; ");
    pump(&bench, "done s1 0; ");
    CHECK_INT(journal_decision(bench.lab.journal), 9);
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "ack o1 25; ");
    CHECK_HAS(str_text(&bench.told), "done o1 25; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

TEST(a_forged_skip_keeps_no_site_back)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    bench.signers.keys[0] = bench.signers.keys[2]; /* eve signs, whom nobody trusts */
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 6; ");
    bench.signers.keys[0] = bench.signers.keys[1];
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(a_skip_ends_what_has_not_stopped_its_site_and_nothing_else)
{
    struct bench bench;
    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem) char *artifact = config_artifact(&bench.lab.config, sha256);
    CHECK_INT(unlink(artifact), 0); /* the fetch waits, and is cut short */
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 1; ");
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "run 6; ");
    CHECK_HAS(str_text(&bench.told), "ack s1 0; ");
    CHECK(!strstr(lab_story(&bench.lab), "stop"));
    bench_close(&bench);

    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 2; ");
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 22; ");
    CHECK_INT(bench.agent->run_count, 1);
    bench_close(&bench);
}

TEST(a_run_past_the_stop_needs_no_controller_and_its_reports_come_later)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "ack o1 0; ");
    char endpoint[256];
    (void)snprintf(endpoint, sizeof endpoint, "%s", link_server_endpoint(bench.control));
    link_server_close(&bench.control);
    for (int64_t end_ms = clock_mono_ms() + 60000;
         bench.agent->run_count && clock_mono_ms() < end_ms; (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
    }
    CHECK_INT(bench.agent->run_count, 0);
    server_open(&bench, endpoint, &bench.control);
    pump(&bench, "run 1; run 2; run 3; done o1 0; ");
    CHECK(bench.hellos >= 2);
    bench_close(&bench);
}

TEST(events_wait_in_the_outbox_across_a_restart_of_the_agent)
{
    struct bench bench;
    bench_open(&bench);
    bench.mute = true;
    pump(&bench, "");
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 20000;
         journal_event_seq(bench.lab.journal) == 0 && clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
    }
    agent_end(&bench);
    CHECK_STR(str_text(&bench.told), "");
    bench.mute = false;
    agent_begin(&bench);
    pump(&bench, "survey 1; survey 1; ");
    bench_close(&bench);
}

TEST(a_pending_agent_keeps_its_events_to_itself_and_obeys_no_order)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    bench.standing = "pending";
    bool ordered = false;
    for (int64_t end_ms = clock_mono_ms() + 1500; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
        if (bench.hellos && !ordered)
            order_check(&bench, "c1", "conf-12345678", 0);
        ordered = bench.hellos > 0;
    }
    CHECK(bench.hellos > 0);
    CHECK_STR(str_text(&bench.told), "");
    bench.standing = "accepted";
    welcome(&bench);
    pump(&bench, "survey 1; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

TEST(a_rollback_ordered_by_a_signed_decision_undoes_the_soaking_run)
{
    struct bench bench;
    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 2; ");
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    struct signed_text signed_decision = { 0 };
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex(bench.lab.plan.s, bench.lab.plan.len, sha256);
    decision.format = 1;
    decision.fleet = lend("fleet1");
    decision.plan_sha256 = sha256;
    decision.kind = lend("rollback");
    decision.serial = 8;
    decision.reason = lend("users complain");
    decision.signed_by = lend("bob");
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    wire_encode(&decision.base, &bytes);
    text_sign(&signed_decision, &bench.signers, BOB, SIGN_CONTEXT_DECISION, &bytes);
    decide.decision = &signed_decision.text;
    decide.plan = &bench.plan.text;
    decide.site = lend("wiki");
    body.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    body.decide = &decide;
    order(&bench, &body, "d1");
    pump(&bench, "run 5; ");
    CHECK_HAS(str_text(&bench.told), "ack d1 0; ");
    CHECK_HAS(lab_story(&bench.lab), "undo start, undo switch");
    bench_close(&bench);
}

/* The store behind this controller was put back from an old copy. */
TEST(a_controller_of_an_older_epoch_is_neither_told_nor_obeyed)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    agent_end(&bench);
    str_clear(&bench.told);
    size_t before = (size_t)bench.hellos;
    bool ordered = false;
    bench.epoch = 2;
    agent_begin(&bench);
    for (int64_t end_ms = clock_mono_ms() + 1500; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
        if ((size_t)bench.hellos > before && !ordered)
            order_check(&bench, "c1", "conf-12345678", 0);
        ordered = (size_t)bench.hellos > before;
    }
    CHECK(ordered);
    CHECK_STR(str_text(&bench.told), "");
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench_close(&bench);
}
