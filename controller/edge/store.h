/* store - the controller's memory: one SQLite file, one writer, an epoch that rises with each
 * start.
 *
 * What a rollout is lives here and nowhere else. The nouns have files of their own (peers, sites,
 * outbox, jobs, rollouts, audit); each function there joins the transaction that its caller opened
 * by store_tx(). SQL is the dialect that PostgreSQL will share: $1 parameters, int64 times, no
 * JSON. Protobuf messages that are only shown again are kept as the bytes that came. Invariant: a
 * change of state, its audit record and its orders are in one transaction or in none. */
#pragma once
#include "confleet/db.h"
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

#define STORE_NAME_MAX 64 /* text_is_name() and its end */

struct plan_kept;

struct store {
    bool notices;    /* somebody listens to them; set by the owner */
    bool orders_new; /* an order was put in that was not sent yet; cleared by who sends them */
    struct db *db;
    struct plan_kept *plans; /* store_plans.h */
    char fleet[STORE_NAME_MAX];
    uint64_t epoch;
    bool mine;       /* in a batch, whose epoch was looked at */
    uint64_t adopted; /* epoch at which a person declared this store the one to follow; 0: never */
    int64_t
        now_ms; /* wall time of the event being handled, set by the owner before each transaction */
};

/* fleet NULL: the store must exist and have been initialised; otherwise it must be new and gets
 * this fleet id. */
int store_open(const char *path, const char *fleet, struct store **ret, struct err *err) MUST_USE;
void store_close(struct store **store);
/* Each start of the daemon: a number that no earlier start had. */
int store_epoch_raise(struct store *store, struct err *err) MUST_USE;
/* Beyond the present epoch and the one given. */
int store_adopt(struct store *store, uint64_t epoch, struct err *err) MUST_USE;
/* FAIL_STALE, and nothing was written, once another controller has raised the epoch: the lock file
 * keeps two apart where it is looked after, this where it is not (removed by hand, or on a file
 * system whose locks do not reach the other server). */
int store_tx(struct store *store, db_tx_fn *fn, void *arg, struct err *err) MUST_USE;
/* One commit for all store_tx() that fn makes; each still succeeds or fails by itself. Nobody may
 * be told of any of them before 0 is returned. */
int store_batch(struct store *store, db_tx_fn *fn, void *arg, struct err *err) MUST_USE;

int store_meta_get(struct store *store, const char *key, char **ret_owned,
                   struct err *err) MUST_USE; /* NULL: not set */
int store_meta_set(struct store *store, const char *key, const char *value,
                   struct err *err) MUST_USE;
/* Highest serial of a plan or decision that was taken in. */
int store_serial(struct store *store, uint64_t *ret, struct err *err) MUST_USE;
int store_serial_set(struct store *store, uint64_t serial, struct err *err) MUST_USE;

extern const char *const store_migrations[];
extern const size_t store_migration_count;
