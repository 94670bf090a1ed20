/* Fixtures of the family database. */
#pragma once
#include "fixtures.h"

static void db_kind_mysql(struct facts *facts)
{
    facts->site.database.kind = DATABASE_MYSQL;
}
static void db_kind_oracle(struct facts *facts)
{
    facts->site.database.kind = DATABASE_ORACLE;
}
static void db_kind_sqlserver(struct facts *facts)
{
    facts->site.database.kind = DATABASE_SQLSERVER;
}
static void db_kind_hsqldb(struct facts *facts)
{
    facts->site.database.kind = DATABASE_HSQLDB;
}
static void db_kind_of_another_home(struct facts *facts)
{
    static char url[] = "jdbc:hsqldb:/var/original/database/confluencedb;hsqldb.tx=MVCC";
    facts->site.database.kind = DATABASE_HSQLDB;
    facts->site.database.url = url;
}

static void db_hidden_processes(struct facts *facts)
{
    facts->site.pid = 0;
    facts->site.processes_hidden = true;
}

static void db_kind_unread(struct facts *facts)
{
    facts->site.database.kind = DATABASE_UNKNOWN;
    (void)snprintf(facts->site.config_why, sizeof facts->site.config_why,
                   "open /var/home/confluence.cfg.xml: Permission denied");
}

static void db_kind_jndi(struct facts *facts)
{
    facts->site.database.kind = DATABASE_JNDI;
}
static void db_kind_test_hsqldb(struct facts *facts)
{
    facts->site.database.kind = DATABASE_HSQLDB;
    facts->env = ENV_TEST;
}
static void db_kind_test_h2(struct facts *facts)
{
    facts->site.database.kind = DATABASE_H2;
    facts->env = ENV_TEST;
}
static void db_kind_none(struct facts *facts)
{
    facts->site.database.kind = DATABASE_UNKNOWN;
}
static void db_denied(struct facts *facts)
{
    facts->database.site =
        (struct fact_connect){ .tried = true, .code = FAIL_DENIED, .text = "wrong password" };
}
static void db_unreachable(struct facts *facts)
{
    facts->database = (struct fact_database){ .site = { .tried = true, .code = FAIL_UNREACHABLE } };
    (void)snprintf(facts->database.site.text, FACT_TEXT, "connection refused");
    facts->tools.server_known = false;
}
static void db_admin_denied(struct facts *facts)
{
    facts->database.admin =
        (struct fact_connect){ .tried = true, .code = FAIL_DENIED, .text = "no entry" };
}
static void db_not_asked(struct facts *facts)
{
    facts->database.site = (struct fact_connect){ .text = "kind mysql was not asked" };
}
static void db_not_owner(struct facts *facts)
{
    facts->database.owns = FACT_NO;
    (void)snprintf(facts->database.owner, sizeof facts->database.owner, "postgres");
}
static void db_foreign(struct facts *facts)
{
    facts->database.foreign = 2;
    (void)snprintf(facts->database.foreign_example, FACT_TEXT, "table public.x of other");
}
static void db_no_create(struct facts *facts)
{
    facts->database.creates = FACT_NO;
}
static void db_superuser(struct facts *facts)
{
    facts->database.superuser = FACT_YES;
}
static void db_no_rename(struct facts *facts)
{
    facts->database.renames = FACT_NO;
}
static void db_rename_unknown(struct facts *facts)
{
    facts->database.renames = FACT_UNKNOWN;
    (void)snprintf(facts->database.rights_text, FACT_TEXT, "hidden");
}
static void db_only_its_own(struct facts *facts)
{
    facts->database.elsewhere = FACT_NO;
    (void)snprintf(facts->database.elsewhere_text, FACT_TEXT, "no pg_hba.conf entry");
}
static void db_superuser_only_its_own(struct facts *facts)
{
    facts->database.superuser = FACT_YES;
    db_only_its_own(facts);
}
static void db_elsewhere_silent(struct facts *facts)
{
    facts->database.elsewhere = FACT_UNKNOWN;
    (void)snprintf(facts->database.elsewhere_text, FACT_TEXT, "does not answer");
}
static void db_rights_hidden(struct facts *facts)
{
    facts->database.foreign_known = FACT_UNKNOWN;
    (void)snprintf(facts->database.rights_text, FACT_TEXT, "hidden");
}
static void db_ascii(struct facts *facts)
{
    (void)snprintf(facts->database.encoding, sizeof facts->database.encoding, "SQL_ASCII");
}
static void db_old_tools(struct facts *facts)
{
    facts->tools.code = FAIL_UNSUPPORTED;
    (void)snprintf(facts->tools.text, FACT_TEXT, "14.3 is below");
}
static void db_no_scratch(struct facts *facts)
{
    facts->database.createdb = FACT_NO;
    (void)snprintf(facts->scratch, sizeof facts->scratch, "server");
}
static void db_no_initdb(struct facts *facts)
{
    (void)snprintf(facts->scratch, sizeof facts->scratch, "local");
    facts->tools.initdb = FACT_NO;
    (void)snprintf(facts->tools.initdb_text, FACT_TEXT, "no initdb in /x");
}
static void db_dumped(struct facts *facts)
{
    facts->database.copied = FACT_NO;
    (void)snprintf(facts->database.capture_text, sizeof facts->database.capture_text,
                   "whether there is room cannot be seen");
}

static void db_copy_insisted(struct facts *facts)
{
    facts->database.copied = FACT_NO;
    facts->database.copy_insisted = true;
    (void)snprintf(facts->database.capture_text, sizeof facts->database.capture_text,
                   "the account has no CREATEDB");
}

static void db_capture_unknown(struct facts *facts)
{
    facts->database.copied = FACT_UNKNOWN;
    (void)snprintf(facts->database.capture_text, sizeof facts->database.capture_text,
                   "the catalogue does not show it");
}

static void db_scratch_unknown(struct facts *facts)
{
    facts->database = (struct fact_database){ .site = { .tried = true, .code = FAIL_UNREACHABLE } };
    (void)snprintf(facts->database.site.text, FACT_TEXT, "connection refused");
    facts->tools.server_known = false;
    facts->tools.initdb = FACT_NO;
    (void)snprintf(facts->tools.initdb_text, FACT_TEXT, "no initdb in /x");
}
static void db_stopped(struct facts *facts)
{
    facts->site.pid = 0;
    facts->database.sessions = 0;
}
static void db_two_hosts(struct facts *facts)
{
    facts->database.own_addresses = 2;
}
static void db_no_session(struct facts *facts)
{
    facts->database.sessions = 0;
}
static void db_stopped_used(struct facts *facts)
{
    facts->site.pid = 0;
}
static void db_hidden_sessions(struct facts *facts)
{
    facts->database.sessions_visible = FACT_NO;
}
static void db_no_safety(struct facts *facts)
{
    facts->database.safety_table = FACT_NO;
}
static void db_safety_denied(struct facts *facts)
{
    facts->database.safety_table = FACT_UNKNOWN;
    (void)snprintf(facts->database.safety_text, FACT_TEXT, "denied");
}
static void db_silent(struct facts *facts)
{
    facts->schema = (struct facts_schema){ .part = { .known = FACT_YES } };
    (void)snprintf(facts->schema.why, FACT_TEXT, "connection refused");
    (void)snprintf(facts->schema.config_why, FACT_TEXT, "Permission denied");
}
static void db_late(struct facts *facts)
{
    facts->schema.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->schema.part.why, FACT_TEXT, "not found out within 60 s");
}
static void db_old_server(struct facts *facts)
{
    facts->schema.server_version = 120022;
}
static void db_other_servers(struct facts *facts)
{
    (void)snprintf(facts->source->target.postgresql, 64, "13,16-17");
}
static void db_no_platforms(struct facts *facts)
{
    facts->source->target.postgresql[0] = 0;
}
static void db_odd_platforms(struct facts *facts)
{
    (void)snprintf(facts->source->target.postgresql, 64, "all of them");
}
static void db_moved(struct facts *facts)
{
    (void)snprintf(facts->schema.collation_moved, FACT_TEXT, "2.31, now 2.36");
}
static void db_english(struct facts *facts)
{
    (void)snprintf(facts->schema.collate, 64, "en_US.UTF-8");
}
static void db_extensions(struct facts *facts)
{
    (void)snprintf(facts->schema.extensions, FACT_TEXT, "pg_trgm 1.6");
}
static void db_old_transaction(struct facts *facts)
{
    facts->schema.old_transactions = 1;
    (void)snprintf(facts->schema.old_transaction, FACT_TEXT, "psql of bob");
}
static void db_prepared(struct facts *facts)
{
    facts->schema.prepared = 2;
}
static void db_hidden_transactions(struct facts *facts)
{
    facts->schema.transactions_known = FACT_UNKNOWN;
}
static void db_ddl_foreign(struct facts *facts)
{
    facts->schema.ddl_foreign = 3;
    (void)snprintf(facts->schema.ddl_example, 256, "content of postgres");
}
static void db_ddl_no_create(struct facts *facts)
{
    facts->schema.ddl_create = FACT_NO;
}
static void db_broken_index(struct facts *facts)
{
    facts->schema.indexes_broken = 1;
    (void)snprintf(facts->schema.index_example, 256, "c_idx on content");
}
static void db_small_pool(struct facts *facts)
{
    facts->schema.pool_max = 30;
}
static void db_no_pool(struct facts *facts)
{
    facts->schema.pool_max = 0;
}
static void db_odd_pool(struct facts *facts)
{
    (void)snprintf(facts->schema.pool_text, 128, "many");
}
static void db_datasource_pool(struct facts *facts)
{
    facts->schema.datasource = true;
}
static void db_datasource_new(struct facts *facts)
{
    facts->schema.datasource = true;
    facts->site.database.kind = DATABASE_JNDI;
}
static void db_datasource_old(struct facts *facts)
{
    facts->schema.datasource = true;
    (void)snprintf(facts->target_version, sizeof facts->target_version, "7.19.9");
}
static void db_engine(struct facts *facts)
{
    facts->schema.storage_engine = true;
}
static void db_jtds(struct facts *facts)
{
    (void)snprintf(facts->schema.driver, 128, "net.sourceforge.jtds.jdbc.Driver");
}
static void db_no_driver(struct facts *facts)
{
    facts->schema.driver_jar[0] = 0;
}
static void db_two_drivers(struct facts *facts)
{
    (void)snprintf(facts->schema.driver_jar, FACT_TEXT, "postgresql-9.2.jar, postgresql-42.jar");
}
static void db_mysql_driver(struct facts *facts)
{
    facts->site.database.kind = DATABASE_MYSQL;
    (void)snprintf(facts->schema.driver_jar, FACT_TEXT, "mysql-connector-java-5.1.7.jar");
}
static void db_hidden_jars(struct facts *facts)
{
    facts->schema.driver_jar_known = FACT_UNKNOWN;
}

static const struct fixture fixtures_database[] = {
    { "database-kind", OK, NULL, "db:5432/conf" },
    { "database-kind", BLOCK, db_kind_mysql, "not supported yet" },
    { "database-kind", BLOCK, db_kind_oracle, "oracle" },
    { "database-kind", BLOCK, db_kind_sqlserver, "sqlserver" },
    { "database-kind", BLOCK, db_kind_hsqldb, "trials" },
    { "database-kind", BLOCK, db_kind_of_another_home, "/var/original/database/confluencedb. A" },
    { "database-kind", BLOCK, db_kind_jndi, "data source" },
    { "database-kind", WARN, db_kind_test_hsqldb, "trials" },
    { "database-kind", WARN, db_kind_test_h2, "trials" },
    { "database-kind", UNKNOWN, db_kind_unread, "Permission denied" },
    { "database-kind", UNKNOWN, db_kind_none, "no database" },
    { "database-reachable", OK, NULL, "15.20" },
    { "database-reachable", BLOCK, db_denied, "wrong password" },
    { "database-reachable", BLOCK, db_unreachable, "connection refused" },
    { "database-reachable", BLOCK, db_admin_denied, "database_admin" },
    { "database-reachable", UNKNOWN, db_not_asked, "mysql" },
    { "database-rights", OK, NULL, "owns the database" },
    { "database-rights", BLOCK, db_not_owner, "postgres" },
    { "database-rights", BLOCK, db_foreign, "table public.x of other" },
    { "database-rights", BLOCK, db_no_create, "create tables" },
    { "database-rights", BLOCK, db_no_rename, "account conf cannot take a failed upgrade back" },
    { "database-rights", BLOCK, db_only_its_own, "no pg_hba.conf entry" },
    { "database-rights", BLOCK, db_superuser_only_its_own, "neither database postgres nor" },
    { "database-rights", UNKNOWN, db_rename_unknown, "hidden" },
    { "database-rights", UNKNOWN, db_elsewhere_silent, "does not answer" },
    { "database-rights", INFO, db_superuser, "runs with its rights" },
    { "database-rights", UNKNOWN, db_rights_hidden, "hidden" },
    { "database-rights", UNKNOWN, db_unreachable, "connection refused" },
    { "database-encoding", OK, NULL, "UTF8" },
    { "database-encoding", BLOCK, db_ascii, "SQL_ASCII" },
    { "database-encoding", UNKNOWN, db_unreachable, "connection refused" },
    { "client-tools", OK, NULL, "15.20" },
    { "client-tools", BLOCK, db_old_tools, "14.3 is below" },
    { "client-tools", UNKNOWN, db_unreachable, "connection refused" },
    { "scratch", OK, NULL, "site's own server" },
    { "scratch", BLOCK, db_no_scratch, "may not create databases" },
    { "scratch", BLOCK, db_no_initdb, "no initdb in /x" },
    { "scratch", UNKNOWN, db_scratch_unknown, "no initdb" },
    { "stop-capture", OK, NULL, "copy inside the server" },
    { "stop-capture", INFO, db_dumped, "cannot be seen" },
    { "stop-capture", BLOCK, db_copy_insisted, "CREATEDB" },
    { "stop-capture", UNKNOWN, db_capture_unknown, "does not show" },
    { "sessions", OK, db_stopped, "stopped" },
    { "sessions", INFO, NULL, "3 sessions" },
    { "sessions", WARN, db_two_hosts, "second Confluence" },
    { "sessions", WARN, db_no_session, "another one" },
    { "sessions", BLOCK, db_stopped_used, "3 sessions" },
    { "sessions", UNKNOWN, db_hidden_processes, "does not see" },
    { "sessions", UNKNOWN, db_hidden_sessions, "does not show" },
    { "safety", OK, NULL, "clustersafety" },
    { "safety", WARN, db_no_safety, "no number" },
    { "safety", UNKNOWN, db_safety_denied, "denied" },
    { "database-version", UNKNOWN, db_silent, "connection refused" },
    { "database-version", UNKNOWN, db_late, "within 60 s" },
    { "database-version", OK, NULL, "supports 13-16" },
    { "database-version", BLOCK, db_old_server, "12.22" },
    { "database-version", BLOCK, db_other_servers, "13,16-17" },
    { "database-version", UNKNOWN, db_no_platforms, "not in the catalogue" },
    { "database-version", UNKNOWN, db_odd_platforms, "not in the catalogue" },
    { "database-collation", UNKNOWN, db_silent, "connection refused" },
    { "database-collation", OK, NULL, "Collation C" },
    { "database-collation", WARN, db_moved, "2.31, now 2.36" },
    { "database-collation", UNKNOWN, db_english, "not published" },
    { "database-extensions", UNKNOWN, db_silent, "connection refused" },
    { "database-extensions", OK, NULL, "None" },
    { "database-extensions", INFO, db_extensions, "pg_trgm 1.6" },
    { "database-size", UNKNOWN, db_silent, "connection refused" },
    { "database-size", UNKNOWN, db_late, "within 60 s" },
    { "database-size", INFO, NULL, "107 tables" },
    { "database-ddl", UNKNOWN, db_silent, "connection refused" },
    { "database-ddl", UNKNOWN, db_late, "within 60 s" },
    { "database-ddl", OK, NULL, "change every one" },
    { "database-ddl", BLOCK, db_ddl_foreign, "content of postgres" },
    { "database-ddl", BLOCK, db_ddl_no_create, "may not create" },
    { "database-indexes", UNKNOWN, db_silent, "connection refused" },
    { "database-indexes", OK, NULL, "All are valid" },
    { "database-indexes", WARN, db_broken_index, "c_idx on content" },
    { "database-pool", UNKNOWN, db_silent, "Permission denied" },
    { "database-pool", UNKNOWN, db_late, "within 60 s" },
    { "database-pool", OK, NULL, "60 connections" },
    { "database-pool", WARN, db_small_pool, "30 connections" },
    { "database-pool", WARN, db_no_pool, "sets no largest" },
    { "database-pool", WARN, db_odd_pool, "'many'" },
    { "database-pool", UNKNOWN, db_datasource_pool, "data source" },
    { "database-url", UNKNOWN, db_silent, "Permission denied" },
    { "database-url", OK, NULL, "Nothing" },
    { "database-url", BLOCK, db_datasource_new, "from 8.0 on" },
    { "database-url", WARN, db_datasource_old, "later refuse" },
    { "database-url", BLOCK, db_engine, "storage_engine" },
    { "database-driver", UNKNOWN, db_silent, "Permission denied" },
    { "database-driver", OK, NULL, "postgresql-42.7.jar" },
    { "database-driver", BLOCK, db_jtds, "jTDS" },
    { "database-driver", WARN, db_no_driver, "No driver" },
    { "database-driver", WARN, db_two_drivers, "more than one" },
    { "database-driver", WARN, db_mysql_driver, "carried over" },
    { "database-driver", UNKNOWN, db_hidden_jars, "cannot be listed" },
    { "long-transactions", UNKNOWN, db_late, "within 60 s" },
    { "long-transactions", OK, NULL, "None is open" },
    { "long-transactions", WARN, db_old_transaction, "psql of bob" },
    { "long-transactions", WARN, db_prepared, "prepared" },
    { "long-transactions", UNKNOWN, db_hidden_transactions, "does not show" },
    { NULL, OK, NULL, NULL },
};
