#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static const char shipped[] =
    "<?xml version=\"1.0\"?>\n<Server port=\"8000\" shutdown=\"SHUTDOWN\">\n  <Service "
    "name=\"S\">\n"
    "    <!-- as shipped -->\n"
    "    <Connector port=\"8090\" connectionTimeout=\"20000\" maxThreads=\"48\"\n               "
    "acceptCount=\"10\"/>\n"
    "    <Engine name=\"E\">\n      <Host name=\"localhost\">\n"
    "        <Context path=\"\" docBase=\"../confluence\">\n          <Manager pathname=\"\"/>\n   "
    "     </Context>\n"
    "        <Context path=\"/synchrony-proxy\" docBase=\"../synchrony-proxy\"/>\n"
    "      </Host>\n    </Engine>\n  </Service>\n</Server>\n";

static const char old[] =
    "<Server port=\"9000\" shutdown=\"SECRET-WORD\"><Service name=\"S\">\n"
    "<Connector className=\"org.apache.coyote.tomcat4.CoyoteConnector\" port=\"9090\" "
    "maxThreads=\"150\" connectionTimeout=\"20000\"\n"
    "   proxyName=\"wiki.example.com\" proxyPort=\"443\" scheme=\"https\" secure=\"true\"/>\n"
    "<Connector port=\"9443\" SSLEnabled=\"true\" keystorePass=\"k&amp;y\"><X y='z'/></Connector>\n"
    "<Engine name=\"E\"><Host name=\"localhost\"><Context path=\"/wiki\" docBase=\"../confluence\">"
    "<Resource name=\"jdbc/confluence\" type=\"javax.sql.DataSource\" password=\"p\"/>"
    "<Valve className=\"com.example.Audit\"/></Context></Host></Engine></Service></Server>";

static void parse(const char *bytes, struct serverxml *ret)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add(&text, bytes);
    CHECK_OK(serverxml_parse(&text, ret, &err), err);
}

TEST(ports_path_and_proxy_are_read)
{
    struct serverxml server = { 0 };
    parse(shipped, &server);
    CHECK_INT(server.http_port, 8090);
    CHECK_INT(server.shutdown_port, 8000);
    CHECK_INT(server.connectors, 1);
    CHECK_STR(server.context_path, "");
    CHECK(!server.datasource);
    parse(old, &server);
    CHECK_INT(server.http_port, 9090);
    CHECK_STR(server.proxy_name, "wiki.example.com");
    CHECK_INT(server.proxy_port, 443);
    CHECK(server.secure);
    CHECK_STR(server.context_path, "/wiki");
    CHECK(server.datasource);
}

TEST(the_http_port_is_that_of_the_plain_connector)
{
    struct serverxml server = { 0 };
    parse("<Server port=\"-1\"><Service><Connector port=\"8009\" protocol=\"AJP/1.3\"/><Connector "
          "port=\"8443\" SSLEnabled=\"true\"/>"
          "<Connector port=\"8091\"/></Service></Server>",
          &server);
    CHECK_INT(server.http_port, 8091);
    CHECK_INT(server.shutdown_port, 0);
    CHECK_INT(server.connectors, 3);
}

TEST(what_is_no_server_xml_is_refused)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct serverxml server = { 0 };
    struct err err = { 0 };
    str_add(&text, "<Host/>");
    CHECK_INT(serverxml_parse(&text, &server, &err), -FAIL_CORRUPT);
}

static void merge(const char *base, struct str *text, struct serverxml_report *report)
{
    CLEANUP(str_free) struct str from = { 0 };
    CLEANUP(str_free) struct str base_text = { 0 };
    struct err err = { 0 };
    str_add(&from, old);
    str_clear(text);
    str_add(text, shipped);
    str_add(&base_text, base ? base : "");
    CHECK_OK(serverxml_merge(&from, base ? &base_text : NULL, text, report, &err), err);
}

TEST(the_sites_own_settings_reach_the_new_file)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    merge(NULL, &text, &report);
    struct serverxml server = { 0 };
    parse(text.s, &server);
    CHECK_INT(server.http_port, 9090);
    CHECK_INT(server.shutdown_port, 9000);
    CHECK_INT(server.connectors, 2);
    CHECK_STR(server.proxy_name, "wiki.example.com");
    CHECK_STR(server.scheme, "https");
    CHECK_STR(server.context_path, "/wiki");
    CHECK(server.datasource);
    CHECK_HAS(text.s, "<!-- as shipped -->");
    CHECK_HAS(text.s, "maxThreads=\"150\"");
    CHECK_HAS(text.s, "acceptCount=\"10\"");
    CHECK_HAS(text.s, "<Connector port=\"9443\" SSLEnabled=\"true\" keystorePass=\"k&amp;y\"><X "
                      "y='z'/></Connector>");
    CHECK_HAS(text.s, "docBase=\"../synchrony-proxy\"");
    CHECK(!strstr(text.s, "tomcat4"));
}

TEST(the_report_names_what_was_carried_and_what_was_left)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    merge(NULL, &text, &report);
    CHECK_HAS(report.carried.s, "Connector proxyName=\"wiki.example.com\"");
    CHECK_HAS(report.carried.s, "Connector on port 9443");
    CHECK_HAS(report.left.s, "com.example.Audit");
    /* The shutdown word and passwords are carried, not told. */
    CHECK_HAS(text.s, "SECRET-WORD");
    CHECK(!strstr(report.carried.s, "SECRET-WORD") && !strstr(report.carried.s, "k&y"));
}

TEST(what_equals_the_old_shipped_file_is_not_the_customers)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    /* The old version shipped 150 threads: the new version's own figure then stays. */
    merge("<Server port=\"8000\" shutdown=\"SHUTDOWN\"><Service name=\"S\"><Connector "
          "port=\"8090\" maxThreads=\"150\" connectionTimeout=\"20000\"/>"
          "<Engine><Host><Context path=\"\" "
          "docBase=\"../confluence\"/></Host></Engine></Service></Server>",
          &text, &report);
    CHECK_HAS(text.s, "maxThreads=\"48\"");
    CHECK_HAS(text.s, "port=\"9090\"");
}

TEST(merging_twice_changes_nothing_more)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str again = { 0 };
    CLEANUP(str_free) struct str from = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report second = { 0 };
    struct err err = { 0 };
    merge(NULL, &text, &report);
    str_add(&again, text.s);
    str_add(&from, old);
    CHECK_OK(serverxml_merge(&from, NULL, &again, &second, &err), err);
    CHECK_STR(again.s, text.s);
    CHECK_STR(str_text(&second.carried), "");
}

TEST(a_broken_old_file_leaves_the_new_one_alone)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str from = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    struct err err = { 0 };
    str_add(&text, shipped);
    str_add(&from, "<Server><Service>");
    CHECK_INT(serverxml_merge(&from, NULL, &text, &report, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "the old server.xml");
    CHECK_STR(text.s, shipped);
}
