#include "agent/worker/checks/facts_platform.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/stat.h>
#include <unistd.h>

struct world {
    char proc[200], home[200], install[200];
    Confleet__WorkerNode node;
    struct installation site;
    struct gather_source source;
    struct facts_platform facts;
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

static void world_make(struct world *world, const char *name)
{
    *world = (struct world){ 0 };
    (void)snprintf(world->proc, sizeof world->proc, "%s/%s/proc", test_dir(), name);
    (void)snprintf(world->home, sizeof world->home, "%s/%s/home", test_dir(), name);
    (void)snprintf(world->install, sizeof world->install, "%s/%s/app", test_dir(), name);
    CHECK_INT(fs_mkdirs(world->proc, 0755, NULL), 0);
    CHECK_INT(fs_mkdirs(world->home, 0755, NULL), 0);
    CHECK_INT(fs_mkdirs(world->install, 0755, NULL), 0);
    confleet__worker_node__init(&world->node);
    world->node.pid_root = world->proc;
    world->site.home = world->home;
    world->site.install = world->install;
    world->site.uid = geteuid();
    world->source.node = &world->node;
    world->source.site = &world->site;
    world->facts.part.known = FACT_YES;
}

TEST(versions_and_sizes_of_java_are_read)
{
    CHECK_INT(java_major_of("17.0.9"), 17);
    CHECK_INT(java_major_of("1.8.0_202"), 8);
    CHECK_INT(java_major_of("21"), 21);
    CHECK_INT(java_major_of("x"), 0);
    CHECK_INT(java_major_of(""), 0);
    CHECK_INT(java_size_of("2g"), 2LL << 30);
    CHECK_INT(java_size_of("1024m"), 1LL << 30);
    CHECK_INT(java_size_of("4096K"), 4LL << 20);
    CHECK_INT(java_size_of("123"), 123);
    CHECK_INT(java_size_of("x"), 0);
    CHECK_INT(java_size_of("99999999999999999999g"), 0);
}

TEST(java_is_told_by_its_release_file_and_never_run)
{
    struct world world;
    world_make(&world, "java");
    put(world.install, "jre/bin/java", "#!/bin/sh\ntouch ran\n");
    put(world.install, "jre/release", "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.9\"\n");
    (void)snprintf(world.site.java, sizeof world.site.java, "%s/jre/bin/java", world.install);
    facts_gather_platform(&world.source, &world.facts);
    CHECK_STR(world.facts.java_version, "17.0.9");
    CHECK_INT(world.facts.java_major, 17);
    CLEANUP(free_mem) char *path = fs_join(world.install, "jre/release");
    CHECK_INT(unlink(path), 0);
    world.facts = (struct facts_platform){ 0 };
    facts_gather_platform(&world.source, &world.facts);
    CHECK_INT(world.facts.java_major, 0);
    CHECK(world.facts.java_why[0] != 0);
}

TEST(options_are_named_without_their_values)
{
    struct world world;
    world_make(&world, "options");
    put(world.install, "bin/setenv.sh",
        "# -XX:MaxPermSize=1m in a comment does not count\n"
        "CATALINA_OPTS=\"-Xms1024m -Xmx2g -XX:+UseConcMarkSweepGC -Dsecret=canary "
        "${CATALINA_OPTS}\"\n"
        "JAVA_OPTS=\"-XX:MaxPermSize=256m\"\n");
    facts_gather_platform(&world.source, &world.facts);
    CHECK_INT(world.facts.options_known, FACT_YES);
    CHECK_STR(world.facts.refused, "-XX:+UseConcMarkSweepGC -XX:MaxPermSize");
    CHECK_INT(world.facts.heap_max, 2LL << 30);
    CHECK_INT(world.facts.heap_min, 1LL << 30);
    CHECK(memmem(&world.facts, sizeof world.facts, "canary", 6) == NULL);
}

TEST(the_process_tells_limits_and_memory)
{
    struct world world;
    world_make(&world, "process");
    put(world.proc, "meminfo",
        "MemTotal:       8000000 kB\nMemFree: 1 kB\nMemAvailable:   500000 kB\n");
    put(world.proc, "77/status", "Name:\tjava\nVmRSS:\t  1000000 kB\n");
    put(world.proc, "77/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max processes             unlimited            unlimited            processes\n"
        "Max open files            1024                 524288               files\n");
    world.site.pid = 77;
    facts_gather_platform(&world.source, &world.facts);
    CHECK_INT(world.facts.memory_known, FACT_YES);
    CHECK_INT(world.facts.memory_available, 500000LL * 1024);
    CHECK_INT(world.facts.memory_confluence, 1000000LL * 1024);
    CHECK_INT(world.facts.limits_known, FACT_YES);
    CHECK_INT(world.facts.files_max, 1024);
    CHECK(world.facts.processes_max == UINT64_MAX);
}

TEST(files_of_strangers_are_counted)
{
    struct world world;
    world_make(&world, "owners");
    put(world.home, "index/a", "x");
    put(world.install, "logs/catalina.out", "x");
    facts_gather_platform(&world.source, &world.facts);
    CHECK_INT(world.facts.owners_known, FACT_YES);
    CHECK_INT(world.facts.strangers, 0);
    world.site.uid = geteuid() + 1;
    world.facts = (struct facts_platform){ 0 };
    facts_gather_platform(&world.source, &world.facts);
    CHECK(world.facts.strangers >= 4);
    CHECK_HAS(world.facts.stranger, "of user id");
}

TEST(the_homes_file_is_read_beside_the_option)
{
    struct world world;
    world_make(&world, "homes");
    put(world.install, "confluence/WEB-INF/classes/confluence-init.properties",
        "# confluence.home=/sample\nconfluence.home=/var/other\n");
    facts_gather_platform(&world.source, &world.facts);
    CHECK_INT(world.facts.home_file_known, FACT_YES);
    CHECK_STR(world.facts.home_file, "/var/other");
}
