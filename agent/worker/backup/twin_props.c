/* What TEMPLATE does not copy, since it belongs to the database itself: grants, settings (of a role
 * too), comment; owner and connection limit are given when it is made. */
#include "confleet/cleanup.h"
#include "twin.h"
#include <string.h>

/* One statement a row. A setting that is a list is brought by way of this session: quoted as one
 * text it would become a list of one. */
static const char put_sql[] =
    "WITH d AS (SELECT oid, datacl, datdba, $2::text AS copy FROM pg_database WHERE datname = $1), "
    "s AS (SELECT CASE WHEN r.rolname IS NULL THEN format('ALTER DATABASE %I SET ', d.copy) ELSE "
    "format('ALTER ROLE %I IN DATABASE %I SET ', coalesce(r.rolname, ''), d.copy) END AS head, "
    "split_part(c.one, '=', 1) AS name, substr(c.one, strpos(c.one, '=') + 1) AS value FROM d JOIN "
    "pg_db_role_setting t ON t.setdatabase = d.oid LEFT JOIN pg_roles r ON r.oid = t.setrole, "
    "unnest(t.setconfig) AS c(one)) "
    "SELECT 1, format('REVOKE ALL ON DATABASE %I FROM PUBLIC', copy), '', '' FROM d WHERE datacl "
    "IS NOT NULL "
    "UNION ALL SELECT 2, format('REVOKE ALL ON DATABASE %I FROM %I', copy, "
    "pg_get_userbyid(datdba)), '', '' FROM d WHERE datacl IS NOT NULL "
    "UNION ALL SELECT 3, format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, d.copy, CASE "
    "WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN "
    "a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '', '' FROM d, aclexplode(datacl) a "
    "UNION ALL SELECT 4, format('COMMENT ON DATABASE %I IS %L', copy, shobj_description(oid, "
    "'pg_database')), '', '' FROM d WHERE shobj_description(oid, 'pg_database') IS NOT NULL "
    "UNION ALL SELECT 5, CASE WHEN s.name = ANY (ARRAY['search_path', 'temp_tablespaces', "
    "'local_preload_libraries', 'session_preload_libraries']) THEN s.head || quote_ident(s.name) "
    "|| ' FROM CURRENT' ELSE format('%s%s TO %L', s.head, (SELECT string_agg(quote_ident(p), '.') "
    "FROM unnest(string_to_array(s.name, '.')) p), s.value) END, s.name, s.value FROM s ORDER BY 1";

static int run_one(PGconn *conn, const PGresult *list, int row, struct err *err)
{
    const char *sql = PQgetvalue(list, row, 1), *name = PQgetvalue(list, row, 2);
    const char *values[] = { name, PQgetvalue(list, row, 3) };
    size_t len = strlen(sql), tail = strlen(" FROM CURRENT");
    if (name[0] && len > tail && strcmp(sql + len - tail, " FROM CURRENT") == 0) {
        CLEANUP(database_result_free) PGresult *set = NULL;
        int rc = database_query(conn, "SELECT pg_catalog.set_config($1, $2, true)", 2, values, &set,
                                err);
        if (rc != 0)
            return rc;
    }
    return database_do(conn, sql, err);
}

int twin_props_put(PGconn *conn, const char *from, const char *to, struct err *err)
{
    CLEANUP(database_result_free) PGresult *list = NULL;
    const char *names[] = { from, to };
    struct err ignored = { 0 };
    int rc = database_query(conn, put_sql, 2, names, &list, err);
    if (rc == 0 && PQntuples(list) > 0)
        rc = database_do(conn, "BEGIN", err);
    if (rc != 0 || PQntuples(list) == 0)
        return rc;
    for (int row = 0; rc == 0 && row < PQntuples(list); row++)
        rc = run_one(conn, list, row, err);
    if (rc == 0)
        return database_do(conn, "COMMIT", err);
    if (database_do(conn, "ROLLBACK", &ignored) != 0)
        err_clear(&ignored); /* the session ends with its transaction */
    return err_wrap(err, "put the properties of %s on its copy", from);
}

int twin_props_compare(PGconn *conn, const char *a, const char *b, struct err *err)
{
    static const char *const what[] = { "owner",   "encoding", "connection limit", "tablespace",
                                        "comment", "grants",   "settings" };
    static const char sql[] =
        "SELECT pg_get_userbyid(d.datdba), concat_ws(' ', pg_encoding_to_char(d.encoding), "
        "d.datcollate, d.datctype, to_jsonb(d)->>'datlocprovider', to_jsonb(d)->>'daticulocale', "
        "to_jsonb(d)->>'datlocale'), d.datconnlimit, d.dattablespace, "
        "coalesce(shobj_description(d.oid, 'pg_database'), ''), "
        "(SELECT coalesce(string_agg(concat_ws(' ', x.grantee, x.privilege_type, x.is_grantable), "
        "',' ORDER BY x.grantee, x.privilege_type, x.is_grantable), '') FROM "
        "aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x), "
        "(SELECT coalesce(string_agg(concat_ws(' ', s.setrole, c.one), E'\\n' ORDER BY s.setrole, "
        "c.one), '') FROM pg_db_role_setting s, unnest(s.setconfig) AS c(one) WHERE s.setdatabase "
        "= d.oid) FROM pg_database d WHERE d.datname = $1";
    CLEANUP(database_result_free) PGresult *one = NULL;
    CLEANUP(database_result_free) PGresult *two = NULL;
    int rc = database_query(conn, sql, 1, &a, &one, err);
    if (rc == 0)
        rc = database_query(conn, sql, 1, &b, &two, err);
    if (rc != 0)
        return rc;
    if (PQntuples(one) != 1 || PQntuples(two) != 1)
        return err_set(err, FAIL_NOT_FOUND, "database %s is not there",
                       PQntuples(one) != 1 ? a : b);
    for (int i = 0; i < PQnfields(one); i++)
        if (strcmp(PQgetvalue(one, 0, i), PQgetvalue(two, 0, i)) != 0)
            return err_set(err, FAIL_MISMATCH, "the %s of the copy %s cannot be made like %s's",
                           what[i], b, a);
    return 0;
}
