/* One commit for a turn: what it says to whom, and what it does not say when it fails. */
#include "fleet.h"

static int64_t count_of(struct fleet *fleet, const char *sql)
{
    struct err err = { 0 };
    int64_t count = -1;
    CHECK_OK(db_get_i64(fleet->daemon->store->db, &count, NULL, &err, sql, ""), err);
    return count;
}

static void sql_do(struct fleet *fleet, const char *sql)
{
    struct err err = { 0 };
    CHECK_OK(db_run(fleet->daemon->store->db, &err, sql, ""), err);
}

static void two_agents(struct fleet *fleet, struct end *one, struct end *two)
{
    fleet_open(fleet);
    make_agent(fleet, one, "wiki1");
    (void)end_greet(one, 1, 0);
    make_agent(fleet, two, "wiki2");
    (void)end_greet(two, 1, 0);
}

TEST(a_bad_frame_in_the_middle_of_a_turn_undoes_only_itself)
{
    struct fleet fleet = { 0 };
    struct end one = { 0 }, two = { 0 };
    struct err err = { 0 };
    two_agents(&fleet, &one, &two);
    /* Fails after the first half of what the event does is written. */
    sql_do(&fleet, "CREATE TRIGGER poison AFTER INSERT ON logs WHEN new.text='poison' BEGIN "
                   "SELECT RAISE(ABORT, 'poison'); END");
    say_log(&one, 1, "before");
    fleet_take_in(&fleet, 1);
    say_log(&one, 2, "poison");
    fleet_take_in(&fleet, 2);
    CHECK_OK(link_client_send(one.client, "\xff\xff", 2, &err), err);
    fleet_take_in(&fleet, 3);
    say_log(&two, 1, "after");
    fleet_take_in(&fleet, 4);
    CHECK_OK(daemon_turn(fleet.daemon, -1, 0, &err), err);
    CHECK_INT(intake_count(fleet.daemon->intake), 0);
    CHECK_INT(count_of(&fleet, "SELECT count(*) FROM logs"), 2);
    CHECK_INT(count_of(&fleet, "SELECT event_seq FROM agents WHERE name='wiki1'"), 1);
    CHECK_INT(count_of(&fleet, "SELECT event_seq FROM agents WHERE name='wiki2'"), 1);
    CHECK_INT(end_hear(&one, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    CHECK_HAS(end_hear(&one, CONFLEET__FRAME__BODY_REFUSAL)->refusal->message, "poison");
    CHECK(end_hear(&one, CONFLEET__FRAME__BODY_REFUSAL));
    CHECK_INT(end_hear(&two, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    CHECK_INT(audited(&fleet, "refused", "poison"), 1);
    fleet_close(&fleet);
}

TEST(what_is_acknowledged_is_in_the_file)
{
    struct fleet fleet = { 0 };
    struct end one = { 0 }, two = { 0 };
    CLEANUP(db_close) struct db *reader = NULL;
    struct err err = { 0 };
    int64_t count = -1;
    two_agents(&fleet, &one, &two);
    CHECK_OK(db_open_read(db_path(fleet.daemon->store->db), &reader, &err), err);
    say_log(&one, 1, "one");
    say_log(&two, 1, "two");
    fleet_take_in(&fleet, 2);
    CHECK_OK(daemon_turn(fleet.daemon, -1, 0, &err), err);
    CHECK_OK(db_get_i64(reader, &count, NULL, &err, "SELECT count(*) FROM logs", ""), err);
    CHECK_INT(count, 2);
    (void)end_hear(&one, CONFLEET__FRAME__BODY_EVENT_ACK);
    (void)end_hear(&two, CONFLEET__FRAME__BODY_EVENT_ACK);
    fleet_close(&fleet);
}

/* The agents report, the turn fails by that trigger; then they are asked what they heard, and the
 * next start goes on as if nothing had been said. */
static void failing_turn(const char *const *hooks, const char *text)
{
    struct fleet fleet = { 0 };
    struct end one = { 0 }, two = { 0 };
    struct err err = { 0 };
    two_agents(&fleet, &one, &two);
    for (size_t i = 0; hooks[i]; i++)
        sql_do(&fleet, hooks[i]);
    say_log(&one, 1, "hello");
    fleet_take_in(&fleet, 1);
    say_log(&two, 1, text);
    fleet_take_in(&fleet, 2);
    one.heard_count = two.heard_count = 0;
    CHECK(daemon_turn(fleet.daemon, -1, 0, &err) != 0); /* the process ends */
    CHECK(outgoing_bytes(fleet.daemon->outgoing) > 0);  /* answers were made, and stay here */
    daemon_close(&fleet.daemon);
    /* All that was sent arrives before the end of the connection is seen. */
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         (link_client_state(one.client) == LINK_UP || link_client_state(two.client) == LINK_UP) &&
         clock_mono_ms() < until_ms;) {
        end_turn(&one);
        end_turn(&two);
    }
    CHECK_INT(one.heard_count, 0);
    CHECK_INT(two.heard_count, 0);
    fleet_start(&fleet);
    CHECK_INT(end_greet(&one, 2, 1)->event_acked, 0);
    CHECK_INT(count_of(&fleet, "SELECT count(*) FROM logs"), 0);
    say_log(&one, 1, "hello");
    CHECK_INT(end_hear(&one, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, 1);
    fleet_close(&fleet);
}

TEST(nothing_leaves_when_the_commit_fails)
{
    static const char *const hooks[] = {
        "CREATE TABLE parent(id bigint PRIMARY KEY)",
        "CREATE TABLE child(id bigint REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER late AFTER INSERT ON logs WHEN new.text='late' BEGIN INSERT INTO child(id) "
        "VALUES(1); END",
        NULL
    };
    failing_turn(hooks, "late");
}

TEST(nothing_leaves_when_the_whole_turn_was_rolled_back_underneath)
{
    static const char *const hooks[] = {
        "CREATE TRIGGER torn BEFORE INSERT ON logs WHEN new.text='torn' BEGIN SELECT "
        "RAISE(ROLLBACK, 'torn'); END",
        NULL
    };
    failing_turn(hooks, "torn");
}
