#include "controller/edge/store_rollouts.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include <string.h>

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

int rollout_check_set(struct store *store, const char *rollout, const char *site,
                      const Confleet__Event *event, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&event->base, &bytes);
    return db_run(store->db, err,
                  "UPDATE rollout_sites SET check_event=$3 WHERE rollout=$1 AND site=$2", "ttb",
                  rollout, site, bytes.s, bytes.len);
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
