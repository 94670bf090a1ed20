/* The frozen copy is open for as long as it is dumped or compared; whoever may connect to the
 * server may then join it, and to freeze it again ends no session. So that it was opened is noted
 * first, its dump's snapshot is taken when nobody else is in it or can join and no row was written,
 * and a copy that was opened counts for the state of the stop only when it holds what was dumped.
 */
#include "confleet/cleanup.h"
#include "dump.h"
#include "twin.h"
#include <poll.h>
#include <string.h>

#define END_WAIT_MS   10000
#define STATS_WAIT_MS 1100 /* before PostgreSQL 15 what was counted is seen so late */

static int allow(PGconn *conn, const char *name, bool yes, struct err *err)
{
    const char *word = yes ? " ALLOW_CONNECTIONS true" : " ALLOW_CONNECTIONS false";
    int rc = elsewhere_do(conn, "ALTER DATABASE ", name, word, "", err);
    return rc == 0 ? 0 : err_wrap(err, yes ? "open the copy" : "freeze the copy");
}

static int freeze(PGconn *conn, const char *name, uint64_t but_pid, struct err *err)
{
    int rc = allow(conn, name, false, err);
    return rc == 0 ? elsewhere_end(conn, name, but_pid, END_WAIT_MS, err) : rc;
}

int twin_freeze(struct subject *subject, const struct twin_note *note, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    const char *other = "";
    int rc = elsewhere_open(&subject->reach, &conn, &other, err);
    return rc == 0 ? freeze(conn, note->name, 0, err) : rc;
}

static int note_opened(struct subject *s, const struct twin_note *note, struct err *err)
{
    struct twin_note now = *note;
    now.opened = true;
    return note->opened ? 0 : twin_write(s, &now, err);
}

/* Nobody but this session is in the copy, and nobody can join, when its snapshot is taken. */
static int join_alone(struct subject *s, const char *name, PGconn **ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_close) PGconn *copy = NULL;
    const char *other = "";
    struct err after = { 0 };
    uint64_t pid = 0;
    bool found = false;
    int rc = elsewhere_open(&s->reach, &conn, &other, err);
    if (rc == 0)
        rc = allow(conn, name, true, err);
    if (rc != 0)
        return rc;
    rc = reach_connect(&s->reach, name, &copy, err);
    if (rc == 0)
        rc = database_u64(copy, "SELECT pg_catalog.pg_backend_pid()", &pid, &found, err);
    if (freeze(conn, name, pid, rc == 0 ? err : &after) != 0 && rc == 0)
        rc = -FAIL_CONFLICT;
    if (rc == 0)
        *ret = TAKE(copy);
    return rc;
}

/* The server counts the rows that are written in a database. In a copy there are none: nobody could
 * enter from its birth to its opening. */
static int need_untouched(struct subject *s, PGconn *conn, const char *name, struct err *err)
{
    static const char sql[] =
        "SELECT coalesce(sum(tup_inserted + tup_updated + tup_deleted), 0), "
        "current_setting('track_counts') FROM pg_stat_database WHERE datname = $1";
    CLEANUP(database_result_free) PGresult *r = NULL;
    if (PQserverVersion(conn) < 150000)
        (void)poll(NULL, 0, STATS_WAIT_MS);
    int rc = database_query(conn, sql, 1, &name, &r, err);
    if (rc != 0)
        return rc;
    if (strcmp(PQgetvalue(r, 0, 1), "on") != 0)
        job_log(s->job, 4,
                "whether anybody wrote into copy %s cannot be seen: the server counts "
                "no rows (track_counts)",
                name);
    return strcmp(PQgetvalue(r, 0, 0), "0") == 0
               ? 0
               : err_set(err, FAIL_CONFLICT,
                         "copy %s is not the database of the stop any more: whoever joined it when "
                         "it was opened for its dump wrote %.20s rows",
                         name, PQgetvalue(r, 0, 0));
}

/* pg_dump follows the session whose snapshot it takes: what others write from here on is not in it.
 */
struct entrance {
    struct subject *subject;
    const char *name;
};

static int let_in(void *ctx, struct err *err)
{
    const struct entrance *e = ctx;
    CLEANUP(database_close) PGconn *conn = NULL;
    const char *other = "";
    int rc = elsewhere_open(&e->subject->reach, &conn, &other, err);
    return rc == 0 ? allow(conn, e->name, true, err) : rc;
}

int twin_dump(struct subject *subject, const struct twin_note *note, struct manifest *manifest,
              unsigned threads, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct database database = subject->site.database; /* borrowed but for its name */
    (void)snprintf(database.name, sizeof database.name, "%s", note->name);
    struct reach reach = subject->reach;
    reach.database = &database;
    struct entrance entrance = { subject, note->name };
    struct err after = { 0 };
    bool there = false;
    int rc = twin_there(subject, note, &there, err);
    if (rc == 0 && !there)
        rc = err_set(err, FAIL_NOT_FOUND, "copy %s of the database is gone from its server",
                     note->name);
    if (rc == 0)
        rc = note_opened(subject, note, err);
    if (rc == 0)
        rc = join_alone(subject, note->name, &conn, err);
    if (rc == 0)
        rc = need_untouched(subject, conn, note->name, err);
    if (rc != 0)
        return rc;
    struct dump_spec spec = { .reach = &reach,
                              .pg_bin = job_node(subject->job)->pg_bin,
                              .ending = ".files",
                              .still = true,
                              .conn = conn,
                              .enter = let_in,
                              .enter_ctx = &entrance,
                              .threads = threads };
    rc = dump_make(&subject->store, manifest, &spec, subject_moved, subject, NULL, err);
    database_close(&conn);
    if (twin_freeze(subject, note, &after) != 0)
        job_log(subject->job, 4, "%s; the copy is compared before it is used", after.text);
    if (rc == 0)
        manifest->contents.database = manifest_text(manifest, note->of);
    return rc;
}

int twin_compare(struct subject *subject, const struct twin_note *note,
                 const struct contents *dumped, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(contents_free) struct contents now = { .method = dumped->method };
    CLEANUP(pool_free) struct pool pool = { 0 };
    int rc = join_alone(subject, note->name, &conn, err);
    if (rc == 0)
        rc = dump_describe(conn, &pool, &now, err);
    if (rc == 0)
        rc = contents_compare(dumped, &now, err);
    return rc == 0 ? contents_compare_database(dumped, &now, err) : rc;
}
