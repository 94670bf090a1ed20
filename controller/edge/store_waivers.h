/* store_waivers - signed waivers of findings, one for each site and check at most.
 *
 * The signed text is kept as it came: the agents judge it again. A waiver of an operator who was
 * revoked or may not waive any more is in force no longer. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

struct waiver {
    const char *site, *check, *reason, *made_by, *key_id;
    int64_t until_ms, at_ms;
    const Confleet__SignedText *text;
};
int waiver_put(struct store *store, const struct waiver *waiver, struct err *err) MUST_USE;
int waiver_lift(struct store *store, const char *site, const char *check, bool *ret_found,
                struct err *err) MUST_USE;
/* Those in force, in the order of site and check. site "": all. */
int waivers_list(struct store *store, struct pool *pool, const char *site, struct waiver ***ret,
                 size_t *ret_count, struct err *err) MUST_USE;
/* The signed texts of a site's, for an order to its agent. */
int waivers_texts(struct store *store, struct pool *pool, const char *site,
                  Confleet__SignedText ***ret, size_t *ret_count, struct err *err) MUST_USE;
