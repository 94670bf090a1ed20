#include "rows.h"
#include "confleet/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER      (2u * 1024 * 1024) /* of one connection: what comes while others write */
#define END_OF_DATA "\\.\n\n\n"
/* Archives of this version on have large objects in several blocks (PostgreSQL 17). */
#define OBJECTS_APART 16
#define OBJECT_PIECE  (1024 * 1024)

/* ---- what belongs to what ---- */

static bool is_of(const char *copy, const char *quoted, const char **ret_columns, int *ret_len)
{
    static const char head[] = "COPY ", tail[] = " FROM stdin;\n";
    size_t len = strlen(quoted), all = strlen(copy), used = sizeof head - 1 + len + 1;
    if (strncmp(copy, head, sizeof head - 1) != 0 ||
        strncmp(copy + sizeof head - 1, quoted, len) != 0 || all < used + sizeof tail - 1 ||
        copy[used - 1] != ' ' || strcmp(copy + all - (sizeof tail - 1), tail) != 0)
        return false;
    *ret_columns = copy + used;
    *ret_len = (int)(all - (sizeof tail - 1) - used);
    return *ret_len == 0 ||
           (copy[used] == '(' && copy[all - sizeof tail] == ')' && *ret_len > 2);
}

bool rows_match(const struct toc *toc, struct ranges *ranges)
{
    size_t found = 0;
    CLEANUP(free_mem) bool *taken = mem_zero(ranges->table_count + 1, sizeof *taken);
    ranges->has_objects = false;
    for (size_t i = 0, next = 0; i < toc->count; i++) {
        if (!toc->items[i].has_data)
            continue;
        if (strcmp(toc->items[i].what, "BLOBS") == 0 && toc->minor < OBJECTS_APART &&
            !ranges->has_objects) {
            ranges->has_objects = true;
            ranges->objects_item = i;
            continue;
        }
        if (strcmp(toc->items[i].what, "TABLE DATA") != 0 || ranges->has_objects)
            return false;
        size_t tried = 0;
        struct range_table *t = NULL;
        /* Both are mostly in the same order. */
        for (; tried < ranges->table_count; tried++, next++) {
            t = &ranges->tables[next % ranges->table_count];
            if (is_of(toc->items[i].copy, t->quoted, &t->columns, &t->columns_len))
                break;
        }
        if (tried == ranges->table_count || taken[next % ranges->table_count])
            return false;
        taken[next % ranges->table_count] = true;
        t->item = i;
        found++;
    }
    return found == ranges->table_count;
}

/* ---- writing ---- */

struct part { /* a range, or a table that is not cut */
    struct range_table *table;
    size_t number;
};
struct writing {
    const struct rows_spec *spec;
    struct part *parts; /* in the order of the table of contents */
    size_t count;
    int known_fd;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    /* Below the lock, as are the frames. */
    const struct range_table *open; /* its block is begun */
    size_t done, left;              /* parts of tables before it; parts of it that are to come */
    struct rows_counts counts;
    struct err err; /* the first failure; nothing is written after it */
};
/* What one connection has of a part. */
struct haul {
    struct writing *w;
    PGconn *conn;
    const struct part *part;
    struct range *range;
    bool locked, more; /* more: COPY has not come to its end */
    struct str bytes;
    uint64_t rows;
};

static void haul_end(struct haul *haul)
{
    if (haul->locked)
        (void)pthread_mutex_unlock(&haul->w->lock);
    str_free(&haul->bytes);
}

static int add(struct writing *w, const void *bytes, size_t len, struct err *err)
{
    w->counts.content += len;
    if (w->spec->progress)
        w->spec->progress(w->spec->ctx, len);
    return frames_add(w->spec->frames, bytes, len, err);
}

static int add_int(struct writing *w, int value, struct err *err)
{
    uint8_t raw[TOC_INT_MAX + 1] = { value < 0 };
    unsigned size = w->spec->toc->int_size;
    uint64_t left = (uint64_t)(value < 0 ? -(int64_t)value : value);
    for (unsigned i = 1; i <= size; i++, left >>= 8)
        raw[i] = (uint8_t)left;
    return add(w, raw, size + 1, err);
}

static int add_chunk(struct writing *w, const void *bytes, size_t len, struct err *err)
{
    int rc = len > 0 ? add_int(w, (int)len, err) : 0;
    return rc == 0 && len > 0 ? add(w, bytes, len, err) : rc;
}

/* A block of rows: its kind, the item's number, pieces with their lengths, and none. */
static int block_begin(struct writing *w, uint8_t kind, size_t item, struct err *err)
{
    int rc = add(w, &kind, 1, err);
    return rc == 0 ? add_int(w, w->spec->toc->items[item].id, err) : rc;
}

static int block_end(struct writing *w, struct err *err)
{
    int rc = add_chunk(w, END_OF_DATA, sizeof END_OF_DATA - 1, err);
    return rc == 0 ? add_int(w, 0, err) : rc;
}

/* ---- COPY ---- */

static int said_no(PGconn *conn, const PGresult *result, const struct range_table *t,
                   struct err *err)
{
    const char *words = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    words = words ? words : PQerrorMessage(conn);
    return err_set(err, PQstatus(conn) == CONNECTION_BAD ? FAIL_UNREACHABLE : FAIL_DATABASE,
                   "copy table %s: %.*s%s%s%s", t->quoted, (int)strcspn(words, "\n"), words,
                   state ? " (SQLSTATE " : "", state ? state : "", state ? ")" : "");
}

static int copy_begin(struct haul *h, struct err *err)
{
    const struct range_table *t = h->part->table;
    CLEANUP(database_result_free) PGresult *result = NULL;
    CLEANUP(free_mem)
    char *where = range_where(h->w->spec->ranges, t, h->part->number, "confleet_row_");
    int inner = t->columns_len > 2 ? t->columns_len - 2 : 0;
    CLEANUP(free_mem)
    char *sql = t->step == 0
                    ? text_printf("COPY %s %.*s TO STDOUT", t->quoted, t->columns_len, t->columns)
                    : text_printf("COPY (SELECT %.*s FROM ONLY %s AS confleet_row_%s) TO STDOUT",
                                  inner, inner ? t->columns + 1 : "", t->quoted, where);
    result = PQexec(h->conn, sql);
    if (PQresultStatus(result) != PGRES_COPY_OUT)
        return said_no(h->conn, result, t, err);
    h->more = true;
    return 0;
}

static int copy_end(struct haul *h, struct err *err)
{
    int rc = 0;
    uint64_t told = 0;
    for (PGresult *result; (result = PQgetResult(h->conn)) != NULL; PQclear(result))
        if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK)
            rc = said_no(h->conn, result, h->part->table, err);
        else if (rc == 0 && !text_parse_u64(PQcmdTuples(result), UINT64_MAX, &told))
            rc = said_no(h->conn, NULL, h->part->table, err);
    h->more = false;
    if (rc == 0 && (h->rows != h->range->rows || told != h->range->rows))
        return err_set(err, FAIL_CONFLICT,
                       "table %s: %llu rows came, %llu were counted in the same snapshot",
                       h->part->table->quoted, (unsigned long long)h->rows,
                       (unsigned long long)h->range->rows);
    return rc;
}

/* Until the buffer is full or all is there. */
static int copy_more(struct haul *h, struct err *err)
{
    while (h->more && h->bytes.len < BUFFER) {
        char *row = NULL;
        int len = PQgetCopyData(h->conn, &row, 0);
        if (len == -2)
            return said_no(h->conn, NULL, h->part->table, err);
        if (len < 0)
            return copy_end(h, err);
        str_add_bytes(&h->bytes, row, (size_t)len);
        PQfreemem(row);
        h->rows++;
    }
    return 0;
}

/* ---- in its turn ---- */

/* The block of this part's table is open, or is opened by whoever comes first: nothing is written
 * before all of the tables before it. */
static int take_turn(struct haul *h, struct err *err)
{
    struct writing *w = h->w;
    const struct part *first = h->part - h->part->number;
    (void)pthread_mutex_lock(&w->lock);
    h->locked = true;
    while (w->done != (size_t)(first - w->parts) && w->err.code == 0)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    if (w->err.code != 0)
        return err_set(err, (enum fail)w->err.code, "%s", w->err.text);
    if (w->open == h->part->table)
        return 0;
    w->open = h->part->table;
    w->left = w->open->count;
    return block_begin(w, TOC_BLOCK_DATA, w->open->item, err);
}

static int give_turn(struct haul *h, struct err *err)
{
    struct writing *w = h->w;
    if (--w->left > 0)
        return 0;
    int rc = block_end(w, err);
    w->done += w->open->count;
    (void)pthread_cond_broadcast(&w->moved);
    return rc;
}

static int write_copy(struct haul *h, struct err *err)
{
    int rc = 0;
    while (rc == 0 && (h->more || h->bytes.len > 0)) {
        rc = add_chunk(h->w, h->bytes.s, h->bytes.len, err);
        str_clear(&h->bytes);
        if (rc == 0)
            rc = copy_more(h, err);
    }
    return rc;
}

/* ---- what was dumped before ---- */

/* The frames as they are stored, each compared with its digest; false: they are not what they were,
 * and the rows are copied. */
static bool read_kept(struct haul *h, const struct range *then)
{
    const struct ranges *known = h->w->spec->known;
    for (size_t i = 0; i < then->frames; i++) {
        const struct frame *f = &known->frames.item[then->frame + i];
        uint8_t sha256[HASH_SIZE];
        CLEANUP(free_mem) uint8_t *bytes = mem_grow(NULL, (size_t)f->stored, 1);
        for (size_t got = 0; got < f->stored;) {
            ssize_t n = pread(h->w->known_fd, bytes + got, (size_t)f->stored - got,
                              (off_t)(f->at + got));
            if (n <= 0 && (n == 0 || errno != EINTR))
                return false;
            got += n > 0 ? (size_t)n : 0;
        }
        hash_bytes(bytes, (size_t)f->stored, sha256);
        if (memcmp(sha256, f->packed, HASH_SIZE) != 0)
            return false;
        str_add_bytes(&h->bytes, bytes, (size_t)f->stored);
    }
    return true;
}

static int write_kept(struct haul *h, const struct range *then, struct err *err)
{
    struct writing *w = h->w;
    const char *at = h->bytes.s;
    int rc = 0;
    for (size_t i = 0; i < then->frames && rc == 0; i++) {
        const struct frame *f = &w->spec->known->frames.item[then->frame + i];
        rc = frames_put(w->spec->frames, f, at, err);
        at += f->stored;
        w->counts.content += f->content;
        if (w->spec->progress)
            w->spec->progress(w->spec->ctx, f->content);
    }
    w->counts.kept++;
    return rc;
}

static int write_part(struct haul *h, const struct range *then, struct err *err)
{
    struct frames_writer *frames = h->w->spec->frames;
    bool cut = h->part->table->step > 0;
    int rc = take_turn(h, err);
    if (rc == 0 && cut)
        rc = frames_cut(frames, err);
    h->range->frame = (size_t)frames_number(frames);
    if (rc == 0)
        rc = then ? write_kept(h, then, err) : write_copy(h, err);
    if (rc == 0 && cut)
        rc = frames_cut(frames, err);
    h->range->frames = cut ? (size_t)frames_number(frames) - h->range->frame : 0;
    h->w->counts.ranges += cut;
    return rc == 0 ? give_turn(h, err) : rc;
}

static int do_part(void *ctx, size_t worker, PGconn *conn, size_t job, struct err *err)
{
    struct writing *w = ctx;
    const struct part *part = &w->parts[job];
    CLEANUP(haul_end) struct haul h = { .w = w, .conn = conn, .part = part };
    h.range = &w->spec->ranges->items[part->table->first + part->number];
    const struct range *then =
        w->known_fd >= 0 ? range_known(w->spec->known, part->table, part->number, h.range) : NULL;
    (void)worker;
    if (then && !read_kept(&h, then)) {
        str_clear(&h.bytes);
        then = NULL;
    }
    int rc = then ? 0 : copy_begin(&h, err);
    if (rc == 0 && !then)
        rc = copy_more(&h, err);
    if (rc == 0)
        rc = write_part(&h, then, err);
    if (rc == 0)
        return 0;
    if (!h.locked)
        (void)pthread_mutex_lock(&w->lock);
    h.locked = true;
    if (w->err.code == 0)
        w->err = *err;
    (void)pthread_cond_broadcast(&w->moved);
    return rc;
}

static int by_item(const void *a, const void *b)
{
    const struct range_table *x = ((const struct part *)a)->table,
                             *y = ((const struct part *)b)->table;
    size_t m = ((const struct part *)a)->number, n = ((const struct part *)b)->number;
    return x != y ? (x->item > y->item) - (x->item < y->item) : (m > n) - (m < n);
}

/* ---- large objects ---- */

static int add_object(struct writing *w, PGconn *conn, const char *oid, struct err *err)
{
    uint64_t number = 0;
    int rc = text_parse_u64(oid, UINT32_MAX, &number)
                 ? add_int(w, (int)(uint32_t)number, err)
                 : err_set(err, FAIL_DATABASE, "'%.20s' is no large object's number", oid);
    for (int64_t at = 0; rc == 0; at += OBJECT_PIECE) {
        CLEANUP(database_result_free) PGresult *result = NULL;
        char from[24], len[24];
        (void)snprintf(from, sizeof from, "%lld", (long long)at);
        (void)snprintf(len, sizeof len, "%d", OBJECT_PIECE);
        result = PQexecParams(conn, "SELECT pg_catalog.lo_get($1::oid, $2::int8, $3::int4)", 3,
                              NULL, (const char *[]){ oid, from, len }, NULL, NULL, 1);
        if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
            return err_set(err, FAIL_DATABASE, "read large object %s: %.300s", oid,
                           PQresultErrorMessage(result));
        if (PQgetlength(result, 0, 0) == 0)
            break;
        rc = add_chunk(w, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0), err);
    }
    return rc == 0 ? add_int(w, 0, err) : rc;
}

static int add_objects(struct writing *w, struct err *err)
{
    PGconn *conn = w->spec->crew->conns[0];
    CLEANUP(database_result_free) PGresult *list = NULL;
    int rc = database_query(conn, "SELECT oid FROM pg_largeobject_metadata ORDER BY oid", 0, NULL,
                            &list, err);
    if (rc == 0 && (uint64_t)PQntuples(list) != w->spec->objects)
        return err_set(err, FAIL_CONFLICT,
                       "%d large objects came, %llu were counted in the same snapshot",
                       PQntuples(list), (unsigned long long)w->spec->objects);
    if (rc == 0)
        rc = block_begin(w, TOC_BLOCK_OBJECTS, w->spec->ranges->objects_item, err);
    for (int i = 0; rc == 0 && i < PQntuples(list); i++)
        rc = add_object(w, conn, PQgetvalue(list, i, 0), err);
    return rc == 0 ? add_int(w, 0, err) : rc;
}

static void writing_end(struct writing *w)
{
    close_fd(&w->known_fd);
    free(w->parts);
}

int rows_write(const struct rows_spec *spec, struct rows_counts *ret, struct err *err)
{
    CLEANUP(writing_end) struct writing w = { .spec = spec, .known_fd = -1 };
    struct err ignored = { 0 };
    w.parts = mem_zero(spec->ranges->count + 1, sizeof *w.parts);
    for (size_t i = 0; i < spec->ranges->table_count; i++)
        for (size_t k = 0; k < spec->ranges->tables[i].count; k++)
            w.parts[w.count++] = (struct part){ &spec->ranges->tables[i], k };
    qsort(w.parts, w.count, sizeof *w.parts, by_item);
    if (spec->known)
        w.known_fd = open(spec->known_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    (void)pthread_mutex_init(&w.lock, NULL);
    (void)pthread_cond_init(&w.moved, NULL);
    int rc = crew_work(spec->crew, w.count, do_part, &w, &ignored) == 0 ? 0 : -w.err.code;
    (void)pthread_mutex_destroy(&w.lock);
    (void)pthread_cond_destroy(&w.moved);
    if (rc != 0 && err)
        *err = w.err;
    if (rc == 0 && spec->ranges->has_objects)
        rc = add_objects(&w, err);
    if (rc == 0)
        *ret = w.counts;
    return rc;
}
