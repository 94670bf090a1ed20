#include "restore_db.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <poll.h>
#include <string.h>

#define STATE_FILE       "restore-database"
#define STATE_MAX        256
#define ASIDE            "aside"    /* intended: the failed database gets its other name */
#define RESTORED         "restored" /* done and compared: the failed one may go */
#define SESSIONS_WAIT_MS 10000      /* a killed JVM's sessions end when the server notices */
#define FAILED_ENDING    "_confleet_failed"
#define NAME_MAX_BYTES   63

struct swap {
    struct subject *subject;
    const struct manifest *manifest;
    PGconn *conn;      /* to a database that is neither */
    const char *other; /* its name */
    const char *name;
    char failed[NAME_MAX_BYTES + 1];
    bool has_name, has_failed;
};

static void swap_end(struct swap *swap)
{
    database_close(&swap->conn);
}

static inline void pq_drop(char **text)
{
    if (*text)
        PQfreemem(*text);
    *text = NULL;
}

static bool state_is(const struct swap *swap, const char *word)
{
    CLEANUP(free_mem) char *path = fs_join(swap->subject->dir, STATE_FILE);
    CLEANUP(free_mem) char *want = text_printf("%s %s\n", word, swap->manifest->id);
    CLEANUP(str_free) struct str text = { 0 };
    struct err ignored = { 0 };
    return fs_read(path, STATE_MAX, &text, &ignored) == 0 && strcmp(str_text(&text), want) == 0;
}

static int state_write(const struct swap *swap, const char *word, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(swap->subject->dir, STATE_FILE);
    CLEANUP(free_mem) char *text = text_printf("%s %s\n", word, swap->manifest->id);
    return fs_write(path, text, strlen(text), 0600, err);
}

static int exists(PGconn *conn, const char *name, bool *ret, struct err *err)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    int rc =
        database_query(conn, "SELECT 1 FROM pg_database WHERE datname = $1", 1, &name, &r, err);
    if (rc == 0)
        *ret = PQntuples(r) > 0;
    return rc;
}

static int look(struct swap *swap, struct err *err)
{
    int rc = exists(swap->conn, swap->name, &swap->has_name, err);
    return rc == 0 ? exists(swap->conn, swap->failed, &swap->has_failed, err) : rc;
}

static int connect_elsewhere(struct swap *swap, struct err *err)
{
    static const char *const names[] = { "postgres", "template1" };
    struct err first = { 0 };
    for (size_t i = 0; i < 2; i++) {
        struct err *why = i == 0 ? &first : err;
        swap->other = names[i];
        int rc = reach_connect(&swap->subject->reach, names[i], &swap->conn, why);
        if (rc == 0)
            return 0;
    }
    return err_wrap(err, "no database to work from (postgres: %.300s)", first.text);
}

/* sql holds one %s for the first name and may hold a second for the other; both quoted. */
static int do_named(struct swap *swap, const char *before, const char *name, const char *between,
                    const char *second, struct err *err)
{
    CLEANUP(pq_drop) char *a = PQescapeIdentifier(swap->conn, name, strlen(name));
    CLEANUP(pq_drop) char *b = PQescapeIdentifier(swap->conn, second, strlen(second));
    if (!a || !b)
        return err_set(err, FAIL_DATABASE, "database name '%s' cannot be quoted", name);
    CLEANUP(free_mem) char *sql = text_printf("%s%s%s%s", before, a, between, between[0] ? b : "");
    return database_do(swap->conn, sql, err);
}

/* Ours are asked to end; somebody else's are waited for a while and then named. */
static int wait_alone(struct swap *swap, const char *name, struct err *err)
{
    static const char ours[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                               "datname = $1 AND pid <> pg_backend_pid() "
                               "AND application_name LIKE 'confleet%' AND usename = current_user";
    static const char others[] =
        "SELECT coalesce(string_agg(DISTINCT concat_ws(' ', usename, nullif(application_name, ''), "
        "'from ' || coalesce(host(client_addr), 'this host')), ', '), ''), "
        "count(*) FROM pg_stat_activity a WHERE datname = $1 AND pid <> pg_backend_pid() "
        "AND coalesce(to_jsonb(a)->>'backend_type', 'client backend') = 'client backend'";
    for (int64_t end = clock_mono_ms() + SESSIONS_WAIT_MS;; (void)poll(NULL, 0, 200)) {
        CLEANUP(database_result_free) PGresult *ended = NULL;
        CLEANUP(database_result_free) PGresult *r = NULL;
        int rc = database_query(swap->conn, ours, 1, &name, &ended, err);
        if (rc == 0)
            rc = database_query(swap->conn, others, 1, &name, &r, err);
        if (rc != 0)
            return rc;
        if (strcmp(PQgetvalue(r, 0, 1), "0") == 0)
            return 0;
        if (clock_mono_ms() > end)
            return err_set(err, FAIL_CONFLICT,
                           "database %s is in use by %s session(s): %.400s. End them, then let the "
                           "rollback go on",
                           name, PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 0));
    }
}

static int set_aside(struct swap *swap, struct err *err)
{
    int rc = state_write(swap, ASIDE, err);
    if (rc == 0)
        rc = wait_alone(swap, swap->name, err);
    if (rc == 0)
        rc = do_named(swap, "ALTER DATABASE ", swap->name, " RENAME TO ", swap->failed, err);
    return rc == 0 ? 0 : err_wrap(err, "set the failed database %s aside", swap->name);
}

/* Leaves swap->name absent and the failed database, if there is one, under its other name. */
static int make_room(struct swap *swap, struct err *err)
{
    if (swap->has_failed && !state_is(swap, ASIDE))
        return err_set(err, FAIL_CONFLICT,
                       "a database %s is there and not from this run: drop or rename it, then let "
                       "the rollback go on",
                       swap->failed);
    if (!swap->has_name)
        return 0;
    if (!swap->has_failed)
        return set_aside(swap, err);
    int rc = wait_alone(swap, swap->name, err); /* half restored by an attempt that was cut off */
    if (rc == 0)
        rc = do_named(swap, "DROP DATABASE ", swap->name, "", "", err);
    return rc == 0 ? 0 : err_wrap(err, "drop the half restored database");
}

static int put_back(struct swap *swap, const struct contents *now, struct err *err)
{
    const struct contents *was = &swap->manifest->contents;
    CLEANUP(pq_drop)
    char *comment = PQescapeLiteral(swap->conn, was->comment, strlen(was->comment));
    char limit[32];
    int rc = 0;
    (void)snprintf(limit, sizeof limit, " CONNECTION LIMIT %d", was->connection_limit);
    if (now->connection_limit != was->connection_limit) {
        CLEANUP(pq_drop)
        char *quoted = PQescapeIdentifier(swap->conn, swap->name, strlen(swap->name));
        CLEANUP(free_mem)
        char *sql = text_printf("ALTER DATABASE %s%s", quoted ? quoted : "", limit);
        rc = database_do(swap->conn, sql, err);
    }
    if (rc == 0 &&
        (now->has_comment != was->has_comment || strcmp(now->comment, was->comment) != 0)) {
        CLEANUP(pq_drop)
        char *quoted = PQescapeIdentifier(swap->conn, swap->name, strlen(swap->name));
        CLEANUP(free_mem)
        char *sql = text_printf("COMMENT ON DATABASE %s IS %s", quoted ? quoted : "",
                                was->has_comment && comment ? comment : "NULL");
        rc = database_do(swap->conn, sql, err);
    }
    return rc;
}

static int describe(struct swap *swap, struct pool *pool, struct contents *ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    int rc = reach_connect(&swap->subject->reach, swap->name, &conn, err);
    return rc == 0 ? dump_describe(conn, pool, ret, err) : rc;
}

static int compare(struct swap *swap, struct err *err)
{
    const struct contents *was = &swap->manifest->contents;
    CLEANUP(contents_free) struct contents now = { 0 };
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct err differs = { 0 };
    int rc = describe(swap, &pool, &now, err);
    if (rc == 0)
        rc = contents_compare(was, &now, err);
    if (rc != 0 || contents_compare_database(was, &now, &differs) == 0)
        return rc;
    job_log(swap->subject->job, 4, "%s; putting it back", differs.text);
    rc = put_back(swap, &now, err);
    contents_free(&now);
    if (rc == 0)
        rc = describe(swap, &pool, &now, err);
    return rc == 0 ? contents_compare_database(was, &now, err) : rc;
}

/* A restored database has no statistics; without them the first hours of the old version would
 * crawl. */
static void analyze(struct swap *swap)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err why = { 0 };
    if (reach_connect(&swap->subject->reach, swap->name, &conn, &why) != 0 ||
        database_do(conn, "ANALYZE", &why) != 0)
        job_log(swap->subject->job, 4, "statistics were not gathered: %s; ignoring", why.text);
}

static int bring_back(struct swap *swap, struct err *err)
{
    struct subject *s = swap->subject;
    const struct manifest *m = swap->manifest;
    CLEANUP(free_mem) char *path = store_path(&s->store, m->id, "", m->dump.name);
    /* Read whole before anything is renamed or dropped for its sake. */
    subject_doing(s, "reading the dump", m->dump.content);
    int rc = store_check_dump(&s->store, m, "", subject_moved, s, err);
    if (rc == 0)
        rc = make_room(swap, err);
    if (rc != 0)
        return rc;
    struct restore_spec spec = { .reach = &s->reach,
                                 .pg_bin = job_node(s->job)->pg_bin,
                                 .dbname = swap->other,
                                 .create = true,
                                 .server_version = PQserverVersion(swap->conn) };
    subject_doing(s, "restoring the database", m->dump.content);
    rc = dump_restore(path, &m->dump, &spec, subject_moved, s, err);
    if (rc == 0)
        rc = compare(swap, err);
    if (rc == 0)
        rc = state_write(swap, RESTORED, err);
    if (rc == 0)
        analyze(swap);
    return rc;
}

int restore_database(struct subject *subject, const struct manifest *manifest, struct err *err)
{
    CLEANUP(swap_end)
    struct swap swap = { .subject = subject,
                         .manifest = manifest,
                         .name = manifest->contents.database };
    char where[512];
    if (!manifest->has_dump || !swap.name || !swap.name[0])
        return err_set(err, FAIL_NOT_FOUND, "capture %s holds no database", manifest->id);
    if (strcmp(swap.name, subject->site.database.name) != 0)
        return err_set(err, FAIL_CONFLICT,
                       "capture %s is of database %s, the site's configuration names %s",
                       manifest->id, swap.name, subject->site.database.name);
    size_t keep = NAME_MAX_BYTES - strlen(FAILED_ENDING);
    (void)snprintf(swap.failed, sizeof swap.failed, "%.*s%s", (int)keep, swap.name, FAILED_ENDING);
    int rc = connect_elsewhere(&swap, err);
    if (rc == 0)
        rc = look(&swap, err);
    if (rc == 0 && !state_is(&swap, RESTORED)) {
        job_log(subject->job, 6, "restoring database %s from capture %s",
                database_where(&subject->site.database, where, sizeof where), manifest->id);
        rc = bring_back(&swap, err);
        if (rc == 0)
            rc = look(&swap, err);
    }
    if (rc == 0 && swap.has_failed) {
        rc = wait_alone(&swap, swap.failed, err);
        if (rc == 0)
            rc = do_named(&swap, "DROP DATABASE ", swap.failed, "", "", err);
    }
    return rc == 0 ? 0 : err_wrap(err, "restore database %s", swap.name);
}
