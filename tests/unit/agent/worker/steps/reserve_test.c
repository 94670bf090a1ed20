#include "agent/worker/steps/reserve.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/mount.h>
#include <sys/stat.h>

TEST(a_reserve_holds_real_blocks_and_growing_it_is_fine)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "reserve");
    struct err err = { 0 };
    CHECK_INT(reserve_state(path, 1 << 20), CONFLEET__PROBE_STATE__ABSENT);
    CHECK_OK(reserve_make(path, 1 << 20, &err), err);
    CHECK_INT(reserve_state(path, 1 << 20), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_INT(reserve_state(path, 4 << 20), CONFLEET__PROBE_STATE__PARTIAL);
    CHECK_OK(reserve_make(path, 4 << 20, &err), err);
    CHECK_INT(reserve_state(path, 4 << 20), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
}

TEST(too_little_room_names_path_need_and_have_and_leaves_nothing)
{
    const char *dir = test_dir();
    if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=8m") != 0)
        TEST_SKIP("a small file system cannot be mounted here");
    CLEANUP(free_mem) char *path = fs_join(dir, "reserve");
    struct err err = { 0 };
    int rc = reserve_make(path, 64 << 20, &err);
    bool left = fs_exists(path);
    CHECK_INT(umount(dir), 0);
    CHECK_INT(rc, -FAIL_SPACE);
    CHECK_HAS(err.text, path);
    CHECK_HAS(err.text, "needs 67 MB");
    CHECK_HAS(err.text, "free are 8.4 MB");
    CHECK(!left);
}

TEST(steps_take_find_and_give_back_the_reserve_of_their_own_run)
{
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    const char *dir = test_dir();
    CLEANUP(free_mem) char *run = fs_join(dir, "run-7"), *file = fs_join(dir, ".confleet-reserve-run-7");
    CLEANUP(free_mem) char *other = fs_join(dir, ".confleet-reserve-run-8");
    struct err err = { 0 };
    Confleet__ProbeState seen = CONFLEET__PROBE_STATE__PROBE_NONE;
    node.backup_dir = node.home = node.stage_dir = (char *)(uintptr_t)dir, node.run_dir = run, node.reserve_bytes = 1 << 20;
    order.node = &node;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    CHECK_OK(fs_write(other, "x", 1, 0600, &err), err);
    CHECK_OK(reserve_probe(job, &seen, &err), err);
    CHECK_INT(seen, CONFLEET__PROBE_STATE__ABSENT);
    CHECK_OK(reserve_take(job, &err), err);
    CHECK_OK(reserve_probe(job, &seen, &err), err);
    CHECK_INT(seen, CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK(fs_exists(file));
    CHECK_OK(reserve_release(job, &err), err);
    CHECK_OK(reserve_release(job, &err), err);
    CHECK(!fs_exists(file) && fs_exists(other));
}

TEST(a_reserve_that_cannot_be_removed_does_not_hold_up_the_way_back)
{
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    const char *dir = test_dir();
    CLEANUP(free_mem) char *run = fs_join(dir, "run-7"), *file = fs_join(dir, ".confleet-reserve-run-7");
    struct err err = { 0 };
    node.backup_dir = node.home = node.stage_dir = (char *)(uintptr_t)dir, node.run_dir = run, node.reserve_bytes = 1 << 20;
    order.node = &node;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    CHECK_OK(reserve_take(job, &err), err);
    if (mount(dir, dir, NULL, MS_BIND, NULL) != 0)
        TEST_SKIP("nothing can be mounted here");
    int ro = mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
    int undone = reserve_undo(job, &err), released = reserve_release(job, &err);
    CHECK_INT(umount(dir), 0);
    CHECK_INT(ro, 0);
    CHECK_INT(undone, 0);
    CHECK_INT(released, -FAIL_IO);
    CHECK_HAS(err.text, "Read-only file system");
    CHECK(fs_exists(file));
    CHECK_INT(reserve_undo(job, &err), 0);
    CHECK(!fs_exists(file));
}
