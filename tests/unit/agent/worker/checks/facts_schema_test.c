/* What a real server and real files tell of the database. */
#include "agent/worker/checks/facts_schema.h"
#include "../confluence/cluster.h"
#include "confleet/fs.h"
#include "harness/test.h"

struct world {
    char home[200], install[200];
    struct installation site;
    struct gather_source source;
    struct facts_schema facts;
};

static void put(const char *folder, const char *name, const char *text)
{
    CLEANUP(free_mem) char *path = fs_join(folder, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    CHECK_INT(fs_mkdirs(path, 0755, NULL), 0);
    *slash = '/';
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
}

static void world_make(struct world *world, const char *name, const char *properties)
{
    *world = (struct world){ 0 };
    (void)snprintf(world->home, sizeof world->home, "%s/%s/home", test_dir(), name);
    (void)snprintf(world->install, sizeof world->install, "%s/%s/app", test_dir(), name);
    CHECK_INT(fs_mkdirs(world->install, 0755, NULL), 0);
    CLEANUP(free_mem)
    char *cfg = text_printf("<confluence-configuration><setupStep>complete</setupStep><properties>"
                            "%s</properties></confluence-configuration>",
                            properties);
    put(world->home, "confluence.cfg.xml", cfg);
    world->site.home = world->home;
    world->site.install = world->install;
    world->source.site = &world->site;
    world->facts.part.known = FACT_YES;
}

TEST(a_servers_state_is_read_with_the_sites_own_account)
{
    struct world world;
    world_make(&world, "server",
               "<property name=\"hibernate.hikari.maximumPoolSize\">40</property>");
    put(world.install, "confluence/WEB-INF/lib/postgresql-42.7.jar", "x");
    (void)cluster();
    cluster_do("postgres", (const char *const[]){ "create role schemer login password 'right'",
                                                  "create role other",
                                                  "create database schemer owner schemer", NULL });
    cluster_do("schemer",
               (const char *const[]){
                   "create table public.confversion (buildnumber int)",
                   "create table public.theirs (x int)", "alter table public.theirs owner to other",
                   "alter table public.confversion owner to schemer",
                   "alter schema public owner to schemer", "create extension pg_trgm", NULL });
    cluster_site("schemer", "right", &world.site.database);
    facts_gather_schema(&world.source, &world.facts);
    CHECK_STR(world.facts.why, "");
    CHECK_INT(world.facts.asked, FACT_YES);
    CHECK(world.facts.server_version >= 150000);
    CHECK(world.facts.bytes > 1000000);
    CHECK_INT(world.facts.tables, 2);
    CHECK_HAS(world.facts.extensions, "pg_trgm");
    CHECK_INT(world.facts.ddl_known, FACT_YES);
    CHECK_INT(world.facts.ddl_create, FACT_YES);
    CHECK_INT(world.facts.ddl_foreign, 1);
    CHECK_STR(world.facts.ddl_example, "theirs of other");
    CHECK_INT(world.facts.indexes_known, FACT_YES);
    CHECK_INT(world.facts.indexes_broken, 0);
    CHECK_INT(world.facts.pool_max, 40);
    CHECK_STR(world.facts.driver_jar, "postgresql-42.7.jar");
    cluster_do("schemer", (const char *const[]){ "create index broken on public.theirs (x)",
                                                 "update pg_index set indisvalid = false where "
                                                 "indexrelid = 'public.broken'::regclass",
                                                 NULL });
    facts_gather_schema(&world.source, &world.facts);
    CHECK_INT(world.facts.indexes_broken, 1);
    CHECK_STR(world.facts.index_example, "broken on theirs");
    database_free(&world.site.database);
}

TEST(another_database_tells_what_its_configuration_shows)
{
    struct world world;
    world_make(&world, "mysql",
               "<property name=\"hibernate.connection.url\">jdbc:mysql://h/c?sessionVariables="
               "storage_engine%3DInnoDB</property><property name=\"hibernate.c3p0.max_size\">30"
               "</property><property name=\"hibernate.connection.driver_class\">com.mysql.jdbc."
               "Driver</property>");
    put(world.install, "lib/mysql-connector-java-5.1.7.jar", "x");
    world.site.database.kind = DATABASE_MYSQL;
    facts_gather_schema(&world.source, &world.facts);
    CHECK(world.facts.storage_engine);
    CHECK_INT(world.facts.pool_max, 30);
    CHECK_STR(world.facts.driver, "com.mysql.jdbc.Driver");
    CHECK_STR(world.facts.driver_jar, "mysql-connector-java-5.1.7.jar");
    CHECK_INT(world.facts.asked, FACT_UNKNOWN);
    CHECK_HAS(world.facts.why, "mysql");
}

TEST(a_data_source_is_seen)
{
    struct world world;
    world_make(&world, "jndi",
               "<property name=\"hibernate.connection.datasource\">java:comp/env/jdbc/confluence"
               "</property>");
    world.site.database.kind = DATABASE_JNDI;
    facts_gather_schema(&world.source, &world.facts);
    CHECK(world.facts.datasource);
    CHECK_INT(world.facts.pool_max, 0);
}
