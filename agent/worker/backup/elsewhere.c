#include "elsewhere.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <poll.h>
#include <string.h>

#define LOOK_MS     20
#define END_LOOK_MS 100 /* a refusal is a line in the server's log */

int elsewhere_open(const struct reach *reach, PGconn **ret, const char **ret_name, struct err *err)
{
    static const char *const names[] = { "postgres", "template1" };
    struct err first = { 0 };
    for (size_t i = 0; i < 2; i++) {
        struct err *why = i == 0 ? &first : err;
        int rc = reach_connect(reach, names[i], ret, why);
        if (rc == 0)
            *ret_name = names[i];
        if (rc == 0)
            return 0;
    }
    /* What was not answered was not refused: that is the kinder word of the two. */
    if (err && (first.code == FAIL_TIMEOUT || first.code == FAIL_UNREACHABLE))
        err->code = first.code;
    return err_wrap(err, "no database to work from (postgres: %.300s)", first.text);
}

int elsewhere_oid(PGconn *conn, const char *name, uint64_t *ret_oid, struct err *err)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    int rc =
        database_query(conn, "SELECT oid FROM pg_database WHERE datname = $1", 1, &name, &r, err);
    if (rc != 0)
        return rc;
    uint64_t oid = 0;
    if (PQntuples(r) > 0 && !text_parse_u64(PQgetvalue(r, 0, 0), UINT32_MAX, &oid))
        return err_set(err, FAIL_DATABASE, "PostgreSQL answered '%.40s' where an oid was asked for",
                       PQgetvalue(r, 0, 0));
    *ret_oid = oid;
    return 0;
}

int elsewhere_do(PGconn *conn, const char *before, const char *a, const char *between,
                 const char *b, struct err *err)
{
    CLEANUP(pq_drop) char *first = PQescapeIdentifier(conn, a, strlen(a));
    CLEANUP(pq_drop) char *second = PQescapeIdentifier(conn, b, strlen(b));
    if (!first || !second)
        return err_set(err, FAIL_DATABASE, "database name '%s' cannot be quoted", a);
    CLEANUP(free_mem)
    char *sql = text_printf("%s%s%s%s", before, first, between, b[0] ? second : "");
    return database_do(conn, sql, err);
}

int elsewhere_alone(PGconn *conn, const char *name, int64_t wait_ms, struct err *err)
{
    static const char ours[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                               "datname = $1 AND pid <> pg_backend_pid() "
                               "AND application_name LIKE 'confleet%' AND usename = current_user";
    static const char others[] =
        "SELECT coalesce(string_agg(DISTINCT concat_ws(' ', usename, nullif(application_name, ''), "
        "'from ' || coalesce(host(client_addr), 'this host')), ', '), ''), "
        "count(*) FROM pg_stat_activity a WHERE datname = $1 AND pid <> pg_backend_pid() "
        "AND coalesce(to_jsonb(a)->>'backend_type', 'client backend') = 'client backend'";
    for (int64_t end = clock_mono_ms() + wait_ms;; (void)poll(NULL, 0, LOOK_MS)) {
        CLEANUP(database_result_free) PGresult *ended = NULL;
        CLEANUP(database_result_free) PGresult *r = NULL;
        int rc = database_query(conn, ours, 1, &name, &ended, err);
        if (rc == 0)
            rc = database_query(conn, others, 1, &name, &r, err);
        if (rc != 0)
            return rc;
        if (strcmp(PQgetvalue(r, 0, 1), "0") == 0)
            return 0;
        if (clock_mono_ms() > end)
            return err_set(err, FAIL_CONFLICT, "database %s is in use by %s session(s): %.400s",
                           name, PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 0));
    }
}

int elsewhere_end(PGconn *conn, const char *name, uint64_t but_pid, int64_t wait_ms,
                  struct err *err)
{
    static const char look[] =
        "SELECT pid, concat_ws(' ', usename, nullif(application_name, ''), 'from ' || "
        "coalesce(host(client_addr), 'this host')) FROM pg_stat_activity a WHERE datname = $1 AND "
        "pid <> pg_backend_pid() AND pid <> $2::int AND "
        "coalesce(to_jsonb(a)->>'backend_type', 'client backend') = 'client backend'";
    char but[24];
    (void)snprintf(but, sizeof but, "%llu", (unsigned long long)but_pid);
    const char *values[] = { name, but };
    for (int64_t end = clock_mono_ms() + wait_ms;; (void)poll(NULL, 0, END_LOOK_MS)) {
        CLEANUP(database_result_free) PGresult *r = NULL;
        int rc = database_query(conn, look, 2, values, &r, err);
        if (rc != 0 || PQntuples(r) == 0)
            return rc;
        for (int i = 0; i < PQntuples(r); i++) {
            CLEANUP(database_result_free) PGresult *ended = NULL;
            const char *pid = PQgetvalue(r, i, 0);
            struct err refused = { 0 };
            if (database_query(conn, "SELECT pg_terminate_backend($1::int)", 1, &pid, &ended,
                               &refused) != 0)
                err_clear(&refused); /* a superuser's, for one; it may end by itself */
        }
        if (clock_mono_ms() > end)
            return err_set(err, FAIL_CONFLICT,
                           "copy %s is in use by %d session(s) that this account may not end: "
                           "%.400s. End them, then let it go on",
                           name, PQntuples(r), PQgetvalue(r, 0, 1));
    }
}
