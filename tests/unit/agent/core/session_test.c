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
