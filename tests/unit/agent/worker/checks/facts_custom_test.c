/* A release as an archive, an installation made from it, and what a site does to it. */
#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/checks/pristine.h"
#include "../confluence/cluster.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define WEBINF "confluence/WEB-INF/"
#define POM    "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
static const struct shipped {
    const char *path, *text;
    mode_t mode;
} release[] = {
    { "bin/catalina.sh", "#!/bin/sh\n", 0755 },
    { "bin/setenv.sh", "CATALINA_OPTS=\"-Xmx1g\"\n", 0755 },
    { "conf/server.xml", "<Server/>", 0644 },
    { "conf/web.xml", "<web-app/>", 0644 },
    { POM, "version=9.2.13\n", 0644 },
    { WEBINF "classes/confluence-init.properties", "#\n", 0644 },
    { WEBINF "classes/seraph-config.xml", "<s/>", 0644 },
    { WEBINF "lib/confluence-9.2.13.jar", "jar", 0644 },
    { WEBINF "lib/postgresql-42.jar", "driver", 0644 },
    { "confluence/login.vm", "login", 0644 },
    { "README.txt", "read", 0644 },
    { NULL, NULL, 0 },
};

struct world {
    char install[200], archive[200];
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    struct installation site;
    struct gather_source source;
    struct facts_custom *facts;
};
static struct facts_custom facts_room;

static void put(const struct world *world, const char *name, const char *text, mode_t mode)
{
    CLEANUP(free_mem) char *path = fs_join(world->install, name), *dir = text_dup(path);
    *strrchr(dir, '/') = 0;
    CHECK_INT(fs_mkdirs(dir, 0755, NULL), 0);
    CHECK_INT(fs_write(path, text, strlen(text), mode, NULL), 0);
    CHECK_INT(chmod(path, mode), 0);
    const struct timeval times[2] = { { 1700000000, 0 }, { 1700000000, 0 } };
    CHECK_INT(utimes(path, times), 0);
}

static void entry_put(struct archive *a, const char *path, mode_t kind, const char *text)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, kind & S_IFMT ? kind & S_IFMT : AE_IFREG);
    archive_entry_set_perm(entry, kind & 0777);
    if (archive_entry_filetype(entry) != AE_IFREG)
        text = "";
    archive_entry_set_size(entry, (la_int64_t)strlen(text));
    CHECK_INT(archive_write_header(a, entry), ARCHIVE_OK);
    CHECK_INT(archive_write_data(a, text, strlen(text)), (la_ssize_t)strlen(text));
    archive_entry_free(entry);
}

static struct archive *archive_begin(const char *path, bool zip)
{
    struct archive *a = archive_write_new();
    CHECK_INT(zip ? archive_write_set_format_zip(a) : archive_write_set_format_pax_restricted(a),
              ARCHIVE_OK);
    if (!zip)
        CHECK_INT(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    CHECK_INT(archive_write_open_filename(a, path), ARCHIVE_OK);
    return a;
}

static void archive_end(struct archive *a)
{
    CHECK_INT(archive_write_close(a), ARCHIVE_OK);
    CHECK_INT(archive_write_free(a), ARCHIVE_OK);
}

static void world_make(struct world *world, const char *name, bool zip)
{
    *world = (struct world){ .facts = &facts_room };
    (void)snprintf(world->install, sizeof world->install, "%s/%s", test_dir(), name);
    (void)snprintf(world->archive, sizeof world->archive, "%s/%s.archive", test_dir(), name);
    struct archive *a = archive_begin(world->archive, zip);
    for (const struct shipped *file = release; file->path; file++) {
        char path[300];
        (void)snprintf(path, sizeof path, "conf-9/%s", file->path);
        entry_put(a, path, file->mode, file->text);
        put(world, file->path, file->text, file->mode);
    }
    archive_end(a);
    put(world, WEBINF "classes/confluence-init.properties", "confluence.home=/x\n", 0644);
    put(world, "logs/catalina.out", "log", 0644);
    put(world, "work/catalina.pid", "1", 0644);
    confleet__worker_node__init(&world->node);
    confleet__worker_order__init(&world->order);
    world->site.install = world->install;
    world->site.uid = geteuid();
    (void)snprintf(world->site.version, sizeof world->site.version, "9.2.13");
    world->source = (struct gather_source){ .node = &world->node,
                                            .order = &world->order,
                                            .site = &world->site };
    world->order.pristine = world->archive;
}

static struct facts_custom *look(struct world *world)
{
    *world->facts = (struct facts_custom){ .part = { .known = FACT_YES } };
    facts_custom_files(&world->source, 0, world->facts);
    return world->facts;
}

static const struct custom_group *group(const struct world *world, enum custom_class class)
{
    return &world->facts->groups[class];
}

TEST(an_installation_as_it_was_shipped_shows_nothing)
{
    struct world world;
    for (int zip = 0; zip < 2; zip++) {
        world_make(&world, zip ? "zipped" : "tarred", zip == 1);
        const struct facts_custom *facts = look(&world);
        CHECK_STR(facts->why, "");
        CHECK_INT(facts->compared, FACT_YES);
        CHECK_INT(facts->differences, 0);
        CHECK_INT(facts->unread, 0);
        CHECK_INT(facts->shipped, 11);
    }
}

static void spoil(const struct world *world)
{
    put(world, "conf/server.xml", "<Sorver/>", 0644); /* of the same size */
    put(world, "bin/setenv.sh", "CATALINA_OPTS=\"-Xmx4g\"\nexport X\n", 0755);
    put(world, "bin/catalina.sh", "#!/bin/sh\n", 0644);
    put(world, "bin/own.sh", "", 0755);
    put(world, "conf/web.xml", "<web-opp/>", 0644);
    put(world, "conf/site.p12", "key", 0600);
    put(world, WEBINF "classes/seraph-config.xml", "<t/>", 0644);
    put(world, WEBINF "classes/com/acme/A.class", "a", 0644);
    put(world, WEBINF "classes/com/acme/B.class", "b", 0644);
    put(world, WEBINF "lib/ojdbc8.jar", "driver", 0644);
    put(world, WEBINF "lib/confluence-9.2.13.jar", "rab", 0644);
    put(world, "confluence/login.vm", "nigol", 0644);
    put(world, "confluence/de\tc\xe4.vm", "x", 0644);
    put(world, "backup-2019/a/b/c", "x", 0644);
    CLEANUP(free_mem) char *gone = fs_join(world->install, "README.txt");
    CHECK_INT(unlink(gone), 0);
}

TEST(what_was_added_changed_or_lost_is_found_and_classified)
{
    struct world world;
    world_make(&world, "spoilt", false);
    spoil(&world);
    for (int way = 0; way < 2; way++) {
        if (way == 1) { /* the same by the list of the files */
            CLEANUP(pristine_free) struct pristine list = { .count = 0 };
            CLEANUP(str_free) struct str text = { 0 };
            struct err err = { 0 };
            CHECK_OK(pristine_of_archive(world.archive, 0, &list, &err), err);
            pristine_write(&list, &text);
            put(&world, CUSTOM_MANIFEST, str_text(&text), 0644);
            world.order.pristine = (char *)(uintptr_t) "";
        }
        const struct facts_custom *facts = look(&world);
        CHECK_INT(facts->compared, FACT_YES);
        CHECK_STR(group(&world, CUSTOM_SERVER)->names, "changed conf/server.xml");
        CHECK_STR(group(&world, CUSTOM_SETENV)->names, "changed bin/setenv.sh");
        CHECK_STR(group(&world, CUSTOM_WEB)->names, "changed conf/web.xml");
        CHECK_STR(group(&world, CUSTOM_KEYSTORE)->names, "added conf/site.p12");
        CHECK_STR(group(&world, CUSTOM_SERAPH)->names,
                  "changed " WEBINF "classes/seraph-config.xml");
        CHECK_STR(group(&world, CUSTOM_JAR)->names,
                  "added " WEBINF "classes/com/; changed " WEBINF "lib/confluence-9.2.13.jar");
        CHECK_INT(group(&world, CUSTOM_JAR)->counts[CUSTOM_ADDED], 2);
        CHECK_INT(group(&world, CUSTOM_JAR)->left, 3);
        CHECK_STR(group(&world, CUSTOM_DRIVER)->names, "added " WEBINF "lib/ojdbc8.jar");
        CHECK_INT(group(&world, CUSTOM_DRIVER)->left, 0);
        CHECK_STR(group(&world, CUSTOM_SCRIPT)->left_names, "added bin/own.sh");
        CHECK_HAS(group(&world, CUSTOM_LAYOUT)->names, "changed confluence/login.vm");
        CHECK_HAS(group(&world, CUSTOM_LAYOUT)->names, "added confluence/de?c");
        CHECK_STR(group(&world, CUSTOM_OTHER)->names, "missing README.txt; added backup-2019/");
        CHECK_INT(facts->not_executable, 1);
        CHECK_STR(facts->not_executable_name, "bin/catalina.sh");
    }
}

TEST(without_the_release_nothing_is_called_good)
{
    struct world world;
    world_make(&world, "alone", false);
    world.order.pristine = (char *)(uintptr_t) "";
    const struct facts_custom *facts = look(&world);
    CHECK_INT(facts->compared, FACT_UNKNOWN);
    CHECK_HAS(facts->why, "neither the archive of 9.2.13 nor a list");
    CHECK_INT(facts->differences, 0);
    /* Times and kinds are all there is. */
    CLEANUP(free_mem) char *path = fs_join(world.install, "conf/server.xml");
    CHECK_INT(utimes(path, NULL), 0);
    put(&world, WEBINF "lib/mysql-connector-java-5.1.jar", "driver", 0644);
    (void)look(&world);
    CHECK_STR(group(&world, CUSTOM_SERVER)->names, "conf/server.xml");
    CHECK_STR(group(&world, CUSTOM_DRIVER)->names, WEBINF "lib/mysql-connector-java-5.1.jar");
    CHECK_INT(world.facts->differences, 0);
}

TEST(the_archive_of_another_version_is_told_and_not_used)
{
    struct world world;
    world_make(&world, "other", false);
    put(&world, POM, "version=9.2.14\n", 0644);
    const struct facts_custom *facts = look(&world);
    CHECK_INT(facts->compared, FACT_UNKNOWN);
    CHECK_HAS(facts->why, "is not the release that is installed here (9.2.13)");
    CHECK_INT(facts->differences, 0);
}

TEST(links_and_folders_that_cannot_be_read_are_told)
{
    struct world world;
    world_make(&world, "linked", false);
    CLEANUP(free_mem) char *conf = fs_join(world.install, "conf"),
                           *moved = text_printf("%s.conf", world.install),
                           *readme = fs_join(world.install, "README.txt");
    CHECK_INT(rename(conf, moved), 0);
    CHECK_INT(symlink(moved, conf), 0);
    CHECK_INT(unlink(readme), 0);
    CHECK_INT(mkfifo(readme, 0644), 0);
    (void)look(&world);
    /* A link is not followed: the folder is named, what lies below it is not called missing. */
    CHECK_HAS(group(&world, CUSTOM_OTHER)->names, "added conf");
    CHECK_HAS(group(&world, CUSTOM_OTHER)->names, "changed README.txt");
    CHECK_INT(group(&world, CUSTOM_SERVER)->counts[CUSTOM_MISSING], 0);
    if (geteuid() == 0)
        return; /* root reads everything */
    CLEANUP(free_mem) char *lib = fs_join(world.install, WEBINF "lib");
    CHECK_INT(chmod(lib, 0), 0);
    (void)look(&world);
    CHECK_INT(chmod(lib, 0755), 0);
    CHECK_INT(world.facts->unread, 1);
    CHECK_INT(group(&world, CUSTOM_JAR)->counts[CUSTOM_MISSING], 0);
}

TEST(a_home_that_is_the_installation_is_not_taken_for_changes)
{
    struct world world;
    world_make(&world, "both", false);
    world.site.home = world.install;
    put(&world, "confluence.cfg.xml", "<c/>", 0644);
    put(&world, "attachments/1/2/3", "x", 0644);
    CHECK_INT(look(&world)->differences, 0);
}

/* ---------------------------------------------------------------- the list and hostile archives */

TEST(a_list_of_files_reads_as_it_was_written_and_no_other_way)
{
    struct world world;
    world_make(&world, "list", false);
    CLEANUP(pristine_free) struct pristine list = { .count = 0 }, again = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 }, second = { 0 };
    struct err err = { 0 };
    CHECK_OK(pristine_of_archive(world.archive, 0, &list, &err), err);
    pristine_write(&list, &text);
    CHECK_OK(pristine_parse("it", str_text(&text), text.len, &again, &err), err);
    pristine_write(&again, &second);
    CHECK_STR(str_text(&second), str_text(&text));
    for (size_t len = 0; len < text.len; len++) {
        CLEANUP(pristine_free) struct pristine cut = { .count = 0 };
        struct err why = { 0 };
        CHECK_INT(pristine_parse("cut", str_text(&text), len, &cut, &why), -FAIL_CORRUPT);
    }
    const char *const bad[] = { "x 1 100644 a", "1 100644 a", "", "end 0" };
    char line[400];
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    const char *const paths[] = { "../a", "/a", "a//b", "a/./b", "a\x01", "" };
    for (size_t i = 0; i < 4 + 6; i++) {
        CLEANUP(pristine_free) struct pristine got = { .count = 0 };
        struct err why = { 0 };
        if (i < 4)
            (void)snprintf(line, sizeof line, "confleet pristine 1\n%s\nend 1\n", bad[i]);
        else
            (void)snprintf(line, sizeof line, "confleet pristine 1\n%s 1 100644 %s\nend 1\n", zeros,
                           paths[i - 4]);
        CHECK_INT(pristine_parse("bad", line, strlen(line), &got, &why), -FAIL_CORRUPT);
    }
}

static void refused(const char *name, mode_t kind, const char *words)
{
    CLEANUP(free_mem) char *path = text_printf("%s/hostile", test_dir());
    CLEANUP(pristine_free) struct pristine list = { .count = 0 };
    struct err err = { 0 };
    struct archive *a = archive_begin(path, false);
    entry_put(a, "conf-9/README.txt", 0644, "x");
    entry_put(a, name, kind, "x");
    archive_end(a);
    int rc = pristine_of_archive(path, 0, &list, &err);
    if (rc != -FAIL_CORRUPT)
        print_error("%s was taken\n", name);
    CHECK_INT(rc, -FAIL_CORRUPT);
    CHECK_HAS(err.text, words);
}

TEST(archives_that_play_tricks_are_refused)
{
    refused("conf-9/../../etc/passwd", 0644, "unclean");
    refused("/etc/passwd", 0644, "absolute");
    refused("other/README.txt", 0644, "outside the one top folder");
    refused("conf-9/README.txt", 0644, "twice");
    refused("conf-9/a\nb", 0644, "unclean");
    refused("conf-9/fifo", S_IFIFO | 0644, "neither file, folder nor link");
    CLEANUP(free_mem) char *path = text_printf("%s/none", test_dir());
    CLEANUP(pristine_free) struct pristine list = { .count = 0 };
    struct err err = { 0 };
    CHECK_INT(fs_write(path, "nothing of the kind", 19, 0644, NULL), 0);
    CHECK_INT(pristine_of_archive(path, 0, &list, &err), -FAIL_CORRUPT);
}

TEST(a_bomb_costs_no_more_than_its_time)
{
    CLEANUP(free_mem) char *path = text_printf("%s/bomb", test_dir());
    CLEANUP(free_mem) char *zeros = mem_zero(1, 1 << 20);
    CLEANUP(pristine_free) struct pristine list = { .count = 0 };
    struct err err = { 0 };
    struct archive *a = archive_begin(path, false);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, "conf-9/zeros");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, 64 << 20);
    CHECK_INT(archive_write_header(a, entry), ARCHIVE_OK);
    for (int i = 0; i < 64; i++)
        CHECK_INT(archive_write_data(a, zeros, 1 << 20), 1 << 20);
    archive_entry_free(entry);
    archive_end(a);
    CHECK_INT(pristine_of_archive(path, 1, &list, &err), -FAIL_TIMEOUT);
}

/* ---------------------------------------------------------------- the merge, tried */

#define SERVER(port, more)                                                                         \
    "<Server port=\"8000\" shutdown=\"SHUTDOWN\"><Service name=\"T\"><Connector port=\"" port      \
    "\"" more "/><Engine name=\"S\"><Host name=\"l\"><Context path=\"\" docBase=\"../confluence\"/>" \
    "</Host></Engine></Service></Server>\n"

static void merge_world(struct world *world, const char *name)
{
    static Confleet__Release target;
    world_make(world, name, false);
    CLEANUP(free_mem) char *fresh = text_printf("%s.new", world->archive);
    struct archive *a = archive_begin(fresh, false);
    entry_put(a, "conf-9/bin/setenv.sh", 0755, "CATALINA_OPTS=\"-Xmx1g\"\nexport CATALINA_OPTS\n");
    entry_put(a, "conf-9/bin/user.sh", 0755, "CONF_USER=\"\" ##\n");
    entry_put(a, "conf-9/conf/server.xml", 0644, SERVER("8090", ""));
    entry_put(a, "conf-9/conf/context.xml", 0644, "<new/>\n");
    entry_put(a, "conf-9/" WEBINF "classes/confluence-init.properties", 0644, "#\n");
    entry_put(a, "conf-9/" WEBINF "lib/any.jar", 0644, "jar");
    archive_end(a);
    put(world, "bin/setenv.sh",
        "CATALINA_OPTS=\"-Xmx3g -Dmy.password=canary -XX:+PrintGCDetails\"\n", 0755);
    put(world, "bin/user.sh", "CONF_USER=\"\" ##\n", 0755);
    put(world, "conf/server.xml", SERVER("8091", " keystorePass=\"canary\""), 0644);
    confleet__release__init(&target);
    target.version = (char *)(uintptr_t) "9.2.21";
    world->order.release = &target;
    world->order.artifact = text_dup(fresh);
    world->order.want_diff = true;
    world->node.run_dir = text_printf("%s.run", world->install);
    CHECK_INT(fs_mkdirs(world->node.run_dir, 0700, NULL), 0);
    (void)snprintf(world->source.target.text, sizeof world->source.target.text, "9.2.21");
    world->site.home = world->install;
}

static void merge_free(struct world *world)
{
    free(world->order.artifact);
    free(world->node.run_dir);
}

TEST(the_merge_is_shown_as_a_diff_without_secrets)
{
    struct world world;
    CLEANUP(str_free) struct str text = { 0 };
    merge_world(&world, "merging");
    struct custom_merge *merge = &world.facts->merge;
    *merge = (struct custom_merge){ .known = FACT_UNKNOWN };
    facts_custom_merge(&world.source, 0, merge);
    CHECK_STR(merge->why, "");
    CHECK_INT(merge->known, FACT_YES);
    CHECK_INT(merge->conflicts, 0);
    CHECK_INT(merge->dropped, 1);
    CHECK_HAS(merge->dropped_text, "-XX:+PrintGCDetails");
    CHECK_HAS(merge->carried_text, "-Xmx3g");
    CHECK_HAS(merge->carried_text, "keystorePass");
    CLEANUP(free_mem) char *output = fs_join(world.node.run_dir, "output"),
                           *left = fs_join(world.node.run_dir, "merge");
    CHECK_INT(fs_read(output, 1 << 20, &text, NULL), 0);
    CHECK_HAS(str_text(&text), "--- shipped-new/bin/setenv.sh\n+++ after-merge/bin/setenv.sh\n");
    CHECK_HAS(str_text(&text), "-Dmy.password=(hidden)");
    CHECK_HAS(str_text(&text), "port=\"8091\"");
    CHECK(strstr(str_text(&text), "canary") == NULL);
    CHECK(memmem(merge, sizeof *merge, "canary", 6) == NULL);
    CHECK(!fs_exists(left)); /* it held the site's own texts */
    merge_free(&world);
}

TEST(a_conflict_needs_a_person_and_the_others_are_still_tried)
{
    struct world world;
    merge_world(&world, "conflict");
    put(&world, ".confleet/shipped/conf/context.xml", "<old/>\n", 0644);
    put(&world, "conf/context.xml", "<mine/>\n", 0644);
    put(&world, "conf/server.xml", "no xml", 0644);
    struct custom_merge *merge = &world.facts->merge;
    *merge = (struct custom_merge){ .known = FACT_UNKNOWN };
    facts_custom_merge(&world.source, 0, merge);
    CHECK_INT(merge->known, FACT_YES);
    CHECK_INT(merge->conflicts, 2);
    CHECK_HAS(merge->conflict_text, "conf/server.xml: ");
    CHECK_HAS(merge->conflict_text, "conf/context.xml was changed here and, in the same place");
    CHECK_HAS(merge->carried_text, "-Xmx3g");
    merge_free(&world);
}

TEST(without_an_archive_the_merge_is_unknown)
{
    struct world world;
    merge_world(&world, "nothing");
    struct custom_merge *merge = &world.facts->merge;
    CHECK_INT(unlink(world.order.artifact), 0);
    *merge = (struct custom_merge){ .known = FACT_UNKNOWN };
    facts_custom_merge(&world.source, 0, merge);
    CHECK_INT(merge->known, FACT_UNKNOWN);
    CHECK_HAS(merge->why, "the archive of 9.2.21 is not on this server yet");
    CHECK_INT(fs_write(world.order.artifact, "junk", 4, 0644, NULL), 0);
    *merge = (struct custom_merge){ .known = FACT_UNKNOWN };
    facts_custom_merge(&world.source, 0, merge);
    CHECK_INT(merge->known, FACT_UNKNOWN);
    CHECK(merge->why[0] != 0);
    merge_free(&world);
}

TEST(an_archive_that_the_agent_holds_is_found_by_its_digest)
{
    struct world world;
    Confleet__Release installed = CONFLEET__RELEASE__INIT, *list[] = { &installed };
    char found[FACT_TEXT];
    world_make(&world, "held", false);
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    const char *dir = test_dir();
    CLEANUP(free_mem) char *at = text_printf("%s/%s", dir, zeros);
    CHECK_INT(rename(world.archive, at), 0);
    installed.version = world.site.version;
    installed.artifact_sha256 = (char *)(uintptr_t)zeros;
    world.order.pristine = (char *)(uintptr_t) "";
    world.order.catalogue = list;
    world.order.n_catalogue = 1;
    custom_artifact(&world.source, "9.2.13", found);
    CHECK_STR(found, "");
    world.node.artifacts_dir = (char *)(uintptr_t)dir;
    custom_artifact(&world.source, "9.2.13", found);
    CHECK_STR(found, at);
    CHECK_INT(look(&world)->compared, FACT_YES);
    CHECK_HAS(world.facts->source, "the archive of 9.2.13 that this server holds");
    CHECK_INT(unlink(at), 0);
}

/* ---------------------------------------------------------------- the database */

TEST(layouts_themes_and_templates_are_counted_and_never_read)
{
    struct world world;
    world_make(&world, "database", false);
    struct custom_database *database = &world.facts->database;
    *database = (struct custom_database){ .known = FACT_UNKNOWN };
    facts_custom_database(&world.source, database);
    CHECK_INT(database->known, FACT_UNKNOWN);
    CHECK_HAS(database->why, "is not asked");
    (void)cluster();
    cluster_do("postgres", (const char *const[]){ "create role looks login password 'right'",
                                                  "create database looks owner looks", NULL });
    cluster_site("looks", "right", &world.site.database);
    *database = (struct custom_database){ .known = FACT_UNKNOWN };
    facts_custom_database(&world.source, database);
    CHECK_INT(database->known, FACT_UNKNOWN); /* no such tables */
    CHECK(database->why[0] != 0);
    cluster_do("looks",
               (const char *const[]){
                   "create table public.decorator (decoratorid int, spacekey text, decoratorname text, "
                   "body text)",
                   "insert into public.decorator values (1, null, 'decorators/main.vmd', 'canary'), (2, "
                   "'DS', 'decorators/page.vmd', 'canary')",
                   "create table public.bandana (bandanacontext text, bandanakey text, bandanavalue text)",
                   "insert into public.bandana values ('_GLOBAL', 'atlassian.confluence.theme.settings', "
                   "'<x><string>com.acme.theme:blue</string><string>canary</string></x>'), ('DS', "
                   "'atlassian.confluence.theme.settings', '<string>com.acme.theme:red</string>'), "
                   "('DS', 'other', 'canary')",
                   "alter table public.decorator owner to looks", "alter table public.bandana owner to looks",
                   NULL });
    *database = (struct custom_database){ .known = FACT_UNKNOWN };
    facts_custom_database(&world.source, database);
    CHECK_INT(database->known, FACT_YES);
    CHECK_INT(database->templates_known, FACT_UNKNOWN);
    CHECK_INT(database->layouts, 2);
    CHECK_INT(database->layouts_of_spaces, 1);
    CHECK_STR(database->layout_names, "DS:decorators/page.vmd, decorators/main.vmd");
    CHECK_STR(database->theme, "com.acme.theme:blue");
    CHECK_INT(database->themes_of_spaces, 1);
    CHECK_STR(database->theme_names, "com.acme.theme:red");
    cluster_do("looks", (const char *const[]){
                            "create table public.pagetemplates (templateid int, spaceid int, prevver int)",
                            "insert into public.pagetemplates values (1, null, null), (2, 5, null), (3, "
                            "5, 2)",
                            "alter table public.pagetemplates owner to looks", NULL });
    *database = (struct custom_database){ .known = FACT_UNKNOWN };
    facts_custom_database(&world.source, database);
    CHECK_INT(database->templates_known, FACT_YES);
    CHECK_INT(database->templates, 1);
    CHECK_INT(database->templates_of_spaces, 1);
    CHECK(memmem(database, sizeof *database, "canary", 6) == NULL);
    database_free(&world.site.database);
}
