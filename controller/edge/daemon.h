/* daemon - the controller's one thread: sockets, signals, timer, and the store behind them.
 *
 * Each frame that comes in is judged by itself; those of one turn of the loop are committed
 * together, which costs one sync of the disk, and answers and orders go out after that commit.
 * Everything that must survive is in the store; a daemon that is killed and started again goes on
 * from there. A store that fails ends the daemon, and of that turn nobody was told anything. */
#pragma once
#include "confleet/bulk.h"
#include "confleet/keys.h"
#include "confleet/link.h"
#include "controller/edge/intake.h"
#include "controller/edge/messenger.h"
#include "controller/edge/outgoing.h"
#include "controller/edge/progress.h"
#include "controller/edge/sessions.h"
#include "controller/edge/store.h"

struct daemon_options {
    const char *state_dir;
    const char *control,
        *bulk;             /* what to bind; NULL: what init was told, all addresses for a name */
    const char *port_file; /* NULL: none; gets the bound endpoints, one a line */
    int peers_max;         /* 0: 1024 */
    uint32_t heartbeat_ms; /* 0: 10000 */
    int64_t order_ms, silence_ms; /* 0: 10 minutes each */
    uint64_t artifact_bytes_max;  /* 0: 8 GiB */
    const char *notify;           /* program that is told what needs a person; NULL: none */
};

/* What of a socket's refused handshakes was recorded. */
struct doorman {
    const char *name;
    struct link_server *server;
    struct link_stats told;
    unsigned records;
    int64_t told_ms;
};

struct daemon {
    struct daemon_options options;
    struct keys keys;
    struct store *store;
    struct link_server *control, *bulk;
    struct bulk_store *artifacts;
    struct intake *intake;     /* of the control socket */
    struct outgoing *outgoing; /* to the control socket */
    struct sessions *sessions;
    struct progress_table *progress;
    struct messenger *messenger;
    char *artifacts_dir;
    int64_t started_ms; /* wall: silence is counted from here at the earliest; moves when the clock
                           jumps */
    int64_t ticked_ms, swept_ms; /* monotonic */
    int64_t offset_ms;           /* wall less monotonic, at the last tick */
    bool keys_changed;           /* the key table is read again after the commit, before answers
                                    leave: it takes effect at the next handshake */
    struct doorman doormen[2];
};

/* Everything up to the bound sockets. link_start() was called, signals are blocked. */
int daemon_open(const struct daemon_options *options, struct daemon **ret,
                struct err *err) MUST_USE;
void daemon_close(struct daemon **daemon);
/* Waits for frames at most that long and handles what is there; ticks once a second. signal_fd: -1
 * or a descriptor that ends the wait. Negative when the store failed: the daemon must end. */
int daemon_turn(struct daemon *daemon, int signal_fd, int64_t wait_ms, struct err *err) MUST_USE;
/* For the parts that answer: an agent that was heard within three heartbeats. */
bool daemon_online(const struct daemon *daemon, const char *agent);
int64_t daemon_seen_ms(const struct daemon *daemon, const char *agent, int64_t stored_ms);
/* The frame leaves after the commit of this turn. FAIL_LIMIT: too long for one. */
int daemon_send(struct daemon *daemon, struct session *session, Confleet__Frame *frame,
                struct err *err) MUST_USE;
