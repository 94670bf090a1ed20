/* The statements behind contents.h. Names are qualified and quoted by the server itself; system
 * schemas and what belongs to an extension are left out, as pg_dump leaves them out. */
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "digest_sql.h"
#include <string.h>

/* Texts of values must not depend on what the site, a role or a client set. */
static const char settings[] = "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true), "
                               "pg_catalog.set_config('datestyle', "
                               "'ISO, YMD', true), "
                               "pg_catalog.set_config('timezone', 'UTC', true), "
                               "pg_catalog.set_config('intervalstyle', 'postgres', true), "
                               "pg_catalog.set_config('bytea_output', 'hex', true), "
                               "pg_catalog.set_config('extra_float_digits', '1', true), "
                               "pg_catalog.set_config('xmlbinary', 'base64', true), "
                               "pg_catalog.set_config('lc_monetary', 'C', true), "
                               "pg_catalog.set_config('row_security', 'off', true), "
                               "pg_catalog.set_config('statement_timeout', '0', true)";

/* Grants in one order, with the default spelled out: a dump brings NULL back for what was spelled
 * out and equal to it. */
#define GRANTS(acl, kind, owner)                                                                   \
    " coalesce((SELECT string_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE "                     \
    "pg_get_userbyid(a.grantee)::text END || '=' "                                                 \
    "|| a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END || '/' || "              \
    "pg_get_userbyid(a.grantor), ',' "                                                             \
    "ORDER BY CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END "    \
    "COLLATE \"C\", a.privilege_type "                                                             \
    "COLLATE \"C\") FROM aclexplode(coalesce(" acl ", acldefault(" kind ", " owner "))) a), '') "

static const char tables_sql[] =
    "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)," BY_VALUES
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE" OWN_TABLES
    "ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";
static const char sequences_sql[] =
    "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
    "pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND" USER_SCHEMA("n") "AND" NOT_EXTENSION(
        "pg_class",
        "c.oid") "ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";
/* Columns of later versions by way of JSON, so that one statement serves all of them. */
static const char database_sql[] =
    "SELECT d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, "
    "d.datctype, t.spcname, d.datconnlimit, "
    "shobj_description(d.oid, 'pg_database'), coalesce(to_jsonb(d)->>'datlocprovider', 'c'), "
    "coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', ''), "
    "current_setting('server_version_num') "
    "FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = "
    "current_database()";
static const char acl_sql[] = "SELECT concat_ws(' ', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE "
                              "pg_get_userbyid(a.grantee)::text END, a.privilege_type, "
                              "CASE WHEN a.is_grantable THEN 'grantable' END), '' FROM pg_database "
                              "d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
                              "WHERE d.datname = current_database() ORDER BY 1";
static const char settings_sql[] =
    "SELECT coalesce(r.rolname::text, ''), unnest(s.setconfig) FROM pg_db_role_setting s JOIN "
    "pg_database d ON d.oid = s.setdatabase "
    "LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = current_database() ORDER BY 1, 2";
static const char extensions_sql[] =
    "SELECT extname::text, extversion FROM pg_extension ORDER BY 1";
static const char roles_sql[] = "SELECT rolname::text, CASE WHEN oid = 10 THEN 'bootstrap' ELSE '' "
                                "END FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1";
static const char objects_sql[] =
    "SELECT count(*), coalesce(sum(('x' || substr(md5(oid::text || ':' || "
    "pg_get_userbyid(lomowner) || ':' || md5(lo_get(oid)) || " GRANTS(
        "lomacl", "'L'",
        "lomowner") "), 1, 15))::bit(60)::bigint), 0)::text FROM pg_largeobject_metadata";

/* Name, owner and grants; no definitions: PostgreSQL itself spells some of them anew after a
 * restore. */
#define CENSUS(kind, line, from)                                                                   \
    {                                                                                              \
        kind, "SELECT count(*), coalesce(md5(string_agg(line, E'\\n' ORDER BY line COLLATE "       \
              "\"C\")), '') FROM (SELECT concat_ws(' ', " line ") AS line FROM " from ") q"        \
    }
#define RELATION(kind, relkinds)                                                                   \
    CENSUS(                                                                                        \
        kind,                                                                                      \
        "c.relkind, format('%I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)," GRANTS(   \
            "c.relacl", "CASE WHEN c.relkind = 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END",     \
            "c.relowner"),                                                                         \
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN (" relkinds   \
        ") AND c.relpersistence <> 't' AND" USER_SCHEMA("n") "AND" NOT_EXTENSION("pg_class",       \
                                                                                 "c.oid"))
static const struct {
    const char *kind, *sql;
} census[] = {
    CENSUS("schemas",
           "format('%I', n.nspname), pg_get_userbyid(n.nspowner)," GRANTS("n.nspacl", "'n'",
                                                                          "n.nspowner"),
           "pg_namespace n WHERE" USER_SCHEMA("n") "AND" NOT_EXTENSION("pg_namespace", "n.oid")),
    RELATION("tables", "'r', 'p', 'f'"),
    RELATION("views", "'v', 'm'"),
    RELATION("sequences", "'S'"),
    CENSUS("columns",
           "format('%I.%I.%I', n.nspname, c.relname, a.attname), format_type(a.atttypid, "
           "a.atttypmod), a.attnotnull, a.atthasdef, a.attacl",
           "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = "
           "c.relnamespace WHERE a.attnum > 0 AND NOT a.attisdropped "
           "AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relpersistence <> 't' AND" USER_SCHEMA(
               "n") "AND" NOT_EXTENSION("pg_class", "c.oid")),
    CENSUS("indexes",
           "format('%I.%I', n.nspname, c.relname), i.indisunique, i.indisprimary, i.indisvalid",
           "pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = "
           "c.relnamespace WHERE" USER_SCHEMA("n") "AND" NOT_EXTENSION("pg_class", "i.indrelid")),
    CENSUS("constraints",
           "format('%I.%I', n.nspname, k.conname), k.conrelid::regclass, k.contype, k.convalidated",
           "pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.contype <> 'n' "
           "AND" USER_SCHEMA("n") "AND" NOT_EXTENSION("pg_class", "k.conrelid")),
    CENSUS("triggers",
           "t.tgrelid::regclass, format('%I', t.tgname), t.tgenabled, t.tgfoid::regprocedure",
           "pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = "
           "c.relnamespace WHERE NOT t.tgisinternal AND" USER_SCHEMA("n")),
    CENSUS("functions",
           "p.oid::regprocedure, pg_get_userbyid(p.proowner), md5(p.prosrc)," GRANTS(
               "p.proacl", "'f'", "p.proowner"),
           "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE" USER_SCHEMA(
               "n") "AND" NOT_EXTENSION("pg_proc", "p.oid")),
    CENSUS("types", "p.oid::regtype, pg_get_userbyid(p.typowner)",
           "pg_type p JOIN pg_namespace n ON n.oid = p.typnamespace WHERE p.typtype IN ('e', 'd', "
           "'r') AND" USER_SCHEMA("n") "AND" NOT_EXTENSION("pg_type", "p.oid")),
};
#define CENSUS_COUNT (sizeof census / sizeof census[0])

static const char *cell(struct pool *pool, const PGresult *result, int row, int column)
{
    const char *value = PQgetvalue(result, row, column);
    return value[0] ? pool_text(pool, value) : "";
}

static int64_t number(const PGresult *result, int row, int column)
{
    return (int64_t)strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static int limit(int rows, const char *what, struct err *err)
{
    return rows <= (int)CONTENTS_ITEMS_MAX
               ? 0
               : err_set(err, FAIL_LIMIT, "the database has more than %u %s", CONTENTS_ITEMS_MAX,
                         what);
}

static int read_pairs(PGconn *conn, struct pool *pool, const char *sql, struct contents_pair **ret,
                      size_t *ret_count, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    int rc = database_query(conn, sql, 0, NULL, &result, err);
    if (rc == 0)
        rc = limit(PQntuples(result), "settings, grants or roles", err);
    if (rc != 0)
        return rc;
    *ret_count = (size_t)PQntuples(result);
    *ret = mem_zero(*ret_count + 1, sizeof **ret);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret)[i] =
            (struct contents_pair){ cell(pool, result, (int)i, 0), cell(pool, result, (int)i, 1) };
    return 0;
}

/* The one asked for, when this server has it, or its best. */
static const char *choose_method(const char *asked, uint32_t server_version)
{
    static const struct {
        const char *name;
        uint32_t since;
    } methods[] = { { "record64", 140000 }, { "hash64", 110000 }, { "md5", 0 } };
    const char *best = NULL;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (server_version < methods[i].since)
            continue;
        if (asked && strcmp(asked, methods[i].name) == 0)
            return methods[i].name;
        best = best ? best : methods[i].name;
    }
    return best;
}

static int read_database(PGconn *conn, struct pool *pool, struct contents *c, struct err *err)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    int rc = database_query(conn, database_sql, 0, NULL, &r, err);
    if (rc != 0)
        return rc;
    if (PQntuples(r) != 1)
        return err_set(err, FAIL_DATABASE, "the server does not list the database that it serves");
    c->database = cell(pool, r, 0, 0);
    c->owner = cell(pool, r, 0, 1);
    c->encoding = cell(pool, r, 0, 2);
    c->collate = cell(pool, r, 0, 3);
    c->ctype = cell(pool, r, 0, 4);
    c->tablespace = cell(pool, r, 0, 5);
    c->connection_limit = (int32_t)number(r, 0, 6);
    c->has_comment = !PQgetisnull(r, 0, 7);
    c->comment = cell(pool, r, 0, 7);
    c->provider = cell(pool, r, 0, 8);
    c->locale = cell(pool, r, 0, 9);
    c->server_version = (uint32_t)number(r, 0, 10);
    c->method = choose_method(c->method, c->server_version);
    c->system = c->system ? c->system : "";
    if ((rc = read_pairs(conn, pool, acl_sql, &c->acl, &c->acl_count, err)) != 0 ||
        (rc = read_pairs(conn, pool, settings_sql, &c->settings, &c->setting_count, err)) != 0 ||
        (rc = read_pairs(conn, pool, extensions_sql, &c->extensions, &c->extension_count, err)) !=
            0)
        return rc;
    return read_pairs(conn, pool, roles_sql, &c->roles, &c->role_count, err);
}

/* How one row becomes a number: by its values as they are, or by its text, which is slower and fits
 * all. */
const char *contents_row_hash(const char *method, bool by_values)
{
    if (strcmp(method, "record64") == 0 && by_values)
        return "pg_catalog.hash_record_extended(confleet_row_.*, 0)";
    if (strcmp(method, "md5") != 0)
        return "pg_catalog.hashtextextended(" ROW_TEXT ", 0)";
    return "('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.md5(" ROW_TEXT
           "), 1, 15))::pg_catalog.bit(60)::pg_catalog.int8";
}

static int read_tables(PGconn *conn, struct pool *pool, struct contents *c, struct err *err)
{
    CLEANUP(database_result_free) PGresult *list = NULL;
    int rc = database_query(conn, tables_sql, 0, NULL, &list, err);
    if (rc == 0)
        rc = limit(PQntuples(list), "tables", err);
    if (rc != 0)
        return rc;
    c->table_count = (size_t)PQntuples(list);
    c->tables = mem_zero(c->table_count + 1, sizeof *c->tables);
    for (int i = 0; i < PQntuples(list); i++) {
        CLEANUP(database_result_free) PGresult *r = NULL;
        CLEANUP(free_mem)
        char *sql = text_printf("SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(%s), "
                                "0)::pg_catalog.text FROM ONLY %s AS confleet_row_",
                                contents_row_hash(c->method,
                                                  PQgetvalue(list, i, 3)[0] == 't'),
                                PQgetvalue(list, i, 2));
        if ((rc = database_query(conn, sql, 0, NULL, &r, err)) != 0)
            return err_wrap(err, "count table %s", PQgetvalue(list, i, 2));
        c->tables[i] = (struct contents_table){ .schema = cell(pool, list, i, 0),
                                                .name = cell(pool, list, i, 1),
                                                .rows = (uint64_t)number(r, 0, 0),
                                                .digest = cell(pool, r, 0, 1) };
    }
    return 0;
}

static int read_sequences(PGconn *conn, struct pool *pool, struct contents_sequence **ret,
                          size_t *ret_count, struct err *err)
{
    CLEANUP(database_result_free) PGresult *list = NULL;
    int rc = database_query(conn, sequences_sql, 0, NULL, &list, err);
    if (rc == 0)
        rc = limit(PQntuples(list), "sequences", err);
    if (rc != 0)
        return rc;
    CLEANUP(free_mem)
    struct contents_sequence *found = mem_zero((size_t)PQntuples(list) + 1, sizeof *found);
    for (int i = 0; i < PQntuples(list); i++) {
        CLEANUP(database_result_free) PGresult *r = NULL;
        CLEANUP(free_mem)
        char *sql = text_printf("SELECT last_value, is_called FROM %s", PQgetvalue(list, i, 2));
        if ((rc = database_query(conn, sql, 0, NULL, &r, err)) != 0)
            return err_wrap(err, "read sequence %s", PQgetvalue(list, i, 2));
        found[i] = (struct contents_sequence){ .schema = cell(pool, list, i, 0),
                                               .name = cell(pool, list, i, 1),
                                               .least = number(r, 0, 0),
                                               .most = number(r, 0, 0),
                                               .called = PQgetvalue(r, 0, 1)[0] == 't' };
    }
    *ret_count = (size_t)PQntuples(list);
    *ret = TAKE(found);
    return 0;
}

int contents_widen_sequences(PGconn *conn, struct pool *pool, struct contents *contents,
                             bool *ret_moved, struct err *err)
{
    CLEANUP(free_mem) struct contents_sequence *now = NULL;
    size_t count = 0;
    int rc = read_sequences(conn, pool, &now, &count, err);
    if (rc != 0)
        return rc;
    *ret_moved = count != contents->sequence_count;
    for (size_t i = 0, j = 0; i < contents->sequence_count && j < count; i++, j++) {
        struct contents_sequence *s = &contents->sequences[i];
        if (strcmp(s->schema, now[j].schema) != 0 || strcmp(s->name, now[j].name) != 0)
            return err_set(err, FAIL_CONFLICT,
                           "sequences were made or dropped while the database was dumped");
        if (now[j].least != s->least || now[j].called != s->called)
            *ret_moved = true;
        s->least = now[j].least < s->least ? now[j].least : s->least;
        s->most = now[j].most > s->most ? now[j].most : s->most;
        s->called = s->called || now[j].called;
    }
    return 0;
}

static int read_census(PGconn *conn, struct pool *pool, struct contents *c, struct err *err)
{
    c->census = mem_zero(CENSUS_COUNT, sizeof *c->census);
    for (size_t i = 0; i < CENSUS_COUNT; i++) {
        CLEANUP(database_result_free) PGresult *r = NULL;
        int rc = database_query(conn, census[i].sql, 0, NULL, &r, err);
        if (rc != 0)
            return err_wrap(err, "count the %s", census[i].kind);
        c->census[c->census_count++] = (struct contents_census){ .kind = census[i].kind,
                                                                 .count = (uint64_t)number(r, 0, 0),
                                                                 .digest = cell(pool, r, 0, 1) };
    }
    return 0;
}

static int read_objects(PGconn *conn, struct pool *pool, struct contents *c, struct err *err)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    int rc = database_query(conn, objects_sql, 0, NULL, &r, err);
    if (rc != 0)
        return err_wrap(err, "read the large objects");
    c->object_count = (uint64_t)number(r, 0, 0);
    c->object_digest = cell(pool, r, 0, 1);
    return 0;
}

int contents_settings(PGconn *conn, struct err *err)
{
    return database_do(conn, settings, err);
}

int contents_read_by(PGconn *conn, struct pool *pool, struct contents *ret, contents_tables *tables,
                     void *ctx, struct err *err)
{
    CLEANUP(contents_free) struct contents c = { .method = ret->method };
    int rc = contents_settings(conn, err);
    if (rc == 0)
        rc = read_database(conn, pool, &c, err);
    if (rc == 0)
        rc = read_sequences(conn, pool, &c.sequences, &c.sequence_count, err);
    if (rc == 0)
        rc = tables ? tables(ctx, pool, &c, err) : read_tables(conn, pool, &c, err);
    if (rc == 0)
        rc = read_objects(conn, pool, &c, err);
    if (rc == 0)
        rc = read_census(conn, pool, &c, err);
    if (rc != 0)
        return rc;
    *ret = c;
    c = (struct contents){ 0 };
    return 0;
}

int contents_read(PGconn *conn, struct pool *pool, struct contents *ret, struct err *err)
{
    return contents_read_by(conn, pool, ret, NULL, NULL, err);
}
