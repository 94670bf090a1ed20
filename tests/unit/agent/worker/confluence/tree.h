/* tree - made-up installations for the tests of what the worker knows about Confluence. */
#pragma once
#include "harness/test.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

__attribute__((unused)) static char *tree_path(const char *dir, const char *name)
{
    static char paths[8][FS_PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    (void)snprintf(path, FS_PATH_MAX, "%s/%s", dir, name);
    return path;
}

__attribute__((unused)) static void tree_bytes(const char *dir, const char *name, const void *bytes,
                                               size_t len)
{
    char *path = tree_path(dir, name), *slash = strrchr(path, '/');
    struct err err = { 0 };
    *slash = 0;
    CHECK_OK(fs_mkdirs(path, 0755, &err), err);
    *slash = '/';
    CHECK_OK(fs_write(path, bytes, len, 0644, &err), err);
}

__attribute__((unused)) static void tree_file(const char *dir, const char *name, const char *text)
{
    tree_bytes(dir, name, text, strlen(text));
}

__attribute__((unused)) static void tree_jar(const char *dir, const char *name, const char *entry,
                                             const char *text)
{
    char *path = tree_path(dir, name), *slash = strrchr(path, '/');
    struct err err = { 0 };
    *slash = 0;
    CHECK_OK(fs_mkdirs(path, 0755, &err), err);
    *slash = '/';
    struct archive *archive = archive_write_new();
    CHECK_INT(archive_write_set_format_zip(archive), ARCHIVE_OK);
    CHECK_INT(archive_write_open_filename(archive, path), ARCHIVE_OK);
    const char *const names[] = { "META-INF/MANIFEST.MF", entry };
    for (size_t i = 0; i < 2; i++) {
        struct archive_entry *header = archive_entry_new();
        archive_entry_set_pathname(header, names[i]);
        archive_entry_set_filetype(header, S_IFREG);
        archive_entry_set_perm(header, 0644);
        archive_entry_set_size(header, (la_int64_t)strlen(text));
        CHECK_INT(archive_write_header(archive, header), ARCHIVE_OK);
        CHECK_INT(archive_write_data(archive, text, strlen(text)), strlen(text));
        archive_entry_free(header);
    }
    CHECK_INT(archive_write_close(archive), ARCHIVE_OK);
    CHECK_INT(archive_write_free(archive), ARCHIVE_OK);
}

#define TREE_DEFAULTS "com/atlassian/confluence/default.properties"

/* A plain site: installation dir/app, home dir/home; returns nothing because both paths are known.
 */
__attribute__((unused)) static void tree_site(const char *dir)
{
    char init[FS_PATH_MAX + 64];
    tree_file(dir, "app/bin/start-confluence.sh", "#!/bin/sh\n");
    tree_file(dir, "app/bin/catalina.sh", "#!/bin/sh\n# OS specific support\n");
    tree_file(dir, "app/bin/user.sh",
              "# START INSTALLER MAGIC ! DO NOT EDIT !\nCONF_USER=\"nobody\" ##\n# END\nexport "
              "CONF_USER\n");
    tree_file(dir, "app/bin/setenv.sh",
              "CATALINA_OPTS=\"-Xms1024m "
              "${CATALINA_OPTS}\"\nCATALINA_PID=\"$CATALINA_BASE/work/catalina.pid\"\n");
    tree_file(dir, "app/conf/server.xml",
              "<Server port=\"8000\" shutdown=\"SHUTDOWN\">\n  <Service name=\"s\">\n"
              "    <Connector port=\"8090\" maxThreads=\"48\"/>\n    <Engine name=\"e\"><Host "
              "name=\"h\">\n"
              "      <Context path=\"/wiki\" docBase=\"../confluence\"/>\n    </Host></Engine>\n  "
              "</Service>\n</Server>\n");
    tree_file(dir, "app/confluence/WEB-INF/web.xml", "<web-app/>");
    (void)snprintf(init, sizeof init,
                   "# confluence.home=/sample\nconfluence.home=%s/old\nconfluence.home=%s/home\n",
                   dir, dir);
    tree_file(dir, "app/confluence/WEB-INF/classes/confluence-init.properties", init);
    tree_jar(dir, "app/confluence/WEB-INF/lib/confluence-9.2.13.jar", TREE_DEFAULTS,
             "version.number=9.2.13\nbuild.number=9109\nbuild.date=2025-10-02T00:00:00\n");
    tree_file(dir, "home/confluence.cfg.xml",
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<confluence-configuration>\n  "
              "<setupStep>complete</setupStep>\n"
              "  <setupType>custom</setupType>\n  <buildNumber>9109</buildNumber>\n  <properties>\n"
              "    <property name=\"atlassian.license.message\">AAAB-secret</property>\n"
              "    <property name=\"confluence.setup.server.id\">BXXX-YYYY-ZZZZ-AAAA</property>\n"
              "    <property name=\"hibernate.connection.password\">p&amp;ss</property>\n"
              "    <property "
              "name=\"hibernate.connection.url\">jdbc:postgresql://db.example:5433/"
              "conf?sslmode=require</property>\n"
              "    <property name=\"hibernate.connection.username\">confuser</property>\n"
              "    <property name=\"jwt.private.key\">secret</property>\n  "
              "</properties>\n</confluence-configuration>\n");
}
