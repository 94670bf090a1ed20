#include "agent/worker/backup/rows.h"
#include "agent/worker/backup/dump.h"
#include "cluster.h"
#include <fcntl.h>

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

/* Two dumps of one database, the second built on the first. */
struct bench {
    char *dir;
    struct store store;
    struct reach reach;
    struct manifest m, first;
    struct dump_counts counts;
    void (*meanwhile)(void); /* between the snapshot and what reads in it; NULL: nothing */
    void (*rows)(void);      /* when the first rows have come */
    uint64_t flip_at;        /* in what was written, before it is read back */
    unsigned threads;
};

static void bench_free(struct bench *b)
{
    store_close(&b->store);
    manifest_free(&b->m);
    manifest_free(&b->first);
    free(b->dir);
}

static void bench_init(struct bench *b)
{
    struct err err = { 0 };
    *b = (struct bench){ .dir = text_dup(test_dir()), .store = { .lock = -1 }, .threads = 2 };
    manifest_init(&b->m);
    manifest_init(&b->first);
    b->reach = (struct reach){
        .database = &cluster.site, .admin = cluster.admin, .admin_passfile = "", .dir = b->dir
    };
    CHECK_OK(store_open(b->dir, "wiki-1", &b->store, &err), err);
}

/* A large table of large and small values, one of many small rows, one that is hashed by its text,
 * and small ones around them. */
static void make_database(void)
{
    cluster_odd_database();
    cluster_sql("postgres", "wiki", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
    cluster_sql(
        "conf", "wiki",
        "CREATE TABLE bodies (id bigint PRIMARY KEY, body text, \"odd Column\" varchar(40), at "
        "timestamp DEFAULT '2024-01-01'); INSERT INTO bodies SELECT i, (SELECT "
        "string_agg(md5((i * 1000 + j)::text), E'\\n\\t\\\\') FROM generate_series(1, i % 200) j), "
        "'x' || i FROM generate_series(1, 4000) i; "
        "CREATE TABLE properties (id bigint, value text); INSERT INTO properties SELECT i, md5(i::"
        "text) FROM generate_series(1, 60000) i; "
        "CREATE TABLE numbers (n numeric, j jsonb); INSERT INTO numbers SELECT i / 7.0, "
        "jsonb_build_object('text', repeat(md5(i::text), 5)) FROM generate_series(1, 20000) i; "
        "CREATE TABLE doubled (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text); INSERT "
        "INTO doubled (a, c) SELECT i, repeat(md5(i::text), 9) FROM generate_series(1, 15000) i; "
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE moods (a text, b mood); INSERT INTO "
        "moods SELECT repeat(md5(i::text), 20), 'bad' FROM generate_series(1, 6000) i");
}

static int enter(void *ctx, struct err *err)
{
    const struct bench *b = ctx;
    (void)err;
    b->meanwhile();
    return 0;
}

static void moved(void *ctx, uint64_t bytes)
{
    struct bench *b = ctx;
    (void)bytes;
    if (b->rows)
        b->rows();
    b->rows = NULL;
}

static void flip(const char *path, uint64_t at)
{
    char byte = 0;
    CLEANUP(close_fd) int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_INT(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 4;
    CHECK_INT(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static int dump(struct bench *b, const char *base_id, struct err *err)
{
    struct dump_spec spec = { .reach = &b->reach,
                              .pg_bin = "",
                              .ending = ".partial",
                              .threads = b->threads,
                              .ranges = true,
                              .base_id = base_id,
                              .enter = b->meanwhile ? enter : NULL,
                              .enter_ctx = b };
    b->counts = (struct dump_counts){ 0 };
    b->m.kind = "hot";
    int rc = store_begin(&b->store, &b->m, err);
    if (rc == 0)
        rc = dump_make(&b->store, &b->m, &spec, moved, b, &b->counts, err);
    CLEANUP(free_mem) char *path = store_path(&b->store, b->m.id, ".partial", DUMP_NAME);
    if (rc == 0 && b->flip_at > 0)
        flip(path, b->flip_at);
    if (rc == 0)
        rc = store_check_dump(&b->store, &b->m, ".partial", NULL, NULL, err);
    return rc == 0 ? store_keep(&b->store, &b->m, ".partial", "", err) : rc;
}

/* The next one is built on this one. */
static void next(struct bench *b)
{
    manifest_free(&b->first);
    b->first = b->m;
    manifest_init(&b->m);
}

static void fresh_other(void)
{
    cluster_sql("postgres", "postgres", "DROP DATABASE IF EXISTS other WITH (FORCE)");
    cluster_sql("postgres", "postgres", "CREATE DATABASE other TEMPLATE template0");
}

static void compare(struct bench *b)
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(contents_free) struct contents now = { 0 };
    CLEANUP(pool_free) struct pool pool = { 0 };
    CHECK_OK(reach_connect(&b->reach, "other", &conn, &err), err);
    CHECK_OK(dump_describe(conn, &pool, &now, &err), err);
    CHECK_OK(contents_compare(&b->m.contents, &now, &err), err);
}

static void restore(struct bench *b)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = store_path(&b->store, b->m.id, "", DUMP_NAME);
    struct restore_spec spec = { .reach = &b->reach,
                                 .pg_bin = "",
                                 .dbname = "other",
                                 .fast = true,
                                 .threads = 2,
                                 .server_version = (int)b->m.contents.server_version };
    fresh_other();
    CHECK_OK(dump_restore(path, &b->m.dump, &spec, NULL, NULL, &err), err);
    compare(b);
}

/* By PostgreSQL's own program alone, from a file and from a pipe. */
static void restore_by_hand(struct bench *b)
{
    CLEANUP(free_mem) char *path = store_path(&b->store, b->m.id, "", DUMP_NAME);
    for (size_t i = 0; i < 2; i++) {
        struct err err = { 0 };
        struct proc_result result = { 0 };
        CLEANUP(free_mem)
        char *tool = text_printf(CLUSTER_BIN "/pg_restore --exit-on-error -h %s -p %d -U postgres "
                                             "-d other",
                                 cluster.dir, cluster.port);
        CLEANUP(free_mem)
        char *text = i == 0 ? text_printf("zstd -dqc '%s' > '%s/plain' && %s '%s/plain'", path,
                                          b->dir, tool, b->dir)
                            : text_printf("zstd -dqc '%s' | %s", path, tool);
        const char *argv[] = { "/bin/sh", "-c", text, NULL };
        struct proc_spec spec = { .argv = argv, .timeout_ms = 60000 };
        fresh_other();
        CHECK_OK(proc_run_ok(&spec, &result, &err), err);
        proc_result_free(&result);
        compare(b);
    }
}

TEST(large_tables_come_in_ranges_over_several_connections)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    make_database();
    for (unsigned threads = 0; threads <= 3; threads += 3) {
        CLEANUP(bench_free) struct bench b;
        bench_init(&b);
        b.threads = threads;
        CHECK_OK(dump(&b, NULL, &err), err);
        CHECK(b.counts.ranges > 10);
        CHECK_INT(b.counts.kept, 0);
        restore(&b);
    }
}

TEST(what_has_not_changed_is_taken_over_as_it_is_stored)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    uint64_t ranges = b.counts.ranges;
    next(&b);
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.ranges, ranges);
    CHECK_INT(b.counts.kept, ranges);
    CHECK_INT(b.m.dump.content, b.first.dump.content);
    restore(&b);
    restore_by_hand(&b);
    /* And that one can be built on, too; its base is not needed any more. */
    CLEANUP(free_mem) char *first = store_path(&b.store, b.first.id, "", NULL);
    CHECK_OK(fs_remove_tree(first, &err), err);
    next(&b);
    b.threads = 0;
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.kept, ranges);
    restore(&b);
}

/* What users and the database do between two backups; the second dump is restored and compared.
 * none: nothing is as it was. */
static const struct change {
    const char *sql;
    bool none;
} changes[] = {
    { "UPDATE bodies SET body = body WHERE id = 777; UPDATE numbers SET n = n * 1.000 WHERE n < 10; "
      "UPDATE doubled SET a = a + 1 WHERE a = 7000; INSERT INTO properties VALUES (1, 'at its end')",
      false },
    { "UPDATE bodies SET body = 'another' WHERE id = 888; DELETE FROM bodies WHERE id = 1 OR id "
      "BETWEEN 1000 AND 2500; DELETE FROM properties WHERE id > 30000; DELETE FROM numbers; INSERT "
      "INTO bodies SELECT i, repeat(md5(i::text), 200) FROM generate_series(5000, 9000) i",
      false },
    { "ALTER TYPE mood RENAME VALUE 'bad' TO 'fair'", false },
    { "ALTER TABLE bodies ADD COLUMN late text DEFAULT 'everywhere'; ALTER TABLE bodies ALTER COLUMN "
      "at TYPE timestamptz; ALTER TABLE doubled ALTER COLUMN b DROP EXPRESSION",
      false },
    { "ALTER TABLE bodies RENAME TO aaa; CREATE TABLE bodies (LIKE aaa); DROP TABLE numbers; CREATE "
      "TABLE aab AS SELECT * FROM doubled",
      false },
    { "TRUNCATE bodies, aaa, aab, properties, moods; DELETE FROM doubled", true },
};

TEST(whatever_changes_between_two_dumps_is_in_the_second)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki SET timezone = 'UTC'");
    CHECK_OK(dump(&b, NULL, &err), err);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint64_t before = b.counts.ranges;
        next(&b);
        cluster_sql("conf", "wiki", changes[i].sql);
        CHECK_OK(dump(&b, b.first.id, &err), err);
        if (changes[i].none ? b.counts.kept > 0 : b.counts.kept == 0 || b.counts.kept >= before)
            print_error("%s: %d of %d are kept\n", changes[i].sql, (int)b.counts.kept,
                        (int)b.counts.ranges);
        CHECK(changes[i].none ? b.counts.kept == 0 : b.counts.kept > 0 && b.counts.kept < before);
        restore(&b);
    }
}

static void write_meanwhile(void)
{
    cluster_sql("conf", "wiki",
                "DELETE FROM bodies WHERE id % 3 = 0; UPDATE bodies SET body = 'late'; INSERT INTO "
                "properties SELECT i, 'late' FROM generate_series(1, 5000) i");
}

TEST(what_others_write_after_the_snapshot_is_not_in_the_dump)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    uint64_t ranges = b.counts.ranges;
    next(&b);
    b.meanwhile = write_meanwhile;
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.kept, ranges);
    CHECK(b.counts.ranges > ranges); /* blocks that nobody sees rows in yet */
    restore(&b);
    CHECK_STR(cluster_ask("other", "SELECT count(*) FROM public.bodies WHERE body <> 'late'"),
              "3980");
    next(&b);
    b.meanwhile = NULL;
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK(b.counts.kept > 0);
    restore(&b);
    CHECK_STR(cluster_ask("other", "SELECT count(*) FROM public.bodies"), "2667");
}

TEST(damage_in_what_it_is_built_on_costs_a_copy_and_nothing_else)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    next(&b);
    CLEANUP(free_mem) char *dumped = store_path(&b.store, b.first.id, "", DUMP_NAME);
    CLEANUP(free_mem) char *beside = store_path(&b.store, b.first.id, "", RANGES_NAME);
    flip(dumped, b.first.dump.size / 2);
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.kept + 1, b.counts.ranges);
    restore(&b);
    CHECK_INT(truncate(dumped, (off_t)b.first.dump.size / 2), 0);
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK(b.counts.kept > 0 && b.counts.kept < b.counts.ranges);
    restore(&b);
    flip(beside, 600);
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.kept, 0);
    restore(&b);
}

/* What was taken over is not decoded again, but read back as it is stored; the rest is both. */
TEST(damage_in_what_was_just_written_is_found)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    next(&b);
    /* The same content in another version of the row. */
    cluster_sql("conf", "wiki", "UPDATE bodies SET body = body WHERE id = 777");
    for (uint64_t i = 0; i < 8; i++) {
        err_clear(&err);
        b.flip_at = 9 + i * (b.first.dump.size - 9000) / 7;
        CHECK_INT(dump(&b, b.first.id, &err), -FAIL_CORRUPT);
        CHECK_HAS(err.text, DUMP_NAME);
        CHECK(b.counts.kept > 0 && b.counts.kept < b.counts.ranges);
    }
}

TEST(a_file_of_ranges_is_read_whole_or_not_at_all)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    CLEANUP(ranges_free) struct ranges ranges = { .count = 0 };
    make_database();
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    CLEANUP(free_mem) char *path = store_path(&b.store, b.m.id, "", RANGES_NAME);
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(path, 1 << 24, &text, &err), err);
    CHECK_OK(ranges_load(path, &ranges, &err), err);
    CHECK_INT(ranges.dump_size, b.m.dump.size);
    CHECK_INT(ranges.frames.count, b.m.dump.frames.count);
    srand(5);
    for (int i = 0; i < 300; i++) {
        struct ranges bad;
        size_t at = (size_t)rand() % text.len;
        CLEANUP(str_free) struct str copy = { 0 };
        str_add_bytes(&copy, text.s, i % 2 ? text.len : at);
        if (i % 2)
            copy.s[at] ^= (char)(1 << rand() % 7);
        err_clear(&err);
        CHECK_OK(fs_write(path, copy.s, copy.len, 0600, &err), err);
        CHECK(ranges_load(path, &bad, &err) != 0);
    }
    /* One that vouches for itself, and lies. */
    static const char *const lies[] = {
        "method record64\ndump 5\n",
        "method record64\ndump 5\nframe 0 5 5 %s %s\nframe 6 5 5 %s %s\n",
        "method record64\ndump 5\nrange 1 %.32s %.32s 0 1\nframe 0 5 5 %s %s\n",
        "method record64\ndump 5\ntable %s 1 2\nrange 1 %.32s %.32s 0 1\nframe 0 5 5 %s %s\n",
        "method record64\ndump 5\ntable %s 1 1\nrange 1 %.32s %.32s 0 2\nframe 0 5 5 %s %s\n",
        "method record64\ndump 5\ntable %s 1 1\nrange 1 %.32s %.32s 2 1\nframe 0 5 5 %s %s\n",
        "method record64\ndump 5\ntable %s 0 1\nrange 1 %.32s %.32s 0 1\nframe 0 5 5 %s %s\n",
        "method record64\ndump 99999999\nframe 0 99999999 5 %s %s\n",
        "method record64\ndump 5\nframe 0 5 99999999 %s %s\n",
        "dump 5\nframe 0 5 5 %s %s\n",
        "method record64\ndump 5\nframe 0 5 5 %s %s\nword 1\n",
    };
    char zero[HASH_HEX_MAX], hex[HASH_HEX_MAX];
    hash_bytes_hex("", 0, zero);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct ranges bad;
        CLEANUP(str_free) struct str lie = { 0 };
        str_add(&lie, "confleet-ranges 1\n");
        for (const char *at = lies[i]; *at; at++) {
            if (*at != '%') {
                str_add_bytes(&lie, at, 1);
                continue;
            }
            bool whole = at[1] == 's';
            str_addf(&lie, "%.*s", whole ? 64 : 32, zero);
            at += whole ? 1 : 4;
        }
        hash_bytes_hex(lie.s, lie.len, hex);
        str_addf(&lie, "sha256 %s\n", hex);
        err_clear(&err);
        CHECK_OK(fs_write(path, lie.s, lie.len, 0600, &err), err);
        CHECK_INT(ranges_load(path, &bad, &err), -FAIL_CORRUPT);
    }
}

static void end_sessions(void)
{
    cluster_sql("postgres", "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'wiki'");
}

TEST(connections_that_are_cut_while_rows_come_leave_no_dump)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    b.rows = end_sessions;
    CHECK(dump(&b, NULL, &err) != 0);
    CHECK(!b.m.has_dump);
    CHECK(!store_has(&b.store, b.m.id, ""));
}

/* Nobody empties a table between the snapshot and its rows; who tries waits, and gives up here. */
static void empty_meanwhile(void)
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CHECK_OK(database_connect(&cluster.site, "wiki", cluster.admin, NULL, 300, &conn, &err), err);
    CHECK_OK(database_do(conn, "SET lock_timeout = '50ms'", &err), err);
    CHECK_INT(database_do(conn, "TRUNCATE public.properties", &err), -FAIL_DATABASE);
    CHECK_HAS(err.text, "55P03");
}

TEST(a_table_cannot_be_emptied_while_it_is_dumped)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    bench_init(&b);
    b.rows = empty_meanwhile;
    CHECK_OK(dump(&b, NULL, &err), err);
    restore(&b);
}

/* Where the account may have no session beside the first, pg_dump brings the rows, as it did. */
TEST(a_server_that_gives_one_connection_is_dumped_all_the_same)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    CLEANUP(database_close) PGconn *conn = NULL;
    make_database();
    bench_init(&b);
    CHECK_OK(reach_connect(&b.reach, "wiki", &conn, &err), err);
    struct dump_spec spec = {
        .reach = &b.reach, .pg_bin = "", .ending = ".partial", .conn = conn, .ranges = true
    };
    b.m.kind = "hot";
    CHECK_OK(store_begin(&b.store, &b.m, &err), err);
    CHECK_OK(dump_make(&b.store, &b.m, &spec, NULL, NULL, &b.counts, &err), err);
    CHECK_OK(store_keep(&b.store, &b.m, ".partial", "", &err), err);
    CHECK_INT(b.counts.ranges, 0);
    CLEANUP(free_mem) char *beside = store_path(&b.store, b.m.id, "", RANGES_NAME);
    CHECK(!fs_exists(beside));
    restore(&b);
}

TEST(large_objects_come_behind_the_rows)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    cluster_sql("conf", "wiki",
                "SELECT lo_from_bytea(4711, 'a large object'), lo_from_bytea(4712, ''), "
                "lo_from_bytea(4000000000, decode(repeat('00ff5c', 1000000), 'hex')), "
                "lo_from_bytea(4713, decode(repeat('61', 2 * 1024 * 1024), 'hex'))");
    bench_init(&b);
    CHECK_OK(dump(&b, NULL, &err), err);
    CHECK(b.counts.ranges > 10);
    CHECK_INT(b.m.contents.object_count, 4);
    restore(&b);
    restore_by_hand(&b);
    next(&b);
    CHECK_OK(dump(&b, b.first.id, &err), err);
    CHECK_INT(b.counts.kept, b.counts.ranges);
    restore(&b);
}

/* What is not a table's rows, or not of a table that we count, is left to pg_dump. */
TEST(only_tables_that_are_known_are_dumped_by_ourselves)
{
    NEEDS_SERVER;
    struct toc_item items[] = {
        { .id = 1, .what = "SCHEMA", .copy = "" },
        { .id = 2, .has_data = true, .what = "TABLE DATA", .copy = "COPY public.a (x, y) FROM stdin;\n" },
        { .id = 3, .has_data = true, .what = "TABLE DATA", .copy = "COPY public.b  FROM stdin;\n" },
    };
    struct range_table tables[] = { { .quoted = "public.a" }, { .quoted = "public.b" } };
    struct toc toc = { .items = items, .count = 3 };
    struct ranges ranges = { .tables = tables, .table_count = 2 };
    CHECK(rows_match(&toc, &ranges));
    CHECK_INT(tables[0].item, 1);
    CHECK_INT(tables[0].columns_len, 6);
    CHECK_INT(tables[1].columns_len, 0);
    ranges.table_count = 1;
    CHECK(!rows_match(&toc, &ranges));
    ranges.table_count = 2;
    toc.count = 2;
    CHECK(!rows_match(&toc, &ranges));
    toc.count = 3;
    static const char *const bad[] = { "COPY public.a (x, y) FROM stdin;\n",
                                       "COPY public.bb  FROM stdin;\n",
                                       "COPY public.b (x) FROM stdin WHERE x;\n",
                                       "COPY public.b x FROM stdin;\n", "COPY public.b", "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        items[2].copy = bad[i];
        CHECK(!rows_match(&toc, &ranges));
    }
    items[2].copy = "COPY public.b  FROM stdin;\n";
    items[2].what = "BLOBS"; /* a table's rows are missing */
    CHECK(!rows_match(&toc, &ranges));
    ranges.table_count = 1;
    CHECK(rows_match(&toc, &ranges));
    CHECK(ranges.has_objects);
    CHECK_INT(ranges.objects_item, 2);
    toc.minor = 16;
    CHECK(!rows_match(&toc, &ranges));
    toc.minor = 14;
    items[1].what = "BLOBS"; /* two blocks of them */
    CHECK(!rows_match(&toc, &ranges));
    items[2].what = "TABLE DATA"; /* in front of rows */
    items[2].copy = "COPY public.a (x, y) FROM stdin;\n";
    CHECK(!rows_match(&toc, &ranges));
}
