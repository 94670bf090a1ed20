#include "dump.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define DUMP_IDLE_MS (30 * 60 * 1000)
#define RESTORE_IDLE_MS                                                                            \
    (4 * 3600 * 1000) /* an index of a large table is built without reading a byte */

struct making {
    struct frames_writer *frames;
    uint64_t content;
    char head[5];
    pack_progress *progress;
    void *ctx;
};

static int take_dump(void *ctx, const void *bytes, size_t len, struct err *err)
{
    struct making *m = ctx;
    for (size_t i = 0; m->content + i < sizeof m->head && i < len; i++)
        m->head[m->content + i] = ((const char *)bytes)[i];
    m->content += len;
    if (m->progress)
        m->progress(m->ctx, len);
    return frames_add(m->frames, bytes, len, err);
}

static int run_dump(const struct dump_spec *spec, PGconn *conn, const char *snapshot,
                    struct making *making, struct err *err)
{
    CLEANUP(free_mem) char *dir = NULL;
    CLEANUP(database_child_env_free) char **env = NULL;
    int version = 0;
    int rc = database_tools(spec->pg_bin, PQserverVersion(conn), &dir, &version, err);
    if (rc == 0)
        rc = reach_env(spec->reach, NULL, NULL, &env, err);
    if (rc != 0)
        return rc;
    CLEANUP(free_mem)
    char *program = fs_join(dir, "pg_dump"), *with = text_printf("--snapshot=%s", snapshot);
    const char *argv[] = { program,
                           "--format=custom",
                           "--compress=0",
                           "--no-password",
                           "--lock-wait-timeout=60s",
                           with,
                           NULL };
    struct pump pump = { .take = take_dump, .ctx = making, .timeout_ms = DUMP_IDLE_MS };
    rc = pump_run(argv, env, &pump, err);
    if (rc == 0 && (making->content < 64 || memcmp(making->head, "PGDMP", 5) != 0))
        return err_set(err, FAIL_TOOL, "%s wrote no dump, though it reports success", program);
    return rc;
}

static int write_dump(const struct store *store, struct manifest *manifest,
                      const struct dump_spec *spec, PGconn *conn, const char *snapshot,
                      struct making *making, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, manifest->id, spec->ending, DUMP_NAME);
    CLEANUP(frames_writer_free) struct frames_writer *frames = NULL;
    CLEANUP(close_fd)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct manifest_dump dump = { .name = manifest_text(manifest, DUMP_NAME) };
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "create %s", path);
    int rc = frames_writer_new(fd, path, true, &frames, err);
    if (rc == 0)
        rc = frames_writer_threads(frames, spec->threads, err);
    if (rc != 0)
        return rc;
    making->frames = frames;
    rc = run_dump(spec, conn, snapshot, making, err);
    if (rc == 0)
        rc = frames_finish(frames, &dump.size, dump.sha256, &dump.frames, err);
    if (rc == 0)
        rc = fs_sync_fd(fd, path, err);
    if (rc == 0)
        rc = fs_close(&fd, path, err);
    if (rc != 0) {
        frame_list_free(&dump.frames);
        return err_wrap(err, "dump into %s", path);
    }
    dump.content = making->content;
    frame_list_free(&manifest->dump.frames);
    manifest->dump = dump;
    manifest->has_dump = true;
    return 0;
}

/* Before the transaction: a server may refuse this to the account, and a refusal would end the
 * snapshot. */
static const char *system_id(PGconn *conn, struct pool *pool)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    struct err ignored = { 0 };
    if (database_query(
            conn, "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()",
            0, NULL, &r, &ignored) != 0)
        return ""; /* managed servers keep it to themselves; the manifest then has none */
    return pool_text(pool, PQgetvalue(r, 0, 0));
}

static int begin(PGconn *conn, struct err *err)
{
    int rc = database_do(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", err);
    return rc != 0 ? rc : database_do(conn, "SET LOCAL lock_timeout = '60s'", err);
}

int dump_describe(PGconn *conn, struct pool *pool, struct contents *ret, struct err *err)
{
    const char *system = system_id(conn, pool);
    int rc = begin(conn, err);
    if (rc == 0)
        rc = contents_read(conn, pool, ret, err);
    if (rc != 0)
        return rc;
    ret->system = system;
    return database_do(conn, "COMMIT", err);
}

static int export_snapshot(PGconn *conn, char **ret, struct err *err)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    int rc = begin(conn, err);
    if (rc == 0)
        rc = database_query(conn, "SELECT pg_catalog.pg_export_snapshot()", 0, NULL, &r, err);
    if (rc == 0)
        *ret = text_dup(PQgetvalue(r, 0, 0));
    return rc;
}

/* Rows are counted and hashed beside the dump, on the connection that exported the snapshot. */
struct counting {
    PGconn *conn;
    struct pool pool;
    struct contents contents;
    struct err err;
    int rc;
};

static void *count_run(void *arg)
{
    struct counting *c = arg;
    c->rc = contents_read(c->conn, &c->pool, &c->contents, &c->err);
    return NULL;
}

static void count_cancel(PGconn *conn)
{
    char text[256];
    PGcancel *cancel = PQgetCancel(conn);
    /* If it cannot be told, the thread is waited for all the same. */
    if (cancel)
        (void)PQcancel(cancel, text, sizeof text);
    PQfreeCancel(cancel);
}

static int dump_and_count(const struct store *store, struct manifest *manifest,
                          const struct dump_spec *spec, PGconn *conn, const char *snapshot,
                          struct making *making, struct contents *ret, struct err *err)
{
    struct counting counting = { .conn = conn };
    pthread_t thread;
    bool beside = spec->threads > 0 && pthread_create(&thread, NULL, count_run, &counting) == 0;
    if (!beside)
        (void)count_run(&counting);
    int rc = beside || counting.rc == 0
                 ? write_dump(store, manifest, spec, conn, snapshot, making, err)
                 : 0;
    if (beside && rc != 0)
        count_cancel(conn);
    if (beside)
        (void)pthread_join(thread, NULL);
    pool_join(&manifest->pool, &counting.pool);
    if (rc == 0 && counting.rc != 0) {
        rc = counting.rc;
        if (err)
            *err = counting.err;
    }
    if (rc == 0)
        *ret = counting.contents;
    else
        contents_free(&counting.contents);
    return rc;
}

int dump_make(const struct store *store, struct manifest *manifest, const struct dump_spec *spec,
              pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(contents_free) struct contents contents = { 0 };
    CLEANUP(free_mem) char *snapshot = NULL;
    struct making making = { .progress = progress, .ctx = ctx };
    bool moved = false;
    int rc = reach_connect(spec->reach, NULL, &conn, err);
    if (rc != 0)
        return rc;
    const char *system = system_id(conn, &manifest->pool);
    rc = export_snapshot(conn, &snapshot, err);
    if (rc != 0)
        return rc;
    rc = dump_and_count(store, manifest, spec, conn, snapshot, &making, &contents, err);
    reach_end(spec->reach);
    if (rc == 0)
        contents.system = system;
    if (rc == 0)
        rc = contents_widen_sequences(conn, &manifest->pool, &contents, &moved, err);
    if (rc == 0 && moved && spec->still)
        return err_set(
            err, FAIL_CONFLICT,
            "sequences of database %s moved while it was captured although the service is stopped: "
            "another program uses it",
            contents.database);
    if (rc == 0)
        rc = database_do(conn, "COMMIT", err);
    if (rc != 0)
        return rc;
    contents_free(&manifest->contents);
    manifest->contents = contents;
    contents = (struct contents){ 0 };
    return 0;
}

/* ---- out again ---- */

struct giving {
    const char *path;
    const struct manifest_dump *dump;
    struct frames_reader *reader;
    size_t next;
    pack_progress *progress;
    void *ctx;
};

static int give_frame(void *ctx, const uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
    struct giving *g = ctx;
    uint8_t sha256[HASH_SIZE];
    struct frame frame;
    if (g->next == g->dump->frames.count) {
        *ret_len = 0;
        return 0;
    }
    const struct frame *want = &g->dump->frames.item[g->next++];
    int got = frames_next(g->reader, ret_bytes, &frame, err);
    if (got < 0)
        return got;
    if (got == 0 || frame.at != want->at || frame.content != want->content)
        return err_set(err, FAIL_CORRUPT, "%s: frame %zu is not the one of the manifest", g->path,
                       g->next - 1);
    hash_bytes(*ret_bytes, frame.content, sha256);
    if (memcmp(sha256, want->sha256, HASH_SIZE) != 0)
        return err_set(err, FAIL_CORRUPT, "%s: frame %zu: its digest differs from the manifest's",
                       g->path, g->next - 1);
    if (g->progress)
        g->progress(g->ctx, frame.content);
    *ret_len = frame.content;
    return 0;
}

/* lz4 halves the time of a restore that is only compared by text and then dropped; not every server
 * was built with it. */
static const char *fast_options(const struct restore_spec *spec)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    bool found = false;
    uint64_t one = 0;
    struct err ignored = { 0 };
    static const char base[] = "-csynchronous_commit=off -cmaintenance_work_mem=256MB";
    if (spec->server_version < 140000 ||
        reach_connect(spec->reach, spec->dbname, &conn, &ignored) != 0)
        return base;
    static const char sql[] = "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' "
                              "AND 'lz4' = ANY (enumvals)";
    if (database_u64(conn, sql, &one, &found, &ignored) != 0 || !found)
        return base;
    return "-csynchronous_commit=off -cmaintenance_work_mem=256MB -cdefault_toast_compression=lz4";
}

int dump_restore(const char *path, const struct manifest_dump *dump,
                 const struct restore_spec *spec, pack_progress *progress, void *ctx,
                 struct err *err)
{
    CLEANUP(free_mem) char *dir = NULL;
    CLEANUP(database_child_env_free) char **env = NULL;
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    struct giving giving = { .path = path, .dump = dump, .progress = progress, .ctx = ctx };
    struct pump pump = { .give = give_frame, .ctx = &giving, .timeout_ms = RESTORE_IDLE_MS };
    int version = 0;
    int rc = database_tools(spec->pg_bin, spec->server_version, &dir, &version, err);
    if (rc == 0)
        rc = frames_reader_new(path, dump->size, false, &reader, err);
    if (rc == 0)
        rc =
            reach_env(spec->reach, spec->dbname, spec->fast ? fast_options(spec) : NULL, &env, err);
    if (rc != 0)
        return rc;
    giving.reader = reader;
    CLEANUP(free_mem)
    char *program = fs_join(dir, "pg_restore"), *into = text_printf("--dbname=%s", spec->dbname);
    /* A throw-away copy goes wherever there is room; the real one goes where it was. */
    const char *argv[] = { program,
                           "--exit-on-error",
                           "--no-password",
                           into,
                           spec->create ? "--create" : "--no-tablespaces",
                           NULL };
    rc = pump_run(argv, env, &pump, err);
    reach_end(spec->reach);
    return rc == 0 ? 0 : err_wrap(err, "restore %s", path);
}
