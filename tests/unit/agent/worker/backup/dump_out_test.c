#include "agent/worker/backup/dump.h"
#include "agent/worker/backup/load.h"
#include "agent/worker/backup/toc.h"
#include "cluster.h"
#include <fcntl.h>

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

struct bench {
    char *dir;
    struct store store;
    struct reach reach;
    struct manifest m;
};

static void bench_free(struct bench *b)
{
    store_close(&b->store);
    manifest_free(&b->m);
    free(b->dir);
}

/* Rows that lie across batches, rows larger than one, texts that look like the end, an owner that
 * may not write his own table, and all that is no row. No large objects: those go another way. */
static void make_database(void)
{
    cluster_odd_database();
    cluster_sql("postgres", "wiki", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
    cluster_sql(
        "conf", "wiki",
        "INSERT INTO content SELECT i, repeat(md5(i::text), 1 + i % 90) FROM "
        "generate_series(10000, 13000) i; "
        "CREATE TABLE wide (a text, b int); INSERT INTO wide SELECT (SELECT string_agg(md5((i * "
        "100000 + j)::text), E'\\n\\\\.\\n') FROM generate_series(1, 20000) j), i FROM "
        "generate_series(1, 2) i; INSERT INTO wide SELECT E'\\\\.\\n\\n\\n', i FROM "
        "generate_series(1, 5) i; INSERT INTO wide VALUES (NULL, NULL), ('', 0); "
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM content; "
        "CREATE TABLE child (id bigint REFERENCES content); INSERT INTO child SELECT id FROM "
        "content; REVOKE INSERT ON child FROM conf; "
        "CREATE TABLE kanji AS SELECT U&'\\6F22'::text AS a; "
        "DO $$BEGIN FOR i IN 1..40 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT %s AS a', i, "
        "i); END LOOP; END$$");
}

static int bench_begin(struct bench *b, struct err *err)
{
    b->dir = text_dup(test_dir());
    b->store = (struct store){ .lock = -1 };
    manifest_init(&b->m);
    b->m.kind = "hot";
    b->reach = (struct reach){
        .database = &cluster.site, .admin = cluster.admin, .admin_passfile = "", .dir = b->dir
    };
    struct dump_spec spec = {
        .reach = &b->reach, .pg_bin = "", .ending = ".partial", .still = true, .threads = 2
    };
    int rc = store_open(b->dir, "wiki-1", &b->store, err);
    if (rc == 0)
        rc = store_begin(&b->store, &b->m, err);
    if (rc == 0)
        rc = dump_make(&b->store, &b->m, &spec, NULL, NULL, NULL, err);
    return rc == 0 ? store_keep(&b->store, &b->m, ".partial", "", err) : rc;
}

static int restore(struct bench *b, unsigned threads, bool create, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(&b->store, b->m.id, "", DUMP_NAME);
    struct restore_spec spec = { .reach = &b->reach,
                                 .pg_bin = "",
                                 .dbname = create ? "postgres" : "other",
                                 .create = create,
                                 .fast = !create,
                                 .threads = threads,
                                 .server_version = (int)b->m.contents.server_version };
    return dump_restore(path, &b->m.dump, &spec, NULL, NULL, err);
}

static void compare(struct bench *b, const char *dbname, bool whole)
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(contents_free) struct contents now = { 0 };
    CLEANUP(pool_free) struct pool pool = { 0 };
    CHECK_OK(reach_connect(&b->reach, dbname, &conn, &err), err);
    CHECK_OK(dump_describe(conn, &pool, &now, &err), err);
    CHECK_OK(contents_compare(&b->m.contents, &now, &err), err);
    if (whole)
        CHECK_OK(contents_compare_database(&b->m.contents, &now, &err), err);
}

static void fresh_other(void)
{
    cluster_sql("postgres", "postgres", "DROP DATABASE IF EXISTS other WITH (FORCE)");
    cluster_sql("postgres", "postgres", "CREATE DATABASE other TEMPLATE template0");
}

TEST(rows_go_over_several_connections_and_everything_is_the_same)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_OK(bench_begin(&b, &err), err);
    for (unsigned threads = 0; threads <= 3; threads += 3) {
        fresh_other();
        CHECK_OK(restore(&b, threads, false, &err), err);
        compare(&b, "other", false);
        CHECK_STR(cluster_ask("other", "SELECT count FROM public.counted"), "8001");
    }
    CHECK_STR(cluster_ask("other",
                          "SELECT DISTINCT pg_column_compression(t) FROM public.content WHERE "
                          "pg_column_compression(t) IS NOT NULL"),
              "lz4");
    CLEANUP(free_mem) char *toc = fs_join(b.dir, "restore-toc");
    CHECK(!fs_exists(toc));
}

TEST(the_database_itself_comes_back_with_owner_settings_grants_and_comment)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_OK(bench_begin(&b, &err), err);
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki WITH (FORCE)");
    /* Grants and settings that would keep us out come last. */
    CHECK_OK(restore(&b, 2, true, &err), err);
    compare(&b, "wiki", true);
    CHECK(restore(&b, 2, true, &err) != 0); /* it stands already */
    CHECK_HAS(err.text, "already exists");
}

TEST(a_server_that_was_told_how_to_compress_keeps_doing_so_after_a_rollback)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_OK(bench_begin(&b, &err), err);
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki WITH (FORCE)");
    cluster_sql("postgres", "postgres", "ALTER ROLE postgres SET default_toast_compression = pglz");
    CHECK_OK(restore(&b, 2, true, &err), err);
    cluster_sql("postgres", "postgres", "ALTER ROLE postgres RESET default_toast_compression");
    CHECK_STR(cluster_ask("wiki",
                          "SELECT DISTINCT pg_column_compression(t) FROM public.content WHERE "
                          "pg_column_compression(t) IS NOT NULL"),
              "pglz");
}

TEST(what_the_server_refuses_to_take_is_told_with_the_table)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_OK(bench_begin(&b, &err), err);
    cluster_sql("postgres", "postgres", "DROP DATABASE IF EXISTS other WITH (FORCE)");
    cluster_sql("postgres", "postgres",
                "CREATE DATABASE other TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' "
                "LC_CTYPE 'C'");
    CHECK_INT(restore(&b, 2, false, &err), -FAIL_DATABASE);
    CHECK_HAS(err.text, "COPY public.kanji");
    CHECK_HAS(err.text, "22P05");
}

TEST(a_connection_that_is_cut_while_rows_go_in_is_an_error)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(load_free) struct load *load = NULL;
    CLEANUP(free_mem) char *dir = text_dup(test_dir());
    struct reach reach = {
        .database = &cluster.site, .admin = cluster.admin, .admin_passfile = "", .dir = dir
    };
    struct load_spec spec = {
        .reach = &reach, .dbname = "other", .encoding = "UTF8", .connections = 2
    };
    fresh_other();
    cluster_sql("postgres", "other", "CREATE TABLE t (a int)");
    CHECK_OK(load_new(&spec, &load, &err), err);
    load_table(load, "COPY public.t (a) FROM stdin;\n");
    CHECK_OK(load_add(load, "1\n2\n", 4, &err), err);
    cluster_sql("postgres", "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'other'");
    CHECK_OK(load_add(load, "\\.\n\n\n", 5, &err), err);
    CHECK_OK(load_table_end(load, &err), err);
    CHECK(load_finish(load, &err) != 0);
    CHECK_STR(cluster_ask("other", "SELECT count(*) FROM public.t"), "0");
}

TEST(rows_without_their_end_are_not_committed)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(load_free) struct load *load = NULL;
    CLEANUP(free_mem) char *dir = text_dup(test_dir());
    struct reach reach = {
        .database = &cluster.site, .admin = cluster.admin, .admin_passfile = "", .dir = dir
    };
    struct load_spec spec = {
        .reach = &reach, .dbname = "other", .encoding = "UTF8", .connections = 2
    };
    fresh_other();
    cluster_sql("postgres", "other", "CREATE TABLE t (a int)");
    CHECK_OK(load_new(&spec, &load, &err), err);
    load_table(load, "COPY public.t (a) FROM stdin;\n");
    for (int i = 0; i < 400000; i++)
        CHECK_OK(load_add(load, "12345\n", 6, &err), err);
    CHECK_INT(load_table_end(load, &err), -FAIL_CORRUPT);
    load_free(&load);
    CHECK_STR(cluster_ask("other", "SELECT count(*) FROM public.t"), "0");
}

TEST(a_table_of_contents_is_read_whole_or_not_at_all)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    const uint8_t *bytes = NULL;
    struct frame frame;
    struct toc toc = { 0 };
    bool whole = false;
    make_database();
    CHECK_OK(bench_begin(&b, &err), err);
    CLEANUP(free_mem) char *path = store_path(&b.store, b.m.id, "", DUMP_NAME);
    CHECK_OK(frames_reader_new(path, b.m.dump.size, false, &reader, &err), err);
    CHECK_INT(frames_next(reader, &bytes, &frame, &err), 1);
    CHECK_OK(toc_read(bytes, frame.content, &toc, &whole, &err), err);
    CHECK(whole && toc.count > 100);
    size_t size = toc.toc_size;
    toc_free(&toc);
    for (size_t len = 0; len < size; len += 1 + len / 50) {
        CHECK_OK(toc_read(bytes, len, &toc, &whole, &err), err);
        CHECK(!whole && toc.count == 0);
    }
    /* Lengths that lie are refused or run into the end; nothing is read outside. */
    CLEANUP(free_mem) uint8_t *copy = mem_grow(NULL, size, 1);
    srand(3);
    for (int i = 0; i < 3000; i++) {
        struct err ignored = { 0 };
        memcpy(copy, bytes, size);
        copy[(size_t)rand() % size] = (uint8_t)rand();
        if (toc_read(copy, size, &toc, &whole, &ignored) == 0)
            toc_free(&toc);
    }
    memcpy(copy, bytes, size);
    copy[6] = 20; /* a version to come */
    CHECK_INT(toc_read(copy, size, &toc, &whole, &err), -FAIL_UNSUPPORTED);
}

/* Client programs that fail in their own way: all but pg_dump are the real ones. */
static char *programs(const char *dir, const char *dump)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *restore = fs_join(dir, "pg_restore"), *path = fs_join(dir, "pg_dump");
    CLEANUP(free_mem)
    char *text = text_printf(
        "#!/bin/sh\n[ \"$1\" = --version ] && exec " CLUSTER_BIN "/pg_dump --version\n%s\n", dump);
    CHECK_INT(symlink(CLUSTER_BIN "/pg_restore", restore), 0);
    CHECK_OK(fs_write(path, text, strlen(text), 0755, &err), err);
    return text_dup(dir);
}

static int dump_by(struct bench *b, const char *script, struct err *err)
{
    b->dir = text_dup(test_dir());
    b->store = (struct store){ .lock = -1 };
    manifest_init(&b->m);
    b->m.kind = "hot";
    b->reach = (struct reach){
        .database = &cluster.site, .admin = cluster.admin, .admin_passfile = "", .dir = b->dir
    };
    CLEANUP(free_mem) char *folder = fs_join(b->dir, "programs");
    CHECK_INT(mkdir(folder, 0755), 0);
    CLEANUP(free_mem) char *bin = programs(folder, script);
    CLEANUP(database_close) PGconn *conn = NULL;
    struct dump_spec spec = {
        .reach = &b->reach, .pg_bin = bin, .ending = ".partial", .still = true, .threads = 2
    };
    CHECK_OK(reach_connect(&b->reach, "wiki", &conn, err), *err);
    spec.conn = conn; /* no session beside it: the rows are pg_dump's, too */
    CHECK_OK(store_open(b->dir, "wiki-1", &b->store, err), *err);
    CHECK_OK(store_begin(&b->store, &b->m, err), *err);
    return dump_make(&b->store, &b->m, &spec, NULL, NULL, NULL, err);
}

TEST(a_pg_dump_that_is_killed_midway_leaves_no_dump)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_INT(dump_by(&b, CLUSTER_BIN "/pg_dump \"$@\" | head -c 2000000\nkill -9 $$", &err),
              -FAIL_TOOL);
    CHECK_HAS(err.text, "signal 9");
    CHECK(!b.m.has_dump);
    CHECK(!store_has(&b.store, b.m.id, ""));
}

TEST(a_connection_that_is_cut_while_pg_dump_reads_leaves_no_dump)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CLEANUP(free_mem)
    char *script =
        text_printf(CLUSTER_BIN "/psql -qXAt -h %s -p %d -U postgres -d postgres -c \"SELECT "
                                "pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                                "'wiki'\" > /dev/null\nexec " CLUSTER_BIN "/pg_dump \"$@\"",
                    cluster.dir, cluster.port);
    CHECK(dump_by(&b, script, &err) != 0);
    CHECK(!b.m.has_dump);
    CHECK_INT(b.m.contents.table_count, 0);
}

/* It says that all went well; what it wrote ends within the rows. */
TEST(a_dump_that_is_short_is_found_when_it_is_restored)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    make_database();
    CHECK_OK(dump_by(&b, CLUSTER_BIN "/pg_dump \"$@\" | head -c 2000000\nexit 0", &err), err);
    CHECK_OK(store_keep(&b.store, &b.m, ".partial", "", &err), err);
    fresh_other();
    CHECK_INT(restore(&b, 2, false, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, DUMP_NAME);
}
