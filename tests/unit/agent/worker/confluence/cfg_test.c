#include "agent/worker/confluence/cfg.h"
#include "confleet/cleanup.h"
#include "tree.h"

static const char sample[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<confluence-configuration>\n  <setupStep> "
    "complete </setupStep>\n"
    "  <setupType>custom</setupType>\n  <buildNumber>7901</buildNumber>\n  <properties>\n"
    "    <property name=\"atlassian.license.message\">AAAB</property>\n"
    "    <property name=\"attachments.dir\">${confluenceHome}/attachments</property>\n"
    "    <property name=\"finalizedBuildNumber\">7801</property>\n"
    "    <property name=\"hibernate.connection.url\">jdbc:mysql://h/c?a=b&amp;c=d</property>\n"
    "    <property name=\"jwt.private.key\">secret</property>\n"
    "  </properties>\n</confluence-configuration>\n";

static void parse(const char *bytes, struct cfg *ret)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add(&text, bytes);
    CHECK_OK(cfg_parse(&text, ret, &err), err);
}

TEST(a_live_configuration_is_read)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    parse(sample, &cfg);
    CHECK_STR(cfg.setup_step, "complete");
    CHECK_STR(cfg.setup_type, "custom");
    CHECK_INT(cfg.build, 7901);
    CHECK_INT(cfg.finalized_build, 7801);
    CHECK_INT(cfg.licence, CFG_LICENCE_PRESENT);
    CHECK_STR(cfg_get(&cfg, "hibernate.connection.url"), "jdbc:mysql://h/c?a=b&c=d");
    CLEANUP(free_mem) char *dir = cfg_expand(cfg_get(&cfg, "attachments.dir"), "/var/home");
    CHECK_STR(dir, "/var/home/attachments");
}

TEST(secrets_that_are_not_needed_stay_in_the_file)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    parse(sample, &cfg);
    CHECK_STR(cfg_get(&cfg, "jwt.private.key"), "");
    CHECK_STR(cfg_get(&cfg, "atlassian.license.message"), "");
}

TEST(a_version_1_licence_is_told_apart)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    parse(
        "<confluence-configuration><properties><property "
        "name=\"confluence.license.hash\">x</property>"
        "<property "
        "name=\"confluence.license.message\">y</property></properties></confluence-configuration>",
        &cfg);
    CHECK_INT(cfg.licence, CFG_LICENCE_VERSION_1);
    CHECK_INT(cfg.build, 0);
    CHECK_STR(cfg.setup_step, "");
}

TEST(what_is_no_configuration_is_refused)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add(&text, "<other/>");
    CHECK_INT(cfg_parse(&text, &cfg, &err), -FAIL_CORRUPT);
    str_clear(&text);
    str_add(&text,
            "<confluence-configuration><buildNumber>79x1</buildNumber></confluence-configuration>");
    err_clear(&err);
    CHECK_INT(cfg_parse(&text, &cfg, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "79x1");
    err_clear(&err);
    CHECK_INT(cfg_read(test_dir(), &cfg, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "confluence.cfg.xml");
}

TEST(one_property_is_changed_and_no_other_byte)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str want = { 0 };
    struct err err = { 0 };
    str_add(&text, sample);
    CHECK_OK(cfg_property_set(&text, "hibernate.connection.url", "jdbc:postgresql://h/c?a&b", &err),
             err);
    const char *at = strstr(sample, "jdbc:mysql");
    str_add_bytes(&want, sample, (size_t)(at - sample));
    str_add(&want, "jdbc:postgresql://h/c?a&amp;b");
    str_add(&want, strstr(at, "</property>"));
    CHECK_STR(str_text(&text), str_text(&want));
}

TEST(a_new_property_is_added_last)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add(&text, sample);
    CHECK_OK(cfg_property_set(&text, "access.mode", "READ_ONLY", &err), err);
    CHECK_HAS(str_text(&text), "secret</property>\n    <property "
                               "name=\"access.mode\">READ_ONLY</property>\n  </properties>");
}

TEST(a_property_given_twice_is_not_guessed_at)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add(&text, "<confluence-configuration><properties><property "
                   "name=\"a\">1</property><property name=\"a\">2</property>"
                   "</properties></confluence-configuration>");
    CHECK_INT(cfg_property_set(&text, "a", "3", &err), -FAIL_CONFLICT);
}
