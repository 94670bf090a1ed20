/* status - what Confluence says of itself at /status (facts 3.1), asked once over HTTP on this
 * server.
 *
 * RUNNING here is a sign of life and no more: pages may fail all the same. Proxies of the
 * environment are not used. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define STATUS_STATE_MAX 32
struct status_where {
    const char *address;
    uint32_t port;
    const char *context_path;
}; /* address "" or any: loopback */

/* ret_state: STARTING, FIRST_RUN, RUNNING, ERROR, STOPPING, MAINTENANCE. FAIL_UNREACHABLE and
 * FAIL_TIMEOUT: no answer; FAIL_UNHEALTHY: an answer that is no state, with its HTTP code in the
 * text. */
int status_ask(const struct status_where *where, int limit_ms, char ret_state[STATUS_STATE_MAX],
               long *ret_http, struct err *err) MUST_USE;
