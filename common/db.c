#include "confleet/db.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/str.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATEMENTS_MAX 256

struct statement { const char *sql; sqlite3_stmt *stmt; bool busy; };
struct db {
    sqlite3 *handle;
    char *path;
    int lock_fd;
    int depth;                       /* of db_tx() */
    bool batch;                      /* inside db_batch() */
    bool broken;
    struct statement statements[STATEMENTS_MAX];
    size_t count;
};
struct db_row { sqlite3_stmt *stmt; };

CLEANUP_OF(stmt_drop, sqlite3_stmt *, sqlite3_finalize)

/* Says what SQLite said. What means lost or damaged writes closes the connection for good. */
static int fail(struct db *db, int rc, const char *what, struct err *err)
{
    int primary = rc & 0xff;
    enum fail code = primary == SQLITE_FULL                                  ? FAIL_SPACE
                     : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? FAIL_CORRUPT
                     : primary == SQLITE_CONSTRAINT                          ? FAIL_CONFLICT
                     : primary == SQLITE_BUSY || primary == SQLITE_LOCKED    ? FAIL_BUSY
                                                                             : FAIL_DATABASE;
    if (code == FAIL_SPACE || code == FAIL_CORRUPT || primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
        db->broken = true;
    return err_set(err, code, "%s: %s: %s", db->path, what, db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
}

static int exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(db, rc, sql, err);
}

/* Statement texts are literals: the same pointer most times, the same text always. */
static int prepare(struct db *db, const char *sql, struct statement **ret, sqlite3_stmt **ret_own, struct err *err)
{
    for (size_t i = 0; i < db->count; i++) {
        struct statement *s = &db->statements[i];
        if (s->busy || (s->sql != sql && strcmp(s->sql, sql) != 0))
            continue;
        *ret = s;
        return 0;
    }
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, sql, err);
    if (db->count < STATEMENTS_MAX) {
        *ret = &db->statements[db->count++];
        **ret = (struct statement){ text_dup(sql), stmt, false };
    } else {
        *ret_own = stmt;
    }
    return 0;
}

static int bind(struct db *db, sqlite3_stmt *stmt, const char *kinds, va_list ap, struct err *err)
{
    for (int n = 1; kinds && kinds[n - 1]; n++) {
        char name[16];
        (void)snprintf(name, sizeof name, "$%d", n);     /* SQLite numbers by first appearance, so by name */
        int at = sqlite3_bind_parameter_index(stmt, name);
        int rc;
        assert(at > 0);
        if (kinds[n - 1] == 'i') {
            rc = sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
        } else if (kinds[n - 1] == 't') {
            const char *text = va_arg(ap, const char *);
            rc = text ? sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(stmt, at);
        } else {
            assert(kinds[n - 1] == 'b');
            const void *bytes = va_arg(ap, const void *);
            size_t len = va_arg(ap, size_t);
            rc = sqlite3_bind_blob64(stmt, at, bytes ? bytes : "", len, SQLITE_TRANSIENT);
        }
        if (rc != SQLITE_OK)
            return fail(db, rc, "bind", err);
    }
    return 0;
}

static int steps(struct db *db, sqlite3_stmt *stmt, const char *sql, db_each_fn *each, void *arg, struct err *err)
{
    for (;;) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_DONE)
            return 0;
        if (rc != SQLITE_ROW)
            return fail(db, rc, sql, err);
        struct db_row row = { stmt };
        int result = each ? each(arg, &row, err) : 0;
        if (result != 0)
            return result;
    }
}

static int query(struct db *db, db_each_fn *each, void *arg, struct err *err, const char *sql, const char *kinds, va_list ap)
{
    if (db->broken)
        return err_set(err, FAIL_DATABASE, "%s: closed after an earlier failure; the program must be started anew", db->path);
    CLEANUP(stmt_drop) sqlite3_stmt *own = NULL;
    struct statement *cached = NULL;
    int result = prepare(db, sql, &cached, &own, err);
    if (result != 0)
        return result;
    size_t index = cached ? (size_t)(cached - db->statements) : 0;
    sqlite3_stmt *stmt = cached ? cached->stmt : own;
    if (cached)
        cached->busy = true;
    result = bind(db, stmt, kinds, ap, err);
    if (result == 0)
        result = steps(db, stmt, sql, each, arg, err);
    (void)sqlite3_reset(stmt);      /* repeats the step's result, which was looked at */
    (void)sqlite3_clear_bindings(stmt);
    if (cached)
        db->statements[index].busy = false;
    return result;
}

int db_run(struct db *db, struct err *err, const char *sql, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    int result = query(db, NULL, NULL, err, sql, kinds, ap);
    va_end(ap);
    return result;
}

int db_each(struct db *db, db_each_fn *each, void *arg, struct err *err, const char *sql, const char *kinds, ...)
{
    va_list ap;
    va_start(ap, kinds);
    int result = query(db, each, arg, err, sql, kinds, ap);
    va_end(ap);
    return result;
}

struct one { int64_t number; char *text; bool found; };

static int take_one(void *arg, const struct db_row *row, struct err *err)
{
    struct one *one = arg;
    (void)err;
    if (one->found)
        return 0;
    one->found = true;
    one->number = sqlite3_column_int64(row->stmt, 0);
    const unsigned char *text = sqlite3_column_text(row->stmt, 0);
    one->text = text ? text_dup((const char *)text) : NULL;
    return 0;
}

int db_get_i64(struct db *db, int64_t *ret, bool *ret_found, struct err *err, const char *sql, const char *kinds, ...)
{
    struct one one = { 0, NULL, false };
    va_list ap;
    va_start(ap, kinds);
    int result = query(db, take_one, &one, err, sql, kinds, ap);
    va_end(ap);
    if (result == 0 && one.found && one.text)
        *ret = one.number;
    if (result == 0 && ret_found)
        *ret_found = one.found && one.text;
    free(one.text);
    return result;
}

int db_get_text(struct db *db, char **ret_owned, struct err *err, const char *sql, const char *kinds, ...)
{
    struct one one = { 0, NULL, false };
    va_list ap;
    va_start(ap, kinds);
    int result = query(db, take_one, &one, err, sql, kinds, ap);
    va_end(ap);
    if (result == 0)
        *ret_owned = TAKE(one.text);
    free(one.text);
    return result;
}

int64_t db_changes(const struct db *db) { return sqlite3_changes64(db->handle); }
int64_t db_last_id(const struct db *db) { return sqlite3_last_insert_rowid(db->handle); }
const char *db_path(const struct db *db) { return db->path; }

int64_t db_i64(const struct db_row *row, int column) { return sqlite3_column_int64(row->stmt, column); }

const char *db_text(const struct db_row *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row->stmt, column);
    return text ? (const char *)text : "";
}

const void *db_bytes(const struct db_row *row, int column, size_t *ret_len)
{
    const void *bytes = sqlite3_column_blob(row->stmt, column);
    *ret_len = (size_t)sqlite3_column_bytes(row->stmt, column);
    return bytes ? bytes : "";
}

static int whole(struct db *db, const char *what, struct err *err)
{
    if (!db->broken)
        return 0;
    return err_set(err, FAIL_DATABASE, "%s: %s: closed after an earlier failure; the program must be started anew", db->path, what);
}

/* Ends what exec(BEGIN) began. */
static int tx_end(struct db *db, int result, struct err *err)
{
    if (result == 0)
        result = exec(db, "COMMIT", err);
    if (result != 0 && !sqlite3_get_autocommit(db->handle)
        && sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        db->broken = true;
    return result;
}

/* One part of a batch. Some failures make SQLite roll back all of it by itself: then the other parts are lost too. */
static int part(struct db *db, db_tx_fn *fn, void *arg, struct err *err)
{
    int result = db_run(db, err, "SAVEPOINT part", "");
    if (result != 0)
        return result;
    db->depth = 1;
    result = fn(arg, err);
    db->depth = 0;
    if (result == 0)
        result = db_run(db, err, "RELEASE part", "");
    if (result != 0
        && (sqlite3_get_autocommit(db->handle)
            || sqlite3_exec(db->handle, "ROLLBACK TO part; RELEASE part", NULL, NULL, NULL) != SQLITE_OK))
        db->broken = true;
    return result;
}

int db_tx(struct db *db, db_tx_fn *fn, void *arg, struct err *err)
{
    if (db->depth > 0)
        return fn(arg, err);
    int result = whole(db, "begin", err);
    if (result == 0 && db->batch)
        return part(db, fn, arg, err);
    if (result == 0)
        result = exec(db, "BEGIN IMMEDIATE", err);
    if (result != 0)
        return result;
    db->depth = 1;
    result = fn(arg, err);
    db->depth = 0;
    return tx_end(db, result, err);
}

int db_batch(struct db *db, db_tx_fn *fn, void *arg, struct err *err)
{
    assert(db->depth == 0 && !db->batch);
    int result = whole(db, "begin", err);
    if (result == 0)
        result = exec(db, "BEGIN IMMEDIATE", err);
    if (result != 0)
        return result;
    db->batch = true;
    result = fn(arg, err);
    db->batch = false;
    if (result == 0)
        result = whole(db, "commit", err);
    return tx_end(db, result, err);
}

struct migration { struct db *db; const char *const *texts; size_t count; };

static int migrate(void *arg, struct err *err)
{
    struct migration *m = arg;
    int64_t have = 0;
    int result = exec(m->db, "CREATE TABLE IF NOT EXISTS schema_version(version bigint NOT NULL)", err);
    if (result == 0)
        result = db_get_i64(m->db, &have, NULL, err, "SELECT version FROM schema_version", "");
    if (result != 0)
        return result;
    if (have > (int64_t)m->count)
        return err_set(err, FAIL_UNSUPPORTED, "%s was written by a newer version (schema %lld, this program knows %zu)",
                       m->db->path, (long long)have, m->count);
    for (size_t i = (size_t)have; i < m->count && result == 0; i++)
        result = exec(m->db, m->texts[i], err);
    if (result == 0 && (size_t)have < m->count) {
        result = exec(m->db, "DELETE FROM schema_version", err);
        if (result == 0)
            result = db_run(m->db, err, "INSERT INTO schema_version(version) VALUES($1)", "i", (int64_t)m->count);
    }
    return result;
}

static int check_integrity(struct db *db, struct err *err)
{
    CLEANUP(free_mem) char *said = NULL;
    int result = db_get_text(db, &said, err, "PRAGMA quick_check(1)", "");
    if (result != 0)
        return result;
    if (!said || strcmp(said, "ok") != 0)
        return err_set(err, FAIL_CORRUPT, "%s is damaged (%s); nothing was changed. Put the file aside and restore it from its backup",
                       db->path, said ? said : "no answer");
    return 0;
}

static int set_up(struct db *db, bool check, struct err *err)
{
    int on = 0;
    CLEANUP(free_mem) char *mode = NULL;
    int rc = sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, "open", err);
    if (sqlite3_busy_timeout(db->handle, 5000) != SQLITE_OK
        || sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, &on) != SQLITE_OK
        || sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, &on) != SQLITE_OK
        || sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, &on) != SQLITE_OK)
        return err_set(err, FAIL_DATABASE, "%s: cannot be configured", db->path);
    int result = db_get_text(db, &mode, err, "PRAGMA journal_mode=WAL", "");
    if (result == 0 && (!mode || strcmp(mode, "wal") != 0))
        return err_set(err, FAIL_DATABASE, "%s: write-ahead log cannot be used here (a network file system?)", db->path);
    if (result == 0)
        result = exec(db, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;", err);
    return result == 0 && check ? check_integrity(db, err) : result;
}

/* The sync of the log may have failed in the process before this one, and the kernel keeps such pages as if they were written
 * (pitfalls, R11). SQLite would read them back, sync the log again and rely on it: so all of it is written once more first. */
static int log_again(const char *path, struct err *err)
{
    CLEANUP(free_mem) char *log = text_printf("%s-wal", path);
    CLEANUP(close_fd) int fd = open(log, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char bytes[65536];
    off_t at = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "open %s", log);
    for (;;) {
        ssize_t got = pread(fd, bytes, sizeof bytes, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", log);
        if (got == 0)
            break;
        ssize_t put = pwrite(fd, bytes, (size_t)got, at);
        if (put < 0 && errno != EINTR)
            return err_sys(err, FAIL_IO, errno, "write %s", log);
        at += put > 0 ? put : 0;
    }
    return at > 0 ? fs_sync_fd(fd, log, err) : 0;
}

int db_open(const char *path, const char *const *migrations, size_t count, bool check, struct db **ret_db, struct err *err)
{
    CLEANUP(db_close) struct db *db = mem_zero(1, sizeof *db);
    CLEANUP(free_mem) char *lock = text_printf("%s.lock", path);
    db->path = text_dup(path);
    db->lock_fd = -1;
    int result = fs_lock(lock, &db->lock_fd, err);
    if (result == 0)
        result = log_again(path, err);
    if (result == 0)
        result = set_up(db, check, err);
    struct migration m = { db, migrations, count };
    if (result == 0 && count)
        result = db_tx(db, migrate, &m, err);
    if (result != 0)
        return result;
    *ret_db = TAKE(db);
    return 0;
}

int db_open_read(const char *path, struct db **ret_db, struct err *err)
{
    if (!fs_exists(path))
        return err_set(err, FAIL_NOT_FOUND, "%s does not exist", path);
    CLEANUP(db_close) struct db *db = mem_zero(1, sizeof *db);
    db->path = text_dup(path);
    db->lock_fd = -1;
    int rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, "open", err);
    if (sqlite3_busy_timeout(db->handle, 5000) != SQLITE_OK)
        return err_set(err, FAIL_DATABASE, "%s: cannot be configured", path);
    int result = exec(db, "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; SELECT count(*) FROM schema_version;", err);
    if (result == 0)
        *ret_db = TAKE(db);
    return result;
}

void db_close(struct db **db)
{
    if (!*db)
        return;
    for (size_t i = 0; i < (*db)->count; i++) {
        (void)sqlite3_finalize((*db)->statements[i].stmt);
        free((char *)(uintptr_t)(*db)->statements[i].sql);
    }
    /* A checkpoint would sync again what could not be synced, and rely on it. */
    if ((*db)->broken && (*db)->handle)
        (void)sqlite3_db_config((*db)->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close((*db)->handle);
    close_fd(&(*db)->lock_fd);
    free((*db)->path);
    free(*db);
    *db = NULL;
}
