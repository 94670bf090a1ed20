/* enrol - makes this server's agent known to a controller, once, by the token in a join file.
 *
 * The agent makes its own keys in STATE/agent.key (they never leave it) and keeps STATE/controller:
 * whom to call and whose signatures count. A second try with the same token uses the same keys. */
#pragma once
#include "agent/edge/config.h"
#include "confleet/keys.h"

struct enrolled {
    char name[64], fleet[64], state[32], fingerprint[FINGERPRINT_MAX];
};
/* FAIL_EXISTS when the agent is enrolled already; FAIL_EXPIRED, FAIL_DENIED with the controller's
 * words. */
int enrol(const struct config *config, const char *join_path, int64_t timeout_ms,
          struct enrolled *ret, struct err *err) MUST_USE;
