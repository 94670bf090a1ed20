#include "agent/worker/confluence/app_descriptor.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include "harness/test.h"

static struct app parsed(const char *text)
{
    struct app app = { .key = "" };
    struct err err = { 0 };
    CHECK_OK(app_descriptor_parse(text, strlen(text), &app, &err), err);
    return app;
}

TEST(a_descriptor_tells_name_version_maker_and_marks)
{
    struct app app = parsed(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- made -->\n"
        "<atlassian-plugin key='com.example.a' name=\"&lt;A&gt; &#228;\" plugins-version='2'>\n"
        " <plugin-info>\n  <description>d</description><version>\n 5.4.4-CONFDEV-21873 \n"
        "</version>\n"
        "  <vendor name=\"Example &amp; Co\" url=\"u\"/>\n"
        "  <param name=\"atlassian-data-center-status\">compatible</param>\n"
        "  <param name=\"atlassian-licensing-enabled\"> true </param>\n"
        " </plugin-info>\n"
        " <web-item key='w'><param name='atlassian-data-center-compatible'>false</param></web-item>"
        "</atlassian-plugin>");
    CHECK_STR(app.key, "com.example.a");
    CHECK_STR(app.name, "<A> ä");
    CHECK_STR(app.version, "5.4.4-CONFDEV-21873");
    CHECK_STR(app.vendor, "Example & Co");
    CHECK_INT(app.generation, 2);
    CHECK_INT(app.data_center, APP_SAYS_YES);
    CHECK_INT(app.licensing, APP_SAYS_YES);
    CHECK(!app.off);
}

TEST(either_spelling_of_either_mark_counts)
{
    CHECK_INT(parsed("<atlassian-plugin key='a' pluginsVersion=\"2\"/>").generation, 2);
    CHECK_INT(parsed("<atlassian-plugin key='a' plugins-version=\"3\"/>").generation, 3);
    CHECK_INT(parsed("<atlassian-plugin key='a'/>").generation, 1);
    CHECK_INT(parsed("<atlassian-plugin key='a' plugins-version='${v}'/>").generation, 0);
    CHECK(parsed("<atlassian-plugin key='a' state='disabled'/>").off);
#define MARK(name, value)                                                                          \
    parsed("<atlassian-plugin key='a'><plugin-info><param name='atlassian-" name "'>" value        \
           "</param></plugin-info></atlassian-plugin>")
    CHECK_INT(MARK("data-center-compatible", "true").data_center, APP_SAYS_YES);
    CHECK_INT(MARK("data-center-compatible", "false").data_center, APP_SAYS_NO);
    CHECK_INT(MARK("data-center-status", "incompatible").data_center, APP_SAYS_NO);
    CHECK_INT(MARK("data-center-status", "Compatible").data_center, APP_SAYS_YES);
    CHECK_INT(MARK("licensing-enabled", "false").licensing, APP_SAYS_NO);
    CHECK_INT(MARK("other", "true").data_center, APP_SAYS_NOTHING);
}

TEST(placeholders_and_control_characters_are_not_said)
{
    struct app app = parsed("<atlassian-plugin key='a' name='${project.name}'><plugin-info>"
                            "<version>${v}</version><vendor name='x&#10;y'/></plugin-info>"
                            "</atlassian-plugin>");
    CHECK_STR(app.name, "");
    CHECK_STR(app.version, "");
    CHECK(strchr(app.vendor, '\n') == NULL);
}

TEST(what_is_no_descriptor_leaves_the_output_alone)
{
    struct app app = { .key = "as it was" };
    static const char *const bad[] = { "", "x", "<a", "<atlassian-plugins/>",
                                       "<atlassian-plugin key='a'></x>" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(app_descriptor_parse(bad[i], strlen(bad[i]), &app, NULL), -FAIL_CORRUPT);
    CLEANUP(free_mem) char *large = mem_zero(1, APP_DESCRIPTOR_MAX + 2);
    CHECK_INT(app_descriptor_parse(large, APP_DESCRIPTOR_MAX + 1, &app, NULL), -FAIL_LIMIT);
    CHECK_STR(app.key, "as it was");
}

TEST(a_manifests_wrapped_lines_are_joined)
{
    static const char text[] = "Manifest-Version: 1.0\r\nBundle-SymbolicName: com.example.long\r\n"
                               " .name\r\natlassian-plugin-key: com.exam\r\n ple.key\r\n"
                               "Bundle-Version: 1.2.3\rImplementation-Version: 9\n"
                               "\nBundle-Vendor: of an entry\n";
    struct app app = { .key = "" };
    app_manifest_parse(text, sizeof text - 1, &app);
    CHECK_STR(app.key, "com.example.key");
    CHECK_STR(app.name, "com.example.long.name");
    CHECK_STR(app.version, "1.2.3");
    CHECK_STR(app.vendor, "");
    app = (struct app){ .key = "k", .version = "7" };
    app_manifest_parse(text, sizeof text - 1, &app);
    CHECK_STR(app.key, "k");
    CHECK_STR(app.version, "7");
}
