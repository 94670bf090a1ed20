/* Who is served: enrolment, acceptance, revocation, clones, and what each hears that is not. */
#include "fleet.h"

static void say_event(struct end *end, uint64_t seq)
{
    say_log(end, seq, "hello");
}

static void say_heartbeat(struct end *end)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Heartbeat heartbeat = CONFLEET__HEARTBEAT__INIT;
    frame.body_case = CONFLEET__FRAME__BODY_HEARTBEAT;
    frame.heartbeat = &heartbeat;
    end_say(end, &frame);
}

TEST(an_agent_is_pending_until_a_person_confirms_its_fingerprint)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    char fingerprint[FINGERPRINT_MAX];
    fleet_open(&fleet);
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, true, "wiki1", 60, CONFLEET__ROLE__ROLE_NONE));
    CHECK_STR(reply->token->kind, "agent");
    CHECK_STR(reply->token->fleet, fleet.join.fleet);
    CHECK_INT(reply->token->n_operators, 1);
    CHECK_STR(reply->token->operators[0]->name, "anna");
    fleet_enrol(&fleet, reply->token->token.data, "wiki1", &agent.keys, false);
    end_open(&fleet, &agent);
    const Confleet__Welcome *welcome = end_greet(&agent, 1, 0);
    CHECK_STR(welcome->state, "pending");
    CHECK_STR(welcome->you, "wiki1");
    CHECK_INT(welcome->epoch, 1);
    CHECK_INT(welcome->heartbeat_ms, 2000);
    say_heartbeat(&agent);
    CHECK(end_hear(&agent, CONFLEET__FRAME__BODY_HEARTBEAT));

    reply = ask_accept(&fleet.anna, "wiki1", "SHA256:0000 1111");
    CHECK_INT(reply->code, FAIL_MISMATCH);
    keys_fingerprint(agent.keys.curve_public, fingerprint);
    CHECK_HAS(reply->message, fingerprint);
    good(ask_accept(&fleet.anna, "wiki1", fingerprint));
    CHECK_STR(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->state, "accepted");
    say_event(&agent, 1);
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    reply = good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST));
    CHECK_INT(reply->n_agents, 1);
    CHECK_STR(reply->agents[0]->state, "accepted");
    CHECK(reply->agents[0]->online);
    CHECK_INT(audited(&fleet, "enrolled", "agent wiki1"), 1);
    CHECK_INT(audited(&fleet, "agent-accepted", "wiki1"), 1);
    CHECK_INT(audited(&fleet, "request-refused", "fingerprint"), 1);
    fleet_close(&fleet);
}

TEST(a_pending_agent_is_heard_no_further_than_hello)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, true, "wiki1", 60, CONFLEET__ROLE__ROLE_NONE));
    fleet_enrol(&fleet, reply->token->token.data, "wiki1", &agent.keys, false);
    end_open(&fleet, &agent);
    (void)end_greet(&agent, 1, 0);
    say_event(&agent, 1);
    const Confleet__Refusal *refusal = end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_DENIED);
    CHECK_HAS(refusal->message, "confleet agent accept");
    CHECK_INT(audited(&fleet, "refused", "Event refused"), 1);
    fleet_close(&fleet);
}

TEST(nothing_comes_before_hello_and_skew_is_refused_in_words)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    end_up(&agent);
    say_event(&agent, 1);
    const Confleet__Refusal *refusal = end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_PROTOCOL);
    CHECK_HAS(refusal->message, "Hello");
    end_say_hello(&agent, (struct greeting){ .start_count = 1, .protocol = 99 });
    refusal = end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_PROTOCOL);
    CHECK_HAS(refusal->message, "speaks protocol 1, test 1.2 speaks protocol 99");
    fleet_close(&fleet);
}

TEST(a_name_that_is_not_the_keys_own_is_refused)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    end_up(&agent);
    end_say_hello(&agent, (struct greeting){ .start_count = 1, .name = "wiki2" });
    const Confleet__Refusal *refusal = end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_MISMATCH);
    CHECK_HAS(refusal->message, "belongs to agent:wiki1");
    CHECK_INT(audited(&fleet, "refused", "wiki2"), 1);
    end_say_hello(&agent, (struct greeting){ .start_count = 1, .name = "wiki1" });
    CHECK_STR(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->you, "wiki1");
    fleet_close(&fleet);
}

/* What a token's second, late or misdirected use is told. */
static const Confleet__Refusal *refused_enrolment(struct fleet *fleet,
                                                  const uint8_t token[KEY_SIZE], const char *name)
{
    static struct end end;
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    end_close(&end);
    end = (struct end){ 0 };
    CHECK_OK(keys_make("x", &keys, &err), err);
    end_of_token(&end, token);
    end_open(fleet, &end);
    (void)end_greet(&end, 0, 0);
    end_say_enrol(&end, name, &keys, false);
    return end_hear(&end, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
}

TEST(a_token_is_good_once_in_time_and_for_its_name_only)
{
    struct fleet fleet = { 0 };
    struct keys keys = { 0 };
    struct err err = { 0 };
    uint8_t token[KEY_SIZE];
    fleet_open(&fleet);
    memcpy(token,
           good(ask_token(&fleet.anna, true, "wiki1", 60, CONFLEET__ROLE__ROLE_NONE))
               ->token->token.data,
           KEY_SIZE);
    const Confleet__Refusal *refusal = refused_enrolment(&fleet, token, "wiki2");
    CHECK_INT(refusal->code, FAIL_MISMATCH);
    CHECK_HAS(refusal->message, "for wiki1, not for wiki2");
    fleet_enrol(&fleet, token, "wiki1", &keys, false);
    refusal = refused_enrolment(&fleet, token, "wiki1");
    CHECK_INT(refusal->code, FAIL_EXISTS);
    CHECK_HAS(refusal->message, "token was used at");

    memcpy(token,
           good(ask_token(&fleet.anna, true, "wiki3", 60, CONFLEET__ROLE__ROLE_NONE))
               ->token->token.data,
           KEY_SIZE);
    CHECK_OK(db_run(fleet.daemon->store->db, &err,
                    "UPDATE tokens SET expires_ms=$1 WHERE name='wiki3'", "i",
                    clock_wall_ms() - 1000),
             err);
    refusal = refused_enrolment(&fleet, token, "wiki3");
    CHECK_INT(refusal->code, FAIL_EXPIRED);
    CHECK_HAS(refusal->message, "token expired at");
    CHECK_INT(audited(&fleet, "refused", "token was used at"), 1);
    CHECK_INT(audited(&fleet, "refused", "token expired at"), 1);
    CHECK_INT(audited(&fleet, "refused", "not for wiki2"), 1);
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST))->n_agents, 1);
    fleet_close(&fleet);
}

TEST(the_store_never_holds_the_token_itself)
{
    struct fleet fleet = { 0 };
    struct err err = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    char hex[KEY_HEX_MAX];
    fleet_open(&fleet);
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, true, "wiki1", 60, CONFLEET__ROLE__ROLE_NONE));
    hex_text(reply->token->token.data, KEY_SIZE, hex);
    static const char *const files[] = { "controller.db", "controller.db-wal" };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *path = fs_join(fleet.state_dir, files[i]);
        str_clear(&bytes);
        CHECK_OK(fs_read(path, 1 << 26, &bytes, &err), err);
        CHECK(!memmem(bytes.s, bytes.len, reply->token->token.data, KEY_SIZE));
        CHECK(!memmem(bytes.s, bytes.len, hex, strlen(hex)));
    }
    fleet_close(&fleet);
}

TEST(an_enrolment_whose_answer_was_lost_is_answered_again)
{
    struct fleet fleet = { 0 };
    struct end end = { 0 };
    struct keys keys = { 0 };
    fleet_open(&fleet);
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, true, "wiki1", 60, CONFLEET__ROLE__ROLE_NONE));
    end_of_token(&end, reply->token->token.data);
    fleet_enrol(&fleet, reply->token->token.data, "wiki1", &keys, false);
    end_open(&fleet, &end);
    (void)end_greet(&end, 0, 0);
    end_say_enrol(&end, "wiki1", &keys, false);
    CHECK_STR(end_hear(&end, CONFLEET__FRAME__BODY_ENROLLED)->enrolled->state, "pending");
    fleet_close(&fleet);
}

TEST(a_revoked_key_is_refused_at_its_next_message_on_the_same_connection)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 1, 0);
    good(ask_revoke(&fleet.anna, true, "wiki1"));
    CHECK_INT(agent.greetings, 1);
    say_event(&agent, 1);
    int64_t from_ms = clock_mono_ms();
    while (audited(&fleet, "refused", "this key was revoked") == 0 &&
           clock_mono_ms() - from_ms < 5000)
        fleet_turn(&fleet);
    CHECK(clock_mono_ms() - from_ms < 1000);
    CHECK_INT(audited(&fleet, "agent-revoked", "wiki1"), 1);
    int64_t count = -1;
    struct err err = { 0 };
    CHECK_OK(
        db_get_i64(fleet.daemon->store->db, &count, NULL, &err, "SELECT count(*) FROM logs", ""),
        err);
    CHECK_INT(count, 0);
    /* The connection is cut and the key gets no new one. */
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         link_client_state(agent.client) != LINK_REFUSED && clock_mono_ms() < until_ms;)
        fleet_turn(&fleet);
    CHECK_HAS(link_client_why(agent.client), "does not know this key");
    CHECK_INT(agent.greetings, 1);
    fleet_close(&fleet);
}

TEST(a_revoked_agents_name_can_be_used_again_by_new_keys_and_not_by_the_old)
{
    struct fleet fleet = { 0 };
    struct end old = { 0 }, new = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &old, "wiki1");
    (void)end_greet(&old, 1, 0);
    CHECK_INT(ask_token(&fleet.anna, true, "wiki1", 0, CONFLEET__ROLE__ROLE_NONE)->code,
              FAIL_EXISTS);
    good(ask_revoke(&fleet.anna, true, "wiki1"));
    make_agent(&fleet, &new, "wiki1");
    (void)end_greet(&new, 1, 0);
    say_event(&old, 1); /* on its old connection, whose name is in force again */
    int64_t from_ms = clock_mono_ms();
    while (audited(&fleet, "refused", "this key was revoked") == 0 &&
           clock_mono_ms() - from_ms < 5000)
        fleet_turn(&fleet);
    CHECK_INT(audited(&fleet, "refused", "this key was revoked"), 1);
    say_event(&new, 1);
    CHECK_INT(end_hear(&new, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    fleet_close(&fleet);
}

static void refused_as_older(struct fleet *fleet, struct end *agent, struct greeting greeting)
{
    end_say_hello(agent, greeting);
    const Confleet__Refusal *refusal = end_hear(agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_STALE);
    CHECK_HAS(refusal->message, "this store is older than agent wiki1 has seen");
    CHECK_HAS(refusal->message, "raise-epoch --state DIR --epoch");
    const Confleet__Reply *reply =
        good(ask_nothing(&fleet->anna, CONFLEET__REQUEST__WHAT_AGENT_LIST));
    CHECK_STR(reply->agents[0]->state, "store-older");
    CHECK_HAS(reply->agents[0]->reason, "raise-epoch");
}

TEST(an_agent_that_has_seen_another_chain_is_not_served_until_a_person_says_so)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    struct err err = { 0 };
    char hash[65];
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    const Confleet__Welcome *welcome = end_greet(&agent, 5, 0);
    uint64_t seq = welcome->head->seq;
    (void)snprintf(hash, sizeof hash, "%s", welcome->head->hash);
    CHECK_STR(welcome->seen_hash, "");
    say_heartbeat(&agent);
    CHECK(end_hear(&agent, CONFLEET__FRAME__BODY_HEARTBEAT)->heartbeat->head->seq >= seq);
    /* What this store has told is known to it for ever. */
    end_say_hello(&agent, (struct greeting){ 6, .epoch_seen = 1, .seen_seq = seq, .seen_hash = hash });
    CHECK_STR(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->seen_hash, hash);
    /* The same number with another record: a branch; a number that is not there: an older copy. */
    hash[0] = hash[0] == '0' ? '1' : '0';
    struct greeting branch = { 7, .epoch_seen = 1, .seen_seq = seq, .seen_hash = hash };
    refused_as_older(&fleet, &agent, branch);
    branch.seen_seq = 100000;
    refused_as_older(&fleet, &agent, branch);
    /* An epoch that the agent has followed already does not make it good, a higher one does. */
    fleet.daemon->store->adopted = 1;
    refused_as_older(&fleet, &agent, branch);
    CHECK_OK(store_adopt(fleet.daemon->store, 1, &err), err);
    end_say_hello(&agent, branch);
    welcome = end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome;
    CHECK_INT(welcome->adopted_epoch, 2);
    CHECK_STR(welcome->seen_hash, "");
    CHECK_STR(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST))->agents[0]->state,
              "accepted");
    fleet_close(&fleet);
}

/* The store is a copy from before the agent's reports 2 to 7, which the agent no longer has. */
TEST(reports_that_an_adopted_copy_of_the_store_has_lost_do_not_shut_out_the_next)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 5, 0);
    say_event(&agent, 1);
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    refused_as_older(&fleet, &agent, (struct greeting){ 6, 8, .event_gone = 7 });
    fleet.daemon->store->adopted = 2;
    end_say_hello(&agent, (struct greeting){ .start_count = 6, .event_seq = 8, .event_gone = 7 });
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->event_acked, 7);
    CHECK_INT(audited(&fleet, "events-gone", "reports 2 to 7"), 1);
    say_event(&agent, 8);
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 8);
    /* What is here already, or was never reported, changes nothing. */
    end_say_hello(&agent, (struct greeting){ .start_count = 7, .event_seq = 8, .event_gone = 7 });
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->event_acked, 8);
    end_say_hello(&agent, (struct greeting){ .start_count = 8, .event_seq = 8, .event_gone = 9 });
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->event_acked, 8);
    CHECK_INT(audited(&fleet, "events-gone", ""), 1);
    fleet_close(&fleet);
}

static void held_after(uint64_t start_count, uint64_t event_seq, const char *boot_id)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 }, clone = { 0 };
    char fingerprint[FINGERPRINT_MAX];
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 5, 0);
    say_event(&agent, 1);
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    clone.keys = agent.keys;
    end_open(&fleet, &clone);
    end_up(&clone);
    end_say_hello(&clone, (struct greeting){ .start_count = start_count,
                                              .event_seq = event_seq,
                                              .boot_id = boot_id });
    CHECK_INT(end_hear(&clone, CONFLEET__FRAME__BODY_REFUSAL)->refusal->code, FAIL_CONFLICT);
    say_event(&agent, 2); /* the first one is held too: which is the true one, a person must say */
    CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal->code, FAIL_CONFLICT);
    CHECK_INT(audited(&fleet, "agent-held", "wiki1"), 1);
    CHECK_STR(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST))->agents[0]->state,
              "held");
    end_close(&clone);
    keys_fingerprint(agent.keys.curve_public, fingerprint);
    good(ask_accept(&fleet.anna, "wiki1", fingerprint));
    end_say_hello(&agent, (struct greeting){ .start_count = 5, .event_seq = 1 });
    CHECK_STR(end_hear(&agent, CONFLEET__FRAME__BODY_WELCOME)->welcome->state, "accepted");
    fleet_close(&fleet);
}

TEST(a_state_with_an_older_start_is_a_clone_and_both_are_held)
{
    held_after(4, 1, NULL);
}

TEST(the_same_start_on_another_boot_is_a_clone)
{
    held_after(5, 1, "another-boot");
}

TEST(a_state_that_forgot_what_it_reported_is_held)
{
    held_after(6, 0, NULL);
}

static const char *agent_state(struct fleet *fleet)
{
    return good(ask_nothing(&fleet->anna, CONFLEET__REQUEST__WHAT_AGENT_LIST))->agents[0]->state;
}

static const Confleet__Welcome *greets(struct end *end, uint64_t start_count, uint32_t connection)
{
    end_say_hello(end, (struct greeting){ .start_count = start_count, .connection = connection });
    return end_hear(end, CONFLEET__FRAME__BODY_WELCOME)->welcome;
}

static void refused_as_twice(struct fleet *fleet, struct end *end, const char *why)
{
    const Confleet__Refusal *refusal = end_hear(end, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_CONFLICT);
    CHECK_HAS(refusal->message, "seen twice");
    CHECK_INT(audited(fleet, "agent-held", why), 1);
    CHECK_STR(agent_state(fleet), "held");
}

/* Containers of one machine have one boot id, and a copy of a memory has all that is in it. */
TEST(the_same_connection_of_one_start_is_a_clone)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 }, clone = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    end_up(&agent);
    CHECK_STR(greets(&agent, 5, 3)->state, "accepted");
    CHECK_STR(greets(&agent, 5, 3)->state, "accepted"); /* its Welcome was late: it asks again */
    clone.keys = agent.keys;
    end_open(&fleet, &clone);
    end_up(&clone);
    end_say_hello(&clone, (struct greeting){ .start_count = 5, .connection = 3 });
    refused_as_twice(&fleet, &clone, "connection 3 of start 5");
    fleet_close(&fleet);
}

TEST(a_connection_that_comes_after_a_later_one_is_a_clone)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 }, again = { 0 }, clone = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    end_up(&agent);
    (void)greets(&agent, 5, 3);
    again.keys = clone.keys = agent.keys;
    end_open(&fleet, &again);
    end_up(&again);
    CHECK_STR(greets(&again, 5, 5)->state, "accepted"); /* as after a cut */
    end_open(&fleet, &clone);
    end_up(&clone);
    end_say_hello(&clone, (struct greeting){ .start_count = 5, .connection = 4 });
    refused_as_twice(&fleet, &clone, "connection 4 of start 5");
    fleet_close(&fleet);
}

/* The copy was started once more than the other, who goes on as if nothing were. */
TEST(who_lives_on_an_older_connection_must_come_again_and_both_are_held)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 }, clone = { 0 }, again = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    end_up(&agent);
    (void)greets(&agent, 5, 1);
    clone.keys = again.keys = agent.keys;
    end_open(&fleet, &clone);
    end_up(&clone);
    CHECK_STR(greets(&clone, 6, 1)->state, "accepted");
    say_event(&agent, 1);
    const Confleet__Refusal *refusal = end_hear(&agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_HAS(refusal->message, "newer connection");
    CHECK_INT(audited(&fleet, "refused", ""), 0);
    CHECK_STR(agent_state(&fleet), "accepted");
    say_event(&clone, 1); /* what the other one said was not taken for it */
    CHECK_INT(end_hear(&clone, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    end_open(&fleet, &again);
    end_up(&again);
    end_say_hello(&again, (struct greeting){ .start_count = 5, .connection = 2, .event_seq = 1 });
    refused_as_twice(&fleet, &again, "start 5");
    say_event(&clone, 2);
    CHECK_INT(end_hear(&clone, CONFLEET__FRAME__BODY_REFUSAL)->refusal->code, FAIL_CONFLICT);
    fleet_close(&fleet);
}

/* It was on its way when its process died and the next one started. */
TEST(a_hello_that_comes_late_is_no_clone_and_takes_nothing_from_the_newer_connection)
{
    struct fleet fleet = { 0 };
    struct end old = { 0 }, new = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &old, "wiki1");
    end_up(&old);
    new.keys = old.keys;
    end_open(&fleet, &new);
    end_up(&new);
    (void)greets(&new, 6, 1);
    end_say_hello(&old, (struct greeting){ .start_count = 5, .connection = 1 });
    CHECK_HAS(end_hear(&old, CONFLEET__FRAME__BODY_REFUSAL)->refusal->message, "newer connection");
    end_say_hello(&old, (struct greeting){ .start_count = 6, .connection = 9 });
    CHECK_HAS(end_hear(&old, CONFLEET__FRAME__BODY_REFUSAL)->refusal->message, "newer connection");
    CHECK_STR(agent_state(&fleet), "accepted");
    CHECK_INT(audited(&fleet, "agent-held", ""), 0);
    say_event(&new, 1);
    CHECK_INT(end_hear(&new, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    fleet_close(&fleet);
}

TEST(roles_bound_what_an_operator_may_ask_and_refusals_are_recorded)
{
    struct fleet fleet = { 0 };
    struct end otto = { 0 };
    fleet_open(&fleet);
    CHECK_INT(ask_token(&fleet.anna, false, "otto", 60, CONFLEET__ROLE__ROLE_NONE)->code,
              FAIL_USAGE);
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, false, "otto", 60, CONFLEET__ROLE__VIEWER));
    fleet_enrol(&fleet, reply->token->token.data, "otto", &otto.keys, true);
    end_open(&fleet, &otto);
    CHECK_INT(end_greet(&otto, 0, 0)->role, CONFLEET__ROLE__VIEWER);
    good(ask_nothing(&otto, CONFLEET__REQUEST__WHAT_SITE_LIST));
    reply = ask_token(&otto, true, "wiki9", 60, CONFLEET__ROLE__ROLE_NONE);
    CHECK_INT(reply->code, FAIL_DENIED);
    CHECK_HAS(reply->message, "it needs the role admin, you have viewer");
    CHECK_INT(audited(&fleet, "request-refused", "agent token"), 1);
    CHECK_INT(ask_revoke(&fleet.anna, false, "anna")->code, FAIL_DENIED);
    good(ask_revoke(&fleet.anna, false, "otto"));
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_OPERATOR_LIST))->n_operators,
              2);
    fleet_close(&fleet);
}

TEST(an_agent_may_fetch_releases_from_the_bulk_socket_and_nothing_else)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 }, bulk = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(1 << 20);
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT, *answer = NULL;
    Confleet__BulkGet get = CONFLEET__BULK_GET__INIT;
    struct err err = { 0 };
    char sha256[HASH_HEX_MAX];
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    hash_bytes_hex("x", 1, sha256);
    CLEANUP(free_mem) char *path = text_printf("%s/artifacts/%s", fleet.state_dir, sha256);
    CHECK_OK(fs_write(path, "x", 1, 0600, &err), err);
    bulk.keys = agent.keys;
    bulk.fleet = &fleet;
    struct link_client_options options = { .endpoint = fleet.bulk,
                                           .server_key = fleet.join.controller_key,
                                           .curve_public = bulk.keys.curve_public,
                                           .curve_secret = bulk.keys.curve_secret };
    CHECK_OK(link_client_open(&options, &bulk.client, &err), err);
    get.sha256 = sha256;
    get.credit = 4;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_GET;
    frame.get = &get;
    wire_encode(&frame.base, &bytes);
    bool up = false;
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS; !up && clock_mono_ms() < until_ms;
         fleet_turn(&fleet))
        (void)link_client_tick(bulk.client, clock_mono_ms(), &up);
    CHECK(up);
    CHECK_OK(link_client_send(bulk.client, bytes.s, bytes.len, &err), err);
    int got = 0;
    str_clear(&bytes);
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS; got == 0 && clock_mono_ms() < until_ms;
         fleet_turn(&fleet))
        got = link_client_recv(bulk.client, &bytes, &err);
    CHECK_INT(got, 1);
    CHECK_OK(wire_decode_bulk(arena, bytes.s, bytes.len, &answer, &err), err);
    CHECK_INT(answer->body_case, CONFLEET__BULK_FRAME__BODY_REFUSAL);
    CHECK_HAS(answer->refusal->message, "no release has an artifact");
    link_client_close(&bulk.client);
    fleet_close(&fleet);
}

TEST(a_controller_that_is_killed_knows_its_peers_again)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 1, 0);
    fleet_restart(&fleet);
    const Confleet__Welcome *welcome = end_greet(&agent, 1, 0);
    CHECK_STR(welcome->state, "accepted");
    CHECK_INT(welcome->epoch, 2);
    fleet_close(&fleet);
}
