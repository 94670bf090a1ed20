/* pool - memory of one reply: taken in pieces, given back all at once. Zeroed; running out aborts.
 *
 * For what the controller itself builds; what peers send is decoded in a bounded arena (wire.h). */
#pragma once
#include "confleet/wire.h"
#include <stddef.h>

#define POOL_DECODED_MAX ((size_t)256 * 1024 * 1024)

struct pool {
    struct pool_piece *last;
    struct arena *arena;
}; /* all zero: empty */

void *pool_alloc(struct pool *pool, size_t size);
char *pool_text(struct pool *pool, const char *text); /* a copy */
void *pool_copy(struct pool *pool, const void *bytes, size_t len);
/* Adds one pointer to a growing array of pointers, the form of a repeated message field. */
void pool_push(struct pool *pool, void *array_of_pointers, size_t *count, void *item);
/* For decoding messages of our own store that live as long as the pool. */
struct arena *pool_arena(struct pool *pool);
void pool_free(struct pool *pool); /* fits CLEANUP() */
