#include "agent/worker/confluence/discover.h"
#include "tree.h"
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

static void installation_at(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/bin/start-confluence.sh", name);
    tree_file(dir, path, "#!/bin/sh\n");
    (void)snprintf(path, sizeof path, "%s/confluence/WEB-INF/web.xml", name);
    tree_file(dir, path, "");
}

TEST(installations_below_a_folder_are_found_once)
{
    const char *dir = test_dir();
    CLEANUP(discovery_free) struct discovery found = { 0 };
    installation_at(dir, "atlassian/confluence-9");
    installation_at(dir, "other");
    tree_file(dir, "jira/bin/start-jira.sh", "");
    CHECK_INT(symlink("atlassian/confluence-9", tree_path(dir, "current")), 0);
    CHECK_INT(symlink(".", tree_path(dir, "loop")), 0);
    discover_below(&found, dir);
    CHECK_INT(found.count, 2);
    CHECK(!found.cut_short);
    discover_below(&found, tree_path(dir, "other"));
    CHECK_INT(found.count, 2);
}

TEST(trees_of_upgrades_in_progress_are_not_installations)
{
    const char *dir = test_dir();
    CLEANUP(discovery_free) struct discovery found = { 0 };
    installation_at(dir, ".confleet-confluence-1a2b3c4d/run/new");
    installation_at(dir, ".snapshot/confluence");
    discover_below(&found, dir);
    discover_add(&found, tree_path(dir, ".confleet-confluence-1a2b3c4d/run/new"));
    CHECK_INT(found.count, 0);
}

TEST(deep_trees_are_not_searched_to_the_end)
{
    const char *dir = test_dir();
    CLEANUP(discovery_free) struct discovery found = { 0 };
    installation_at(dir, "a/b/c/d");
    installation_at(dir, "a/b/c/e/f");
    discover_below(&found, dir);
    CHECK_INT(found.count, 1);
}

TEST(a_folder_that_is_not_there_holds_nothing)
{
    CLEANUP(discovery_free) struct discovery found = { 0 };
    discover_below(&found, "/nonexistent/confluence");
    discover_running(&found, test_dir());
    CHECK_INT(found.count, 0);
    CHECK(!found.cut_short);
    discover_running(&found, "/nonexistent/proc");
    CHECK(found.cut_short);
}

TEST(a_search_that_could_not_look_says_so)
{
    struct discovery found = { 0 };
    struct rlimit before, none;
    int next = dup(2);
    CHECK(next > 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){ (rlim_t)next, before.rlim_max };
    discover_below(&found, test_dir());
    CHECK_INT(found.trouble, 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    discover_below(&found, test_dir());
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(found.trouble, EMFILE);
}

TEST(a_running_installation_is_found_by_its_arguments)
{
    const char *dir = test_dir();
    char arguments[FS_PATH_MAX];
    CLEANUP(discovery_free) struct discovery found = { 0 };
    installation_at(dir, "somewhere/app");
    int len =
        snprintf(arguments, sizeof arguments, "java%c-Dcatalina.base=%s/somewhere/app", 0, dir);
    tree_bytes(dir, "proc/5/cmdline", arguments, (size_t)len + 1);
    tree_bytes(dir, "proc/6/cmdline", "java\0-Dcatalina.base=/opt/other-tomcat", 38);
    discover_running(&found, tree_path(dir, "proc"));
    CHECK_INT(found.count, 1);
    CHECK_HAS(found.paths[0], "/somewhere/app");
}
