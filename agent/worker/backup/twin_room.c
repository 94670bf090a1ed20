/* Whether the server would take a copy: rights, size, and room where that can be seen. */
#include "agent/worker/checks/facts.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "twin.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_BYTES (64ULL * 1024 * 1024)

/* Beside the copy the new build writes what it changes, and its log. */
uint64_t twin_need(const struct twin_ask *ask)
{
    return ask->bytes + ask->bytes / 2 + ask->reserve_bytes + LEAST_BYTES;
}

bool twin_choose(const struct twin_ask *ask, char why[TWIN_WHY])
{
    char need[24], have[24];
    bool insists = strcmp(ask->policy, "copy") == 0;
    (void)text_size(twin_need(ask), need);
    (void)text_size(ask->free_bytes, have);
    if (strcmp(ask->policy, "dump") == 0)
        (void)snprintf(why, TWIN_WHY, "the policy says so (stop_capture: dump)");
    else if (!ask->may)
        (void)snprintf(why, TWIN_WHY,
                       "account %.100s may not copy the database of %.100s (ALTER ROLE … CREATEDB "
                       "and membership in the owner would allow it)",
                       ask->account, ask->owner);
    else if (ask->entry_why[0])
        (void)snprintf(why, TWIN_WHY,
                       "no database of a copy's name could be entered to dump it (pg_hba.conf must "
                       "let account %.100s into " TWIN_PREFIX "…): %.170s",
                       ask->account, ask->entry_why);
    else if (ask->room_known && ask->free_bytes < twin_need(ask))
        (void)snprintf(why, TWIN_WHY,
                       "the database server has room for %s more, a copy and the upgrade want %s",
                       have, need);
    else if (!ask->room_known && !insists)
        (void)snprintf(why, TWIN_WHY,
                       "whether the database server has room for a copy cannot be seen: %.200s "
                       "(stop_capture: copy would have it made all the same)",
                       ask->room_why);
    else if (!ask->room_known)
        (void)snprintf(why, TWIN_WHY, "the policy says so (stop_capture: copy); room unknown");
    else {
        (void)snprintf(why, TWIN_WHY, "the account may, and %s are free where %s are wanted", have,
                       need);
        return true;
    }
    return insists && !ask->room_known && ask->may && !ask->entry_why[0];
}

/* Who may not ask the server for its folder, as the site's own account, may look where the process
 * that serves this very session works: that is the folder. */
static bool find_folder(PGconn *conn, const char *told, const char *port, int64_t started_s,
                        bool local, char out[FACT_TEXT], char why[FACT_TEXT])
{
    char link[64];
    if (!local) {
        (void)snprintf(why, FACT_TEXT, "the server is another host");
        return false;
    }
    if (told[0]) {
        (void)snprintf(out, FACT_TEXT, "%.500s", told);
        return facts_room_is_here(told, port, started_s, why);
    }
    (void)snprintf(link, sizeof link, "/proc/%d/cwd", PQbackendPID(conn));
    ssize_t len = readlink(link, out, FACT_TEXT - 1);
    if (len <= 0) {
        (void)snprintf(why, FACT_TEXT, "the server's process is not seen on this host");
        return false;
    }
    out[len] = '\0';
    return facts_room_is_here(out, port, started_s, why);
}

static void gather_room(PGconn *conn, const PGresult *r, struct twin_facts *ret)
{
    char folder[FACT_TEXT] = "", why[FACT_TEXT] = "";
    struct err err = { 0 };
    uint64_t files = 0;
    int64_t started_s = strtoll(PQgetvalue(r, 0, 7), NULL, 10);
    bool local = PQgetvalue(r, 0, 8)[0] == 't';
    const char *space = PQgetvalue(r, 0, 9);
    ret->ask.room_known =
        find_folder(conn, PQgetvalue(r, 0, 5), PQgetvalue(r, 0, 6), started_s, local, folder, why);
    if (ret->ask.room_known &&
        fs_space(space[0] ? space : folder, &ret->ask.free_bytes, &files, &err) != 0) {
        ret->ask.room_known = false;
        (void)snprintf(why, sizeof why, "%.500s", err.text);
    }
    (void)snprintf(ret->room_why, sizeof ret->room_why, "%.390s", why);
}

/* Who may enter is decided by the name, before the server looks whether there is such a database:
 * one that "does not exist" could be entered. */
static void gather_entry(const struct reach *reach, struct twin_facts *ret)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    char name[64];
    twin_name("19700101T000000Z-000000", name);
    int rc = reach_connect(reach, name, &conn, &err);
    if (rc != 0 && rc != -FAIL_NOT_FOUND)
        (void)snprintf(ret->entry_why, sizeof ret->entry_why, "%.390s", err.text);
}

int twin_gather(PGconn *conn, const struct reach *reach, const char *dbname, struct twin_facts *ret,
                struct err *err)
{
    static const char sql[] =
        "SELECT r.rolname, pg_get_userbyid(d.datdba), (r.rolsuper OR (r.rolcreatedb AND "
        "pg_has_role(r.oid, d.datdba, 'USAGE')))::int, pg_database_size(d.oid), d.datconnlimit, "
        "coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), ''), "
        "current_setting('port'), extract(epoch from pg_postmaster_start_time())::bigint, "
        "inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr(), "
        "coalesce(pg_tablespace_location(d.dattablespace), '') "
        "FROM pg_database d, pg_roles r WHERE d.datname = $1 AND r.rolname = current_user";
    CLEANUP(database_result_free) PGresult *r = NULL;
    struct twin_facts facts = { .ask = { .policy = "auto" } };
    int rc = database_query(conn, sql, 1, &dbname, &r, err);
    if (rc != 0)
        return rc;
    if (PQntuples(r) != 1)
        return err_set(err, FAIL_NOT_FOUND, "the server's catalogue does not show database %s",
                       dbname);
    (void)snprintf(facts.account, sizeof facts.account, "%.127s", PQgetvalue(r, 0, 0));
    (void)snprintf(facts.owner, sizeof facts.owner, "%.127s", PQgetvalue(r, 0, 1));
    facts.ask.may = PQgetvalue(r, 0, 2)[0] == '1';
    if (!text_parse_u64(PQgetvalue(r, 0, 3), UINT64_MAX, &facts.ask.bytes))
        return err_set(err, FAIL_DATABASE, "the size of database %s is not known", dbname);
    facts.connection_limit = (int)strtol(PQgetvalue(r, 0, 4), NULL, 10);
    gather_room(conn, r, &facts);
    gather_entry(reach, &facts);
    *ret = facts;
    ret->ask.account = ret->account;
    ret->ask.owner = ret->owner;
    ret->ask.room_why = ret->room_why;
    ret->ask.entry_why = ret->entry_why;
    return 0;
}
