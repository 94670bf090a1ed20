/* uplink - the agent's connection to its controller: hello, orders in, events out, artifacts
 * fetched.
 *
 * Nothing on the server depends on it: orders become runs and tasks by way of the journal, events
 * wait in the outbox. What to say next is decided by agent/core/session.h. */
#pragma once
#include "agent/core/session.h"
#include "agent/edge/agent.h"
#include "confleet/bulk.h"
#include "confleet/link.h"

#define UPLINK_POLL_MAX     4
#define UPLINK_DEFERRED_MAX 64 /* orders that wait for the first survey */

struct uplink;
/* keys and controller stay the caller's and must outlive it. */
int uplink_open(const struct keys *keys, const struct join *controller, struct journal *journal,
                struct uplink **ret, struct err *err) MUST_USE;
void uplink_close(struct uplink **uplink);
void uplink_agent_set(struct uplink *uplink, struct agent *agent);
/* Fits run_host.say: a frame that may be lost. */
void uplink_say(void *uplink, const void *frame, size_t len);
int uplink_tick(struct uplink *uplink,
                struct err *err) MUST_USE; /* negative: the journal failed, stop */
size_t uplink_poll(const struct uplink *uplink, zmq_pollitem_t items[UPLINK_POLL_MAX]);
int64_t uplink_due_ms(const struct uplink *uplink); /* monotonic */

/* The first frame of every connection of this agent. journal and damage may be NULL: none. */
struct uplink_damage {
    const char *why;
    Confleet__HeldRun **runs;
    size_t count;
};
void uplink_hello(struct journal *journal, const struct uplink_damage *damage, const char *name,
                  uint32_t connection, struct str *ret_frame);
