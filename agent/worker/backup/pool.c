#include "pool.h"
#include "confleet/str.h"
#include <stdlib.h>
#include <string.h>

#define POOL_CHUNK (256u * 1024)

struct pool_chunk {
    struct pool_chunk *next;
    size_t used, size;
    char bytes[];
};

void *pool_bytes(struct pool *pool, const void *bytes, size_t len)
{
    struct pool_chunk *chunk = pool->chunk;
    if (!chunk || chunk->size - chunk->used <= len) {
        size_t size = len + 1 > POOL_CHUNK ? len + 1 : POOL_CHUNK;
        chunk = mem_grow(NULL, 1, sizeof *chunk + size);
        *chunk = (struct pool_chunk){ .next = pool->chunk, .size = size };
        pool->chunk = chunk;
    }
    char *at = chunk->bytes + chunk->used;
    if (len > 0)
        memcpy(at, bytes, len);
    at[len] = '\0';
    chunk->used += len + 1;
    return at;
}

const char *pool_text(struct pool *pool, const char *text)
{
    return pool_bytes(pool, text, strlen(text));
}

void pool_join(struct pool *pool, struct pool *other)
{
    struct pool_chunk **end = &pool->chunk;
    while (*end)
        end = &(*end)->next;
    *end = other->chunk;
    other->chunk = NULL;
}

void pool_free(struct pool *pool)
{
    for (struct pool_chunk *chunk = pool->chunk; chunk;) {
        struct pool_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    pool->chunk = NULL;
}
