/* pool - many small texts that live and die together. Running out of memory aborts. All zero is the
 * empty pool. */
#pragma once
#include <stddef.h>

struct pool {
    struct pool_chunk *chunk;
};
void *pool_bytes(struct pool *pool, const void *bytes,
                 size_t len); /* a copy, ended by a zero byte that len does not count */
const char *pool_text(struct pool *pool, const char *text);
void pool_join(struct pool *pool, struct pool *other); /* takes what the other one holds */
void pool_free(struct pool *pool);
