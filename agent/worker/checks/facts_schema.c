#include "agent/worker/checks/facts_schema.h"
#include "agent/worker/confluence/cfg.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define STATEMENT_LIMIT_S 20
#define JARS_MAX          5000

/* ------------------------------------------------------------------ files */

static bool looks_like_driver(enum database_kind kind, const char *name)
{
    static const struct {
        enum database_kind kind;
        const char *begins;
    } drivers[] = {
        { DATABASE_POSTGRESQL, "postgresql" },
        { DATABASE_MYSQL, "mysql-connector" },
        { DATABASE_MYSQL, "mariadb-java" },
        { DATABASE_ORACLE, "ojdbc" },
        { DATABASE_SQLSERVER, "mssql-jdbc" },
        { DATABASE_SQLSERVER, "sqljdbc" },
        { DATABASE_SQLSERVER, "jtds" },
        { DATABASE_HSQLDB, "hsqldb" },
        { DATABASE_H2, "h2" },
    };
    size_t len = strlen(name);
    if (len < 4 || strcmp(name + len - 4, ".jar") != 0)
        return false;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (drivers[i].kind == kind &&
            strncmp(name, drivers[i].begins, strlen(drivers[i].begins)) == 0)
            return true;
    return false;
}

static void gather_driver_jars(const struct installation *site, struct facts_schema *facts)
{
    static const char *const folders[] = { "confluence/WEB-INF/lib", "lib" };
    facts->driver_jar_known = FACT_YES;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *path = fs_join(site->install, folders[i]);
        DIR *dir = opendir(path);
        int seen = 0;
        if (!dir && errno != ENOENT)
            facts->driver_jar_known = FACT_UNKNOWN;
        for (struct dirent *entry = NULL; dir && seen < JARS_MAX && (entry = readdir(dir)) != NULL;
             seen++) {
            size_t used = strlen(facts->driver_jar);
            if (looks_like_driver(site->database.kind, entry->d_name) && used + 300 < FACT_TEXT)
                (void)snprintf(facts->driver_jar + used, FACT_TEXT - used, "%s%.250s",
                               used ? ", " : "", entry->d_name);
        }
        if (dir)
            (void)closedir(dir);
    }
}

static void gather_config(const struct installation *site, struct facts_schema *facts)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    struct err err = { 0 };
    uint64_t value = 0;
    if (!site->home || cfg_read(site->home, &cfg, &err) != 0) {
        (void)snprintf(facts->config_why, FACT_TEXT, "%.511s",
                       site->home ? err.text : "the home is not known");
        return;
    }
    facts->config_known = FACT_YES;
    const char *pool = cfg_get(&cfg, "hibernate.hikari.maximumPoolSize");
    if (!*pool)
        pool = cfg_get(&cfg, "hibernate.c3p0.max_size");
    if (text_parse_u64(pool, UINT32_MAX, &value))
        facts->pool_max = (uint32_t)value;
    else
        (void)snprintf(facts->pool_text, sizeof facts->pool_text, "%.100s", pool);
    (void)snprintf(facts->driver, sizeof facts->driver, "%.127s",
                   cfg_get(&cfg, "hibernate.connection.driver_class"));
    const char *url = cfg_get(&cfg, "hibernate.connection.url");
    facts->storage_engine = strstr(url, "storage_engine") != NULL;
    facts->datasource = *cfg_get(&cfg, "hibernate.connection.datasource") != 0 && !*url;
}

/* ------------------------------------------------------------------ PostgreSQL */

static enum fact yes_no(const char *value)
{
    return strcmp(value, "t") == 0 ? FACT_YES : strcmp(value, "f") == 0 ? FACT_NO : FACT_UNKNOWN;
}

static bool ask(PGconn *conn, const char *sql, const char *value, PGresult **ret,
                struct facts_schema *facts)
{
    struct err err = { 0 };
    if (database_query(conn, sql, value ? 1 : 0, (const char *const[]){ value }, ret, &err) == 0 &&
        PQntuples(*ret) > 0)
        return true;
    if (!facts->why[0])
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text[0] ? err.text : "no answer");
    return false;
}

static void ask_size(PGconn *conn, struct facts_schema *facts)
{
    static const char sql[] =
        "select pg_database_size(d.oid), d.datcollate, (select count(*) from pg_class c join "
        "pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and n.nspname !~ "
        "'^pg_' and n.nspname <> 'information_schema'), coalesce((select string_agg(extname || ' ' "
        "|| extversion, ', ' order by extname) from pg_extension where extname <> 'plpgsql'), '') "
        "from pg_database d where d.datname = current_database()";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, sql, NULL, &result, facts))
        return;
    (void)text_parse_u64(PQgetvalue(result, 0, 0), UINT64_MAX, &facts->bytes);
    (void)snprintf(facts->collate, sizeof facts->collate, "%.63s", PQgetvalue(result, 0, 1));
    (void)text_parse_u64(PQgetvalue(result, 0, 2), UINT64_MAX, &facts->tables);
    (void)snprintf(facts->extensions, FACT_TEXT, "%.500s", PQgetvalue(result, 0, 3));
    facts->asked = FACT_YES;
}

/* From PostgreSQL 15 on the database remembers the library's version its indexes were built with.
 */
static void ask_collation(PGconn *conn, struct facts_schema *facts)
{
    static const char sql[] = "select coalesce(datcollversion, ''), "
                              "coalesce(pg_database_collation_actual_version(oid), '') from "
                              "pg_database where datname = current_database()";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (facts->server_version < 150000 || !ask(conn, sql, NULL, &result, facts))
        return;
    const char *then = PQgetvalue(result, 0, 0), *now = PQgetvalue(result, 0, 1);
    facts->collation_moved_known = FACT_YES;
    if (*then && *now && strcmp(then, now) != 0)
        (void)snprintf(facts->collation_moved, FACT_TEXT, "%.60s, now %.60s", then, now);
}

static void ask_transactions(PGconn *conn, struct facts_schema *facts)
{
    static const char sql[] =
        "select count(*) filter (where xact_start < now() - interval '10 minutes'), count(*) "
        "filter "
        "(where state is null and pid <> pg_backend_pid() and usename <> current_user), "
        "coalesce(min(format('%s of %s, open since %s', coalesce(nullif(application_name, ''), 'a "
        "session'), usename, to_char(xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI "
        "\"UTC\"'))) "
        "filter (where xact_start < now() - interval '10 minutes'), ''), (select count(*) from "
        "pg_prepared_xacts where database = current_database()) from pg_stat_activity where "
        "datname "
        "= current_database() and pid <> pg_backend_pid()";
    CLEANUP(database_result_free) PGresult *result = NULL;
    uint64_t hidden = 1;
    if (!ask(conn, sql, NULL, &result, facts))
        return;
    (void)text_parse_u64(PQgetvalue(result, 0, 0), UINT64_MAX, &facts->old_transactions);
    (void)text_parse_u64(PQgetvalue(result, 0, 1), UINT64_MAX, &hidden);
    (void)snprintf(facts->old_transaction, FACT_TEXT, "%.500s", PQgetvalue(result, 0, 2));
    (void)text_parse_u64(PQgetvalue(result, 0, 3), UINT64_MAX, &facts->prepared);
    facts->transactions_known =
        hidden == 0 || facts->old_transactions > 0 || facts->prepared > 0 ? FACT_YES : FACT_UNKNOWN;
}

/* The account of confluence.cfg.xml changes the tables, so it must be able to act for their owners.
 */
static void ask_ddl(PGconn *conn, const char *schema, struct facts_schema *facts)
{
    static const char sql[] =
        "select has_schema_privilege(current_user, n.oid, 'CREATE'), count(c.oid) filter (where "
        "not "
        "pg_has_role(current_user, c.relowner, 'USAGE')), coalesce(min(c.relname || ' of ' || "
        "pg_get_userbyid(c.relowner)) filter (where not pg_has_role(current_user, c.relowner, "
        "'USAGE')), '') from pg_namespace n left join pg_class c on c.relnamespace = n.oid and "
        "c.relkind in ('r', 'p', 'S', 'v') and not exists (select from pg_depend e where e.classid "
        "= "
        "'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e') where n.nspname = $1 group "
        "by "
        "n.oid";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, sql, schema, &result, facts))
        return;
    facts->ddl_create = yes_no(PQgetvalue(result, 0, 0));
    if (text_parse_u64(PQgetvalue(result, 0, 1), UINT64_MAX, &facts->ddl_foreign))
        facts->ddl_known = FACT_YES;
    (void)snprintf(facts->ddl_example, sizeof facts->ddl_example, "%.250s",
                   PQgetvalue(result, 0, 2));
}

static void ask_indexes(PGconn *conn, struct facts_schema *facts)
{
    static const char sql[] =
        "select count(*), coalesce(min(c.relname || ' on ' || t.relname), '') from pg_index i join "
        "pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid join "
        "pg_namespace "
        "n on n.oid = t.relnamespace where n.nspname !~ '^pg_' and not (i.indisvalid and "
        "i.indisready)";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, sql, NULL, &result, facts))
        return;
    if (text_parse_u64(PQgetvalue(result, 0, 0), UINT64_MAX, &facts->indexes_broken))
        facts->indexes_known = FACT_YES;
    (void)snprintf(facts->index_example, sizeof facts->index_example, "%.250s",
                   PQgetvalue(result, 0, 1));
}

static void gather_server(const struct installation *site, struct facts_schema *facts)
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *schema = NULL;
    if (site->database.kind != DATABASE_POSTGRESQL) {
        facts_database_why(site, facts->why);
        return;
    }
    if (database_connect(&site->database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err) != 0) {
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    facts->server_version = PQserverVersion(conn);
    ask_size(conn, facts);
    ask_collation(conn, facts);
    ask_transactions(conn, facts);
    ask_indexes(conn, facts);
    if (database_schema(conn, "confversion", &schema, &err) == 0)
        ask_ddl(conn, schema, facts);
    else if (!facts->why[0])
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
}

void facts_gather_schema(const struct gather_source *source, void *part)
{
    struct facts_schema *facts = part;
    gather_config(source->site, facts);
    gather_driver_jars(source->site, facts);
    gather_server(source->site, facts);
}

void facts_schema_free(struct facts_schema *facts)
{
    (void)facts;
}
