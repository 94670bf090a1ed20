/* crew - several sessions in one database that see the same, and threads that share jobs among them.
 *
 * Takes as many as the server gives, at least one. Decides nothing about what is done in them. */
#pragma once
#include "agent/worker/backup/reach.h"

#define CREW_MAX 4u

struct crew {
    PGconn *conns[CREW_MAX];
    PGcancel *cancels[CREW_MAX];
    size_t count;
};
int crew_open(const struct reach *reach, const char *dbname_or_null, unsigned wanted,
              struct crew *ret, struct err *err) MUST_USE;
void crew_close(struct crew *crew); /* fits CLEANUP() */
/* Each begins a transaction to read in, with this snapshot, or with one of its own. What it was in
 * before ends. */
int crew_begin(struct crew *crew, const char *snapshot_or_null, struct err *err) MUST_USE;
int crew_do(struct crew *crew, const char *sql, struct err *err) MUST_USE; /* in each */

/* Jobs are numbers from 0 in their order; each is done once, by whoever is free. The first failure
 * ends it all. */
typedef int crew_job(void *ctx, size_t worker, PGconn *conn, size_t number, struct err *err);
int crew_work(struct crew *crew, size_t jobs, crew_job *job, void *ctx, struct err *err) MUST_USE;
void crew_cancel(struct crew *crew); /* from any thread: what is running fails soon */
