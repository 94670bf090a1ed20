/* odd_site - an installation and a home with all that is odd in real ones, and a backup of it. */
#pragma once
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/manifest_spill.h"
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

static inline bool is_able(const char *dir)
{
    CLEANUP(free_mem) char *path = fs_join(dir, "attachments/f002");
    uint8_t now[sizeof capability] = { 0 };
    return lgetxattr(path, "security.capability", now, sizeof now) == (ssize_t)sizeof now &&
           memcmp(now, capability, sizeof now) == 0;
}

static inline void put(const char *dir, const char *name, const void *bytes, size_t len)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    CHECK_INT(close(fd), 0);
}

static inline void make_dir(const char *dir, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CHECK_INT(mkdir(path, 0750), 0);
}

static inline void site_make(struct site *s)
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

static inline void site_free(struct site *s)
{
    free(s->base), free(s->install), free(s->home), free(s->backup);
}

/* As the product makes one: names go to a file as they come, packs are compared with what is there, and
 * with the manifest that was kept, whose names stay in its file. m is all of it in memory. */
static inline int capture(struct site *s, struct store *store, struct manifest *m,
                   const struct manifest *base, bool still, struct err *err)
{
    struct files_spec spec = {
        .root = { s->install, s->home }, .base = base, .still = still, .ending = ".partial", .threads = 2
    };
    CLEANUP(manifest_free) struct manifest kept;
    CLEANUP(sums_free) struct sums sums = { 0 };
    char id[MANIFEST_ID_MAX], told[HASH_HEX_MAX], read[HASH_HEX_MAX];
    manifest_init(&kept);
    m->kind = "hot";
    int rc = store_begin(store, m, err);
    CLEANUP(free_mem) char *dir = store_path(store, m->id, ".partial", NULL);
    if (rc == 0)
        rc = manifest_spill_to(m, dir, err);
    if (rc == 0)
        rc = files_capture(store, m, &spec, NULL, NULL, err);
    if (rc == 0)
        rc = store_check(store, m, ".partial", NULL, NULL, err);
    if (rc == 0)
        rc = store_keep_told(store, m, ".partial", "", told, err);
    if (rc != 0)
        return rc;
    memcpy(id, m->id, sizeof id);
    size_t names = m->sums.names;
    manifest_free(m);
    CHECK_OK(store_read(store, id, "", MANIFEST_WHOLE, &kept, read, err), *err);
    CHECK_STR(read, told);
    CHECK_OK(store_check(store, &kept, "", NULL, NULL, err), *err);
    CHECK_OK(store_load(store, id, "", m, read, err), *err);
    CHECK_STR(read, told);
    CHECK_INT(kept.sums.names, names);
    CHECK_INT(m->entry_count, names);
    manifest_sum(m, &sums);
    CHECK_INT(sums.bytes, kept.sums.bytes);
    CHECK_INT(sums.outside, kept.sums.outside);
    return 0;
}

static inline void run(const char *const *argv)
{
    struct err err = { 0 };
    struct proc_result result = { 0 };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 60000 }, &result, &err),
             err);
    proc_result_free(&result);
}
