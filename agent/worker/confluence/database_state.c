/* What the site's own tables and the server's catalogue say. */
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include <stdlib.h>
#include <string.h>

int database_schema(PGconn *conn, const char *table, char **ret_schema, struct err *err)
{
    /* The URL's schema and the site's own account were put into settings of this session by
     * database_connect(). */
    static const char sql[] =
        "select n.nspname, n.nspname = coalesce(current_setting('confleet.user', true), '') from "
        "pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relname = $1 and c.relkind in ('r', 'p') and n.nspname !~ '^pg_'"
        " and (coalesce(current_setting('confleet.schema', true), '') in ('', n.nspname))"
        " order by 2 desc, n.nspname = 'public' desc, n.nspname";
    CLEANUP(database_result_free) PGresult *result = NULL;
    int failed = database_query(conn, sql, 1, (const char *const[]){ table }, &result, err);
    if (failed != 0)
        return failed;
    if (PQntuples(result) == 0)
        return err_set(err, FAIL_NOT_FOUND,
                       "the database has no table %s that this account can find", table);
    const char *first = PQgetvalue(result, 0, 0);
    if (PQntuples(result) > 1 && strcmp(first, "public") != 0 &&
        strcmp(PQgetvalue(result, 0, 1), "t") != 0)
        return err_set(err, FAIL_CONFLICT,
                       "table %s is in %d schemas and the URL names none of them", table,
                       PQntuples(result));
    *ret_schema = text_dup(first);
    return 0;
}

/* sql with %s for the quoted name of the table. */
static int query_table(PGconn *conn, const char *before, const char *table, const char *after,
                       PGresult **ret, struct err *err)
{
    CLEANUP(free_mem) char *schema = NULL;
    int failed = database_schema(conn, table, &schema, err);
    if (failed != 0)
        return failed;
    CLEANUP(pq_drop) char *schema_quoted = PQescapeIdentifier(conn, schema, strlen(schema));
    CLEANUP(pq_drop) char *table_quoted = PQescapeIdentifier(conn, table, strlen(table));
    if (!schema_quoted || !table_quoted)
        return err_set(err, FAIL_DATABASE, "the name of table %s cannot be quoted", table);
    CLEANUP(free_mem)
    char *sql = text_printf("%s%s.%s%s", before, schema_quoted, table_quoted, after);
    return database_query(conn, sql, 0, NULL, ret, err);
}

int database_build(PGconn *conn, uint32_t *ret_build, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    int failed =
        query_table(conn, "select max(buildnumber) from ", "confversion", "", &result, err);
    if (failed != 0)
        return failed;
    uint64_t build = 0;
    if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
        return err_set(err, FAIL_NOT_FOUND,
                       "table confversion is empty: the database has no build number");
    if (!text_parse_u64(PQgetvalue(result, 0, 0), UINT32_MAX, &build))
        return err_set(err, FAIL_DATABASE, "confversion.buildnumber is no number");
    *ret_build = (uint32_t)build;
    return 0;
}

int database_upgrade_lock(PGconn *conn, uint32_t *ret_build, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    uint64_t build = 0;
    int failed = query_table(conn,
                             "select coalesce(max(substring(versiontag from "
                             "'^lock_for_upgrade_to_([0-9]{1,9})')::bigint), 0) from ",
                             "confversion", "", &result, err);
    if (failed != 0)
        return failed;
    if (PQntuples(result) != 1 || !text_parse_u64(PQgetvalue(result, 0, 0), UINT32_MAX, &build))
        return err_set(err, FAIL_DATABASE, "the tags of confversion cannot be read");
    *ret_build = (uint32_t)build;
    return 0;
}

int database_safety_number(PGconn *conn, int64_t *ret, bool *ret_found, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err inner = { 0 };
    int failed = query_table(conn, "select safetynumber from ", "clustersafety",
                             " order by clustersafetyid desc limit 1", &result, &inner);
    if (failed == -FAIL_NOT_FOUND) {
        *ret_found = false;
        return 0;
    }
    if (failed != 0)
        return err_set(err, (enum fail) - failed, "%s", inner.text);
    *ret_found = PQntuples(result) == 1 && !PQgetisnull(result, 0, 0);
    if (*ret_found)
        *ret = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    return 0;
}

int database_sessions(PGconn *conn, uint64_t *ret_others, bool *ret_visible, struct str *ret_who,
                      struct err *err)
{
    /* Without pg_read_all_stats other accounts' rows show user and database, but not what they do;
     * that is enough to count. Background workers such as autovacuum have no user and are nobody's
     * session. */
    static const char sql[] = "select coalesce(usename, '?'), coalesce(application_name, ''), "
                              "coalesce(host(client_addr), 'local'), count(*)"
                              " from pg_stat_activity where datname = current_database() and pid "
                              "<> pg_backend_pid() and usesysid is not null"
                              " and backend_type is distinct from 'parallel worker'"
                              " group by 1, 2, 3 order by 4 desc, 1, 2, 3";
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err inner = { 0 };
    int failed = database_query(conn, sql, 0, NULL, &result, &inner);
    if (failed != 0 &&
        strstr(inner.text, "42501")) { /* a server that hides the view: nothing is known */
        *ret_others = 0;
        *ret_visible = false;
        return 0;
    }
    if (failed != 0)
        return err_set(err, (enum fail) - failed, "%s", inner.text);
    uint64_t own = 0, others = 0;
    bool found = false;
    failed =
        database_u64(conn, "select count(*) from pg_stat_activity where pid = pg_backend_pid()",
                     &own, &found, err);
    if (failed != 0)
        return failed;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t count = strtoull(PQgetvalue(result, row, 3), NULL, 10);
        others += count;
        if (ret_who && row < 10)
            str_addf(ret_who, "%s%s from %s%s%s (%llu)", row ? ", " : "",
                     PQgetvalue(result, row, 0), PQgetvalue(result, row, 2),
                     *PQgetvalue(result, row, 1) ? " as " : "", PQgetvalue(result, row, 1),
                     (unsigned long long)count);
    }
    *ret_others = others;
    *ret_visible = found && own == 1;
    return 0;
}
