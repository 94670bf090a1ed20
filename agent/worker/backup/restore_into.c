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
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* There from before the first file until after the last: what lies beside it is no whole backup. */
#define INCOMPLETE "confleet-restore.incomplete"

CLEANUP_OF(close_dir, DIR *, closedir)

static int refuse_full(const char *into, struct err *err)
{
    CLEANUP(free_mem) char *note = fs_join(into, INCOMPLETE);
    CLEANUP(str_free) struct str id = { 0 };
    struct err ignored = { 0 };
    if (fs_read(note, MANIFEST_ID_MAX, &id, &ignored) == 0)
        return err_set(err, FAIL_EXISTS,
                       "%s is not empty: an earlier restore of %s was cut off here; remove the "
                       "folder and restore again",
                       into, manifest_id_is_valid(str_text(&id)) ? str_text(&id) : "a backup");
    return err_set(err, FAIL_EXISTS, "%s is not empty: a restore goes into an empty folder", into);
}

static int check_empty(const char *into, struct err *err)
{
    if (into[0] != '/' || strstr(into, "/../") || strlen(into) < 2)
        return err_set(err, FAIL_USAGE, "'%s' is no absolute plain path to restore into", into);
    CLEANUP(close_dir) DIR *dir = opendir(into);
    if (!dir)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "open %s", into);
    for (const struct dirent *one; (one = readdir(dir)) != NULL;)
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0)
            return refuse_full(into, err);
    return 0;
}

/* Where into is or will be, links resolved: of what is not there yet, the folder that it will be
 * made in. Owned by the caller. */
static char *real_place(const char *into)
{
    CLEANUP(free_mem) char *path = text_dup(into);
    char real[PATH_MAX];
    while (!realpath(path, real)) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return text_dup("/");
        *slash = '\0';
    }
    return text_dup(real);
}

static bool is_within(const char *place, const char *folder)
{
    char real[PATH_MAX];
    if (!folder || !folder[0] || !realpath(folder, real) || strcmp(real, "/") == 0)
        return false;
    size_t len = strlen(real);
    return strncmp(place, real, len) == 0 && (place[len] == '/' || place[len] == '\0');
}

/* A drill must not put a second site into the first one, nor into what will be backed up. */
static int check_apart(const struct subject *s, const struct manifest *m, const char *into,
                       struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    CLEANUP(free_mem) char *place = real_place(into), *own = store_path(&s->store, m->id, "", NULL);
    const struct {
        const char *what, *folder;
    } taken[] = { { "the backup itself", own },
                  { "the backup folder", node->backup_dir },
                  { "the installation", node->install },
                  { "the installation", m->root[TREE_INSTALL] },
                  { "the site's home", node->home },
                  { "the site's home", m->root[TREE_HOME] } };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (is_within(place, taken[i].folder))
            return err_set(err, FAIL_DENIED,
                           "%s lies in %s, %s: restore into a folder outside of it", into,
                           taken[i].what, taken[i].folder);
    return 0;
}

static int check_room(const struct subject *s, const struct manifest *m, const char *into,
                      struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    struct room_place places[] = { { into, "the restored backup", m->dump.content, 16 },
                                   { s->store.dir, "the reserve for a way back",
                                     node->reserve_bytes, 1 } };
    if (m->sums.bytes > UINT64_MAX / 4)
        return err_set(err, FAIL_CORRUPT, "backup %s says it holds more than any disk", m->id);
    places[0].bytes += m->sums.bytes;
    places[0].files += m->sums.names;
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
        const struct frame *want = &m->dump.frames.item[i];
        rc = frames_expect(reader, want, i, &content, err);
        if (rc == 0)
            rc = fs_write_all(fd, content, want->content, err);
    }
    if (rc == 0)
        rc = fs_sync_fd(fd, to, err);
    return rc == 0 ? fs_close(&fd, to, err) : rc;
}

static int write_all(struct subject *s, const struct restore_from *from, const char *into,
                     struct err *err)
{
    CLEANUP(free_mem) char *note = fs_join(into, INCOMPLETE);
    const char *id = from->manifest->id;
    int rc = fs_write(note, id, strlen(id), 0600, err);
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
    if (rc == 0)
        rc = fs_sync_dir(into, err);
    return rc == 0 ? fs_unlink(note, err) : rc;
}

int restore_into(struct job *job, struct err *err)
{
    const Confleet__WorkerOrder *order = job_order(job);
    CLEANUP(manifest_free) struct manifest m;
    /* No installation is asked: a drill may run where there is none any more. */
    CLEANUP(subject_close) struct subject s = { .job = job, .store = { .lock = -1 }, .doing = "" };
    CLEANUP(str_free) struct str told = { 0 };
    struct proof proof = { 0 };
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    int rc = check_empty(order->into, err);
    if (rc == 0)
        rc = store_open(job_node(job)->backup_dir, job_node(job)->installation, &s.store, err);
    if (rc == 0)
        rc = store_read(&s.store, order->backup, "", MANIFEST_WHOLE, &m, sha256, err);
    if (rc == 0)
        rc = check_apart(&s, &m, order->into, err);
    if (rc == 0)
        rc = proof_read(&s.store, m.id, sha256, &proof, err);
    if (rc == 0)
        rc = restore_harmless(&m, proof.level >= CONFLEET__BACKUP_LEVEL__RE_READ, err);
    if (rc != 0)
        return rc;
    struct restore_from from = { &s.store, &m, "", subject_moved, &s, .strip = true };
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
    if ((rc = restore_stripped(&m, &told, err)) != 0)
        return rc;
    subject_doing(&s, "restoring", 0);
    if ((rc = write_all(&s, &from, order->into, err)) != 0)
        return err_wrap(err, "restore into %s was cut off: remove the folder before the next try",
                        order->into);
    str_add(&told, proof.note);
    (void)snprintf(proof.note, sizeof proof.note, "%s", str_text(&told));
    subject_record(&s, &m, sha256, &proof);
    return 0;
}
