/* Fixtures of the family apps. good_facts() has two apps of users and one of the release; those who
 * spoil them find them at these places. */
#pragma once
#include "fixtures.h"

#define DIAGRAMS 0
#define CALENDAR 1
#define BUNDLED  2
#define IN_LIB   3

static void apps_not_gathered(struct facts *facts)
{
    facts->apps.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->apps.part.why, FACT_TEXT, "the apps: not found out within 120 s");
}
static void apps_not_asked(struct facts *facts)
{
    facts->apps.user_known = FACT_UNKNOWN;
    (void)snprintf(facts->apps.user_why, FACT_TEXT, "a database of kind mysql is not asked");
    facts->apps.states_known = FACT_UNKNOWN;
    (void)snprintf(facts->apps.states_why, FACT_TEXT, "a database of kind mysql is not asked");
}
static void apps_cached(struct facts *facts)
{
    apps_not_asked(facts);
    facts->apps.from_cache = true;
}
static void apps_none(struct facts *facts)
{
    facts->apps.apps[DIAGRAMS].where = facts->apps.apps[CALENDAR].where = APP_BUNDLED;
}
static void apps_none_cached(struct facts *facts)
{
    apps_none(facts);
    apps_cached(facts);
}
static void app_broken(struct facts *facts)
{
    struct fact_app *app = &facts->apps.apps[DIAGRAMS];
    app->read = FACT_NO;
    (void)snprintf(app->why, sizeof app->why, "no whole jar: Truncated ZIP file");
    facts->apps.apps[CALENDAR].read = FACT_UNKNOWN;
    (void)snprintf(facts->apps.apps[CALENDAR].why, sizeof app->why, "it is encrypted");
}
static void app_untold(struct facts *facts)
{
    struct fact_app *app = &facts->apps.apps[DIAGRAMS];
    app->read = FACT_UNKNOWN;
    (void)snprintf(app->why, sizeof app->why, "the descriptor is larger than 1 MiB");
}
static void app_unfit(struct facts *facts)
{
    struct fact_app *app = &facts->apps.apps[DIAGRAMS];
    app->fit = APP_UNFIT;
    (void)snprintf(app->said, sizeof app->said, "7.0 to 8.9 by an export");
    (void)snprintf(app->update, sizeof app->update, "5.0");
    facts->apps.apps[CALENDAR].fit = APP_UNKNOWN;
}
static void app_unfit_update_now(struct facts *facts)
{
    app_unfit(facts);
    facts->apps.apps[DIAGRAMS].update_now = true;
}
static void app_unfit_stops(struct facts *facts)
{
    app_unfit(facts);
    facts->apps.apps[DIAGRAMS].blocks = true;
}
static void app_unfit_perhaps_off(struct facts *facts)
{
    app_unfit_stops(facts);
    facts->apps.apps[DIAGRAMS].enabled = FACT_UNKNOWN;
}
static void app_unfit_off(struct facts *facts)
{
    app_unfit_stops(facts);
    facts->apps.apps[DIAGRAMS].enabled = FACT_NO;
    facts->apps.apps[CALENDAR].fit = APP_FITS;
}
static void app_other_version(struct facts *facts)
{
    facts->apps.apps[DIAGRAMS].fit = APP_UNKNOWN;
    facts->apps.apps[DIAGRAMS].known_key = true;
}
static void apps_no_catalogue(struct facts *facts)
{
    facts->apps.catalogue_known = FACT_UNKNOWN;
    facts->apps.apps[DIAGRAMS].fit = facts->apps.apps[CALENDAR].fit = APP_UNKNOWN;
    (void)snprintf(facts->apps.catalogue_why, FACT_TEXT, "no catalogue of apps was imported");
}
static void apps_many_unfit(struct facts *facts)
{
    static struct fact_app many[300];
    for (size_t i = 0; i < 300; i++) {
        many[i] = facts->apps.apps[DIAGRAMS];
        many[i].fit = APP_UNFIT;
        (void)snprintf(many[i].app.key, sizeof many[i].app.key, "com.example.app%zu", i);
        (void)snprintf(many[i].said, sizeof many[i].said, "7.0 to 8.9 by an export");
    }
    facts->apps.apps = many;
    facts->apps.count = 300;
}
static void apps_no_release(struct facts *facts)
{
    facts->has_target = false;
}
static void dc_none(struct facts *facts)
{
    facts->apps.apps[DIAGRAMS].app.data_center = APP_SAYS_NOTHING;
}
static void dc_refused(struct facts *facts)
{
    (void)snprintf(facts->apps.apps[DIAGRAMS].data_center, 8, "no");
}
static void dc_by_catalogue(struct facts *facts)
{
    dc_none(facts);
    (void)snprintf(facts->apps.apps[DIAGRAMS].data_center, 8, "yes");
}
static void dc_unread(struct facts *facts)
{
    dc_none(facts);
    app_untold(facts);
}
static void dc_not_needed(struct facts *facts)
{
    dc_none(facts);
    (void)snprintf(facts->source->target.data_center_only, 8, "no");
}
static void dc_strange_release(struct facts *facts)
{
    facts->source->target.data_center_only[0] = 0;
    (void)snprintf(facts->target_version, sizeof facts->target_version, "next");
}
static void licence_needed(struct facts *facts)
{
    facts->apps.apps[DIAGRAMS].app.licensing = APP_SAYS_YES;
}
static void licence_off(struct facts *facts)
{
    licence_needed(facts);
    facts->apps.apps[DIAGRAMS].enabled = FACT_NO;
}
static void lib_apps(struct facts *facts)
{
    facts->apps.apps[IN_LIB].where = APP_IN_LIB;
    facts->apps.count = IN_LIB + 1;
}
static void lib_of_release(struct facts *facts)
{
    lib_apps(facts);
    (void)snprintf(facts->apps.apps[IN_LIB].app.key, 64, "com.atlassian.confluence.old");
}
static void lib_unseen(struct facts *facts)
{
    facts->apps.lib_known = FACT_UNKNOWN;
    (void)snprintf(facts->apps.lib_why, FACT_TEXT, "WEB-INF/lib: Permission denied");
}
static void app_off(struct facts *facts)
{
    facts->apps.apps[DIAGRAMS].enabled = FACT_NO;
}
static void app_replaced(struct facts *facts)
{
    (void)snprintf(facts->apps.apps[BUNDLED].app.key, 64, "com.example.diagrams");
}
static void bundled_unseen(struct facts *facts)
{
    facts->apps.bundled_known = FACT_UNKNOWN;
    (void)snprintf(facts->apps.bundled_why, FACT_TEXT, "No such file");
}

static const struct fixture fixtures_apps[] = {
    { "apps-installed", INFO, NULL,
      "2 besides the 1 that came with the release: Diagrams 4.2.1 (com.example.diagrams) by "
      "Example" },
    { "apps-installed", OK, apps_none, "None besides the 3" },
    { "apps-installed", INFO, apps_cached, "may not be whole" },
    { "apps-installed", UNKNOWN, apps_not_asked, "mysql" },
    { "apps-installed", UNKNOWN, apps_not_gathered, "120 s" },
    { "apps-readable", OK, NULL, "all 3" },
    { "apps-readable", WARN, app_broken, "Not told: org.example.calendar (it is encrypted)" },
    { "apps-readable", UNKNOWN, app_untold, "1 MiB" },
    { "apps-readable", UNKNOWN, apps_not_asked, "mysql" },
    { "apps-compatible", OK, NULL, "All 2 fit 9.2.21" },
    { "apps-compatible", OK, apps_none, "No app" },
    { "apps-compatible", OK, app_unfit_off, "All 1 fit" },
    { "apps-compatible", INFO, apps_no_release, "No release" },
    { "apps-compatible", WARN, app_unfit,
      "1 of 2 do not fit 9.2.21: Diagrams 4.2.1 (com.example.diagrams): good for 7.0 to 8.9 by an "
      "export; 5.0 fits, update it after. Not known: Calendar" },
    { "apps-compatible", WARN, app_unfit_update_now, "5.0 fits both releases, update it before" },
    { "apps-compatible", WARN, app_unfit_perhaps_off, "keeps Confluence from starting" },
    { "apps-compatible", WARN, apps_many_unfit, " more." },
    { "apps-compatible", BLOCK, app_unfit_stops, "keeps Confluence from starting" },
    { "apps-compatible", UNKNOWN, app_other_version, "only other versions" },
    { "apps-compatible", UNKNOWN, apps_no_catalogue, "no catalogue" },
    { "apps-compatible", UNKNOWN, apps_cached, "may not be whole" },
    { "apps-compatible", UNKNOWN, apps_none_cached, "may not be whole" },
    { "apps-compatible", UNKNOWN, apps_not_gathered, "120 s" },
    { "apps-data-center", OK, NULL, "All 2 say" },
    { "apps-data-center", OK, dc_by_catalogue, "All 2 say" },
    { "apps-data-center", OK, dc_not_needed, "not for Data Center only" },
    { "apps-data-center", WARN, dc_none, "1 of 2 do not say" },
    { "apps-data-center", WARN, dc_refused, "which says no" },
    { "apps-data-center", UNKNOWN, dc_unread, "Not told by 1 of 2" },
    { "apps-data-center", UNKNOWN, dc_strange_release, "not known" },
    { "apps-data-center", UNKNOWN, apps_not_asked, "mysql" },
    { "apps-licensed", OK, NULL, "None" },
    { "apps-licensed", INFO, licence_off, "Diagrams" },
    { "apps-licensed", UNKNOWN, licence_needed, "cannot be read from outside: Diagrams" },
    { "apps-licensed", UNKNOWN, app_untold, "were not read" },
    { "apps-version-1", OK, NULL, "None" },
    { "apps-version-1", OK, lib_of_release, "None" },
    { "apps-version-1", WARN, lib_apps, "SSO 1.3 (com.example.sso) in sso-1.3.jar" },
    { "apps-version-1", UNKNOWN, lib_unseen, "denied" },
    { "apps-disabled", OK, NULL, "None" },
    { "apps-disabled", INFO, app_off, "Diagrams" },
    { "apps-disabled", UNKNOWN, apps_cached, "mysql" },
    { "apps-bundled-overridden", OK, NULL, "None" },
    { "apps-bundled-overridden", INFO, app_replaced,
      "Diagrams 4.2.1 (com.example.diagrams) instead of 9.2.13" },
    { "apps-bundled-overridden", UNKNOWN, bundled_unseen, "No such file" },
    { "apps-update-after", OK, NULL, "None" },
    { "apps-update-after", OK, apps_none, "No app" },
    { "apps-update-after", OK, app_unfit_off, "None" },
    { "apps-update-after", INFO, app_unfit, "Diagrams 4.2.1 (com.example.diagrams) to 5.0" },
    { "apps-update-after", UNKNOWN, apps_no_catalogue, "no catalogue" },
    { "apps-update-after", UNKNOWN, app_other_version, "nothing" },
    { NULL, OK, NULL, NULL },
};
