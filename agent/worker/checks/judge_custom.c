/* What this site changed in its installation and look, and what becomes of it at an upgrade. */
#include "agent/worker/checks/check.h"
#include <stdarg.h>
#include <string.h>

typedef unsigned long long ull;
#define BIT(class) (1u << (unsigned)(class))
#define CONFIGS                                                                                    \
    (BIT(CUSTOM_SERVER) | BIT(CUSTOM_SETENV) | BIT(CUSTOM_USER) | BIT(CUSTOM_WEB) |                \
     BIT(CUSTOM_SERAPH) | BIT(CUSTOM_CROWD) | BIT(CUSTOM_LOG) | BIT(CUSTOM_CONFIG))
#define WEIGHTY (BIT(CUSTOM_WEB) | BIT(CUSTOM_SERAPH) | BIT(CUSTOM_CROWD))
#define JARS    (BIT(CUSTOM_JAR) | BIT(CUSTOM_DRIVER))
#define OTHERS  (BIT(CUSTOM_SCRIPT) | BIT(CUSTOM_OTHER))

static void add(struct verdict *ret, const char *format, ...) FORMAT(2, 3);
static void add(struct verdict *ret, const char *format, ...)
{
    size_t used = strlen(ret->evidence);
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(ret->evidence + used, sizeof ret->evidence - used, format, ap);
    va_end(ap);
}

static uint64_t count(const struct facts_custom *custom, unsigned classes, enum custom_kind kind)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CUSTOM_CLASS_COUNT; i++)
        sum += classes & BIT(i) ? custom->groups[i].counts[kind] : 0;
    return sum;
}

static uint64_t touched(const struct facts_custom *custom, unsigned classes)
{
    return count(custom, classes, CUSTOM_ADDED) + count(custom, classes, CUSTOM_CHANGED) +
           count(custom, classes, CUSTOM_MISSING);
}

static uint64_t left(const struct facts_custom *custom, unsigned classes)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CUSTOM_CLASS_COUNT; i++)
        sum += classes & BIT(i) ? custom->groups[i].left : 0;
    return sum;
}

/* "; layouts (.vm): changed a.vm" for each of the classes in which something was found. */
static void add_names(struct verdict *ret, const struct facts_custom *custom, unsigned classes,
                      bool left_alone)
{
    for (unsigned i = 0; i < CUSTOM_CLASS_COUNT; i++) {
        const char *names = left_alone ? custom->groups[i].left_names : custom->groups[i].names;
        if ((classes & BIT(i)) && names[0])
            add(ret, "%s%s: %s", ret->evidence[0] ? "\n" : "", custom_class_names[i], names);
    }
}

/* Without a comparison: why, and what looks like the site's own. True: it is settled. */
static bool unknown(const struct facts *facts, unsigned classes, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    if (custom->part.known == FACT_YES && custom->compared == FACT_YES)
        return false;
    verdict_set(ret, CONFLEET__SEVERITY__UNKNOWN, "not compared with the release as shipped: %s",
                custom->part.known != FACT_YES ? custom->part.why : custom->why);
    if (custom->part.known == FACT_YES && count(custom, classes, CUSTOM_SEEN)) {
        add(ret, "\nBy kind or by time of change these look like the site's own:");
        add_names(ret, custom, classes, false);
    }
    return true;
}

/* Good only when all was read; else unknown, with the first name. */
static void settle_good(const struct facts_custom *custom, const char *good, struct verdict *ret)
{
    if (custom->unread)
        verdict_set(ret, CONFLEET__SEVERITY__UNKNOWN, "%llu files or folders were not read: %s",
                    (ull)custom->unread, custom->unread_name);
    else
        verdict_set(ret, CONFLEET__SEVERITY__OK, "%s", good);
}

static void add_unread(const struct facts_custom *custom, struct verdict *ret)
{
    if (custom->unread)
        add(ret, "\nNot read, so not compared: %llu files or folders (%s)", (ull)custom->unread,
            custom->unread_name);
}

static void judge_files(const struct facts *facts, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    const unsigned all = BIT(CUSTOM_CLASS_COUNT) - 1;
    uint64_t behind = custom->compared == FACT_YES ? left(custom, OTHERS) : 0;
    if (unknown(facts, OTHERS, ret))
        return;
    if (custom->differences == 0 && custom->not_executable == 0) {
        settle_good(custom, "every file is as it was shipped", ret);
        add(ret, " (%llu files, %llu shipped; compared with %s)", (ull)custom->files,
            (ull)custom->shipped, custom->source);
        return;
    }
    verdict_set(ret,
                behind || custom->not_executable ? CONFLEET__SEVERITY__WARN
                                                 : CONFLEET__SEVERITY__INFO,
                "of %llu shipped files: %llu changed, %llu missing; %llu added (compared with %s)",
                (ull)custom->shipped, (ull)count(custom, all, CUSTOM_CHANGED),
                (ull)count(custom, all, CUSTOM_MISSING), (ull)count(custom, all, CUSTOM_ADDED),
                custom->source);
    for (unsigned i = 0; i < CUSTOM_CLASS_COUNT; i++)
        if (touched(custom, BIT(i)))
            add(ret, "; %s %llu", custom_class_names[i], (ull)touched(custom, BIT(i)));
    if (behind) {
        add(ret, "\nNot carried over by an upgrade:");
        add_names(ret, custom, OTHERS, true);
    }
    if (custom->not_executable)
        add(ret, "\n%llu files that were shipped to be run cannot be run: %s",
            (ull)custom->not_executable, custom->not_executable_name);
    add_unread(custom, ret);
}

static void judge_config(const struct facts *facts, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    if (unknown(facts, CONFIGS, ret))
        return;
    if (touched(custom, CONFIGS) == 0) {
        settle_good(custom, "no configuration file of the installation was changed", ret);
        return;
    }
    uint64_t weight = count(custom, WEIGHTY, CUSTOM_ADDED) + count(custom, WEIGHTY, CUSTOM_CHANGED);
    uint64_t behind = left(custom, CONFIGS);
    verdict_set(ret, weight || behind ? CONFLEET__SEVERITY__WARN : CONFLEET__SEVERITY__INFO, "%s",
                "");
    add_names(ret, custom, CONFIGS, false);
    if (weight)
        add(ret, "\nweb.xml, seraph and the user directories decide who can log in.");
    if (behind) {
        add(ret, "\nNot carried over by an upgrade:");
        add_names(ret, custom, CONFIGS, true);
    }
    add_unread(custom, ret);
}

static void judge_jars(const struct facts *facts, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    if (unknown(facts, JARS, ret))
        return;
    if (touched(custom, JARS) == 0) {
        settle_good(custom, "jars and classes are those of the release", ret);
        return;
    }
    bool drivers_alone = touched(custom, BIT(CUSTOM_JAR)) == 0 && left(custom, JARS) == 0 &&
                         count(custom, JARS, CUSTOM_CHANGED) == 0;
    verdict_set(ret, drivers_alone ? CONFLEET__SEVERITY__INFO : CONFLEET__SEVERITY__WARN, "%s", "");
    add_names(ret, custom, JARS, false);
    if (left(custom, JARS)) {
        add(ret, "\nNot carried over by an upgrade:");
        add_names(ret, custom, JARS, true);
    }
    add_unread(custom, ret);
}

static void judge_keystores(const struct facts *facts, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    const unsigned keys = BIT(CUSTOM_KEYSTORE);
    if (unknown(facts, keys, ret))
        return;
    if (touched(custom, keys) == 0) {
        settle_good(custom, "no keystore or certificate was put into the installation", ret);
        return;
    }
    verdict_set(ret, left(custom, keys) ? CONFLEET__SEVERITY__WARN : CONFLEET__SEVERITY__INFO, "%s",
                custom->groups[CUSTOM_KEYSTORE].names);
    if (left(custom, keys))
        add(ret, "\nNot carried over by an upgrade: %s",
            custom->groups[CUSTOM_KEYSTORE].left_names);
    add_unread(custom, ret);
}

static void add_database(const struct custom_database *database, struct verdict *ret)
{
    add(ret, "%llu custom layouts in the database", (ull)database->layouts);
    if (database->layouts)
        add(ret, " (%llu of spaces): %s", (ull)database->layouts_of_spaces,
            database->layout_names);
    if (database->theme[0])
        add(ret, "\nTheme of the site: %s", database->theme);
    if (database->themes_of_spaces)
        add(ret, "\n%llu spaces with a theme of their own: %s", (ull)database->themes_of_spaces,
            database->theme_names);
    if (database->templates_known != FACT_YES)
        add(ret, "\nPage templates could not be counted.");
    else if (database->templates + database->templates_of_spaces)
        add(ret, "\n%llu page templates of the site, %llu of spaces", (ull)database->templates,
            (ull)database->templates_of_spaces);
}

static void judge_layouts(const struct facts *facts, struct verdict *ret)
{
    const struct facts_custom *custom = &facts->custom;
    const struct custom_database *database = &custom->database;
    const struct custom_group *files = &custom->groups[CUSTOM_LAYOUT];
    bool gathered = custom->part.known == FACT_YES;
    bool asked = gathered && database->known == FACT_YES;
    bool compared = gathered && custom->compared == FACT_YES && !custom->unread;
    bool changed = gathered && touched(custom, BIT(CUSTOM_LAYOUT));
    bool own = (asked && database->layouts) || changed;
    Confleet__Severity severity = own ? CONFLEET__SEVERITY__WARN
                                  : !asked || !compared
                                      ? CONFLEET__SEVERITY__UNKNOWN
                                  : database->theme[0] || database->themes_of_spaces ||
                                          database->templates + database->templates_of_spaces
                                      ? CONFLEET__SEVERITY__INFO
                                      : CONFLEET__SEVERITY__OK;
    verdict_set(ret, severity, "%s", "");
    if (asked)
        add_database(database, ret);
    else
        add(ret, "layouts and themes in the database are not known: %s",
            gathered ? database->why : custom->part.why);
    if (changed)
        add(ret, "\nLayout files of the installation: %s", files->names);
    else if (compared)
        add(ret, "\nThe layout files of the installation are as they were shipped.");
    else if (gathered)
        add(ret, "\nLayout files of the installation were not compared: %s",
            custom->compared == FACT_YES ? custom->unread_name : custom->why);
    if (gathered && !changed && files->names[0])
        add(ret, "\nBy time of change these look like the site's own: %s", files->names);
}

static void judge_merge(const struct facts *facts, struct verdict *ret)
{
    const struct custom_merge *merge = &facts->custom.merge;
    if (facts->custom.part.known != FACT_YES || merge->known != FACT_YES) {
        verdict_set(ret, CONFLEET__SEVERITY__UNKNOWN, "%s",
                    facts->custom.part.known != FACT_YES ? facts->custom.part.why : merge->why);
        return;
    }
    bool person = merge->conflicts || merge->dropped || merge->left;
    verdict_set(ret,
                person          ? CONFLEET__SEVERITY__WARN
                : merge->files  ? CONFLEET__SEVERITY__INFO
                                : CONFLEET__SEVERITY__OK,
                "%llu configuration files of the new version would be changed, %llu conflicts need "
                "a person",
                (ull)merge->files, (ull)merge->conflicts);
    if (merge->conflict_text[0])
        add(ret, "\nConflicts:\n%s", merge->conflict_text);
    if (merge->left_text[0])
        add(ret, "\nNot carried over, may be this site's:\n%s", merge->left_text);
    if (merge->dropped_text[0])
        add(ret, "\nLeft out, since a newer Java refuses them:\n%s", merge->dropped_text);
    if (merge->carried_text[0])
        add(ret, "\nCarried over:\n%s", merge->carried_text);
}

#define FILES (NEED_FILES | NEED_CATALOGUE)
/* clang-format off */
const struct check_def checks_custom[] = {
    { "custom-files", "Files against the release as shipped",
      "put what is needed into the new version by hand, before the switch (a pre-stop hook can do it), and keep it "
      "somewhere else than in the installation; compare with: confleet-agent check --install DIR --pristine ARCHIVE",
      judge_files, FILES, "an upgrade replaces the installation; note every change made to it beforehand" },
    { "custom-config", "Changed configuration files",
      "look at what the upgrade would make of them: confleet-agent check --install DIR --to VERSION --artifact ARCHIVE --diff",
      judge_config, FILES, "re-apply changes of server.xml, setenv.sh, web.xml and login by hand; never copy the old files over" },
    { "custom-jars", "Jars and classes beside the release's",
      "ask whose they are: drivers and apps of the first kind must fit the new version, patches must go with the version they were "
      "made for", judge_jars, FILES, "copy the database driver to the new version, and no second copy of one" },
    { "custom-keystores", "Keystores and certificates in the installation",
      "move them out of the installation, to a folder that server.xml names, or put them into the new version by hand",
      judge_keystores, FILES, NULL },
    { "custom-layouts", "Custom layouts, themes and templates",
      "look at each after the upgrade on a test clone; reset layouts to the default before the upgrade where they are not needed",
      judge_layouts, FILES | NEED_DATABASE, "custom layouts and themes must be checked with the new version before production" },
    { "custom-merge", "What the upgrade's merge would do",
      "read it line by line: confleet-agent check --install DIR --to VERSION --artifact ARCHIVE --diff; solve conflicts in the old "
      "installation's file first", judge_merge, FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
