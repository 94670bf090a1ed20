#include "confleet/cleanup.h"
#include "confleet/properties.h"
#include "harness/test.h"

static const char *value_of(const char *text, const char *name)
{
    static struct properties properties;
    struct err err = { 0 };
    properties_free(&properties);
    CHECK_OK(properties_parse(text, strlen(text), PROPERTIES_LATIN1, &properties, &err), err);
    return properties_get(&properties, name);
}

TEST(names_and_values_are_parted_as_java_does)
{
    CHECK_STR(value_of("a=1", "a"), "1");
    CHECK_STR(value_of("a : 1", "a"), "1");
    CHECK_STR(value_of("  a\t1 2 ", "a"), "1 2 ");
    CHECK_STR(value_of("a", "a"), "");
    CHECK_STR(value_of("a\\ b\\=c = d=e", "a b=c"), "d=e");
    CHECK_STR(value_of("a==b", "a"), "=b");
    CHECK_STR(value_of("a=1\r\nb=2\rc=3\n", "b"), "2");
    CHECK_STR(value_of("a=1\rc=3", "c"), "3");
}

TEST(comments_and_blank_lines_hold_nothing)
{
    CHECK(value_of("#a=1\n  ! a=2\n\n", "a") == NULL);
    CHECK_STR(value_of("# confluence.home=/x\nconfluence.home=/y # no comment", "confluence.home"),
              "/y # no comment");
    CHECK(value_of("#a=1\\\nb=2", "a") == NULL);
    CHECK_STR(value_of("#a=1\\\nb=2", "b"), "2");
}

TEST(the_last_of_two_counts)
{
    CHECK_STR(value_of("a=1\na=2\n#a=3", "a"), "2");
}

TEST(a_backslash_at_the_end_continues_the_line)
{
    CHECK_STR(value_of("a=1\\\n   2\\\r\n3", "a"), "123");
    CHECK_STR(value_of("a \\\n = 1", "a"), "1");
    CHECK_STR(value_of("a=1\\\\\nb=2", "a"), "1\\");
    CHECK_STR(value_of("a=1\\", "a"), "1");
}

TEST(escapes_become_utf8)
{
    CHECK_STR(value_of("a=\\u00e9\\u20AC\\t\\:", "a"), "\xc3\xa9\xe2\x82\xac\t:");
    CHECK_STR(value_of("a=\\ud83d\\ude00!", "a"), "\xf0\x9f\x98\x80!");
    CHECK_STR(value_of("a=\\ud83d!", "a"), "\xef\xbf\xbd!");
    CHECK_STR(value_of("a=\\ude00!", "a"), "\xef\xbf\xbd!");
    CHECK_STR(value_of("a=x\\u0000y", "a"), "xy");
    CHECK_STR(value_of("a=\xe9", "a"), "\xc3\xa9");
}

TEST(raw_bytes_stay_as_they_are)
{
    CLEANUP(properties_free) struct properties properties = { 0 };
    struct err err = { 0 };
    CHECK_OK(properties_parse("a=\xe9\\\\", 5, PROPERTIES_RAW, &properties, &err), err);
    CHECK_STR(properties_get(&properties, "a"), "\xe9\\");
}

TEST(a_broken_escape_is_refused_with_its_line)
{
    CLEANUP(properties_free) struct properties properties = { 0 };
    struct err err = { 0 };
    CHECK_INT(properties_parse("a=1\nb=\\u12g4", 12, PROPERTIES_LATIN1, &properties, &err),
              -FAIL_CORRUPT);
    CHECK_HAS(err.text, "line 2");
    CHECK_INT(properties.count, 0);
}

TEST(more_bytes_than_the_limit_are_refused)
{
    CLEANUP(free_mem) char *big = mem_zero(1, PROPERTIES_SIZE_MAX + 1);
    CLEANUP(properties_free) struct properties properties = { 0 };
    struct err err = { 0 };
    CHECK_INT(properties_parse(big, PROPERTIES_SIZE_MAX + 1, PROPERTIES_LATIN1, &properties, &err),
              -FAIL_LIMIT);
}

TEST(more_names_than_the_limit_are_refused)
{
    CLEANUP(free_mem) char *many = mem_zero(PROPERTIES_COUNT_MAX + 2, 2);
    for (size_t i = 0; i <= PROPERTIES_COUNT_MAX; i++)
        memcpy(many + 2 * i, "a\n", 2);
    CLEANUP(properties_free) struct properties properties = { 0 };
    struct err err = { 0 };
    CHECK_INT(properties_parse(many, 2 * (PROPERTIES_COUNT_MAX + 1), PROPERTIES_LATIN1, &properties,
                               &err),
              -FAIL_LIMIT);
}
