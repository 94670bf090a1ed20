#include "controller/edge/store.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "controller/edge/store_rollouts.h"
#include "controller/edge/store_sites.h"
#include "harness/test.h"
#include <unistd.h>

static char *fresh_path(void)
{
    return fs_join(test_dir(), "controller.db");
}

TEST(a_store_that_was_never_initialised_is_not_opened)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(store_close) struct store *store = NULL;
    struct err err = { 0 };
    CHECK_INT(store_open(path, NULL, &store, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "confleet-controller init");
    CHECK(!store);
}

TEST(a_store_keeps_its_fleet_and_takes_no_second_one)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(store_close) struct store *store = NULL;
    struct err err = { 0 };
    CHECK_OK(store_open(path, "fleet-a", &store, &err), err);
    store_close(&store);
    CHECK_INT(store_open(path, "fleet-b", &store, &err), -FAIL_EXISTS);
    CHECK_HAS(err.text, "fleet-a");
    err_clear(&err);
    CHECK_OK(store_open(path, NULL, &store, &err), err);
    CHECK_STR(store->fleet, "fleet-a");
}

TEST(the_epoch_rises_with_each_start)
{
    CLEANUP(free_mem) char *path = fresh_path();
    struct err err = { 0 };
    for (uint64_t start = 1; start <= 3; start++) {
        CLEANUP(store_close) struct store *store = NULL;
        CHECK_OK(store_open(path, start == 1 ? "fleet-a" : NULL, &store, &err), err);
        CHECK_OK(store_epoch_raise(store, &err), err);
        CHECK_INT(store->epoch, start);
    }
}

TEST(two_controllers_never_share_a_store)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(store_close) struct store *second = NULL;
    struct err err = { 0 };
    CHECK_OK(store_open(path, "fleet-a", &store, &err), err);
    CHECK_INT(store_open(path, NULL, &second, &err), -FAIL_BUSY);
}

static int raise_tx(void *arg, struct err *err)
{
    return store_epoch_raise(arg, err);
}

static int write_tx(void *arg, struct err *err)
{
    return store_meta_set(arg, "word", "stale", err);
}

static int batch_fn(void *arg, struct err *err)
{
    return store_tx(arg, write_tx, arg, err);
}

/* The lock file was taken away by hand: SQLite itself lets both in. */
TEST(a_controller_that_another_has_replaced_writes_nothing)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(free_mem) char *lock = text_printf("%s.lock", path);
    CLEANUP(free_mem) char *word = NULL;
    CLEANUP(store_close) struct store *old = NULL;
    CLEANUP(store_close) struct store *new = NULL;
    struct err err = { 0 };
    CHECK_OK(store_open(path, "fleet-a", &old, &err), err);
    old->now_ms = 1;
    CHECK_OK(store_tx(old, raise_tx, old, &err), err);
    CHECK_OK(store_batch(old, batch_fn, old, &err), err);
    CHECK_INT(unlink(lock), 0);
    CHECK_OK(store_open(path, NULL, &new, &err), err);
    new->now_ms = 2;
    CHECK_OK(store_tx(old, write_tx, old, &err), err); /* until the new one begins */
    CHECK_OK(store_tx(new, raise_tx, new, &err), err);
    CHECK_OK(store_meta_set(new, "word", "new", &err), err);
    CHECK_INT(store_tx(old, write_tx, old, &err), -FAIL_STALE);
    CHECK_HAS(err.text, "another one has taken over");
    err_clear(&err);
    CHECK_INT(store_batch(old, batch_fn, old, &err), -FAIL_STALE);
    err_clear(&err);
    CHECK_INT(store_tx(old, raise_tx, old, &err), -FAIL_STALE);
    err_clear(&err);
    CHECK_OK(store_meta_get(new, "word", &word, &err), err);
    CHECK_STR(word, "new");
    CHECK_OK(store_batch(new, batch_fn, new, &err), err);
}

TEST(a_damaged_store_is_named_and_left_alone)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(str_free) struct str before = { 0 };
    CLEANUP(str_free) struct str after = { 0 };
    struct err err = { 0 };
    CHECK_OK(store_open(path, "fleet-a", &store, &err), err);
    store_close(&store);
    CHECK_OK(fs_read(path, 1 << 24, &before, &err), err);
    CHECK(before.len > 8192);
    memset(before.s + 4096, 0xa5, 4096);
    CHECK_OK(fs_write(path, before.s, before.len, 0600, &err), err);
    CHECK_INT(store_open(path, NULL, &store, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, path);
    err_clear(&err);
    CHECK_OK(fs_read(path, 1 << 24, &after, &err), err);
    CHECK(after.len == before.len && memcmp(after.s, before.s, after.len) == 0);
}

TEST(a_store_of_a_newer_version_is_refused_and_an_older_one_is_brought_forward)
{
    CLEANUP(free_mem) char *path = fresh_path();
    struct err err = { 0 };
    struct db *db = NULL;
    CHECK_OK(db_open(path, store_migrations, 1, false, &db, &err), err);
    CHECK_OK(db_run(db, &err,
                    "INSERT INTO meta(key, value) VALUES('fleet', 'fleet-old'), ('epoch', '7')",
                    ""),
             err);
    db_close(&db);
    CLEANUP(store_close) struct store *store = NULL;
    CHECK_OK(store_open(path, NULL, &store, &err), err);
    CHECK_STR(store->fleet, "fleet-old");
    CHECK_INT(store->epoch, 7);
    int64_t count = -1;
    CHECK_OK(db_get_i64(store->db, &count, NULL, &err, "SELECT count(*) FROM rollouts", ""), err);
    CHECK_INT(count, 0);
    CHECK_OK(db_run(store->db, &err, "UPDATE schema_version SET version=99", ""), err);
    store_close(&store);
    CHECK_INT(store_open(path, NULL, &store, &err), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "newer version");
}

TEST(a_serial_that_is_no_number_is_corruption_and_not_zero)
{
    CLEANUP(free_mem) char *path = fresh_path();
    CLEANUP(store_close) struct store *store = NULL;
    struct err err = { 0 };
    uint64_t serial = 42;
    CHECK_OK(store_open(path, "fleet-a", &store, &err), err);
    CHECK_OK(store_serial(store, &serial, &err), err);
    CHECK_INT(serial, 0);
    CHECK_OK(store_serial_set(store, 9, &err), err);
    CHECK_OK(store_serial(store, &serial, &err), err);
    CHECK_INT(serial, 9);
    CHECK_OK(store_meta_set(store, "serial", "nine", &err), err);
    CHECK_INT(store_serial(store, &serial, &err), -FAIL_CORRUPT);
    CHECK_INT(serial, 9);
}

static struct store *fresh_store(void)
{
    CLEANUP(free_mem) char *path = fresh_path();
    struct store *store = NULL;
    struct err err = { 0 };
    CHECK_OK(store_open(path, "fleet-a", &store, &err), err);
    store->now_ms = 1;
    return store;
}

#define UP_TO(count) "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" count ")"

TEST(every_rollout_that_runs_is_found_however_many_there_are)
{
    CLEANUP(store_close) struct store *store = fresh_store();
    CLEANUP(pool_free) struct pool pool = { 0 };
    const char **ids = NULL, *newest = NULL;
    size_t count = 0;
    struct err err = { 0 };
    CHECK_OK(db_run(store->db, &err,
                    UP_TO("251") " INSERT INTO rollouts(id, name, state, reason, serial, plan, "
                                 "envelope, plan_sha256, signed_by, started_ms, finished_ms) "
                                 "SELECT 'r'||i, 'r', iif(i=251, 'done', 'running'), '', i, '', "
                                 "'', '', '', i, 0 FROM n",
                    ""),
             err);
    CHECK_OK(rollouts_running(store, &pool, &ids, &count, &err), err);
    CHECK_INT(count, 250);
    CHECK_STR(ids[0], "r250");
    CHECK_STR(ids[249], "r1");
    CHECK_OK(rollout_id_find(store, &pool, "", &newest, &err), err);
    CHECK_STR(newest, "r251");
}

TEST(there_are_no_more_sites_than_a_plan_or_a_check_can_name)
{
    CLEANUP(store_close) struct store *store = fresh_store();
    Confleet__AskSiteSet ask = CONFLEET__ASK_SITE_SET__INIT;
    struct err err = { 0 };
    CHECK_INT(SITES_MAX, 4096);
    CHECK_OK(db_run(store->db, &err,
                    UP_TO("4095") " INSERT INTO sites(name, created_ms, check_event, "
                                  "checked_ms) SELECT 's'||i, 0, '', 0 FROM n",
                    ""),
             err);
    ask.name = (char *)(uintptr_t)"last";
    CHECK_OK(site_set(store, &ask, &err), err);
    ask.name = (char *)(uintptr_t)"one-more";
    CHECK_INT(site_set(store, &ask, &err), -FAIL_LIMIT);
    CHECK_HAS(err.text, "there are 4096 sites, and no more fit");
    err_clear(&err);
    ask.name = (char *)(uintptr_t)"last";
    CHECK_OK(site_set(store, &ask, &err), err);
}
