#include "agent/worker/confluence/redact_text.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static void becomes(const char *text, const char *want)
{
    CLEANUP(str_free) struct str out = { 0 };
    redact_text(text, &out);
    CHECK_STR(str_text(&out), want);
}

TEST(secrets_lose_their_value_in_every_form)
{
    becomes("<Connector keystorePass=\"canary\" port='8443'/>",
            "<Connector keystorePass=\"(hidden)\" port='8443'/>");
    becomes("<Resource username=\"u\" password = 'can ary' url=\"jdbc:x\"/>",
            "<Resource username=\"u\" password = '(hidden)' url=\"jdbc:x\"/>");
    becomes("OPTS=\"-Xmx2g -Djavax.net.ssl.keyStorePassword=canary -Dx=1\"",
            "OPTS=\"-Xmx2g -Djavax.net.ssl.keyStorePassword=(hidden) -Dx=1\"");
    becomes("OPTS=\"-Da.pwd=\\\"can ary\\\" -Dx=1\"", "OPTS=\"-Da.pwd=\\\"(hidden)\" -Dx=1\"");
    becomes("application.password   can ary\napplication.name  confluence\n",
            "application.password   (hidden)\napplication.name  confluence\n");
    becomes("db.secret: canary \\\n  canary\nb=1\n", "db.secret: (hidden)\n\nb=1\n");
    becomes("jdbc:postgresql://u:canary@db:5432/c?a=b&password=canary&x=y z",
            "jdbc:postgresql://u:(hidden)@db:5432/c?a=b&password=(hidden) z");
    becomes("<property name=\"hibernate.connection.password\">canary</property>",
            "<property name=\"hibernate.connection.password\">(hidden)</property>");
    becomes("<param-name>db.password</param-name>\n <param-value>canary</param-value>",
            "<param-name>db.password</param-name>\n <param-value>(hidden)</param-value>");
    becomes("<Environment name=\"apiToken\" value=\"canary\" type=\"x\"/>",
            "<Environment name=\"apiToken\" value=\"(hidden)\" type=\"x\"/>");
    becomes("<password>canary</password><b>c</b>", "<password>(hidden)</password><b>c</b>");
    becomes("a\n-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----\nb",
            "a\n(hidden)\n\n-----END RSA PRIVATE KEY-----\nb");
    becomes("password=\"canary", "password=\"(hidden)");
    becomes("<Server shutdown=\"canary\" a=\"b\">", "<Server shutdown=\"(hidden)\" a=\"b\">");
    becomes("password=", "password=");
    becomes("", "");
}

TEST(what_is_no_secret_stays)
{
    static const char text[] =
        "<Server port=\"8000\"><Connector port=\"8090\" proxyName=\"wiki.example\" scheme=\"https\""
        " redirectPort=\"8443\"/></Server>\nCATALINA_OPTS=\"-Xms1g -XX:+UseG1GC ${CATALINA_OPTS}\""
        "\n# https://example.com/a@b\nconfluence.home=/var/x\n";
    becomes(text, text);
}

/* Whatever is cut off or odd: the value never comes through, and the end is found. */
TEST(no_cut_of_a_text_shows_its_secret)
{
    static const char text[] =
        "<a password=\"canary\" value='q'><param-name>x.token</param-name><v>canary</v>\n"
        "secret=canary \\\ncanary\n-Dlicense=canary u://a:canary@b";
    for (size_t from = 0; from < 12; from++)
        for (size_t to = from; to < sizeof text; to++) {
            CLEANUP(free_mem) char *part = text_printf("%.*s", (int)(to - from), text + from);
            CLEANUP(str_free) struct str out = { 0 };
            redact_text(part, &out);
            CHECK(from > 3 || strstr(str_text(&out), "canary") == NULL);
        }
}
