/* What a second pass, damage and a restore do with the files of one site. */
#include "odd_site.h"

static void wait_until_old(void)
{
    int64_t end = clock_wall_ms() + 1200; /* SCAN_FRESH_MS and the file system's tick */
    while (clock_wall_ms() < end)
        (void)poll(NULL, 0, 20);
}

TEST(a_second_pass_packs_only_what_changed)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest hot, stop;
    site_make(&s);
    manifest_init(&hot);
    manifest_init(&stop);
    wait_until_old();
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &hot, NULL, false, &err), err);
    put(s.home, "attachments/f007", "changed", 7);
    put(s.home, "attachments/fresh", "new", 3);
    CHECK_OK(capture(&s, &store, &stop, &hot, true, &err), err);
    CHECK_OK(store_check(&store, &stop, "", NULL, NULL, &err), err);
    size_t anew = 0;
    for (size_t i = 0; i < stop.entry_count; i++)
        if (stop.entries[i].pack != MANIFEST_NO_PACK && !stop.packs[stop.entries[i].pack].from[0])
            anew++;
    CHECK_INT(anew, 3); /* the two files and their folder */
    CHECK(store_bytes(&stop) < 4096);
    CHECK_STR(stop.packs[manifest_find(&stop, TREE_HOME, "hard")->pack].from, hot.id);
}

TEST(what_changed_within_the_clocks_grain_is_not_taken_for_unchanged)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest hot, stop;
    site_make(&s);
    manifest_init(&hot);
    manifest_init(&stop);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    put(s.home, "young", "a", 1);
    CHECK_OK(capture(&s, &store, &hot, NULL, false, &err), err);
    CHECK(manifest_find(&hot, TREE_HOME, "young")->fresh);
    CHECK_OK(capture(&s, &store, &stop, &hot, true, &err), err);
    CHECK_STR(stop.packs[manifest_find(&stop, TREE_HOME, "young")->pack].from, "");
}

TEST(another_file_system_inside_is_refused)
{
    struct err err = { 0 };
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CHECK_OK(store_open(test_dir(), "conf-1", &store, &err), err);
    struct files_spec spec = { .root = { "/dev", "/dev" }, .still = false, .ending = ".partial" };
    if (!fs_is_dir("/dev/shm") || !fs_is_dir("/dev/pts"))
        TEST_SKIP("no file system mounted below /dev");
    CHECK_OK(store_begin(&store, &m, &err), err);
    CHECK_INT(files_capture(&store, &m, &spec, NULL, NULL, &err), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "another file system");
}

static void flip(const char *path, off_t at, int bit)
{
    unsigned char byte = 0;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_INT(pread(fd, &byte, 1, at), 1);
    byte ^= (unsigned char)(1 << bit);
    CHECK_INT(pwrite(fd, &byte, 1, at), 1);
    CHECK_INT(close(fd), 0);
}

static int check_again(const struct store *store, const char *id, struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    int rc = store_load(store, id, "", &m, NULL, err);
    return rc == 0 ? store_check(store, &m, "", NULL, NULL, err) : rc;
}

TEST(one_flipped_bit_anywhere_is_found_with_the_file_named)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    static const char *const files[] = { "manifest", "install-0001.tar.zst", "home-0001.tar.zst" };
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    srand(20261123);
    for (int i = 0; i < 90; i++) {
        CLEANUP(free_mem) char *path = store_path(&store, m.id, "", files[i % 3]);
        struct stat st;
        CHECK_INT(stat(path, &st), 0);
        off_t at = (off_t)(((uint64_t)rand() << 16 ^ (uint64_t)rand()) % (uint64_t)st.st_size);
        int bit = rand() % 8;
        flip(path, at, bit);
        int rc = check_again(&store, m.id, &err);
        if (rc == 0)
            print_error("a flipped bit of %s at %lld was not noticed\n", files[i % 3],
                        (long long)at);
        CHECK(rc != 0);
        CHECK_HAS(err.text, files[i % 3]);
        err_clear(&err);
        flip(path, at, bit);
    }
    CHECK_OK(check_again(&store, m.id, &err), err);
}

TEST(a_cut_pack_or_manifest_is_found)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    static const char *const files[] = { "manifest", "install-0001.tar.zst", "home-0001.tar.zst" };
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(free_mem)
        char *path = store_path(&store, m.id, "", files[i]), *kept = fs_join(s.base, "kept");
        struct stat st;
        CHECK_INT(stat(path, &st), 0);
        for (int cut = 0; cut < 8; cut++) {
            off_t len = cut == 0 ? st.st_size - 1 : st.st_size * (8 - cut) / 9;
            run((const char *const[]){ "/bin/cp", path, kept, NULL });
            CHECK_INT(truncate(path, len), 0);
            CHECK(check_again(&store, m.id, &err) != 0);
            CHECK_HAS(err.text, files[i]);
            err_clear(&err);
            run((const char *const[]){ "/bin/cp", kept, path, NULL });
        }
        CHECK_INT(unlink(path), 0);
        CHECK(check_again(&store, m.id, &err) != 0);
        err_clear(&err);
        run((const char *const[]){ "/bin/cp", kept, path, NULL });
    }
    CHECK_OK(check_again(&store, m.id, &err), err);
}

TEST(an_unfinished_backup_has_no_name_and_is_gone_at_the_next)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 }, second = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_INT(store_open(s.backup, "conf-1", &second, &err), -FAIL_BUSY);
    err_clear(&err);
    CHECK_OK(store_begin(&store, &m, &err), err);
    CLEANUP(free_mem) char *partial = store_path(&store, m.id, ".partial", NULL);
    CHECK(fs_is_dir(partial));
    CHECK(!store_has(&store, m.id, ""));
    CHECK_INT(store_load(&store, m.id, "", &m, NULL, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    CHECK(!fs_exists(partial));
}

#define HOLES_SIZE (32 << 20)

/* Grows, shrinks, overwrites, replaces and removes files until it is told to stop. */
struct writer {
    const char *home;
    atomic_bool stop;
    atomic_uint rounds;
};

/* What was a hole when the file was looked at has bytes when it is read, and the other way round. */
static void write_into_hole(const char *path, int block)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return;
    if (block == 0)
        (void)!ftruncate(fd, 0);
    (void)!ftruncate(fd, HOLES_SIZE);
    (void)!pwrite(fd, path, strlen(path), (off_t)block * (HOLES_SIZE / 512));
    (void)close(fd);
}

static void *write_on(void *ctx)
{
    struct writer *w = ctx;
    unsigned seed = 1;
    while (!atomic_load(&w->stop)) {
        char name[64], other[64];
        (void)snprintf(name, sizeof name, "attachments/f%03d", rand_r(&seed) % 300);
        (void)snprintf(other, sizeof other, "attachments/g%03d", rand_r(&seed) % 50);
        CLEANUP(free_mem)
        char *path = fs_join(w->home, name), *to = fs_join(w->home, other),
             *big = fs_join(w->home, "attachments/big"),
             *holes = fs_join(w->home, "attachments/holes");
        write_into_hole(holes, rand_r(&seed) % 512);
        int fd = open(big, O_WRONLY), what = rand_r(&seed) % 5;
        if (fd >= 0) {
            (void)!pwrite(fd, name, sizeof name, rand_r(&seed) % 8000000);
            (void)close(fd);
        }
        if (what == 0)
            (void)!truncate(path, rand_r(&seed) % 9000);
        else if (what == 1)
            (void)rename(path, to);
        else if (what == 2)
            (void)unlink(to);
        else if ((fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600)) >= 0) {
            (void)!write(fd, other, sizeof other);
            (void)close(fd);
        }
        atomic_fetch_add(&w->rounds, 1);
    }
    return NULL;
}

TEST(a_home_that_changes_all_the_time_is_captured_truly_in_the_second_pass)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest hot, stop;
    struct restore_counts counts = { 0 };
    pthread_t thread;
    site_make(&s);
    manifest_init(&hot);
    manifest_init(&stop);
    struct writer writer = { .home = s.home };
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_INT(pthread_create(&thread, NULL, write_on, &writer), 0);
    while (atomic_load(&writer.rounds) < 10)
        (void)poll(NULL, 0, 1);
    int rc = capture(&s, &store, &hot, NULL, false, &err);
    atomic_store(&writer.stop, true);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_OK(rc, err);
    CHECK_OK(store_check(&store, &hot, "", NULL, NULL, &err), err);
    CHECK_OK(capture(&s, &store, &stop, &hot, true, &err), err);
    CHECK_OK(store_check(&store, &stop, "", NULL, NULL, &err), err);
    CLEANUP(free_mem) char *out = fs_join(s.base, "out");
    CHECK_OK(fs_mkdirs(out, 0700, &err), err);
    struct restore_from from = { .store = &store, .manifest = &stop, .ending = "" };
    CHECK_OK(restore_readable(&from, TREE_HOME, &err), err);
    CHECK_OK(restore_tree(&from, TREE_HOME, out, &counts, &err), err);
    CLEANUP(free_mem) char *fifo = fs_join(s.home, "fifo"), *fifo_out = fs_join(out, "fifo");
    CHECK_INT(unlink(fifo), 0);
    CHECK_INT(unlink(fifo_out), 0);
    run((const char *const[]){ "/usr/bin/diff", "-r", "--no-dereference", s.home, out, NULL });
}

TEST(a_tree_that_differs_in_little_is_put_back_by_touching_little)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    struct restore_counts counts = { 0 };
    struct stat st;
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    put(s.home, "attachments/f010", "other", 5);
    put(s.home, "attachments/extra", "x", 1);
    CLEANUP(free_mem)
    char *hard = fs_join(s.home, "hard"), *sparse = fs_join(s.home, "sparse"),
         *file = fs_join(s.home, "attachments/f001");
    CLEANUP(free_mem) char *big = fs_join(s.home, "attachments/big");
    (void)lsetxattr(file, "user.mood", "changed", 7, 0);
    bool able = is_able(s.home);
    put(s.home, "attachments/f002", "other", 5); /* that takes the capability away */
    CHECK_INT(unlink(sparse), 0);
    CHECK_INT(unlink(hard), 0);
    struct restore_from from = { .store = &store, .manifest = &m, .ending = "" };
    CHECK_OK(restore_tree(&from, TREE_HOME, s.home, &counts, &err), err);
    CHECK_INT(counts.written, 3);
    CHECK_INT(is_able(s.home), able);
    CHECK_INT(counts.removed, 1);
    CHECK_INT(counts.linked, 1);
    CHECK_INT(stat(sparse, &st), 0);
    CHECK_INT(st.st_size, 5000003);
    CHECK(st.st_blocks * 512 < 1000000);
    CHECK_INT(stat(hard, &st), 0);
    ino_t ino = st.st_ino;
    CHECK_INT(stat(big, &st), 0);
    CHECK_INT(st.st_ino, ino);
    char mood[16] = "";
    if (lgetxattr(file, "user.mood", mood, sizeof mood) > 0)
        CHECK_INT(memcmp(mood, "fine\0well", 9), 0);
    CHECK_OK(restore_tree(&from, TREE_HOME, s.home, &counts, &err), err);
    CHECK_INT(counts.written + counts.removed + counts.linked + counts.touched, 0);
}
