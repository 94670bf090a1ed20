#include "controller/edge/pool.h"

#include "confleet/str.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pool_piece {
    struct pool_piece *before;
    max_align_t bytes[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_piece *piece = mem_zero(1, sizeof *piece + size);
    piece->before = pool->last;
    pool->last = piece;
    return piece->bytes;
}

void *pool_copy(struct pool *pool, const void *bytes, size_t len)
{
    void *copy = pool_alloc(pool, len + 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

char *pool_text(struct pool *pool, const char *text)
{
    return pool_copy(pool, text, strlen(text));
}

void pool_push(struct pool *pool, void *array_of_pointers, size_t *count, void *item)
{
    void **array = NULL;
    assert(item);
    memcpy(&array, array_of_pointers, sizeof array);
    /* Grows when the count is a power of two, so nothing but the count need be kept. */
    if ((*count & (*count - 1)) == 0) {
        void **wider = pool_alloc(pool, (*count == 0 ? 1 : *count * 2) * sizeof *wider);
        if (*count > 0)
            memcpy(wider, array, *count * sizeof *wider);
        array = wider;
        memcpy(array_of_pointers, &array, sizeof array);
    }
    array[(*count)++] = item;
}

struct arena *pool_arena(struct pool *pool)
{
    if (!pool->arena)
        pool->arena = arena_new(POOL_DECODED_MAX);
    return pool->arena;
}

void pool_free(struct pool *pool)
{
    arena_free(&pool->arena);
    while (pool->last) {
        struct pool_piece *before = pool->last->before;
        free(pool->last);
        pool->last = before;
    }
}
