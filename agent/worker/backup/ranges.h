/* ranges - the tables of a database, the large ones cut into ranges of blocks, so that each part is
 * counted, digested and dumped for itself.
 *
 * A range is told by three things that the server counts in one snapshot: how many rows, the sum of
 * their hashes, and the sum of a hash of each row version's place and transaction. Where all three
 * are what they were, the same row versions stand there with the same content, and what was dumped
 * of it before is what a dump would bring now. Holds numbers and names, never a value. */
#pragma once
#include "agent/worker/backup/contents.h"
#include "agent/worker/backup/crew.h"
#include "agent/worker/backup/frames.h"

#define RANGES_NAME   "database.ranges"
#define RANGES_SINCE  140000 /* reads a range of blocks, and hashes a record */
#define RANGES_METHOD "record64"
/* On the server's disk, about: what has one changed row is dumped anew as a whole. */
#define RANGE_BYTES (1024u * 1024)
#define RANGES_MAX  100000u

__extension__ typedef __int128 range_sum;
__extension__ typedef unsigned __int128 range_bits;

struct range {
    uint64_t from; /* its first block; it ends where the next one of its table begins */
    uint64_t rows;
    range_sum digest, versions;
    size_t frame, frames; /* of the dump: its first one, how many; zero: none */
};
struct range_table {
    const char *schema, *name, *quoted;
    char key[HASH_HEX_MAX]; /* of its name, columns, and how rows are hashed */
    bool by_values, heap;
    uint64_t bytes, blocks; /* with its large values; without */
    uint64_t step;          /* blocks of a range; zero: it is one, and not cut */
    uint64_t rows;          /* as the whole table was counted; of one that is cut */
    size_t first, count;    /* ranges */
    size_t item;            /* of the dump's table of contents */
    const char *columns;    /* from there: "(a, b)" */
    int columns_len;
};
struct ranges {
    struct pool pool;
    const char *method;
    struct range_table *tables;
    size_t table_count;
    struct range *items;
    size_t count;
    bool has_objects;
    size_t objects_item; /* of the dump's table of contents: large objects */
    struct frame_list frames; /* of the dump that they were loaded with */
    uint64_t dump_size;
};
void ranges_free(struct ranges *ranges); /* fits CLEANUP() */

/* The tables of conn's snapshot, locked so that nobody drops or empties them. */
int ranges_list(PGconn *conn, const char *method, struct ranges *ret, struct err *err) MUST_USE;
/* Cuts them: as known is cut, where that has the table (NULL: none is known). */
void ranges_cut(struct ranges *ranges, const struct ranges *known);
/* Rows, digests and versions of all ranges, in transactions of the crew. FAIL_CONFLICT: the ranges
 * of a table are not the table. */
int ranges_count(struct ranges *ranges, struct crew *crew, struct err *err) MUST_USE;
/* What a manifest says of the tables: a contents_tables, ctx is struct ranges. */
int ranges_contents(const struct ranges *ranges, struct pool *pool, struct contents *ret,
                    struct err *err) MUST_USE;
extern const char range_planning[]; /* a statement, for a transaction that reads ranges */
/* " WHERE …" for the rows of a range, of a table by the name of alias; owned by the caller. */
char *range_where(const struct ranges *ranges, const struct range_table *table, size_t number,
                  const char *alias);
/* The same range in a dump that was taken before, if it is as it was; else NULL. */
const struct range *range_known(const struct ranges *known, const struct range_table *table,
                                size_t number, const struct range *now);

/* ranges_file.c: beside a dump, which of its frames hold which range. frames: of that dump. */
int ranges_save(const struct ranges *ranges, const struct frame_list *frames, uint64_t dump_size,
                const char *path, struct err *err) MUST_USE;
int ranges_load(const char *path, struct ranges *ret, struct err *err) MUST_USE;
