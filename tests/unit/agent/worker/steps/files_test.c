/* The steps on trees that need no running site: what they refuse, and what a cut leaves for them to find. */
#include "agent/core/runbook.h"
#include "stand.h"
#include "agent/worker/steps/guard.h"

/* A stand-in's archive and an installation made of the same version's files; nothing runs. */
static struct world *bare_world(void)
{
    struct world *w = mem_zero(1, sizeof *w);
    w->root = text_dup(test_dir());
    TOOL("dist", "9.2.21", "--out", w->root);
    TOOL("dist", "9.2.13", "--out", w->root);
    w->site = under(w->root, "one");
    w->install = fs_join(w->site, "install"), w->home = under(w->site, "home");
    CLEANUP(free_mem) char *old = text_printf("%s/atlassian-confluence-9.2.13.tar.gz", w->root);
    CLEANUP(free_mem) char *dir = under(w->site, "install");
    const char *const argv[] = { "/usr/bin/tar", "-xzf", old, "-C", dir, "--strip-components=1", NULL };
    const struct proc_spec spec = { .argv = argv, .timeout_ms = 60000 };
    struct proc_result result = { 0 };
    CHECK_OK(proc_run_ok(&spec, &result, &w->err), w->err);
    proc_result_free(&result);
    w->artifact = text_printf("%s/atlassian-confluence-9.2.21.tar.gz", w->root);
    uint64_t size = 0;
    CHECK_OK(hash_file_hex(w->artifact, w->sha256, &size, &w->err), w->err);
    confleet__worker_node__init(&w->node), confleet__worker_order__init(&w->order), confleet__release__init(&w->release);
    w->release.version = text_dup("9.2.21"), w->release.build = 9116, w->release.artifact_sha256 = w->sha256, w->release.artifact_size = size;
    w->node.install = w->install, w->node.home = w->home, w->node.backup_dir = under(w->root, "backup"), w->node.run_dir = under(w->root, "runs/r1");
    w->node.stage_dir = text_printf("%s/.confleet-one/r1", w->site);
    w->order.job = text_dup("step"), w->order.node = &w->node, w->order.release = &w->release, w->order.artifact = w->artifact, w->order.memo = w->memo;
    return w;
}

static void bare_close(struct world *w)
{
    free(w->release.version), free(w->node.backup_dir), free(w->node.run_dir), free(w->node.stage_dir), free(w->order.job);
    free(w->root), free(w->site), free(w->install), free(w->home), free(w->artifact);
    str_free(&w->findings);
    free(w);
}

#define REFUSE(w, step, phase, code) CHECK_INT(world_do(w, step, CONFLEET__WORKER_PHASE__##phase), -FAIL_##code)
#define STATE(w, step, state) CHECK_INT(world_probe(w, step), CONFLEET__PROBE_STATE__##state)

static bool is_version(const char *tree, const char *version)
{
    char found[64], date[16];
    uint32_t build = 0;
    return installation_release(tree, found, &build, date, NULL) == 0 && strcmp(found, version) == 0;
}

TEST(every_worker_step_of_the_runbook_has_code_with_a_probe_and_an_undo_where_the_table_says)
{
    const struct step_impl *const tables[] = { steps_files, steps_service, steps_health, steps_backup };
    for (int step = 0; step < STEP_COUNT; step++) {
        int found = 0;
        for (size_t t = 0; t < 4; t++)
            for (const struct step_impl *impl = tables[t]; impl->name; impl++) {
                if (strcmp(impl->name, runbook_steps[step].name) != 0)
                    continue;
                found++;
                CHECK(impl->act && impl->probe);
                CHECK_INT(impl->undo != NULL, runbook_steps[step].undo);
            }
        CHECK_INT(found, runbook_steps[step].actor == ACTOR_WORKER || step == STEP_SOAK);
    }
}

TEST(the_switch_and_its_way_back_and_what_the_probes_see)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *other = fs_join(w->node.stage_dir, "new");
    STATE(w, "unpack", ABSENT);
    ACT_OK(w, "unpack");
    ACT_OK(w, "unpack");
    STATE(w, "unpack", PROBE_COMPLETE);
    STATE(w, "switch", ABSENT);
    REFUSE(w, "switch", ACT, CONFLICT);               /* the old tree could still be started */
    CHECK_HAS(w->err.text, "start guard is not in place");
    ACT_OK(w, "guard");
    STATE(w, "guard", PROBE_COMPLETE);
    ACT_OK(w, "switch");
    ACT_OK(w, "switch");
    STATE(w, "switch", PROBE_COMPLETE);
    CHECK(is_version(w->install, "9.2.21") && is_version(other, "9.2.13"));
    REFUSE(w, "guard", UNDO, CONFLICT);               /* the new version must not get its script by the old one's undo */
    REFUSE(w, "unpack", UNDO, CONFLICT);              /* stage/new is the old version now */
    CHECK(is_version(other, "9.2.13"));
    UNDO_OK(w, "switch");
    UNDO_OK(w, "switch");
    STATE(w, "switch", ABSENT);
    UNDO_OK(w, "guard");
    STATE(w, "guard", ABSENT);
    UNDO_OK(w, "unpack");
    UNDO_OK(w, "unpack");
    CHECK(is_version(w->install, "9.2.13") && !fs_exists(w->node.stage_dir));
    bare_close(w);
}

TEST(both_trees_refuse_to_start_by_hand_while_switched)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *other = fs_join(w->node.stage_dir, "new");
    ACT_OK(w, "unpack");
    ACT_OK(w, "guard");
    ACT_OK(w, "switch");
    const char *const dirs[] = { w->install, other };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *script = fs_join(dirs[i], "bin/start-confluence.sh");
        CLEANUP(proc_result_free) struct proc_result result = { 0 };
        const char *const argv[] = { script, NULL };
        const struct proc_spec spec = { .argv = argv, .timeout_ms = 20000 };
        CHECK_OK(proc_run(&spec, &result, &w->err), w->err);
        CHECK(result.status != 0);
        CHECK_HAS(str_text(&result.err), "Confleet is upgrading this Confluence");
    }
    bare_close(w);
}

TEST(an_artifact_that_is_not_the_signed_one_is_refused)
{
    struct world *w = bare_world();
    w->sha256[0] = w->sha256[0] == 'a' ? 'b' : 'a';
    REFUSE(w, "unpack", ACT, MISMATCH);
    CHECK_HAS(w->err.text, "signed plan");
    CHECK_OK(hash_file_hex(w->artifact, w->sha256, NULL, &w->err), w->err);
    w->release.build = 9117;
    REFUSE(w, "unpack", ACT, MISMATCH);
    CHECK_HAS(w->err.text, "build 9116");
    CLEANUP(free_mem) char *other = fs_join(w->node.stage_dir, "new");
    CHECK(!fs_exists(other));
    STATE(w, "unpack", PARTIAL);
    UNDO_OK(w, "unpack");
    CHECK(!fs_exists(w->node.stage_dir));
    bare_close(w);
}

TEST(a_folder_that_is_already_there_is_nobodys_to_take)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *other = under(w->node.stage_dir, "new");
    REFUSE(w, "unpack", ACT, CONFLICT);
    REFUSE(w, "unpack", UNDO, CONFLICT);
    CHECK(fs_exists(other));
    bare_close(w);
}

TEST(a_committed_version_is_switched_back_from_wherever_the_way_back_was_cut)
{
    for (int cut = 0; cut < 4; cut++) {
        struct world *w = bare_world();
        CLEANUP(free_mem) char *other = fs_join(w->node.stage_dir, "new"), *kept = fs_join(w->node.stage_dir, "old");
        CLEANUP(free_mem) char *note = fs_join(w->node.stage_dir, "KEPT");
        ACT_OK(w, "unpack");
        ACT_OK(w, "guard");
        ACT_OK(w, "switch");
        ACT_OK(w, "commit");
        w->order.new_build_started = true;
        if (cut >= 1)
            CHECK_OK(fs_unlink(note, &w->err), w->err);
        if (cut >= 2)
            CHECK_OK(fs_rename(kept, other, &w->err), w->err);
        if (cut >= 3)
            CHECK_OK(fs_exchange(w->install, other, &w->err), w->err);
        UNDO_OK(w, "switch");
        UNDO_OK(w, "switch");
        CHECK(is_version(w->install, "9.2.13") && is_version(other, "9.2.21") && !fs_exists(note) && !fs_exists(kept));
        UNDO_OK(w, "guard");
        UNDO_OK(w, "unpack");
        CHECK(!fs_exists(w->node.stage_dir));
        bare_close(w);
    }
}

TEST(the_way_back_ends_where_somebody_has_put_another_version_in_its_place)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *kept = fs_join(w->node.stage_dir, "old"), *aside = fs_join(w->site, "aside");
    ACT_OK(w, "unpack");
    ACT_OK(w, "guard");
    ACT_OK(w, "switch");
    ACT_OK(w, "commit");
    w->order.new_build_started = true;
    CHECK_OK(fs_rename(w->install, aside, &w->err), w->err);
    CLEANUP(free_mem) char *third = under(w->site, "install");
    REFUSE(w, "switch", UNDO, CONFLICT);
    CHECK_HAS(w->err.text, "it was replaced since");
    CHECK(is_version(kept, "9.2.13") && is_version(aside, "9.2.21"));
    bare_close(w);
}

/* The order that removes what the world's run has left. */
static int expire(struct world *w)
{
    static char id[] = "r1", *runs[] = { id };
    Confleet__WorkerNode node = w->node;
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    CLEANUP(free_mem) char *stage = text_dup(w->node.stage_dir), *run = text_dup(w->node.run_dir);
    *strrchr(stage, '/') = *strrchr(run, '/') = 0;
    node.stage_dir = stage, node.run_dir = run, node.installation = (char *)(uintptr_t)"one-12345678";
    order.job = (char *)(uintptr_t)"expire", order.node = &node, order.expire_runs = runs, order.n_expire_runs = 1;
    struct job *job = job_new(&order, -1);
    w->err = (struct err){ 0 };
    int rc = expire_job(job, &w->err);
    job_free(&job);
    return rc;
}

TEST(only_a_committed_old_tree_expires)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *kept = fs_join(w->node.stage_dir, "old"), *other = fs_join(w->node.stage_dir, "new");
    CLEANUP(free_mem) char *secret = under(w->node.run_dir, "stop-home"), *file = fs_join(secret, "confluence.cfg.xml");
    CLEANUP(free_mem) char *reserve = text_printf("%s/.confleet-reserve-r1", w->node.backup_dir);
    CLEANUP(free_mem) char *theirs = text_printf("%s/.confleet-reserve-r2", w->node.backup_dir);
    ACT_OK(w, "unpack");
    REFUSE(w, "commit", ACT, CONFLICT);
    ACT_OK(w, "guard");
    ACT_OK(w, "switch");
    CHECK_OK(expire(w), w->err);
    CHECK(is_version(other, "9.2.13"));
    ACT_OK(w, "commit");
    ACT_OK(w, "commit");
    CHECK(is_version(kept, "9.2.13") && !fs_exists(other));
    CHECK_OK(fs_mkdirs(secret, 0700, &w->err), w->err);
    CHECK_OK(fs_write(file, "x", 1, 0600, &w->err), w->err);
    CHECK_OK(fs_write(reserve, "x", 1, 0600, &w->err), w->err);
    CHECK_OK(fs_write(theirs, "x", 1, 0600, &w->err), w->err);
    CHECK_OK(expire(w), w->err);
    CHECK(!fs_exists(kept) && is_version(w->install, "9.2.21"));
    CHECK(!fs_exists(w->node.run_dir) && !fs_exists(w->node.stage_dir) && !fs_exists(reserve) && fs_exists(theirs));
    CHECK_OK(expire(w), w->err);
    bare_close(w);
}

TEST(what_a_run_unpacked_and_left_expires_and_what_is_not_its_own_stays)
{
    struct world *w = bare_world();
    CLEANUP(free_mem) char *other = fs_join(w->node.stage_dir, "new"), *partial = fs_join(w->node.stage_dir, "new.partial");
    ACT_OK(w, "unpack");
    CHECK_OK(fs_mkdirs(partial, 0700, &w->err), w->err);
    CHECK_OK(expire(w), w->err);
    CHECK(!fs_exists(w->node.stage_dir) && is_version(w->install, "9.2.13"));
    CLEANUP(free_mem) char *foreign = under(w->node.stage_dir, "new");
    CHECK_OK(expire(w), w->err);
    CHECK(fs_exists(foreign));
    bare_close(w);
}
