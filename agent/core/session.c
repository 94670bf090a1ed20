#include "agent/core/session.h"
#include "confleet/guard.h"
#include <assert.h>

#define HEARTBEAT_MS 10000

void session_up(struct session *session, int64_t now_ms)
{
    *session = (struct session){ .state = SESSION_GREETING,
                                 .hello_due = true,
                                 .said_ms = now_ms,
                                 .heartbeat_ms = HEARTBEAT_MS };
}

void session_down(struct session *session)
{
    *session = (struct session){ .state = SESSION_DOWN };
}

void session_welcome(struct session *session, bool accepted, uint64_t acked, uint32_t heartbeat_ms,
                     int64_t now_ms)
{
    /* The answer to a Hello that was said twice may be older than what was acknowledged since. */
    if (GUARD(law5_late_welcome_takes_nothing_back, acked < session->acked))
        acked = session->acked;
    session->state = accepted ? SESSION_OPEN : SESSION_PENDING;
    session->acked = session->sent = acked;
    session->moved_ms = now_ms;
    if (heartbeat_ms >= 100) /* No guard: it looks at what came in. */
        session->heartbeat_ms = heartbeat_ms;
}

void session_ack(struct session *session, uint64_t seq, int64_t now_ms)
{
    /* An old number is an answer to an event that came out of turn; the silence about the next one
     * brings it again. */
    if (GUARD(law5_old_ack_takes_nothing_back, seq <= session->acked) ||
        GUARD(law5_ack_only_of_what_was_sent, seq > session->sent))
        return;
    session->acked = seq;
    session->moved_ms = now_ms;
}

struct session_order session_next(struct session *session, uint64_t newest, int64_t now_ms)
{
    if (GUARD(law5_says_nothing_to_nobody, session->state == SESSION_DOWN))
        return (struct session_order){ SAY_NOTHING, 0, 0 };
    if (GUARD(law10_hello_comes_first, session->state == SESSION_GREETING)) {
        /* No guard: hello_due only says it sooner than the time that is over. */
        bool again = session->hello_due ||
                     GUARD(law6_hello_is_repeated, now_ms - session->said_ms >= SESSION_WELCOME_MS);
        return (struct session_order){ again ? SAY_HELLO : SAY_NOTHING, 0, 0 };
    }
    if (GUARD(law5_lost_events_are_sent_again, now_ms - session->moved_ms >= SESSION_ACK_MS))
        session->sent = session->acked;
    uint64_t room = SESSION_WINDOW - (session->sent - session->acked);
    /* No guard: an agent whose disk was put back may hold less than its controller has
     * acknowledged. */
    uint64_t count = newest > session->sent ? newest - session->sent : 0;
    count = NEEDS(law5_window_of_events, count < room) ? count : room;
    if (NEEDS(law10_pending_agent_reports_nothing, session->state == SESSION_OPEN) &&
        count > 0) /* No guard: nothing is not said. */
        return (struct session_order){ SAY_EVENTS, session->sent, count };
    bool beat = GUARD(law6_silence_is_broken, now_ms - session->said_ms >= session->heartbeat_ms);
    return (struct session_order){ beat ? SAY_HEARTBEAT : SAY_NOTHING, 0, 0 };
}

void session_said(struct session *session, enum session_say say, uint64_t last, int64_t now_ms)
{
    session->said_ms = now_ms;
    if (say == SAY_HELLO) {
        session->hello_due = false;
        /* The answer may be to the first of several. */
        if (NEEDS(law6_clock_from_the_first_hello, !session->hello_open))
            session->hello_ms = now_ms;
        session->hello_open = true;
    }
    if (say == SAY_HEARTBEAT) {
        session->beats_said++;
        session->beat_ms = now_ms;
    }
    if (say != SAY_EVENTS)
        return;
    assert(last >= session->sent);
    if (GUARD(law5_waits_for_the_ack, session->sent == session->acked))
        session->moved_ms = now_ms;
    session->sent = last;
}

static void clock_set(struct session *session, int64_t controller_ms, int64_t said_ms)
{
    session->clock_known = true;
    session->clock_ms = controller_ms - said_ms;
    session->answered_ms = said_ms;
}

void session_told(struct session *session, enum session_say answered, int64_t controller_ms,
                  int64_t now_ms)
{
    /* No guard: a Welcome to no Hello of ours tells the time too late, which is never wrong. */
    if (answered == SAY_HELLO && session->hello_open)
        clock_set(session, controller_ms, session->hello_ms);
    if (answered == SAY_HELLO)
        session->hello_open = false;
    if (answered != SAY_HEARTBEAT)
        return;
    session->beats_heard++;
    if (NEEDS(law6_clock_from_the_last_beat, session->beats_heard == session->beats_said))
        clock_set(session, controller_ms, session->beat_ms);
    else if (controller_ms - now_ms > session->clock_ms)
        /* No guard: only a clock that was set forward there needs it, until the next answered beat;
         * it cannot be earlier there than it was. */
        session->clock_ms = controller_ms - now_ms;
}

bool session_clock(const struct session *session, int64_t now_ms, int64_t *ret_controller_ms)
{
    if (GUARD(law6_unknown_clock_is_no_clock, !session->clock_known))
        return false;
    *ret_controller_ms = now_ms + session->clock_ms;
    return true;
}

/* No guards in here: who looks too early finds nothing to say, and none looks later than a
 * heartbeat. */
int64_t session_due_ms(const struct session *session)
{
    if (session->state == SESSION_DOWN)
        return INT64_MAX;
    if (session->state == SESSION_GREETING)
        return session->hello_due ? session->said_ms : session->said_ms + SESSION_WELCOME_MS;
    int64_t beat_ms = session->said_ms + session->heartbeat_ms,
            again_ms = session->moved_ms + SESSION_ACK_MS;
    return session->sent > session->acked && again_ms < beat_ms ? again_ms : beat_ms;
}
