/* requests - what operators ask: judged by role, done in one transaction, answered once.
 *
 * A command whose connection was cut asks again with the same id: what changed something the first
 * time is answered from the store the second time (but for tokens, whose secret is not kept: asking
 * again makes another one). */
#pragma once
#include "controller/edge/daemon.h"

/* Negative only when the store failed. */
int requests_on(struct daemon *daemon, struct session *session, const struct peer *peer,
                const Confleet__Request *request, struct pool *pool, struct err *err) MUST_USE;
