/* The apps of a real database and of real jars, good and hostile. */
#include "agent/worker/checks/facts_apps.h"
#include "../confluence/cluster.h"
#include "../confluence/tree.h"
#include "../confluence/zip.h"

#define BUNDLED "app/confluence/WEB-INF/atlassian-bundled-plugins/"
#define LIB     "app/confluence/WEB-INF/lib/"

struct world {
    const char *dir;
    struct installation site;
    Confleet__WorkerNode node;
    struct gather_source source;
    struct facts_apps facts;
    char *paths[3];
};

static void world_make(struct world *world)
{
    *world = (struct world){ .dir = test_dir() };
    confleet__worker_node__init(&world->node);
    world->paths[0] = fs_join(world->dir, "app");
    world->paths[1] = fs_join(world->dir, "home");
    world->paths[2] = fs_join(world->dir, "apps.json");
    world->site.install = world->paths[0];
    world->site.home = world->paths[1];
    (void)snprintf(world->site.version, sizeof world->site.version, "8.5.4");
    world->source.site = &world->site;
    world->source.node = &world->node;
    (void)snprintf(world->source.target.text, sizeof world->source.target.text, "9.2.21");
    world->facts.part.known = FACT_YES;
}

static void world_free(struct world *world)
{
    facts_apps_free(&world->facts);
    database_free(&world->site.database);
    for (size_t i = 0; i < 3; i++)
        free(world->paths[i]);
}

/* A jar with this descriptor. */
static void jar_of(const char *text, struct str *out)
{
    zip_make((const struct zip_entry[]){ { "META-INF/MANIFEST.MF", "Bundle-Name: n\n", 0, false },
                                         { "atlassian-plugin.xml", text, 0, false },
                                         { NULL, NULL, 0, false } },
             out);
}

static void put_jar(const struct world *world, const char *name, const char *text)
{
    CLEANUP(str_free) struct str jar = { 0 };
    jar_of(text, &jar);
    tree_bytes(world->dir, name, jar.s, jar.len);
}

static void put_row(const char *dbname, int id, const char *key, const struct str *jar)
{
    CLEANUP(str_free) struct str sql = { 0 };
    str_addf(&sql, "insert into public.plugindata values (%d, '%s', '%s.jar', now(), decode('", id,
             key, key);
    for (size_t i = 0; i < jar->len; i++)
        str_addf(&sql, "%02x", (unsigned char)jar->s[i]);
    str_add(&sql, "', 'hex'))");
    cluster_do(dbname, (const char *const[]){ str_text(&sql), NULL });
}

static const struct fact_app *app_of(const struct world *world, const char *key)
{
    for (size_t i = 0; i < world->facts.count; i++)
        if (strcmp(world->facts.apps[i].app.key, key) == 0)
            return &world->facts.apps[i];
    print_error("no app %s\n", key);
    CHECK(false);
    return NULL;
}

static void database_make(struct world *world, const char *name)
{
    CLEANUP(free_mem)
    char *role = text_printf("create role %s login password 'right'", name);
    CLEANUP(free_mem) char *database = text_printf("create database %s owner %s", name, name);
    CLEANUP(free_mem) char *owner = text_printf("alter table public.plugindata owner to %s", name);
    CLEANUP(free_mem) char *bandana = text_printf("alter table public.bandana owner to %s", name);
    (void)cluster();
    cluster_do("postgres", (const char *const[]){ role, database, NULL });
    cluster_do(name,
               (const char *const[]){
                   "create table public.plugindata (plugindataid bigint primary key, pluginkey "
                   "varchar(255), filename varchar(255), lastmoddate timestamp, data bytea)",
                   "create table public.bandana (bandanaid bigint primary key, bandanacontext "
                   "varchar(255), bandanakey varchar(100), bandanavalue text)",
                   owner, bandana, NULL });
    cluster_site(name, "right", &world->site.database);
}

#define APP(key, version, rest)                                                                    \
    "<atlassian-plugin key='" key "' name='" key                                                   \
    "' plugins-version='2'><plugin-info><version>" version "</version>" rest                       \
    "</plugin-info></atlassian-plugin>"

TEST(apps_of_the_database_are_read_one_row_at_a_time)
{
    struct world world;
    CLEANUP(str_free) struct str good = { 0 };
    CLEANUP(str_free) struct str half = { 0 };
    CLEANUP(str_free) struct str bomb = { 0 };
    CLEANUP(str_free) struct str typed = { 0 };
    world_make(&world);
    database_make(&world, "apps_good");
    jar_of(APP("com.example.a", "1.9", "<vendor name='V'/>"), &good);
    str_add_bytes(&half, good.s, good.len / 2);
    zip_make((const struct zip_entry[]){ { "atlassian-plugin.xml", "", 100 << 20, false },
                                         { NULL, NULL, 0, false } },
             &bomb);
    jar_of("<!DOCTYPE atlassian-plugin>" APP("d", "1", ""), &typed);
    put_row("apps_good", 1, "com.example.a", &good);
    put_row("apps_good", 2, "com.example.half", &half);
    put_row("apps_good", 3, "com.example.bomb", &bomb);
    put_row("apps_good", 4, "com.example.typed", &typed);
    put_row("apps_good", 5, "com.example.other", &good);
    cluster_do("apps_good",
               (const char *const[]){
                   "insert into public.plugindata values (6, 'com.example.null', 'n.jar')",
                   "insert into public.bandana values (1, '_GLOBAL', 'plugin.manager.state.Map', "
                   "'<map><entry><string>com.example.a</string><boolean>false</boolean></entry>"
                   "</map>')",
                   NULL });
    facts_gather_apps(&world.source, &world.facts);
    CHECK_STR(world.facts.user_why, "");
    CHECK_INT(world.facts.user_known, FACT_YES);
    CHECK_INT(world.facts.states_known, FACT_YES);
    CHECK(!world.facts.from_cache);
    CHECK_INT(world.facts.count, 6);
    const struct fact_app *app = app_of(&world, "com.example.a");
    CHECK_INT(app->read, FACT_YES);
    CHECK_INT(app->enabled, FACT_NO);
    CHECK_STR(app->app.version, "1.9");
    CHECK_STR(app->app.vendor, "V");
    CHECK_STR(app->file, "com.example.a.jar");
    CHECK_INT(app->size, good.len);
    CHECK_INT(app_of(&world, "com.example.half")->read, FACT_NO);
    CHECK_INT(app_of(&world, "com.example.bomb")->read, FACT_UNKNOWN);
    CHECK_HAS(app_of(&world, "com.example.bomb")->why, "1 MiB");
    CHECK_INT(app_of(&world, "com.example.typed")->read, FACT_UNKNOWN);
    CHECK_INT(app_of(&world, "com.example.typed")->enabled, FACT_UNKNOWN);
    CHECK_INT(app_of(&world, "com.example.null")->read, FACT_NO);
    CHECK_INT(app_of(&world, "com.example.other")->enabled, FACT_YES);
    CHECK_HAS(app_of(&world, "com.example.other")->why, "com.example.a");
    CHECK_INT(world.facts.catalogue_known, FACT_UNKNOWN);
    world_free(&world);
}

TEST(a_jar_of_several_pieces_is_read_and_one_that_is_too_large_is_not)
{
    struct world world;
    CLEANUP(str_free) struct str jar = { 0 };
    CLEANUP(str_free) struct str hex = { 0 };
    world_make(&world);
    database_make(&world, "apps_large");
    jar_of(APP("com.example.a", "1.9", ""), &jar);
    for (size_t i = 0; i < jar.len; i++)
        str_addf(&hex, "%02x", (unsigned char)jar.s[i]);
    /* A zip file may have anything in front of it: 9 MiB of blanks, then the jar. */
    CLEANUP(free_mem)
    char *large =
        text_printf("insert into public.plugindata values (1, 'com.example.a', 'a.jar', "
                    "now(), convert_to(repeat(' ', 9437184), 'UTF8') || decode('%s', 'hex'))",
                    str_text(&hex));
    cluster_do("apps_large",
               (const char *const[]){
                   large,
                   "insert into public.plugindata values (2, 'com.example.huge', 'h.jar', now(), "
                   "convert_to(repeat(' ', 134217729), 'UTF8'))",
                   NULL });
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.user_known, FACT_YES);
    const struct fact_app *app = app_of(&world, "com.example.a");
    if (app->read != FACT_YES)
        print_error("%s\n", app->why);
    CHECK_INT(app->read, FACT_YES);
    CHECK_STR(app->app.version, "1.9");
    CHECK_INT(app->size, 9437184 + jar.len);
    CHECK_INT(app_of(&world, "com.example.huge")->read, FACT_UNKNOWN);
    CHECK_HAS(app_of(&world, "com.example.huge")->why, "128 MiB");
    world_free(&world);
}

TEST(a_database_without_the_tables_or_with_a_broken_map_is_told)
{
    struct world world;
    world_make(&world);
    database_make(&world, "apps_bad");
    cluster_do("apps_bad",
               (const char *const[]){
                   "insert into public.bandana values (1, '_GLOBAL', 'plugin.manager.state.Map', "
                   "'<map>')",
                   NULL });
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.user_known, FACT_YES);
    CHECK_INT(world.facts.states_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.states_why, "map of states");
    facts_apps_free(&world.facts);
    world.facts = (struct facts_apps){ .part = { .known = FACT_YES } };
    cluster_do("apps_bad", (const char *const[]){ "drop table public.plugindata", NULL });
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.user_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.user_why, "plugindata");
    world_free(&world);
}

TEST(where_the_database_cannot_be_asked_the_last_starts_copies_are_listed)
{
    struct world world;
    world_make(&world);
    world.site.database.kind = DATABASE_MYSQL;
    put_jar(&world, "home/plugins-cache/plugin_1.jar", APP("com.example.a", "1.9", ""));
    tree_file(world.dir, "home/plugins-cache/readme.txt", "x");
    facts_gather_apps(&world.source, &world.facts);
    CHECK(world.facts.from_cache);
    CHECK_INT(world.facts.user_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.user_why, "mysql");
    CHECK_INT(world.facts.count, 1);
    CHECK_INT(app_of(&world, "com.example.a")->enabled, FACT_UNKNOWN);
    CHECK_INT(world.facts.bundled_known, FACT_UNKNOWN);
    world_free(&world);
}

TEST(apps_of_the_release_and_of_the_libraries_are_found)
{
    struct world world;
    world_make(&world);
    put_jar(&world, BUNDLED "a.jar", APP("com.atlassian.a", "9", ""));
    put_jar(&world, BUNDLED "../atlassian-bundled-plugins-setup/s.jar", APP("com.a.s", "9", ""));
    put_jar(&world, LIB "one.jar", "<atlassian-plugin key='com.example.one'/>");
    put_jar(&world, LIB "two.jar", APP("com.example.two", "9", ""));
    tree_jar(world.dir, LIB "library.jar", "x", "y");
    tree_file(world.dir, LIB "folder.jar/readme", "no jar");
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.bundled_known, FACT_YES);
    CHECK_INT(world.facts.lib_known, FACT_YES);
    CHECK_INT(world.facts.count, 3);
    CHECK_INT(app_of(&world, "com.atlassian.a")->where, APP_BUNDLED);
    CHECK_INT(app_of(&world, "com.a.s")->where, APP_BUNDLED);
    CHECK_INT(app_of(&world, "com.example.one")->where, APP_IN_LIB);
    world_free(&world);
}

TEST(a_folder_of_libraries_without_one_is_not_the_one_that_is_read)
{
    struct world world;
    world_make(&world);
    tree_file(world.dir, LIB "readme", "moved to another disk");
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.lib_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.lib_why, "WEB-INF/lib holds no jar");
    world_free(&world);
}

TEST(a_library_that_is_no_whole_jar_may_be_an_app_and_is_named)
{
    struct world world;
    world_make(&world);
    put_jar(&world, BUNDLED "a.jar", APP("com.atlassian.a", "9", ""));
    put_jar(&world, LIB "one.jar", "<atlassian-plugin key='com.example.one'/>");
    tree_file(world.dir, LIB "bro\x1bken.jar", "no zip");
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.lib_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.lib_why, "bro?ken.jar cannot be read as a jar");
    CHECK_INT(app_of(&world, "com.example.one")->where, APP_IN_LIB);
    world_free(&world);
}

TEST(the_catalogue_is_asked_about_each_app)
{
    struct world world;
    world_make(&world);
    world.site.database.kind = DATABASE_MYSQL;
    put_jar(&world, "home/plugins-cache/1.jar", APP("com.example.a", "1.9", ""));
    put_jar(&world, "home/plugins-cache/2.jar", APP("com.example.b", "1", ""));
    tree_file(world.dir, "apps.json",
              "{\"source\":\"us\",\"apps\":[{\"key\":\"com.example.a\",\"versions\":["
              "{\"name\":\"1.9\",\"from\":\"7.0\",\"to\":\"8.5\",\"blocks\":true},"
              "{\"name\":\"2.0\",\"from\":\"9.0\",\"to\":\"9.2\",\"dataCenter\":true}]}]}");
    world.node.apps_file = world.paths[2];
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.catalogue_known, FACT_YES);
    const struct fact_app *app = app_of(&world, "com.example.a");
    CHECK_INT(app->fit, APP_UNFIT);
    CHECK(app->blocks);
    CHECK_STR(app->update, "2.0");
    CHECK(!app->update_now);
    CHECK_STR(app->said, "7.0 to 8.5 by us");
    CHECK_INT(app_of(&world, "com.example.b")->fit, APP_UNKNOWN);
    facts_apps_free(&world.facts);
    world.facts = (struct facts_apps){ .part = { .known = FACT_YES } };
    tree_file(world.dir, "apps.json", "{\n]");
    facts_gather_apps(&world.source, &world.facts);
    CHECK_INT(world.facts.catalogue_known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.catalogue_why, "apps.json:2:");
    world_free(&world);
}
