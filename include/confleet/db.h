/* db - SQLite as journal of the agent and store of the controller: one connection, WAL, synchronous=FULL.
 *
 * One SQL text will serve PostgreSQL too: $1 parameters, no JSON in SQL, times as int64. Each statement text is prepared
 * once and kept. A failed write, a full disk or damage closes the connection for good: every later call fails, the
 * owner stops and is started anew. Invariant: no transaction is open when db_tx() or db_batch() returns, but
 * that of a batch around it. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

struct db;
struct db_row;                               /* one result row, valid inside its callback only */

/* Migrations: texts in order, each run once, the whole run in one transaction. Checks integrity (quick_check) when asked;
 * damage is FAIL_CORRUPT with the file's name. Takes an exclusive lock file PATH.lock: FAIL_BUSY names the holder's pid. */
int db_open(const char *path, const char *const *migrations, size_t count, bool check, struct db **ret_db, struct err *err) MUST_USE;
/* The same store beside its owner or without it: no lock, no migration; every write fails. FAIL_NOT_FOUND when there is none. */
int db_open_read(const char *path, struct db **ret_db, struct err *err) MUST_USE;
void db_close(struct db **db);
const char *db_path(const struct db *db);

/* Parameters by kind: i int64_t, t const char * (NULL is SQL null), b const void * and size_t. "it" binds $1 and $2. */
int db_run(struct db *db, struct err *err, const char *sql, const char *kinds, ...) MUST_USE;
/* Rows that the last db_run() changed. */
int64_t db_changes(const struct db *db);
int64_t db_last_id(const struct db *db);
/* Calls each() for every row; a non-zero answer stops and is returned. */
typedef int db_each_fn(void *arg, const struct db_row *row, struct err *err);
int db_each(struct db *db, db_each_fn *each, void *arg, struct err *err, const char *sql, const char *kinds, ...) MUST_USE;
/* One number of the first row's first column; *ret is untouched and 0 returned when there is no row (*ret_found tells, may be NULL). */
int db_get_i64(struct db *db, int64_t *ret, bool *ret_found, struct err *err, const char *sql, const char *kinds, ...) MUST_USE;
int db_get_text(struct db *db, char **ret_owned, struct err *err, const char *sql, const char *kinds, ...) MUST_USE;   /* NULL when no row or null */

int64_t db_i64(const struct db_row *row, int column);
const char *db_text(const struct db_row *row, int column);           /* "" for null */
const void *db_bytes(const struct db_row *row, int column, size_t *ret_len);

/* Runs fn inside BEGIN IMMEDIATE … COMMIT (synced when it returns 0); any failure rolls back. Nested calls join the outer one. */
typedef int db_tx_fn(void *arg, struct err *err);
int db_tx(struct db *db, db_tx_fn *fn, void *arg, struct err *err) MUST_USE;
/* Many transactions with one sync of the disk: runs fn inside BEGIN IMMEDIATE … COMMIT, in which each db_tx() is judged by
 * itself: one that fails undoes its own changes and nothing else. Nothing of the batch is kept before 0 is returned; what
 * fails in fn itself, or in the commit, undoes all of it. Not to be nested. */
int db_batch(struct db *db, db_tx_fn *fn, void *arg, struct err *err) MUST_USE;
