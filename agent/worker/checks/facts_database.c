/* What the database and the client programs tell. */
#include "agent/worker/backup/elsewhere.h"
#include "agent/worker/backup/twin.h"
#include "agent/worker/checks/facts.h"
#include "confleet/cleanup.h"
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATEMENT_LIMIT_S 30
#define PG_ROOT           "/usr/lib/postgresql"

static void keep(char out[FACT_TEXT], const char *text)
{
    (void)snprintf(out, FACT_TEXT, "%.*s", FACT_TEXT - 1, text);
}

static enum fact yes_no(const char *value)
{
    return strcmp(value, "t") == 0 ? FACT_YES : strcmp(value, "f") == 0 ? FACT_NO : FACT_UNKNOWN;
}

/* A server that is busy is no missing one: who gets no answer asks a second time. */
static int connect_twice(const Confleet__WorkerNode *node, const struct database *database,
                         bool admin, PGconn **ret, struct err *err)
{
    const char *conninfo = admin ? node->database_admin : NULL;
    const char *passfile = admin ? node->passfile : NULL;
    int result = database_connect(database, NULL, conninfo, passfile, STATEMENT_LIMIT_S, ret, err);
    if (result != -FAIL_TIMEOUT)
        return result;
    err_clear(err);
    result = database_connect(database, NULL, conninfo, passfile, STATEMENT_LIMIT_S, ret, err);
    return result == -FAIL_TIMEOUT ? err_wrap(err, "asked twice") : result;
}

static PGconn *connect_as(const Confleet__WorkerNode *node, struct facts *facts, bool admin,
                          struct fact_connect *ret)
{
    struct err err = { 0 };
    PGconn *conn = NULL;
    const struct database *database = &facts->site.database;
    ret->tried = true;
    int result = connect_twice(node, database, admin, &conn, &err);
    ret->code = -result;
    if (result == 0)
        return conn;
    keep(ret->text, err.text);
    if (result == -FAIL_DENIED && !admin && !database->password && database->password_note[0])
        (void)snprintf(ret->text, sizeof ret->text, "%.300s; the password was not given: %s",
                       err.text, database->password_note);
    return NULL;
}

static void ask_about(PGconn *conn, struct fact_database *facts)
{
    static const char sql[] =
        "select r.rolname, r.rolsuper, r.rolcreatedb, pg_has_role(current_user, d.datdba, "
        "'MEMBER'), pg_get_userbyid(d.datdba),"
        " pg_encoding_to_char(d.encoding), d.datcollate, pg_database_size(d.oid),"
        " r.rolsuper or (r.rolcreatedb and pg_has_role(current_user, d.datdba, 'USAGE'))"
        " from pg_database d, pg_roles r where d.datname = current_database() and r.rolname = "
        "current_user";
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    if (database_query(conn, sql, 0, NULL, &result, &err) != 0) {
        keep(facts->rights_text, err.text);
        return;
    }
    if (PQntuples(result) != 1) {
        keep(facts->rights_text, "the catalogue does not show this account or database");
        return;
    }
    (void)snprintf(facts->account, sizeof facts->account, "%.127s", PQgetvalue(result, 0, 0));
    facts->superuser = yes_no(PQgetvalue(result, 0, 1));
    facts->createdb = yes_no(PQgetvalue(result, 0, 2));
    facts->owns = yes_no(PQgetvalue(result, 0, 3));
    (void)snprintf(facts->owner, sizeof facts->owner, "%.127s", PQgetvalue(result, 0, 4));
    (void)snprintf(facts->encoding, sizeof facts->encoding, "%.31s", PQgetvalue(result, 0, 5));
    (void)snprintf(facts->collate, sizeof facts->collate, "%.63s", PQgetvalue(result, 0, 6));
    facts->bytes_known = text_parse_u64(PQgetvalue(result, 0, 7), UINT64_MAX, &facts->bytes);
    facts->renames = yes_no(PQgetvalue(result, 0, 8));
}

static struct reach reach_of(const Confleet__WorkerNode *node, const struct facts *facts)
{
    return (struct reach){ .database = &facts->site.database,
                           .admin = node->database_admin,
                           .admin_passfile = node->passfile,
                           .dir = "" };
}

/* The way back renames databases, which is done from a database that is none of them; by the very
 * function that the way back opens it with. A server that gives no answer has refused nothing. */
static void ask_elsewhere(const Confleet__WorkerNode *node, struct facts *facts)
{
    struct fact_database *database = &facts->database;
    struct reach reach = reach_of(node, facts);
    CLEANUP(database_close) PGconn *conn = NULL;
    const char *name = NULL;
    struct err err = { 0 };
    int result = elsewhere_open(&reach, &conn, &name, &err);
    if (result == 0)
        database->elsewhere = FACT_YES;
    else if (result == -FAIL_DENIED || result == -FAIL_NOT_FOUND || result == -FAIL_DATABASE)
        database->elsewhere = FACT_NO;
    keep(database->elsewhere_text, err.text);
}

/* What the new version is changed with: the site's own account, whoever restores. */
static void ask_create(PGconn *conn, struct fact_database *facts)
{
    CLEANUP(free_mem) char *schema = NULL;
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    if (database_schema(conn, "confversion", &schema, &err) != 0 ||
        database_query(conn, "select has_schema_privilege(current_user, $1, 'CREATE')", 1,
                       (const char *const[]){ schema }, &result, &err) != 0) {
        keep(facts->rights_text, err.text);
        return;
    }
    facts->creates = yes_no(PQgetvalue(result, 0, 0));
}

/* Whatever a restore must give back to its owner. Members of extensions come with these; system
 * schemas are the server's. */
static void ask_foreign(PGconn *conn, struct fact_database *facts)
{
    static const char sql[] =
        "with object (kind, name, owner) as ("
        " select case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then "
        "'materialized view' else 'table' end,"
        "  n.nspname || '.' || c.relname, c.relowner from pg_class c join pg_namespace n on n.oid "
        "= c.relnamespace"
        "  where c.relkind in ('r', 'p', 'S', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname "
        "<> 'information_schema'"
        "  and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and "
        "e.objid = c.oid and e.deptype = 'e')"
        " union all select 'function', n.nspname || '.' || p.proname, p.proowner from pg_proc p "
        "join pg_namespace n on n.oid = p.pronamespace"
        "  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
        "  and not exists (select from pg_depend e where e.classid = 'pg_proc'::regclass and "
        "e.objid = p.oid and e.deptype = 'e')"
        " union all select 'schema', nspname, nspowner from pg_namespace where nspname !~ '^pg_' "
        "and nspname not in ('information_schema', 'public')"
        " union all select 'large object', oid::text, lomowner from pg_largeobject_metadata"
        " union all select 'extension', extname, extowner from pg_extension where extname <> "
        "'plpgsql')"
        " select count(*), min(kind || ' ' || name || ' of ' || pg_get_userbyid(owner)) from "
        "object where not pg_has_role(current_user, owner, 'MEMBER')";
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    if (database_query(conn, sql, 0, NULL, &result, &err) != 0) {
        keep(facts->rights_text, err.text);
        return;
    }
    facts->foreign_known = text_parse_u64(PQgetvalue(result, 0, 0), UINT64_MAX, &facts->foreign)
                               ? FACT_YES
                               : FACT_UNKNOWN;
    keep(facts->foreign_example, PQgetvalue(result, 0, 1));
}

static void ask_state(PGconn *conn, struct fact_database *facts)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str who = { 0 };
    bool visible = false, found = false;
    int64_t number = 0;
    if (database_build(conn, &facts->build, &err) != 0)
        keep(facts->build_text, err.text);
    err_clear(&err);
    if (database_sessions(conn, &facts->sessions, &visible, &who, &err) == 0)
        facts->sessions_visible = visible ? FACT_YES : FACT_NO;
    keep(facts->sessions_who, str_text(&who));
    if (database_u64(
            conn,
            "select count(distinct coalesce(host(client_addr), 'local')) from pg_stat_activity"
            " where datname = current_database() and usename = current_user and pid <> "
            "pg_backend_pid()",
            &facts->own_addresses, &found, NULL) != 0)
        facts->own_addresses = 0;
    found = false;
    err_clear(&err);
    if (database_safety_number(conn, &number, &found, &err) == 0)
        facts->safety_table = found ? FACT_YES : FACT_NO;
    keep(facts->safety_text, err.text);
}

/* The very choice that is made at the stop; what uses the database then is not known yet. */
static void ask_capture(PGconn *conn, const Confleet__WorkerNode *node, struct facts *facts)
{
    struct fact_database *database = &facts->database;
    struct twin_facts twin;
    char why[TWIN_WHY];
    struct err err = { 0 };
    struct reach reach = reach_of(node, facts);
    if (twin_gather(conn, &reach, facts->site.database.name, &twin, &err) != 0) {
        keep(database->capture_text, err.text);
        return;
    }
    twin.ask.policy = node->stop_capture[0] ? node->stop_capture : "auto";
    twin.ask.reserve_bytes = node->reserve_bytes;
    database->copy_insisted = strcmp(twin.ask.policy, "copy") == 0;
    database->copied = twin_choose(&twin.ask, why) ? FACT_YES : FACT_NO;
    keep(database->capture_text, why);
}

static bool can_run(const char *folder, const char *name)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%s", folder, name);
    return access(path, X_OK) == 0;
}

/* Who may run a throw-away cluster: PostgreSQL refuses root. */
static const char *unprivileged(const struct installation *site)
{
    const char *const names[] = { "confleet-scratch",
                                  strcmp(site->run_user, "nobody") != 0 ? "nobody" : "",
                                  "postgres" };
    if (geteuid() != 0)
        return "this account";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct passwd *account = names[i][0] ? getpwnam(names[i]) : NULL;
        if (account && account->pw_uid != 0)
            return names[i];
    }
    return NULL;
}

/* A throw-away cluster needs the server's programs of the same major version. */
static void look_for_initdb(const Confleet__WorkerNode *node, struct facts *facts)
{
    struct fact_tools *tools = &facts->tools;
    int major = facts->database.server_version / 10000;
    if (major == 0) {
        keep(tools->initdb_text,
             "the server's version is not known, so neither is the initdb to use");
        return;
    }
    CLEANUP(free_mem) char *debian = text_printf("%s/%d/bin", PG_ROOT, major);
    bool given = node->pg_bin[0] && tools->version / 10000 == major &&
                 can_run(node->pg_bin, "initdb") && can_run(node->pg_bin, "postgres");
    const char *folder = given ? node->pg_bin : debian, *account = unprivileged(&facts->site);
    tools->initdb = FACT_NO;
    if (!given && (!can_run(debian, "initdb") || !can_run(debian, "postgres"))) {
        (void)snprintf(tools->initdb_text, sizeof tools->initdb_text, "no initdb in %s", debian);
        return;
    }
    if (!account) {
        keep(tools->initdb_text, "there is no unprivileged account to run it as");
        return;
    }
    tools->initdb = FACT_YES;
    (void)snprintf(tools->initdb_text, sizeof tools->initdb_text, "%.300s/initdb, run as %.100s",
                   folder, account);
}

static void look_for_tools(const Confleet__WorkerNode *node, struct facts *facts)
{
    struct fact_tools *tools = &facts->tools;
    struct err err = { 0 };
    CLEANUP(free_mem) char *dir = NULL;
    tools->server_known = facts->database.server_version != 0;
    tools->code =
        -database_tools(node->pg_bin, facts->database.server_version, &dir, &tools->version, &err);
    keep(tools->text, err.text);
    (void)snprintf(tools->dir, sizeof tools->dir, "%.255s", dir ? dir : "");
    look_for_initdb(node, facts);
}

void facts_database_why(const struct installation *site, char why[FACT_TEXT])
{
    if (site->database.kind != DATABASE_UNKNOWN)
        (void)snprintf(why, FACT_TEXT,
                       "a database of kind %s is not asked; its own checks come later",
                       database_kind_name(site->database.kind));
    else
        (void)snprintf(why, FACT_TEXT, "which database it is, is not known");
}

void facts_gather_database(const Confleet__WorkerNode *node, struct facts *facts)
{
    struct fact_database *database = &facts->database;
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_close) PGconn *admin = NULL;
    if (facts->site.database.kind != DATABASE_POSTGRESQL) {
        facts_database_why(&facts->site, database->site.text);
        keep(database->build_text, database->site.text);
        look_for_tools(node, facts);
        return;
    }
    conn = connect_as(node, facts, false, &database->site);
    if (!conn && database->site.code) { /* a server that hangs costs one time limit, not one each */
        struct database *used = &facts->site.database;
        used->given_up_code = database->site.code;
        (void)snprintf(used->given_up, sizeof used->given_up, "%s", database->site.text);
    }
    if (node->database_admin[0])
        admin = connect_as(node, facts, true, &database->admin);
    if (conn) {
        database->server_version = PQserverVersion(conn);
        ask_state(conn, database);
        ask_create(conn, database);
    } else {
        keep(database->build_text, database->site.text);
    }
    PGconn *restorer = admin ? admin : conn;
    database->by_admin = admin != NULL;
    if (restorer) {
        ask_about(restorer, database);
        ask_foreign(restorer, database);
        facts_gather_room(restorer, database);
        ask_capture(restorer, node, facts);
    }
    if (node->database_admin[0] ? admin != NULL : conn != NULL)
        ask_elsewhere(node, facts);
    look_for_tools(node, facts);
}
