/* One file that is very large, and very many that are small. CONFLEET_HUGE=1: 10 GB and a million,
 * which takes minutes and 25 GB of disk; a hundredth and less of it otherwise. */
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/restore_files.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX_KB (100 * 1024)
#define BLOCK         (1u << 20)

struct huge {
    char *base, *install, *home, *backup, *into;
    bool all;
};

static void huge_make(struct huge *h)
{
    struct err err = { 0 };
    const char *all = getenv("CONFLEET_HUGE");
    *h = (struct huge){ .base = text_dup(test_dir()), .all = all && *all && strcmp(all, "0") != 0 };
    h->install = fs_join(h->base, "install");
    h->home = fs_join(h->base, "home");
    h->backup = fs_join(h->base, "backup");
    h->into = fs_join(h->base, "into");
    CHECK_OK(fs_mkdirs(h->install, 0755, &err), err);
    CHECK_OK(fs_mkdirs(h->home, 0755, &err), err);
    CHECK_OK(fs_mkdirs(h->into, 0755, &err), err);
}

static void huge_free(struct huge *h)
{
    struct err ignored = { 0 };
    (void)!fs_remove_tree(h->base, &ignored); /* a million files are not left to the harness */
    free(h->base), free(h->install), free(h->home), free(h->backup), free(h->into);
}

static void say(const char *what, int64_t begin_ms)
{
    struct rusage usage;
    CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
    print_message("%s: %.1f s, so far %ld MB of memory at most\n", what,
                  (double)(clock_mono_ms() - begin_ms) / 1000, usage.ru_maxrss / 1024);
}

/* Captured, read back, restored and captured again with nothing to pack. */
static void there_and_back(struct huge *h)
{
    struct err err = { 0 };
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m, loaded;
    struct restore_counts counts = { 0 };
    struct files_spec spec = { .root = { h->install, h->home }, .ending = ".partial", .threads = 2 };
    manifest_init(&m);
    manifest_init(&loaded);
    m.kind = "hot";
    int64_t begin_ms = clock_mono_ms();
    CHECK_OK(store_open(h->backup, "app-1", &store, &err), err);
    CHECK_OK(store_begin(&store, &m, &err), err);
    CHECK_OK(files_capture(&store, &m, &spec, NULL, NULL, &err), err);
    CHECK_OK(store_keep(&store, &m, ".partial", "", &err), err);
    say("captured", begin_ms);
    begin_ms = clock_mono_ms();
    CHECK_OK(store_load(&store, m.id, "", &loaded, NULL, &err), err);
    store.threads = 2;
    CHECK_OK(store_check(&store, &loaded, "", NULL, NULL, &err), err);
    say("read back", begin_ms);
    begin_ms = clock_mono_ms();
    const struct restore_from from = { .store = &store, .manifest = &loaded, .ending = "" };
    CHECK_OK(restore_tree(&from, TREE_HOME, h->into, &counts, &err), err);
    say("restored", begin_ms);
}

static void memory_is_bounded(void)
{
    struct rusage usage;
    CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
#ifndef __SANITIZE_ADDRESS__
    if (usage.ru_maxrss > MEMORY_MAX_KB)
        print_message("more than %d MB\n", MEMORY_MAX_KB / 1024);
#endif
}

TEST(a_file_of_ten_gigabytes_goes_there_and_back)
{
    CLEANUP(huge_free) struct huge h;
    struct err err = { 0 };
    huge_make(&h);
    uint64_t blocks = h.all ? 10 * 1024 + 1 : 65;
    CLEANUP(free_mem) char *path = fs_join(h.home, "export.zip"), *block = mem_zero(1, BLOCK),
                           *back = fs_join(h.into, "export.zip");
    random_bytes(block, BLOCK);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    CHECK(fd >= 0);
    for (uint64_t i = 0; i < blocks; i++) {
        memcpy(block, &i, sizeof i); /* no two alike */
        CHECK_OK(fs_write_all(fd, block, BLOCK, &err), err);
    }
    CHECK_INT(close(fd), 0);
    there_and_back(&h);
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *argv[] = { "/usr/bin/cmp", path, back, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 600000 }, &result, &err),
             err);
    memory_is_bounded();
}

TEST(a_million_small_files_go_there_and_back)
{
    CLEANUP(huge_free) struct huge h;
    struct err err = { 0 };
    huge_make(&h);
    int count = h.all ? 1000000 : 3000;
    for (int i = 0; i < count; i++) {
        char dir[128], name[192], text[64];
        (void)snprintf(dir, sizeof dir, "%.90s/ver003/%d/%d", h.home, i / 1000 % 250, i / 1000);
        (void)snprintf(name, sizeof name, "%.120s/%d", dir, i);
        if (i % 1000 == 0)
            CHECK_OK(fs_mkdirs(dir, 0755, &err), err);
        int len = snprintf(text, sizeof text, "attachment %d", i);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        CHECK(fd >= 0);
        CHECK_INT(write(fd, text, (size_t)(i % 7 ? len : 0)), i % 7 ? len : 0);
        CHECK_INT(close(fd), 0);
    }
    there_and_back(&h);
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *argv[] = { "/usr/bin/diff", "-rq", h.home, h.into, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 1800000 }, &result, &err),
             err);
    memory_is_bounded();
}
