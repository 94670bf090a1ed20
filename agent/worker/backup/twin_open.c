/* The frozen copy is open for as long as it is dumped or compared; whoever may connect to the
 * server may then join it, and to freeze it again ends no session. So that it was opened is noted
 * first, and a copy that was opened counts for the state of the stop only when it holds what was
 * dumped. */
#include "confleet/cleanup.h"
#include "dump.h"
#include "twin.h"
#include <string.h>

#define END_WAIT_MS 10000

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

static int open_copy(struct subject *s, const struct twin_note *note, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct twin_note now = *note;
    const char *other = "";
    now.opened = true;
    int rc = note->opened ? 0 : twin_write(s, &now, err);
    if (rc == 0)
        rc = elsewhere_open(&s->reach, &conn, &other, err);
    return rc == 0 ? allow(conn, note->name, true, err) : rc;
}

int twin_dump(struct subject *subject, const struct twin_note *note, struct manifest *manifest,
              unsigned threads, struct err *err)
{
    struct database database = subject->site.database; /* borrowed but for its name */
    (void)snprintf(database.name, sizeof database.name, "%s", note->name);
    struct reach reach = subject->reach;
    reach.database = &database;
    struct dump_spec spec = { .reach = &reach,
                              .pg_bin = job_node(subject->job)->pg_bin,
                              .ending = ".files",
                              .still = true,
                              .threads = threads };
    struct err after = { 0 };
    bool there = false;
    int rc = twin_there(subject, note, &there, err);
    if (rc == 0 && !there)
        rc = err_set(err, FAIL_NOT_FOUND, "copy %s of the database is gone from its server",
                     note->name);
    if (rc == 0)
        rc = open_copy(subject, note, err);
    if (rc != 0)
        return rc;
    rc = dump_make(&subject->store, manifest, &spec, subject_moved, subject, err);
    if (twin_freeze(subject, note, &after) != 0)
        job_log(subject->job, 4, "%s; the copy is compared before it is used", after.text);
    if (rc == 0)
        manifest->contents.database = manifest_text(manifest, note->of);
    return rc;
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
