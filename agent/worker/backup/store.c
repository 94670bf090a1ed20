#include "store.h"
#include "agent/core/memo.h"
#include "dump_check.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#define PROOF_MAX         4096
#define PART_NAME         "manifest.part"
#define STORE_THREADS_MAX 4

CLEANUP_OF(close_dir, DIR *, closedir)

static bool ends_with(const char *name, const char *ending)
{
    size_t len = strlen(name), tail = strlen(ending);
    return len > tail && strcmp(name + len - tail, ending) == 0;
}

/* What cannot be written any more (a disk that failed, a share that was lost) can be read all the
 * same, and the way back needs no more. Who wants to write there fails when he does. */
static int lock_store(const char *dir, int *ret_fd, struct err *err)
{
    CLEANUP(free_mem) char *lock = fs_join(dir, "lock");
    struct err why = { 0 };
    int rc = fs_lock(lock, ret_fd, err);
    if (rc == 0 || rc == -FAIL_BUSY || fs_is_dir(lock))
        return rc;
    int read = fs_lock_to_read(fs_exists(lock) ? lock : dir, ret_fd, &why);
    if (read != 0 && read != -FAIL_BUSY)
        return rc;
    err_clear(err);
    if (read != 0 && err)
        *err = why;
    return read;
}

/* In a folder that others can write to somebody could put one of theirs into its place, with a proof
 * and all. Where root is another one to the server of a mounted folder, both are that one's. */
static int check_owner(const char *backup_dir, const char *dir, struct err *err)
{
    struct stat above, st;
    if (stat(backup_dir, &above) != 0 || stat(dir, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look whom %s belongs to", dir);
    if (st.st_uid != geteuid() && st.st_uid != above.st_uid)
        return err_set(err, FAIL_DENIED,
                       "%s belongs to user id %lu, who can put backups of his there: nothing is "
                       "read from it or written to it",
                       dir, (unsigned long)st.st_uid);
    return 0;
}

int store_open(const char *backup_dir, const char *installation, struct store *ret, struct err *err)
{
    CLEANUP(store_close) struct store store = { .lock = -1 };
    if (backup_dir[0] != '/')
        return err_set(err, FAIL_USAGE, "backup folder '%s' is not an absolute path", backup_dir);
    if (installation[0] == '\0' || installation[0] == '.' || strchr(installation, '/'))
        return err_set(err, FAIL_USAGE, "'%s' is no id of an installation", installation);
    store.dir = fs_join(backup_dir, installation);
    int rc = fs_mkdirs(store.dir, 0700, err);
    if (rc == 0)
        rc = check_owner(backup_dir, store.dir, err);
    if (rc != 0)
        return err_wrap(err, "backup folder");
    if ((rc = lock_store(store.dir, &store.lock, err)) != 0)
        return err_wrap(err, rc == -FAIL_BUSY ? "backups of %s are in use" : "backups of %s",
                        installation);
    *ret = store;
    store = (struct store){ .lock = -1 };
    return 0;
}

void store_close(struct store *store)
{
    free(store->dir);
    close_fd(&store->lock);
    *store = (struct store){ .lock = -1 };
}

char *store_path(const struct store *store, const char *id, const char *ending, const char *file)
{
    return text_printf("%s/%s%s%s%s", store->dir, id, ending, file ? "/" : "", file ? file : "");
}

char *store_pack_path(const struct store *store, const struct manifest *manifest, uint32_t pack,
                      const char *ending)
{
    const struct manifest_pack *p = &manifest->packs[pack];
    return p->from[0] ? store_path(store, p->from, "", p->name)
                      : store_path(store, manifest->id, ending, p->name);
}

static int drop_partial(const struct store *store, const char *but_id, struct err *err)
{
    CLEANUP(close_dir) DIR *dir = opendir(store->dir);
    if (!dir)
        return err_sys(err, FAIL_IO, errno, "list %s", store->dir);
    for (const struct dirent *one; (one = readdir(dir)) != NULL;) {
        if (!ends_with(one->d_name, ".partial") ||
            (but_id && strncmp(one->d_name, but_id, strlen(but_id)) == 0))
            continue;
        CLEANUP(free_mem) char *path = fs_join(store->dir, one->d_name);
        int rc = fs_remove_tree(path, err);
        if (rc != 0)
            return err_wrap(err, "remove what an earlier backup left");
    }
    return 0;
}

int store_begin(struct store *store, struct manifest *manifest, struct err *err)
{
    char now[CLOCK_TEXT_MAX], hex[7];
    uint8_t bytes[3];
    int rc = drop_partial(store, NULL, err);
    if (rc != 0)
        return rc;
    random_bytes(bytes, sizeof bytes);
    hex_text(bytes, sizeof bytes, hex);
    manifest->started_ms = clock_wall_ms();
    (void)snprintf(manifest->id, sizeof manifest->id, "%.16s-%s",
                   clock_compact(manifest->started_ms, now), hex);
    CLEANUP(free_mem) char *path = store_path(store, manifest->id, ".partial", NULL);
    if (mkdir(path, 0700) != 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "make %s", path);
    return fs_sync_parent(path, err);
}

int store_note_part(const struct store *store, const struct manifest *manifest, const char *ending,
                    struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, manifest->id, ending, PART_NAME);
    return manifest_save(manifest, path, NULL, err);
}

/* Whether its own packs are there as they were noted, and it is of this installation. */
static bool part_is_usable(const struct store *store, const char *folder,
                           const struct manifest *manifest, struct manifest *part)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%s/" PART_NAME, store->dir, folder);
    struct err ignored = { 0 };
    struct stat st;
    if (manifest_open(path, MANIFEST_WHOLE, part, NULL, &ignored) != 0)
        return false;
    if (strncmp(folder, part->id, strlen(folder) - strlen(".partial")) != 0 ||
        strcmp(part->installation, manifest->installation) != 0 ||
        strcmp(part->kind, manifest->kind) != 0 || part->build != manifest->build)
        return false;
    for (uint32_t i = 0; i < part->pack_count; i++) {
        CLEANUP(free_mem) char *pack = store_pack_path(store, part, i, ".partial");
        if (lstat(pack, &st) != 0 || (uint64_t)st.st_size != part->packs[i].size)
            return false;
    }
    return true;
}

int store_go_on(struct store *store, struct manifest *manifest, struct manifest *ret_part,
                bool *ret_found, struct err *err)
{
    CLEANUP(close_dir) DIR *dir = opendir(store->dir);
    *ret_found = false;
    if (!dir)
        return err_sys(err, FAIL_IO, errno, "list %s", store->dir);
    for (const struct dirent *one; !*ret_found && (one = readdir(dir)) != NULL;) {
        CLEANUP(manifest_free) struct manifest part;
        manifest_init(&part);
        if (!ends_with(one->d_name, ".partial") ||
            !part_is_usable(store, one->d_name, manifest, &part))
            continue;
        *ret_part = part;
        manifest_init(&part);
        *ret_found = true;
    }
    if (!*ret_found)
        return 0;
    memcpy(manifest->id, ret_part->id, sizeof manifest->id);
    manifest->started_ms = ret_part->started_ms;
    return drop_partial(store, manifest->id, err);
}

int store_keep_told(struct store *store, const struct manifest *manifest, const char *from,
                    const char *to, char ret_sha256[HASH_HEX_MAX], struct err *err)
{
    CLEANUP(free_mem)
    char *path = store_path(store, manifest->id, from, to[0] ? "manifest.files" : "manifest");
    CLEANUP(free_mem) char *before = store_path(store, manifest->id, from, NULL);
    CLEANUP(free_mem) char *after = store_path(store, manifest->id, to, NULL);
    int rc = manifest_save(manifest, path, ret_sha256, err);
    if (rc == 0 && !to[0]) {
        CLEANUP(free_mem) char *half = store_path(store, manifest->id, from, "manifest.files");
        CLEANUP(free_mem) char *part = store_path(store, manifest->id, from, PART_NAME);
        rc = fs_unlink(half, err);
        if (rc == 0)
            rc = fs_unlink(part, err);
    }
    if (rc == 0)
        rc = fs_sync_dir(before, err);
    if (rc == 0)
        rc = fs_rename(before, after, err);
    return rc == 0 ? 0 : err_wrap(err, "keep backup %s", manifest->id);
}

int store_keep(struct store *store, const struct manifest *manifest, const char *from,
               const char *to, struct err *err)
{
    char sha256[HASH_HEX_MAX];
    return store_keep_told(store, manifest, from, to, sha256, err);
}

static int check_own(const struct store *store, const char *id, const char *path,
                     const struct manifest *manifest, struct err *err)
{
    if (strcmp(manifest->id, id) != 0)
        return err_set(err, FAIL_CORRUPT, "%s is the manifest of another backup, %s", path,
                       manifest->id);
    /* The folder has the installation's name; a backup that was put there from elsewhere is not
     * its. */
    const char *folder = strrchr(store->dir, '/') + 1;
    if (manifest->installation[0] && strcmp(manifest->installation, folder) != 0)
        return err_set(err, FAIL_CORRUPT, "%s is a backup of another installation, %s", path,
                       manifest->installation);
    return 0;
}

static int manifest_place(const struct store *store, const char *id, const char *ending,
                          char **ret_path, struct err *err)
{
    if (!manifest_id_is_valid(id))
        return err_set(err, FAIL_USAGE, "'%s' is no id of a backup", id);
    *ret_path = store_path(store, id, ending, ending[0] ? "manifest.files" : "manifest");
    return 0;
}

int store_read(const struct store *store, const char *id, const char *ending,
               enum manifest_how how, struct manifest *ret, char ret_sha256_or_null[HASH_HEX_MAX],
               struct err *err)
{
    CLEANUP(manifest_free) struct manifest manifest;
    CLEANUP(free_mem) char *path = NULL;
    char sha256[HASH_HEX_MAX];
    manifest_init(&manifest);
    int rc = manifest_place(store, id, ending, &path, err);
    if (rc != 0)
        return rc;
    if ((rc = manifest_open(path, how, &manifest, sha256, err)) != 0)
        return rc == -FAIL_CORRUPT ? rc : err_wrap(err, "backup %s", id);
    if ((rc = check_own(store, id, path, &manifest, err)) != 0)
        return rc;
    if (ret_sha256_or_null)
        memcpy(ret_sha256_or_null, sha256, sizeof sha256);
    *ret = manifest;
    manifest_init(&manifest);
    return 0;
}

int store_load(const struct store *store, const char *id, const char *ending, struct manifest *ret,
               char ret_sha256_or_null[HASH_HEX_MAX], struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(manifest_free) struct manifest manifest;
    CLEANUP(free_mem) char *path = NULL;
    char sha256[HASH_HEX_MAX];
    manifest_init(&manifest);
    int rc = manifest_place(store, id, ending, &path, err);
    if (rc != 0)
        return rc;
    if ((rc = fs_read(path, MANIFEST_SIZE_MAX, &text, err)) != 0)
        return err_wrap(err, "backup %s", id);
    hash_bytes_hex(text.s, text.len, sha256);
    if ((rc = manifest_parse(&text, path, &manifest, err)) != 0 ||
        (rc = check_own(store, id, path, &manifest, err)) != 0)
        return rc;
    if (ret_sha256_or_null)
        memcpy(ret_sha256_or_null, sha256, sizeof sha256);
    *ret = manifest;
    manifest_init(&manifest);
    return 0;
}

bool store_has(const struct store *store, const char *id, const char *ending)
{
    CLEANUP(free_mem)
    char *path = store_path(store, id, ending, ending[0] ? "manifest.files" : "manifest");
    return manifest_id_is_valid(id) && fs_exists(path);
}

int store_drop(const struct store *store, const char *id, const char *ending, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, id, ending, NULL);
    return fs_remove_tree(path, err);
}

static int check_elsewhere(const char *path, const struct manifest_pack *pack, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno,
                       "pack %s of backup %s", path, pack->from);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != pack->size)
        return err_set(err, FAIL_CORRUPT,
                       "%s is not the pack that it was: %lld bytes, %llu expected", path,
                       (long long)st.st_size, (unsigned long long)pack->size);
    return 0;
}

/* Whether a pack of another backup is what it was, whatever a manifest says of its members. */
static int read_elsewhere(const char *path, const struct manifest_pack *pack, struct err *err)
{
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    const uint8_t *content = NULL;
    uint8_t sha256[HASH_SIZE];
    struct frame frame;
    int rc = frames_reader_new(path, pack->size, true, &reader, err);
    if (rc != 0)
        return rc;
    while ((rc = frames_next(reader, &content, &frame, err)) > 0)
        ;
    if (rc != 0)
        return rc;
    frames_stored_sha256(reader, sha256);
    return memcmp(sha256, pack->sha256, HASH_SIZE) == 0
               ? 0
               : err_set(err, FAIL_CORRUPT, "%s: its digest differs from the manifest's", path);
}

/* Packs and dump are read back one by one, or by several threads, each taking the next. */
struct checking {
    const struct store *store;
    const struct manifest *manifest;
    const char *ending;
    bool bases; /* packs of other backups are read, and nothing else */
    const enum tree *tree; /* every pack of this tree is read, and nothing else; NULL: as above */
    pack_progress *progress;
    void *ctx;
    pthread_mutex_t lock; /* of all below, and of progress */
    uint32_t next, failed_at;
    int rc;
    struct err err; /* of the first part that failed, in their order */
};

static void checking_moved(void *arg, uint64_t bytes)
{
    struct checking *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    if (c->progress)
        c->progress(c->ctx, bytes);
    (void)pthread_mutex_unlock(&c->lock);
}

static int check_part(struct checking *c, uint32_t part, struct err *err)
{
    const struct manifest *m = c->manifest;
    if (part == m->pack_count)
        return m->has_dump && !c->bases && !c->tree
                   ? store_check_dump(c->store, m, c->ending, checking_moved, c, err)
                   : 0;
    const struct manifest_pack *pack = &m->packs[part];
    CLEANUP(free_mem) char *path = store_pack_path(c->store, m, part, c->ending);
    if (c->tree && pack->tree != *c->tree)
        return 0;
    if (c->tree && !pack->from[0]) {
        int rc = pack_check(path, m, part, checking_moved, c, err);
        if (rc != 0)
            proof_doubt(c->store, m->id);
        return rc;
    }
    if ((c->bases || c->tree) && pack->from[0]) {
        int rc = pack_check(path, m, part, checking_moved, c, err);
        struct err ignored = { 0 };
        /* A manifest that lies about a pack says nothing against the backup that holds it. */
        if (rc != 0 && read_elsewhere(path, pack, &ignored) != 0)
            proof_doubt(c->store, pack->from);
        return rc;
    }
    if (c->bases)
        return 0;
    return pack->from[0] ? check_elsewhere(path, pack, err)
                         : pack_check(path, m, part, checking_moved, c, err);
}

static void *check_run(void *arg)
{
    struct checking *c = arg;
    for (;;) {
        struct err why = { 0 };
        (void)pthread_mutex_lock(&c->lock);
        uint32_t part = c->rc == 0 ? c->next++ : UINT32_MAX;
        (void)pthread_mutex_unlock(&c->lock);
        if (part > c->manifest->pack_count)
            return NULL;
        int rc = check_part(c, part, &why);
        (void)pthread_mutex_lock(&c->lock);
        if (rc != 0 && (c->rc == 0 || part < c->failed_at)) {
            c->rc = rc;
            c->err = why;
            c->failed_at = part;
        }
        (void)pthread_mutex_unlock(&c->lock);
    }
}

static int check_all(struct checking *c, struct err *err)
{
    pthread_t threads[STORE_THREADS_MAX];
    unsigned started = 0;
    (void)pthread_mutex_init(&c->lock, NULL);
    for (unsigned i = 0; i + 1 < c->store->threads && i < STORE_THREADS_MAX; i++)
        if (pthread_create(&threads[started], NULL, check_run, c) == 0)
            started++;
    (void)check_run(c);
    while (started > 0)
        (void)pthread_join(threads[--started], NULL);
    (void)pthread_mutex_destroy(&c->lock);
    if (c->rc != 0 && err)
        *err = c->err;
    return c->rc;
}

int store_check(const struct store *store, const struct manifest *manifest, const char *ending,
                pack_progress *progress, void *ctx, struct err *err)
{
    struct checking c = {
        .store = store, .manifest = manifest, .ending = ending, .progress = progress, .ctx = ctx
    };
    return check_all(&c, err);
}

int store_check_bases(const struct store *store, const struct manifest *manifest,
                      pack_progress *progress, void *ctx, struct err *err)
{
    struct checking c = { .store = store,
                          .manifest = manifest,
                          .ending = "",
                          .bases = true,
                          .progress = progress,
                          .ctx = ctx };
    return check_all(&c, err);
}

int store_check_tree(const struct store *store, const struct manifest *manifest, enum tree tree,
                     const char *ending, pack_progress *progress, void *ctx, struct err *err)
{
    struct checking c = { .store = store,
                          .manifest = manifest,
                          .ending = ending,
                          .tree = &tree,
                          .progress = progress,
                          .ctx = ctx };
    return check_all(&c, err);
}

int store_check_dump(const struct store *store, const struct manifest *manifest, const char *ending,
                     pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, manifest->id, ending, manifest->dump.name);
    return dump_check(path, &manifest->dump, store->threads, progress, ctx, err);
}

uint64_t store_bytes(const struct manifest *manifest)
{
    uint64_t bytes = manifest->has_dump ? manifest->dump.size : 0;
    for (size_t i = 0; i < manifest->pack_count; i++)
        if (!manifest->packs[i].from[0])
            bytes += manifest->packs[i].size;
    return bytes;
}

static const char *const level_names[] = { "none", "complete", "re-read", "restored", "started" };

int proof_write(const struct store *store, const char *id, const char *ending,
                const char *manifest_sha256, const struct proof *proof, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, id, ending, "proof");
    CLEANUP(str_free) struct str text = { 0 };
    char now[CLOCK_TEXT_MAX];
    str_addf(&text, "confleet-proof 1\nmanifest %s\nlevel %s\nat %s\nnote %s\n", manifest_sha256,
             level_names[(unsigned)proof->level % 5], clock_text(clock_wall_ms(), now),
             proof->note);
    return fs_write(path, text.s, text.len, 0600, err);
}

void proof_doubt(const struct store *store, const char *id)
{
    CLEANUP(free_mem) char *path = store_path(store, id, "", "proof");
    CLEANUP(free_mem) char *untold = store_path(store, id, "", BACKUP_UNTOLD);
    struct err ignored = { 0 };
    if (fs_exists(path) && fs_write(untold, "", 0, 0600, &ignored) != 0)
        err_clear(&ignored); /* then the controller goes on believing it until it is verified */
    if (fs_unlink(path, &ignored) != 0)
        err_clear(&ignored); /* the next one who relies on it finds the same damage */
}

int proof_read(const struct store *store, const char *id, const char *manifest_sha256,
               struct proof *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = store_path(store, id, "", "proof");
    CLEANUP(str_free) struct str text = { 0 };
    char sha256[HASH_HEX_MAX], level[16], at[CLOCK_TEXT_MAX];
    int end = 0;
    *ret = (struct proof){ .level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE };
    if (!fs_exists(path))
        return 0;
    int rc = fs_read(path, PROOF_MAX, &text, err);
    if (rc != 0)
        return rc;
    if (sscanf(str_text(&text), "confleet-proof 1\nmanifest %64s\nlevel %15s\nat %31s\nnote %n",
               sha256, level, at, &end) != 3 ||
        end == 0)
        return err_set(err, FAIL_CORRUPT, "%s is no proof of a backup", path);
    for (unsigned i = 0; i < 5 && strcmp(sha256, manifest_sha256) == 0; i++)
        if (strcmp(level, level_names[i]) == 0)
            ret->level = (Confleet__BackupLevel)i;
    (void)snprintf(ret->note, sizeof ret->note, "%.*s", (int)strcspn(text.s + end, "\n"),
                   text.s + end);
    return 0;
}
