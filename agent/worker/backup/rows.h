/* rows - the rows of a dump, fetched by COPY over connections of our own, in the blocks of pg_dump's
 * custom format.
 *
 * What is no row is pg_dump's: its table of contents says which tables there are and how they are
 * copied. Each range begins a frame and ends with one, so that the next dump of the same database can
 * take over as it is stored what has not changed since. Every part must bring as many rows as were
 * counted of it in the same snapshot. */
#pragma once
#include "agent/worker/backup/pack.h"
#include "agent/worker/backup/ranges.h"
#include "agent/worker/backup/toc.h"

/* Whether what follows the table of contents are the rows of these tables, each once, and the large
 * objects in one block behind them; so they are up to PostgreSQL 16, and never with a table of an
 * extension. Notes which is which; borrows from toc. */
bool rows_match(const struct toc *toc, struct ranges *ranges);

struct rows_spec {
    struct crew *crew; /* in transactions of one snapshot, the one that was counted in */
    const struct toc *toc;
    struct ranges *ranges; /* counted; gets its frames */
    struct frames_writer *frames; /* behind the table of contents */
    const struct ranges *known;   /* of a dump that was taken before; NULL: none */
    const char *known_path;       /* that dump */
    uint64_t objects;             /* large ones that were counted */
    pack_progress *progress;      /* by one thread at a time */
    void *ctx;
};
struct rows_counts {
    uint64_t content; /* bytes added to the frames */
    uint64_t ranges, kept; /* of tables that are cut */
};
int rows_write(const struct rows_spec *spec, struct rows_counts *ret, struct err *err) MUST_USE;
