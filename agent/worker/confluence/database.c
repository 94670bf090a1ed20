#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_LIMIT_MS 15000
#define KEYWORDS_MAX     64
/* Named so that libpq does not look for ~/.pgpass, and not there. */
#define NO_PASSFILE "/nonexistent/confleet-no-passfile"

struct keywords {
    const char *names[KEYWORDS_MAX], *values[KEYWORDS_MAX];
    int count;
};

static void keyword(struct keywords *keywords, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    for (int i = 0; i < keywords->count; i++)
        if (strcmp(keywords->names[i], name) == 0) {
            keywords->values[i] = value;
            return;
        }
    assert(keywords->count < KEYWORDS_MAX - 1);
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count++] = value;
}

/* libpq fills what no keyword names from PG* variables; a variable of some login shell must not
 * redirect us. */
static void clear_environment(void)
{
    extern char **environ;
    for (size_t i = 0; environ && environ[i];) {
        char name[128];
        size_t len = strcspn(environ[i], "=");
        if (strncmp(environ[i], "PG", 2) != 0 || len >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], len);
        name[len] = 0;
        if (unsetenv(name) != 0)
            i++;
        else
            i = 0;
    }
}

/* In libpq's options a blank or backslash is escaped by a backslash. */
static void add_option_value(struct str *options, const char *value)
{
    for (; *value; value++) {
        if (*value == ' ' || *value == '\\')
            str_add(options, "\\");
        str_add_bytes(options, value, 1);
    }
}

static int add_admin(struct keywords *keywords, PQconninfoOption *admin, const char *passfile,
                     struct err *err)
{
    for (PQconninfoOption *option = admin; option->keyword; option++) {
        if (!option->val)
            continue;
        if (strcmp(option->keyword, "password") == 0)
            return err_set(err, FAIL_USAGE,
                           "database_admin holds a password; put it into the passfile");
        if (strcmp(option->keyword, "service") == 0 || strcmp(option->keyword, "dbname") == 0 ||
            strcmp(option->keyword, "options") == 0)
            continue;
        keyword(keywords, option->keyword, option->val);
    }
    keyword(keywords, "passfile", passfile);
    return 0;
}

/* With errors told verbosely the SQLSTATE comes along: the words alone are in the server's own
 * language. */
static bool state_of(const char *message, char out[6])
{
    for (const char *at = strstr(message, ": "); at; at = strstr(at + 2, ": ")) {
        const char *state = at + 2 + strspn(at + 2, " ");
        /* FATAL has five letters too; a state holds a digit. */
        if (strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 || state[5] != ':' ||
            strcspn(state, "0123456789") > 4)
            continue;
        memcpy(out, state, 5);
        out[5] = 0;
        return true;
    }
    return false;
}

/* The first line, which is the one that says what was wrong; others may be hints for another
 * address of the host. */
static void first_line(char *out, size_t size, const char *message)
{
    size_t len = strcspn(message, "\n");
    len = len < size ? len : size - 1;
    memcpy(out, message, len);
    out[len] = 0;
    if (!text_is_utf8(out, len))
        (void)snprintf(out, size, "(the server's words are in no known encoding)");
}

static int connect_failure(PGconn *conn, const char *where, const char *user, struct err *err)
{
    char line[400], state[6] = "";
    const char *message = PQerrorMessage(conn);
    first_line(line, sizeof line, message);
    if (!state_of(message, state))
        return err_set(err, FAIL_UNREACHABLE, "database %s cannot be reached: %s", where, line);
    if (strcmp(state, "28P01") == 0)
        return err_set(err, FAIL_DENIED,
                       "database %s refuses user '%s': wrong password (SQLSTATE %s)", where, user,
                       state);
    if (strncmp(state, "28", 2) == 0)
        return err_set(err, FAIL_DENIED, "database %s refuses user '%s': %s", where, user, line);
    if (strcmp(state, "3D000") == 0)
        return err_set(err, FAIL_NOT_FOUND, "database %s does not exist (SQLSTATE %s)", where,
                       state);
    if (strncmp(state, "57P", 3) == 0 || strncmp(state, "53", 2) == 0)
        return err_set(err, FAIL_UNREACHABLE, "database %s takes no connections: %s", where, line);
    return err_set(err, FAIL_DATABASE, "database %s: %s", where, line);
}

/* What a connection is made of, beside libpq's keywords. */
struct aim {
    const char *where, *user;
    int limit_ms;
};

static int wait_connected(PGconn *conn, const struct aim *aim, struct err *err)
{
    int64_t start_ms = clock_mono_ms(), deadline = start_ms + aim->limit_ms;
    char waited[24];
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED)
            return connect_failure(conn, aim->where, aim->user, err);
        int64_t left = deadline - clock_mono_ms();
        struct pollfd item = { .fd = PQsocket(conn),
                               .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        int ready = left > 0 ? poll(&item, 1, (int)left) : 0;
        if (ready < 0 && errno != EINTR)
            return err_sys(err, FAIL_IO, errno, "wait for database %s", aim->where);
        if (ready == 0)
            return err_set(err, FAIL_TIMEOUT, "database %s does not answer: waited %s for it",
                           aim->where, text_duration(clock_mono_ms() - start_ms, waited));
        if (ready > 0)
            status = PQconnectPoll(conn);
    }
    return 0;
}

static void quiet(void *arg, const char *message)
{
    (void)arg, (void)message; /* notices go to no log: they may quote values */
}

/* Statements over the catalogues look dear where a server has many databases, roles and sessions:
 * then each new session would load the compiler, which takes longer than the statement. */
static int jit_off(PGconn *conn, struct err *err)
{
    return PQserverVersion(conn) < 110000 ? 0 : database_do(conn, "SET jit = off", err);
}

static int start(const struct keywords *keywords, const struct aim *aim, PGconn **ret,
                 struct err *err)
{
    CLEANUP(database_close)
    PGconn *conn = PQconnectStartParams(keywords->names, keywords->values, 0);
    if (!conn)
        return err_set(err, FAIL_MEMORY, "no memory for a database connection");
    (void)PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    (void)PQsetNoticeProcessor(conn, quiet, NULL);
    if (PQstatus(conn) == CONNECTION_BAD)
        return connect_failure(conn, aim->where, aim->user, err);
    int result = wait_connected(conn, aim, err);
    if (result != 0)
        return result;
    if (PQsetnonblocking(conn, 0) != 0)
        return err_set(err, FAIL_DATABASE, "database %s: %s", aim->where, PQerrorMessage(conn));
    result = jit_off(conn, err);
    if (result != 0)
        return err_wrap(err, "database %s", aim->where);
    *ret = TAKE(conn);
    return 0;
}

static inline void conninfo_drop(PQconninfoOption **options)
{
    if (*options)
        PQconninfoFree(*options);
    *options = NULL;
}

int database_connect(const struct database *database, const char *dbname_or_null,
                     const char *admin_conninfo_or_null, const char *admin_passfile_or_null,
                     int statement_timeout_s, PGconn **ret, struct err *err)
{
    if (database->kind != DATABASE_POSTGRESQL)
        return err_set(err, FAIL_UNSUPPORTED,
                       "a database of kind %s is not supported; PostgreSQL is",
                       database_kind_name(database->kind));
    if (database->given_up_code && !admin_conninfo_or_null)
        return err_set(err, (enum fail)database->given_up_code, "%s", database->given_up);
    clear_environment();
    CLEANUP(str_free) struct str options = { 0 };
    str_addf(&options,
             "-csearch_path=pg_catalog -cstatement_timeout=%ds -clock_timeout=%ds "
             "-cidle_in_transaction_session_timeout=0",
             statement_timeout_s, statement_timeout_s);
    if (database->user[0]) {
        str_add(&options, " -cconfleet.user=");
        add_option_value(&options, database->user);
    }
    if (database->schema[0]) {
        str_add(&options, " -cconfleet.schema=");
        add_option_value(&options, database->schema);
    }
    bool admin = admin_conninfo_or_null && *admin_conninfo_or_null;
    struct keywords keywords = { 0 };
    keyword(&keywords, "host", database->host);
    keyword(&keywords, "port", database->port);
    keyword(&keywords, "user", database->user);
    keyword(&keywords, "password", admin ? NULL : database->password);
    keyword(&keywords, "passfile", NO_PASSFILE);
    keyword(&keywords, "sslmode", database->ssl_mode ? database->ssl_mode : "prefer");
    keyword(&keywords, "sslrootcert", database->ssl_root_cert);
    keyword(&keywords, "gssencmode", "disable");
    keyword(&keywords, "client_encoding", "UTF8");
    keyword(&keywords, "fallback_application_name", "confleet");
    keyword(&keywords, "keepalives_idle", "30");
    keyword(&keywords, "tcp_user_timeout", "60000");
    CLEANUP(conninfo_drop) PQconninfoOption *parsed = NULL;
    if (admin) {
        char *message = NULL;
        parsed = PQconninfoParse(admin_conninfo_or_null, &message);
        PQfreemem(message); /* quotes the text, so it is not told */
        if (!parsed)
            return err_set(err, FAIL_USAGE,
                           "database_admin is not a libpq connection text (keyword=value …)");
        int result = add_admin(&keywords, parsed, admin_passfile_or_null, err);
        if (result != 0)
            return result;
    }
    keyword(&keywords, "dbname", dbname_or_null ? dbname_or_null : database->name);
    keyword(&keywords, "options", options.s);
    const char *user = "", *host = "", *port = "";
    for (int i = 0; i < keywords.count; i++) {
        user = strcmp(keywords.names[i], "user") == 0 ? keywords.values[i] : user;
        host = strcmp(keywords.names[i], "host") == 0 ? keywords.values[i] : host;
        port = strcmp(keywords.names[i], "port") == 0 ? keywords.values[i] : port;
    }
    CLEANUP(free_mem)
    char *where =
        text_printf("%s:%s/%s", host, port, dbname_or_null ? dbname_or_null : database->name);
    struct aim aim = { where, user, database->connect_limit_ms };
    if (aim.limit_ms == 0)
        aim.limit_ms = CONNECT_LIMIT_MS;
    return start(&keywords, &aim, ret, err);
}

void database_close(PGconn **conn)
{
    if (*conn)
        PQfinish(*conn);
    *conn = NULL;
}

void database_result_free(PGresult **result)
{
    if (*result)
        PQclear(*result);
    *result = NULL;
}

int database_query(PGconn *conn, const char *sql, int count, const char *const *values,
                   PGresult **ret, struct err *err)
{
    CLEANUP(database_result_free)
    PGresult *result = PQexecParams(conn, sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = result ? PQresultStatus(result) : PGRES_FATAL_ERROR;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret = TAKE(result);
        return 0;
    }
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    char line[400];
    first_line(line, sizeof line, message ? message : PQerrorMessage(conn));
    if (!state)
        return err_set(err, PQstatus(conn) == CONNECTION_BAD ? FAIL_UNREACHABLE : FAIL_DATABASE,
                       "the database connection broke: %s", line);
    return err_set(err, FAIL_DATABASE, "PostgreSQL says: %s (SQLSTATE %s)", line, state);
}

int database_do(PGconn *conn, const char *sql, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    return database_query(conn, sql, 0, NULL, &result, err);
}

int database_u64(PGconn *conn, const char *sql, uint64_t *ret, bool *ret_found, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = NULL;
    int failed = database_query(conn, sql, 0, NULL, &result, err);
    if (failed != 0)
        return failed;
    if (PQntuples(result) == 0 || PQnfields(result) == 0 || PQgetisnull(result, 0, 0)) {
        *ret_found = false;
        return 0;
    }
    uint64_t value = 0;
    if (!text_parse_u64(PQgetvalue(result, 0, 0), UINT64_MAX, &value))
        return err_set(err, FAIL_DATABASE,
                       "PostgreSQL answered '%.40s' where a number was asked for",
                       PQgetvalue(result, 0, 0));
    *ret = value;
    *ret_found = true;
    return 0;
}
