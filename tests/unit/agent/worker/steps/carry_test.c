#include "agent/worker/steps/carry.h"
#include "agent/worker/steps/carry_tree.h"
#include "agent/worker/steps/carry_xml.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <fcntl.h>
#include <sys/stat.h>

struct trees { char *base, *old, *new, *home, *stage; Confleet__WorkerNode node; Confleet__WorkerOrder order; Confleet__Release release; };

static void put(const char *tree, const char *name, const char *text)
{
    CLEANUP(free_mem) char *path = fs_join(tree, name), *dir = text_dup(path);
    struct err err = { 0 };
    *strrchr(dir, '/') = 0;
    CHECK_OK(fs_mkdirs(dir, 0755, &err), err);
    CHECK_OK(fs_write(path, text, strlen(text), 0644, &err), err);
}

static char *get(const char *tree, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(tree, name);
    struct str text = { 0 };
    return fs_read(path, 1 << 20, &text, NULL) ? text_dup("(none)") : text.s ? text.s : text_dup("");
}

static void put_age(const char *tree, const char *name, const char *text, time_t at)
{
    put(tree, name, text);
    CLEANUP(free_mem) char *path = fs_join(tree, name);
    const struct timespec times[2] = { { .tv_sec = at }, { .tv_sec = at } };
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

#define SERVER "<Server port=\"%d\" shutdown=\"SHUTDOWN\"><Service name=\"Tomcat\"><Connector port=\"%d\" maxThreads=\"48\"/>" \
    "<Engine name=\"S\"><Host name=\"localhost\"><Context path=\"%s\" docBase=\"../confluence\"/></Host></Engine></Service></Server>\n"
#define INIT "confluence/WEB-INF/classes/confluence-init.properties"

static void make_tree(const char *tree, bool is_old, const char *home)
{
    CLEANUP(free_mem) char *server = is_old ? text_printf(SERVER, 18000, 18090, "/wiki") : text_printf(SERVER, 8000, 8090, "");
    CLEANUP(free_mem) char *init = text_printf("# where\n# confluence.home=c:/confluence\n%s%s\n", is_old ? "confluence.home=" : "", is_old ? home : "");
    put(tree, "bin/start-confluence.sh", "#!/bin/sh\n");
    put(tree, "bin/catalina.sh", "#!/bin/sh\n");
    put(tree, "bin/setenv.sh", is_old ? "CATALINA_OPTS=\"-Xmx3g -Dmine=1 ${CATALINA_OPTS}\"\n" : "CATALINA_OPTS=\"-Xmx1g ${CATALINA_OPTS}\"\n");
    put(tree, "bin/user.sh", is_old ? "CONF_USER=\"root\" ##\nexport CONF_USER\n" : "# new\nCONF_USER=\"\" ##\nexport CONF_USER\n");
    put(tree, "conf/server.xml", server);
    put(tree, INIT, init);
    put_age(tree, is_old ? "confluence/WEB-INF/lib/confluence-6.13.4.jar" : "confluence/WEB-INF/lib/confluence-9.2.13.jar", "jar", 1600000000);
}

/* The new tree as unpack leaves it. */
static void ship(const struct trees *t, const struct job *job)
{
    struct err err = { 0 };
    for (const char *const *name = carry_files; *name; name++) {
        CLEANUP(free_mem) char *text = get(t->new, *name), *to = text_printf(TREE_SHIPPED "/%s", *name);
        if (strcmp(text, "(none)") != 0)
            put(t->new, to, text);
    }
    put(t->new, TREE_JARS, "confluence-9.2.13.jar\npostgresql-42.7.jar\n");
    CHECK_OK(tree_mark(job, t->new, &err), err);
}

static struct trees *trees_new(void)
{
    struct trees *t = mem_zero(1, sizeof *t);
    t->base = text_dup(test_dir());
    t->old = fs_join(t->base, "old"), t->stage = fs_join(t->base, "stage"), t->new = fs_join(t->stage, "new"), t->home = fs_join(t->base, "ho me");
    put(t->home, "confluence.cfg.xml", "<confluence-configuration><buildNumber>7901</buildNumber><properties></properties></confluence-configuration>");
    make_tree(t->old, true, t->home);
    make_tree(t->new, false, t->home);
    confleet__worker_node__init(&t->node), confleet__worker_order__init(&t->order), confleet__release__init(&t->release);
    t->node.install = t->old, t->node.stage_dir = t->stage, t->node.home = t->home, t->node.run_dir = t->base;
    t->release.version = (char *)(uintptr_t)"9.2.13";
    t->order.node = &t->node, t->order.release = &t->release;
    return t;
}

static void trees_free(struct trees **t)
{
    free((*t)->base), free((*t)->old), free((*t)->new), free((*t)->home), free((*t)->stage);
    free(*t);
}

static const char *finding(struct job *job, const char *id)
{
    const Confleet__WorkerResult *result = job_result(job);
    for (size_t i = 0; i < result->n_findings; i++)
        if (strcmp(result->findings[i]->id, id) == 0)
            return result->findings[i]->evidence;
    return "(no such finding)";
}

TEST(a_sites_own_settings_come_along_and_again_when_the_step_is_repeated)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(job_free) struct job *job = job_new(&t->order, -1);
    struct err err = { 0 };
    ship(t, job);
    CHECK_OK(carry_act(job, &err), err);
    CHECK_OK(carry_act(job, &err), err);
    CLEANUP(free_mem) char *env = get(t->new, "bin/setenv.sh"), *user = get(t->new, "bin/user.sh"), *server = get(t->new, "conf/server.xml");
    CHECK_HAS(env, "-Xmx3g ${CATALINA_OPTS}");
    CHECK_HAS(env, "${CATALINA_OPTS} -Dmine=1\"");
    CHECK(!strstr(strstr(env, "-Dmine") + 1, "-Dmine"));
    CHECK_STR(user, "# new\nCONF_USER=\"root\" ##\nexport CONF_USER\n");
    CHECK_HAS(server, "port=\"18090\"");
    CHECK_HAS(server, "path=\"/wiki\"");
    CHECK_OK(carry_home_check(t->new, t->home, &err), err);
    CHECK_HAS(finding(job, "carried"), "bin/user.sh: CONF_USER");
}

TEST(a_home_that_does_not_read_back_is_an_error)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    struct err err = { 0 };
    CHECK_INT(carry_home_check(t->new, t->home, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, t->home);
}

TEST(with_the_old_shipped_text_changes_are_merged_and_conflicts_refused)
{
    static const char *const name = "confluence/WEB-INF/classes/velocity.properties";
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(job_free) struct job *job = job_new(&t->order, -1);
    CLEANUP(free_mem) char *shipped = text_printf(TREE_SHIPPED "/%s", name);
    struct err err = { 0 };
    put(t->old, shipped, "a=1\nb=1\nc=1\nd=1\ne=1\n");
    put(t->old, name, "a=mine\nb=1\nc=1\nd=1\ne=1\n");
    put(t->new, name, "a=1\nb=1\nc=1\nd=1\ne=vendor\n");
    ship(t, job);
    CHECK_OK(carry_act(job, &err), err);
    CLEANUP(free_mem) char *merged = get(t->new, name);
    CHECK_STR(merged, "a=mine\nb=1\nc=1\nd=1\ne=vendor\n");
    put(t->old, name, "a=1\nb=1\nc=1\nd=1\ne=mine\n");
    CHECK_INT(carry_act(job, &err), -FAIL_CONFLICT);
    CHECK_HAS(err.text, name);
}

TEST(files_that_nobody_can_judge_are_told_and_not_copied)
{
    static const char *const name = "confluence/WEB-INF/classes/crowd.properties";
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(job_free) struct job *job = job_new(&t->order, -1);
    struct err err = { 0 };
    put(t->old, name, "application.password=hunter2\n");
    put(t->new, name, "application.password=password\n");
    ship(t, job);
    CHECK_OK(carry_act(job, &err), err);
    CLEANUP(free_mem) char *after = get(t->new, name);
    CHECK_STR(after, "application.password=password\n");
    CHECK_HAS(finding(job, "carry-unmerged"), "crowd.properties");
    CHECK(!strstr(finding(job, "carry-unmerged"), "hunter2"));
}

TEST(drivers_and_later_jars_are_the_customers_and_shipped_artifacts_are_not)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(str_free) struct str carried = { 0 }, doubts = { 0 };
    const struct carry_trees trees = { .old = t->old, .new = t->new };
    struct err err = { 0 };
    put(t->new, TREE_JARS, "confluence-9.2.13.jar\npostgresql-42.7.jar\n");
    put_age(t->old, "confluence/WEB-INF/lib/mysql-connector-java-5.1.49.jar", "driver", 1500000000);
    put_age(t->old, "confluence/WEB-INF/lib/postgresql-9.4.jar", "driver", 1500000000);
    put_age(t->old, "confluence/WEB-INF/lib/company-sso.jar", "sso", 1650000000);
    put_age(t->old, "confluence/WEB-INF/lib/aopalliance-1.0.jar", "old", 1590000000);
    CHECK_OK(carry_jars(&trees, &carried, &doubts, &err), err);
    CHECK_STR(str_text(&carried), "confluence/WEB-INF/lib/company-sso.jar\nconfluence/WEB-INF/lib/mysql-connector-java-5.1.49.jar\n");
    CHECK_STR(str_text(&doubts), "aopalliance-1.0.jar (copied)\n");
    for (char c = 'a'; c < 'k'; c++) {
        CLEANUP(free_mem) char *name = text_printf("confluence/WEB-INF/lib/lib%c-1.0.jar", c);
        put_age(t->old, name, "old", 1590000000);
    }
    str_clear(&doubts);
    CHECK_OK(carry_jars(&trees, &carried, &doubts, &err), err);
    CHECK_HAS(str_text(&doubts), "liba-1.0.jar (left out)\n");
    put(t->old, TREE_JARS, "confluence-6.13.4.jar\nlibb-1.0.jar\n");        /* an earlier run of ours knows what was shipped */
    str_clear(&doubts), str_clear(&carried);
    CHECK_OK(carry_jars(&trees, &carried, &doubts, &err), err);
    CHECK_STR(str_text(&doubts), "");
    CHECK_HAS(str_text(&carried), "liba-1.0.jar");
    CHECK(!strstr(str_text(&carried), "libb-1.0.jar"));
}

TEST(what_only_the_installer_brought_comes_along)
{
    CLEANUP(trees_free) struct trees *t = trees_new(), *shipped = trees_new();
    CLEANUP(str_free) struct str carried = { 0 };
    const struct carry_trees trees = { .old = t->old, .new = t->new }, with_java = { .old = shipped->old, .new = shipped->new };
    struct err err = { 0 };
    put(t->old, "jre/lib/security/cacerts", "mine"), put(t->old, "jre/bin/java", "8"), put(t->old, ".install4j/response.varfile", "x");
    put(t->new, TREE_JARS, "");
    CHECK_OK(carry_java(&trees, &carried, &err), err);
    CHECK_OK(carry_java(&trees, &carried, &err), err);
    CLEANUP(free_mem) char *java = get(t->new, "jre/bin/java"), *varfile = get(t->new, ".install4j/response.varfile");
    CHECK_STR(java, "8");
    CHECK_STR(varfile, "x");
    put(shipped->old, "jre/lib/security/cacerts", "mine"), put(shipped->old, "jre/bin/java", "8");
    put(shipped->new, "jre/lib/security/cacerts", "theirs"), put(shipped->new, "jre/bin/java", "17"), put(shipped->new, TREE_JARS, "");
    CHECK_OK(carry_java(&with_java, &carried, &err), err);
    CLEANUP(free_mem) char *newer = get(shipped->new, "jre/bin/java"), *store = get(shipped->new, "jre/lib/security/cacerts");
    CHECK_STR(newer, "17");
    CHECK_STR(store, "mine");
}

TEST(keystores_beside_server_xml_come_along_and_vendor_files_do_not)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(str_free) struct str carried = { 0 };
    const struct carry_trees trees = { .old = t->old, .new = t->new };
    struct err err = { 0 };
    put(t->old, "conf/wiki.p12", "key"), put(t->old, "conf/catalina.policy", "old");
    CHECK_OK(carry_conf(&trees, &carried, &err), err);
    CHECK_STR(str_text(&carried), "conf/wiki.p12\n");
}

static void put_link(const char *tree, const char *name, const char *target)
{
    CLEANUP(free_mem) char *path = fs_join(tree, name);
    put(tree, name, "");
    CHECK_INT(unlink(path), 0);
    CHECK_INT(symlink(target, path), 0);
}

TEST(links_to_files_of_others_are_told_and_never_read)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(job_free) struct job *job = job_new(&t->order, -1);
    CLEANUP(free_mem) char *secret = fs_join(t->base, "secret");
    struct err err = { 0 };
    put(t->base, "secret", "hunter2\n");
    CHECK_INT(chmod(secret, 0600), 0);
    put(t->new, "conf/logging.properties", "a=1\n");
    put(t->old, TREE_SHIPPED "/conf/logging.properties", "a=1\n");
    put_link(t->old, "conf/logging.properties", secret);
    put_link(t->old, "conf/wiki.p12", secret);
    put_link(t->old, "confluence/WEB-INF/lib/mysql-connector-java-5.1.49.jar", secret);
    put(t->old, "jre/bin/java", "8");
    put_link(t->old, "jre/lib/inner", "../bin/java");
    put_link(t->old, "jre/lib/outer", "../../../secret");
    ship(t, job);
    CHECK_OK(carry_act(job, &err), err);
    CLEANUP(free_mem) char *text = get(t->new, "conf/logging.properties"), *store = get(t->new, "conf/wiki.p12");
    CLEANUP(free_mem) char *jar = get(t->new, "confluence/WEB-INF/lib/mysql-connector-java-5.1.49.jar");
    CLEANUP(free_mem) char *inner = get(t->new, "jre/lib/inner"), *outer = get(t->new, "jre/lib/outer");
    CHECK_STR(text, "a=1\n");
    CHECK_STR(store, "(none)");
    CHECK_STR(jar, "(none)");
    CHECK_STR(inner, "8");
    CHECK_STR(outer, "(none)");
    CHECK_HAS(finding(job, "carry-refused"), "conf/logging.properties");
    CHECK_HAS(finding(job, "carry-refused"), "conf/wiki.p12");
    CHECK_HAS(finding(job, "carry-refused"), "mysql-connector");
    CHECK_HAS(finding(job, "carry-refused"), "jre/lib/outer");
    put_link(t->old, "bin/setenv.sh", secret);
    CHECK_INT(carry_act(job, &err), -FAIL_CONFLICT);
    CHECK_HAS(err.text, "bin/setenv.sh");
}

static struct str text_of(const char *text)
{
    struct str s = { 0 };
    str_add(&s, text);
    return s;
}

TEST(single_sign_on_and_session_length_are_known_by_their_meaning)
{
    CLEANUP(str_free) struct str old = text_of(
        "<security-config><parameters><init-param><param-name>login.url</param-name><param-value>https://sso/x</param-value></init-param>"
        "<init-param><param-name>other</param-name><param-value>1</param-value></init-param></parameters>"
        "<authenticator class=\"com.example.Sso\"/></security-config>");
    CLEANUP(str_free) struct str fresh = text_of(
        "<security-config><parameters><init-param><param-name>login.url</param-name><param-value>/login.action</param-value></init-param>"
        "</parameters><authenticator class=\"com.atlassian.A\"/></security-config>");
    CLEANUP(str_free) struct str web = text_of(
        "<web-app><filter><filter-class>com.example.Filter</filter-class></filter>"
        "<session-config><session-timeout>240</session-timeout></session-config></web-app>");
    CLEANUP(str_free) struct str shipped = text_of("<web-app><session-config><session-timeout>60</session-timeout></session-config></web-app>");
    CLEANUP(carry_xml_report_free) struct carry_xml_report seraph = { 0 }, sessions = { 0 };
    struct err err = { 0 };
    CHECK_OK(carry_seraph_merge(&old, &fresh, &seraph, &err), err);
    CHECK_HAS(str_text(&fresh), "class=\"com.example.Sso\"");
    CHECK_HAS(str_text(&fresh), "<param-value>https://sso/x</param-value>");
    CHECK_STR(str_text(&seraph.left), "parameter other\n");
    CHECK_OK(carry_web_merge(&web, &shipped, &sessions, &err), err);
    CHECK_STR(str_text(&shipped), "<web-app><session-config><session-timeout>240</session-timeout></session-config></web-app>");
    CHECK_STR(str_text(&sessions.left), "filter-class com.example.Filter\n");
}

TEST(passwords_among_the_settings_are_carried_over_and_never_told)
{
    CLEANUP(trees_free) struct trees *t = trees_new();
    CLEANUP(job_free) struct job *job = job_new(&t->order, -1);
    struct err err = { 0 };
    put(t->old, "bin/setenv.sh", "CATALINA_OPTS=\"-Dmine.password=canary -XX:+PrintGCDetails ${CATALINA_OPTS}\"\n");
    ship(t, job);
    CHECK_OK(carry_act(job, &err), err);
    CLEANUP(free_mem) char *merged = get(t->new, "bin/setenv.sh");
    CHECK_HAS(merged, "-Dmine.password=canary");
    CHECK_HAS(finding(job, "carried"), "-Dmine.password=");
    const Confleet__WorkerResult *result = job_result(job);
    for (size_t i = 0; i < result->n_findings; i++)
        CHECK(!strstr(result->findings[i]->evidence, "canary"));
}
