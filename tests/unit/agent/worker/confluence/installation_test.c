#include "agent/worker/confluence/installation.h"
#include "tree.h"
#include <unistd.h>

static void read_site(const char *dir, struct installation *ret)
{
    struct err err = { 0 };
    tree_file(dir, "proc/1/cmdline", "init");
    CHECK_OK(installation_read(tree_path(dir, "app"), NULL, tree_path(dir, "proc"), ret, &err),
             err);
}

TEST(a_plain_site_is_read_whole)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    tree_site(dir);
    read_site(dir, &site);
    CLEANUP(free_mem) char *home = realpath(tree_path(dir, "home"), NULL);
    CHECK_STR(site.home, home);
    CHECK_STR(site.version, "9.2.13");
    CHECK_INT(site.app_build, 9109);
    CHECK_INT(site.home_build, 9109);
    CHECK_STR(site.run_user, "nobody");
    CHECK_INT(site.uid, 65534);
    CHECK_INT(site.pid, 0);
    CHECK_INT(site.http_port, 8090);
    CHECK_INT(site.shutdown_port, 8000);
    CHECK_STR(site.context_path, "/wiki");
    CHECK_STR(site.setup_step, "complete");
    CHECK_STR(site.server_id, "BXXX-YYYY-ZZZZ-AAAA");
    CHECK(site.has_config && !site.clustered && !site.home_inside && !site.home_by_option &&
          !site.installer_made);
    CHECK_INT(site.database.kind, DATABASE_POSTGRESQL);
    CHECK_STR(site.database.host, "db.example");
    CHECK_STR(site.database.port, "5433");
    CHECK_STR(site.database.name, "conf");
    CHECK_STR(site.database.user, "confuser");
    CHECK_STR(site.database.password, "p&ss");
    CHECK_STR(site.database.ssl_mode, "require");
    CHECK(!strstr(str_text(&site.notes), "secret"));
}

TEST(the_id_is_stable_and_plain)
{
    char id[INSTALLATION_ID_MAX], again[INSTALLATION_ID_MAX];
    installation_id("/opt/Atlassian Confluence_9", id);
    installation_id("/opt/Atlassian Confluence_9", again);
    CHECK_STR(id, again);
    CHECK(strncmp(id, "atlassianconfluence_9-", 22) == 0);
    CHECK_INT(strlen(id), 30);
    installation_id("/opt2/Atlassian Confluence_9", again);
    CHECK(strcmp(id, again) != 0);
    installation_id("/", id);
    CHECK(strncmp(id, "confluence-", 11) == 0);
    CHECK(text_is_name(id));
}

TEST(what_is_no_installation_is_refused)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    struct err err = { 0 };
    CHECK_INT(installation_read(dir, NULL, "/proc", &site, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "start-confluence.sh");
    err_clear(&err);
    CHECK_INT(installation_read("/nonexistent/x", NULL, "/proc", &site, &err), -FAIL_NOT_FOUND);
}

TEST(the_option_in_setenv_comes_before_the_file)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    char text[FS_PATH_MAX];
    tree_site(dir);
    tree_file(dir, "other/x", "");
    (void)snprintf(text, sizeof text,
                   "CATALINA_OPTS=\"-Dconfluence.home=%s/other ${CATALINA_OPTS}\"\n", dir);
    tree_file(dir, "app/bin/setenv.sh", text);
    read_site(dir, &site);
    CHECK(site.home_by_option && !site.has_config);
    CHECK_HAS(site.home, "/other");
    CHECK_HAS(str_text(&site.notes), "confluence.cfg.xml");
}

TEST(an_option_that_cannot_be_read_is_not_guessed_past)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    tree_site(dir);
    tree_file(dir, "app/bin/setenv.sh", "CATALINA_OPTS=\"-Dconfluence.home=$DATA_DIR/home\"\n");
    read_site(dir, &site);
    CHECK(site.home == NULL);
    CHECK_HAS(str_text(&site.notes), "without running it");
}

TEST(a_running_process_tells_its_home)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    CLEANUP(free_mem) char *real = realpath(dir, NULL);
    char cmdline[FS_PATH_MAX];
    tree_site(dir);
    tree_file(dir, "running/x", "");
    int len =
        snprintf(cmdline, sizeof cmdline,
                 "java%c-Dconfluence.home=%s/running%c-Dcatalina.base=%s/app", 0, real, 0, real);
    tree_bytes(dir, "proc/77/cmdline", cmdline, (size_t)len + 1);
    read_site(dir, &site);
    CHECK_INT(site.pid, 77);
    CHECK_HAS(site.home, "/running");
    CHECK(site.home_by_option);
}

TEST(a_home_in_the_installation_is_seen)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    char text[FS_PATH_MAX];
    tree_site(dir);
    (void)snprintf(text, sizeof text, "confluence.home=%s/app\n", dir);
    tree_file(dir, "app/confluence/WEB-INF/classes/confluence-init.properties", text);
    read_site(dir, &site);
    CHECK(site.home_inside);
}

TEST(a_neighbour_with_a_longer_name_is_not_inside)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    char text[FS_PATH_MAX];
    tree_site(dir);
    tree_file(dir, "app-home/x", "");
    (void)snprintf(text, sizeof text, "confluence.home=%s/app-home\n", dir);
    tree_file(dir, "app/confluence/WEB-INF/classes/confluence-init.properties", text);
    read_site(dir, &site);
    CHECK(!site.home_inside);
}

TEST(a_latin1_home_is_found_under_its_bytes)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    char text[FS_PATH_MAX];
    tree_site(dir);
    tree_file(dir, "h\xe9", "");
    CHECK_INT(unlink(tree_path(dir, "h\xe9")), 0);
    CHECK_INT(mkdir(tree_path(dir, "h\xe9"), 0700), 0);
    (void)snprintf(text, sizeof text, "confluence.home=%s/h\xe9\n", dir);
    tree_file(dir, "app/confluence/WEB-INF/classes/confluence-init.properties", text);
    read_site(dir, &site);
    CHECK_HAS(site.home, "/h\xe9");
}

TEST(each_sign_of_a_cluster_counts)
{
    static const char *const signs[] = {
        "<setupType>cluster</setupType><properties/>",
        "<properties><property name=\"confluence.cluster\">true</property></properties>",
        "<properties><property name=\"shared-home\">/mnt/shared</property></properties>",
        "<properties><property name=\"shared-home\">${localHome}/sh</property></properties>",
        "<properties><property name=\"confluence.cluster\">false</property></properties>",
    };
    for (size_t i = 0; i < 5; i++) {
        const char *dir = test_dir();
        CLEANUP(installation_free) struct installation site = { 0 };
        char text[1024];
        tree_site(dir);
        (void)snprintf(text, sizeof text, "<confluence-configuration>%s</confluence-configuration>",
                       signs[i]);
        tree_file(dir, "home/confluence.cfg.xml", text);
        read_site(dir, &site);
        CHECK_INT(site.clustered, i < 3);
    }
}

TEST(an_old_messy_site_is_read_with_notes)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    char text[FS_PATH_MAX];
    tree_site(dir);
    struct err err = { 0 };
    CHECK_OK(fs_remove_tree(tree_path(dir, "app/confluence/WEB-INF/lib"), &err), err);
    (void)snprintf(text, sizeof text, "confluence.home=%s/app\n", dir);
    tree_file(dir, "app/confluence/WEB-INF/classes/confluence-init.properties", text);
    tree_file(dir, "app/bin/user.sh", "CONF_USER=\"no-such-account\" ##\n");
    tree_file(dir, "app/conf/server.xml", "<Server port=\"8000\"><Service></Server>");
    tree_file(dir, "app/confluence.cfg.xml",
              "<confluence-configuration><setupStep>complete</setupStep><buildNumber>5515</"
              "buildNumber><properties>"
              "<property name=\"confluence.license.hash\">h</property><property "
              "name=\"confluence.license.message\">LICENCE-TEXT</property>"
              "<property "
              "name=\"hibernate.connection.url\">jdbc:mysql://host/"
              "confluence?sessionVariables=storage_engine%3DInnoDB&amp;useUnicode=true</property>"
              "<property "
              "name=\"hibernate.connection.password\">hunter2</property></properties></"
              "confluence-configuration>");
    read_site(dir, &site);
    const char *notes = str_text(&site.notes);
    CHECK_INT(site.home_build, 5515);
    CHECK_INT(site.app_build, 0);
    CHECK_INT(site.database.kind, DATABASE_MYSQL);
    CHECK_INT(site.uid, (uid_t)-1);
    CHECK(site.home_inside);
    CHECK_HAS(notes, "version 1");
    CHECK_HAS(notes, "no-such-account");
    CHECK_HAS(notes, "server.xml");
    CHECK_HAS(notes, "tells no version");
    CHECK(!strstr(notes, "LICENCE-TEXT") && !strstr(notes, "hunter2"));
}

TEST(an_encrypted_password_is_not_used)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    tree_site(dir);
    tree_file(dir, "home/confluence.cfg.xml",
              "<confluence-configuration><properties><property "
              "name=\"jdbc.password.decrypter.classname\">x.Y</property>"
              "<property name=\"hibernate.connection.password\">{\"json\":1}</property>"
              "<property "
              "name=\"hibernate.connection.url\">jdbc:postgresql://h/c</property></properties></"
              "confluence-configuration>");
    read_site(dir, &site);
    CHECK(site.database.password == NULL);
    CHECK_HAS(site.database.password_note, "encrypted");
}

TEST(a_data_source_and_no_database_are_told)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    tree_site(dir);
    tree_file(dir, "home/confluence.cfg.xml",
              "<confluence-configuration><properties><property "
              "name=\"hibernate.connection.datasource\">java:comp/env/jdbc/confluence</property>"
              "</properties></confluence-configuration>");
    read_site(dir, &site);
    CHECK_INT(site.database.kind, DATABASE_JNDI);
    CHECK_HAS(str_text(&site.notes), "data source");
}

TEST(the_installers_marks_and_java_are_found)
{
    const char *dir = test_dir();
    CLEANUP(installation_free) struct installation site = { 0 };
    tree_site(dir);
    tree_file(dir, "app/jre/bin/java", "#!/bin/sh\n");
    CHECK_INT(chmod(tree_path(dir, "app/jre/bin/java"), 0755), 0);
    read_site(dir, &site);
    CHECK(site.installer_made);
    CHECK_HAS(site.java, "/app/jre/bin/java");
}
