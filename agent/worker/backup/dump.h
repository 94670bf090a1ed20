/* dump - a database into frames with a digest each, and out of them again into pg_restore.
 *
 * The dump and everything that contents counts come from one exported snapshot. On the way back a
 * frame's digest is checked before its bytes reach pg_restore, so that damage cannot be parsed, let
 * alone restored. Writes nothing but its file in the store. */
#pragma once
#include "agent/worker/backup/reach.h"
#include "agent/worker/backup/store.h"

#define DUMP_NAME "database.dump.zst"

struct dump_spec {
    const struct reach *reach;
    const char *pg_bin; /* "": find the newest that is safe */
    const char *ending; /* of the backup's folder */
    bool still;         /* the service is stopped: a sequence that moves is FAIL_CONFLICT */
    PGconn *conn;       /* a session in it to count by, borrowed; NULL: one is opened */
    /* When the snapshot is taken and pg_dump is to enter; may be NULL. */
    int (*enter)(void *enter_ctx, struct err *err);
    void *enter_ctx;
    unsigned threads;   /* that compress, and connections; with any, rows are counted while the dump
                           runs */
    bool ranges;        /* RANGES_NAME is written beside it, for a dump that is built on this one */
    const char *base_id; /* of the backup that it is built on; "" or NULL: none */
};
/* Of the parts of large tables, how many were taken over from the base as they are stored there. */
struct dump_counts {
    uint64_t ranges, kept;
};
/* Fills dump and contents of the manifest; the file is synced. What is no row, and what is not
 * understood, is as pg_dump writes it; rows come over connections of our own, several at once for one
 * table. ret_counts may be NULL. */
int dump_make(const struct store *store, struct manifest *manifest, const struct dump_spec *spec,
              pack_progress *progress, void *ctx, struct dump_counts *ret_counts,
              struct err *err) MUST_USE;

/* Schema, indexes and all that is no row by pg_restore, which is given the dump's table of contents
 * in a file; the rows over connections of our own, several at once for one table. A dump that is
 * made otherwise, or that holds large objects, goes to one pg_restore as a stream.
 *
 * create: the database as it was, by its own name, from a connection to dbname, and durable; else
 * into dbname. Large values are compressed by lz4 where the server can and nobody chose otherwise.
 */
struct restore_spec {
    const struct reach *reach;
    const char *pg_bin, *dbname;
    int server_version;
    bool create, fast; /* fast: a copy that is thrown away */
    unsigned threads;  /* connections and jobs beside each other; 0 is one */
};
int dump_restore(const char *path, const struct manifest_dump *dump,
                 const struct restore_spec *spec, pack_progress *progress, void *ctx,
                 struct err *err) MUST_USE;
/* Same snapshot rules as the dump: one REPEATABLE READ transaction around contents_read(), with its
 * ret->method. */
int dump_describe(PGconn *conn, struct pool *pool, struct contents *ret, struct err *err) MUST_USE;
/* The same by so many connections, of a database that nobody keeps us out of. */
int dump_describe_at(const struct reach *reach, const char *dbname, unsigned connections,
                     struct pool *pool, struct contents *ret, struct err *err) MUST_USE;
