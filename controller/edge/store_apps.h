/* store_apps - what operators' files say of apps and the releases they fit.
 *
 * An entry takes the place of the one of that app, version and range. All entries go to the agents
 * with each check, so there is a bound on them. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define STORE_APPS_MAX       4000 /* a reply lists them all */
#define STORE_APPS_BYTES_MAX (240 * 1024)
struct store_apps {
    Confleet__AppEntry **list; /* by key, the newest version first */
    size_t count;
};
/* FAIL_USAGE: one is no entry, FAIL_LIMIT: too many; then nothing may be kept of them. */
int store_apps_put(struct store *store, const Confleet__AskApps *import, const char *who,
                   struct err *err) MUST_USE;
int store_apps_read(struct store *store, struct pool *pool, struct store_apps *ret,
                    struct err *err) MUST_USE;
