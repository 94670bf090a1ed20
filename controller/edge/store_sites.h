/* store_sites - the inventory: which sites there are, their labels, which installation on which
 * agent belongs to them, and which test site stands for which production site.
 *
 * Agents report installations; only a person's site_set() makes one part of a site, and an
 * installation belongs to one site at most. What no site claims is unassigned and never touched. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/wire.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define SITE_LABELS_MAX 64
#define LABEL_VALUE_MAX 256
#define SITES_MAX       WIRE_SITES_MAX /* so that one plan or check can name all of them */

struct site {
    const char *name;
    const uint8_t *check;
    size_t check_len;
    int64_t checked_ms;
}; /* check: an Event */
struct label {
    const char *key, *value;
};
struct node {
    const char *agent, *installation, *site;
};

/* Makes the site when it is new. Refuses an installation that nobody reported or that another site
 * holds. */
int site_set(struct store *store, const Confleet__AskSiteSet *ask, struct err *err) MUST_USE;
int site_find(struct store *store, struct pool *pool, const char *name, struct site **ret,
              struct err *err) MUST_USE;
/* By name, those behind this one (empty: from the first on). */
int sites_list(struct store *store, struct pool *pool, const char *after, int64_t limit,
               struct site ***ret, size_t *ret_count, struct err *err) MUST_USE;
int site_labels(struct store *store, struct pool *pool, const char *site, struct label ***ret,
                size_t *ret_count, struct err *err) MUST_USE;
int site_nodes(struct store *store, struct pool *pool, const char *site, struct node ***ret,
               size_t *ret_count, struct err *err) MUST_USE;
/* "" when no site claims the installation. */
int site_of_node(struct store *store, struct pool *pool, const char *agent,
                 const char *installation, const char **ret, struct err *err) MUST_USE;
/* Names of the sites that this test site stands for, in the pool. */
int site_covers(struct store *store, struct pool *pool, const char *site, char ***ret,
                size_t *ret_count, struct err *err) MUST_USE;
/* Name of the site that covers this one, or "". */
int site_covered_by(struct store *store, struct pool *pool, const char *site, const char **ret,
                    struct err *err) MUST_USE;
int site_check_set(struct store *store, const char *site, const Confleet__Event *event,
                   struct err *err) MUST_USE;
/* The installation as its agent reported it last; NULL when it is not (any more) reported. Lives in
 * the pool. */
int installation_find(struct store *store, struct pool *pool, const char *agent, const char *id,
                      const Confleet__Installation **ret, struct err *err) MUST_USE;
/* A decoded copy of a kept message that lives as long as the pool; NULL when nothing was kept. */
int pool_survey(struct pool *pool, const uint8_t *bytes, size_t len, const Confleet__Survey **ret,
                struct err *err) MUST_USE;
int pool_event(struct pool *pool, const void *bytes, size_t len, const Confleet__Event **ret,
               struct err *err) MUST_USE;
