/* guard - takes away what makes an installation startable, and gives it back.
 *
 * The real bin/catalina.sh stands aside as bin/.catalina.sh.confleet; in its place a script says what is going on and
 * exits 1. So neither a person nor a reboot starts a half-switched tree: there is nothing to start. Both ways are
 * idempotent, and every cut between them leaves a tree that does not start. */
#pragma once
#include "confleet/err.h"
#include "confleet/wire.h"
#include <stdint.h>

int guard_set(const char *tree, int64_t since_ms, struct err *err) MUST_USE;      /* FAIL_CONFLICT when both are a real script */
int guard_clear(const char *tree, struct err *err) MUST_USE;
int guard_look(const char *tree, Confleet__ProbeState *ret, struct err *err) MUST_USE;
