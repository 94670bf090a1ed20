/* Judges of the database and what is needed around it. */
#include "agent/worker/checks/judge_schema.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

static bool reached(const struct facts *facts)
{
    return facts->database.site.tried && facts->database.site.code == 0;
}

static const char *why_not(const struct facts *facts)
{
    return facts->database.site.text[0] ? facts->database.site.text : "the database was not asked";
}

/* The absolute path of an embedded database's files, or NULL: jdbc:hsqldb:[file:]PATH,
 * jdbc:h2:[file:]PATH, jdbc:h2:tcp://HOST/PATH. */
static const char *embedded_path(const char *url)
{
    static const char *const starts[] = { "jdbc:hsqldb:file:", "jdbc:hsqldb:", "jdbc:h2:file:",
                                          "jdbc:h2:tcp://", "jdbc:h2:" };
    const char *at = NULL;
    for (size_t i = 0; url && i < sizeof starts / sizeof *starts && !at; i++)
        if (strncmp(url, starts[i], strlen(starts[i])) == 0)
            at = i == 3 ? strchr(url + strlen(starts[i]), '/') : url + strlen(starts[i]);
    while (at && at[0] == '/' && at[1] == '/')
        at++;
    return at && at[0] == '/' && at[1] != '~' ? at : NULL;
}

/* A copied or moved home still names the files of the original (facts 1.4). */
static void judge_embedded(const struct facts *facts, struct verdict *ret)
{
    const struct installation *site = &facts->site;
    const char *name = database_kind_name(site->database.kind);
    const char *path = embedded_path(site->database.url);
    size_t home = site->home ? strlen(site->home) : 0;
    bool elsewhere =
        path && home > 0 && (strncmp(path, site->home, home) != 0 || path[home] != '/');
    if (!elsewhere) {
        verdict_set(ret, facts->env == ENV_TEST ? WARN : BLOCK,
                    "The site uses the embedded %s, which Atlassian supports for trials only.",
                    name);
        return;
    }
    verdict_set(ret, BLOCK,
                "The site uses the embedded %s, and its files are outside of the home %s: %.*s. A "
                "copy that is started like this writes into the database of the original.",
                name, site->home, (int)strcspn(path, ";?"), path);
    ret->remedy =
        "Correct hibernate.connection.url while Confluence is stopped; then move the site "
        "to PostgreSQL.";
}

void judge_database_kind(const struct facts *facts, struct verdict *ret)
{
    const struct database *database = &facts->site.database;
    char where[600];
    switch (database->kind) {
    case DATABASE_POSTGRESQL:
        verdict_set(ret, OK, "PostgreSQL at %s.", database_where(database, where, sizeof where));
        break;
    case DATABASE_UNKNOWN:
        if (facts->site.config_why[0])
            verdict_set(ret, UNKNOWN, "%s", facts->site.config_why);
        else
            verdict_set(ret, UNKNOWN, "confluence.cfg.xml tells no database. %.1000s",
                        str_text(&facts->site.notes));
        break;
    case DATABASE_HSQLDB:
    case DATABASE_H2:
        judge_embedded(facts, ret);
        break;
    case DATABASE_JNDI:
        verdict_set(ret, BLOCK,
                    "The database is a data source of Tomcat; such sites are not supported yet, "
                    "and not by Confluence from 8.0 on.");
        ret->remedy = "Put the connection into confluence.cfg.xml (hibernate.connection.url, "
                      "username, password).";
        break;
    default:
        verdict_set(ret, BLOCK, "The site uses %s, which is not supported yet.",
                    database_kind_name(database->kind));
    }
}

void judge_database_reachable(const struct facts *facts, struct verdict *ret)
{
    const struct fact_connect *site = &facts->database.site;
    if (!site->tried) {
        verdict_set(ret, UNKNOWN, "%s", why_not(facts));
    } else if (site->code == FAIL_DENIED) {
        verdict_set(ret, BLOCK, "%s", site->text);
        ret->remedy = "Look whether hibernate.connection.username and .password of "
                      "confluence.cfg.xml are those of the running site, and pg_hba.conf.";
    } else if (site->code != 0) {
        verdict_set(ret, BLOCK, "%s", site->text);
    } else if (facts->database.admin.tried && facts->database.admin.code != 0) {
        verdict_set(ret, BLOCK,
                    "The site's own account works; database_admin of the policy does not: %s",
                    facts->database.admin.text);
        ret->remedy = "Correct database_admin and passfile in the agent's policy file.";
    } else {
        int version = facts->database.server_version;
        verdict_set(ret, OK, "PostgreSQL %d.%d answers.", version / 10000, version % 10000);
    }
}

/* What a rollback does with whole databases; true: it cannot, or that is not known. */
static bool judge_way_back(const struct fact_database *database, struct verdict *ret)
{
    const char *who = database->by_admin ? "database_admin" : "the site's account";
    if (database->renames == FACT_NO) {
        verdict_set(ret, BLOCK,
                    "%s %s cannot take a failed upgrade back: to rename the failed database it "
                    "must have CREATEDB and the rights of %s, who owns it, or be superuser.",
                    who, database->account, database->owner);
        ret->remedy = "ALTER ROLE … CREATEDB for that account (and GRANT the owner to it when it "
                      "is another), or set database_admin (and passfile) in agent.yaml to an "
                      "account that may.";
    } else if (database->elsewhere == FACT_NO) {
        verdict_set(ret, BLOCK,
                    "%s %s cannot take a failed upgrade back: it enters neither database postgres "
                    "nor template1, and no database is renamed from within (%s).",
                    who, database->account, database->elsewhere_text);
        ret->remedy = "Add a line for database postgres and that account to pg_hba.conf and reload "
                      "the server (or GRANT CONNECT), or set database_admin in agent.yaml to an "
                      "account that enters it.";
    } else if (database->elsewhere != FACT_YES)
        verdict_set(ret, UNKNOWN,
                    "Whether %s %s enters database postgres or template1, which a way back needs, "
                    "could not be asked: %s",
                    who, database->account, database->elsewhere_text);
    return database->renames == FACT_NO || database->elsewhere != FACT_YES;
}

void judge_database_rights(const struct facts *facts, struct verdict *ret)
{
    const struct fact_database *database = &facts->database;
    const char *who = database->by_admin ? "database_admin" : "the site's account";
    if (!reached(facts) || (database->admin.tried && database->admin.code != 0))
        verdict_set(ret, UNKNOWN, "%s", reached(facts) ? database->admin.text : why_not(facts));
    else if (database->superuser == FACT_YES) {
        if (judge_way_back(database, ret))
            return;
        verdict_set(ret, INFO,
                    "%s %s is superuser. It may restore everything, and code of the database "
                    "(functions in constraints, indexes and triggers) runs with its rights in a "
                    "restore.",
                    who, database->account);
        ret->remedy = "Use an account with CREATEDB that is member of the role that owns the "
                      "database and its objects.";
    } else if (database->owns == FACT_NO)
        verdict_set(ret, BLOCK, "The database belongs to %s, whom %s %s cannot act for.",
                    database->owner, who, database->account);
    else if (database->foreign_known == FACT_YES && database->foreign > 0)
        verdict_set(ret, BLOCK,
                    "%llu objects belong to roles that %s %s cannot act for, such as %s.",
                    (unsigned long long)database->foreign, who, database->account,
                    database->foreign_example);
    else if (database->creates == FACT_NO) {
        verdict_set(ret, BLOCK,
                    "%s %s may not create tables in the site's schema, so the new version cannot "
                    "change it.",
                    who, database->account);
        ret->remedy = "GRANT CREATE ON SCHEMA … TO the site's account.";
    } else if (database->owns != FACT_YES || database->creates != FACT_YES ||
               database->renames == FACT_UNKNOWN || database->foreign_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The rights could not be read: %s", database->rights_text);
    else if (!judge_way_back(database, ret))
        verdict_set(ret, OK,
                    "%s %s owns the database and everything in it, may create tables, and may "
                    "rename the database for the way back.",
                    who, database->account);
}

void judge_database_encoding(const struct facts *facts, struct verdict *ret)
{
    if (!reached(facts) || !facts->database.encoding[0])
        verdict_set(ret, UNKNOWN, "%s",
                    reached(facts) ? facts->database.rights_text : why_not(facts));
    else if (strcmp(facts->database.encoding, "UTF8") != 0)
        verdict_set(ret, BLOCK, "The database is encoded as %s.", facts->database.encoding);
    else
        verdict_set(ret, OK, "UTF8, collation %s.", facts->database.collate);
}

void judge_client_tools(const struct facts *facts, struct verdict *ret)
{
    const struct fact_tools *tools = &facts->tools;
    if (tools->code != 0)
        verdict_set(ret, BLOCK, "%s", tools->text);
    else if (!tools->server_known)
        verdict_set(ret, UNKNOWN,
                    "Version %d.%d in %s; whether it is new enough for the server is not known: %s",
                    tools->version / 10000, tools->version % 10000, tools->dir, why_not(facts));
    else
        verdict_set(ret, OK, "Version %d.%d in %s, server %d.%d.", tools->version / 10000,
                    tools->version % 10000, tools->dir, facts->database.server_version / 10000,
                    facts->database.server_version % 10000);
}

void judge_scratch(const struct facts *facts, struct verdict *ret)
{
    const struct fact_database *database = &facts->database;
    bool server_wanted = strcmp(facts->scratch, "local") != 0,
         local_wanted = strcmp(facts->scratch, "server") != 0;
    bool server = database->superuser == FACT_YES || database->createdb == FACT_YES;
    const char *who = database->by_admin ? "database_admin" : "the site's account";
    if (server_wanted && server)
        verdict_set(ret, OK,
                    "A scratch database on the site's own server: %s may create databases.", who);
    else if (local_wanted && facts->tools.initdb == FACT_YES)
        verdict_set(ret, OK, "A throw-away cluster on this host: %s.%s", facts->tools.initdb_text,
                    server_wanted && database->createdb == FACT_NO
                        ? " On the server's side no account may create databases."
                        : "");
    else if ((server_wanted && database->createdb == FACT_UNKNOWN) ||
             (local_wanted && facts->tools.initdb == FACT_UNKNOWN))
        verdict_set(ret, UNKNOWN, "%s",
                    local_wanted && facts->tools.initdb_text[0] ? facts->tools.initdb_text
                                                                : why_not(facts));
    else
        verdict_set(ret, BLOCK, "No place to prove a restore (scratch: %s).%s%s%s%s%s",
                    facts->scratch, server_wanted ? " On the server: " : "",
                    server_wanted ? who : "", server_wanted ? " may not create databases." : "",
                    local_wanted ? " On this host: " : "",
                    local_wanted ? facts->tools.initdb_text : "");
}

void judge_stop_capture(const struct facts *facts, struct verdict *ret)
{
    const struct fact_database *database = &facts->database;
    if (!reached(facts) || database->copied == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s",
                    reached(facts) && database->capture_text[0] ? database->capture_text
                                                                : why_not(facts));
    else if (database->copied == FACT_YES)
        verdict_set(ret, OK, "By a copy inside the server: %s.", database->capture_text);
    else if (database->copy_insisted)
        verdict_set(ret, BLOCK,
                    "The policy wants a copy (stop_capture: copy), and none can be made: %s.",
                    database->capture_text);
    else
        verdict_set(ret, INFO, "By a dump, which the outage waits for: %s.",
                    database->capture_text);
}

void judge_sessions(const struct facts *facts, struct verdict *ret)
{
    const struct fact_database *database = &facts->database;
    unsigned long long count = database->sessions;
    if (!reached(facts))
        verdict_set(ret, UNKNOWN, "%s", why_not(facts));
    else if (database->sessions_visible != FACT_YES)
        verdict_set(ret, UNKNOWN, "The server does not show its sessions to this account.");
    else if (facts->site.processes_hidden)
        verdict_set(ret, UNKNOWN,
                    "%llu sessions are open; whether Confluence runs is not known: this account "
                    "does not see the processes of others.",
                    count);
    else if (count > 0 && facts->site.pid == 0) {
        verdict_set(ret, BLOCK, "Confluence is stopped here, and yet %llu sessions are open: %s.",
                    count, database->sessions_who);
    } else if (facts->site.pid == 0)
        verdict_set(ret, OK, "Confluence is stopped and no session is open.");
    else if (count == 0) {
        verdict_set(ret, WARN,
                    "Confluence runs here, and yet no session to its database is open: it may be "
                    "using another one.");
        ret->remedy = "Look whether confluence.cfg.xml was changed after the start.";
    } else if (database->own_addresses > 1) {
        verdict_set(ret, WARN,
                    "The site's account is connected from %llu hosts: %s. A second Confluence may "
                    "use this database.",
                    (unsigned long long)database->own_addresses, database->sessions_who);
    } else
        verdict_set(ret, INFO,
                    "%llu sessions while Confluence runs: %s. After the stop there must be none.",
                    count, database->sessions_who);
}

void judge_safety(const struct facts *facts, struct verdict *ret)
{
    const struct fact_database *database = &facts->database;
    if (!reached(facts))
        verdict_set(ret, UNKNOWN, "%s", why_not(facts));
    else if (database->safety_table == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s", database->safety_text);
    else if (database->safety_table == FACT_NO)
        verdict_set(ret, WARN,
                    "The database has no number in clustersafety, with which a second Confluence "
                    "would be noticed.");
    else
        verdict_set(
            ret, OK,
            "clustersafety is there; it is read at the stop and again before the first start.");
}

/* clang-format off */
const struct check_def checks_database[] = {
    { "database-kind", "Kind of the database",
      "Move the site to PostgreSQL first.",
      judge_database_kind, NEED_DATABASE, NULL },
    { "database-reachable", "Connection to the database",
      "Make the server of hibernate.connection.url reachable from this host with that "
      "account.",
      judge_database_reachable, NEED_DATABASE, NULL },
    { "database-rights", "Right to restore everything in the database",
      "Set database_admin (and passfile) in the agent's policy to an account that is "
      "superuser, or has CREATEDB and is member of the role that owns the database and its "
      "objects.",
      judge_database_rights, NEED_DATABASE, NULL },
    { "database-encoding", "Encoding of the database",
      "Dump the database and restore it into one created with ENCODING 'UTF8'.",
      judge_database_encoding, NEED_DATABASE, NULL },
    { "client-tools", "Client programs of PostgreSQL",
      "Install the postgresql-client package of the server's major version, up to date.",
      judge_client_tools, NEED_FILES | NEED_DATABASE, NULL },
    { "scratch", "Place to prove a restore",
      "Grant CREATEDB to the site's account, set database_admin, or install the postgresql "
      "package of the server's major version.",
      judge_scratch, NEED_FILES | NEED_DATABASE, NULL },
    { "stop-capture", "Capture of the database at the stop",
      "Grant CREATEDB to the site's account or set database_admin, make room on the server, let "
      "the account into databases named confleet_copy_… (pg_hba.conf), or set stop_capture in "
      "agent.yaml.",
      judge_stop_capture, NEED_DATABASE, NULL },
    { "sessions", "Sessions in the database",
      "Stop the other program, or point it to another database.",
      judge_sessions, NEED_PROCESSES | NEED_DATABASE, NULL },
    { "safety", "Sign of life of a second Confluence",
      "Look whether this is Confluence's own database.",
      judge_safety, NEED_DATABASE, NULL },
    { "database-version", "Version of the database server",
      "Move the database to a version that the release supports, before the upgrade.",
      judge_database_version, NEED_DATABASE | NEED_CATALOGUE,
      "Each release supports certain versions of a database." },
    { "database-collation", "Collation of the database",
      "After a change of the library: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION "
      "VERSION. Else compare with the vendor's guide for the release.",
      judge_database_collation, NEED_DATABASE,
      "The guide asks for UTF-8 with collation C." },
    { "database-extensions", "Extensions in the database",
      "",
      judge_database_extensions, NEED_DATABASE, NULL },
    { "database-size", "Size of the database",
      "",
      judge_database_size, NEED_DATABASE, NULL },
    { "long-transactions", "Transactions that are open for long",
      "Find out who holds them (pg_stat_activity, pg_prepared_xacts) and end them before the "
      "window.",
      judge_transactions, NEED_DATABASE, NULL },
    { "database-ddl", "Right of the site's account to change the schema",
      "ALTER TABLE … OWNER TO the site's account, for each; GRANT CREATE ON SCHEMA … TO it.",
      judge_database_ddl, NEED_DATABASE,
      "The account needs to create, alter and drop tables, indexes and sequences." },
    { "database-indexes", "Indexes of the database",
      "REINDEX INDEX … for each that is not valid.",
      judge_database_indexes, NEED_DATABASE, NULL },
    { "database-pool", "Size of the connection pool",
      "Set hibernate.hikari.maximumPoolSize (before 7.14: hibernate.c3p0.max_size) to 60 or more.",
      judge_database_pool, NEED_FILES,
      "Confluence's own start-up check wants 60 connections." },
    { "database-url", "Way to the database in confluence.cfg.xml",
      "Take the parameter out of hibernate.connection.url while Confluence is stopped.",
      judge_database_url, NEED_FILES,
      "Data sources are refused from 8.0 on; storage_engine in the URL is refused." },
    { "database-driver", "Driver of the database",
      "Keep one driver, of the version that the release's guide names, in WEB-INF/lib.",
      judge_database_driver, NEED_FILES,
      "Drivers for MySQL and Oracle are not shipped; jTDS is refused." },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
