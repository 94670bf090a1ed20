#include "dump.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define DUMP_IDLE_MS (30 * 60 * 1000)
#define PUSH_BYTES   (32u * 1024 * 1024) /* of content */

struct making {
    struct frames_writer *frames;
    int fd;
    uint64_t content, pushed;
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
    /* The disk is kept at work, so that the sync at the end finds little left. Only a hint. */
    if (m->content - m->pushed > PUSH_BYTES) {
        m->pushed = m->content;
        (void)sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
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
    making->fd = fd;
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
    CLEANUP(database_close) PGconn *own = NULL;
    CLEANUP(contents_free) struct contents contents = { 0 };
    CLEANUP(free_mem) char *snapshot = NULL;
    struct making making = { .progress = progress, .ctx = ctx };
    bool moved = false;
    int rc = spec->conn ? 0 : reach_connect(spec->reach, NULL, &own, err);
    if (rc != 0)
        return rc;
    PGconn *conn = spec->conn ? spec->conn : own;
    const char *system = system_id(conn, &manifest->pool);
    rc = export_snapshot(conn, &snapshot, err);
    if (rc == 0 && spec->enter)
        rc = spec->enter(spec->enter_ctx, err);
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
