/* database - how to reach a site's database, and one connection to it.
 *
 * Parameters come from confluence.cfg.xml (a JDBC URL, user, password). Connections are made with
 * keyword arrays, PG* variables cleared, search_path pg_catalog, a time limit on every statement;
 * the password reaches libpq in memory and child programs by a 0600 passfile. PostgreSQL only:
 * other kinds are recognised and refused by name. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <libpq-fe.h>
#include <stdint.h>

enum database_kind {
    DATABASE_UNKNOWN,
    DATABASE_POSTGRESQL,
    DATABASE_MYSQL,
    DATABASE_SQLSERVER,
    DATABASE_ORACLE,
    DATABASE_HSQLDB,
    DATABASE_H2,
    DATABASE_JNDI
};
struct database {
    enum database_kind kind;
    char host[256], name[128], user[128];
    char port[8];
    char *password; /* NULL: none or not usable as text (then password_note says why) */
    char password_note[128];
    char *url;                      /* as configured, owned; may hold a password: never logged */
    char *ssl_mode, *ssl_root_cert; /* from the URL's parameters, may be NULL */
    char schema[128]; /* currentSchema of the URL, "" for the server's own search path */
    int connect_limit_ms; /* 0: 15 s; a server with hundreds of sites at work takes its time */
    int given_up_code; /* not zero: it could not be reached a moment ago, and is not tried again */
    char given_up[512];
};
const char *database_kind_name(enum database_kind kind);
int database_parse_url(const char *jdbc_url, struct database *ret, struct err *err) MUST_USE;
void database_free(struct database *database);

/* FAIL_DENIED: wrong password or no right to log in; FAIL_NOT_FOUND: no such database;
 * FAIL_UNREACHABLE and FAIL_TIMEOUT: no server there; FAIL_UNSUPPORTED: no PostgreSQL. The texts
 * never hold a password. Connects to database->name, or to dbname when not NULL. admin_conninfo
 * (local policy) replaces account and host when not NULL. */
int database_connect(const struct database *database, const char *dbname_or_null,
                     const char *admin_conninfo_or_null, const char *admin_passfile_or_null,
                     int statement_timeout_s, PGconn **ret, struct err *err) MUST_USE;
void database_close(PGconn **conn);           /* fits CLEANUP() */
void database_result_free(PGresult **result); /* fits CLEANUP() */
/* Of what PQescape…() made; fits CLEANUP(). */
static inline void pq_drop(char **text)
{
    if (*text)
        PQfreemem(*text);
    *text = NULL;
}
/* Runs sql with text parameters; FAIL_DATABASE with the server's primary message and SQLSTATE
 * (never the parameters). */
int database_query(PGconn *conn, const char *sql, int count, const char *const *values,
                   PGresult **ret, struct err *err) MUST_USE;
int database_do(PGconn *conn, const char *sql, struct err *err) MUST_USE;
int database_u64(PGconn *conn, const char *sql, uint64_t *ret, bool *ret_found,
                 struct err *err) MUST_USE;
/* A passfile for child programs: DIR/pgpass, 0600, one line for this host, port and user, every
 * database. */
int database_passfile(const struct database *database, const char *dir, char **ret_path,
                      struct err *err) MUST_USE;
/* PGHOST, PGPORT, PGUSER, PGPASSFILE, PGSSLMODE … for a child; owned, ended by NULL. */
char **database_child_env(const struct database *database, const char *dbname,
                          const char *passfile);
void database_child_env_free(char ***env);
/* Newest client programs on this server: the folder, and the version as 150020. Refused
 * (FAIL_UNSUPPORTED) below the versions that are safe against CVE-2026-116314
 * (15.20, 16.16, 17.12, 18.7) or older than the server. */
int database_tools(const char *pg_bin_or_empty, int server_version, char **ret_dir,
                   int *ret_version, struct err *err) MUST_USE;
/* The schema that holds a table of the site, such as confversion: the URL's, else the account's
 * own, else public. FAIL_NOT_FOUND. */
int database_schema(PGconn *conn, const char *table, char **ret_schema, struct err *err) MUST_USE;
/* Where the database is, without user or password: host:port/name, or the kind. */
const char *database_where(const struct database *database, char *out, size_t size);
/* One number for clustersafety, max(confversion.buildnumber) and other sessions of this database.
 */
int database_build(PGconn *conn, uint32_t *ret_build, struct err *err) MUST_USE;
/* The highest build that a row of confversion is tagged as locked for; zero: none (facts 4.1). */
int database_upgrade_lock(PGconn *conn, uint32_t *ret_build, struct err *err) MUST_USE;
int database_safety_number(PGconn *conn, int64_t *ret, bool *ret_found, struct err *err) MUST_USE;
int database_sessions(PGconn *conn, uint64_t *ret_others, bool *ret_visible, struct str *ret_who,
                      struct err *err) MUST_USE;
