#include "restore_into.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "restore_files.h"
#include "room.h"
#include "subject.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

CLEANUP_OF(close_dir, DIR *, closedir)

static int check_empty(const char *into, struct err *err)
{
    if (into[0] != '/' || strstr(into, "/../") || strlen(into) < 2)
        return err_set(err, FAIL_USAGE, "'%s' is no absolute plain path to restore into", into);
    CLEANUP(close_dir) DIR *dir = opendir(into);
    if (!dir)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "open %s", into);
    for (const struct dirent *one; (one = readdir(dir)) != NULL;)
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0)
            return err_set(err, FAIL_EXISTS, "%s is not empty: a restore goes into an empty folder",
                           into);
    return 0;
}

static int check_room(const struct subject *s, const struct manifest *m, const char *into,
                      struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    struct room_place places[] = { { into, "the restored backup", m->dump.content, 16 },
                                   { s->store.dir, "the reserve for a way back",
                                     node->reserve_bytes, 1 } };
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].size > UINT64_MAX / 2 - places[0].bytes)
            return err_set(err, FAIL_CORRUPT, "backup %s says it holds more than any disk", m->id);
        places[0].bytes += m->entries[i].size;
    }
    places[0].files += m->entry_count;
    return room_check(places, node->reserve_bytes ? 2 : 1,
                      "make room there, or restore into a folder of another file system", err);
}

static int write_dump(struct subject *s, const struct manifest *m, const char *into,
                      struct err *err)
{
    CLEANUP(free_mem)
    char *from = store_path(&s->store, m->id, "", m->dump.name),
         *to = fs_join(into, "database.dump");
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    int rc = frames_reader_new(from, m->dump.size, false, &reader, err);
    if (rc != 0)
        return rc;
    CLEANUP(close_fd) int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "create %s", to);
    for (size_t i = 0; rc == 0 && i < m->dump.frames.count; i++) {
        const uint8_t *content = NULL;
        uint8_t sha256[HASH_SIZE];
        struct frame frame;
        int got = frames_next(reader, &content, &frame, err);
        if (got < 0)
            return got;
        if (got > 0)
            hash_bytes(content, frame.content, sha256);
        if (got == 0 || memcmp(sha256, m->dump.frames.item[i].sha256, HASH_SIZE) != 0)
            return err_set(err, FAIL_CORRUPT,
                           "%s: frame %zu: its digest differs from the manifest's", from, i);
        rc = fs_write_all(fd, content, frame.content, err);
    }
    if (rc == 0)
        rc = fs_sync_fd(fd, to, err);
    return rc == 0 ? fs_close(&fd, to, err) : rc;
}

static int write_all(struct subject *s, const struct restore_from *from, const char *into,
                     struct err *err)
{
    int rc = 0;
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++) {
        CLEANUP(free_mem) char *root = fs_join(into, tree_name(tree));
        struct restore_counts counts = { 0 };
        rc = fs_mkdirs(root, 0700, err);
        if (rc == 0)
            rc = restore_tree(from, tree, root, &counts, err);
        if (rc == 0)
            job_log(s->job, 6, "%s: %" PRIu64 " files restored", root, counts.written);
    }
    if (rc == 0 && from->manifest->has_dump)
        rc = write_dump(s, from->manifest, into, err);
    return rc == 0 ? fs_sync_dir(into, err) : rc;
}

int restore_into(struct job *job, struct err *err)
{
    const Confleet__WorkerOrder *order = job_order(job);
    CLEANUP(manifest_free) struct manifest m;
    /* No installation is asked: a drill may run where there is none any more. */
    CLEANUP(subject_close) struct subject s = { .job = job, .store = { .lock = -1 }, .doing = "" };
    struct proof proof = { 0 };
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    int rc = check_empty(order->into, err);
    if (rc == 0)
        rc = store_open(job_node(job)->backup_dir, job_node(job)->installation, &s.store, err);
    if (rc == 0)
        rc = store_load(&s.store, order->backup, "", &m, sha256, err);
    if (rc == 0)
        rc = restore_harmless(&m, err);
    if (rc != 0)
        return rc;
    struct restore_from from = { &s.store, &m, "", subject_moved, &s };
    /* A drill may be held beside a site that serves users. */
    s.serving = true;
    s.store.threads = subject_threads(&s, false);
    subject_doing(&s, "reading the backup", store_bytes(&m));
    if ((rc = check_room(&s, &m, order->into, err)) == 0)
        rc = store_check(&s.store, &m, "", subject_moved, &s, err);
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++)
        rc = restore_readable(&from, tree, err);
    if (rc == 0)
        rc = fs_mkdirs(order->into, 0700, err);
    if (rc != 0)
        return err_wrap(err, "nothing was restored");
    subject_doing(&s, "restoring", 0);
    if ((rc = write_all(&s, &from, order->into, err)) != 0)
        return err_wrap(err, "restore into %s", order->into);
    rc = proof_read(&s.store, m.id, sha256, &proof, err);
    if (rc == 0)
        subject_record(&s, &m, sha256, &proof);
    return rc;
}
