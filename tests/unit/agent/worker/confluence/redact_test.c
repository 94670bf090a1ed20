#include "agent/worker/confluence/redact.h"
#include "confleet/cleanup.h"
#include "tests/harness/test.h"

TEST(an_option_is_told_with_its_value_when_its_name_is_known_to_be_harmless)
{
    static const char *const rows[][2] = {
        { "-Xmx2g", "-Xmx2g" },
        { "-XX:G1ReservePercent=20", "-XX:G1ReservePercent=20" },
        { "--add-opens=java.base/java.lang=ALL-UNNAMED",
          "--add-opens=java.base/java.lang=ALL-UNNAMED" },
        { "-Dconfluence.home=/x", "-Dconfluence.home=/x" },
        { "-Datlassian.plugins.enable.wait=300", "-Datlassian.plugins.enable.wait=300" },
        { "-Djava.awt.headless", "-Djava.awt.headless" },
        { "-Dexample.site=one", "-Dexample.site=…" },
        { "-Dconfluence.db.Password=x", "-Dconfluence.db.Password=…" },
        { "-Djavax.net.ssl.trustStore=/x=y", "-Djavax.net.ssl.trustStore=…" },
        { "-Datlassian.recaptcha.apiKey=x", "-Datlassian.recaptcha.apiKey=…" },
        { "-javaagent:/opt/a.jar=licence=abc", "-javaagent:/opt/a.jar=…" },
        { "-D=x", "-D=…" },
        { "=x", "=…" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(str_free) struct str out = { 0 };
        redact_option(&out, rows[i][0]);
        CHECK_STR(str_text(&out), rows[i][1]);
    }
}

TEST(a_variable_is_told_with_its_value_when_it_is_a_place_of_java)
{
    static const char *const rows[][2] = { { "JAVA_HOME=/usr/lib/jvm", "JAVA_HOME=/usr/lib/jvm" },
                                           { "JAVA_HOME_PASS=x", "JAVA_HOME_PASS=…" },
                                           { "PROXY=http://u:p@proxy", "PROXY=…" },
                                           { "NAME", "NAME" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(str_free) struct str out = { 0 };
        redact_variable(&out, rows[i][0]);
        CHECK_STR(str_text(&out), rows[i][1]);
    }
}

TEST(names_of_secrets_are_known_in_every_spelling)
{
    static const char *const secrets[] = { "keystorePass",   "truststorePassword", "requiredSecret",
                                           "db.PWD",         "shutdown",           "jwt.private.key",
                                           "license.message", "apiToken" };
    static const char *const others[] = { "port", "keystoreFile", "keyAlias", "proxyName", "" };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        CHECK(redact_is_secret(secrets[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(!redact_is_secret(others[i]));
}
