#include "dump.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "crew.h"
#include "ranges.h"
#include "rows.h"
#include "toc.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#define DUMP_IDLE_MS (30 * 60 * 1000)
#define PUSH_BYTES   (32u * 1024 * 1024) /* of content */
#define TOC_MAX      (64u * 1024 * 1024)

/* Rows are counted and hashed beside the dump, on the connection that exported the snapshot or by a
 * crew of its snapshot. */
struct counting {
    PGconn *conn;
    struct pool pool;
    struct contents contents;
    struct ranges *ranges; /* NULL: table by table on conn */
    struct crew *crew;
    pthread_t thread;
    bool beside; /* the thread runs, or has not been joined */
    struct err err;
    int rc;
};

struct making {
    const struct dump_spec *spec;
    struct frames_writer *frames;
    int fd;
    uint64_t content, pushed;
    char head[5];
    pack_progress *progress;
    void *ctx;
    struct dump_counts counts;
    /* The rows by ourselves, if the table of contents is what we know; else pg_dump goes on. */
    struct counting *counting;
    const char *snapshot;
    struct ranges ranges, known;
    struct crew crew;
    bool by_ranges, enough; /* by_ranges: until something speaks against it */
    struct str first;       /* of what pg_dump wrote, until the table of contents is whole */
    size_t look_at;
    struct toc toc;
};

static void making_free(struct making *m)
{
    ranges_free(&m->ranges);
    ranges_free(&m->known);
    crew_close(&m->crew);
    toc_free(&m->toc);
    str_free(&m->first);
}

static void progressed(void *ctx, uint64_t len)
{
    struct making *m = ctx;
    m->content += len;
    if (m->progress)
        m->progress(m->ctx, len);
    /* The disk is kept at work, so that the sync at the end finds little left. Only a hint. */
    if (m->content - m->pushed > PUSH_BYTES) {
        m->pushed = m->content;
        (void)sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
}

static int add(struct making *m, const void *bytes, size_t len, struct err *err)
{
    for (size_t i = 0; m->content + i < sizeof m->head && i < len; i++)
        m->head[m->content + i] = ((const char *)bytes)[i];
    progressed(m, len);
    return frames_add(m->frames, bytes, len, err);
}

/* ---- pg_dump ---- */

/* Whether the table of contents is whole and its rows are those that we cut: then pg_dump has said
 * what we want of it. */
static void look_at_toc(struct making *m)
{
    struct err why = { 0 };
    bool whole = false;
    if (toc_read((const uint8_t *)str_text(&m->first), m->first.len, &m->toc, &whole, &why) != 0 ||
        m->first.len > TOC_MAX)
        m->by_ranges = false;
    else if (whole)
        m->enough = m->by_ranges = rows_match(&m->toc, &m->ranges);
    m->look_at = m->first.len + m->first.len / 4;
}

static int take_dump(void *ctx, const void *bytes, size_t len, struct err *err)
{
    struct making *m = ctx;
    if (!m->by_ranges)
        return add(m, bytes, len, err);
    str_add_bytes(&m->first, bytes, len);
    if (m->first.len >= m->look_at)
        look_at_toc(m);
    if (m->by_ranges)
        return 0;
    int rc = add(m, m->first.s, m->first.len, err);
    str_free(&m->first);
    return rc;
}

static int run_dump(struct making *making, PGconn *conn, struct err *err)
{
    const struct dump_spec *spec = making->spec;
    CLEANUP(free_mem) char *dir = NULL;
    CLEANUP(database_child_env_free) char **env = NULL;
    int version = 0;
    int rc = database_tools(spec->pg_bin, PQserverVersion(conn), &dir, &version, err);
    if (rc == 0)
        rc = reach_env(spec->reach, NULL, NULL, &env, err);
    if (rc != 0)
        return rc;
    CLEANUP(free_mem)
    char *program = fs_join(dir, "pg_dump"), *with = text_printf("--snapshot=%s", making->snapshot);
    const char *argv[] = { program,
                           "--format=custom",
                           "--compress=0",
                           "--no-password",
                           "--lock-wait-timeout=60s",
                           with,
                           NULL };
    struct pump pump = {
        .take = take_dump, .ctx = making, .timeout_ms = DUMP_IDLE_MS, .enough = &making->enough
    };
    rc = pump_run(argv, env, &pump, err);
    if (rc == 0 && making->by_ranges && !making->enough)
        look_at_toc(making);
    if (rc == 0 && making->first.len > 0 && !making->enough) /* it has ended, and is small */
        rc = add(making, making->first.s, making->first.len, err);
    if (rc == 0 && !making->enough &&
        (making->content < 64 || memcmp(making->head, "PGDMP", 5) != 0))
        return err_set(err, FAIL_TOOL, "%s wrote no dump, though it reports success", program);
    return rc;
}

/* ---- rows by ourselves ---- */

/* As pg_dump does it, in the encoding that it chose. */
static int set_as_pg_dump(struct making *m, struct err *err)
{
    static const char sql[] =
        "SELECT pg_catalog.set_config('datestyle', 'ISO', true), "
        "pg_catalog.set_config('intervalstyle', 'postgres', true), "
        "pg_catalog.set_config('extra_float_digits', '3', true), "
        "pg_catalog.set_config('row_security', 'off', true), "
        "pg_catalog.set_config('statement_timeout', '0', true)";
    char encoding[64] = "";
    for (size_t i = 0; i < m->toc.count; i++)
        if (strcmp(m->toc.items[i].what, "ENCODING") == 0)
            (void)sscanf(m->toc.items[i].definition, "SET client_encoding = '%63[^']", encoding);
    for (size_t i = 0; i < m->crew.count; i++)
        if (!encoding[0] || PQsetClientEncoding(m->crew.conns[i], encoding) != 0)
            return err_set(err, FAIL_DATABASE, "encoding '%s': %s", encoding,
                           PQerrorMessage(m->crew.conns[i]));
    int rc = crew_do(&m->crew, sql, err);
    return rc == 0 ? crew_do(&m->crew, range_planning, err) : rc;
}

static int count_join(struct counting *c, struct err *err)
{
    if (c->beside)
        (void)pthread_join(c->thread, NULL);
    c->beside = false;
    if (c->rc != 0 && err)
        *err = c->err;
    return c->rc;
}

static int run_rows(const struct store *store, struct making *m, struct err *err)
{
    const char *base = m->spec->base_id;
    CLEANUP(free_mem) char *known = base && base[0] ? store_path(store, base, "", DUMP_NAME) : NULL;
    struct rows_spec spec = { .crew = &m->crew,
                              .toc = &m->toc,
                              .ranges = &m->ranges,
                              .frames = m->frames,
                              .known = m->known.count > 0 ? &m->known : NULL,
                              .known_path = known,
                              .progress = progressed,
                              .ctx = m };
    struct rows_counts counts = { 0 };
    int rc = count_join(m->counting, err);
    spec.objects = m->counting->contents.object_count;
    if (rc == 0)
        rc = crew_begin(&m->crew, m->snapshot, err);
    if (rc == 0)
        rc = set_as_pg_dump(m, err);
    if (rc == 0)
        rc = add(m, m->first.s, m->toc.toc_size, err);
    if (rc == 0)
        rc = rows_write(&spec, &counts, err);
    m->counts = (struct dump_counts){ counts.ranges, counts.kept };
    return rc;
}

static int write_dump(const struct store *store, struct manifest *manifest, PGconn *conn,
                      struct making *making, struct err *err)
{
    const struct dump_spec *spec = making->spec;
    CLEANUP(free_mem) char *path = store_path(store, manifest->id, spec->ending, DUMP_NAME);
    CLEANUP(free_mem) char *beside = store_path(store, manifest->id, spec->ending, RANGES_NAME);
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
    rc = run_dump(making, conn, err);
    if (rc == 0 && making->enough)
        rc = run_rows(store, making, err);
    if (rc == 0)
        rc = frames_finish(frames, &dump.size, dump.sha256, &dump.frames, err);
    if (rc == 0)
        rc = fs_sync_fd(fd, path, err);
    if (rc == 0)
        rc = fs_close(&fd, path, err);
    if (rc == 0 && spec->ranges && making->enough)
        rc = ranges_save(&making->ranges, &dump.frames, dump.size, beside, err);
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

static int count_ranges(void *ctx, struct pool *pool, struct contents *ret, struct err *err)
{
    struct counting *c = ctx;
    int rc = ranges_count(c->ranges, c->crew, err);
    return rc == 0 ? ranges_contents(c->ranges, pool, ret, err) : rc;
}

static void *count_run(void *arg)
{
    struct counting *c = arg;
    c->rc = contents_read_by(c->conn, &c->pool, &c->contents, c->ranges ? count_ranges : NULL, c,
                             &c->err);
    return NULL;
}

static void count_cancel(struct counting *c)
{
    char text[256];
    PGcancel *cancel = PQgetCancel(c->conn);
    /* If it cannot be told, the thread is waited for all the same. */
    if (cancel)
        (void)PQcancel(cancel, text, sizeof text);
    PQfreeCancel(cancel);
    if (c->ranges)
        crew_cancel(c->crew);
}

static int dump_and_count(const struct store *store, struct manifest *manifest, PGconn *conn,
                          struct making *making, struct contents *ret, struct err *err)
{
    struct counting counting = { .conn = conn,
                                 .ranges = making->by_ranges ? &making->ranges : NULL,
                                 .crew = &making->crew };
    struct err why = { 0 };
    counting.beside = making->spec->threads > 0 &&
                      pthread_create(&counting.thread, NULL, count_run, &counting) == 0;
    if (!counting.beside)
        (void)count_run(&counting);
    making->counting = &counting;
    int rc = counting.beside || counting.rc == 0 ? write_dump(store, manifest, conn, making, err)
                                                 : 0;
    if (counting.beside && rc != 0)
        count_cancel(&counting);
    int counted = count_join(&counting, &why);
    pool_join(&manifest->pool, &counting.pool);
    if (rc == 0 && counted != 0) {
        rc = counted;
        if (err)
            *err = why;
    }
    if (rc == 0)
        *ret = counting.contents;
    else
        contents_free(&counting.contents);
    return rc;
}

int dump_describe_at(const struct reach *reach, const char *dbname, unsigned connections,
                     struct pool *pool, struct contents *ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *snapshot = NULL;
    CLEANUP(ranges_free) struct ranges ranges = { .count = 0 };
    CLEANUP(crew_close) struct crew crew = { .count = 0 };
    struct counting counting = { .ranges = &ranges, .crew = &crew };
    struct err ignored = { 0 };
    int rc = reach_connect(reach, dbname, &conn, err);
    if (rc != 0)
        return rc;
    if (connections < 2 || PQserverVersion(conn) < RANGES_SINCE ||
        crew_open(reach, dbname, connections, &crew, &ignored) != 0)
        return dump_describe(conn, pool, ret, err);
    const char *system = system_id(conn, pool);
    if ((rc = export_snapshot(conn, &snapshot, err)) == 0)
        rc = crew_begin(&crew, snapshot, err);
    if (rc == 0)
        rc = ranges_list(conn, ret->method ? ret->method : RANGES_METHOD, &ranges, err);
    if (rc != 0)
        return rc;
    ranges_cut(&ranges, NULL);
    if ((rc = contents_read_by(conn, pool, ret, count_ranges, &counting, err)) != 0)
        return rc;
    ret->system = system;
    return database_do(conn, "COMMIT", err);
}

/* Sessions of our own beside the one that exported the snapshot: not in a copy that nobody else may
 * enter, and not where the server refuses them. */
static int begin_ranges(const struct store *store, struct making *m, PGconn *conn, struct err *err)
{
    const char *base = m->spec->base_id;
    CLEANUP(free_mem)
    char *known = base && base[0] ? store_path(store, base, "", RANGES_NAME) : NULL;
    struct err ignored = { 0 };
    if (m->spec->conn || PQserverVersion(conn) < RANGES_SINCE ||
        crew_open(m->spec->reach, NULL, m->spec->threads, &m->crew, &ignored) != 0)
        return 0;
    int rc = crew_begin(&m->crew, m->snapshot, err);
    if (rc == 0)
        rc = ranges_list(conn, RANGES_METHOD, &m->ranges, err);
    if (rc != 0)
        return rc;
    if (known && fs_exists(known) && ranges_load(known, &m->known, &ignored) != 0)
        err_clear(&ignored); /* then all is dumped anew */
    ranges_cut(&m->ranges, &m->known);
    m->by_ranges = true;
    return 0;
}

int dump_make(const struct store *store, struct manifest *manifest, const struct dump_spec *spec,
              pack_progress *progress, void *ctx, struct dump_counts *ret_counts, struct err *err)
{
    CLEANUP(database_close) PGconn *own = NULL;
    CLEANUP(contents_free) struct contents contents = { 0 };
    CLEANUP(free_mem) char *snapshot = NULL;
    CLEANUP(making_free)
    struct making making = { .spec = spec, .progress = progress, .ctx = ctx };
    bool moved = false;
    int rc = spec->conn ? 0 : reach_connect(spec->reach, NULL, &own, err);
    if (rc != 0)
        return rc;
    PGconn *conn = spec->conn ? spec->conn : own;
    const char *system = system_id(conn, &manifest->pool);
    rc = export_snapshot(conn, &snapshot, err);
    if (rc == 0 && spec->enter)
        rc = spec->enter(spec->enter_ctx, err);
    making.snapshot = snapshot;
    if (rc == 0)
        rc = begin_ranges(store, &making, conn, err);
    if (rc != 0)
        return rc;
    rc = dump_and_count(store, manifest, conn, &making, &contents, err);
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
    if (ret_counts)
        *ret_counts = making.counts;
    return 0;
}
