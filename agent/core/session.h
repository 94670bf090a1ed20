/* session - decides what the agent says to its controller next; sends nothing itself.
 *
 * Hello first, nothing else before the Welcome; events in the outbox's order, a window of them
 * unacknowledged, again from the last acknowledged one after a new connection or a long silence
 * about them; heartbeats while there is nothing else. No clock, no I/O, no heap. Invariant: no
 * event is offered before the one it follows was. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define SESSION_WINDOW     64    /* events under way */
#define SESSION_ACK_MS     15000 /* without an acknowledgement for so long: again from the last one */
#define SESSION_WELCOME_MS 15000 /* without a Welcome for so long: Hello again */

#define SESSION_STATES(X)                                                                          \
    X(DOWN, "down")                                                                                \
    X(GREETING, "greeting") /* no Welcome yet */                                                   \
    X(PENDING, "pending")   /* the controller knows us, nobody accepted us */                      \
    X(OPEN, "open")
#define X(id, name) SESSION_##id,
enum session_state { SESSION_STATES(X) SESSION_STATE_COUNT };
#undef X
enum session_say { SAY_NOTHING, SAY_HELLO, SAY_EVENTS, SAY_HEARTBEAT };
struct session { /* all zero: not connected */
    enum session_state state;
    uint64_t acked, sent; /* numbers of events */
    int64_t said_ms;      /* when something was last said */
    int64_t moved_ms;     /* when the acknowledged number last moved, or sending began */
    int64_t heartbeat_ms;
    bool hello_due;
    /* What is known of the controller's clock: it shows at most clock_ms more than ours. */
    bool clock_known, hello_open;
    int64_t clock_ms, hello_ms, beat_ms;
    int64_t answered_ms; /* when the newest word was said that the controller has answered */
    uint64_t beats_said, beats_heard;
};
struct session_order {
    enum session_say say;
    uint64_t after, count;
}; /* EVENTS: those with numbers above after */

void session_up(struct session *session, int64_t now_ms);
void session_down(struct session *session);
void session_welcome(struct session *session, bool accepted, uint64_t acked, uint32_t heartbeat_ms,
                     int64_t now_ms);
void session_ack(struct session *session, uint64_t seq, int64_t now_ms);
struct session_order session_next(struct session *session, uint64_t newest, int64_t now_ms);
/* What the last order said was really handed to the link; last: the highest event number of it. */
void session_said(struct session *session, enum session_say say, uint64_t last, int64_t now_ms);
/* The controller's time in its answer to a word of ours (HELLO or HEARTBEAT). The word was said
 * before that time was read, so that time since then is known to be over, however long the answer
 * lay about and whatever the clocks show. Call it before session_welcome(). */
void session_told(struct session *session, enum session_say answered, int64_t controller_ms,
                  int64_t now_ms);
/* The controller's clock now, at the latest; false while nothing is known of it. */
bool session_clock(const struct session *session, int64_t now_ms, int64_t *ret_controller_ms);
/* When session_next() may have something to say without any input. */
int64_t session_due_ms(const struct session *session);
