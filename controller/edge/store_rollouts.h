/* store_rollouts - rollouts as they lie in the store: the signed plan verbatim, and where each site
 * is.
 *
 * rollout_feed() is the only way in which a rollout moves: it loads the case, lets the engine
 * (core/rollout.h) decide, and writes states, audit records and orders in the caller's transaction.
 */
#pragma once
#include "confleet.pb-c.h"
#include "controller/core/rollout.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

struct rollout_row { /* of one site */
    const char *stage_name, *site, *agent, *installation, *reason, *safe_next, *version,
        *from_version;
    int64_t attempt, started_ms, finished_ms, outage_ms, build, from_build;
    int64_t soaking_ms; /* when the new version was healthy first */
    Confleet__RunState run;
    bool changed; /* rollout_feed() writes it */
};

struct approval {
    const char *stage, *key_id, *operator_name;
    int64_t at_ms, expires_ms;
    const Confleet__SignedText *text;
    bool in_force; /* its signer may approve, and it has not expired */
};

struct rollout_case {
    const char *id, *name, *signed_by, *plan_sha256;
    int64_t started_ms, finished_ms;
    struct rollout core;
    struct rollout_row *rows; /* as many as core.sites */
    const Confleet__Plan *plan;
    const Confleet__SignedText *signed_plan;
    const struct approval *approvals;
    size_t approval_count;
};

struct rollout_new {
    const Confleet__Plan *plan;
    const Confleet__SignedText *signed_plan;
    const char *sha256, *signed_by;
};
int rollout_put(struct store *store, const struct rollout_new *rollout, struct err *err) MUST_USE;
/* NULL when there is none of that id. */
int rollout_load(struct store *store, struct pool *pool, const char *id, struct rollout_case **ret,
                 struct err *err) MUST_USE;
/* One site's place in a rollout, without the rest of it. */
struct rollout_seat {
    const char *rollout, *site, *agent;
    int64_t attempt;
    enum site_state state;
};
/* NULL when there is no such rollout, or the site is not in it. */
int rollout_seat_get(struct store *store, struct pool *pool, const char *rollout, const char *site,
                     struct rollout_seat **ret, struct err *err) MUST_USE;
/* All that an agent has, of every rollout. */
int rollout_seats(struct store *store, struct pool *pool, const char *agent,
                  struct rollout_seat ***ret, size_t *ret_count, struct err *err) MUST_USE;
/* The signed plan alone, as it was given. */
int rollout_plan(struct store *store, const char *id, const Confleet__SignedText **ret,
                 struct err *err) MUST_USE;
/* id "": the newest. */
int rollout_id_find(struct store *store, struct pool *pool, const char *id, const char **ret,
                    struct err *err) MUST_USE;
/* All that run, however many, newest first. */
int rollouts_running(struct store *store, struct pool *pool, const char ***ret, size_t *ret_count,
                     struct err *err) MUST_USE;
/* All, newest first, that come behind this one (empty: from the newest on). */
int rollouts_page(struct store *store, struct pool *pool, const char *after, int64_t limit,
                  const char ***ret, size_t *ret_count, struct err *err) MUST_USE;
/* Feeds the event (NULL: only looks what may start), writes what changed and the orders that
 * follow. who: for the audit. */
int rollout_feed(struct store *store, struct rollout_case *rollout,
                 const struct rollout_event *event, const char *who, struct err *err) MUST_USE;
/* Findings of the run's own checks and its steps' remarks, as one Event; empty before there are any.
 * One of the same id takes the place of the one before; a check takes the place of all of the check
 * before, and a new attempt begins anew. */
int rollout_check_add(struct store *store, const char *rollout, const char *site,
                      const Confleet__Event *event, struct err *err) MUST_USE;
int rollout_check_get(struct store *store, struct pool *pool, const char *rollout, const char *site,
                      const uint8_t **ret, size_t *ret_len, struct err *err) MUST_USE;
/* Place of a site in the case; false when it is not in it. */
bool rollout_place(const struct rollout_case *rollout, const char *site, size_t *ret_place);

/* One step as an agent reported it. */
struct step_row {
    const char *rollout, *site;
    int64_t attempt, at_ms;
    const Confleet__StepEvent *event;
};
int step_put(struct store *store, const struct step_row *step, struct err *err) MUST_USE;
int steps_list(struct store *store, struct pool *pool, const char *rollout, const char *site,
               int64_t attempt, Confleet__StepEvent ***ret_events, int64_t **ret_at_ms,
               size_t *ret_count, struct err *err) MUST_USE;
