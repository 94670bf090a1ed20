/* Layouts, themes and templates of the site's database: how many and what they are called. */
#include "agent/worker/checks/facts_custom.h"
#include "confleet/cleanup.h"
#include <string.h>

#define STATEMENT_LIMIT_S 20
#define NAMES             "30"

/* One row of texts about a table of the site's schema; %s of sql is the schema, quoted. */
static bool ask(PGconn *conn, const char *schema, const char *sql, PGresult **ret,
                struct custom_database *facts)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    for (const char *at = sql; *at; at++) {
        if (*at == '@')
            str_add(&text, schema);
        else
            str_add_bytes(&text, at, 1);
    }
    if (database_query(conn, str_text(&text), 0, NULL, ret, &err) == 0 && PQntuples(*ret) == 1)
        return true;
    (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text[0] ? err.text : "no answer");
    return false;
}

static void number(const PGresult *result, int column, uint64_t *ret)
{
    (void)text_parse_u64(PQgetvalue(result, 0, column), UINT64_MAX, ret);
}

static bool ask_layouts(PGconn *conn, const char *schema, struct custom_database *facts)
{
    static const char sql[] =
        "select count(*), count(spacekey), coalesce((select string_agg(n, ', ') from (select "
        "distinct coalesce(spacekey || ':', '') || coalesce(decoratorname, '?') as n from "
        "@.decorator order by 1 limit " NAMES ") x), '') from @.decorator";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, schema, sql, &result, facts))
        return false;
    number(result, 0, &facts->layouts);
    number(result, 1, &facts->layouts_of_spaces);
    (void)snprintf(facts->layout_names, CUSTOM_TEXT, "%.899s", PQgetvalue(result, 0, 2));
    return true;
}

/* The value holds the theme's key as <string>APP:MODULE</string>; nothing else of it is taken. */
static bool ask_themes(PGconn *conn, const char *schema, struct custom_database *facts)
{
    static const char sql[] =
        "with t as (select bandanacontext as c, substring(bandanavalue from "
        "'<string>([A-Za-z0-9._-]{1,120}:[A-Za-z0-9._-]{1,80})</string>') as n from @.bandana "
        "where bandanakey = 'atlassian.confluence.theme.settings') select coalesce((select n from "
        "t where c = '_GLOBAL' limit 1), ''), (select count(*) from t where c <> '_GLOBAL' and n "
        "is not null), coalesce((select string_agg(n, ', ') from (select distinct n from t where "
        "c <> '_GLOBAL' and n is not null order by 1 limit " NAMES ") x), '')";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, schema, sql, &result, facts))
        return false;
    (void)snprintf(facts->theme, sizeof facts->theme, "%.255s", PQgetvalue(result, 0, 0));
    number(result, 1, &facts->themes_of_spaces);
    (void)snprintf(facts->theme_names, CUSTOM_TEXT, "%.899s", PQgetvalue(result, 0, 2));
    return true;
}

static bool ask_templates(PGconn *conn, const char *schema, struct custom_database *facts)
{
    static const char sql[] = "select count(*) filter (where spaceid is null), count(spaceid) from "
                              "@.pagetemplates where prevver is null";
    CLEANUP(database_result_free) PGresult *result = NULL;
    if (!ask(conn, schema, sql, &result, facts))
        return false;
    number(result, 0, &facts->templates);
    number(result, 1, &facts->templates_of_spaces);
    return true;
}

void facts_custom_database(const struct gather_source *source, struct custom_database *ret)
{
    const struct installation *site = source->site;
    struct err err = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *schema = NULL;
    if (site->database.kind != DATABASE_POSTGRESQL) {
        (void)snprintf(ret->why, FACT_TEXT,
                       "a database of kind %s is not asked for layouts and themes",
                       database_kind_name(site->database.kind));
        return;
    }
    if (database_connect(&site->database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err) != 0 ||
        database_schema(conn, "decorator", &schema, &err) != 0) {
        (void)snprintf(ret->why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    char *quoted = PQescapeIdentifier(conn, schema, strlen(schema));
    if (!quoted)
        (void)snprintf(ret->why, FACT_TEXT, "the schema's name cannot be quoted");
    else if (ask_layouts(conn, quoted, ret) && ask_themes(conn, quoted, ret))
        ret->known = FACT_YES;
    if (ret->known == FACT_YES && ask_templates(conn, quoted, ret))
        ret->templates_known = FACT_YES;
    PQfreemem(quoted);
}
