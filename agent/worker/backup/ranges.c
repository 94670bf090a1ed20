#include "ranges.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "digest_sql.h"
#include <stdlib.h>
#include <string.h>

#define SUM_TEXT 48

void ranges_free(struct ranges *ranges)
{
    pool_free(&ranges->pool);
    free(ranges->tables);
    free(ranges->items);
    frame_list_free(&ranges->frames);
    *ranges = (struct ranges){ .count = 0 };
}

/* All that shapes a row's text beside its values: a column's type may change with no row written. */
static const char list_sql[] =
    "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)," BY_VALUES
    ", m.amname = 'heap', pg_relation_size(c.oid) / current_setting('block_size')::int8, "
    "pg_table_size(c.oid), (SELECT string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), "
    "a.atttypid, a.atttypmod, a.attcollation, a.attgenerated), ',' ORDER BY a.attnum) FROM "
    "pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) FROM pg_class "
    "c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am m ON m.oid = c.relam "
    "WHERE" OWN_TABLES
    "ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";

static uint64_t number(const PGresult *result, int row, int column)
{
    return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static void take_table(struct ranges *r, const PGresult *list, int row)
{
    struct range_table *t = &r->tables[row];
    *t = (struct range_table){ .schema = pool_text(&r->pool, PQgetvalue(list, row, 0)),
                               .name = pool_text(&r->pool, PQgetvalue(list, row, 1)),
                               .quoted = pool_text(&r->pool, PQgetvalue(list, row, 2)),
                               .by_values = PQgetvalue(list, row, 3)[0] == 't',
                               .heap = PQgetvalue(list, row, 4)[0] == 't',
                               .blocks = number(list, row, 5),
                               .bytes = number(list, row, 6) };
    CLEANUP(free_mem)
    char *key = text_printf("%s %d %s %s", r->method, t->by_values, t->quoted,
                            PQgetvalue(list, row, 7));
    hash_bytes_hex(key, strlen(key), t->key);
}

static int lock_tables(PGconn *conn, const struct ranges *r, struct err *err)
{
    CLEANUP(str_free) struct str sql = { 0 };
    str_add(&sql, "LOCK TABLE ONLY ");
    for (size_t i = 0; i < r->table_count; i++)
        str_addf(&sql, "%s%s", i ? ", ONLY " : "", r->tables[i].quoted);
    str_add(&sql, " IN ACCESS SHARE MODE");
    return r->table_count > 0 ? database_do(conn, sql.s, err) : 0;
}

int ranges_list(PGconn *conn, const char *method, struct ranges *ret, struct err *err)
{
    CLEANUP(ranges_free) struct ranges r = { .method = method };
    CLEANUP(database_result_free) PGresult *list = NULL;
    int rc = contents_settings(conn, err);
    if (rc == 0)
        rc = database_query(conn, list_sql, 0, NULL, &list, err);
    if (rc != 0)
        return rc;
    r.table_count = (size_t)PQntuples(list);
    if (r.table_count > CONTENTS_ITEMS_MAX)
        return err_set(err, FAIL_LIMIT, "the database has more than %u tables", CONTENTS_ITEMS_MAX);
    r.tables = mem_zero(r.table_count + 1, sizeof *r.tables);
    for (int i = 0; i < PQntuples(list); i++)
        take_table(&r, list, i);
    if ((rc = lock_tables(conn, &r, err)) != 0)
        return rc;
    *ret = r;
    r = (struct ranges){ .count = 0 };
    return 0;
}

/* A range is read by its blocks and a table as it lies, however little the server knows of them. */
const char range_planning[] =
    "SELECT pg_catalog.set_config(n, 'off', true) FROM pg_catalog.unnest(ARRAY['enable_seqscan', "
    "'enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan', 'jit']) n";

/* ---- cutting ---- */

static const struct range_table *find_table(const struct ranges *known, const char *key)
{
    for (size_t i = 0; known && i < known->table_count; i++)
        if (strcmp(known->tables[i].key, key) == 0)
            return &known->tables[i];
    return NULL;
}

void ranges_cut(struct ranges *ranges, const struct ranges *known)
{
    uint64_t all = 0, size = RANGE_BYTES;
    for (size_t i = 0; i < ranges->table_count; i++)
        all += ranges->tables[i].bytes;
    size = all / RANGES_MAX > size ? all / RANGES_MAX : size;
    for (size_t i = 0; i < ranges->table_count; i++) {
        struct range_table *t = &ranges->tables[i];
        const struct range_table *was = find_table(known, t->key);
        t->step = 0;
        if (t->heap && t->blocks > 1 && t->bytes >= 2 * size) {
            t->step = (uint64_t)((double)t->blocks * (double)size / (double)t->bytes);
            t->step = t->step > 0 ? t->step : 1;
            /* A table that grew keeps its ranges, unless they would be too many. */
            if (was && was->step > 0 && was->step >= t->step / 4)
                t->step = was->step;
        }
        t->first = ranges->count;
        t->count = t->step > 0 ? (size_t)((t->blocks + t->step - 1) / t->step) : 1;
        ranges->items = mem_grow(ranges->items, ranges->count + t->count, sizeof *ranges->items);
        for (size_t k = 0; k < t->count; k++)
            ranges->items[ranges->count++] = (struct range){ .from = k * t->step };
    }
}

char *range_where(const struct ranges *ranges, const struct range_table *table, size_t number_,
                  const char *alias)
{
    const struct range *r = &ranges->items[table->first + number_];
    if (table->step == 0)
        return text_dup("");
    /* The last one has no end: nothing behind it can be missed. */
    CLEANUP(free_mem)
    char *end = number_ + 1 == table->count
                    ? text_dup("")
                    : text_printf(" AND %s.ctid OPERATOR(pg_catalog.<) '(%llu,0)'::pg_catalog.tid",
                                  alias, (unsigned long long)(r->from + table->step));
    return text_printf(" WHERE %s.ctid OPERATOR(pg_catalog.>=) '(%llu,0)'::pg_catalog.tid%s", alias,
                       (unsigned long long)r->from, end);
}

const struct range *range_known(const struct ranges *known, const struct range_table *table,
                                size_t number_, const struct range *now)
{
    const struct range_table *was = table->step > 0 ? find_table(known, table->key) : NULL;
    if (!was || was->step != table->step || number_ >= was->count)
        return NULL;
    const struct range *then = &known->items[was->first + number_];
    return then->from == now->from && then->rows == now->rows && then->digest == now->digest &&
                   then->versions == now->versions && (then->frames > 0 || then->rows == 0)
               ? then
               : NULL;
}

/* ---- counting ---- */

/* Of sum(bigint) as the server writes it. */
static bool parse_sum(const char *text, range_sum *ret)
{
    range_sum value = 0;
    bool minus = text[0] == '-';
    const char *at = text + minus;
    for (; *at >= '0' && *at <= '9' && at - text < 38; at++)
        value = value * 10 + (*at - '0');
    *ret = minus ? -value : value;
    return *at == '\0' && at > text + minus;
}

static const char *sum_text(range_sum value, char out[SUM_TEXT])
{
    char digits[SUM_TEXT];
    size_t count = 0, at = 0;
    bool minus = value < 0;
    for (; count == 0 || value != 0; value /= 10)
        digits[count++] = (char)('0' + (int)(minus ? -(value % 10) : value % 10));
    if (minus)
        out[at++] = '-';
    while (count > 0)
        out[at++] = digits[--count];
    out[at] = '\0';
    return out;
}

struct counting {
    struct ranges *ranges;
    size_t *table_of; /* of each range; behind those, of each table that is cut */
    size_t *number_of;
};

static int count_whole(struct range_table *t, PGconn *conn, struct err *err)
{
    bool found = false;
    CLEANUP(free_mem) char *sql = text_printf("SELECT count(*) FROM ONLY %s", t->quoted);
    int rc = database_u64(conn, sql, &t->rows, &found, err);
    return rc == 0 ? 0 : err_wrap(err, "count table %s", t->quoted);
}

static int count_one(void *ctx, size_t worker, PGconn *conn, size_t job, struct err *err)
{
    const struct counting *c = ctx;
    struct ranges *r = c->ranges;
    struct range_table *t = &r->tables[c->table_of[job]];
    CLEANUP(database_result_free) PGresult *result = NULL;
    (void)worker;
    if (job >= r->count)
        return count_whole(t, conn, err);
    CLEANUP(free_mem) char *where = range_where(r, t, c->number_of[job], "confleet_row_");
    CLEANUP(free_mem)
    char *sql = text_printf(
        "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(%s), 0)::pg_catalog.text, %s FROM "
        "ONLY %s AS confleet_row_%s",
        contents_row_hash(r->method, t->by_values),
        t->step > 0 ? "coalesce(pg_catalog.sum(pg_catalog.hash_record_extended(ROW("
                      "confleet_row_.ctid, confleet_row_.xmin), 0)), 0)::pg_catalog.text"
                    : "'0'",
        t->quoted, where);
    int rc = database_query(conn, sql, 0, NULL, &result, err);
    if (rc != 0)
        return err_wrap(err, "count table %s", t->quoted);
    struct range *range = &r->items[job];
    range->rows = number(result, 0, 0);
    return parse_sum(PQgetvalue(result, 0, 1), &range->digest) &&
                   parse_sum(PQgetvalue(result, 0, 2), &range->versions)
               ? 0
               : err_set(err, FAIL_DATABASE, "table %s: the server's sum is no number", t->quoted);
}

static void counting_end(struct counting *c)
{
    free(c->table_of);
    free(c->number_of);
}

int ranges_count(struct ranges *ranges, struct crew *crew, struct err *err)
{
    CLEANUP(counting_end)
    struct counting c = { .ranges = ranges,
                          .table_of = mem_zero(ranges->count + ranges->table_count + 1,
                                               sizeof *c.table_of),
                          .number_of = mem_zero(ranges->count + 1, sizeof *c.number_of) };
    size_t jobs = ranges->count;
    for (size_t i = 0; i < ranges->table_count; i++) {
        const struct range_table *t = &ranges->tables[i];
        for (size_t k = 0; k < t->count; k++) {
            c.table_of[t->first + k] = i;
            c.number_of[t->first + k] = k;
        }
        if (t->step > 0)
            c.table_of[jobs++] = i;
    }
    int rc = 0;
    for (size_t i = 0; i < crew->count && rc == 0; i++)
        rc = contents_settings(crew->conns[i], err);
    if (rc == 0)
        rc = crew_do(crew, range_planning, err);
    if (rc == 0)
        rc = crew_work(crew, jobs, count_one, &c, err);
    for (size_t i = 0; i < ranges->table_count && rc == 0; i++) {
        const struct range_table *t = &ranges->tables[i];
        uint64_t rows = 0;
        for (size_t k = 0; k < t->count; k++)
            rows += ranges->items[t->first + k].rows;
        if (t->step > 0 && rows != t->rows)
            rc = err_set(err, FAIL_CONFLICT,
                         "table %s has %llu rows, its parts have %llu in the same snapshot",
                         t->quoted, (unsigned long long)t->rows, (unsigned long long)rows);
    }
    return rc;
}

int ranges_contents(const struct ranges *ranges, struct pool *pool, struct contents *ret,
                    struct err *err)
{
    char text[SUM_TEXT];
    if (strcmp(ret->method, ranges->method) != 0)
        return err_set(err, FAIL_INTERNAL, "rows were hashed by %s", ranges->method);
    ret->table_count = ranges->table_count;
    ret->tables = mem_zero(ret->table_count + 1, sizeof *ret->tables);
    for (size_t i = 0; i < ranges->table_count; i++) {
        const struct range_table *t = &ranges->tables[i];
        range_sum digest = 0;
        struct contents_table *to = &ret->tables[i];
        *to = (struct contents_table){ .schema = pool_text(pool, t->schema),
                                       .name = pool_text(pool, t->name) };
        for (size_t k = 0; k < t->count; k++) {
            to->rows += ranges->items[t->first + k].rows;
            digest += ranges->items[t->first + k].digest;
        }
        to->digest = pool_text(pool, sum_text(digest, text));
    }
    return 0;
}
