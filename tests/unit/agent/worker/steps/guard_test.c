#include "agent/worker/steps/guard.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <fcntl.h>
#include <sys/stat.h>

#define REAL "#!/bin/sh\necho real\n"

static char *tree_new(void)
{
    char *tree = text_dup(test_dir());
    CLEANUP(free_mem) char *bin = fs_join(tree, "bin"), *script = fs_join(bin, "catalina.sh");
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(bin, 0755, &err), err);
    CHECK_OK(fs_write(script, REAL, strlen(REAL), 0750, &err), err);
    const struct timespec times[2] = { { .tv_sec = 1600000000 }, { .tv_sec = 1600000000, .tv_nsec = 123456789 } };
    CHECK_INT(utimensat(AT_FDCWD, bin, times, 0), 0);
    return tree;
}

static Confleet__ProbeState look_at(const char *tree)
{
    Confleet__ProbeState found = CONFLEET__PROBE_STATE__PROBE_NONE;
    struct err err = { 0 };
    CHECK_OK(guard_look(tree, &found, &err), err);
    return found;
}

static int run(const char *tree, struct proc_result *ret)
{
    CLEANUP(free_mem) char *script = fs_join(tree, "bin/catalina.sh");
    const char *const argv[] = { script, "start", NULL };
    const struct proc_spec spec = { .argv = argv, .timeout_ms = 10000 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, ret, &err), err);
    return ret->status;
}

TEST(a_start_by_hand_fails_with_our_words_and_later_works_again)
{
    CLEANUP(free_mem) char *tree = tree_new();
    CLEANUP(proc_result_free) struct proc_result guarded = { 0 }, freed = { 0 };
    struct err err = { 0 };
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__ABSENT);
    CHECK_OK(guard_set(tree, 1700000000000, &err), err);
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_INT(run(tree, &guarded), 1);
    CHECK_HAS(str_text(&guarded.err), "Confleet is upgrading this Confluence since 2023-11-14T22:13:20Z");
    CHECK_HAS(str_text(&guarded.err), "confleet-agent status");
    CHECK_OK(guard_clear(tree, &err), err);
    CHECK_INT(run(tree, &freed), 0);
    CHECK_STR(str_text(&freed.out), "real\n");
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__ABSENT);
}

TEST(nothing_tells_afterwards_that_the_guard_was_there)
{
    CLEANUP(free_mem) char *tree = tree_new(), *bin = fs_join(tree, "bin"), *script = fs_join(bin, "catalina.sh");
    struct stat before, after, folder;
    struct err err = { 0 };
    CHECK_INT(stat(script, &before), 0);
    CHECK_OK(guard_set(tree, 1, &err), err);
    CHECK_OK(guard_clear(tree, &err), err);
    CHECK_INT(stat(script, &after), 0);
    CHECK_INT(stat(bin, &folder), 0);
    CHECK_INT(after.st_ino, before.st_ino);
    CHECK_INT(after.st_mode, before.st_mode);
    CHECK_INT(folder.st_mtim.tv_sec, 1600000000);
    CHECK_INT(folder.st_mtim.tv_nsec, 123456789);
}

TEST(both_ways_may_be_done_again_and_after_any_cut)
{
    CLEANUP(free_mem) char *tree = tree_new(), *script = fs_join(tree, "bin/catalina.sh"), *aside = fs_join(tree, "bin/.catalina.sh.confleet");
    CLEANUP(proc_result_free) struct proc_result freed = { 0 };
    struct err err = { 0 };
    CHECK_INT(rename(script, aside), 0);             /* cut between the two acts of guard_set() */
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__PARTIAL);
    CHECK_OK(guard_set(tree, 1, &err), err);
    CHECK_OK(guard_set(tree, 2, &err), err);
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__PROBE_COMPLETE);
    CHECK_OK(guard_clear(tree, &err), err);
    CHECK_OK(guard_clear(tree, &err), err);
    CHECK_INT(rename(script, aside), 0);
    CHECK_OK(guard_clear(tree, &err), err);
    CHECK_INT(run(tree, &freed), 0);
}

TEST(a_guard_that_cannot_be_written_leaves_the_tree_as_it_was)
{
    CLEANUP(free_mem) char *tree = tree_new(), *bin = fs_join(tree, "bin"), *in_the_way = fs_join(bin, "catalina.sh.partial");
    CHECK_INT(mkdir(in_the_way, 0700), 0);
    const struct timespec times[2] = { { .tv_sec = 1600000000 }, { .tv_sec = 1600000000, .tv_nsec = 123456789 } };
    struct err err = { 0 };
    struct stat st;
    CHECK_INT(utimensat(AT_FDCWD, bin, times, 0), 0);
    CHECK(guard_set(tree, 1700000000000, &err) != 0);
    CHECK_INT(look_at(tree), CONFLEET__PROBE_STATE__ABSENT);
    CHECK_INT(stat(bin, &st), 0);
    CHECK_INT(st.st_mtim.tv_sec, 1600000000);
    CHECK_INT(st.st_mtim.tv_nsec, 123456789);
}

TEST(a_script_put_there_by_somebody_else_is_never_overwritten)
{
    CLEANUP(free_mem) char *tree = tree_new(), *script = fs_join(tree, "bin/catalina.sh");
    CLEANUP(proc_result_free) struct proc_result theirs = { 0 };
    struct err err = { 0 };
    CHECK_OK(guard_set(tree, 1, &err), err);
    CHECK_OK(fs_write(script, "#!/bin/sh\necho theirs\n", 22, 0755, &err), err);
    CHECK_INT(guard_set(tree, 1, &err), -FAIL_CONFLICT);
    err = (struct err){ 0 };
    CHECK_INT(guard_clear(tree, &err), -FAIL_CONFLICT);
    CHECK_INT(run(tree, &theirs), 0);
    CHECK_STR(str_text(&theirs.out), "theirs\n");
}

TEST(a_tree_without_a_start_script_is_an_error_both_ways)
{
    CLEANUP(free_mem) char *tree = tree_new(), *script = fs_join(tree, "bin/catalina.sh");
    struct err err = { 0 };
    CHECK_INT(unlink(script), 0);
    CHECK_INT(guard_set(tree, 1, &err), -FAIL_CORRUPT);
    err = (struct err){ 0 };
    CHECK_INT(guard_clear(tree, &err), -FAIL_CORRUPT);
}
