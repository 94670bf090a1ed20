/* orders - what of the outbox leaves in this turn, to agents that are connected and accepted.
 *
 * Called inside store_batch() or with no transaction open; what is chosen leaves after the commit.
 */
#pragma once
#include "controller/edge/daemon.h"

/* Sends the orders that were last sent before this time to agents that are connected; 1 stands for
 * never. When a turn's share is full the rest is left for the next: ret_more tells. */
int orders_send(struct daemon *daemon, int64_t sent_before_ms, bool *ret_more,
                struct err *err) MUST_USE;
/* The same to one agent, which is accepted, and without a share. */
int orders_send_to(struct daemon *daemon, const char *agent, int64_t sent_before_ms,
                   struct err *err) MUST_USE;
