/* waiver - what may not be waived, whoever signs it.
 *
 * A waiver lets an upgrade begin in spite of a finding. It is refused where the finding says that
 * the way back may not hold: then the worst case would not be "rolled back" but a site lost. The
 * command and the controller refuse it early and in words; the agent enforces it. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define WAIVER_MAX_MS     (184LL * 24 * 3600 * 1000) /* from its signature to its end */
#define WAIVER_REASON_MAX 500
#define WAIVERS_SITE_MAX  64

extern const char *const waiver_never[]; /* ids of checks, ended by NULL */
/* FAIL_DENIED, naming the check and why. */
int waiver_allowed(const char *check, struct err *err) MUST_USE;
