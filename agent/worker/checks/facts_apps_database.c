/* The apps that users installed: rows of plugindata, one jar at a time. */
#include "agent/worker/checks/facts_apps.h"
#include "agent/worker/confluence/app_jar.h"
#include "confleet/cleanup.h"
#include <string.h>

#define STATEMENT_LIMIT_S 20
#define PIECE             ((uint64_t)4 * 1024 * 1024)

struct asking {
    struct apps_gathering *gathering;
    PGconn *conn;
    char *from;     /* "schema".plugindata */
    uint64_t bytes; /* read so far */
};

static char *table_of(PGconn *conn, const char *schema, const char *table)
{
    char *quoted = PQescapeIdentifier(conn, schema, strlen(schema));
    char *name = text_printf("%s.%s", quoted ? quoted : "public", table);
    PQfreemem(quoted);
    return name;
}

/* One piece of the jar, as bytes: text form would take them twice, and a whole row is held three
 * times on its way. */
static int piece_fetch(struct asking *asking, const char *id, uint64_t at, uint64_t size,
                       char *ret_bytes, struct err *err)
{
    CLEANUP(free_mem)
    char *sql = text_printf("select substring(data from %llu for %llu) from %s where plugindataid "
                            "= $1::bigint",
                            (unsigned long long)at + 1, (unsigned long long)size, asking->from);
    CLEANUP(database_result_free)
    PGresult *result = PQexecParams(asking->conn, sql, 1, NULL, &id, NULL, NULL, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        const char *line = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        return err_set(err, FAIL_DATABASE, "the database did not hand out the jar: %.120s",
                       line ? line : "the connection broke");
    }
    if (PQntuples(result) != 1 || (uint64_t)PQgetlength(result, 0, 0) != size)
        return err_set(err, FAIL_DATABASE, "the jar was changed while it was read");
    memcpy(ret_bytes, PQgetvalue(result, 0, 0), size);
    return 0;
}

static int jar_look(struct asking *asking, const char *id, uint64_t size, struct app *found,
                    struct err *err)
{
    if (size == 0)
        return err_set(err, FAIL_CORRUPT, "the row holds no jar");
    if (size > FACT_APPS_JAR_MAX)
        return err_set(err, FAIL_LIMIT, "a jar above 128 MiB is not read");
    if (asking->bytes + size > FACT_APPS_BYTES_MAX)
        return err_set(err, FAIL_LIMIT, "not read: 768 MiB of jars were read before");
    asking->bytes += size;
    CLEANUP(free_mem) char *jar = mem_zero(1, size);
    for (uint64_t at = 0; at < size; at += PIECE) {
        uint64_t piece = size - at < PIECE ? size - at : PIECE;
        if (apps_late(asking->gathering))
            return err_set(err, FAIL_TIMEOUT, "not read, since the time was over");
        int failed = piece_fetch(asking, id, at, piece, jar + at, err);
        if (failed != 0)
            return failed;
    }
    return app_jar_read_bytes(jar, size, found, err);
}

static void row_look(struct asking *asking, const PGresult *rows, int row)
{
    struct app found = { .key = "" };
    struct err err = { 0 };
    uint64_t size = 0;
    (void)text_parse_u64(PQgetvalue(rows, row, 3), UINT64_MAX, &size);
    struct fact_app *app = apps_add(asking->gathering, APP_BY_USER, PQgetvalue(rows, row, 2), size);
    if (!app)
        return;
    (void)snprintf(app->app.key, sizeof app->app.key, "%.255s", PQgetvalue(rows, row, 1));
    int result = jar_look(asking, PQgetvalue(rows, row, 0), size, &found, &err);
    apps_read(app, &found, result, &err);
}

static int apps_ask(struct asking *asking, struct err *err)
{
    CLEANUP(database_result_free) PGresult *rows = NULL;
    CLEANUP(free_mem)
    char *sql = text_printf("select plugindataid, pluginkey, filename, coalesce(octet_length(data),"
                            " 0) from %s order by pluginkey limit %d",
                            asking->from, FACT_APPS_MAX + 1);
    int result = database_query(asking->conn, sql, 0, NULL, &rows, err);
    for (int row = 0; result == 0 && row < PQntuples(rows); row++)
        row_look(asking, rows, row);
    return result;
}

/* No row: nothing was ever switched. */
static int states_ask(struct asking *asking, const char *schema, struct err *err)
{
    static const char empty[] = "<map/>";
    CLEANUP(database_result_free) PGresult *rows = NULL;
    CLEANUP(free_mem) char *table = table_of(asking->conn, schema, "bandana");
    CLEANUP(free_mem)
    char *sql = text_printf("select case when length(bandanavalue) <= %zu then bandanavalue end, "
                            "length(bandanavalue) from %s where bandanacontext = '_GLOBAL' and "
                            "bandanakey = 'plugin.manager.state.Map'",
                            APP_STATE_MAX / 4, table);
    int result = database_query(asking->conn, sql, 0, NULL, &rows, err);
    if (result != 0)
        return result;
    if (PQntuples(rows) == 0 || PQgetisnull(rows, 0, 1))
        return app_state_parse(empty, sizeof empty - 1, &asking->gathering->states, err);
    if (PQgetisnull(rows, 0, 0))
        return err_set(err, FAIL_LIMIT, "the map of states has %s characters",
                       PQgetvalue(rows, 0, 1));
    return app_state_parse(PQgetvalue(rows, 0, 0), (size_t)PQgetlength(rows, 0, 0),
                           &asking->gathering->states, err);
}

static void ask_both(struct asking *asking)
{
    struct facts_apps *facts = asking->gathering->facts;
    CLEANUP(free_mem) char *schema = NULL;
    struct err err = { 0 };
    int result = database_schema(asking->conn, "plugindata", &schema, &err);
    if (result == 0) {
        asking->from = table_of(asking->conn, schema, "plugindata");
        result = apps_ask(asking, &err);
    }
    facts->user_known = result == 0 && facts->left_out == 0 ? FACT_YES : FACT_UNKNOWN;
    if (result != 0 || facts->left_out)
        (void)snprintf(facts->user_why, FACT_TEXT, "%.500s",
                       result != 0 ? err.text : "more than 4000 rows in plugindata");
    if (!schema)
        return;
    err_clear(&err);
    result = states_ask(asking, schema, &err);
    facts->states_known = result == 0 ? FACT_YES : FACT_UNKNOWN;
    (void)snprintf(facts->states_why, FACT_TEXT, "%.511s", err.text);
}

void apps_gather_database(struct apps_gathering *gathering)
{
    struct facts_apps *facts = gathering->facts;
    const struct database *database = &gathering->source->site->database;
    CLEANUP(database_close) PGconn *conn = NULL;
    struct asking asking = { .gathering = gathering };
    struct err err = { 0 };
    if (database->kind != DATABASE_POSTGRESQL) {
        (void)snprintf(facts->user_why, FACT_TEXT, "a database of kind %s is not asked",
                       database_kind_name(database->kind));
        (void)snprintf(facts->states_why, FACT_TEXT, "%s", facts->user_why);
        return;
    }
    if (database_connect(database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err) != 0) {
        (void)snprintf(facts->user_why, FACT_TEXT, "%.511s", err.text);
        (void)snprintf(facts->states_why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    asking.conn = conn;
    ask_both(&asking);
    free(asking.from);
}
