/* Fixtures of the family custom. */
#pragma once
#include "fixtures.h"

static void cus_put(struct facts *facts, enum custom_class class, enum custom_kind kind,
                    const char *name)
{
    struct custom_group *group = &facts->custom.groups[class];
    static const char *const words[] = { "added ", "changed ", "missing ", "" };
    group->counts[kind]++;
    facts->custom.differences += kind != CUSTOM_SEEN;
    (void)snprintf(group->names, CUSTOM_TEXT, "%s%s", words[kind], name);
    if ((kind == CUSTOM_ADDED || kind == CUSTOM_CHANGED) && !custom_is_carried(name, kind)) {
        group->left++;
        (void)snprintf(group->left_names, CUSTOM_TEXT, "%s%s", words[kind], name);
    }
}
static void cus_late(struct facts *facts)
{
    facts->custom.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->custom.part.why, FACT_TEXT, "not found out within 300 s");
}
static void cus_not_compared(struct facts *facts)
{
    facts->custom.compared = FACT_UNKNOWN;
    (void)snprintf(facts->custom.why, FACT_TEXT, "no archive is here");
    cus_put(facts, CUSTOM_KEYSTORE, CUSTOM_SEEN, "conf/a.p12");
    cus_put(facts, CUSTOM_DRIVER, CUSTOM_SEEN, "confluence/WEB-INF/lib/ojdbc8.jar");
    cus_put(facts, CUSTOM_SETENV, CUSTOM_SEEN, "bin/setenv.sh");
}
static void cus_unread(struct facts *facts)
{
    facts->custom.unread = 2;
    (void)snprintf(facts->custom.unread_name, FACT_TEXT, "conf: Permission denied");
}
static void cus_script(struct facts *facts)
{
    cus_put(facts, CUSTOM_SCRIPT, CUSTOM_ADDED, "bin/mine.sh");
}
static void cus_missing(struct facts *facts)
{
    cus_put(facts, CUSTOM_OTHER, CUSTOM_MISSING, "webapps/docs/index.html");
}
static void cus_not_executable(struct facts *facts)
{
    facts->custom.not_executable = 1;
    (void)snprintf(facts->custom.not_executable_name, FACT_TEXT, "bin/catalina.sh");
}
static void cus_server(struct facts *facts)
{
    cus_put(facts, CUSTOM_SERVER, CUSTOM_CHANGED, "conf/server.xml");
}
static void cus_seraph(struct facts *facts)
{
    cus_put(facts, CUSTOM_SERAPH, CUSTOM_CHANGED,
            "confluence/WEB-INF/classes/seraph-config.xml");
}
static void cus_policy(struct facts *facts)
{
    cus_put(facts, CUSTOM_CONFIG, CUSTOM_CHANGED, "conf/catalina.policy");
}
static void cus_driver(struct facts *facts)
{
    cus_put(facts, CUSTOM_DRIVER, CUSTOM_ADDED, "confluence/WEB-INF/lib/ojdbc8.jar");
}
static void cus_patched(struct facts *facts)
{
    cus_put(facts, CUSTOM_JAR, CUSTOM_CHANGED, "confluence/WEB-INF/lib/seraph-4.0.jar");
}
static void cus_classes(struct facts *facts)
{
    cus_put(facts, CUSTOM_JAR, CUSTOM_ADDED, "confluence/WEB-INF/classes/com/acme/Auth.class");
}
static void cus_keystore(struct facts *facts)
{
    cus_put(facts, CUSTOM_KEYSTORE, CUSTOM_ADDED, "conf/a.p12");
}
static void cus_keystore_left(struct facts *facts)
{
    cus_put(facts, CUSTOM_KEYSTORE, CUSTOM_ADDED, "bin/a.p12");
}
static void cus_layout_file(struct facts *facts)
{
    cus_put(facts, CUSTOM_LAYOUT, CUSTOM_CHANGED, "confluence/login.vm");
}
static void cus_layout_row(struct facts *facts)
{
    facts->custom.database.layouts = 3;
    facts->custom.database.layouts_of_spaces = 1;
    (void)snprintf(facts->custom.database.layout_names, CUSTOM_TEXT, "main.vmd");
}
static void cus_theme(struct facts *facts)
{
    (void)snprintf(facts->custom.database.theme, 256, "com.acme.theme:blue");
}
static void cus_templates(struct facts *facts)
{
    facts->custom.database.templates_of_spaces = 7;
}
static void cus_no_database(struct facts *facts)
{
    facts->custom.database.known = FACT_UNKNOWN;
    (void)snprintf(facts->custom.database.why, FACT_TEXT, "connection refused");
}
static void cus_merges(struct facts *facts)
{
    facts->custom.merge.files = 2;
    (void)snprintf(facts->custom.merge.carried_text, CUSTOM_TEXT, "bin/setenv.sh: -Xmx2g");
}
static void cus_conflict(struct facts *facts)
{
    facts->custom.merge.conflicts = 1;
    (void)snprintf(facts->custom.merge.conflict_text, CUSTOM_TEXT, "conf/web.xml: both changed");
}
static void cus_dropped(struct facts *facts)
{
    facts->custom.merge.dropped = 1;
    (void)snprintf(facts->custom.merge.dropped_text, CUSTOM_TEXT, "-XX:+UseConcMarkSweepGC");
}
static void cus_left(struct facts *facts)
{
    facts->custom.merge.left = 1;
    (void)snprintf(facts->custom.merge.left_text, CUSTOM_TEXT, "web.xml: filter com.acme.Sso");
}
static void cus_no_archive(struct facts *facts)
{
    facts->custom.merge.known = FACT_UNKNOWN;
    (void)snprintf(facts->custom.merge.why, FACT_TEXT, "the archive of 9.2.21 is not here");
}

static const struct fixture fixtures_custom[] = {
    { "custom-files", OK, NULL, "every file is as it was shipped" },
    { "custom-files", INFO, cus_missing, "1 missing" },
    { "custom-files", INFO, cus_server, "1 changed" },
    { "custom-files", WARN, cus_script, "bin/mine.sh" },
    { "custom-files", WARN, cus_not_executable, "bin/catalina.sh" },
    { "custom-files", UNKNOWN, cus_not_compared, "no archive is here" },
    { "custom-files", UNKNOWN, cus_unread, "conf: Permission denied" },
    { "custom-files", UNKNOWN, cus_late, "within 300 s" },
    { "custom-config", OK, NULL, "no configuration file" },
    { "custom-config", INFO, cus_server, "changed conf/server.xml" },
    { "custom-config", WARN, cus_seraph, "decide who can log in" },
    { "custom-config", WARN, cus_policy, "Not carried over by an upgrade" },
    { "custom-config", UNKNOWN, cus_not_compared, "bin/setenv.sh" },
    { "custom-config", UNKNOWN, cus_unread, "were not read" },
    { "custom-config", UNKNOWN, cus_late, "within 300 s" },
    { "custom-jars", OK, NULL, "those of the release" },
    { "custom-jars", INFO, cus_driver, "added confluence/WEB-INF/lib/ojdbc8.jar" },
    { "custom-jars", WARN, cus_patched, "changed confluence/WEB-INF/lib/seraph-4.0.jar" },
    { "custom-jars", WARN, cus_classes, "Not carried over" },
    { "custom-jars", UNKNOWN, cus_not_compared, "ojdbc8.jar" },
    { "custom-jars", UNKNOWN, cus_unread, "were not read" },
    { "custom-jars", UNKNOWN, cus_late, "within 300 s" },
    { "custom-keystores", OK, NULL, "no keystore" },
    { "custom-keystores", INFO, cus_keystore, "added conf/a.p12" },
    { "custom-keystores", WARN, cus_keystore_left, "Not carried over by an upgrade: added bin/a" },
    { "custom-keystores", UNKNOWN, cus_not_compared, "conf/a.p12" },
    { "custom-keystores", UNKNOWN, cus_unread, "were not read" },
    { "custom-keystores", UNKNOWN, cus_late, "within 300 s" },
    { "custom-layouts", OK, NULL, "0 custom layouts" },
    { "custom-layouts", INFO, cus_theme, "com.acme.theme:blue" },
    { "custom-layouts", INFO, cus_templates, "7 of spaces" },
    { "custom-layouts", WARN, cus_layout_row, "3 custom layouts in the database (1 of spaces)" },
    { "custom-layouts", WARN, cus_layout_file, "changed confluence/login.vm" },
    { "custom-layouts", UNKNOWN, cus_no_database, "connection refused" },
    { "custom-layouts", UNKNOWN, cus_not_compared, "were not compared" },
    { "custom-layouts", UNKNOWN, cus_unread, "Permission denied" },
    { "custom-layouts", UNKNOWN, cus_late, "within 300 s" },
    { "custom-merge", OK, NULL, "0 configuration files" },
    { "custom-merge", INFO, cus_merges, "-Xmx2g" },
    { "custom-merge", WARN, cus_conflict, "both changed" },
    { "custom-merge", WARN, cus_dropped, "newer Java refuses" },
    { "custom-merge", WARN, cus_left, "com.acme.Sso" },
    { "custom-merge", UNKNOWN, cus_no_archive, "9.2.21 is not here" },
    { "custom-merge", UNKNOWN, cus_late, "within 300 s" },
    { NULL, UNKNOWN, NULL, NULL },
};
