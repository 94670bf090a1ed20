#include "agent/worker/checks/facts_licence.h"
#include "harness/licence.h"
#include "tests/unit/agent/worker/confluence/cluster.h"

struct scene {
    char home[300], waiting[300];
    Confleet__WorkerNode node;
    struct installation site;
    struct gather_source source;
    struct facts_licence facts;
    struct licence_maker maker;
};

static void scene_open(struct scene *scene, const char *name)
{
    *scene = (struct scene){ 0 };
    (void)snprintf(scene->home, sizeof scene->home, "%.200s/%s", test_dir(), name);
    (void)snprintf(scene->waiting, sizeof scene->waiting, "%.250s/new-licence", scene->home);
    CHECK_INT(fs_mkdirs(scene->home, 0755, NULL), 0);
    confleet__worker_node__init(&scene->node);
    scene->site.home = scene->home;
    scene->source = (struct gather_source){ .node = &scene->node, .site = &scene->site };
    licence_maker_open(&scene->maker);
}

static void put_cfg(struct scene *scene, const char *property, const char *value)
{
    CLEANUP(free_mem) char *path = fs_join(scene->home, "confluence.cfg.xml");
    CLEANUP(free_mem)
    char *text =
        text_printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<confluence-configuration>"
                    "<setupStep>complete</setupStep><properties>\n"
                    "<property name=\"jwt.private.key\">canary-key</property>\n"
                    "<property name=\"%s\">%s</property>\n"
                    "</properties></confluence-configuration>",
                    property, value);
    struct err err = { 0 };
    CHECK_OK(fs_write(path, text, strlen(text), 0644, &err), err);
}

static void gather(struct scene *scene)
{
    scene->facts = (struct facts_licence){ 0 };
    facts_gather_licence(&scene->source, &scene->facts);
}

static void scene_close(struct scene *scene)
{
    facts_licence_free(&scene->facts);
    licence_maker_close(&scene->maker);
}

TEST(the_licence_in_use_is_decoded_and_its_text_is_not_kept)
{
    struct scene scene;
    CLEANUP(str_free) struct str text = { 0 };
    scene_open(&scene, "used");
    licence_make(&scene.maker, LICENCE_GOOD, &text);
    put_cfg(&scene, LICENCE_PROPERTY, text.s);
    gather(&scene);
    CHECK_INT(scene.facts.part.known, FACT_YES);
    CHECK_INT(scene.facts.used.form, LICENCE_VERSION_2);
    CHECK_INT(scene.facts.used.signature, LICENCE_UNVERIFIED);
    CHECK_INT(scene.facts.waits, FACT_NO);
    CHECK_INT(scene.facts.users_known, FACT_UNKNOWN); /* no database is named */
    CHECK(scene.facts.users_why[0]);
    for (size_t at = 0; at + 12 < sizeof scene.facts; at++)
        CHECK(memcmp((const char *)&scene.facts + at, text.s, 12) != 0);
    scene_close(&scene);
}

TEST(the_old_form_no_licence_and_a_damaged_one_are_told_apart)
{
    struct scene scene;
    scene_open(&scene, "forms");
    put_cfg(&scene, "confluence.license.message", "oldtext");
    gather(&scene);
    CHECK_INT(scene.facts.used.form, LICENCE_VERSION_1);
    put_cfg(&scene, "access.mode", "READ_WRITE");
    gather(&scene);
    CHECK_INT(scene.facts.used.form, LICENCE_NONE);
    CHECK_INT(scene.facts.part.known, FACT_YES);
    put_cfg(&scene, LICENCE_PROPERTY, "AAAB-secret");
    gather(&scene);
    CHECK_INT(scene.facts.used.form, LICENCE_UNREADABLE);
    CHECK(!strstr(scene.facts.used.why, "secret"));
    scene_close(&scene);
}

TEST(a_file_that_cannot_be_read_makes_it_unknown)
{
    struct scene scene;
    CLEANUP(free_mem) char *path = NULL;
    scene_open(&scene, "unread");
    gather(&scene);
    CHECK_INT(scene.facts.part.known, FACT_UNKNOWN);
    CHECK_HAS(scene.facts.part.why, "confluence.cfg.xml");
    path = fs_join(scene.home, "confluence.cfg.xml");
    CHECK_INT(fs_write(path, "<a><b>", 6, 0644, NULL), 0);
    gather(&scene);
    CHECK_INT(scene.facts.part.known, FACT_UNKNOWN);
    scene.site.home = NULL;
    gather(&scene);
    CHECK_HAS(scene.facts.part.why, "home is not known");
    scene_close(&scene);
}

TEST(one_that_waits_counts_when_it_is_a_licence_for_confluence)
{
    struct scene scene;
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str app = { 0 };
    scene_open(&scene, "waits");
    licence_make(&scene.maker, LICENCE_GOOD, &text);
    licence_make(&scene.maker, "plugins.*.active=true\n", &app);
    put_cfg(&scene, "access.mode", "READ_WRITE");
    scene.node.licence_file = scene.waiting;
    CHECK_INT(fs_write(scene.waiting, text.s, text.len, 0600, NULL), 0);
    gather(&scene);
    CHECK_INT(scene.facts.waits, FACT_YES);
    CHECK(!scene.facts.waits_same);
    CHECK(facts_licence_counts(&scene.facts) == &scene.facts.waiting);
    put_cfg(&scene, LICENCE_PROPERTY, text.s);
    gather(&scene);
    CHECK(scene.facts.waits_same);
    CHECK_INT(fs_write(scene.waiting, app.s, app.len, 0600, NULL), 0);
    gather(&scene);
    CHECK(facts_licence_counts(&scene.facts) == &scene.facts.used);
    scene_close(&scene);
}

TEST(active_accounts_are_counted)
{
    struct scene scene;
    CLEANUP(str_free) struct str text = { 0 };
    (void)cluster();
    scene_open(&scene, "users");
    licence_make(&scene.maker, LICENCE_GOOD, &text);
    put_cfg(&scene, LICENCE_PROPERTY, text.s);
    cluster_do("postgres", (const char *const[]){ "create role conf login password 'pw'",
                                                  "create database conf owner conf", NULL });
    cluster_site("conf", "pw", &scene.site.database);
    gather(&scene);
    CHECK_INT(scene.facts.users_known, FACT_UNKNOWN);
    CHECK_HAS(scene.facts.users_why, "cwd_user");
    cluster_do("conf",
               (const char *const[]){
                   "create table public.cwd_user (id bigint, active character(1))",
                   "insert into public.cwd_user select n, case when n < 8 then 'T' else 'F' end"
                   " from generate_series(1, 20) n",
                   "grant all on public.cwd_user to conf", NULL });
    gather(&scene);
    CHECK_INT(scene.facts.users_known, FACT_YES);
    CHECK_INT(scene.facts.users, 7);
    database_free(&scene.site.database);
    scene_close(&scene);
}
