#include "scan.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "xattrs.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#define NS_PER_S 1000000000LL
#define SKIP_MAX 8

struct inode_slot {
    uint64_t ino;
    const char *path;
};
struct walk {
    const struct scan_spec *spec;
    struct manifest *manifest;
    scan_fn *visit;
    void *ctx;
    dev_t dev;
    struct {
        dev_t dev;
        ino_t ino;
    } skip[SKIP_MAX];
    size_t skip_count;
    struct inode_slot *slots; /* names that share an inode, by open addressing */
    size_t slot_count, slot_size;
    struct str path;
};

static int64_t to_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Asked for the same few numbers again and again; the last answer is nearly always right. */
static const char *user_name(struct manifest *manifest, uint32_t uid)
{
    char buffer[4096];
    struct passwd pw, *found = NULL;
    const struct entry *last =
        manifest->entry_count ? &manifest->entries[manifest->entry_count - 1] : NULL;
    if (last && last->uid == uid)
        return last->user;
    return getpwuid_r(uid, &pw, buffer, sizeof buffer, &found) == 0 && found
               ? manifest_text(manifest, pw.pw_name)
               : "";
}

static const char *group_name(struct manifest *manifest, uint32_t gid)
{
    char buffer[16384];
    struct group gr, *found = NULL;
    const struct entry *last =
        manifest->entry_count ? &manifest->entries[manifest->entry_count - 1] : NULL;
    if (last && last->gid == gid)
        return last->group;
    return getgrgid_r(gid, &gr, buffer, sizeof buffer, &found) == 0 && found
               ? manifest_text(manifest, gr.gr_name)
               : "";
}

static enum entry_type type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return ENTRY_FILE;
    case S_IFDIR:
        return ENTRY_DIR;
    case S_IFLNK:
        return ENTRY_LINK;
    case S_IFIFO:
        return ENTRY_FIFO;
    case S_IFSOCK:
        return ENTRY_SOCKET;
    default:
        return ENTRY_DEVICE;
    }
}

int scan_fill(struct manifest *manifest, int dirfd, const char *name, const struct stat *st,
              struct entry *entry, struct err *err)
{
    CLEANUP(free_mem) char *path = text_printf("/proc/self/fd/%d/%s", dirfd, name);
    CLEANUP(str_free) struct str xattrs = { 0 };
    entry->type = type_of(st->st_mode);
    entry->mode = st->st_mode & 07777;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->user = user_name(manifest, st->st_uid);
    entry->group = group_name(manifest, st->st_gid);
    entry->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    entry->mtime_ns = to_ns(st->st_mtim);
    entry->ctime_ns = to_ns(st->st_ctim);
    entry->ino = st->st_ino;
    entry->fresh = entry->ctime_ns / 1000000 > clock_wall_ms() - SCAN_FRESH_MS;
    int rc = xattrs_read(path, &xattrs, err);
    if (rc != 0)
        return rc;
    if (xattrs.len > MANIFEST_XATTRS_MAX)
        return err_set(err, FAIL_LIMIT, "%s has more than %u bytes of attributes", entry->path,
                       MANIFEST_XATTRS_MAX);
    entry->xattrs = manifest_text(manifest, str_text(&xattrs));
    return 0;
}

/* The path that was seen first with this inode, or NULL after taking path as the first one. */
static const char *inode_first(struct walk *walk, uint64_t ino, const char *path, bool add)
{
    if (add && walk->slot_count * 2 >= walk->slot_size) {
        size_t old_size = walk->slot_size;
        struct inode_slot *old = walk->slots;
        walk->slot_size = old_size ? old_size * 2 : 256;
        walk->slots = mem_zero(walk->slot_size, sizeof *walk->slots);
        for (size_t i = 0; i < old_size; i++) {
            size_t at = old[i].ino * 0x9e3779b97f4a7c15u % walk->slot_size;
            while (old[i].path && walk->slots[at].path)
                at = (at + 1) % walk->slot_size;
            if (old[i].path)
                walk->slots[at] = old[i];
        }
        free(old);
    }
    if (walk->slot_size == 0)
        return NULL;
    size_t at = ino * 0x9e3779b97f4a7c15u % walk->slot_size;
    for (; walk->slots[at].path; at = (at + 1) % walk->slot_size)
        if (walk->slots[at].ino == ino)
            return walk->slots[at].path;
    if (add) {
        walk->slots[at] = (struct inode_slot){ ino, path };
        walk->slot_count++;
    }
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return manifest_path_compare(*(char *const *)a, *(char *const *)b);
}

struct names {
    char **item;
    size_t count;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->item[i]);
    free(names->item);
    *names = (struct names){ 0 };
}

CLEANUP_OF(close_dir, DIR *, closedir)

/* Takes fd. */
static int list_folder(int fd, const char *path, struct names *names, struct err *err)
{
    size_t cap = 0;
    CLEANUP(close_dir) DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return err_sys(err, FAIL_IO, errno, "list %s", path);
    }
    for (;;) {
        errno = 0;
        const struct dirent *one = readdir(dir);
        if (!one && errno != 0)
            return err_sys(err, FAIL_IO, errno, "list %s", path);
        if (!one)
            break;
        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0)
            continue;
        if (names->count == cap) {
            cap = cap ? cap * 2 : 32;
            names->item = mem_grow(names->item, cap, sizeof *names->item);
        }
        names->item[names->count++] = text_dup(one->d_name);
    }
    if (names->count > 1)
        qsort(names->item, names->count, sizeof *names->item, compare_names);
    return 0;
}

static int read_target(struct walk *walk, int dirfd, const char *name, struct entry *entry,
                       struct err *err)
{
    char target[MANIFEST_PATH_MAX];
    ssize_t len = readlinkat(dirfd, name, target, sizeof target - 1);
    if (len < 0 && errno == ENOENT)
        return 1;
    if (len < 0)
        return err_sys(err, FAIL_IO, errno, "read link %s", entry->path);
    entry->target = len == 0 ? "" : pool_bytes(&walk->manifest->pool, target, (size_t)len);
    return 0;
}

static bool is_skipped(const struct walk *walk, const struct stat *st)
{
    for (size_t i = 0; i < walk->skip_count; i++)
        if (walk->skip[i].dev == st->st_dev && walk->skip[i].ino == st->st_ino)
            return true;
    return false;
}

static int walk_folder(struct walk *walk, int dirfd, const char *name, int depth, struct err *err);

/* One name: its metadata, its visit, and what is in it. */
static int walk_name(struct walk *walk, int dirfd, const char *name, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "stat %s", str_text(&walk->path));
    if (is_skipped(walk, &st))
        return 0;
    if (st.st_dev != walk->dev)
        return err_set(
            err, FAIL_UNSUPPORTED,
            "%s/%s is another file system: what is on it can be neither captured nor put back; "
            "a tree that spans file systems is not supported yet",
            walk->spec->root, str_text(&walk->path));
    if (walk->path.len >= MANIFEST_PATH_MAX)
        return err_set(err, FAIL_LIMIT, "path longer than %u bytes below %s", MANIFEST_PATH_MAX,
                       walk->spec->root);
    struct entry entry = {
        .tree = walk->spec->tree, .pack = MANIFEST_NO_PACK, .target = "", .xattrs = ""
    };
    entry.path = manifest_text(walk->manifest, str_text(&walk->path));
    int rc = scan_fill(walk->manifest, dirfd, name, &st, &entry, err);
    if (rc == 0 && entry.type == ENTRY_LINK)
        rc = read_target(walk, dirfd, name, &entry, err);
    bool shared = entry.type == ENTRY_FILE && st.st_nlink > 1;
    const char *first = shared ? inode_first(walk, st.st_ino, NULL, false) : NULL;
    if (first) {
        entry.type = ENTRY_HARD;
        entry.target = first;
        entry.size = 0;
    }
    bool folder = entry.type == ENTRY_DIR;
    if (rc == 0)
        rc = walk->visit(walk->ctx, dirfd, name, &entry, err);
    if (rc == 0 && shared && !first)
        (void)inode_first(walk, st.st_ino, entry.path, true);
    if (rc == 0 && folder)
        rc = walk_folder(walk, dirfd, name, depth + 1, err);
    return rc > 0 ? 0 : rc;
}

static int walk_folder(struct walk *walk, int dirfd, const char *name, int depth, struct err *err)
{
    if (depth > SCAN_DEPTH_MAX)
        return err_set(err, FAIL_LIMIT, "folders nested more than %d deep below %s", SCAN_DEPTH_MAX,
                       walk->spec->root);
    CLEANUP(names_free) struct names names = { 0 };
    CLEANUP(close_fd) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open folder %s/%s", walk->spec->root,
                       str_text(&walk->path));
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return err_sys(err, FAIL_IO, errno, "open folder %s/%s", walk->spec->root,
                       str_text(&walk->path));
    int rc = list_folder(copy, str_text(&walk->path), &names, err);
    size_t len = walk->path.len;
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        if (depth > 1)
            str_add(&walk->path, "/");
        else
            str_clear(&walk->path);
        str_add(&walk->path, names.item[i]);
        rc = walk_name(walk, fd, names.item[i], depth, err);
        walk->path.len = len;
        walk->path.s[len] = '\0';
    }
    return rc;
}

int scan_tree(const struct scan_spec *spec, struct manifest *manifest, scan_fn *visit, void *ctx,
              struct err *err)
{
    struct walk walk = { .spec = spec, .manifest = manifest, .visit = visit, .ctx = ctx };
    CLEANUP(close_fd) int root = open(spec->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (root < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s",
                       spec->root);
    if (fstat(root, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "stat %s", spec->root);
    walk.dev = st.st_dev;
    for (size_t i = 0; spec->skip && spec->skip[i]; i++) {
        assert(walk.skip_count < SKIP_MAX);
        if (stat(spec->skip[i], &st) != 0)
            continue;
        walk.skip[walk.skip_count].dev = st.st_dev;
        walk.skip[walk.skip_count++].ino = st.st_ino;
    }
    str_add(&walk.path, ".");
    int rc = walk_name(&walk, root, ".", 0, err);
    free(walk.slots);
    str_free(&walk.path);
    return rc;
}
