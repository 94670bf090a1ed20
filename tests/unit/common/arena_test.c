#include "confleet/wire.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <stdalign.h>

TEST(an_arena_gives_zeroed_aligned_memory_until_its_budget_is_used_up)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(100 * 1000);
    size_t total = 0;
    for (size_t size = 1;; size = size * 2 + 1) {
        unsigned char *memory = arena_alloc(arena, size);
        if (!memory)
            break;
        CHECK_INT((uintptr_t)memory % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            CHECK_INT(memory[i], 0);
        memset(memory, 0xff, size);
        total += size;
    }
    CHECK(total > 50 * 1000);
    CHECK(total <= 100 * 1000);
}

TEST(an_arena_refuses_a_size_that_would_overflow_and_goes_on)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(1000);
    CHECK(arena_alloc(arena, SIZE_MAX) == NULL);
    CHECK(arena_alloc(arena, SIZE_MAX - 3) == NULL);
    CHECK(arena_alloc(arena, 1001) == NULL);
    CHECK(arena_alloc(arena, 0) != NULL);
    CHECK(arena_alloc(arena, 900) != NULL);
    CHECK(arena_alloc(arena, 900) == NULL);
}

TEST(an_arena_of_one_chunk_and_a_big_piece_is_freed_whole)
{
    struct arena *arena = arena_new(1 << 20);
    ProtobufCAllocator *allocator = arena_allocator(arena);
    void *small = allocator->alloc(allocator->allocator_data, 8);
    CHECK(small != NULL);
    CHECK(allocator->alloc(allocator->allocator_data, 200 * 1000) != NULL);
    allocator->free(allocator->allocator_data, small);
    arena_free(&arena);
    CHECK(arena == NULL);
    arena_free(&arena);
}
