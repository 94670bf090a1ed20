#include "restore_db.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <pthread.h>
#include <string.h>

#define STATE_FILE       "restore-database"
#define STATE_MAX        256
#define ASIDE            "aside"    /* intended: the failed database gets its other name */
#define RESTORED         "restored" /* done and compared: the failed one may go */
#define SESSIONS_WAIT_MS 10000      /* a killed JVM's sessions end when the server notices */

struct swap {
    struct subject *subject;
    const char *id;                  /* of the capture */
    const struct manifest *manifest; /* with its dump; NULL when it is a copy */
    PGconn *conn;                    /* to a database that is neither */
    const char *other;               /* its name */
    const char *name;
    char failed[ELSEWHERE_NAME_MAX + 1], copy[ELSEWHERE_NAME_MAX + 1];
    uint64_t oid, failed_oid; /* zero: no database has that name */
    uint64_t copy_oid;        /* of this run's copy, whoever has its name now; zero: none known */
};

static void swap_end(struct swap *swap)
{
    database_close(&swap->conn);
}

static bool state_is(const struct swap *swap, const char *word)
{
    CLEANUP(free_mem) char *path = fs_join(swap->subject->dir, STATE_FILE);
    CLEANUP(free_mem) char *want = text_printf("%s %s\n", word, swap->id);
    CLEANUP(str_free) struct str text = { 0 };
    struct err ignored = { 0 };
    return fs_read(path, STATE_MAX, &text, &ignored) == 0 && strcmp(str_text(&text), want) == 0;
}

static int state_write(const struct swap *swap, const char *word, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(swap->subject->dir, STATE_FILE);
    CLEANUP(free_mem) char *text = text_printf("%s %s\n", word, swap->id);
    return fs_write(path, text, strlen(text), 0600, err);
}

static bool may_rename(struct swap *swap)
{
    static const char sql[] =
        "SELECT r.rolname FROM pg_database d, pg_roles r WHERE d.datname IN ($1, $2) AND r.rolname "
        "= current_user AND NOT (r.rolsuper OR (r.rolcreatedb AND pg_has_role(current_user, "
        "d.datdba, 'USAGE')))";
    const char *names[] = { swap->name, swap->failed };
    CLEANUP(database_result_free) PGresult *r = NULL;
    struct err ignored = { 0 };
    return database_query(swap->conn, sql, 2, names, &r, &ignored) != 0 || PQntuples(r) == 0;
}

/* PostgreSQL tells what it refuses and not what would allow it, and whoever reads this has a site
 * that is down. */
static int advise(struct swap *swap, int rc, struct err *err)
{
    static const char then[] = "or set database_admin in agent.yaml and restart the agent; then "
                               "confleet rollout retry SITE, or confleet-agent resume";
    const char *install = job_node(swap->subject->job)->install;
    if (!err)
        return rc;
    struct err why = *err;
    if (!swap->conn) {
        if (rc == -FAIL_TIMEOUT || rc == -FAIL_UNREACHABLE || !strstr(why.text, "to work from"))
            return rc;
        err_clear(err);
        return err_set(err, (enum fail) - rc,
                       "%.600s. Let the account enter database postgres (a line of pg_hba.conf, or "
                       "GRANT CONNECT), %s %.200s",
                       why.text, then, install);
    }
    if ((rc != -FAIL_TOOL && !strstr(why.text, "42501")) || may_rename(swap))
        return rc;
    const char *account = PQuser(swap->conn);
    CLEANUP(pq_drop) char *user = PQescapeIdentifier(swap->conn, account, strlen(account));
    err_clear(err);
    return err_set(err, (enum fail) - rc,
                   "%.500s. ALTER ROLE %.140s CREATEDB (it must have the rights of the database's "
                   "owner, too), %s %.200s",
                   why.text, user ? user : account, then, install);
}

static int look(struct swap *swap, struct err *err)
{
    int rc = elsewhere_oid(swap->conn, swap->name, &swap->oid, err);
    return rc == 0 ? elsewhere_oid(swap->conn, swap->failed, &swap->failed_oid, err) : rc;
}

static int wait_alone(const struct swap *swap, const char *name, struct err *err)
{
    struct err why = { 0 };
    int rc = elsewhere_alone(swap->conn, name, SESSIONS_WAIT_MS, &why);
    if (rc == -FAIL_CONFLICT)
        return err_set(err, FAIL_CONFLICT, "%.700s. End them, then let the rollback go on",
                       why.text);
    if (rc != 0 && err)
        *err = why;
    return rc;
}

static int set_aside(struct swap *swap, struct err *err)
{
    int rc = state_write(swap, ASIDE, err);
    if (rc == 0)
        rc = wait_alone(swap, swap->name, err);
    if (rc == 0)
        rc = elsewhere_do(swap->conn, "ALTER DATABASE ", swap->name, " RENAME TO ", swap->failed,
                          err);
    return rc == 0 ? 0 : err_wrap(err, "set the failed database %s aside", swap->name);
}

/* A dump of the frozen copy makes a database of the copy's name, where a copy that was not used may
 * still be. */
static int clear_copy_name(struct swap *swap, struct err *err)
{
    uint64_t oid = 0;
    int rc = elsewhere_oid(swap->conn, swap->copy, &oid, err);
    if (rc != 0 || oid == 0)
        return rc;
    if (oid != swap->copy_oid && !state_is(swap, ASIDE))
        return err_set(err, FAIL_CONFLICT,
                       "a database %s is there that is not the copy of this run: drop or rename "
                       "it, then let the rollback go on",
                       swap->copy);
    rc = elsewhere_end(swap->conn, swap->copy, 0, SESSIONS_WAIT_MS, err);
    const char *how = PQserverVersion(swap->conn) >= 130000 ? " WITH (FORCE)" : "";
    return rc == 0 ? elsewhere_do(swap->conn, "DROP DATABASE ", swap->copy, how, "", err) : rc;
}

static int name_restored(struct swap *swap, struct err *err)
{
    uint64_t oid = 0;
    int rc = look(swap, err);
    if (rc == 0 && !swap->oid)
        rc = elsewhere_oid(swap->conn, swap->copy, &oid, err);
    if (rc != 0 || !oid)
        return rc;
    rc = wait_alone(swap, swap->copy, err);
    return rc == 0 ? elsewhere_do(swap->conn, "ALTER DATABASE ", swap->copy, " RENAME TO ",
                                  swap->name, err)
                   : rc;
}

/* Leaves swap->name absent and the failed database, if there is one, under its other name. */
static int make_room(struct swap *swap, struct err *err)
{
    if (swap->failed_oid && !state_is(swap, ASIDE))
        return err_set(err, FAIL_CONFLICT,
                       "a database %s is there and not from this run: drop or rename it, then let "
                       "the rollback go on",
                       swap->failed);
    if (!swap->oid)
        return 0;
    if (!swap->failed_oid)
        return set_aside(swap, err);
    int rc = wait_alone(swap, swap->name, err); /* half restored by an attempt that was cut off */
    if (rc == 0)
        rc = elsewhere_do(swap->conn, "DROP DATABASE ", swap->name, "", "", err);
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
    struct subject *s = swap->subject;
    ret->method = swap->manifest->contents.method;
    return dump_describe_at(&s->reach, swap->name, s->store.threads, pool, ret, err);
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
 * crawl. They are gathered while the copy is compared: both only read. */
struct analysis {
    struct swap *swap;
    struct err why;
};

static void *analyze(void *arg)
{
    struct analysis *a = arg;
    CLEANUP(database_close) PGconn *conn = NULL;
    if (reach_connect(&a->swap->subject->reach, a->swap->name, &conn, &a->why) == 0 &&
        database_do(conn, "ANALYZE", &a->why) == 0)
        err_clear(&a->why);
    return NULL;
}

static int compare_and_analyze(struct swap *swap, struct err *err)
{
    struct analysis analysis = { .swap = swap };
    pthread_t thread;
    bool beside = pthread_create(&thread, NULL, analyze, &analysis) == 0;
    int rc = compare(swap, err);
    if (beside)
        (void)pthread_join(thread, NULL);
    else if (rc == 0)
        (void)analyze(&analysis);
    if (analysis.why.code != 0)
        job_log(swap->subject->job, 4, "statistics were not gathered: %s; ignoring",
                analysis.why.text);
    return rc;
}

static int bring_back(struct swap *swap, struct err *err)
{
    struct subject *s = swap->subject;
    const struct manifest *m = swap->manifest;
    CLEANUP(free_mem) char *path = store_path(&s->store, m->id, "", m->dump.name);
    /* Read whole before anything is renamed or dropped for its sake. */
    subject_doing(s, "reading the dump", m->dump.content);
    s->store.threads = subject_threads(s, true);
    int rc = store_check_dump(&s->store, m, "", subject_moved, s, err);
    if (rc == 0)
        rc = clear_copy_name(swap, err);
    if (rc == 0)
        rc = make_room(swap, err);
    if (rc != 0)
        return rc;
    struct restore_spec spec = { .reach = &s->reach,
                                 .pg_bin = job_node(s->job)->pg_bin,
                                 .dbname = swap->other,
                                 .create = true,
                                 .threads = s->store.threads,
                                 .server_version = PQserverVersion(swap->conn) };
    subject_doing(s, "restoring the database", m->dump.content);
    rc = dump_restore(path, &m->dump, &spec, subject_moved, s, err);
    if (rc == 0)
        rc = name_restored(swap, err);
    if (rc == 0)
        rc = compare_and_analyze(swap, err);
    if (rc == 0)
        rc = state_write(swap, RESTORED, err);
    return rc;
}

static struct swap swap_of(struct subject *subject, const char *id, const char *name)
{
    struct swap swap = { .subject = subject, .id = id, .name = name };
    twin_failed_name(name, swap.failed);
    twin_name(id, swap.copy);
    return swap;
}

int restore_database(struct subject *subject, const struct manifest *manifest, uint64_t copy_oid,
                     struct err *err)
{
    CLEANUP(swap_end)
    struct swap swap = swap_of(subject, manifest->id,
                               manifest->contents.database ? manifest->contents.database : "");
    swap.manifest = manifest;
    swap.copy_oid = copy_oid;
    char where[512];
    if (!manifest->has_dump || !swap.name || !swap.name[0])
        return err_set(err, FAIL_NOT_FOUND, "capture %s holds no database", manifest->id);
    if (strcmp(swap.name, subject->site.database.name) != 0)
        return err_set(err, FAIL_CONFLICT,
                       "capture %s is of database %s, the site's configuration names %s",
                       manifest->id, swap.name, subject->site.database.name);
    int rc = elsewhere_open(&swap.subject->reach, &swap.conn, &swap.other, err);
    if (rc == 0)
        rc = look(&swap, err);
    if (rc == 0 && !state_is(&swap, RESTORED)) {
        job_log(subject->job, 6, "restoring database %s from capture %s",
                database_where(&subject->site.database, where, sizeof where), manifest->id);
        rc = bring_back(&swap, err);
        if (rc == 0)
            rc = look(&swap, err);
    }
    if (rc == 0 && swap.failed_oid) {
        rc = wait_alone(&swap, swap.failed, err);
        if (rc == 0)
            rc = elsewhere_do(swap.conn, "DROP DATABASE ", swap.failed, "", "", err);
    }
    if (rc != 0)
        rc = advise(&swap, err_wrap(err, "restore database %s", swap.name), err);
    return rc;
}

/* ---- from the copy ---- */

/* All in one transaction: after a crash either nothing has happened or everything. */
static int exchange(struct swap *swap, struct err *err)
{
    struct err ignored = { 0 };
    int rc = swap->oid ? wait_alone(swap, swap->name, err) : 0;
    if (rc == 0)
        rc = wait_alone(swap, swap->copy, err);
    if (rc == 0)
        rc = database_do(swap->conn, "BEGIN", err);
    if (rc != 0)
        return rc;
    if (swap->oid)
        rc = elsewhere_do(swap->conn, "ALTER DATABASE ", swap->name, " RENAME TO ", swap->failed,
                          err);
    if (rc == 0)
        rc =
            elsewhere_do(swap->conn, "ALTER DATABASE ", swap->copy, " RENAME TO ", swap->name, err);
    if (rc == 0)
        rc = elsewhere_do(swap->conn, "ALTER DATABASE ", swap->name, " ALLOW_CONNECTIONS true", "",
                          err);
    if (rc == 0)
        return database_do(swap->conn, "COMMIT", err);
    if (database_do(swap->conn, "ROLLBACK", &ignored) != 0)
        err_clear(&ignored); /* the session ends with its transaction */
    return rc;
}

/* A copy that nobody could join is the state of the stop; one that was opened is asked. */
static bool is_still_it(struct swap *swap, const struct twin_note *note,
                        const struct manifest *dumped)
{
    struct subject *s = swap->subject;
    struct err why = { 0 };
    if (!note->opened)
        return true;
    if (dumped) {
        subject_doing(s, "comparing the copy of the database with its dump", 0);
        if (twin_compare(s, note, &dumped->contents, &why) == 0)
            return true;
        job_log(s->job, 4, "copy %s is not the database of the stop: %s. Its dump is restored",
                note->name, why.text);
        return false;
    }
    job_log(s->job, 4,
            "copy %s was opened for a dump that was not finished: there is nothing to compare it "
            "with, and it is put back as it is. Whoever was in it may have changed it",
            note->name);
    if (twin_freeze(s, note, &why) != 0)
        job_log(s->job, 4, "%s; ignoring", why.text); /* the exchange wants to be alone */
    return true;
}

static int swap_copy(struct swap *swap, struct twin_note *note, const struct manifest *dumped,
                     bool *ret_done, struct err *err)
{
    uint64_t copy_oid = 0;
    int rc = look(swap, err);
    if (rc == 0)
        rc = elsewhere_oid(swap->conn, swap->copy, &copy_oid, err);
    if (rc != 0)
        return rc;
    bool back = swap->oid && swap->oid == note->oid;
    if (!back && (!copy_oid || copy_oid != note->oid)) {
        if (dumped)
            job_log(swap->subject->job, 4, "copy %s of the database is gone: its dump is restored",
                    note->name);
        return 0;
    }
    if (!back && swap->failed_oid)
        return err_set(err, FAIL_CONFLICT,
                       "a database %s is there and not from this run: drop or rename it, then let "
                       "the rollback go on",
                       swap->failed);
    if (!back && !is_still_it(swap, note, dumped))
        return 0;
    if (!back) {
        struct err why = { 0 };
        note->state = TWIN_BACK;
        note->failed_oid = swap->oid;
        /* Which database it is says its oid; the note is for dropping what failed. */
        if (twin_write(swap->subject, note, &why) != 0)
            job_log(swap->subject->job, 4, "%s; going back all the same. Drop database %s by hand",
                    why.text, swap->failed);
        rc = exchange(swap, err);
    }
    if (rc == 0)
        rc = state_write(swap, RESTORED, err);
    *ret_done = rc == 0;
    return rc;
}

int restore_copy(struct subject *subject, const struct twin_note *note,
                 const struct manifest *dumped, bool *ret_done, struct err *err)
{
    CLEANUP(swap_end) struct swap swap = swap_of(subject, note->id, note->of);
    struct twin_note now = *note;
    *ret_done = false;
    if (note->state != TWIN_READY && note->state != TWIN_BACK)
        return 0;
    if (strcmp(swap.name, subject->site.database.name) != 0)
        return err_set(err, FAIL_CONFLICT,
                       "copy %s is of database %s, the site's configuration names %s", swap.copy,
                       swap.name, subject->site.database.name);
    subject_doing(subject, "putting the copy of the database back", 0);
    int rc = twin_place(subject, note, err);
    if (rc == 0)
        rc = elsewhere_open(&subject->reach, &swap.conn, &swap.other, err);
    if (rc == 0)
        rc = swap_copy(&swap, &now, dumped, ret_done, err);
    if (rc == 0 && *ret_done)
        job_log(subject->job, 6, "database %s is the copy of the stop again; what failed is %s",
                swap.name, swap.failed);
    if (rc != 0)
        rc = advise(&swap, err_wrap(err, "put copy %s back", swap.copy), err);
    return rc;
}

bool restore_is_done(const struct subject *subject, const char *id)
{
    struct swap swap = { .subject = (struct subject *)(uintptr_t)subject, .id = id };
    return state_is(&swap, RESTORED);
}
