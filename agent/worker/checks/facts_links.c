#include "agent/worker/checks/facts_links.h"
#include "confleet/cleanup.h"
#include <string.h>

#define STATEMENT_LIMIT_S 15

void facts_links_count(const struct database *database, enum fact *ret_known, uint64_t *ret_count,
                       char ret_why[FACT_TEXT])
{
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *schema = NULL;
    if (database->kind != DATABASE_POSTGRESQL) {
        (void)snprintf(ret_why, FACT_TEXT, "the database is %s",
                       database_kind_name(database->kind));
        return;
    }
    if (database_connect(database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err) != 0 ||
        database_schema(conn, "bandana", &schema, &err) != 0) {
        (void)snprintf(ret_why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    char *quoted = PQescapeIdentifier(conn, schema, strlen(schema));
    CLEANUP(free_mem)
    char *sql = text_printf("select count(*) from %s.bandana where bandanakey like 'applinks.%%'",
                            quoted ? quoted : "public");
    PQfreemem(quoted);
    bool found = false;
    if (database_u64(conn, sql, ret_count, &found, &err) != 0 || !found)
        (void)snprintf(ret_why, FACT_TEXT, "%.511s", err.text[0] ? err.text : "no answer");
    else
        *ret_known = FACT_YES;
}
