/* Where the database server keeps the site's database, when that is on this host. */
#include "agent/worker/checks/facts.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <stdlib.h>
#include <string.h>

#define PID_FILE_MAX  4096
#define START_GAP_MAX 5 /* seconds between the two notes that a server makes of its own start */

static const char *line_of(const char *text, int number)
{
    for (int line = 1; line < number && *text; line++)
        text += strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
    return text;
}

/* A path alone proves nothing: the same one exists on many hosts and in containers. The server that
 * answers is the one of this folder when its lock file tells the same start and port. */
bool facts_room_is_here(const char *data_dir, const char *port, int64_t started_s,
                        char why[FACT_TEXT])
{
    CLEANUP(free_mem) char *path = fs_join(data_dir, "postmaster.pid");
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    int result = fs_read(path, PID_FILE_MAX, &text, &err);
    if (result == 0) {
        int64_t noted_s = strtoll(line_of(str_text(&text), 3), NULL, 10);
        const char *noted_port = line_of(str_text(&text), 4);
        size_t len = strcspn(noted_port, "\n");
        if (llabs(noted_s - started_s) <= START_GAP_MAX && strlen(port) == len &&
            strncmp(noted_port, port, len) == 0)
            return true;
    }
    if (result != 0 && result != -FAIL_NOT_FOUND)
        (void)snprintf(why, FACT_TEXT, "%.500s", err.text);
    else
        (void)snprintf(why, FACT_TEXT, "the server's folder %.300s is not on this host", data_dir);
    return false;
}

void facts_gather_room(PGconn *conn, struct fact_database *facts)
{
    static const char sql[] =
        "select current_setting('data_directory'), "
        "coalesce(nullif(pg_tablespace_location(dattablespace), ''), "
        "current_setting('data_directory')), current_setting('port'), extract(epoch from "
        "pg_postmaster_start_time())::bigint, pg_size_bytes(current_setting('max_wal_size')) "
        "from pg_database where datname = current_database()";
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    facts->room_known = FACT_UNKNOWN;
    if (database_query(conn, sql, 0, NULL, &result, &err) != 0) {
        (void)snprintf(facts->room_text, sizeof facts->room_text, "%.500s", err.text);
        return;
    }
    if (PQntuples(result) != 1) {
        (void)snprintf(facts->room_text, sizeof facts->room_text,
                       "the catalogue does not show this database");
        return;
    }
    int64_t started_s = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
    if (!facts_room_is_here(PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 2), started_s,
                            facts->room_text))
        return;
    (void)snprintf(facts->room_path, sizeof facts->room_path, "%.511s", PQgetvalue(result, 0, 1));
    if (!text_parse_u64(PQgetvalue(result, 0, 4), UINT64_MAX, &facts->wal_bytes))
        facts->wal_bytes = 0;
    facts->room_known = FACT_YES;
}
