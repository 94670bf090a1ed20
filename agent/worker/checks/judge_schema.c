/* Judges of the database's inside and of the way to it. */
#include "agent/worker/checks/judge_schema.h"
#include "confleet/str.h"
#include <stdlib.h>
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define POOL_LEAST 60 /* Confluence's own start-up check (facts 3.3) */

static const char *or_else(const char *text, const char *other)
{
    return text[0] ? text : other;
}

static bool no_config(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (schema->part.known == FACT_YES && schema->config_known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "confluence.cfg.xml was not read: %s.",
                or_else(schema->part.why, or_else(schema->config_why, "not looked at")));
    return true;
}

static bool no_answer(const struct facts *facts, enum fact known, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (schema->part.known == FACT_YES && known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "The database did not tell: %s.",
                or_else(schema->part.why, or_else(schema->why, "it was not asked")));
    return true;
}

/* "12-16" or "12,14-16"; false when the text is no such list. */
static bool in_ranges(const char *ranges, long value, bool *ret_inside)
{
    *ret_inside = false;
    while (*ranges) {
        char *end = NULL;
        long from = strtol(ranges, &end, 10), to = from;
        if (end == ranges)
            return false;
        if (*end == '-') {
            ranges = end + 1;
            to = strtol(ranges, &end, 10);
            if (end == ranges)
                return false;
        }
        *ret_inside = *ret_inside || (value >= from && value <= to);
        ranges = end + strspn(end, ", ");
        if (ranges == end && *end)
            return false;
    }
    return true;
}

void judge_database_version(const struct facts *facts, struct verdict *ret)
{
    const char *ranges = facts->source ? facts->source->target.postgresql : "";
    int version = facts->schema.server_version;
    bool inside = false;
    if (no_answer(facts, version ? FACT_YES : FACT_UNKNOWN, ret))
        return;
    if (!facts->has_target || !ranges[0] || !in_ranges(ranges, version / 10000, &inside)) {
        verdict_set(ret, UNKNOWN,
                    "PostgreSQL %d.%d. Which versions %s supports is not in the catalogue.",
                    version / 10000, version % 10000,
                    facts->has_target ? facts->target_version : "the release");
        ret->remedy = "Read the vendor's list of supported platforms, and import what it says: "
                      "confleet release import FILE, platforms: { postgresql: 13-16 }.";
    } else
        verdict_set(ret, inside ? OK : BLOCK, "PostgreSQL %d.%d; %s supports %s by the catalogue.",
                    version / 10000, version % 10000, facts->target_version, ranges);
}

void judge_database_collation(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_answer(facts, schema->asked, ret))
        return;
    if (schema->collation_moved[0])
        verdict_set(ret, WARN,
                    "The indexes were built with collation version %s: text indexes may be wrong, "
                    "and unique ones may hold doubles.",
                    schema->collation_moved);
    else if (strcmp(schema->collate, "C") == 0 || strcmp(schema->collate, "POSIX") == 0)
        verdict_set(ret, OK, "Collation %s.", schema->collate);
    else
        verdict_set(
            ret, UNKNOWN,
            "Collation %s. Confluence's guide asks for C; which others a release accepts is "
            "not published.",
            schema->collate);
}

void judge_database_extensions(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_answer(facts, schema->asked, ret))
        return;
    if (schema->extensions[0])
        verdict_set(ret, INFO,
                    "Installed besides plpgsql: %s. The server that a restore is proven on needs "
                    "them, too.",
                    schema->extensions);
    else
        verdict_set(ret, OK, "None besides plpgsql.");
}

void judge_database_size(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    char size[24];
    if (no_answer(facts, schema->asked, ret))
        return;
    verdict_set(ret, INFO, "%s in %llu tables.", text_size(schema->bytes, size),
                (unsigned long long)schema->tables);
}

void judge_transactions(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_answer(facts, schema->part.known, ret))
        return;
    if (schema->old_transactions > 0)
        verdict_set(ret, WARN, "%llu transactions are open for ten minutes and more, such as: %s.",
                    (unsigned long long)schema->old_transactions, schema->old_transaction);
    else if (schema->prepared > 0)
        verdict_set(
            ret, WARN,
            "%llu prepared transactions wait for their end. They hold locks that no stop of "
            "Confluence sets free.",
            (unsigned long long)schema->prepared);
    else if (schema->transactions_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "%s.",
                    or_else(schema->why, "The server does not show other accounts' sessions"));
    else
        verdict_set(ret, OK, "None is open for ten minutes or more.");
}

void judge_database_ddl(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_answer(facts, schema->ddl_known, ret))
        return;
    if (schema->ddl_foreign > 0)
        verdict_set(
            ret, BLOCK,
            "%llu tables or sequences belong to roles that the site's account %s cannot act "
            "for, such as %s: the new version cannot change them.",
            (unsigned long long)schema->ddl_foreign, facts->site.database.user,
            schema->ddl_example);
    else if (schema->ddl_create == FACT_NO)
        verdict_set(ret, BLOCK, "The site's account %s may not create tables in its schema.",
                    facts->site.database.user);
    else if (schema->ddl_create != FACT_YES)
        verdict_set(ret, UNKNOWN, "Whether %s may create tables was not told.",
                    facts->site.database.user);
    else
        verdict_set(ret, OK, "The site's account %s may create tables and change every one.",
                    facts->site.database.user);
}

void judge_database_indexes(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_answer(facts, schema->indexes_known, ret))
        return;
    if (schema->indexes_broken > 0)
        verdict_set(ret, WARN, "%llu indexes are not valid, such as %s.",
                    (unsigned long long)schema->indexes_broken, schema->index_example);
    else
        verdict_set(ret, OK, "All are valid.");
}

void judge_database_pool(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    if (no_config(facts, ret))
        return;
    if (schema->datasource)
        verdict_set(ret, UNKNOWN, "The pool is that of Tomcat's data source in server.xml.");
    else if (schema->pool_text[0])
        verdict_set(ret, WARN, "The largest size of the pool is '%s', which is no number.",
                    schema->pool_text);
    else if (schema->pool_max == 0)
        verdict_set(ret, WARN,
                    "confluence.cfg.xml sets no largest size of the pool; Confluence "
                    "wants %d or more.",
                    POOL_LEAST);
    else if (schema->pool_max < POOL_LEAST)
        verdict_set(ret, WARN, "The pool has %u connections at most; Confluence wants %d or more.",
                    schema->pool_max, POOL_LEAST);
    else
        verdict_set(ret, OK, "%u connections at most.", schema->pool_max);
}

void judge_database_url(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    struct version to;
    if (no_config(facts, ret))
        return;
    bool new_enough = facts->has_target && version_parse(facts->target_version, &to) &&
                      version_at_least(&to, 8, 0);
    if (schema->datasource && new_enough) {
        verdict_set(ret, BLOCK,
                    "The database is a data source of Tomcat (JNDI), which Confluence refuses from "
                    "8.0 on.");
        ret->remedy = "Put the connection into confluence.cfg.xml (hibernate.connection.url, "
                      "username, password) and take the Resource out of server.xml.";
    } else if (schema->datasource)
        verdict_set(ret, WARN,
                    "The database is a data source of Tomcat (JNDI); 8.0 and later refuse that.");
    else if (schema->storage_engine)
        verdict_set(ret, BLOCK,
                    "The database's URL holds the parameter storage_engine, with which newer "
                    "versions do not start.");
    else if (facts->site.database.kind == DATABASE_UNKNOWN)
        verdict_set(ret, UNKNOWN, "confluence.cfg.xml names no database that is known here.");
    else
        verdict_set(ret, OK, "Nothing in the URL is known to be refused.");
}

void judge_database_driver(const struct facts *facts, struct verdict *ret)
{
    const struct facts_schema *schema = &facts->schema;
    enum database_kind kind = facts->site.database.kind;
    if (no_config(facts, ret))
        return;
    if (strstr(schema->driver, "jtds")) {
        verdict_set(ret, BLOCK, "The site uses the jTDS driver (%s), which newer versions refuse.",
                    schema->driver);
        ret->remedy = "Change to the vendor's driver for SQL Server while the old version runs.";
    } else if (schema->driver_jar_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The folders of libraries cannot be listed.");
    else if (kind == DATABASE_UNKNOWN || kind == DATABASE_JNDI)
        verdict_set(ret, UNKNOWN, "Which driver is used is not known.");
    else if (!schema->driver_jar[0])
        verdict_set(ret, WARN, "No driver for %s was found in WEB-INF/lib or lib.",
                    database_kind_name(kind));
    else if (strchr(schema->driver_jar, ','))
        verdict_set(ret, WARN, "There is more than one driver: %s. Java takes either of them.",
                    schema->driver_jar);
    else if (kind == DATABASE_MYSQL || kind == DATABASE_ORACLE)
        verdict_set(ret, WARN, "%s is not shipped with new versions and must be carried over.",
                    schema->driver_jar);
    else
        verdict_set(ret, OK, "%s.", schema->driver_jar);
}
