/* frames - one frame from a peer: who sent it, is it admitted, what becomes of it, what is
 * answered. */
#pragma once
#include "controller/edge/daemon.h"
#include "controller/edge/lineage.h"

/* Handles one received frame of the control socket, inside store_batch(). Negative only when the
 * store failed. */
int frames_control(struct daemon *daemon, const struct link_in *in, struct err *err) MUST_USE;
/* The same for the bulk socket. */
int frames_bulk(struct daemon *daemon, const struct link_in *in, struct err *err) MUST_USE;
/* Says Welcome to an agent that was just accepted, when it is connected. */
int frames_welcome(struct daemon *daemon, const char *agent, struct err *err) MUST_USE;
/* For what is sent again anyway when it does not arrive. */
void frames_send(struct daemon *daemon, struct session *session, Confleet__Frame *frame);
/* The head that goes to agents, in memory of the caller. NULL: it cannot be read now, which the
 * next use of the store makes known. */
Confleet__StoreHead *frames_head(struct daemon *daemon, struct lineage_head *head,
                                 Confleet__StoreHead *message);
