#include "controller/edge/store_waivers.h"

#include "confleet/cleanup.h"
#include "confleet/waiver.h"
#include "controller/edge/store_decisions.h"
#include <string.h>

struct list {
    struct pool *pool;
    struct waiver **items;
    size_t count;
};

int waiver_put(struct store *store, const struct waiver *waiver, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    int64_t count = 0;
    int result =
        db_run(store->db, err, "DELETE FROM waivers WHERE until_ms<=$1", "i", store->now_ms);
    if (result == 0)
        result = db_get_i64(store->db, &count, NULL, err,
                            "SELECT count(*) FROM waivers WHERE site=$1 AND check_id<>$2", "tt",
                            waiver->site, waiver->check);
    if (result == 0 && count >= WAIVERS_SITE_MAX)
        return err_set(err, FAIL_LIMIT, "site %s has %d waivers already", waiver->site,
                       WAIVERS_SITE_MAX);
    if (result != 0)
        return result;
    decision_envelope(waiver->text, &bytes);
    return db_run(store->db, err,
                  "INSERT INTO waivers(site, check_id, until_ms, reason, made_by, key_id, at_ms, "
                  "envelope) VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(site, check_id) DO "
                  "UPDATE SET until_ms=excluded.until_ms, reason=excluded.reason, "
                  "made_by=excluded.made_by, key_id=excluded.key_id, at_ms=excluded.at_ms, "
                  "envelope=excluded.envelope",
                  "ttitttib", waiver->site, waiver->check, waiver->until_ms, waiver->reason,
                  waiver->made_by, waiver->key_id, store->now_ms, bytes.s, bytes.len);
}

int waiver_lift(struct store *store, const char *site, const char *check, bool *ret_found,
                struct err *err)
{
    int result = db_run(store->db, err,
                        "DELETE FROM waivers WHERE site=$1 AND check_id=$2 AND until_ms>$3", "tti",
                        site, check, store->now_ms);
    if (result == 0)
        *ret_found = db_changes(store->db) > 0;
    return result;
}

static int waiver_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct waiver *waiver = pool_alloc(list->pool, sizeof *waiver);
    waiver->site = pool_text(list->pool, db_text(row, 0));
    waiver->check = pool_text(list->pool, db_text(row, 1));
    waiver->until_ms = db_i64(row, 2);
    waiver->reason = pool_text(list->pool, db_text(row, 3));
    waiver->made_by = pool_text(list->pool, db_text(row, 4));
    waiver->key_id = pool_text(list->pool, db_text(row, 5));
    waiver->at_ms = db_i64(row, 6);
    int result = decision_unwrap(list->pool, row, 7, &waiver->text, err);
    if (result == 0)
        pool_push(list->pool, &list->items, &list->count, waiver);
    return result;
}

int waivers_list(struct store *store, struct pool *pool, const char *site, struct waiver ***ret,
                 size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, waiver_row, &list, err,
                         "SELECT site, check_id, until_ms, reason, made_by, key_id, at_ms, envelope "
                         "FROM waivers w WHERE ($1='' OR site=$1) AND until_ms>$2 AND EXISTS "
                         "(SELECT 1 FROM operators o WHERE o.key_id=w.key_id AND "
                         "o.state='accepted' AND o.role IN ($3, $4)) ORDER BY site, check_id",
                         "tiii", site, store->now_ms, (int64_t)CONFLEET__ROLE__OPERATOR,
                         (int64_t)CONFLEET__ROLE__ADMIN);
    if (result != 0)
        return result;
    *ret = list.items;
    *ret_count = list.count;
    return 0;
}

int waivers_texts(struct store *store, struct pool *pool, const char *site,
                  Confleet__SignedText ***ret, size_t *ret_count, struct err *err)
{
    struct waiver **waivers = NULL;
    size_t count = 0;
    int result = waivers_list(store, pool, site, &waivers, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        pool_push(pool, ret, ret_count, (void *)(uintptr_t)waivers[i]->text);
    return result;
}
