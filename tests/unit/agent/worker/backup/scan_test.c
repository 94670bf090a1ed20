#include "agent/worker/backup/scan.h"
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/restore_files.h"
#include "agent/worker/backup/store.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <fcntl.h>
#include <sys/stat.h>

TEST(a_time_is_never_another_one)
{
    CHECK_INT(scan_ns((struct timespec){ 0, 0 }), 0);
    CHECK_INT(scan_ns((struct timespec){ -1, 500000000 }), -500000000);
    CHECK_INT(scan_ns((struct timespec){ -2000000000, 1 }), -1999999999999999999);
    CHECK_INT(scan_ns((struct timespec){ 9223372036, 854775806 }), INT64_MAX - 1);
    CHECK(scan_ns((struct timespec){ 9223372036, 999999999 }) == INT64_MAX);
    CHECK(scan_ns((struct timespec){ 9223372037, 0 }) == INT64_MAX);
    CHECK(scan_ns((struct timespec){ 253402300799, 0 }) == INT64_MAX);
    CHECK(scan_ns((struct timespec){ -9223372038, 0 }) == INT64_MIN);
}

struct trees {
    char *install, *home, *backup;
};

static void trees_free(struct trees *t)
{
    free(t->install), free(t->home), free(t->backup);
}

static void trees_make(struct trees *t)
{
    struct err err = { 0 };
    const char *dir = test_dir();
    *t = (struct trees){ fs_join(dir, "install"), fs_join(dir, "home"), fs_join(dir, "backup") };
    CLEANUP(free_mem) char *sub = fs_join(t->home, "sub"), *file = fs_join(sub, "file");
    CHECK_OK(fs_mkdirs(t->install, 0755, &err), err);
    CHECK_OK(fs_mkdirs(sub, 0755, &err), err);
    CHECK_OK(fs_write(file, "text", 4, 0644, &err), err);
}

static int capture(const struct trees *t, struct store *store, struct manifest *m, struct err *err)
{
    struct files_spec spec = { .root = { t->install, t->home }, .ending = ".partial" };
    manifest_free(m);
    manifest_init(m);
    m->kind = "hot";
    int rc = store_begin(store, m, err);
    if (rc == 0)
        rc = files_capture(store, m, &spec, NULL, NULL, err);
    return rc == 0 ? store_keep(store, m, ".partial", "", err) : rc;
}

/* The seconds that the file system made of it: each has a last year of its own. */
static int64_t set_seconds(const struct trees *t, const char *name, int64_t seconds)
{
    CLEANUP(free_mem) char *path = fs_join(t->home, name);
    struct timespec times[2] = { { seconds, 0 }, { seconds, 0 } };
    struct stat st;
    CHECK_INT(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_INT(lstat(path, &st), 0);
    return st.st_mtim.tv_sec;
}

TEST(what_bears_a_time_that_cannot_be_kept_is_refused_by_name_and_gets_its_own_back)
{
    static const char *const names[] = { "sub/file", "sub", "sub/pipe", "sub/link" };
    CLEANUP(trees_free) struct trees t = { 0 };
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    struct restore_counts counts = { 0 };
    struct err err = { 0 };
    trees_make(&t);
    manifest_init(&m);
    CLEANUP(free_mem)
    char *pipe = fs_join(t.home, "sub/pipe"), *link = fs_join(t.home, "sub/link"),
         *file = fs_join(t.home, "sub/file");
    CHECK_INT(mkfifo(pipe, 0600), 0);
    CHECK_INT(symlink("file", link), 0);
    CHECK_OK(store_open(t.backup, "conf-1", &store, &err), err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (set_seconds(&t, names[i], 11000000000) < 9223372037)
            TEST_SKIP("this file system has no times after 2262");
        CHECK_INT(capture(&t, &store, &m, &err), -FAIL_UNSUPPORTED);
        CHECK_HAS(err.text, names[i]);
        CHECK_HAS(err.text, "touch");
        err_clear(&err);
        CHECK_INT(set_seconds(&t, names[i], 1000000000), 1000000000);
    }
    struct timespec early[2] = { { -1, 500000000 }, { -1, 500000000 } };
    CHECK_INT(utimensat(AT_FDCWD, file, early, 0), 0);
    CHECK_OK(capture(&t, &store, &m, &err), err);
    /* What a failed start made of it is no reason not to go back. */
    CHECK(set_seconds(&t, "sub/file", 11000000000) > 9223372037);
    struct restore_from from = { .store = &store, .manifest = &m, .ending = "" };
    struct stat st;
    CHECK_OK(restore_tree(&from, TREE_HOME, t.home, &counts, &err), err);
    CHECK_INT(stat(file, &st), 0);
    CHECK_INT(st.st_mtim.tv_sec, -1);
    CHECK_INT(st.st_mtim.tv_nsec, 500000000);
}
