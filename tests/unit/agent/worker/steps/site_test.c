/* The steps on a light stand-in: forward to the end, and back from each place where real upgrades fail. */
#include "agent/worker/steps/site.h"
#include "stand.h"
#include <pwd.h>

static void forward_to_start(struct world *w)
{
    static const char *const steps[] = { "unpack", "carry", "reserve", "baseline", "stop", "guard", "switch", "configure", "start" };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        ACT_OK(w, steps[i]);
}

static void back_to_old(struct world *w)
{
    static const char *const steps[] = { "start", "switch", "guard", "stop", "reserve", "unpack" };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        UNDO_OK(w, steps[i]);
}

TEST(a_tree_whose_mark_cannot_be_read_is_neither_ours_nor_another)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *run = fs_join(dir, "run"), *mark = fs_join(dir, ".confleet/tree");
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    node.install = (char *)(uintptr_t)dir;
    node.run_dir = run;
    order.node = &node;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    struct err err = { 0 };
    bool ours = true;
    CHECK_OK(tree_mark_read(job, dir, &ours, &err), err);
    CHECK(!ours);
    CHECK_OK(fs_mkdirs(mark, 0700, &err), err);
    CHECK_INT(tree_mark_read(job, dir, &ours, &err), -FAIL_IO);
    CHECK_HAS(err.text, "whether");
    for (const struct step_impl *impl = steps_service; impl->name; impl++) {
        if (!impl->undo)
            continue;
        /* Nothing is called undone whose new version may still be there. */
        err_clear(&err);
        CHECK_INT(impl->undo(job, &err), -FAIL_IO);
    }
}

TEST(a_site_comes_up_on_the_new_version_with_what_was_its_own)
{
    struct world *w = world_open("6.13.4", "9.2.13", 9109, false, true, NULL);
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    ACT_OK(w, "check");
    forward_to_start(w);
    CHECK_INT(world_probe(w, "start"), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    ACT_OK(w, "wait");
    ACT_OK(w, "compare");
    ACT_OK(w, "probe");
    ACT_OK(w, "soak");
    ACT_OK(w, "commit");
    CHECK(file_has(w->install, "bin/setenv.sh", "-Xmx192m"));
    CHECK(file_has(w->install, "bin/setenv.sh", "-Dexample.site=one"));
    CHECK(!file_has(w->install, "bin/setenv.sh", "MaxPermSize"));
    CHECK(file_has(w->install, "conf/server.xml", "one.example.test"));
    CHECK(file_has(w->install, "confluence/WEB-INF/classes/seraph-config.xml", "com.example.sso.Authenticator"));
    CHECK(file_has(w->install, "confluence/WEB-INF/web.xml", "<session-timeout>240<"));
    CLEANUP(free_mem) char *jar = fs_join(w->install, "confluence/WEB-INF/lib/example-sso-1.3.jar");
    CHECK(fs_exists(jar));
    CLEANUP(free_mem) char *kept = fs_join(w->node.stage_dir, "old/bin/.catalina.sh.confleet");
    CHECK(fs_exists(kept));
    world_close(w);
}

TEST(a_failed_validation_leads_back_to_the_old_version)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    world_switch(w, "fault.9116=validation");
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    world_check(w);
    forward_to_start(w);
    CHECK_INT(world_do(w, "wait", CONFLEET__WORKER_PHASE__ACT), -FAIL_UNHEALTHY);
    CHECK_HAS(w->err.text, "VALIDATION phase due to: told to fail");
    back_to_old(w);
    CHECK(fs_is_dir(w->install) && !fs_exists(w->node.stage_dir));
    CLEANUP(free_mem) char *evidence = fs_join(w->node.run_dir, "evidence");
    CHECK(file_has(evidence, "atlassian-confluence.log", "validation failed"));
    world_close(w);
}

TEST(an_installer_made_site_of_another_user_keeps_user_and_java)
{
    if (geteuid() != 0 || !getpwnam("daemon"))
        TEST_SKIP("needs root and the user daemon");
    struct world *w = world_open("9.2.13", "9.2.21", 9116, true, false, "daemon");
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    world_check(w);
    CHECK_STR(world_memo_get(w, MEMO_RUN_USER), "daemon");
    forward_to_start(w);
    ACT_OK(w, "wait");
    ACT_OK(w, "compare");
    ACT_OK(w, "probe");
    CLEANUP(free_mem) char *store = fs_join(w->install, "jre/lib/security/cacerts"), *log = fs_join(w->install, "logs/catalina.out");
    struct stat st;
    CHECK(stat(store, &st) == 0 && stat(log, &st) == 0);
    CHECK_INT(st.st_uid, getpwnam("daemon")->pw_uid);
    CHECK(file_has(w->install, "jre/lib/security/cacerts", "") && file_has(w->install, ".install4j/response.varfile", "rmiPort"));
    world_close(w);
}

WORLD_LAST_TEST
