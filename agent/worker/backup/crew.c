#include "crew.h"
#include "confleet/cleanup.h"
#include <pthread.h>
#include <string.h>

int crew_open(const struct reach *reach, const char *dbname_or_null, unsigned wanted,
              struct crew *ret, struct err *err)
{
    CLEANUP(crew_close) struct crew crew = { .count = 0 };
    int rc = 0;
    wanted = wanted < 1 ? 1 : wanted < CREW_MAX ? wanted : CREW_MAX;
    /* The server may allow no more than the first, and that one does. */
    while (crew.count < wanted && rc == 0) {
        struct err why = { 0 };
        rc = reach_connect(reach, dbname_or_null, &crew.conns[crew.count], &why);
        if (rc == 0) {
            crew.cancels[crew.count] = PQgetCancel(crew.conns[crew.count]);
            crew.count++;
        } else if (crew.count == 0) {
            if (err)
                *err = why;
            return rc;
        }
    }
    *ret = crew;
    crew = (struct crew){ .count = 0 };
    return 0;
}

void crew_close(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++) {
        PQfreeCancel(crew->cancels[i]);
        database_close(&crew->conns[i]);
    }
    *crew = (struct crew){ .count = 0 };
}

int crew_do(struct crew *crew, const char *sql, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < crew->count && rc == 0; i++)
        rc = database_do(crew->conns[i], sql, err);
    return rc;
}

int crew_begin(struct crew *crew, const char *snapshot_or_null, struct err *err)
{
    for (size_t i = 0; i < crew->count; i++) {
        PGconn *conn = crew->conns[i];
        int rc = PQtransactionStatus(conn) == PQTRANS_IDLE ? 0 : database_do(conn, "ROLLBACK", err);
        if (rc == 0)
            rc = database_do(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", err);
        if (rc == 0 && snapshot_or_null) {
            CLEANUP(pq_drop)
            char *quoted = PQescapeLiteral(conn, snapshot_or_null, strlen(snapshot_or_null));
            CLEANUP(free_mem)
            char *sql = text_printf("SET TRANSACTION SNAPSHOT %s", quoted ? quoted : "''");
            rc = database_do(conn, sql, err);
        }
        if (rc == 0)
            rc = database_do(conn, "SET LOCAL lock_timeout = '60s'", err);
        /* It waits for its turn, or for the others. */
        if (rc == 0)
            rc = database_do(conn, "SET LOCAL idle_in_transaction_session_timeout = 0", err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct shift {
    crew_job *job;
    void *ctx;
    size_t jobs;
    pthread_mutex_t lock;
    size_t next; /* below the lock */
    struct err err;
};
struct worker {
    struct shift *shift;
    size_t number;
    PGconn *conn;
    pthread_t thread;
};

static void *worker_run(void *arg)
{
    const struct worker *w = arg;
    struct shift *s = w->shift;
    for (;;) {
        struct err why = { 0 };
        (void)pthread_mutex_lock(&s->lock);
        size_t job = s->err.code == 0 ? s->next++ : s->jobs;
        (void)pthread_mutex_unlock(&s->lock);
        if (job >= s->jobs)
            return NULL;
        if (s->job(s->ctx, w->number, w->conn, job, &why) == 0)
            continue;
        (void)pthread_mutex_lock(&s->lock);
        if (s->err.code == 0)
            s->err = why;
        (void)pthread_mutex_unlock(&s->lock);
    }
}

int crew_work(struct crew *crew, size_t jobs, crew_job *job, void *ctx, struct err *err)
{
    struct shift shift = { .job = job, .ctx = ctx, .jobs = jobs };
    struct worker workers[CREW_MAX];
    size_t started = 1;
    (void)pthread_mutex_init(&shift.lock, NULL);
    for (size_t i = 0; i < crew->count; i++)
        workers[i] = (struct worker){ .shift = &shift, .number = i, .conn = crew->conns[i] };
    while (started < crew->count && pthread_create(&workers[started].thread, NULL, worker_run,
                                                   &workers[started]) == 0)
        started++;
    (void)worker_run(&workers[0]);
    for (size_t i = 1; i < started; i++)
        (void)pthread_join(workers[i].thread, NULL);
    (void)pthread_mutex_destroy(&shift.lock);
    if (shift.err.code != 0 && err)
        *err = shift.err;
    return -shift.err.code;
}

void crew_cancel(struct crew *crew)
{
    char text[256];
    /* If it cannot be told, what is running is waited for all the same. */
    for (size_t i = 0; i < crew->count; i++)
        if (crew->cancels[i])
            (void)PQcancel(crew->cancels[i], text, sizeof text);
}
