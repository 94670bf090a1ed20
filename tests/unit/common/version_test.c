#include "confleet/version.h"
#include "harness/test.h"

static struct version parsed(const char *text)
{
    struct version version = { 0 };
    if (!version_parse(text, &version))
        print_error("'%s' is no version\n", text);
    CHECK(version_parse(text, &version));
    return version;
}

TEST(versions_come_in_the_order_of_their_releases)
{
    static const char *const order[] = {
        "1.0.3",        "1.0.3a",     "1.1.2",           "2.1.5",           "2.1.5a",
        "2.2",          "2.2.1",      "2.10.4",          "3.2.1",           "3.2.1_01",
        "3.2.1_02",     "3.2.1a",     "3.2.1-OD-31-009", "3.2.1-OD-31-010", "3.2.2",
        "8.0.0-alpha1", "8.0.0-m014", "8.0.0-m015",      "8.0.0-beta1",     "8.0.0-rc1",
        "8.0.0-rc2",    "8.0.0",      "8.0.0.1",         "8.0.1",           "9.2.9",
        "9.2.13",       "10.0.0",
    };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (size_t j = 0; j < sizeof order / sizeof *order; j++) {
            struct version a = parsed(order[i]), b = parsed(order[j]);
            int want = (i > j) - (i < j), got = version_compare(&a, &b);
            if ((got > 0) - (got < 0) != want)
                print_error("%s against %s: %d\n", order[i], order[j], got);
            CHECK_INT((got > 0) - (got < 0), want);
        }
}

TEST(forms_of_one_version_are_equal)
{
    static const char *const same[][2] = { { "2.2", "2.2.0" },
                                           { "9.1.2-m01", "9.1.2-M1" },
                                           { "9.1.2-m01", "9.1.2-milestone1" },
                                           { "2.1.5a", "2.1.5A" },
                                           { "3.2.1_01", "3.2.1_1" } };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct version a = parsed(same[i][0]), b = parsed(same[i][1]);
        CHECK_INT(version_compare(&a, &b), 0);
    }
}

TEST(what_is_no_version_is_refused_and_changes_nothing)
{
    static const char *const bad[] = { "",
                                       "9",
                                       "9.",
                                       ".9",
                                       "9.2.",
                                       "9..2",
                                       "9.2.1.4.5",
                                       "9.2-",
                                       "9.2_",
                                       "9.2_a",
                                       "9.2ab",
                                       "9.2.1-odd1",
                                       "9.2.1-rcx",
                                       "v9.2",
                                       " 9.2",
                                       "9.2 ",
                                       "9.2\n",
                                       "-1.2",
                                       "9.2-rc1-",
                                       "9.2-od-",
                                       "9.2-od-1",
                                       "9.2-od-1-",
                                       "9.2-od-1-2-3",
                                       "9.2-od-1-1000",
                                       "9.1234567890",
                                       "9.2-m0000000000000000000000000001" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct version version = { .rank = 7 };
        if (version_parse(bad[i], &version))
            print_error("'%s' was taken\n", bad[i]);
        CHECK(!version_parse(bad[i], &version));
        CHECK_INT(version.rank, 7);
    }
}

TEST(a_feature_version_is_its_first_two_numbers)
{
    struct version a = parsed("9.2.13"), b = parsed("9.2.21"), c = parsed("9.3.1"),
                   d = parsed("9.2");
    CHECK(version_same_feature(&a, &b));
    CHECK(version_same_feature(&a, &d));
    CHECK(!version_same_feature(&a, &c));
    CHECK(version_at_least(&a, 8, 9));
    CHECK(version_at_least(&a, 9, 2));
    CHECK(!version_at_least(&a, 9, 3));
    CHECK(!version_at_least(&a, 10, 0));
}
