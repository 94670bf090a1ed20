/* A manifest that was rewritten: every field of every kind of entry is compared with the pack, in the
 * backup that holds the pack and in one that refers to it. */
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/restore_files.h"
#include "agent/worker/backup/store.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct bench {
    char *install, *home, *backup;
    struct store store;
    struct manifest first, second;
};

static void bench_free(struct bench *b)
{
    store_close(&b->store);
    manifest_free(&b->first);
    manifest_free(&b->second);
    free(b->install), free(b->home), free(b->backup);
}

static void put(const char *dir, const char *name, const char *text)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CHECK_OK(fs_write(path, text, strlen(text), 0644, &err), err);
}

static void capture(struct bench *b, struct manifest *m, const struct manifest *base)
{
    struct err err = { 0 };
    struct files_spec spec = {
        .root = { b->install, b->home }, .base = base, .ending = ".partial"
    };
    manifest_init(m);
    m->kind = "hot";
    m->installation = "conf-1";
    CHECK_OK(store_begin(&b->store, m, &err), err);
    CHECK_OK(files_capture(&b->store, m, &spec, NULL, NULL, &err), err);
    CHECK_OK(store_keep(&b->store, m, ".partial", "", &err), err);
}

static void bench_make(struct bench *b)
{
    struct err err = { 0 };
    const char *dir = test_dir();
    *b = (struct bench){ .store = { .lock = -1 } };
    b->install = fs_join(dir, "install");
    b->home = fs_join(dir, "home");
    b->backup = fs_join(dir, "backup");
    CLEANUP(free_mem) char *sub = fs_join(b->home, "sub");
    CLEANUP(free_mem) char *file = fs_join(b->home, "file"), *hard = fs_join(b->home, "hard"),
                           *link_path = fs_join(b->home, "link");
    CHECK_OK(fs_mkdirs(b->install, 0755, &err), err);
    CHECK_OK(fs_mkdirs(sub, 0755, &err), err);
    put(b->install, "start", "x");
    put(b->home, "another", "another");
    put(b->home, "file", "content");
    put(b->home, "plain", "plain");
    CHECK_INT(link(file, hard), 0);
    CHECK_INT(symlink("sub", link_path), 0);
    (void)lsetxattr(file, "user.mood", "fine", 4, 0); /* not on every file system */
    (void)lsetxattr(file, "user.o d%d\xff", "", 0, 0);
    (void)lsetxattr(file, "user.third", "3", 1, 0);
    for (int64_t end = clock_wall_ms() + 1200; clock_wall_ms() < end;)
        (void)poll(NULL, 0, 20); /* until equal times prove that nothing changed */
    CHECK_OK(store_open(b->backup, "conf-1", &b->store, &err), err);
    capture(b, &b->first, NULL);
    put(b->home, "plain", "it changed");
    put(b->home, "unseen", "only in the second");
    capture(b, &b->second, &b->first);
}

static int check(const struct bench *b, const struct manifest *m, struct err *err)
{
    int rc = store_check(&b->store, m, "", NULL, NULL, err);
    return rc == 0 ? store_check_bases(&b->store, m, NULL, NULL, err) : rc;
}

static int check_readable(const struct bench *b, const struct manifest *m, struct err *err)
{
    struct restore_from from = { .store = &b->store, .manifest = m, .ending = "" };
    int rc = store_check(&b->store, m, "", NULL, NULL, err);
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++)
        rc = restore_readable(&from, tree, err);
    return rc;
}

static struct entry *find(const struct manifest *m, const char *path)
{
    struct entry *entry = (struct entry *)(uintptr_t)manifest_find(m, TREE_HOME, path);
    CHECK(entry != NULL);
    return entry;
}

static void found(const struct bench *b, const struct manifest *m, const char *path,
                  const struct entry *forged, const char *says)
{
    struct entry *entry = find(m, path), before = *entry;
    struct err err = { 0 };
    *entry = *forged;
    if (check(b, m, &err) != -FAIL_CORRUPT)
        print_error("%s of %s was not compared\n", says, path);
    err_clear(&err);
    CHECK_INT(check(b, m, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, path);
    CHECK_HAS(err.text, says);
    err_clear(&err);
    CHECK_INT(check_readable(b, m, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, path);
    *entry = before;
}

#define FORGED(path, says, ...)                                                                    \
    do {                                                                                           \
        struct entry e = *find(m, path);                                                           \
        __VA_ARGS__;                                                                               \
        found(b, m, path, &e, says);                                                               \
    } while (0)

static void forge_all(const struct bench *b, const struct manifest *m)
{
    struct err err = { 0 };
    CHECK_OK(check(b, m, &err), err);
    CHECK_OK(check_readable(b, m, &err), err);
    FORGED("link", "target", e.target = "/etc");
    FORGED("link", "owner", e.uid++);
    FORGED("link", "time", e.mtime_ns += 1000000000);
    FORGED("hard", "link", e.target = "another");
    FORGED("hard", "mode", e.mode ^= 1);
    FORGED("file", "mode", e.mode |= 04000);
    FORGED("file", "owner", e.uid++);
    FORGED("file", "owner", e.gid++);
    FORGED("file", "time", e.mtime_ns++);
    FORGED("file", "size", e.size--);
    FORGED("file", "digest", e.sha256[3] ^= 1);
    FORGED("sub", "mode", e.mode |= 02);
    FORGED("sub", "owner", e.gid++);
    FORGED("sub", "time", e.mtime_ns--);
    FORGED("another", "attributes", e.xattrs = "security.capability:AAAA");
    if (find(m, "file")->xattrs[0]) {
        FORGED("file", "attributes", e.xattrs = "");
        FORGED("file", "attributes", e.xattrs = "user.mood:ZmluZQ==");
        FORGED("file", "attributes", e.xattrs = "user.mood:ZmluZQ== user.mood:ZmluZQ== "
                                                "user.third:Mw==");
        FORGED("file", "attributes", e.xattrs = "user.mood:ZmluZg== user.o%20d%25d\xff: "
                                                "user.third:Mw==");
    }
    CHECK_OK(check(b, m, &err), err);
}

TEST(a_forged_entry_is_found_in_the_pack_of_its_own_backup)
{
    CLEANUP(bench_free) struct bench b;
    bench_make(&b);
    forge_all(&b, &b.first);
}

TEST(a_forged_entry_is_found_in_the_pack_of_the_backup_that_it_refers_to)
{
    CLEANUP(bench_free) struct bench b;
    struct err err = { 0 };
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__RESTORED };
    bench_make(&b);
    CHECK(b.second.packs[find(&b.second, "link")->pack].from[0]);
    CHECK_OK(proof_write(&b.store, b.first.id, "", b.first.id, &proof, &err), err);
    forge_all(&b, &b.second);
    /* What a liar says of it costs the good one nothing. */
    CLEANUP(free_mem) char *path = store_path(&b.store, b.first.id, "", "proof");
    CHECK(fs_exists(path));
}
