/* The apps of the site and the release. What the release brings itself is not judged: it changes
 * with it. */
#include "agent/worker/checks/check.h"
#include "confleet/version.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

/* A list that ends in "and 12 more" where the evidence would grow too long. */
struct list {
    char text[3200];
    size_t limit, used, count, hidden;
};

static void list_add(struct list *list, const char *format, ...) FORMAT(2, 3);
static void list_add(struct list *list, const char *format, ...)
{
    char item[700];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(item, sizeof item, format, ap);
    va_end(ap);
    size_t len = strlen(item), limit = list->limit ? list->limit : sizeof list->text - 1;
    list->count++;
    if (list->hidden || list->used + len + 2 > limit) {
        list->hidden++;
        return;
    }
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                                   list->used ? ", " : "", item);
}

static const char *list_end(const struct list *list, char out[48])
{
    out[0] = 0;
    if (list->hidden)
        (void)snprintf(out, 48, "%sand %zu more", list->used ? " " : "", list->hidden);
    return out;
}

static const char *name_of(const struct fact_app *app)
{
    return app->app.name[0] ? app->app.name : app->app.key[0] ? app->app.key : app->file;
}

/* "Diagrams 4.2.1 (com.example.diagrams)" */
#define NAMED "%s%s%s (%s)"
#define NAMES(one)                                                                                 \
    name_of(one), (one)->app.version[0] ? " " : "", (one)->app.version,                            \
        (one)->app.key[0] ? (one)->app.key : (one)->file

static bool is_users(const struct fact_app *app)
{
    return app->where == APP_BY_USER;
}

/* Some libraries of the release itself carry a descriptor. */
static bool is_vendors(const struct fact_app *app)
{
    return strncmp(app->app.key, "com.atlassian.", 14) == 0 ||
           strncmp(app->app.key, "confluence.", 11) == 0;
}

static bool counts(const struct fact_app *app)
{
    return (is_users(app) || (app->where == APP_IN_LIB && !is_vendors(app))) &&
           app->enabled != FACT_NO;
}

static bool not_listed(const struct facts *facts, struct verdict *ret)
{
    const struct facts_apps *apps = &facts->apps;
    bool unseen =
        apps->part.known != FACT_YES || (apps->user_known != FACT_YES && !apps->from_cache);
    if (unseen)
        verdict_set(ret, UNKNOWN, "The installed apps were not listed: %s.",
                    apps->part.why[0]   ? apps->part.why
                    : apps->user_why[0] ? apps->user_why
                                        : "not looked at");
    return unseen;
}

static bool no_target(const struct facts *facts, struct verdict *ret)
{
    if (!facts->has_target)
        verdict_set(ret, INFO, "No release was named.");
    return !facts->has_target;
}

/* Good of what was seen is not good where not all was seen. */
static void whole_or_unknown(const struct facts *facts, struct verdict *ret)
{
    const struct facts_apps *apps = &facts->apps;
    size_t used = strlen(ret->evidence);
    if (apps->user_known == FACT_YES)
        return;
    if (ret->severity == OK)
        ret->severity = UNKNOWN;
    (void)snprintf(ret->evidence + used, sizeof ret->evidence - used,
                   " Listed from plugins-cache, which may not be whole: %s.", apps->user_why);
}

/* ------------------------------------------------------------------ what is there */

static void judge_apps_installed(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .used = 0 };
    size_t bundled = 0;
    char size[24], more[48];
    if (not_listed(facts, ret))
        return;
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        bundled += app->where == APP_BUNDLED;
        if (is_users(app))
            list_add(&list, NAMED "%s%s, %s%s", NAMES(app), app->app.vendor[0] ? " by " : "",
                     app->app.vendor, text_size(app->size, size),
                     app->enabled == FACT_NO        ? ", off"
                     : app->enabled == FACT_UNKNOWN ? ", perhaps off"
                                                    : "");
    }
    if (list.count == 0)
        verdict_set(ret, OK, "None besides the %zu that came with the release.", bundled);
    else
        verdict_set(ret, INFO, "%zu besides the %zu that came with the release: %s%s.", list.count,
                    bundled, list.text, list_end(&list, more));
    whole_or_unknown(facts, ret);
}

static void judge_apps_readable(const struct facts *facts, struct verdict *ret)
{
    struct list broken = { .limit = 1800 }, untold = { .limit = 1500 };
    char more[48], rest[48];
    size_t count = 0;
    if (not_listed(facts, ret))
        return;
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        count += app->read == FACT_YES;
        if (app->read != FACT_YES && is_users(app))
            list_add(app->read == FACT_NO ? &broken : &untold, "%s (%s)",
                     app->app.key[0] ? app->app.key : app->file, app->why);
    }
    if (broken.count)
        verdict_set(ret, WARN, "%zu broken: %s%s.%s%s%s", broken.count, broken.text,
                    list_end(&broken, more), untold.count ? " Not told: " : "", untold.text,
                    list_end(&untold, rest));
    else if (untold.count)
        verdict_set(ret, UNKNOWN, "What %zu of them are could not be read: %s%s.", untold.count,
                    untold.text, list_end(&untold, more));
    else
        verdict_set(ret, OK, "The descriptors of all %zu were read.", count);
    whole_or_unknown(facts, ret);
}

static void judge_apps_disabled(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .used = 0 };
    char more[48];
    if (not_listed(facts, ret))
        return;
    if (facts->apps.states_known != FACT_YES) {
        verdict_set(ret, UNKNOWN, "Which are switched off was not read: %s.",
                    facts->apps.states_why);
        return;
    }
    for (size_t i = 0; i < facts->apps.count; i++)
        if (facts->apps.apps[i].enabled == FACT_NO)
            list_add(&list, NAMED "%s", NAMES(&facts->apps.apps[i]),
                     is_users(&facts->apps.apps[i]) ? "" : ", of the release");
    if (list.count)
        verdict_set(ret, INFO, "%zu switched off: %s%s. They stay so.", list.count, list.text,
                    list_end(&list, more));
    else
        verdict_set(ret, OK, "None is switched off.");
}

static void judge_apps_overridden(const struct facts *facts, struct verdict *ret)
{
    const struct facts_apps *apps = &facts->apps;
    struct list list = { .used = 0 };
    char more[48];
    if (not_listed(facts, ret))
        return;
    if (apps->bundled_known != FACT_YES) {
        verdict_set(ret, UNKNOWN, "The apps of the release were not all seen: %s.",
                    apps->bundled_why);
        return;
    }
    for (size_t i = 0; i < apps->count; i++)
        for (size_t k = 0; is_users(&apps->apps[i]) && k < apps->count; k++)
            if (apps->apps[k].where == APP_BUNDLED && apps->apps[i].app.key[0] &&
                strcmp(apps->apps[i].app.key, apps->apps[k].app.key) == 0) {
                list_add(&list, NAMED " instead of %s", NAMES(&apps->apps[i]),
                         apps->apps[k].app.version[0] ? apps->apps[k].app.version : "another");
                break;
            }
    if (list.count)
        verdict_set(ret, INFO,
                    "%zu of the release's own were replaced by hand: %s%s. The new release brings "
                    "its own; the older of two may then be in use.",
                    list.count, list.text, list_end(&list, more));
    else
        verdict_set(ret, OK, "None of the release's own was replaced.");
    whole_or_unknown(facts, ret);
}

static void judge_apps_version_1(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .used = 0 };
    char more[48];
    const struct facts_apps *apps = &facts->apps;
    const bool whole = apps->part.known == FACT_YES && apps->lib_known == FACT_YES;
    const char *why = apps->part.why[0]  ? apps->part.why
                      : apps->lib_why[0] ? apps->lib_why
                                         : "not looked at";
    for (size_t i = 0; i < apps->count; i++)
        if (apps->apps[i].where == APP_IN_LIB && !is_vendors(&apps->apps[i]))
            list_add(&list, NAMED " in %s", NAMES(&apps->apps[i]), apps->apps[i].file);
    if (list.count)
        verdict_set(ret, WARN,
                    "%zu of generation 1, which live in WEB-INF/lib and do not come along by "
                    "themselves: %s%s.%s%s%s",
                    list.count, list.text, list_end(&list, more),
                    whole ? "" : " WEB-INF/lib was not looked through to its end: ",
                    whole ? "" : why, whole ? "" : ".");
    else if (!whole)
        verdict_set(ret, UNKNOWN, "WEB-INF/lib was not looked through to its end: %s.", why);
    else
        verdict_set(ret, OK, "None in WEB-INF/lib but those of the release.");
}

/* ------------------------------------------------------------------ with the release */

static bool no_catalogue(const struct facts *facts, const char *what, struct verdict *ret)
{
    const struct facts_apps *apps = &facts->apps;
    if (apps->catalogue_known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "%s is not known: %s.", what,
                apps->catalogue_why[0] ? apps->catalogue_why : "no catalogue of apps");
    return true;
}

struct fits {
    struct list unfit, untold;
    size_t count, blocks;
};

static void sort_fits(const struct facts *facts, struct fits *fits)
{
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        if (!counts(app))
            continue;
        fits->count++;
        fits->blocks += app->fit == APP_UNFIT && app->blocks && app->enabled == FACT_YES;
        if (app->fit == APP_UNFIT)
            list_add(&fits->unfit, NAMED ": good for %s%s%s%s%s", NAMES(app), app->said,
                     app->blocks ? ", and keeps Confluence from starting" : "",
                     app->update[0] ? "; " : "", app->update,
                     !app->update[0]   ? ""
                     : app->update_now ? " fits both releases, update it before"
                                       : " fits, update it after");
        else if (app->fit == APP_UNKNOWN)
            list_add(&fits->untold, NAMED "%s", NAMES(app),
                     app->known_key ? ", only other versions are in the catalogue" : "");
    }
}

static void judge_apps_compatible(const struct facts *facts, struct verdict *ret)
{
    struct fits fits = { .unfit = { .limit = 2200 }, .untold = { .limit = 1200 } };
    char more[48], rest[48];
    if (not_listed(facts, ret) || no_target(facts, ret))
        return;
    sort_fits(facts, &fits);
    if (fits.count == 0)
        verdict_set(ret, OK, "No app besides those of the release is enabled.");
    else if (fits.unfit.count)
        verdict_set(ret, fits.blocks ? BLOCK : WARN, "%zu of %zu do not fit %s: %s%s.%s%s%s",
                    fits.unfit.count, fits.count, facts->target_version, fits.unfit.text,
                    list_end(&fits.unfit, more), fits.untold.count ? " Not known: " : "",
                    fits.untold.text, list_end(&fits.untold, rest));
    else if (no_catalogue(facts, "Which of the apps fit the release", ret))
        return;
    else if (fits.untold.count)
        verdict_set(ret, UNKNOWN, "Whether %zu of %zu fit %s is not in the catalogue: %s%s.",
                    fits.untold.count, fits.count, facts->target_version, fits.untold.text,
                    list_end(&fits.untold, more));
    else
        verdict_set(ret, OK, "All %zu fit %s by the catalogue.", fits.count, facts->target_version);
    whole_or_unknown(facts, ret);
}

/* From 8.6 on there is Data Center only (facts 8); -1: it cannot be told. */
static int needs_data_center(const struct facts *facts)
{
    struct version version;
    const char *said = facts->source ? facts->source->target.data_center_only : "";
    if (said[0])
        return strcmp(said, "yes") == 0;
    return version_parse(facts->target_version, &version) ? version_at_least(&version, 8, 6) : -1;
}

static enum app_says data_center_of(const struct fact_app *app)
{
    if (app->data_center[0])
        return strcmp(app->data_center, "yes") == 0 ? APP_SAYS_YES : APP_SAYS_NO;
    return app->app.data_center;
}

static void judge_apps_data_center(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .limit = 2400 }, untold = { .limit = 1000 };
    char more[48], rest[48];
    size_t count = 0;
    if (not_listed(facts, ret) || no_target(facts, ret))
        return;
    int needed = needs_data_center(facts);
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        if (!counts(app))
            continue;
        count++;
        if (data_center_of(app) == APP_SAYS_YES)
            continue;
        if (app->read != FACT_YES && !app->data_center[0])
            list_add(&untold, NAMED, NAMES(app));
        else
            list_add(&list, NAMED "%s", NAMES(app),
                     data_center_of(app) == APP_SAYS_NO ? ", which says no" : "");
    }
    if (needed == 0)
        verdict_set(ret, OK, "%s is not for Data Center only.", facts->target_version);
    else if (needed < 0)
        verdict_set(ret, UNKNOWN, "Whether %s is for Data Center only is not known.",
                    facts->target_version);
    else if (list.count)
        verdict_set(ret, WARN, "%zu of %zu do not say that they are for Data Center: %s%s.%s%s%s",
                    list.count, count, list.text, list_end(&list, more),
                    untold.count ? " Not told: " : "", untold.text, list_end(&untold, rest));
    else if (untold.count)
        verdict_set(ret, UNKNOWN, "Not told by %zu of %zu: %s%s.", untold.count, count, untold.text,
                    list_end(&untold, more));
    else
        verdict_set(ret, OK,
                    count ? "All %zu say that they are for Data Center."
                          : "No app besides those of the release is enabled.",
                    count);
    whole_or_unknown(facts, ret);
}

static void judge_apps_licensed(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .limit = 2400 }, off = { .limit = 1000 };
    char more[48];
    size_t unread = 0;
    if (not_listed(facts, ret))
        return;
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        unread += counts(app) && app->read != FACT_YES;
        if (is_users(app) && app->app.licensing == APP_SAYS_YES)
            list_add(app->enabled == FACT_NO ? &off : &list, NAMED, NAMES(app));
    }
    if (list.count)
        verdict_set(ret, UNKNOWN,
                    "%zu need licences of their own, which cannot be read from outside: %s%s.",
                    list.count, list.text, list_end(&list, more));
    else if (unread)
        verdict_set(ret, UNKNOWN, "%zu were not read (apps-readable).", unread);
    else if (off.count)
        verdict_set(ret, INFO, "Only apps that are off need licences of their own: %s%s.", off.text,
                    list_end(&off, more));
    else
        verdict_set(ret, OK, "None needs a licence of its own.");
    whole_or_unknown(facts, ret);
}

static void judge_apps_update_after(const struct facts *facts, struct verdict *ret)
{
    struct list list = { .used = 0 };
    char more[48];
    size_t untold = 0, count = 0;
    if (not_listed(facts, ret) || no_target(facts, ret))
        return;
    for (size_t i = 0; i < facts->apps.count; i++) {
        const struct fact_app *app = &facts->apps.apps[i];
        if (!counts(app))
            continue;
        count++;
        untold += app->fit == APP_UNKNOWN && !app->update[0];
        if (app->update[0] && !app->update_now)
            list_add(&list, NAMED " to %s", NAMES(app), app->update);
    }
    if (count == 0)
        verdict_set(ret, OK, "No app besides those of the release is enabled.");
    else if (no_catalogue(facts, "Which apps have a version for the release", ret))
        return;
    else if (list.count)
        verdict_set(ret, INFO, "To be updated after the upgrade: %s%s.%s", list.text,
                    list_end(&list, more), untold ? " Of others nothing is known." : "");
    else if (untold)
        verdict_set(ret, UNKNOWN, "Of %zu of %zu apps the catalogue knows nothing.", untold, count);
    else
        verdict_set(ret, OK, "None that needs the new release first.");
    whole_or_unknown(facts, ret);
}

/* clang-format off */
const struct check_def checks_apps[] = {
    { "apps-installed", "Installed apps",
      "Nothing to do: this is the list to compare with after the upgrade.", judge_apps_installed,
      NEED_FILES | NEED_DATABASE, "Note which apps are installed before the upgrade." },
    { "apps-readable", "Descriptors of the apps",
      "Look at the app in Confluence's list of apps; install it anew or remove it there. What was "
      "not read for its size or form is to be checked by hand.", judge_apps_readable,
      NEED_FILES | NEED_DATABASE, NULL },
    { "apps-compatible", "Apps and the release",
      "Update the app now where a version fits both releases, else switch it off before the upgrade "
      "and update it afterwards. What is known of apps comes from a file: confleet app import FILE.",
      judge_apps_compatible, NEED_FILES | NEED_DATABASE | NEED_CATALOGUE,
      "Check that each app is compatible with the new version; an incompatible one can stop the "
      "start." },
    { "apps-data-center", "Apps and Data Center",
      "Ask the maker for a version for Data Center, or record in the file of apps that it is one: "
      "\"dataCenter\": true.", judge_apps_data_center,
      NEED_FILES | NEED_DATABASE | NEED_CATALOGUE,
      "From 8.6 on there is Data Center only, and apps must be made for it." },
    { "apps-licensed", "Licences of apps",
      "See their licences in Confluence (Manage apps): each must be good for Data Center and still "
      "have maintenance when the version that fits the release came out.", judge_apps_licensed,
      NEED_FILES | NEED_DATABASE, NULL },
    { "apps-version-1", "Apps in WEB-INF/lib",
      "Ask the maker for a version that Confluence installs itself; else copy the jar into "
      "WEB-INF/lib of the new version, after it was tried on a test site.", judge_apps_version_1,
      NEED_FILES, "Apps of generation 1 are copied by hand at each upgrade." },
    { "apps-disabled", "Apps that are switched off",
      "Nothing to do.", judge_apps_disabled, NEED_FILES | NEED_DATABASE, NULL },
    { "apps-bundled-overridden", "Apps of the release that were replaced",
      "See after the upgrade which of the two is in use, and update it in Confluence.",
      judge_apps_overridden, NEED_FILES | NEED_DATABASE, NULL },
    { "apps-update-after", "Apps to update after the upgrade",
      "Update them in Confluence when the new version runs (Manage apps).",
      judge_apps_update_after, NEED_FILES | NEED_DATABASE | NEED_CATALOGUE,
      "Update apps after the upgrade where a newer version is made for the new release." },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
