/* Walks the table of checks with the fixtures of every family. */
#if __has_include("fixtures_site.h")
#include "fixtures_site.h"
#define HAVE_SITE
#endif
#if __has_include("fixtures_path.h")
#include "fixtures_path.h"
#define HAVE_PATH
#endif
#if __has_include("fixtures_licence.h")
#include "fixtures_licence.h"
#define HAVE_LICENCE
#endif
#if __has_include("fixtures_platform.h")
#include "fixtures_platform.h"
#define HAVE_PLATFORM
#endif
#if __has_include("fixtures_database.h")
#include "fixtures_database.h"
#define HAVE_DATABASE
#endif
#if __has_include("fixtures_apps.h")
#include "fixtures_apps.h"
#define HAVE_APPS
#endif
#if __has_include("fixtures_custom.h")
#include "fixtures_custom.h"
#define HAVE_CUSTOM
#endif
#if __has_include("fixtures_operations.h")
#include "fixtures_operations.h"
#define HAVE_OPERATIONS
#endif
#if __has_include("fixtures_backup.h")
#include "fixtures_backup.h"
#define HAVE_BACKUP
#endif

#include "confleet/waiver.h"

struct family_fixtures {
    const char *name;
    const struct fixture *fixtures;
};
static const struct family_fixtures families[] = {
#ifdef HAVE_SITE
    { "site", fixtures_site },
#endif
#ifdef HAVE_PATH
    { "path", fixtures_path },
#endif
#ifdef HAVE_LICENCE
    { "licence", fixtures_licence },
#endif
#ifdef HAVE_PLATFORM
    { "platform", fixtures_platform },
#endif
#ifdef HAVE_DATABASE
    { "database", fixtures_database },
#endif
#ifdef HAVE_APPS
    { "apps", fixtures_apps },
#endif
#ifdef HAVE_CUSTOM
    { "custom", fixtures_custom },
#endif
#ifdef HAVE_OPERATIONS
    { "operations", fixtures_operations },
#endif
#ifdef HAVE_BACKUP
    { "backup", fixtures_backup },
#endif
    { NULL, NULL },
};

static const struct fixture *fixtures_of(const char *family)
{
    for (const struct family_fixtures *item = families; item->name; item++)
        if (strcmp(item->name, family) == 0)
            return item->fixtures;
    return NULL;
}

/* A check that only tells has no failing form but info. */
static bool tells_only(const struct fixture *fixtures, const char *id)
{
    for (const struct fixture *fixture = fixtures; fixture->id; fixture++)
        if (strcmp(fixture->id, id) == 0 &&
            (fixture->severity == WARN || fixture->severity == BLOCK))
            return false;
    return true;
}

static void every_form(const struct fixture *fixtures, const struct check_def *check)
{
    bool good = false, bad = false, unknown = false, tells = tells_only(fixtures, check->id);
    for (const struct fixture *fixture = fixtures; fixture->id; fixture++) {
        if (strcmp(fixture->id, check->id) != 0)
            continue;
        Confleet__Severity severity = fixture->severity;
        /* The good state of a check that tells something may be info. */
        good = good || severity == OK || (severity == INFO && !fixture->set);
        bad = bad || severity == WARN || severity == BLOCK || (tells && severity == INFO);
        unknown = unknown || severity == UNKNOWN;
    }
    if (!good || !bad || !unknown)
        print_error("%s lacks a fixture:%s%s%s\n", check->id, good ? "" : " ok",
                    bad ? "" : " failing", unknown ? "" : " unknown");
    CHECK(good && bad && unknown);
}

TEST(every_check_has_an_ok_a_failing_and_an_unknown_fixture)
{
    for (const struct check_family *family = check_families; family->name; family++) {
        const struct fixture *fixtures = fixtures_of(family->name);
        CHECK(fixtures != NULL);
        CHECK(family->checks[0].id != NULL);
        for (const struct check_def *check = family->checks; check->id; check++)
            every_form(fixtures, check);
    }
}

TEST(every_fixture_is_judged_as_it_says)
{
    for (const struct family_fixtures *family = families; family->name; family++)
        for (const struct fixture *fixture = family->fixtures; fixture->id; fixture++) {
            struct facts facts = good_facts();
            CHECK(check_find(fixture->id) != NULL);
            /* What fails says what to do. */
            CHECK((fixture->severity != WARN && fixture->severity != BLOCK) ||
                  check_find(fixture->id)->remedy[0] != 0);
            if (fixture->set)
                fixture->set(&facts);
            CHECK_HAS(judged(fixture->id, &facts, fixture->severity), fixture->says);
        }
}

TEST(no_fixture_serves_two_severities)
{
    for (const struct family_fixtures *family = families; family->name; family++)
        for (const struct fixture *a = family->fixtures; a->id; a++)
            for (const struct fixture *b = a + 1; b->id; b++)
                CHECK(strcmp(a->id, b->id) != 0 || a->set != b->set);
}

TEST(what_may_never_be_waived_is_a_check_that_exists)
{
    struct err err = { 0 };
    for (size_t i = 0; waiver_never[i]; i++) {
        if (!check_find(waiver_never[i]))
            print_error("waiver.c names '%s', which is no check\n", waiver_never[i]);
        CHECK(check_find(waiver_never[i]) != NULL);
        CHECK_INT(waiver_allowed(waiver_never[i], &err), -FAIL_DENIED);
        CHECK_HAS(err.text, waiver_never[i]);
        err_clear(&err);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(waiver_never[i], waiver_never[k]) != 0);
    }
    CHECK_OK(waiver_allowed("heap", &err), err);
}
