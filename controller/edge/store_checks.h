/* store_checks - what the checks of a site found, the last CHECKS_KEPT of each.
 *
 * Kept without remedy and rule and with a short evidence: they are there to be compared with. The
 * newest one in full stands with its site and with its job. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define CHECKS_KEPT    20
#define CHECK_EVIDENCE 240 /* bytes of it that are kept */

struct check_new {
    const char *site, *target, *cause; /* target: version, "" for none; cause: job or rollout */
    const Confleet__Event *event;
};
int check_keep(struct store *store, const struct check_new *check, struct err *err) MUST_USE;
/* Newest first. */
int checks_list(struct store *store, struct pool *pool, const char *site,
                Confleet__CheckView ***ret, size_t *ret_count, struct err *err) MUST_USE;
/* The check before the one of this cause, of the same target where there is one; NULL for none. */
int check_before(struct store *store, struct pool *pool, const char *site, const char *cause,
                 Confleet__CheckView **ret, struct err *err) MUST_USE;
