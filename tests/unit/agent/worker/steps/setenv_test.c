#include "agent/worker/steps/setenv.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

#define FRESH                                                                          \
    "export CATALINA_PID=\"`dirname \"$PRGDIR\"`/work/catalina.pid\"\n"                \
    "CATALINA_OPTS=\"-Datlassian.plugins.enable.wait=300 ${CATALINA_OPTS}\"\n"         \
    "CATALINA_OPTS=\"-Xms1024m -Xmx1024m -XX:+UseG1GC ${CATALINA_OPTS}\"\n"            \
    "#CATALINA_OPTS=\"-Dmail=off -Xmx9m ${CATALINA_OPTS}\"\n"                          \
    "CATALINA_OPTS=\"-Dconfluence.context.path=${CONFLUENCE_CONTEXT_PATH} ${CATALINA_OPTS}\"\n" \
    "export CATALINA_OPTS\n"

struct merged { struct str text; struct setenv_report report; };

static struct merged merge(const char *old, const char *shipped)
{
    struct merged m = { 0 };
    struct err err = { 0 };
    CHECK_OK(setenv_merge(old, shipped, FRESH, "6.13.4", &m.text, &m.report, &err), err);
    return m;
}

static void merged_free(struct merged *m)
{
    str_free(&m->text);
    setenv_report_free(&m->report);
}

TEST(an_untouched_file_stays_as_it_was_shipped)
{
    CLEANUP(merged_free) struct merged m = merge(FRESH, NULL);
    CHECK_STR(str_text(&m.text), FRESH);
    CHECK_STR(str_text(&m.report.carried), "");
    CHECK_STR(str_text(&m.report.left), "");
}

TEST(memory_is_replaced_in_place_and_not_in_comments)
{
    CLEANUP(merged_free) struct merged m = merge("JAVA_OPTS=\"-Xms2g -Xmx6g $JAVA_OPTS\"\n", NULL);
    CHECK_HAS(str_text(&m.text), "CATALINA_OPTS=\"-Xms2g -Xmx6g -XX:+UseG1GC ${CATALINA_OPTS}\"");
    CHECK_HAS(str_text(&m.text), "-Dmail=off -Xmx9m");
    CHECK(!strstr(str_text(&m.text), "1024m"));
    CHECK_STR(str_text(&m.report.carried), "-Xms2g\n-Xmx6g\n");
}

TEST(what_a_newer_java_refuses_is_left_out_and_named)
{
    CLEANUP(merged_free) struct merged m =
        merge("JAVA_OPTS=\"-XX:MaxPermSize=256m -XX:+UseConcMarkSweepGC -XX:+PrintGCDetails -XX:+PrintGCDateStamps\"\n"
              "CATALINA_OPTS=\"-XX:+UseGCLogFileRotation -XX:NumberOfGCLogFiles=5 -Djava.endorsed.dirs=/x -XX:+UseStringDeduplication\"\n", NULL);
    CHECK(!strstr(str_text(&m.text), "PermSize") && !strstr(str_text(&m.text), "MarkSweep") && !strstr(str_text(&m.text), "PrintGC"));
    CHECK(!strstr(str_text(&m.text), "GCLogFile") && !strstr(str_text(&m.text), "endorsed"));
    CHECK_HAS(str_text(&m.text), "CATALINA_OPTS=\"${CATALINA_OPTS} -XX:+UseStringDeduplication\"");
    CHECK_HAS(str_text(&m.report.dropped), "-XX:MaxPermSize=256m\n");
    CHECK_HAS(str_text(&m.report.dropped), "-XX:NumberOfGCLogFiles=5\n");
    CHECK_STR(str_text(&m.report.carried), "-XX:+UseStringDeduplication\n");
}

TEST(the_customers_value_of_a_setting_wins_by_coming_last)
{
    CLEANUP(merged_free) struct merged m = merge("CATALINA_OPTS=\"-Datlassian.plugins.enable.wait=900 ${CATALINA_OPTS}\"\n", NULL);
    const char *theirs = strstr(str_text(&m.text), "wait=300"), *mine = strstr(str_text(&m.text), "wait=900");
    CHECK(theirs && mine && theirs < mine);
    CHECK_HAS(str_text(&m.report.carried), "wait=900 instead of -Datlassian.plugins.enable.wait=300");
}

TEST(options_that_the_shell_would_change_are_left_to_a_person)
{
    CLEANUP(merged_free) struct merged m = merge("CATALINA_OPTS=\"-Xloggc:$LOGBASEABS/gc-`date +%F`.log -Dnode=`hostname` ${CATALINA_OPTS}\"\n"
                                                 "CATALINA_OPTS=\"-Dconfluence.context.path=${CONFLUENCE_CONTEXT_PATH} $CATALINA_OPTS\"\n", NULL);
    CHECK_STR(str_text(&m.report.left), "-Dnode=…\n");
    CHECK(!strstr(str_text(&m.text), "hostname"));
}

TEST(with_the_old_shipped_file_only_differences_are_carried)
{
    CLEANUP(merged_free) struct merged m = merge("CATALINA_OPTS=\"-Dvendor.old=1 -Dmine=2 -Xmx4g ${CATALINA_OPTS}\"\n",
                                                 "CATALINA_OPTS=\"-Dvendor.old=1 -Xmx512m ${CATALINA_OPTS}\"\n");
    CHECK(!strstr(str_text(&m.text), "vendor.old"));
    CHECK_HAS(str_text(&m.text), "-Dmine=2");
    CHECK_HAS(str_text(&m.report.carried), "-Dmine=…\n"); /* it could be a password */
    CHECK_HAS(str_text(&m.text), "-Xms1024m -Xmx4g");
}

TEST(variables_of_the_customer_are_carried_and_the_scripts_own_are_not)
{
    CLEANUP(merged_free) struct merged m = merge("JAVA_HOME=/usr/lib/jvm/java-17\nexport LD_LIBRARY_PATH=\"/opt/apr/lib\"\n"
                                                 "CATALINA_PID=/tmp/x\nX=$(id)\n", NULL);
    CHECK_HAS(str_text(&m.text), "export JAVA_HOME=\"/usr/lib/jvm/java-17\"\n");
    CHECK_HAS(str_text(&m.text), "export LD_LIBRARY_PATH=\"/opt/apr/lib\"\n");
    CHECK(!strstr(str_text(&m.text), "/tmp/x") && !strstr(str_text(&m.text), "$(id)"));
    CHECK_HAS(str_text(&m.report.left), "X=…\n");
}

TEST(options_that_may_come_many_times_all_stay)
{
    CLEANUP(merged_free) struct merged m = merge("CATALINA_OPTS=\"--add-opens java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED "
                                                 "-javaagent:/opt/a.jar -javaagent:/opt/b.jar\"\n", NULL);
    CHECK_HAS(str_text(&m.text), "--add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED "
                                "-javaagent:/opt/a.jar -javaagent:/opt/b.jar");
}
