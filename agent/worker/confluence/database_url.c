/* The JDBC URL of a site, taken apart. */
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX 4096

static const struct {
    enum database_kind kind;
    const char *name, *scheme;
} kinds[] = {
    { DATABASE_POSTGRESQL, "postgresql", "jdbc:postgresql:" },
    { DATABASE_MYSQL, "mysql", "jdbc:mysql:" },
    { DATABASE_MYSQL, "mysql", "jdbc:mariadb:" },
    { DATABASE_SQLSERVER, "sqlserver", "jdbc:sqlserver:" },
    { DATABASE_SQLSERVER, "sqlserver", "jdbc:jtds:sqlserver:" },
    { DATABASE_ORACLE, "oracle", "jdbc:oracle:" },
    { DATABASE_HSQLDB, "hsqldb", "jdbc:hsqldb:" },
    { DATABASE_H2, "h2", "jdbc:h2:" },
    { DATABASE_JNDI, "jndi", "java:" },
};

const char *database_kind_name(enum database_kind kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "unknown";
}

/* Percent escapes only: the driver keeps a plus sign as it is in the path. */
static bool decode(const char *text, size_t len, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            char hex[3] = { i + 2 < len ? text[i + 1] : '\0', i + 2 < len ? text[i + 2] : '\0',
                            '\0' };
            char *end = NULL;
            long value = strtol(hex, &end, 16);
            if (end != hex + 2 || value <= 0)
                return false;
            c = (char)value;
            i += 2;
        }
        if (used + 1 >= size)
            return false;
        out[used++] = c;
    }
    out[used] = 0;
    return true;
}

static int parse_host(const char *text, size_t len, struct database *database, struct err *err)
{
    if (memchr(text, ',', len))
        return err_set(err, FAIL_UNSUPPORTED,
                       "the database URL names several hosts; one server is supported");
    const char *port = NULL, *end = text + len;
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (!close)
            return err_set(err, FAIL_CORRUPT,
                           "the database URL has an address without its closing bracket");
        port = close + 1 < end && close[1] == ':' ? close + 1 : NULL;
        text++;
        len = (size_t)(close - text);
    } else if ((port = memchr(text, ':', len)) != NULL) {
        len = (size_t)(port - text);
    }
    if (!decode(text, len, database->host, sizeof database->host))
        return err_set(err, FAIL_CORRUPT, "the database URL names a host that cannot be read");
    if (!database->host[0])
        (void)snprintf(database->host, sizeof database->host, "localhost");
    if (database->host[0] == '/')
        return err_set(err, FAIL_UNSUPPORTED,
                       "the database URL names a path as host; JDBC reaches servers over TCP only");
    uint64_t number = 5432;
    char digits[8] = "";
    if (port && end - port > 1 &&
        ((size_t)(end - port - 1) >= sizeof digits ||
         !memcpy(digits, port + 1, (size_t)(end - port - 1)) ||
         !text_parse_u64(digits, 65535, &number) || number == 0))
        return err_set(err, FAIL_CORRUPT,
                       "the database URL has a port that is no number from 1 to 65535");
    (void)snprintf(database->port, sizeof database->port, "%u", (unsigned)number);
    return 0;
}

static void take(char **field, const char *value)
{
    free(*field);
    *field = text_dup(value);
}

static void take_password(struct database *database, const char *value)
{
    if (database->password)
        explicit_bzero(database->password, strlen(database->password));
    take(&database->password, value);
}

struct url_ssl {
    bool on, unchecked;
};

static bool copy(char *out, size_t size, const char *value)
{
    size_t len = strlen(value);
    if (len >= size)
        return false;
    memcpy(out, value, len + 1);
    return true;
}

/* false: longer than any name PostgreSQL takes. */
static bool take_parameter(struct database *database, struct url_ssl *ssl, const char *name,
                           const char *value)
{
    if (strcmp(name, "user") == 0)
        return copy(database->user, sizeof database->user, value);
    if (strcmp(name, "password") == 0)
        take_password(database, value);
    else if (strcmp(name, "sslmode") == 0)
        take(&database->ssl_mode, value);
    else if (strcmp(name, "sslrootcert") == 0)
        take(&database->ssl_root_cert, value);
    else if (strcmp(name, "ssl") == 0)
        ssl->on = strcasecmp(value, "true") == 0 || *value == 0;
    else if (strcmp(name, "sslfactory") == 0)
        ssl->unchecked = strstr(value, "NonValidatingFactory") != NULL;
    else if (strcmp(name, "currentSchema") == 0 && !strchr(value, ','))
        return copy(database->schema, sizeof database->schema, value);
    return true;
}

static int parse_parameters(const char *text, struct database *database, struct err *err)
{
    struct url_ssl ssl = { 0 };
    while (*text) {
        size_t len = strcspn(text, "&");
        const char *equals = memchr(text, '=', len);
        char name[64], value[1024];
        size_t name_len = equals ? (size_t)(equals - text) : len;
        if (!decode(text, name_len, name, sizeof name) ||
            !decode(equals ? equals + 1 : "", equals ? len - name_len - 1 : 0, value, sizeof value))
            return err_set(err, FAIL_CORRUPT,
                           "the database URL has a parameter that cannot be read");
        bool taken = take_parameter(database, &ssl, name, value);
        explicit_bzero(value, sizeof value);
        if (!taken)
            return err_set(err, FAIL_CORRUPT, "the database URL has a value of %s that is too long",
                           name);
        text += len + (text[len] == '&');
    }
    static const char *const modes[] = { "disable", "allow",     "prefer",
                                         "require", "verify-ca", "verify-full" };
    bool known = !database->ssl_mode;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !known; i++)
        known = strcmp(modes[i], database->ssl_mode) == 0;
    if (!known)
        return err_set(err, FAIL_CORRUPT,
                       "the database URL has an sslmode that PostgreSQL does not know");
    if (!database->ssl_mode && ssl.on)
        take(&database->ssl_mode, ssl.unchecked ? "require" : "verify-full");
    return 0;
}

/* jdbc:postgresql://host:port/name?parameters or jdbc:postgresql:name */
static int parse_postgresql(const char *rest, struct database *database, struct err *err)
{
    const char *question = strchr(rest, '?');
    size_t len = question ? (size_t)(question - rest) : strlen(rest);
    const char *name = rest;
    int result = 0;
    if (len >= 2 && rest[0] == '/' && rest[1] == '/') {
        const char *slash = memchr(rest + 2, '/', len - 2);
        size_t host_len = slash ? (size_t)(slash - rest - 2) : len - 2;
        result = parse_host(rest + 2, host_len, database, err);
        name = slash ? slash + 1 : rest + len;
    } else {
        if (len > 0 && rest[0] == '/')
            name++;
        result = parse_host("", 0, database, err);
    }
    if (result != 0)
        return result;
    if (!decode(name, len - (size_t)(name - rest), database->name, sizeof database->name))
        return err_set(err, FAIL_CORRUPT, "the database URL names a database that cannot be read");
    return question ? parse_parameters(question + 1, database, err) : 0;
}

int database_parse_url(const char *jdbc_url, struct database *ret, struct err *err)
{
    CLEANUP(database_free) struct database database = { .kind = DATABASE_UNKNOWN };
    if (strlen(jdbc_url) > URL_MAX)
        return err_set(err, FAIL_LIMIT, "the database URL is longer than %d bytes", URL_MAX);
    const char *rest = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !rest; i++) {
        size_t len = strlen(kinds[i].scheme);
        if (strncmp(jdbc_url, kinds[i].scheme, len) != 0)
            continue;
        database.kind = kinds[i].kind;
        rest = jdbc_url + len;
    }
    if (!rest)
        return err_set(err, FAIL_UNSUPPORTED,
                       "the database URL is of no kind that is known (PostgreSQL, MySQL, SQL "
                       "Server, Oracle, HSQLDB, H2)");
    int result = database.kind == DATABASE_POSTGRESQL ? parse_postgresql(rest, &database, err) : 0;
    if (result != 0)
        return result;
    database.url = text_dup(jdbc_url);
    *ret = database;
    database = (struct database){ 0 };
    return 0;
}

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void database_free(struct database *database)
{
    wipe(&database->password);
    wipe(&database->url);
    free(database->ssl_mode);
    free(database->ssl_root_cert);
    *database = (struct database){ 0 };
}

const char *database_where(const struct database *database, char *out, size_t size)
{
    bool six = strchr(database->host, ':') != NULL;
    if (database->kind == DATABASE_POSTGRESQL)
        (void)snprintf(out, size, "%s%s%s:%s/%s", six ? "[" : "", database->host, six ? "]" : "",
                       database->port, database->name);
    else
        (void)snprintf(out, size, "%s", database_kind_name(database->kind));
    return out;
}
