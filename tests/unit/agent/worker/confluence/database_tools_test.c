#include "agent/worker/confluence/database.h"
#include "tree.h"
#include <unistd.h>

/* A folder with programs that say they are of this version. */
static const char *with_tools(const char *dump, const char *restore)
{
    const char *dir = test_dir();
    char text[200];
    (void)snprintf(text, sizeof text, "#!/bin/sh\necho 'pg_dump (PostgreSQL) %s'\n", dump);
    tree_file(dir, "pg_dump", text);
    (void)snprintf(text, sizeof text, "#!/bin/sh\necho 'pg_restore (PostgreSQL) %s'\n", restore);
    tree_file(dir, "pg_restore", text);
    CHECK_INT(chmod(tree_path(dir, "pg_dump"), 0755), 0);
    CHECK_INT(chmod(tree_path(dir, "pg_restore"), 0755), 0);
    return dir;
}

static int judged(const char *dump, const char *restore, int server, int *ret_version,
                  struct err *err)
{
    CLEANUP(free_mem) char *dir = NULL;
    err_clear(err);
    return database_tools(with_tools(dump, restore), server, &dir, ret_version, err);
}

TEST(versions_below_the_safe_ones_are_refused)
{
    static const char *const unsafe[] = {
        "15.19 (Debian 15.19-0+deb12u1)", "16.15", "17.11", "18.6", "14.99", "9.6.24"
    };
    struct err err = { 0 };
    int version = 0;
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
        CHECK_INT(judged(unsafe[i], unsafe[i], 0, &version, &err), -FAIL_UNSUPPORTED);
        CHECK_HAS(err.text, "CVE-2026-116314");
    }
}

TEST(safe_versions_and_newer_majors_are_taken)
{
    static const struct {
        const char *text;
        int version;
    } safe[] = { { "15.20 (Debian 15.20-0+deb12u1)", 150020 },
                 { "16.16", 160016 },
                 { "17.12", 170012 },
                 { "18.7", 180007 },
                 { "19beta1", 190000 },
                 { "20.1", 200001 } };
    struct err err = { 0 };
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
        int version = 0;
        CHECK_OK(judged(safe[i].text, safe[i].text, 150000, &version, &err), err);
        CHECK_INT(version, safe[i].version);
    }
}

TEST(programs_older_than_the_server_are_refused)
{
    struct err err = { 0 };
    int version = 0;
    CHECK_INT(judged("15.20", "15.20", 160001, &version, &err), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "older than the server");
    CHECK_OK(judged("16.16", "16.16", 160001, &version, &err), err);
}

TEST(programs_that_do_not_fit_each_other_or_say_nothing_are_refused)
{
    struct err err = { 0 };
    int version = 0;
    CHECK_INT(judged("15.20", "16.16", 0, &version, &err), -FAIL_MISMATCH);
    CHECK_INT(judged("unknown", "15.20", 0, &version, &err), -FAIL_TOOL);
    CLEANUP(free_mem) char *dir = NULL;
    err_clear(&err);
    CHECK_INT(database_tools(test_dir(), 0, &dir, &version, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "pg_dump");
    CHECK(dir == NULL);
}

TEST(the_newest_of_this_server_is_found)
{
    CLEANUP(free_mem) char *dir = NULL;
    struct err err = { 0 };
    int version = 0;
    if (access("/usr/lib/postgresql/15/bin/pg_dump", X_OK) != 0)
        TEST_SKIP("no PostgreSQL client programs here");
    int result = database_tools("", 0, &dir, &version, &err);
    if (result == -FAIL_UNSUPPORTED)
        TEST_SKIP("the client programs here are below the safe versions");
    CHECK_OK(result, err);
    CHECK_HAS(dir, "/usr/lib/postgresql/");
    CHECK(version >= 150020);
    free_mem(&dir);
    CHECK_INT(database_tools("", 990000, &dir, &version, &err), -FAIL_UNSUPPORTED);
}
