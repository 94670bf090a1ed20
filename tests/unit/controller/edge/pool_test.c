#include "controller/edge/pool.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

TEST(an_array_of_pointers_grows_and_keeps_its_order)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    char **items = NULL;
    size_t count = 0;
    for (int i = 0; i < 1000; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        pool_push(&pool, &items, &count, pool_text(&pool, text));
    }
    CHECK_INT(count, 1000);
    CHECK_STR(items[0], "0");
    CHECK_STR(items[511], "511");
    CHECK_STR(items[512], "512");
    CHECK_STR(items[999], "999");
}

TEST(memory_is_zeroed_aligned_and_copies_end_in_a_zero)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    for (size_t size = 0; size < 100; size++) {
        unsigned char *bytes = pool_alloc(&pool, size);
        CHECK_INT((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            CHECK_INT(bytes[i], 0);
    }
    CHECK_STR((char *)pool_copy(&pool, "abc", 2), "ab");
    CHECK_STR((char *)pool_copy(&pool, NULL, 0), "");
    CHECK(pool_arena(&pool) == pool_arena(&pool));
}
