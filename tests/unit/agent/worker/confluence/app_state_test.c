#include "agent/worker/confluence/app_state.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include "harness/test.h"

TEST(apps_switched_by_hand_are_found_and_modules_are_not_apps)
{
    static const char text[] =
        "<map><entry><string>a</string><boolean>false</boolean></entry>\n"
        "<entry><string>b</string><boolean>true</boolean></entry>"
        "<entry><string>c:module</string><boolean>false</boolean></entry>"
        "<entry><string>d</string><com.atlassian.plugin.manager.PluginEnabledState><enabled>false"
        "</enabled><timestamp>1</timestamp></com.atlassian.plugin.manager.PluginEnabledState>"
        "</entry><other><string>e</string><boolean>false</boolean></other></map>";
    CLEANUP(app_state_free) struct app_state *map = NULL;
    struct err err = { 0 };
    bool enabled = false;
    CHECK_OK(app_state_parse(text, sizeof text - 1, &map, &err), err);
    CHECK(app_state_of(map, "a", &enabled) && !enabled);
    CHECK(app_state_of(map, "b", &enabled) && enabled);
    CHECK(app_state_of(map, "d", &enabled) && !enabled);
    CHECK(!app_state_of(map, "c:module", &enabled));
    CHECK(!app_state_of(map, "c", &enabled));
    CHECK(!app_state_of(map, "e", &enabled));
    CHECK(!app_state_of(map, "", &enabled));
}

TEST(an_empty_map_names_none_and_other_bytes_are_refused)
{
    CLEANUP(app_state_free) struct app_state *map = NULL;
    bool enabled = false;
    CHECK_INT(app_state_parse("<map/>", 6, &map, NULL), 0);
    CHECK(!app_state_of(map, "a", &enabled));
    app_state_free(&map);
    CHECK_INT(app_state_parse("<map>", 5, &map, NULL), -FAIL_CORRUPT);
    CHECK_INT(app_state_parse("<!DOCTYPE map><map/>", 20, &map, NULL), -FAIL_CORRUPT);
    CLEANUP(free_mem) char *large = mem_zero(1, APP_STATE_MAX + 2);
    CHECK_INT(app_state_parse(large, APP_STATE_MAX + 1, &map, NULL), -FAIL_LIMIT);
    CHECK(map == NULL);
}
