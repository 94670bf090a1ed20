/* Whether a backup can fit, asked before it begins, and how long its folder will last. */
#include "agent/worker/backup/room.h"
#include "agent/worker/backup/manifest.h"
#include "world.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define MB     (1024ULL * 1024)
#define DAY_MS (24LL * 3600 * 1000)

TEST(a_folder_that_holds_no_backup_has_no_forecast)
{
    struct room_forecast forecast;
    CHECK(!room_forecast(NULL, 0, 100 * MB, DAY_MS, 0, &forecast));
}

TEST(one_backup_tells_how_many_fit_and_no_pace)
{
    struct room_forecast forecast;
    char text[256];
    CHECK(room_forecast(&(struct room_kept){ DAY_MS, 30 * MB }, 1, 100 * MB, 30 * DAY_MS,
                        2 * DAY_MS, &forecast));
    CHECK_INT(forecast.more, 3);
    CHECK(!forecast.paced);
    room_forecast_text(&forecast, 100 * MB, text, sizeof text);
    CHECK_HAS(text, "room for 3 more like the last one");
    CHECK_HAS(text, "for how long is unknown: one backup tells no pace");
}

TEST(backups_less_than_a_day_apart_tell_no_pace)
{
    struct room_forecast forecast;
    char text[400];
    const struct room_kept quick[] = { { 10 * DAY_MS, 50 * MB }, { 10 * DAY_MS + 60000, 50 * MB } },
                           apart[] = { { 10 * DAY_MS, 50 * MB }, { 11 * DAY_MS, 50 * MB } };
    CHECK(room_forecast(quick, 2, 100 * MB, 30 * DAY_MS, 10 * DAY_MS + 120000, &forecast));
    CHECK(!forecast.paced);
    CHECK_INT(forecast.full_in_ms, -1);
    room_forecast_text(&forecast, 100 * MB, text, sizeof text);
    CHECK_HAS(text, "room for 2 more");
    CHECK_HAS(text, "for how long is unknown: the backups there are less than a day apart");
    CHECK(room_forecast(apart, 2, 100 * MB, 30 * DAY_MS, 12 * DAY_MS, &forecast));
    CHECK(forecast.paced);
    room_forecast_text(&forecast, 100 * MB, text, sizeof text);
    CHECK_HAS(text, "at the pace so far it is full in");
}

TEST(the_pace_so_far_says_when_a_folder_is_full_unless_what_expires_makes_room)
{
    static const struct {
        uint64_t free_mb;
        int64_t keep_days, full_days;
    } cases[] = {
        { 100, 0, 10 },  /* nothing expires: 10 MB a day */
        { 100, 30, 10 }, /* the oldest is 10 days old and stays for 20 more: 200 MB come */
        { 101, 20, -1 }, /* for 10 more: 100 MB come */
        { 90, 20, 9 },   { 100, 10, -1 }, { 0, 30, 0 }, { 0, 10, 0 },
        { 100, 5, -1 }, /* what stays longer than that does so for a reason, and grows no more */
    };
    struct room_kept kept[10];
    struct room_forecast forecast;
    for (int i = 0; i < 10; i++) /* out of order */
        kept[(i * 3) % 10] = (struct room_kept){ i * DAY_MS, 10 * MB };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(room_forecast(kept, 10, cases[i].free_mb * MB, cases[i].keep_days * DAY_MS,
                            10 * DAY_MS, &forecast));
        CHECK_INT(forecast.like, 5);
        CHECK_INT(forecast.next_bytes, 10 * MB);
        if (cases[i].full_days < 0)
            CHECK_INT(forecast.full_in_ms, -1);
        else /* give or take what rounding does */
            CHECK_INT((forecast.full_in_ms + 1000) / DAY_MS, cases[i].full_days);
    }
}

TEST(the_mean_is_that_of_a_chain_so_that_a_whole_one_counts)
{
    const struct room_kept kept[] = { { 9, 1 * MB }, { 8, 1 * MB },  { 7, 46 * MB },
                                      { 6, 1 * MB }, { 5, 1 * MB }, { 4, 900 * MB } };
    struct room_forecast forecast;
    CHECK(room_forecast(kept, 6, 1000 * MB, 0, 10, &forecast));
    CHECK_INT(forecast.next_bytes, 10 * MB);
    CHECK_INT(forecast.more, 100);
}

TEST(a_refusal_names_folder_need_free_and_remedy_and_counts_what_shares_a_file_system)
{
    const char *dir = test_dir();
    struct err err = { 0 };
    uint64_t free_bytes = 0, files = 0;
    CLEANUP(free_mem) char *there = fs_join(dir, "not/there/yet");
    CHECK_OK(fs_space(dir, &free_bytes, &files, &err), err);
    struct room_place one = { there, "the backup", free_bytes / 2, 0 },
                      two = { dir, "the copy", free_bytes / 2 + 64 * MB, 0 };
    CHECK_OK(room_check(&one, 1, "do this", &err), err);
    CHECK_OK(room_check(&two, 1, "do this", &err), err);
    CHECK_INT(room_check((struct room_place[]){ one, two }, 2, "do this", &err), -FAIL_SPACE);
    CHECK_HAS(err.text, dir);
    CHECK_HAS(err.text, "the copy needs");
    CHECK_HAS(err.text, "are free; do this");
    err_clear(&err);
    one.files = UINT64_MAX / 2;
    one.bytes = 0;
    if (files < UINT64_MAX / 2) {
        CHECK_INT(room_check(&one, 1, "do this", &err), -FAIL_SPACE);
        CHECK_HAS(err.text, "files");
        err_clear(&err);
    }
    two.bytes = UINT64_MAX;
    CHECK_INT(room_check(&two, 1, "do this", &err), -FAIL_SPACE);
}

TEST(trees_count_once_and_files_with_holes_what_is_in_them)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *app = fs_join(dir, "app"), *home = fs_join(app, "home"),
                           *hole = fs_join(home, "hole"), *backup = fs_join(home, "backup");
    const char *const root[TREE_COUNT] = { app, home };
    struct room_trees trees;
    CLEANUP(free_mem) char *noise = mem_zero(1, 100000);
    random_bytes(noise, 100000);
    tree_bytes(dir, "app/bin/x", noise, 100000);
    tree_bytes(dir, "app/home/y", noise, 50000);
    tree_bytes(dir, "app/home/backup/z", noise, 70000);
    tree_file(dir, "app/home/hole", "");
    CHECK_INT(truncate(hole, 1 << 30), 0);
    const struct manifest *const none[2] = { NULL, NULL };
    room_trees(root, backup, none, &trees);
    CHECK_INT(trees.bytes, 150000 + (1 << 30));
    CHECK_INT(trees.packed, 150000);
}

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

static bool run(const char *const *argv)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    return proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 30000 }, &result, &err) == 0;
}

static size_t entries(const char *dir)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *argv[] = { "/usr/bin/find", dir, "-mindepth", "1", "-type", "d", "-printf", "x",
                           NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err),
             err);
    return result.out.len;
}

/* Leaves exactly so much on the file system, as far as its blocks allow. */
static void leave_free(const char *dir, uint64_t bytes)
{
    struct err err = { 0 };
    uint64_t have = 0, files = 0;
    CLEANUP(free_mem) char *filler = fs_join(dir, "filler");
    CHECK_OK(fs_unlink(filler, &err), err);
    CHECK_OK(fs_space(dir, &have, &files, &err), err);
    CHECK(have > bytes);
    CLEANUP(close_fd) int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(posix_fallocate(fd, 0, (off_t)(have - bytes)), 0);
}

/* In steps around what it needs. */
static void around_the_limit(struct world *w, const char *disk)
{
    struct err err = { 0 };
    int begun = 0, refused = 0;
    for (uint64_t free_mb = 22; free_mb <= 42; free_mb += 2) {
        leave_free(disk, free_mb * MB);
        int rc = world_step(w, "backup", CONFLEET__WORKER_PHASE__ACT);
        CLEANUP(free_mem) char *store = fs_join(w->backup, "app-1");
        if (rc == 0) {
            begun++;
            CHECK_OK(fs_remove_tree(store, &err), err);
        } else {
            refused++;
            CHECK_INT(begun, 0); /* with more room it is not refused */
            CHECK_INT(rc, -FAIL_SPACE);
            CHECK_HAS(w->err.text, "nothing was begun");
            CHECK_HAS(w->err.text, w->backup);
            CHECK_HAS(w->err.text, "backup_dir of agent.yaml");
            CHECK_INT(entries(store), 0);
        }
    }
    CHECK(begun >= 2);
    CHECK(refused >= 2);
}

/* A disk of its own of so many MB for backups; false: none can be mounted here. */
static bool disk_make(const char *dir, const char *disk, uint64_t bytes)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *image = fs_join(dir, "image");
    CHECK_OK(fs_mkdirs(disk, 0700, &err), err);
    tree_file(dir, "image", "");
    CHECK_INT(truncate(image, (off_t)bytes), 0);
    return run((const char *[]){ "/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-O",
                                 "^has_journal", image, NULL }) &&
           run((const char *[]){ "/usr/bin/mount", "-o", "loop", image, disk, NULL });
}

#define NO_DISK "no file system of an image can be mounted here"

TEST(on_a_small_disk_what_begins_also_fits)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(free_mem) char *noise = mem_zero(1, 3 * MB), *disk = NULL;
    cluster_odd_database();
    world_make(&w);
    random_bytes(noise, 3 * MB);
    tree_bytes(w.dir, "home/attachments/noise", noise, 3 * MB);
    disk = text_dup(w.backup);
    if (!disk_make(w.dir, disk, 64 * MB))
        TEST_SKIP(NO_DISK);
    around_the_limit(&w, disk);
    CHECK_INT(umount2(disk, MNT_DETACH), 0);
}

/* Another program, which waits until the home is being packed and then takes all there is. */
static pid_t filler_start(const struct world *w, const char *disk)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child != 0)
        return child;
    CLEANUP(free_mem) char *store = fs_join(w->backup, "app-1");
    const char *argv[] = { "/usr/bin/find", store, "-name", "home-0001.tar.zst", "-size", "+1",
                           "-printf", "x", NULL };
    for (int64_t end = clock_mono_ms() + 20000; clock_mono_ms() < end; (void)poll(NULL, 0, 5)) {
        struct err err = { 0 };
        CLEANUP(proc_result_free) struct proc_result result = { 0 };
        if (proc_run(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err) == 0 &&
            result.out.len > 0)
            break;
    }
    CLEANUP(free_mem) char *filler = fs_join(disk, "filler");
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (off_t size = 64 * (off_t)MB, at = 0; size >= 1024; size /= 2)
        while (posix_fallocate(fd, at, size) == 0)
            at += size;
    _exit(0);
}

TEST(a_disk_that_another_program_fills_meanwhile_ends_in_words_and_leaves_nothing)
{
    NEEDS_SERVER;
    enum { SIZE = 16 << 20 };
    CLEANUP(world_free) struct world w;
    CLEANUP(free_mem) char *noise = mem_zero(1, SIZE), *disk = NULL;
    int status = 0;
    cluster_odd_database();
    world_make(&w);
    random_bytes(noise, SIZE);
    for (int i = 0; i < 16; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "home/attachments/noise%d", i);
        tree_bytes(w.dir, name, noise + i * (SIZE / 16), SIZE / 16);
    }
    disk = text_dup(w.backup);
    if (!disk_make(w.dir, disk, 128 * MB))
        TEST_SKIP(NO_DISK);
    w.node.backup_rate = 10 * MB;
    pid_t filler = filler_start(&w, disk);
    int rc = world_step(&w, "backup", CONFLEET__WORKER_PHASE__ACT);
    CHECK_INT(waitpid(filler, &status, 0), filler);
    CHECK(rc != 0);
    CHECK_HAS(w.err.text, "No space left on device");
    CHECK(!strstr(w.err.text, "nothing was begun"));
    CLEANUP(free_mem) char *store = fs_join(w.backup, "app-1"), *taken = fs_join(disk, "filler");
    CHECK_INT(entries(store), 0);
    CHECK_INT(unlink(taken), 0);
    w.node.backup_rate = 0;
    CHECK_OK(world_step(&w, "backup", CONFLEET__WORKER_PHASE__ACT), w.err);
    CHECK_INT(umount2(disk, MNT_DETACH), 0);
}
