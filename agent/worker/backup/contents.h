/* contents - what a database holds, counted and digested inside one snapshot, so that two of them
 * can be compared.
 *
 * Read by digest_sql.c from the source, and again from a scratch or restored copy; kept in the
 * manifest. A digest is the sum of one 64-bit hash per row over the row's text under fixed
 * settings, so it does not depend on the order of rows. Texts live in the pool of whoever reads. It
 * holds names and numbers, never a value of a customer's row. */
#pragma once
#include "agent/worker/backup/pool.h"
#include "confleet/err.h"
#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENTS_ITEMS_MAX 200000u /* of each kind */

struct contents_table {
    const char *schema, *name;
    uint64_t rows;
    const char *digest;
};
/* least, most: what was read before and after the dump; equal when nothing moved (always so at the
 * stop). */
struct contents_sequence {
    const char *schema, *name;
    int64_t least, most;
    bool called;
};
struct contents_pair {
    const char *a, *b;
};
struct contents_census {
    const char *kind;
    uint64_t count;
    const char *digest;
};

struct contents {
    uint32_t server_version;
    const char *system; /* identifier of the server's cluster, "" when it may not be read */
    const char *method; /* how rows are hashed: "record64", "hash64" (before PostgreSQL 14), "md5"
                           (before 11) */
    const char *database, *owner, *encoding, *collate, *ctype, *provider, *locale;
    const char *tablespace, *comment;
    bool has_comment;
    int32_t connection_limit;
    uint64_t object_count;
    const char *object_digest; /* large objects */
    struct contents_pair *settings;
    size_t setting_count; /* role ("" for all) and name=value */
    struct contents_pair *acl;
    size_t acl_count; /* one privilege, "" */
    struct contents_pair *extensions;
    size_t extension_count; /* name and version */
    struct contents_pair *roles;
    size_t role_count; /* every role of the server that may own or be granted; "bootstrap" for the
                          first superuser, else "" */
    struct contents_table *tables;
    size_t table_count;
    struct contents_sequence *sequences;
    size_t sequence_count;
    struct contents_census *census;
    size_t census_count; /* views, functions, … : owner, grants and definition */
};
#define CONTENTS_LIMIT_S 86400                 /* for one statement: the largest table's digest */
void contents_free(struct contents *contents); /* the arrays; texts are the pool's */
uint64_t contents_rows(const struct contents *contents);
/* FAIL_MISMATCH with the first difference named: "table public.content: 41 rows, 42 in the backup".
 */
int contents_compare(const struct contents *backup, const struct contents *copy,
                     struct err *err) MUST_USE;
/* The same for what belongs to the database itself: owner, grants, settings, connection limit,
 * comment. */
int contents_compare_database(const struct contents *backup, const struct contents *copy,
                              struct err *err) MUST_USE;

/* digest_sql.c. ret->method: how rows are to be hashed, to be compared with what was hashed so; NULL:
 * as this server does it best. The connection is in a transaction whose snapshot is what is described; settings
 * that shape texts are made ours. */
int contents_read(PGconn *conn, struct pool *pool, struct contents *ret, struct err *err) MUST_USE;
/* The same, the tables by somebody else: fills tables and table_count, rows hashed by the method that
 * stands there. */
typedef int contents_tables(void *ctx, struct pool *pool, struct contents *ret, struct err *err);
int contents_read_by(PGconn *conn, struct pool *pool, struct contents *ret, contents_tables *tables,
                     void *ctx, struct err *err) MUST_USE;
/* For the transaction at hand: texts of values do not depend on what anybody set. */
int contents_settings(PGconn *conn, struct err *err) MUST_USE;
/* The expression that makes a number of the row confleet_row_; by_values: its types allow that. */
const char *contents_row_hash(const char *method, bool by_values);
/* Only the sequences: they do not follow the snapshot, so they are read before a dump too. Widens
 * what is already in contents. */
int contents_widen_sequences(PGconn *conn, struct pool *pool, struct contents *contents,
                             bool *ret_moved, struct err *err) MUST_USE;
