/* app_state - which apps were switched off or on by hand: the XStream map that Confluence keeps in
 * bandana under plugin.manager.state.Map. An app that it does not name is as it was shipped. */
#pragma once
#include "confleet/err.h"
#include <stddef.h>

#define APP_STATE_MAX ((size_t)2 << 20)

struct app_state;
int app_state_parse(const char *bytes, size_t len, struct app_state **ret,
                    struct err *err) MUST_USE; /* FAIL_CORRUPT, FAIL_LIMIT */
void app_state_free(struct app_state **state); /* fits CLEANUP() */
/* False: not named. */
bool app_state_of(const struct app_state *state, const char *key, bool *ret_enabled);
