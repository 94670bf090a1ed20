/* frames - one frame from a peer: who sent it, is it admitted, what becomes of it, what is
 * answered. */
#pragma once
#include "controller/edge/daemon.h"

/* Handles one received frame of the control socket. Negative only when the store failed. */
int frames_control(struct daemon *daemon, const struct link_in *in, struct err *err) MUST_USE;
/* The same for the bulk socket. */
int frames_bulk(struct daemon *daemon, const struct link_in *in, struct err *err) MUST_USE;
/* Says Welcome to an agent that was just accepted, when it is connected. */
int frames_welcome(struct daemon *daemon, const char *agent, struct err *err) MUST_USE;
/* Sends what is due to agents that are connected. */
int frames_flush(struct daemon *daemon, const char *agent, int64_t sent_before_ms,
                 struct err *err) MUST_USE;
