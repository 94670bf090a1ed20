#include "controller/edge/store.h"

#include "confleet/cleanup.h"
#include "controller/edge/store_plans.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int store_meta_get(struct store *store, const char *key, char **ret_owned, struct err *err)
{
    return db_get_text(store->db, ret_owned, err, "SELECT value FROM meta WHERE key=$1", "t", key);
}

int store_meta_set(struct store *store, const char *key, const char *value, struct err *err)
{
    return db_run(store->db, err,
                  "INSERT INTO meta(key, value) VALUES($1, $2) ON CONFLICT(key) DO UPDATE SET "
                  "value=excluded.value",
                  "tt", key, value);
}

static int meta_number(struct store *store, const char *key, uint64_t *ret, struct err *err)
{
    CLEANUP(free_mem) char *text = NULL;
    uint64_t value = 0;
    int result = store_meta_get(store, key, &text, err);
    if (result != 0)
        return result;
    if (text && !text_parse_u64(text, INT64_MAX, &value))
        return err_set(err, FAIL_CORRUPT, "%s: meta %s is no number: '%s'", db_path(store->db), key,
                       text);
    *ret = value;
    return 0;
}

static int meta_number_set(struct store *store, const char *key, uint64_t value, struct err *err)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return store_meta_set(store, key, text, err);
}

int store_serial(struct store *store, uint64_t *ret, struct err *err)
{
    return meta_number(store, "serial", ret, err);
}

int store_serial_set(struct store *store, uint64_t serial, struct err *err)
{
    return meta_number_set(store, "serial", serial, err);
}

static int store_identify(struct store *store, const char *fleet, struct err *err)
{
    CLEANUP(free_mem) char *have = NULL;
    int result = store_meta_get(store, "fleet", &have, err);
    if (result != 0)
        return result;
    if (!fleet && !have)
        return err_set(err, FAIL_NOT_FOUND,
                       "%s was never initialised; run confleet-controller init",
                       db_path(store->db));
    if (fleet && have)
        return err_set(err, FAIL_EXISTS, "%s belongs to fleet %s already", db_path(store->db),
                       have);
    if (fleet && (result = store_meta_set(store, "fleet", fleet, err)) != 0)
        return result;
    const char *id = fleet ? fleet : have;
    if (strlen(id) >= sizeof store->fleet)
        return err_set(err, FAIL_CORRUPT, "%s: the fleet id is too long", db_path(store->db));
    (void)snprintf(store->fleet, sizeof store->fleet, "%s", id);
    return 0;
}

int store_open(const char *path, const char *fleet, struct store **ret, struct err *err)
{
    CLEANUP(store_close) struct store *store = mem_zero(1, sizeof *store);
    int result = db_open(path, store_migrations, store_migration_count, true, &store->db, err);
    if (result == 0)
        result = store_identify(store, fleet, err);
    if (result == 0)
        result = meta_number(store, "epoch", &store->epoch, err);
    if (result == 0)
        result = meta_number(store, "adopted_epoch", &store->adopted, err);
    if (result != 0)
        return result;
    *ret = TAKE(store);
    return 0;
}

void store_close(struct store **store)
{
    if (!*store)
        return;
    plans_drop(*store);
    db_close(&(*store)->db);
    free(*store);
    *store = NULL;
}

int store_epoch_raise(struct store *store, struct err *err)
{
    int result = meta_number_set(store, "epoch", store->epoch + 1, err);
    if (result == 0)
        store->epoch++;
    return result;
}

int store_adopt(struct store *store, uint64_t epoch, struct err *err)
{
    uint64_t next = (epoch > store->epoch ? epoch : store->epoch) + 1;
    int result = meta_number_set(store, "epoch", next, err);
    if (result == 0)
        result = meta_number_set(store, "adopted_epoch", next, err);
    if (result == 0)
        store->epoch = store->adopted = next;
    return result;
}

struct guarded {
    struct store *store;
    db_tx_fn *fn;
    void *arg;
    bool batch;
};

static int guarded_tx(void *arg, struct err *err)
{
    struct guarded *guarded = arg;
    struct store *store = guarded->store;
    uint64_t epoch = 0;
    int result = meta_number(store, "epoch", &epoch, err);
    if (result == 0 && epoch != store->epoch)
        result = err_set(err, FAIL_STALE,
                         "%s is of epoch %" PRIu64 " now, this controller of epoch %" PRIu64
                         ": another one has taken over; this one ends and has changed nothing",
                         db_path(store->db), epoch, store->epoch);
    store->mine = guarded->batch;
    if (result == 0)
        result = guarded->fn(guarded->arg, err);
    store->mine = false;
    return result;
}

int store_tx(struct store *store, db_tx_fn *fn, void *arg, struct err *err)
{
    struct guarded guarded = { store, fn, arg, false };
    assert(store->now_ms > 0);
    return store->mine ? db_tx(store->db, fn, arg, err)
                       : db_tx(store->db, guarded_tx, &guarded, err);
}

int store_batch(struct store *store, db_tx_fn *fn, void *arg, struct err *err)
{
    struct guarded guarded = { store, fn, arg, true };
    return db_batch(store->db, guarded_tx, &guarded, err);
}
