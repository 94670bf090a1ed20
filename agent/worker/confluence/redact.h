/* redact - what of a customer's settings may be told to others, and what is a secret.
 *
 * Reports, findings and logs leave the server; settings in scripts and XML files hold passwords
 * beside harmless values. A value is shown where its name is known to be harmless, else only the
 * name is. Nothing here reads a file. */
#pragma once
#include "confleet/str.h"
#include <stdbool.h>

#define REDACTED "…"

/* Whether a setting of this name may hold a password, a key or the like. */
bool redact_is_secret(const char *name);
/* One option of Java as it may be told: -Xmx2g, -Dconfluence.home=/x, -Dother=…, -javaagent:/a.jar=… */
void redact_option(struct str *out, const char *option);
/* One variable of a script, NAME=value, as it may be told. */
void redact_variable(struct str *out, const char *pair);
