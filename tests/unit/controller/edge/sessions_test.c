#include "controller/edge/sessions.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static struct link_peer peer(const char *route, int fd)
{
    struct link_peer made = { .route_len = strlen(route), .fd = fd };
    memcpy(made.route, route, made.route_len);
    return made;
}

static struct session *take(struct sessions *sessions, const char *route, const char *id,
                            int64_t now_ms)
{
    struct link_peer from = peer(route, 7);
    return sessions_take(sessions, &from, id, now_ms);
}

TEST(a_connection_keeps_its_session_and_the_newest_descriptor)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    struct session *first = take(sessions, "r1", "agent:a:1", 10);
    struct link_peer again = peer("r1", 9);
    first->greeted = true;
    CHECK(sessions_take(sessions, &again, "agent:a:1", 20) == first);
    CHECK_INT(first->peer.fd, 9);
    CHECK_INT(first->seen_ms, 20);
    CHECK(first->greeted);
    CHECK_INT(sessions_count(sessions), 1);
}

TEST(another_key_on_the_same_route_starts_anew_and_is_not_greeted)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    struct session *first = take(sessions, "r1", "agent:a:1", 10);
    first->greeted = true;
    sessions_name(sessions, first, "a");
    struct session *second = take(sessions, "r1", "agent:a:2", 20);
    CHECK(!second->greeted);
    CHECK(!sessions_agent(sessions, "a"));
    CHECK_INT(sessions_count(sessions), 1);
}

TEST(an_agents_newest_greeted_connection_is_the_one_that_is_spoken_to)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    struct session *old = take(sessions, "r1", "agent:a:1", 10),
                   *new = take(sessions, "r2", "agent:a:1", 20);
    CHECK(!sessions_agent(sessions, "a"));
    old->greeted = new->greeted = true;
    sessions_name(sessions, old, "a");
    CHECK(sessions_agent(sessions, "a") == old);
    sessions_name(sessions, new, "a");
    CHECK(sessions_agent(sessions, "a") == new);
    new->greeted = false; /* it was refused */
    CHECK(sessions_agent(sessions, "a") == old);
    sessions_drop(sessions, old);
    CHECK(!sessions_agent(sessions, "a"));
}

TEST(a_connection_is_replaced_by_a_later_one_that_was_greeted)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    struct session *old = take(sessions, "r1", "agent:a:1", 10),
                   *new = take(sessions, "r2", "agent:a:1", 20);
    old->turn = 4;
    new->turn = 5;
    CHECK(!sessions_replaced(sessions, old, "a"));
    old->greeted = true;
    sessions_name(sessions, old, "a");
    CHECK(!sessions_replaced(sessions, old, "a"));
    CHECK(!sessions_replaced(sessions, new, "a"));
    new->greeted = true;
    sessions_name(sessions, new, "a");
    CHECK(sessions_replaced(sessions, old, "a"));
    CHECK(!sessions_replaced(sessions, new, "a"));
    CHECK(!sessions_replaced(sessions, old, "b"));
    struct session *other = take(sessions, "r3", "agent:a:2", 30); /* another key is another peer */
    other->turn = 3;
    CHECK(!sessions_replaced(sessions, other, "a"));
}

TEST(silent_sessions_expire_and_the_others_stay)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    for (int i = 0; i < 100; i++) {
        char route[8];
        (void)snprintf(route, sizeof route, "r%d", i);
        sessions_name(sessions, take(sessions, route, "agent:a:1", i), "a");
    }
    sessions_expire(sessions, 60);
    CHECK_INT(sessions_count(sessions), 40);
    sessions_drop_id(sessions, "agent:b:");
    CHECK_INT(sessions_count(sessions), 40);
    sessions_drop_id(sessions, "agent:a:");
    CHECK_INT(sessions_count(sessions), 0);
}

TEST(the_table_is_bounded_and_the_longest_silent_makes_room)
{
    CLEANUP(sessions_free) struct sessions *sessions = sessions_new();
    struct session *kept = NULL;
    for (int i = 0; i < SESSIONS_MAX + 5; i++) {
        char route[16];
        (void)snprintf(route, sizeof route, "route-%d", i);
        struct session *made = take(sessions, route, "agent:a:1", 1000 + i);
        kept = i == 5 ? made : kept;
    }
    CHECK_INT(sessions_count(sessions), SESSIONS_MAX);
    CHECK(take(sessions, "route-5", "agent:a:1", 5000) == kept);
}
