#include "odd_site.h"

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
