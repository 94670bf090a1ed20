/* store_catalogue - what operators know of releases beyond the shipped catalogue.
 *
 * An entry says nothing of an artifact. A later one takes the place of the one of that version,
 * whole. All entries go to the agents with each check, so there is a bound on them. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define STORE_CATALOGUE_MAX       400
#define STORE_CATALOGUE_BYTES_MAX (128 * 1024)
struct store_catalogue {
    Confleet__Release **list; /* by version as text */
    size_t count;
};
/* FAIL_USAGE: its version is none. */
int store_catalogue_put(struct store *store, const Confleet__Release *release, const char *who,
                        struct err *err) MUST_USE;
int store_catalogue_bound(struct store *store, struct err *err) MUST_USE; /* FAIL_LIMIT */
int store_catalogue_read(struct store *store, struct pool *pool, struct store_catalogue *ret,
                         struct err *err) MUST_USE;
