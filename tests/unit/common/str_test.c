#include "confleet/str.h"
#include "confleet/hash.h"
#include "confleet/clock.h"
#include "harness/test.h"

TEST(utf8_is_judged_as_the_standard_says)
{
    CHECK(text_is_utf8("gr\xc3\xbc\xc3\x9f", 6));
    CHECK(!text_is_utf8("\xc0\x80", 2));
    CHECK(!text_is_utf8("\xed\xa0\x80", 3));
    CHECK(!text_is_utf8("\xf4\x90\x80\x80", 4));
    CHECK(!text_is_utf8("\xe2\x82", 2));
}

TEST(numbers_are_taken_whole_or_not_at_all)
{
    uint64_t value = 42;
    CHECK(!text_parse_u64("", 10, &value));
    CHECK(!text_parse_u64("1x", 10, &value));
    CHECK(!text_parse_u64("-1", 10, &value));
    CHECK(!text_parse_u64("11", 10, &value));
    CHECK(!text_parse_u64("99999999999999999999999", UINT64_MAX, &value));
    CHECK_INT(value, 42);
    CHECK(text_parse_u64("10", 10, &value));
    CHECK_INT(value, 10);
}

TEST(names_hold_what_may_stand_in_a_file_name)
{
    CHECK(text_is_name("wiki-01.example"));
    CHECK(!text_is_name("../x"));
    CHECK(!text_is_name("-x"));
    CHECK(!text_is_name("A"));
    CHECK(!text_is_name(""));
}

TEST(sizes_and_times_read_well)
{
    char out[24], when[CLOCK_TEXT_MAX];
    CHECK_STR(text_size(0, out), "0 B");
    CHECK_STR(text_size(4681000000ULL, out), "4.7 GB");
    CHECK_STR(text_size(999999, out), "1.0 MB");
    CHECK_STR(text_duration(80000, out), "1m 20s");
    CHECK_STR(clock_text(1795407480000, when), "2026-11-23T04:18:00Z");
}

TEST(sha256_and_hex_are_the_known_ones)
{
    char hex[HASH_HEX_MAX];
    uint8_t back[4] = { 0 };
    hash_bytes_hex("abc", 3, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hash_is_hex(hex));
    CHECK(hex_parse("00ffA5c3", back, 4));
    CHECK_INT(back[2], 0xa5);
    CHECK(!hex_parse("00ffA5c", back, 4));
    CHECK(!hex_parse("00ffA5cg", back, 4));
}
