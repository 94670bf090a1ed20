#include "agent/edge/apps.h"
#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

TEST(what_the_controller_says_of_apps_is_kept_until_it_says_something_else)
{
    struct config config = { 0 };
    struct err err = { 0 };
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = NULL;
    Confleet__OrderCheck check = CONFLEET__ORDER_CHECK__INIT;
    Confleet__AppEntry entry = CONFLEET__APP_ENTRY__INIT, bad = CONFLEET__APP_ENTRY__INIT;
    Confleet__AppEntry *list[] = { &bad, &entry };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "apps.json");
    config.apps = path;
    CHECK_OK(apps_keep(&config, &check, &err), err);
    CHECK(!fs_exists(path));
    bad.key = (char *)(uintptr_t) "b";
    entry.key = (char *)(uintptr_t) "com.example.a";
    entry.version = (char *)(uintptr_t) "1.9";
    entry.from = (char *)(uintptr_t) "7.0";
    entry.to = (char *)(uintptr_t) "9.2";
    check.apps = list;
    check.n_apps = 2;
    CHECK_OK(apps_keep(&config, &check, &err), err);
    CHECK_OK(app_catalogue_load(path, &catalogue, &err), err);
    CHECK_INT(app_catalogue_count(catalogue), 1);
    check.apps = &list[1];
    check.n_apps = 1;
    CHECK_OK(apps_keep(&config, &check, &err), err);
    check.n_apps = 0;
    check.apps_left_out = 5;
    CHECK_OK(apps_keep(&config, &check, &err), err);
    CHECK(!fs_exists(path));
}
