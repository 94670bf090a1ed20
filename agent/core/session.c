#include "agent/core/session.h"
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
    session->state = accepted ? SESSION_OPEN : SESSION_PENDING;
    session->acked = session->sent = acked;
    session->moved_ms = now_ms;
    if (heartbeat_ms >= 100)
        session->heartbeat_ms = heartbeat_ms;
}

void session_ack(struct session *session, uint64_t seq, int64_t now_ms)
{
    /* An old number is an answer to an event that came out of turn; the silence about the next one
     * brings it again. */
    if (session->state != SESSION_OPEN || seq <= session->acked || seq > session->sent)
        return;
    session->acked = seq;
    session->moved_ms = now_ms;
}

struct session_order session_next(struct session *session, uint64_t newest, int64_t now_ms)
{
    if (session->state == SESSION_DOWN)
        return (struct session_order){ SAY_NOTHING, 0, 0 };
    if (session->state == SESSION_GREETING) {
        bool again = session->hello_due || now_ms - session->said_ms >= SESSION_WELCOME_MS;
        return (struct session_order){ again ? SAY_HELLO : SAY_NOTHING, 0, 0 };
    }
    if (session->sent > session->acked && now_ms - session->moved_ms >= SESSION_ACK_MS)
        session->sent = session->acked;
    uint64_t under_way = session->sent - session->acked;
    if (session->state == SESSION_OPEN && newest > session->sent && under_way < SESSION_WINDOW) {
        uint64_t count = newest - session->sent, room = SESSION_WINDOW - under_way;
        return (struct session_order){ SAY_EVENTS, session->sent, count < room ? count : room };
    }
    bool beat = now_ms - session->said_ms >= session->heartbeat_ms;
    return (struct session_order){ beat ? SAY_HEARTBEAT : SAY_NOTHING, 0, 0 };
}

void session_said(struct session *session, enum session_say say, uint64_t last, int64_t now_ms)
{
    session->said_ms = now_ms;
    if (say == SAY_HELLO) {
        session->hello_due = false;
        if (!session->hello_open) /* the answer may be to the first of several */
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
    if (session->sent == session->acked)
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
    if (answered == SAY_HELLO && session->hello_open)
        clock_set(session, controller_ms, session->hello_ms);
    if (answered == SAY_HELLO)
        session->hello_open = false;
    if (answered != SAY_HEARTBEAT || session->state == SESSION_DOWN)
        return;
    session->beats_heard++;
    if (session->beats_heard == session->beats_said)
        clock_set(session, controller_ms, session->beat_ms);
    else if (session->clock_known && controller_ms - now_ms > session->clock_ms)
        session->clock_ms = controller_ms - now_ms; /* it cannot be earlier there than it was */
}

bool session_clock(const struct session *session, int64_t now_ms, int64_t *ret_controller_ms)
{
    if (!session->clock_known)
        return false;
    *ret_controller_ms = now_ms + session->clock_ms;
    return true;
}

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
