#include "agent/worker/checks/facts_operations.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <unistd.h>

struct world {
    char proc[200], home[200], install[200];
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    struct installation site;
    struct gather_source source;
    struct facts_operations facts;
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
    confleet__worker_order__init(&world->order);
    world->node.pid_root = world->proc;
    world->site.home = world->home;
    world->site.install = world->install;
    world->source.node = &world->node;
    world->source.order = &world->order;
    world->source.site = &world->site;
    world->facts.part.known = FACT_YES;
}

TEST(scanners_and_programs_that_watch_files_are_found_by_name_and_by_descriptor)
{
    struct world world;
    world_make(&world, "scan");
    put(world.proc, "12/comm", "bash\n");
    put(world.proc, "12/fdinfo/0", "pos:\t0\nflags:\t02\n");
    put(world.proc, "40/comm", "clamd\n");
    put(world.proc, "40/fdinfo/0", "pos:\t0\n");
    /* comm holds 15 bytes of a longer name. */
    put(world.proc, "41/comm", "wazuh-syscheckd\n");
    put(world.proc, "41/fdinfo/0", "pos:\t0\n");
    put(world.proc, "50/comm", "watchd\n");
    put(world.proc, "50/fdinfo/3", "pos:\t0\nflags:\t02\nfanotify flags:10 event-flags:8002\n");
    facts_gather_operations(&world.source, &world.facts);
    CHECK_INT(world.facts.processes_known, FACT_YES);
    CHECK_INT(world.facts.fanotify_known, FACT_YES);
    CHECK_HAS(world.facts.scanners, "clamd (pid 40)");
    CHECK_HAS(world.facts.scanners, "wazuh-syscheckd (pid 41)");
    CHECK(strstr(world.facts.scanners, "bash") == NULL);
    CHECK_STR(world.facts.fanotify, "watchd (pid 50)");
}

TEST(a_proc_that_cannot_be_listed_is_unknown)
{
    struct world world;
    world_make(&world, "noproc");
    CHECK_INT(rmdir(world.proc), 0);
    facts_gather_operations(&world.source, &world.facts);
    CHECK_INT(world.facts.processes_known, FACT_UNKNOWN);
}

TEST(the_home_tells_mode_editing_nodes_and_index)
{
    struct world world;
    world_make(&world, "home");
    put(world.home, "confluence.cfg.xml",
        "<confluence-configuration><setupStep>complete</setupStep><properties>"
        "<property name=\"access.mode\">READ_ONLY</property>"
        "<property name=\"synchrony.btf\">true</property>"
        "<property name=\"confluence.cluster.peers\">10.0.0.1,10.0.0.2</property>"
        "</properties></confluence-configuration>");
    put(world.home, "index/a", "12345");
    put(world.home, "index/change/b", "123");
    facts_gather_operations(&world.source, &world.facts);
    CHECK_STR(world.facts.access_mode, "READ_ONLY");
    CHECK_STR(world.facts.synchrony, "true");
    CHECK_INT(world.facts.peers, 2);
    CHECK_INT(world.facts.index_known, FACT_YES);
    CHECK_INT(world.facts.index_bytes, 8);
    CHECK_INT(world.facts.index_files, 2);
    CHECK_INT(world.facts.tasks_known, FACT_YES); /* stopped */
}

TEST(what_is_not_there_is_not_known)
{
    struct world world;
    world_make(&world, "none");
    facts_gather_operations(&world.source, &world.facts);
    CHECK_INT(world.facts.config_known, FACT_UNKNOWN);
    CHECK(world.facts.index_known != FACT_YES);
    CHECK(world.facts.index_why[0] != 0);
    CHECK_INT(world.facts.mail_known, FACT_UNKNOWN);
    CHECK_INT(world.facts.links_known, FACT_UNKNOWN);
    CHECK(world.facts.links_why[0] != 0);
    CHECK(!world.facts.by_controller);
    CHECK_INT(world.facts.env, ENV_PRODUCTION);
}

TEST(the_options_of_a_test_clone_are_read_from_its_script)
{
    struct world world;
    world_make(&world, "mail");
    put(world.install, "bin/setenv.sh",
        "CATALINA_OPTS=\"-Datlassian.mail.senddisabled=true ${CATALINA_OPTS}\"\n");
    world.order.env = (char *)(uintptr_t) "test";
    char *others[] = { (char *)(uintptr_t) "wiki", (char *)(uintptr_t) "docs" };
    world.order.same_database = others;
    world.order.n_same_database = 2;
    world.order.fleet_known = true;
    facts_gather_operations(&world.source, &world.facts);
    CHECK_INT(world.facts.env, ENV_TEST);
    CHECK_INT(world.facts.mail_known, FACT_YES);
    CHECK(world.facts.mail_send_off);
    CHECK(!world.facts.mail_fetch_off);
    CHECK(world.facts.by_controller);
    CHECK_STR(world.facts.same_database, "wiki, docs");
}
