/* toc - what pg_dump's custom format says about itself: the table of contents, and how its blocks
 * of rows are marked.
 *
 * Reads bytes that were verified before; still trusts no length in them. Understands archives of
 * versions 1.14 to 1.16 (PostgreSQL 12 to 18) without compression and says so of others. Restores
 * nothing. */
#pragma once
#include "agent/worker/backup/pool.h"
#include "confleet/err.h"
#include <stdint.h>

enum toc_section { TOC_NONE = 1, TOC_PRE_DATA, TOC_DATA, TOC_POST_DATA };
struct toc_item {
    int id;
    bool has_data; /* a block with this id follows the table of contents */
    int section;
    const char *tag, *what, *definition, *copy; /* what: "TABLE DATA"; copy: its COPY statement */
};
struct toc {
    struct pool pool; /* owns every text */
    struct toc_item *items;
    size_t count, cap;
    size_t toc_size;   /* bytes before the first block */
    unsigned int_size; /* bytes of a number, without its sign */
    unsigned minor;    /* of the archive's version */
};
/* FAIL_UNSUPPORTED for what is not understood. ret_whole: whether these first bytes held the whole
 * table of contents; without it nothing is returned. */
int toc_read(const uint8_t *bytes, size_t len, struct toc *ret, bool *ret_whole,
             struct err *err) MUST_USE;
void toc_free(struct toc *toc); /* fits CLEANUP() */

#define TOC_BLOCK_DATA    1  /* the byte that begins a block of rows */
#define TOC_BLOCK_OBJECTS 3  /* of large objects */
#define TOC_INT_MAX       16 /* a number takes no more bytes */
/* A number as it stands in the toc, 1 + int_size bytes; false when no int can hold it. */
bool toc_int(const uint8_t *bytes, unsigned int_size, int *ret);
