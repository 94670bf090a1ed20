#include "agent/worker/backup/prove.h"
#include "agent/worker/backup/dump.h"
#include "cluster.h"
#include <fcntl.h>

struct bench {
    char *dir;
    struct store store;
    struct reach reach;
    struct scratch_spec spec;
    struct manifest m;
    char name[32]; /* of what is scratched: another run of these tests has another */
};

static void bench_free(struct bench *b)
{
    store_close(&b->store);
    manifest_free(&b->m);
    free(b->dir);
}

static int bench_begin(struct bench *b, struct err *err)
{
    b->dir = text_dup(test_dir());
    b->store = (struct store){ .lock = -1 };
    manifest_init(&b->m);
    b->m.kind = "hot";
    b->reach = (struct reach){
        .database = &cluster.site, .admin = "", .admin_passfile = "", .dir = b->dir
    };
    (void)snprintf(b->name, sizeof b->name, "wiki-%ld", (long)getpid());
    b->spec = (struct scratch_spec){ .kind = "server",
                                     .reach = &b->reach,
                                     .installation = b->name,
                                     .pg_bin = "",
                                     .places = { "/tmp", NULL },
                                     .run_user = "" };
    int rc = store_open(b->dir, "wiki-1", &b->store, err);
    return rc == 0 ? store_begin(&b->store, &b->m, err) : rc;
}

static int dump(struct bench *b, struct err *err)
{
    struct dump_spec spec = {
        .reach = &b->reach, .pg_bin = "", .ending = ".partial", .still = true
    };
    spec.threads = b->store.threads;
    int rc = dump_make(&b->store, &b->m, &spec, NULL, NULL, NULL, err);
    return rc == 0 ? store_keep(&b->store, &b->m, ".partial", "", err) : rc;
}

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

TEST(a_dump_that_fails_leaves_nothing_of_the_count_beside_it)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    CHECK_OK(bench_begin(&b, &err), err);
    struct dump_spec spec = { .reach = &b.reach,
                              .pg_bin = "/nonexistent",
                              .ending = ".partial",
                              .still = true,
                              .threads = 2 };
    CHECK(dump_make(&b.store, &b.m, &spec, NULL, NULL, NULL, &err) != 0);
    CHECK(!b.m.has_dump);
    CHECK_INT(b.m.contents.table_count, 0);
}

TEST(an_odd_database_is_proven_on_its_own_server_and_nothing_stays)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    /* PostgreSQL spells this constraint anew after a restore; that is no difference. */
    cluster_sql("conf", "wiki", "CREATE TABLE respelled (a varchar(3) CHECK (a IN ('x', 'y')))");
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin; /* it has objects of other roles */
    b.store.threads = 2;           /* rows are counted beside the dump */
    CHECK_OK(dump(&b, &err), err);
    CHECK_INT(b.m.contents.table_count, 7);
    CHECK_INT(b.m.contents.object_count, 2);
    CHECK_OK(store_check(&b.store, &b.m, "", NULL, NULL, &err), err);
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK_HAS(proof.note, "own server");
    CHECK_STR(
        cluster_ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'confleet%'"),
        "0");
}

TEST(the_same_is_proven_on_a_throw_away_server)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK_OK(dump(&b, &err), err);
    b.spec.kind = "local";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK_HAS(proof.note, "throw-away");
}

TEST(without_the_right_to_make_databases_the_host_is_used_and_the_note_says_why)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "ALTER ROLE conf NOCREATEDB");
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK_OK(dump(&b, &err), err);
    CHECK_INT(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "CREATEDB");
    err_clear(&err);
    b.spec.kind = "auto";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK_HAS(proof.note, "may not create databases");
    cluster_sql("postgres", "postgres", "ALTER ROLE conf CREATEDB");
}

TEST(objects_of_other_roles_need_an_admin_or_the_host)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK_OK(dump(&b, &err), err);
    CHECK_INT(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), -FAIL_TOOL);
    CHECK_HAS(err.text, "OWNER TO");
    err_clear(&err);
    b.spec.kind = "auto";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK_HAS(proof.note, "throw-away server on this host: on the site's server: ");
}

TEST(a_leftover_of_a_crash_is_removed_at_the_next_begin)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    struct scratch *left = NULL;
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin; /* it has objects of other roles */
    CHECK_OK(dump(&b, &err), err);
    CHECK_OK(scratch_begin(&b.spec, false, &b.m.contents, &left, &err), err);
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK_OK(scratch_end(&left, &err), err);
    CHECK_OK(scratch_begin(&b.spec, true, &b.m.contents, &left, &err), err);
    CLEANUP(free_mem) char *dir = text_dup(left->dir);
    b.spec.kind = "local";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    CHECK(!fs_exists(dir));
    scratch_free(&left);
}

TEST(what_the_copy_lacks_is_a_mismatch_that_names_it)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin; /* it has objects of other roles */
    CHECK_OK(dump(&b, &err), err);
    for (size_t i = 0; i < b.m.contents.table_count; i++)
        if (strcmp(b.m.contents.tables[i].name, "content") == 0)
            b.m.contents.tables[i].rows++;
    CHECK_INT(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err),
              -FAIL_MISMATCH);
    CHECK_HAS(err.text, "public.content");
    CHECK_STR(
        cluster_ask("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'confleet%'"),
        "0");
}

TEST(a_flipped_bit_in_the_dump_is_found_before_pg_restore_sees_it)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    struct stat st;
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK_OK(dump(&b, &err), err);
    CLEANUP(free_mem) char *path = store_path(&b.store, b.m.id, "", DUMP_NAME);
    CHECK_INT(stat(path, &st), 0);
    srand(7);
    for (int i = 0; i < 20; i++) {
        unsigned char byte = 0;
        off_t at = rand() % st.st_size;
        int fd = open(path, O_RDWR), bit = rand() % 8;
        CHECK_INT(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)(1 << bit);
        CHECK_INT(pwrite(fd, &byte, 1, at), 1);
        CHECK(store_check(&b.store, &b.m, "", NULL, NULL, &err) != 0);
        CHECK_HAS(err.text, DUMP_NAME);
        err_clear(&err);
        if (i == 0) {
            CHECK_INT(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err),
                      -FAIL_CORRUPT);
            err_clear(&err);
        }
        byte ^= (unsigned char)(1 << bit);
        CHECK_INT(pwrite(fd, &byte, 1, at), 1);
        CHECK_INT(close(fd), 0);
    }
    CHECK_OK(store_check(&b.store, &b.m, "", NULL, NULL, &err), err);
}

TEST(a_table_that_may_not_be_read_is_told_and_no_dump_is_taken_for_whole)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    cluster_sql("postgres", "wiki", "CREATE TABLE hidden (a int)");
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK_INT(dump(&b, &err), -FAIL_DATABASE);
    CHECK_HAS(err.text, "hidden");
    CHECK(!store_has(&b.store, b.m.id, ""));
    cluster_sql("postgres", "wiki", "DROP TABLE hidden");
    err_clear(&err);
    b.reach.admin = cluster.admin;
    CHECK_OK(dump(&b, &err), err);
}

TEST(a_connection_that_is_cut_in_the_dump_leaves_no_backup)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki CONNECTION LIMIT 0");
    CHECK_OK(bench_begin(&b, &err), err);
    CHECK(dump(&b, &err) != 0);
    CHECK(!store_has(&b.store, b.m.id, ""));
}

/* What the site's account defines must never run with the rights of database_admin. */
TEST(code_of_the_database_does_not_run_while_it_is_read)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    cluster_sql("conf", "wiki",
                "CREATE FUNCTION evil(content) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE "
                "'evil ran as %', current_user; END$$; "
                "CREATE CAST (content AS text) WITH FUNCTION evil(content) AS IMPLICIT");
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin;
    CHECK_OK(dump(&b, &err), err);
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    b.spec.kind = "local";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
}

TEST(a_search_path_of_the_database_does_not_choose_what_runs)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(bench_free) struct bench b;
    cluster_odd_database();
    cluster_sql("conf", "wiki",
                "CREATE FUNCTION set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS "
                "$$BEGIN RAISE 'evil ran as %', current_user; END$$; "
                "CREATE FUNCTION pg_export_snapshot() RETURNS text LANGUAGE plpgsql AS "
                "$$BEGIN RAISE 'evil ran as %', current_user; END$$; "
                "ALTER DATABASE wiki SET search_path = public, pg_catalog");
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin;
    CHECK_OK(dump(&b, &err), err);
}

TEST(the_real_dump_of_6_0_1_is_proven_both_ways)
{
    NEEDS_SERVER;
    const char *sql = test_shared("data/confluence-6.0.1.sql");
    if (!sql)
        TEST_SKIP("no real dump at hand");
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki");
    cluster_sql("postgres", "postgres",
                "DO $$BEGIN CREATE ROLE confluence LOGIN CREATEDB; EXCEPTION WHEN duplicate_object "
                "THEN END$$");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER confluence");
    CLEANUP(free_mem) char *real = realpath(sql, NULL);
    struct proc_spec psql = {
        .argv = (const char *const[]){ "/usr/bin/psql", "-q", "-v", "ON_ERROR_STOP=1", "-h",
                                       cluster.dir, "-p", cluster.site.port, "-U", "postgres", "-d",
                                       "wiki", "-f", real, NULL },
        .timeout_ms = 60000
    };
    CHECK_OK(proc_run_ok(&psql, &result, &err), err);
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin;
    CHECK_OK(dump(&b, &err), err);
    CHECK(b.m.contents.table_count >= 107);
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
    b.spec.kind = "local";
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
}

static const char *digest_of(const struct contents *c, const char *table)
{
    for (size_t i = 0; i < c->table_count; i++)
        if (strcmp(c->tables[i].name, table) == 0)
            return c->tables[i].digest;
    return "";
}

/* Values that PostgreSQL's own hash takes for equal must not be taken for equal here. */
TEST(what_is_equal_to_the_server_and_not_the_same_is_a_difference)
{
    NEEDS_SERVER;
    static const char *const pairs[][3] = {
        { "numeric", "1.0", "1.00" },
        { "char(5)", "'a'", "'b'" },
        { "interval", "'1 month'", "'30 days'" },
        { "float8", "'0'", "'-0'" },
        { "json", "'{}'", "'{ }'" },
        { "text", "'a'", "'a '" },
        { "text", "''", "NULL" },
        { "varchar(9)", "'x'", "'y'" },
        { "bytea", "'\\x00'", "'\\x0000'" },
        { "timestamptz", "'2024-01-01Z'", "'2024-01-02Z'" },
        { "int8[]", "'{1}'", "'{2}'" },
        { "text COLLATE loose", "'a'", "'A'" },
    };
    CLEANUP(bench_free) struct bench b;
    struct err err = { 0 };
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin;
    cluster_sql("conf", "wiki",
                "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', "
                "deterministic = false)");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        CLEANUP(free_mem)
        char *sql = text_printf("CREATE TABLE pair%zu (k int, v %s); INSERT INTO pair%zu VALUES "
                                "(7, %s)",
                                i, pairs[i][0], i, pairs[i][1]);
        cluster_sql("conf", "wiki", sql);
    }
    for (int way = 0; way < 2; way++) {
        const char *method = way ? "hash64" : NULL;
        struct contents before = { .method = method }, after = { .method = method };
        CLEANUP(pool_free) struct pool pool = { 0 };
        CLEANUP(database_close) PGconn *conn = NULL;
        CHECK_OK(reach_connect(&b.reach, NULL, &conn, &err), err);
        CHECK_OK(dump_describe(conn, &pool, &before, &err), err);
        CHECK_STR(before.method, way ? "hash64" : "record64");
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            CLEANUP(free_mem)
            char *sql = text_printf("UPDATE pair%zu SET v = %s", i, pairs[i][2]);
            cluster_sql("conf", "wiki", sql);
        }
        CHECK_OK(dump_describe(conn, &pool, &after, &err), err);
        CHECK_INT(contents_compare(&before, &after, &err), -FAIL_MISMATCH);
        err_clear(&err);
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "pair%zu", i);
            CHECK(strcmp(digest_of(&before, name), digest_of(&after, name)) != 0);
            CLEANUP(free_mem)
            char *sql = text_printf("UPDATE pair%zu SET v = %s", i, pairs[i][1]);
            cluster_sql("conf", "wiki", sql);
        }
        contents_free(&before);
        contents_free(&after);
    }
}

TEST(a_backup_that_was_hashed_in_the_older_way_is_proven_in_that_way)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct proof proof = { 0 };
    CLEANUP(bench_free) struct bench b;
    CLEANUP(database_close) PGconn *conn = NULL;
    struct contents older = { .method = "hash64" };
    cluster_odd_database();
    CHECK_OK(bench_begin(&b, &err), err);
    b.reach.admin = cluster.admin;
    CHECK_OK(dump(&b, &err), err);
    CHECK_STR(b.m.contents.method, "record64");
    CHECK_OK(reach_connect(&b.reach, NULL, &conn, &err), err);
    CHECK_OK(dump_describe(conn, &b.m.pool, &older, &err), err);
    contents_free(&b.m.contents);
    b.m.contents = older;
    CHECK_OK(prove_database(&b.store, &b.m, "", &b.spec, &proof, NULL, NULL, &err), err);
}
