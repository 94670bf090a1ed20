#include "controller/edge/store_rollouts.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_sites.h"
#include <string.h>

#define FINDINGS_MAX 500 /* a message may hold more; a report need not */

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

int step_put(struct store *store, const struct step_row *step, struct err *err)
{
    const Confleet__StepEvent *event = step->event;
    return db_run(store->db, err,
                  "INSERT INTO steps(rollout, site, attempt, step, undo, ord, state, at_ms, "
                  "took_ms, message, down, number,"
                  " total, label) VALUES($1, $2, $3, $4, $5, (SELECT count(*) FROM steps WHERE "
                  "rollout=$1 AND site=$2), $6,"
                  " $7, $8, $9, $10, $11, $12, $13) ON CONFLICT(rollout, site, attempt, step, "
                  "undo) DO UPDATE SET"
                  " state=excluded.state, at_ms=excluded.at_ms, took_ms=excluded.took_ms, "
                  "message=excluded.message,"
                  " down=excluded.down",
                  "ttitiiiitiiit", step->rollout, step->site, step->attempt, event->step,
                  (int64_t)event->undo, (int64_t)event->state, step->at_ms, event->took_ms,
                  event->message, (int64_t)event->down, (int64_t)event->number,
                  (int64_t)event->count, event->label);
}

struct step_list {
    struct list events, times;
};

static int step_row(void *arg, const struct db_row *row, struct err *err)
{
    struct step_list *steps = arg;
    struct pool *pool = steps->events.pool;
    Confleet__StepEvent *event = pool_alloc(pool, sizeof *event);
    int64_t at_ms = db_i64(row, 3);
    (void)err;
    confleet__step_event__init(event);
    event->step = pool_text(pool, db_text(row, 0));
    event->undo = db_i64(row, 1) != 0;
    event->state = (Confleet__StepState)db_i64(row, 2);
    event->took_ms = db_i64(row, 4);
    event->message = pool_text(pool, db_text(row, 5));
    event->down = db_i64(row, 6) != 0;
    event->number = (uint32_t)db_i64(row, 7);
    event->count = (uint32_t)db_i64(row, 8);
    event->label = pool_text(pool, db_text(row, 9));
    pool_push(pool, &steps->events.items, &steps->events.count, event);
    pool_push(pool, &steps->times.items, &steps->times.count,
              pool_copy(pool, &at_ms, sizeof at_ms));
    return 0;
}

int steps_list(struct store *store, struct pool *pool, const char *rollout, const char *site,
               int64_t attempt, Confleet__StepEvent ***ret_events, int64_t **ret_at_ms,
               size_t *ret_count, struct err *err)
{
    struct step_list steps = { { pool, NULL, 0 }, { pool, NULL, 0 } };
    int result = db_each(
        store->db, step_row, &steps, err,
        "SELECT step, undo, state, at_ms, took_ms, message, down, number, total, label FROM steps"
        " WHERE rollout=$1 AND site=$2 AND attempt=$3 ORDER BY ord",
        "tti", rollout, site, attempt);
    if (result != 0)
        return result;
    int64_t *times = pool_alloc(pool, (steps.times.count + 1) * sizeof *times);
    for (size_t i = 0; i < steps.times.count; i++)
        memcpy(&times[i], steps.times.items[i], sizeof times[i]);
    *ret_events = (Confleet__StepEvent **)steps.events.items;
    *ret_at_ms = times;
    *ret_count = steps.events.count;
    return 0;
}

struct check {
    struct pool *pool;
    const uint8_t *bytes;
    size_t len;
};

static int check_row(void *arg, const struct db_row *row, struct err *err)
{
    struct check *check = arg;
    const void *bytes = db_bytes(row, 0, &check->len);
    (void)err;
    check->bytes = pool_copy(check->pool, bytes, check->len);
    return 0;
}

int rollout_check_get(struct store *store, struct pool *pool, const char *rollout, const char *site,
                      const uint8_t **ret, size_t *ret_len, struct err *err)
{
    struct check check = { pool, NULL, 0 };
    int result = db_each(store->db, check_row, &check, err,
                         "SELECT check_event FROM rollout_sites WHERE rollout=$1 AND site=$2", "tt",
                         rollout, site);
    if (result == 0) {
        *ret = check.bytes;
        *ret_len = check.len;
    }
    return result;
}

static bool stays(const Confleet__Finding *old, const Confleet__CheckEvent *new)
{
    bool checked = false;
    for (size_t i = 0; i < new->n_findings; i++) {
        if (strcmp(new->findings[i]->id, old->id) == 0)
            return false;
        checked = checked || new->findings[i]->family[0] != '\0';
    }
    /* What has a family came from the table of checks, which is always judged as a whole. */
    return !checked || old->family[0] == '\0';
}

int rollout_check_add(struct store *store, const char *rollout, const char *site,
                      const Confleet__Event *event, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    const Confleet__Event *old = NULL;
    const uint8_t *kept = NULL;
    size_t kept_len = 0;
    int result = rollout_check_get(store, &pool, rollout, site, &kept, &kept_len, err);
    if (result == 0)
        result = pool_event(&pool, kept, kept_len, &old, err);
    if (result != 0)
        return result;
    Confleet__Event all = *event;
    Confleet__CheckEvent check = *event->check;
    bool same_run = old && old->what_case == CONFLEET__EVENT__WHAT_CHECK &&
                    old->attempt == event->attempt;
    size_t old_count = same_run ? old->check->n_findings : 0;
    check.findings = pool_alloc(&pool, (check.n_findings + old_count + 1) * sizeof *check.findings);
    for (size_t i = 0; i < event->check->n_findings; i++)
        check.findings[i] = event->check->findings[i];
    for (size_t i = 0; i < old_count && check.n_findings < FINDINGS_MAX; i++)
        if (stays(old->check->findings[i], event->check))
            check.findings[check.n_findings++] = old->check->findings[i];
    all.check = &check;
    wire_encode(&all.base, &bytes);
    return db_run(store->db, err,
                  "UPDATE rollout_sites SET check_event=$3 WHERE rollout=$1 AND site=$2", "ttb",
                  rollout, site, bytes.s, bytes.len);
}
