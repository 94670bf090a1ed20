#include "agent/worker/steps/proof.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <jansson.h>
#include <poll.h>
#include <string.h>

#define SESSIONS_LEAVE_MS 15000

CLEANUP_OF(json_drop, json_t *, json_decref)

static int sessions_leave(struct job *job, PGconn *conn, bool *ret_visible, struct err *err)
{
    int64_t end = clock_mono_ms() + SESSIONS_LEAVE_MS;
    for (;;) {
        CLEANUP(str_free) struct str who = { 0 };
        uint64_t others = 0;
        bool visible = false;
        if (database_sessions(conn, &others, &visible, &who, err))
            return err_wrap(err, "look for other users of the database");
        *ret_visible = visible;
        if (!visible || others == 0)
            return 0;
        if (clock_mono_ms() >= end)
            return err_set(err, FAIL_CONFLICT, "%llu other sessions use the database: %.600s", (unsigned long long)others, str_text(&who));
        job_progress(job, 0, 0, "waiting for other sessions to leave the database: %.200s", str_text(&who));
        (void)poll(NULL, 0, 20);
    }
}

static int number_watch(struct job *job, PGconn *conn, int64_t first, struct err *err)
{
    int64_t start = clock_mono_ms(), now = start, number = 0;
    bool found = false;
    for (; now - start < PROOF_WATCH_MS; now = clock_mono_ms()) {
        job_progress(job, (uint64_t)(now - start), PROOF_WATCH_MS, "watching whether somebody else uses the database");
        if (database_safety_number(conn, &number, &found, err))
            return err_wrap(err, "read the safety number");
        if (!found || number != first)
            return err_set(err, FAIL_CONFLICT, "the safety number in the database changed while Confluence was stopped: another Confluence uses it");
        (void)poll(NULL, 0, 2000);
    }
    return 0;
}

int proof_alone(struct job *job, const struct database *database, int64_t *ret_number, bool *ret_found, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    bool visible = false, found = false;
    int64_t number = 0;
    if (database_connect(database, NULL, NULL, NULL, 60, &conn, err))
        return err_wrap(err, "prove that the database is free");
    if (sessions_leave(job, conn, &visible, err) || database_safety_number(conn, &number, &found, err))
        return err_wrap(err, "prove that the database is free");
    if (!visible && found && number_watch(job, conn, number, err))
        return -err->code;
    if (!visible && !found)
        return err_set(err, FAIL_CONFLICT, "neither the sessions of the database nor a safety number can be seen: grant pg_read_all_stats to "
                       "the site's account");
    *ret_number = number;
    *ret_found = found;
    return 0;
}

static const struct { const char *name, *table, *where; } counted[] = {
    { "spaces", "spaces", "" },
    { "pages", "content", " where contenttype = 'PAGE' and prevver is null" },
    { "blogposts", "content", " where contenttype = 'BLOGPOST' and prevver is null" },
    { "attachments", "content", " where contenttype = 'ATTACHMENT' and prevver is null" },
    { "users", "cwd_user", "" },
};

/* The tables' schema is the one that holds confversion; the search path of our connections is empty on purpose. */
static int schema_find(PGconn *conn, char *ret, size_t size)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (database_query(conn, "select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = 'confversion' "
                       "and c.relkind = 'r' order by (n.nspname = 'public') desc limit 1",
                       0, NULL, &result, NULL) || PQntuples(result) != 1)
        return -1;
    char *quoted = PQescapeIdentifier(conn, PQgetvalue(result, 0, 0), strlen(PQgetvalue(result, 0, 0)));
    int len = quoted ? snprintf(ret, size, "%s", quoted) : -1;
    PQfreemem(quoted);
    return len > 0 && (size_t)len < size ? 0 : -1;
}

char *proof_counts(const struct database *database)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(json_drop) json_t *root = json_object();
    char schema[300];
    if (database_connect(database, NULL, NULL, NULL, 300, &conn, NULL) == 0 && schema_find(conn, schema, sizeof schema) == 0)
        for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
            CLEANUP(free_mem) char *sql = text_printf("select count(*) from %s.%s%s", schema, counted[i].table, counted[i].where);
            uint64_t count = 0;
            bool found = false;
            if (database_u64(conn, sql, &count, &found, NULL) == 0 && found)
                json_object_set_new(root, counted[i].name, json_integer((json_int_t)count));
        }
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    char *owned = text_dup(text ? text : "{}");
    free(text);
    return owned;
}
