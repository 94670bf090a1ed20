/* cluster - a throw-away PostgreSQL for the tests of one program: unix socket and loopback, stopped
 * at the program's end. Tests skip and say so where there are no server programs or no unprivileged
 * user to run them. */
#pragma once
#include "agent/worker/backup/reach.h"
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER_BIN "/usr/lib/postgresql/15/bin"

static struct cluster {
    struct proc_child child;
    pid_t owner;
    char dir[128], admin[256];
    int port;
    struct database site;
} cluster;

__attribute__((destructor)) static void cluster_stop(void)
{
    int status = 0, sig = 0;
    struct err err = { 0 };
    if (cluster.child.pid <= 0 || cluster.owner != getpid())
        return;
    struct pollfd one = { cluster.child.pidfd, POLLIN, 0 };
    proc_kill(&cluster.child, SIGQUIT);
    (void)poll(&one, 1, 10000);
    if (proc_reap(&cluster.child, &status, &sig, &err) != 0)
        print_error("%s\n", err.text);
    proc_child_close(&cluster.child);
    if (fs_remove_tree(cluster.dir, &err) != 0)
        print_error("%s\n", err.text);
}

static inline void cluster_sql(const char *user, const char *dbname, const char *sql)
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_result_free) PGresult *result = NULL;
    char admin[256];
    (void)snprintf(admin, sizeof admin, "host=%s port=%d user=%s", cluster.dir, cluster.port, user);
    CHECK_OK(database_connect(&cluster.site, dbname, admin, NULL, 300, &conn, &err), err);
    CHECK_OK(database_do(conn, "SET search_path = public", &err), err);
    result = PQexec(conn, sql); /* several statements at once */
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        print_error("%s\n%.80s\n", PQresultErrorMessage(result), sql);
    CHECK(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK);
}

/* One value as text; "" for none. */
static inline const char *cluster_ask(const char *dbname, const char *sql)
{
    static char answer[8192];
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_result_free) PGresult *result = NULL;
    CHECK_OK(database_connect(&cluster.site, dbname, cluster.admin, NULL, 300, &conn, &err), err);
    CHECK_OK(database_query(conn, sql, 0, NULL, &result, &err), err);
    (void)snprintf(answer, sizeof answer, "%s",
                   PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    return answer;
}

static inline bool cluster_start(void)
{
    struct err err = { 0 };
    struct proc_result result = { 0 };
    const struct passwd *pw = getpwnam("postgres");
    if (cluster.child.pid > 0)
        return true;
    if (access(CLUSTER_BIN "/initdb", X_OK) != 0 || (geteuid() == 0 && !pw))
        return false;
    const char *base = getenv("TMPDIR");
    (void)snprintf(cluster.dir, sizeof cluster.dir, "%.60s/confleet-pg-XXXXXX",
                   base && base[0] == '/' ? base : "/tmp");
    CHECK(mkdtemp(cluster.dir) != NULL);
    cluster.owner = getpid();
    bool root = geteuid() == 0;
    if (root)
        CHECK_INT(chown(cluster.dir, pw->pw_uid, pw->pw_gid), 0);
    CLEANUP(free_mem) char *data = fs_join(cluster.dir, "data"), *log = fs_join(cluster.dir, "log");
    const char *init[] = { CLUSTER_BIN "/initdb",
                           "-D",
                           data,
                           "-U",
                           "postgres",
                           "--auth-local=trust",
                           "--auth-host=scram-sha-256",
                           "--encoding=UTF8",
                           "--locale=C.UTF-8",
                           "--no-sync",
                           NULL };
    struct proc_spec spec = { .argv = init,
                              .timeout_ms = 60000,
                              .as_user = root,
                              .uid = pw ? pw->pw_uid : 0,
                              .gid = pw ? pw->pw_gid : 0 };
    CHECK_OK(proc_run_ok(&spec, &result, &err), err);
    proc_result_free(&result);
    char port[8];
    cluster.port = test_free_port();
    (void)snprintf(port, sizeof port, "%d", cluster.port);
    const char *run[] = {
        CLUSTER_BIN "/postgres",      "-D", data,        "-k", cluster.dir, "-p", port, "-c",
        "listen_addresses=127.0.0.1", "-c", "fsync=off", NULL
    };
    spec.argv = run;
    spec.timeout_ms = 0;
    spec.out_path = log;
    CHECK_OK(proc_start(&spec, &cluster.child, &err), err);
    (void)snprintf(cluster.admin, sizeof cluster.admin, "host=%s port=%d user=postgres",
                   cluster.dir, cluster.port);
    cluster.site = (struct database){ .kind = DATABASE_POSTGRESQL, .name = "wiki", .user = "conf" };
    (void)snprintf(cluster.site.port, sizeof cluster.site.port, "%d", cluster.port);
    (void)snprintf(cluster.site.host, sizeof cluster.site.host, "%s", cluster.dir);
    for (int64_t end = clock_mono_ms() + 30000; clock_mono_ms() < end; (void)poll(NULL, 0, 20)) {
        CLEANUP(database_close) PGconn *conn = NULL;
        err_clear(&err);
        if (database_connect(&cluster.site, "postgres", cluster.admin, NULL, 5, &conn, &err) == 0)
            return true;
    }
    print_error("%s\n", err.text);
    return false;
}

/* A database with everything that a simple dump and restore tends to lose. */
static inline void cluster_odd_database(void)
{
    cluster_sql("postgres", "postgres", "DROP DATABASE IF EXISTS wiki WITH (FORCE)");
    cluster_sql("postgres", "postgres",
                "DROP DATABASE IF EXISTS wiki_confleet_failed WITH (FORCE)");
    cluster_sql("postgres", "postgres",
                "DO $$BEGIN CREATE ROLE conf LOGIN CREATEDB PASSWORD 'pa:ss\\w'; CREATE ROLE "
                "other; CREATE ROLE \"odd Role\"; "
                "GRANT other TO conf; GRANT \"odd Role\" TO conf; EXCEPTION WHEN duplicate_object "
                "THEN END$$");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER conf TEMPLATE template0");
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki SET work_mem = '5MB'");
    cluster_sql("postgres", "postgres",
                "ALTER ROLE conf IN DATABASE wiki SET lock_timeout = '77s'");
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki CONNECTION LIMIT 42");
    cluster_sql("postgres", "postgres", "COMMENT ON DATABASE wiki IS 'the wiki''s own'");
    cluster_sql(
        "postgres", "wiki",
        "REVOKE CONNECT ON DATABASE wiki FROM PUBLIC; GRANT CONNECT ON DATABASE wiki TO other");
    cluster_sql("conf", "wiki",
                "GRANT CREATE ON SCHEMA public TO other, \"odd Role\"; CREATE TABLE content (id "
                "bigint PRIMARY KEY, t text, body bytea, at timestamptz DEFAULT now()); "
                "INSERT INTO content SELECT i, 'page ' || i, decode(md5(i::text), 'hex') FROM "
                "generate_series(1, 5000) i; "
                "CREATE TABLE confversion (confversionid bigint, buildnumber int); INSERT INTO "
                "confversion VALUES (1, 7103); "
                "CREATE TABLE empty (); CREATE SCHEMA \"Second \"\"one\"; "
                "CREATE TABLE \"Second \"\"one\".\"Tab le\" (confleet_row_ int, x json); INSERT "
                "INTO \"Second \"\"one\".\"Tab le\" VALUES (1, '{\"a\": 1}'), (NULL, NULL); "
                "CREATE SEQUENCE s START 5 INCREMENT -3 MINVALUE -1000 MAXVALUE 10; SELECT "
                "nextval('s'), nextval('s'); CREATE SEQUENCE unused; "
                "CREATE VIEW v AS SELECT id FROM content WHERE t = ANY (ARRAY['a'::varchar, "
                "'b'::varchar]::text[]); GRANT SELECT ON v TO other; "
                "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'; REVOKE "
                "EXECUTE ON FUNCTION f(int) FROM PUBLIC; "
                "CREATE TABLE theirs (a text CHECK (a IN ('x', 'y'))); ALTER TABLE theirs OWNER TO "
                "other; GRANT ALL ON theirs TO conf; "
                "ALTER TABLE empty OWNER TO \"odd Role\"; CREATE INDEX ON content (t); "
                "SELECT lo_from_bytea(4711, 'a large object'); SELECT lo_from_bytea(4712, "
                "'\\xdeadbeef'); GRANT SELECT ON LARGE OBJECT 4711 TO other; "
                "CREATE TABLE parts (k int) PARTITION BY RANGE (k); CREATE TABLE parts1 PARTITION "
                "OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (3)");
}
