#include "agent/core/session.h"
#include "harness/test.h"

TEST(hello_comes_first_and_again_when_nobody_answers)
{
    struct session s = { 0 };
    CHECK_INT(session_next(&s, 5, 0).say, SAY_NOTHING);
    session_up(&s, 1000);
    CHECK_INT(session_next(&s, 5, 1000).say, SAY_HELLO);
    session_said(&s, SAY_HELLO, 0, 1000);
    CHECK_INT(session_next(&s, 5, 1001).say, SAY_NOTHING);
    CHECK_INT(session_due_ms(&s), 1000 + SESSION_WELCOME_MS);
    CHECK_INT(session_next(&s, 5, 1000 + SESSION_WELCOME_MS).say, SAY_HELLO);
}

TEST(pending_agent_says_nothing_but_that_it_lives)
{
    struct session s = { 0 };
    session_up(&s, 0);
    session_said(&s, SAY_HELLO, 0, 0);
    session_welcome(&s, false, 0, 2000, 10);
    CHECK_INT(session_next(&s, 5, 20).say, SAY_NOTHING);
    CHECK_INT(session_next(&s, 5, 2000).say, SAY_HEARTBEAT);
}

TEST(events_go_out_in_order_and_never_more_than_the_window)
{
    struct session s = { 0 };
    session_up(&s, 0);
    session_welcome(&s, true, 10, 5000, 0);
    struct session_order order = session_next(&s, 200, 0);
    CHECK_INT(order.say, SAY_EVENTS);
    CHECK_INT(order.after, 10);
    CHECK_INT(order.count, SESSION_WINDOW);
    session_said(&s, SAY_EVENTS, 10 + SESSION_WINDOW, 0);
    CHECK_INT(session_next(&s, 200, 1).say, SAY_NOTHING);
    session_ack(&s, 12, 2);
    order = session_next(&s, 200, 2);
    CHECK_INT(order.after, 10 + SESSION_WINDOW);
    CHECK_INT(order.count, 2);
}

TEST(unacknowledged_events_go_out_again)
{
    struct session s = { 0 };
    session_up(&s, 0);
    session_welcome(&s, true, 0, 60000, 0);
    session_said(&s, SAY_EVENTS, 3, 100);
    CHECK_INT(session_due_ms(&s), 100 + SESSION_ACK_MS);
    CHECK_INT(session_next(&s, 3, 200).say, SAY_NOTHING);
    struct session_order order = session_next(&s, 3, 100 + SESSION_ACK_MS);
    CHECK_INT(order.say, SAY_EVENTS);
    CHECK_INT(order.after, 0);
    session_up(&s, 200);
    session_welcome(&s, true, 2, 60000, 210);
    order = session_next(&s, 3, 220);
    CHECK_INT(order.after, 2);
    CHECK_INT(order.count, 1);
}

TEST(an_acknowledgement_of_what_was_not_sent_is_no_news)
{
    struct session s = { 0 };
    session_up(&s, 0);
    session_welcome(&s, true, 5, 60000, 0);
    session_said(&s, SAY_EVENTS, 7, 0);
    session_ack(&s, 9, 1);
    CHECK_INT(s.acked, 5);
    session_ack(&s, 4, 1);
    CHECK_INT(s.acked, 5);
    session_ack(&s, 7, 1);
    CHECK_INT(s.acked, 7);
}

TEST(the_controller_s_clock_is_never_thought_to_be_earlier_than_it_is)
{
    struct session s = { 0 };
    int64_t there_ms = 0;
    session_up(&s, 1000);
    CHECK(!session_clock(&s, 1000, &there_ms));
    session_said(&s, SAY_HELLO, 0, 1000);
    session_said(&s, SAY_HELLO, 0, 9000); /* again; the answer may be to the first */
    session_told(&s, SAY_HELLO, 500000, 20000);
    session_welcome(&s, true, 0, 5000, 20000);
    CHECK(session_clock(&s, 21000, &there_ms));
    CHECK_INT(there_ms, 520000);
    /* A Welcome nobody asked for, when a person accepts the agent long after: known already. */
    session_told(&s, SAY_HELLO, 900000, 30000);
    CHECK(session_clock(&s, 30000, &there_ms));
    CHECK_INT(there_ms, 529000);
    /* An answered heartbeat is newer; how long the answer lay about does not matter. */
    session_said(&s, SAY_HEARTBEAT, 0, 40000);
    session_told(&s, SAY_HEARTBEAT, 538500, 700000);
    CHECK(session_clock(&s, 700000, &there_ms));
    CHECK_INT(there_ms, 538500 + 660000);
    CHECK_INT(s.answered_ms, 40000);
    /* One answer of two: whose it is nobody knows, only that it cannot be earlier there. */
    session_said(&s, SAY_HEARTBEAT, 0, 710000);
    session_said(&s, SAY_HEARTBEAT, 0, 720000);
    session_told(&s, SAY_HEARTBEAT, 600000, 721000);
    CHECK(session_clock(&s, 721000, &there_ms));
    CHECK_INT(there_ms, 538500 + 681000);
    session_told(&s, SAY_HEARTBEAT, 5000000, 722000); /* a clock that was set forward */
    CHECK(session_clock(&s, 722000, &there_ms));
    CHECK_INT(there_ms, 5002000);
    CHECK_INT(s.answered_ms, 720000);
    session_down(&s);
    CHECK(!session_clock(&s, 722000, &there_ms));
}

TEST(late_welcome_takes_no_acknowledgement_back)
{
    struct session s = { 0 };
    session_up(&s, 0);
    session_said(&s, SAY_HELLO, 0, 0);
    session_said(&s, SAY_HELLO, 0, SESSION_WELCOME_MS);
    session_welcome(&s, true, 3, 60000, 16000);
    session_said(&s, SAY_EVENTS, 5, 16000);
    session_ack(&s, 5, 16500);
    session_welcome(&s, true, 3, 60000, 16600); /* to the second Hello, sent before the events came */
    CHECK_INT(s.acked, 5);
    CHECK_INT(session_next(&s, 5, 16700).say, SAY_NOTHING);
}
