#include "confleet/db.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const first[] = { "CREATE TABLE t(id bigint PRIMARY KEY, name text NOT NULL, data blob)" };
static const char *const both[] = { "CREATE TABLE t(id bigint PRIMARY KEY, name text NOT NULL, data blob)",
                                    "ALTER TABLE t ADD COLUMN more bigint NOT NULL DEFAULT 7" };

static struct db *open_db(const char *path, const char *const *texts, size_t count)
{
    struct err err = { 0 };
    struct db *db = NULL;
    CHECK_OK(db_open(path, texts, count, true, &db, &err), err);
    return db;
}

static int insert_two(void *arg, struct err *err)
{
    struct db *db = arg;
    int result = db_run(db, err, "INSERT INTO t(id, name) VALUES($1, $2)", "it", (int64_t)1, "one");
    return result ? result : db_run(db, err, "INSERT INTO t(id, name) VALUES($1, $2)", "it", (int64_t)1, "again");
}

TEST(a_failed_transaction_leaves_nothing_behind)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    CLEANUP(db_close) struct db *db = open_db(path, first, 1);
    struct err err = { 0 };
    int64_t count = -1;
    CHECK_INT(db_tx(db, insert_two, db, &err), -FAIL_CONFLICT);
    err_clear(&err);
    CHECK_OK(db_get_i64(db, &count, NULL, &err, "SELECT count(*) FROM t", ""), err);
    CHECK_INT(count, 0);
}

struct part { struct db *db; int64_t id; bool bad; };

static int part_tx(void *arg, struct err *err)
{
    struct part *part = arg;
    int result = db_run(part->db, err, "INSERT INTO t(id, name) VALUES($1, 'part')", "i", part->id);
    return result == 0 && part->bad ? err_set(err, FAIL_DENIED, "not this one") : result;
}

static int64_t rows_of(struct db *db)
{
    struct err err = { 0 };
    int64_t count = -1;
    CHECK_OK(db_get_i64(db, &count, NULL, &err, "SELECT count(*) FROM t", ""), err);
    return count;
}

struct parts { struct db *db, *reader; bool fail; };

/* Parts 1, 2 (which fails by itself), 3 and 3 again (which the table refuses). */
static int parts_tx(void *arg, struct err *err)
{
    struct parts *parts = arg;
    const struct { int64_t id; bool bad; int want; } each[] = { { 1, false, 0 }, { 2, true, -FAIL_DENIED },
                                                                { 3, false, 0 }, { 3, false, -FAIL_CONFLICT } };
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        struct part part = { parts->db, each[i].id, each[i].bad };
        struct err why = { 0 };
        CHECK_INT(db_tx(parts->db, part_tx, &part, &why), each[i].want);
    }
    CHECK_INT(rows_of(parts->db), 2);
    CHECK_INT(rows_of(parts->reader), 0);    /* nobody sees it before the commit */
    return parts->fail ? err_set(err, FAIL_INTERNAL, "as a whole") : 0;
}

TEST(a_batch_is_committed_once_and_a_part_that_fails_undoes_only_itself)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    CLEANUP(db_close) struct db *db = open_db(path, first, 1);
    CLEANUP(db_close) struct db *reader = NULL;
    struct err err = { 0 };
    CHECK_OK(db_open_read(path, &reader, &err), err);
    struct parts parts = { db, reader, true };
    CHECK_INT(db_batch(db, parts_tx, &parts, &err), -FAIL_INTERNAL);
    CHECK_INT(rows_of(db), 0);
    err_clear(&err);
    parts.fail = false;
    CHECK_OK(db_batch(db, parts_tx, &parts, &err), err);
    CHECK_INT(rows_of(reader), 2);
    /* Outside a batch a transaction is one of its own again. */
    struct part alone = { db, 9, false };
    CHECK_OK(db_tx(db, part_tx, &alone, &err), err);
    CHECK_INT(rows_of(reader), 3);
}

static int torn_tx(void *arg, struct err *err)
{
    struct db *db = arg;
    struct part good = { db, 1, false }, torn = { db, 666, false }, after = { db, 2, false };
    CHECK_OK(db_tx(db, part_tx, &good, err), *err);
    struct err why = { 0 };
    CHECK(db_tx(db, part_tx, &torn, &why) != 0);
    err_clear(&why);
    CHECK_INT(db_tx(db, part_tx, &after, &why), -FAIL_DATABASE);
    return 0;    /* even an owner that goes on gets no commit */
}

TEST(a_batch_that_was_rolled_back_underneath_is_never_taken_for_committed)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    struct db *db = open_db(path, first, 1);
    struct err err = { 0 };
    CHECK_OK(db_run(db, &err, "CREATE TRIGGER tear BEFORE INSERT ON t WHEN new.id=666 BEGIN SELECT RAISE(ROLLBACK, 'torn'); END", ""), err);
    CHECK_INT(db_batch(db, torn_tx, db, &err), -FAIL_DATABASE);
    CHECK_HAS(err.text, "must be started anew");
    db_close(&db);
    db = open_db(path, first, 1);
    CHECK_INT(rows_of(db), 0);
    db_close(&db);
}

TEST(parameters_are_bound_by_number_whatever_their_order_in_the_text)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    CLEANUP(db_close) struct db *db = open_db(path, first, 1);
    CLEANUP(free_mem) char *name = NULL;
    struct err err = { 0 };
    CHECK_OK(db_run(db, &err, "INSERT INTO t(name, id, data) VALUES($2, $1, $3)", "itb", (int64_t)5, "five", "\0x", (size_t)2), err);
    CHECK_OK(db_get_text(db, &name, &err, "SELECT name FROM t WHERE id = $1", "i", (int64_t)5), err);
    CHECK_STR(name, "five");
}

TEST(migrations_run_once_and_in_order)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    struct db *db = open_db(path, first, 1);
    struct err err = { 0 };
    int64_t more = 0;
    CHECK_OK(db_run(db, &err, "INSERT INTO t(id, name) VALUES($1, $2)", "it", (int64_t)1, "one"), err);
    db_close(&db);
    db = open_db(path, both, 2);
    CHECK_OK(db_get_i64(db, &more, NULL, &err, "SELECT more FROM t", ""), err);
    CHECK_INT(more, 7);
    db_close(&db);
    CHECK_INT(db_open(path, first, 1, true, &db, &err), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "newer version");
}

/* Bytes of one file to another; the log of a killed process. */
static void copy_file(const char *from, const char *to)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    CHECK_OK(fs_read(from, 64 << 20, &bytes, &err), err);
    CHECK_OK(fs_write(to, bytes.s, bytes.len, 0600, &err), err);
}

TEST(what_a_killed_process_left_in_its_log_is_there_and_a_log_that_cannot_be_written_is_refused)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db"), *log = text_printf("%s-wal", path);
    CLEANUP(free_mem) char *other = fs_join(test_dir(), "b.db"), *other_log = text_printf("%s-wal", other);
    CLEANUP(db_close) struct db *db = open_db(path, first, 1), *again = NULL, *never = NULL;
    struct err err = { 0 };
    for (int64_t i = 0; i < 300; i++)
        CHECK_OK(db_run(db, &err, "INSERT INTO t(id, name) VALUES($1, 'row')", "i", i), err);
    copy_file(path, other);
    copy_file(log, other_log);
    again = open_db(other, first, 1);
    CHECK_INT(rows_of(again), 300);
    db_close(&again);
    (void)unlink(other_log);
    CHECK_INT(mkdir(other_log, 0700), 0);
    CHECK_INT(db_open(other, first, 1, true, &never, &err), -FAIL_IO);
    CHECK_HAS(err.text, "b.db-wal");
}

TEST(a_second_opener_is_told_who_holds_the_file)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    CLEANUP(db_close) struct db *holder = open_db(path, first, 1);
    struct db *other = NULL;
    CHECK(holder != NULL);
    struct err err = { 0 };
    CHECK_INT(db_open(path, first, 1, true, &other, &err), -FAIL_BUSY);
    CHECK_HAS(err.text, "is held by process");
}

TEST(a_damaged_file_is_refused_by_name)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    struct db *db = open_db(path, first, 1);
    struct err err = { 0 };
    for (int64_t i = 0; i < 2000; i++)
        CHECK_OK(db_run(db, &err, "INSERT INTO t(id, name) VALUES($1, $2)", "it", i, "a name that fills pages of the file"), err);
    db_close(&db);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    CHECK_INT(pwrite(fd, junk, sizeof junk, 8192), sizeof junk);
    CHECK_INT(close(fd), 0);
    CHECK_INT(db_open(path, first, 1, true, &db, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, path);
}

TEST(a_reader_beside_the_owner_sees_what_was_committed_and_writes_nothing)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "a.db");
    struct db *reader = NULL;
    struct err err = { 0 };
    CHECK_INT(db_open_read(path, &reader, &err), -FAIL_NOT_FOUND);
    CLEANUP(db_close) struct db *holder = open_db(path, first, 1);
    err_clear(&err);
    CHECK_OK(db_run(holder, &err, "INSERT INTO t(id, name) VALUES(1, 'one')", ""), err);
    CHECK_OK(db_open_read(path, &reader, &err), err);
    int64_t count = 0;
    CHECK_OK(db_get_i64(reader, &count, NULL, &err, "SELECT count(*) FROM t", ""), err);
    CHECK_INT(count, 1);
    CHECK(db_run(reader, &err, "DELETE FROM t", "") != 0);
    db_close(&reader);
}
