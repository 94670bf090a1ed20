/* digest_sql - the words that statements about a database's contents share. Names are qualified or
 * numbers, so that nothing is looked up in schemas of the site. */
#pragma once
#include "contents.h"

/* Never a cast: the owner of a table may define one from its row type to text, and its function
 * would run with the rights of this session, often a superuser's. */
#define ROW_TEXT "pg_catalog.textin(pg_catalog.record_out(confleet_row_.*))"

#define USER_SCHEMA(n) " " n ".nspname !~ '^pg_' AND " n ".nspname <> 'information_schema' "
#define NOT_EXTENSION(class, oid)                                                                  \
    " NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '" class "'::regclass AND e.objid "  \
                                                                       "= " oid                    \
                                                                       " AND e.deptype = 'e') "
/* Types of whose values PostgreSQL's hash takes every byte: equal hashes of numbers may be 1.0 and
 * 1.00, of padded texts with and without blanks, of intervals a month and 30 days. By number, so
 * that no name is looked up: bool bytea char int8 int2 int4 text oid varchar date time timestamp
 * timestamptz uuid. */
#define HASHED_WHOLE "(16, 17, 18, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 2950)"
/* The site's own tables with rows, as pg_dump takes them. */
#define OWN_TABLES                                                                                 \
    " c.relkind = 'r' AND c.relpersistence <> 't' AND" USER_SCHEMA("n") "AND" NOT_EXTENSION(       \
        "pg_class", "c.oid")
/* Whether a row's values tell all of it. */
#define BY_VALUES                                                                                  \
    " NOT EXISTS (SELECT 1 FROM pg_attribute a LEFT JOIN pg_collation k ON k.oid = "               \
    "a.attcollation WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND "         \
    "(a.atttypid NOT IN " HASHED_WHOLE                                                             \
    " OR coalesce(to_jsonb(k)->>'collisdeterministic', 'true') <> 'true')) "
