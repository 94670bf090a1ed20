#include "agent/worker/backup/files.h"
#include "agent/worker/backup/restore_files.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A tree as odd as real ones are, a home and an installation. */
struct site {
    char *base, *install, *home, *backup;
};

/* cap_net_bind_service=ep, as the kernel keeps it. */
static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 4 };

static bool is_able(const char *dir)
{
    CLEANUP(free_mem) char *path = fs_join(dir, "attachments/f002");
    uint8_t now[sizeof capability] = { 0 };
    return lgetxattr(path, "security.capability", now, sizeof now) == (ssize_t)sizeof now &&
           memcmp(now, capability, sizeof now) == 0;
}

static void put(const char *dir, const char *name, const void *bytes, size_t len)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    CHECK_INT(close(fd), 0);
}

static void make_dir(const char *dir, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CHECK_INT(mkdir(path, 0750), 0);
}

static void site_make(struct site *s)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *noise = mem_zero(1, 9000000);
    s->base = text_dup(test_dir());
    s->install = fs_join(s->base, "install");
    s->home = fs_join(s->base, "home");
    s->backup = fs_join(s->base, "backup");
    random_bytes(noise, 9000000);
    CHECK_OK(fs_mkdirs(s->install, 0755, &err), err);
    CHECK_OK(fs_mkdirs(s->home, 0755, &err), err);
    make_dir(s->install, "bin");
    put(s->install, "bin/catalina.sh", "#!/bin/sh\n", 10);
    make_dir(s->home, "attachments");
    make_dir(s->home, "attachments/empty");
    put(s->home, "attachments/nothing", "", 0);
    put(s->home, "attachments/big", noise, 9000000);
    put(s->home, "attachments!", "after the folder", 16);
    put(s->home,
        "gr\xc3\xbc\xc3\x9f"
        "e %41 =x",
        "odd", 3);
    put(s->home, "latin\xe9", "not utf-8", 9);
    put(s->home, "new\nline", "n", 1);
    for (int i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "attachments/f%03d", i);
        put(s->home, name, noise + i * 1000, 3000 + (size_t)i);
    }
    CLEANUP(free_mem)
    char *big = fs_join(s->home, "attachments/big"), *hard = fs_join(s->home, "hard");
    CLEANUP(free_mem)
    char *link_path = fs_join(s->home, "link"), *sparse = fs_join(s->home, "sparse");
    CLEANUP(free_mem) char *fifo = fs_join(s->home, "fifo");
    CHECK_INT(link(big, hard), 0);
    CHECK_INT(symlink("../install/bin", link_path), 0);
    CHECK_INT(mkfifo(fifo, 0600), 0);
    int fd = open(sparse, O_WRONLY | O_CREAT, 0600);
    CHECK_INT(pwrite(fd, "begin", 5, 0), 5);
    CHECK_INT(pwrite(fd, "end", 3, 5000000), 3);
    CHECK_INT(close(fd), 0);
    CLEANUP(free_mem) char *file = fs_join(s->home, "attachments/f001");
    (void)lsetxattr(file, "user.mood", "fine\0well", 9, 0); /* not on every file system */
    CHECK_INT(chmod(file, 0604), 0);
    CLEANUP(free_mem) char *able = fs_join(s->home, "attachments/f002");
    (void)lsetxattr(able, "security.capability", capability, sizeof capability, 0); /* by root */
    struct timespec early[2] = { { .tv_sec = -1000 }, { .tv_sec = -1000 } };
    CHECK_INT(utimensat(AT_FDCWD, able, early, 0), 0);
    struct timespec old[2] = { { 1000000000, 123456789 }, { 1000000000, 123456789 } };
    CHECK_INT(utimensat(AT_FDCWD, file, old, 0), 0);
}

static void site_free(struct site *s)
{
    free(s->base), free(s->install), free(s->home), free(s->backup);
}

static int capture(struct site *s, struct store *store, struct manifest *m,
                   const struct manifest *base, bool still, struct err *err)
{
    struct files_spec spec = {
        .root = { s->install, s->home }, .base = base, .still = still, .ending = ".partial", .threads = 2
    };
    m->kind = "hot";
    int rc = store_begin(store, m, err);
    if (rc == 0)
        rc = files_capture(store, m, &spec, NULL, NULL, err);
    return rc == 0 ? store_keep(store, m, ".partial", "", err) : rc;
}

static void run(const char *const *argv)
{
    struct err err = { 0 };
    struct proc_result result = { 0 };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 60000 }, &result, &err),
             err);
    proc_result_free(&result);
}

TEST(what_was_captured_reads_back_and_a_second_manifest_is_the_same)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m, again;
    site_make(&s);
    manifest_init(&m);
    manifest_init(&again);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    CHECK_OK(store_check(&store, &m, "", NULL, NULL, &err), err);
    CHECK_OK(store_load(&store, m.id, "", &again, NULL, &err), err);
    store.threads = 3;
    CHECK_OK(store_check(&store, &again, "", NULL, NULL, &err), err);
    CHECK_INT(again.entry_count, m.entry_count);
    const struct entry *file = manifest_find(&again, TREE_HOME, "attachments/f001");
    CHECK(file != NULL);
    CHECK_INT(file->mtime_ns, 1000000000123456789);
    CHECK_INT(file->mode, 0604);
    CHECK_INT(manifest_find(&again, TREE_HOME, "hard")->type, ENTRY_HARD);
    CHECK_STR(manifest_find(&again, TREE_HOME, "hard")->target, "attachments/big");
    CHECK_INT(manifest_find(&again, TREE_HOME, "fifo")->pack, MANIFEST_NO_PACK);
    CHECK(manifest_find(&again, TREE_HOME, "latin\xe9") != NULL);
    CHECK(manifest_find(&again, TREE_HOME, "new\nline") != NULL);
    CLEANUP(str_free) struct str outside = { 0 };
    files_outside(&again, &outside);
    CHECK_HAS(outside.s, "link leads to ../install/bin");
}

/* By a program that knows nothing of us. */
static void unpack_by(const char *const *words, bool attributes)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    CLEANUP(free_mem)
    char *pack = store_path(&store, m.id, "", "home-0001.tar.zst"), *out = fs_join(s.base, "out");
    CLEANUP(free_mem) char *fifo = fs_join(s.home, "fifo");
    CHECK_OK(fs_mkdirs(out, 0700, &err), err);
    const char *argv[16] = { NULL };
    size_t count = 0;
    for (; words[count]; count++)
        argv[count] = words[count];
    argv[count++] = "-xpf";
    argv[count++] = pack;
    argv[count++] = "-C";
    argv[count++] = out;
    run(argv);
    CHECK_INT(unlink(fifo), 0);
    run((const char *const[]){ "/usr/bin/diff", "-r", "--no-dereference", s.home, out, NULL });
    CLEANUP(free_mem)
    char *sparse = fs_join(out, "sparse"), *file = fs_join(out, "attachments/f001");
    struct stat st;
    CHECK_INT(stat(sparse, &st), 0);
    CHECK_INT(st.st_size, 5000003);
    CHECK(st.st_blocks * 512 < 1000000);
    CHECK_INT(stat(file, &st), 0);
    CHECK_INT(st.st_mtim.tv_nsec, 123456789);
    CHECK_INT(st.st_mode & 07777, 0604);
    CLEANUP(free_mem)
    char *from = fs_join(s.home, "attachments/f001"), *big = fs_join(out, "attachments/big"),
         *hard = fs_join(out, "hard");
    char mood[32] = "", was[32] = "";
    struct stat same;
    ssize_t len = lgetxattr(from, "user.mood", was, sizeof was); /* not on every file system */
    if (attributes && len > 0) {
        CHECK_INT(lgetxattr(file, "user.mood", mood, sizeof mood), len);
        CHECK_INT(memcmp(mood, was, (size_t)len), 0);
    }
    if (attributes && is_able(s.home))
        CHECK(is_able(out));
    CLEANUP(free_mem) char *early = fs_join(out, "attachments/f002");
    CHECK_INT(stat(early, &st), 0);
    CHECK_INT(st.st_mtim.tv_sec, -1000);
    CHECK_INT(stat(big, &st), 0);
    CHECK_INT(stat(hard, &same), 0);
    CHECK_INT(st.st_ino, same.st_ino);
}

TEST(tar_alone_unpacks_the_packs)
{
    unpack_by((const char *const[]){ "/usr/bin/tar", "--zstd", "--xattrs", "--xattrs-include=*",
                                     NULL },
              true);
}

TEST(bsdtar_alone_unpacks_the_packs)
{
    if (access("/usr/bin/bsdtar", X_OK) != 0)
        TEST_SKIP("no program bsdtar (libarchive-tools) on this host");
    /* In the C locale a name that is no UTF-8 is a warning. */
    unpack_by((const char *const[]){ "/usr/bin/env", "LC_ALL=C.UTF-8", "/usr/bin/bsdtar", NULL },
              true);
}

/* What the program bsdtar does, asked call by call. */
TEST(libarchive_alone_unpacks_the_packs)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    static const int how = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_OWNER |
                           ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_ACL |
                           ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS;
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    CLEANUP(free_mem)
    char *pack = store_path(&store, m.id, "", "home-0001.tar.zst"), *out = fs_join(s.base, "out"),
         *fifo = fs_join(s.home, "fifo"), *here = getcwd(NULL, 0);
    CHECK_OK(fs_mkdirs(out, 0700, &err), err);
    struct archive *in = archive_read_new();
    struct archive_entry *entry = NULL;
    CHECK_INT(archive_read_support_filter_all(in), ARCHIVE_OK);
    CHECK_INT(archive_read_support_format_all(in), ARCHIVE_OK);
    CHECK_INT(archive_read_open_filename(in, pack, 65536), ARCHIVE_OK);
    CHECK_INT(chdir(out), 0);
    /* Names that are no UTF-8 are a warning in the C locale. */
    while (archive_read_next_header(in, &entry) != ARCHIVE_EOF)
        CHECK(archive_read_extract(in, entry, how) >= ARCHIVE_WARN);
    CHECK_INT(chdir(here), 0);
    CHECK_INT(archive_read_free(in), ARCHIVE_OK);
    CHECK_INT(unlink(fifo), 0);
    run((const char *const[]){ "/usr/bin/diff", "-r", "--no-dereference", s.home, out, NULL });
}

static int count_bytes(void *ctx, const void *bytes, size_t len, struct err *err)
{
    (void)bytes, (void)err;
    *(uint64_t *)ctx += len;
    return 0;
}

TEST(every_file_can_be_read_back_alone)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    site_make(&s);
    manifest_init(&m);
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(capture(&s, &store, &m, NULL, false, &err), err);
    for (uint32_t pack = 0; pack < m.pack_count; pack++) {
        CLEANUP(free_mem) char *path = store_pack_path(&store, &m, pack, "");
        CLEANUP(pack_reader_free) struct pack_reader *reader = NULL;
        CHECK_OK(pack_reader_new(path, &m.packs[pack], &reader, &err), err);
        for (size_t i = m.entry_count; i-- > 0;) { /* backwards, so that every one is sought */
            uint64_t got = 0;
            if (m.entries[i].pack != pack || m.entries[i].type != ENTRY_FILE)
                continue;
            CHECK_OK(pack_read(reader, &m.entries[i], count_bytes, &got, &err), err);
            CHECK_INT(got, m.entries[i].size);
        }
    }
}

struct moved {
    uint64_t read, spared;
};
static void moved(void *ctx, uint64_t bytes)
{
    ((struct moved *)ctx)->read += bytes;
}
static void spared(void *ctx, uint64_t bytes)
{
    ((struct moved *)ctx)->spared += bytes;
}

TEST(holes_take_no_part_of_the_rate)
{
    struct err err = { 0 };
    CLEANUP(site_free) struct site s;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m;
    struct moved making = { 0, 0 }, proving = { 0, 0 };
    uint64_t total = 0;
    site_make(&s);
    manifest_init(&m);
    CLEANUP(free_mem) char *hole = fs_join(s.home, "hole");
    put(s.home, "hole", "x", 1);
    CHECK_INT(truncate(hole, 200 << 20), 0);
    m.kind = "hot";
    struct files_spec spec = { .root = { s.install, s.home }, .ending = ".partial", .spared = spared };
    CHECK_OK(store_open(s.backup, "conf-1", &store, &err), err);
    CHECK_OK(store_begin(&store, &m, &err), err);
    CHECK_OK(files_capture(&store, &m, &spec, moved, &making, &err), err);
    CHECK_OK(store_keep(&store, &m, ".partial", "", &err), err);
    CHECK_OK(store_check(&store, &m, "", moved, &proving, &err), err);
    for (size_t i = 0; i < m.entry_count; i++)
        total += m.entries[i].size;
    CHECK(total > 200 << 20);
    CHECK_INT(making.read + making.spared, total);
    CHECK(making.spared > 199 << 20);
    CHECK(proving.read < total - (199 << 20));
}

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
    struct restore_from from = { &store, &stop, "", NULL, NULL };
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
    struct restore_from from = { &store, &m, "", NULL, NULL };
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
