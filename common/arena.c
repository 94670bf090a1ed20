#include "confleet/wire.h"
#include "arena_inside.h"
#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

#define CHUNK_SIZE 16384

/* Memory is taken in chunks, so that a sanitizer sees a write behind the last one and a small
 * message costs little. */
struct chunk {
    struct chunk *next;
    size_t size, used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *chunks;
    size_t size_max, size;
    bool exhausted;
    ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

/* Memory goes back with the arena, whole. */
static void allocator_free(void *data, void *pointer)
{
    (void)data, (void)pointer;
}

struct arena *arena_new(size_t size_max)
{
    struct arena *arena = mem_zero(1, sizeof *arena);
    arena->size_max = size_max;
    arena->allocator = (ProtobufCAllocator){ allocator_alloc, allocator_free, arena };
    return arena;
}

void arena_free(struct arena **arena)
{
    assert(arena);
    if (!*arena)
        return;
    for (struct chunk *chunk = (*arena)->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*arena);
    *arena = NULL;
}

ProtobufCAllocator *arena_allocator(struct arena *arena)
{
    return &arena->allocator;
}

bool arena_is_exhausted(const struct arena *arena)
{
    return arena->exhausted;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(arena);
    /* The rounding below cannot overflow once the size is known to fit the budget. */
    if (size > arena->size_max - arena->size) {
        arena->exhausted = true;
        return NULL;
    }
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (rounded == 0)
        rounded = alignof(max_align_t);
    if (rounded > arena->size_max - arena->size) {
        arena->exhausted = true;
        return NULL;
    }
    struct chunk *chunk = arena->chunks;
    if (!chunk || rounded > chunk->size - chunk->used) {
        size_t chunk_size = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;
        chunk = mem_zero(1, sizeof *chunk + chunk_size);
        chunk->size = chunk_size;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->size += rounded;
    return memory;
}
