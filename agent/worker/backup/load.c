#include "load.h"
#include "confleet/cleanup.h"
#include "contents.h"
#include <pthread.h>
#include <string.h>

#define BATCH       (512u * 1024)
#define BATCHES     3 /* for each connection: one at work, one waiting, one being filled */
#define END_OF_DATA "\\.\n\n\n"
#define END_LEN     5u

struct batch {
    struct batch *next;
    const char *copy;
    size_t len;
    uint8_t bytes[BATCH];
};
struct lane {
    struct load *load;
    PGconn *conn;
    PGcancel *cancel;
    pthread_t thread;
    struct batch *first, *last; /* to be sent; below the lock */
    size_t waiting;             /* with the one at work */
    const char *copy;           /* begun and not ended; of the thread alone */
};
struct load {
    struct lane lanes[LOAD_CONNECTIONS_MAX];
    size_t lane_count;
    bool joined;
    const char *copy;      /* of the table at hand */
    struct batch *filling; /* NULL: none yet */
    struct lane *middle; /* the batch before this one ended within a row: this one goes there too */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    /* Below the lock. */
    struct batch *free;
    bool ending, dropped;
    struct err err; /* the first failure; nothing is sent after it */
};

/* ---- one connection ---- */

static int said_no(PGconn *conn, const PGresult *result, const char *copy, struct err *err)
{
    const char *words = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    words = words ? words : PQerrorMessage(conn);
    return err_set(err, PQstatus(conn) == CONNECTION_BAD ? FAIL_UNREACHABLE : FAIL_DATABASE,
                   "%.*s: %.*s%s%s%s", (int)strcspn(copy, "\n;"), copy, (int)strcspn(words, "\n"),
                   words, state ? " (SQLSTATE " : "", state ? state : "", state ? ")" : "");
}

static int copy_end(struct lane *lane, struct err *err)
{
    int rc = 0;
    if (!lane->copy)
        return 0;
    if (PQputCopyEnd(lane->conn, NULL) != 1)
        rc = said_no(lane->conn, NULL, lane->copy, err);
    for (PGresult *result; (result = PQgetResult(lane->conn)) != NULL; PQclear(result))
        if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK)
            rc = said_no(lane->conn, result, lane->copy, err);
    lane->copy = NULL;
    return rc;
}

static int copy_begin(struct lane *lane, const char *copy, struct err *err)
{
    CLEANUP(database_result_free) PGresult *result = PQexec(lane->conn, copy);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return said_no(lane->conn, result, copy, err);
    lane->copy = copy;
    return 0;
}

static int send_batch(struct lane *lane, const struct batch *batch, struct err *err)
{
    int rc = 0;
    if (lane->copy != batch->copy) {
        rc = copy_end(lane, err);
        if (rc == 0)
            rc = copy_begin(lane, batch->copy, err);
    }
    if (rc != 0)
        return rc;
    return PQputCopyData(lane->conn, (const char *)batch->bytes, (int)batch->len) == 1
               ? 0
               : said_no(lane->conn, NULL, batch->copy, err);
}

/* Takes the lane's next batch; NULL at the end of all, or after a failure. */
static struct batch *lane_next(struct lane *lane)
{
    struct load *l = lane->load;
    struct batch *batch = NULL;
    (void)pthread_mutex_lock(&l->lock);
    while (!lane->first && !l->ending && l->err.code == 0)
        (void)pthread_cond_wait(&l->moved, &l->lock);
    if (l->err.code == 0 && !l->dropped && (batch = lane->first) != NULL) {
        lane->first = batch->next;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return batch;
}

static void batch_back(struct load *l, struct batch *batch)
{
    batch->next = l->free;
    l->free = batch;
    (void)pthread_cond_broadcast(&l->moved);
}

/* One batch less to do, or none at the end of all. */
static void lane_did(struct lane *lane, struct batch *batch, const struct err *why)
{
    struct load *l = lane->load;
    (void)pthread_mutex_lock(&l->lock);
    if (batch) {
        lane->waiting--;
        batch_back(l, batch);
    }
    if (why->code != 0 && l->err.code == 0)
        l->err = *why;
    (void)pthread_cond_broadcast(&l->moved);
    (void)pthread_mutex_unlock(&l->lock);
}

static void *lane_run(void *arg)
{
    struct lane *lane = arg;
    struct err why = { 0 };
    int rc = 0;
    for (struct batch *batch; rc == 0 && (batch = lane_next(lane)) != NULL;) {
        rc = send_batch(lane, batch, &why);
        lane_did(lane, batch, &why);
    }
    (void)pthread_mutex_lock(&lane->load->lock);
    bool commit = rc == 0 && !lane->load->dropped && lane->load->err.code == 0;
    (void)pthread_mutex_unlock(&lane->load->lock);
    if (commit && copy_end(lane, &why) != 0)
        lane_did(lane, NULL, &why);
    return NULL;
}

/* ---- all of them ---- */

static int prepare(PGconn *conn, const struct load_spec *spec, struct err *err)
{
    if (PQsetClientEncoding(conn, spec->encoding) != 0)
        return err_set(err, FAIL_DATABASE, "encoding %s: %s", spec->encoding, PQerrorMessage(conn));
    for (size_t i = 0; i < sizeof spec->set / sizeof *spec->set && spec->set[i]; i++) {
        CLEANUP(database_result_free) PGresult *result = NULL;
        char name[64];
        const char *value = strchr(spec->set[i], '=');
        (void)snprintf(name, sizeof name, "%.*s", (int)(value - spec->set[i]), spec->set[i]);
        int rc = database_query(conn, "SELECT pg_catalog.set_config($1, $2, false)", 2,
                                (const char *[]){ name, value + 1 }, &result, err);
        if (rc != 0)
            return err_wrap(err, "set %s", spec->set[i]);
    }
    return 0;
}

static int lane_open(struct load *l, const struct load_spec *spec, struct err *err)
{
    struct lane *lane = &l->lanes[l->lane_count];
    CLEANUP(database_close) PGconn *conn = NULL;
    int rc = reach_connect(spec->reach, spec->dbname, &conn, err);
    if (rc == 0)
        rc = prepare(conn, spec, err);
    if (rc != 0)
        return rc;
    *lane = (struct lane){ .load = l, .conn = TAKE(conn) };
    lane->cancel = PQgetCancel(lane->conn);
    if (pthread_create(&lane->thread, NULL, lane_run, lane) != 0) {
        PQfreeCancel(lane->cancel);
        database_close(&lane->conn);
        return err_set(err, FAIL_INTERNAL, "no thread for a connection");
    }
    l->lane_count++;
    (void)pthread_mutex_lock(&l->lock);
    for (int i = 0; i < BATCHES; i++)
        batch_back(l, mem_grow(NULL, 1, sizeof(struct batch)));
    (void)pthread_mutex_unlock(&l->lock);
    return 0;
}

int load_new(const struct load_spec *spec, struct load **ret, struct err *err)
{
    CLEANUP(load_free) struct load *load = mem_zero(1, sizeof *load);
    (void)pthread_mutex_init(&load->lock, NULL);
    (void)pthread_cond_init(&load->moved, NULL);
    int rc = lane_open(load, spec, err);
    if (rc != 0)
        return rc;
    /* The server may allow no more than the first, and that one does. */
    for (unsigned i = 1; i < spec->connections && i < LOAD_CONNECTIONS_MAX; i++) {
        struct err ignored = { 0 };
        if (lane_open(load, spec, &ignored) != 0)
            break;
    }
    *ret = TAKE(load);
    return 0;
}

static void join(struct load *l)
{
    for (size_t i = 0; i < l->lane_count && !l->joined; i++)
        (void)pthread_join(l->lanes[i].thread, NULL);
    l->joined = true;
}

static void batches_free(struct batch *first)
{
    while (first) {
        struct batch *next = first->next;
        free(first);
        first = next;
    }
}

void load_free(struct load **load)
{
    struct load *l = *load;
    if (!l)
        return;
    (void)pthread_mutex_lock(&l->lock);
    l->ending = l->dropped = true;
    (void)pthread_cond_broadcast(&l->moved);
    (void)pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->lane_count; i++) {
        char text[256];
        /* If it cannot be told, the thread is waited for all the same. */
        if (!l->joined && l->lanes[i].cancel)
            (void)PQcancel(l->lanes[i].cancel, text, sizeof text);
    }
    join(l);
    for (size_t i = 0; i < l->lane_count; i++) {
        PQfreeCancel(l->lanes[i].cancel);
        database_close(&l->lanes[i].conn);
        batches_free(l->lanes[i].first);
    }
    batches_free(l->free);
    free(l->filling);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_cond_destroy(&l->moved);
    free(l);
    *load = NULL;
}

void load_table(struct load *load, const char *copy)
{
    load->copy = copy;
    load->middle = NULL;
}

/* An empty batch to fill; waits for one. */
static int batch_take(struct load *l, struct err *err)
{
    (void)pthread_mutex_lock(&l->lock);
    while (!l->free && l->err.code == 0)
        (void)pthread_cond_wait(&l->moved, &l->lock);
    int rc = -l->err.code;
    if (rc != 0 && err)
        *err = l->err;
    if (rc == 0) {
        l->filling = l->free;
        l->free = l->filling->next;
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (rc == 0) {
        l->filling->copy = l->copy;
        l->filling->len = 0;
    }
    return rc;
}

static struct lane *choose(struct load *l)
{
    struct lane *least = &l->lanes[0];
    for (size_t i = 1; i < l->lane_count; i++)
        if (l->lanes[i].waiting < least->waiting)
            least = &l->lanes[i];
    return least;
}

/* within: its last row goes on in the next one. */
static void batch_give(struct load *l, struct batch *batch, bool within)
{
    (void)pthread_mutex_lock(&l->lock);
    struct lane *lane = l->middle ? l->middle : choose(l);
    batch->next = NULL;
    if (lane->first)
        lane->last->next = batch;
    else
        lane->first = batch;
    lane->last = batch;
    lane->waiting++;
    (void)pthread_cond_broadcast(&l->moved);
    (void)pthread_mutex_unlock(&l->lock);
    l->middle = within ? lane : NULL;
}

/* A full batch goes up to its last end of a row that is not part of the end of data; the rest
 * begins the next. */
static int cut(struct load *l, struct err *err)
{
    struct batch *full = l->filling;
    size_t hold = full->len - END_LEN;
    const uint8_t *end = memrchr(full->bytes, '\n', hold);
    size_t keep = end ? (size_t)(end - full->bytes) + 1 : hold, left = full->len - keep;
    int rc = batch_take(l, err);
    if (rc != 0)
        return rc;
    memcpy(l->filling->bytes, full->bytes + keep, left);
    l->filling->len = left;
    full->len = keep;
    batch_give(l, full, end == NULL);
    return 0;
}

int load_add(struct load *load, const void *bytes, size_t len, struct err *err)
{
    const uint8_t *from = bytes;
    int rc = load->filling ? 0 : batch_take(load, err);
    while (rc == 0 && len > 0) {
        size_t room = BATCH - load->filling->len, part = len < room ? len : room;
        memcpy(load->filling->bytes + load->filling->len, from, part);
        load->filling->len += part;
        from += part;
        len -= part;
        if (load->filling->len == BATCH)
            rc = cut(load, err);
    }
    return rc;
}

int load_table_end(struct load *load, struct err *err)
{
    struct batch *batch = load->filling;
    if (!batch || batch->len < END_LEN ||
        memcmp(batch->bytes + batch->len - END_LEN, END_OF_DATA, END_LEN) != 0)
        return err_set(err, FAIL_CORRUPT, "the rows of '%.*s' have no end",
                       (int)strcspn(load->copy, "\n;"), load->copy);
    batch->len -= END_LEN;
    load->filling = NULL;
    if (batch->len > 0) {
        batch_give(load, batch, false);
        return 0;
    }
    (void)pthread_mutex_lock(&load->lock);
    batch_back(load, batch);
    (void)pthread_mutex_unlock(&load->lock);
    return 0;
}

int load_finish(struct load *load, struct err *err)
{
    (void)pthread_mutex_lock(&load->lock);
    load->ending = true;
    (void)pthread_cond_broadcast(&load->moved);
    (void)pthread_mutex_unlock(&load->lock);
    join(load);
    if (load->err.code != 0 && err)
        *err = load->err;
    return -load->err.code;
}
