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
#include <sys/syscall.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define SKIP_MAX 8
/* The same number on every architecture that Debian has; Debian 12's headers do not know its name. */
#define CALL_LISTXATTRAT 465
#define LIST_SIZE        (64u * 1024)

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
    char *list; /* one reading of a folder */
};

int64_t scan_ns(struct timespec t)
{
    int64_t ns = 0;
    if (__builtin_mul_overflow((int64_t)t.tv_sec, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)t.tv_nsec, &ns))
        return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
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

/* Nearly all names have no attributes. A path through /proc costs more than all else that is asked
 * about a name; where the kernel has the call that needs none (Linux 6.13), it is spared. */
static bool has_no_xattrs(int dirfd, const char *name)
{
    return syscall(CALL_LISTXATTRAT, dirfd, name, AT_SYMLINK_NOFOLLOW, NULL, (size_t)0) == 0;
}

int scan_fill(struct manifest *manifest, int dirfd, const char *name, const struct stat *st,
              struct entry *entry, struct err *err)
{
    entry->type = type_of(st->st_mode);
    entry->mode = st->st_mode & 07777;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->user = user_name(manifest, st->st_uid);
    entry->group = group_name(manifest, st->st_gid);
    entry->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    entry->mtime_ns = scan_ns(st->st_mtim);
    entry->ctime_ns = scan_ns(st->st_ctim);
    entry->ino = st->st_ino;
    entry->fresh = entry->ctime_ns / 1000000 > clock_wall_ms() - SCAN_FRESH_MS;
    entry->xattrs = "";
    if (has_no_xattrs(dirfd, name))
        return 0;
    CLEANUP(free_mem) char *path = text_printf("/proc/self/fd/%d/%s", dirfd, name);
    CLEANUP(str_free) struct str xattrs = { 0 };
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

/* What is in a folder: texts one after the other, each with its NUL. */
struct names {
    struct str text;
    size_t *at;
    size_t count, cap;
};

static void names_free(struct names *names)
{
    str_free(&names->text);
    free(names->at);
    *names = (struct names){ .count = 0 };
}

static void names_add(struct names *names, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 32;
        names->at = mem_grow(names->at, names->cap, sizeof *names->at);
    }
    names->at[names->count++] = names->text.len;
    str_add_bytes(&names->text, name, strlen(name) + 1);
}

/* Without slashes the manifest's order is that of the bytes. */
static int compare_names(const void *a, const void *b, void *text)
{
    return strcmp((const char *)text + *(const size_t *)a, (const char *)text + *(const size_t *)b);
}

/* fd is at its beginning. */
static int list_folder(struct walk *walk, int fd, struct names *names, struct err *err)
{
    for (;;) {
        ssize_t got = getdents64(fd, walk->list, LIST_SIZE);
        if (got < 0 && errno == ENOENT) /* the folder went while it was open */
            break;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "list %s", str_text(&walk->path));
        if (got == 0)
            break;
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *one = (const void *)(walk->list + at);
            names_add(names, one->d_name);
            at += one->d_reclen;
        }
    }
    if (names->count > 1)
        qsort_r(names->at, names->count, sizeof *names->at, compare_names, names->text.s);
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
    int rc = list_folder(walk, fd, &names, err);
    size_t len = walk->path.len;
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        if (depth > 1)
            str_add(&walk->path, "/");
        else
            str_clear(&walk->path);
        const char *one = names.text.s + names.at[i];
        str_add(&walk->path, one);
        rc = walk_name(walk, fd, one, depth, err);
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
    walk.list = mem_zero(1, LIST_SIZE);
    int rc = walk_name(&walk, root, ".", 0, err);
    free(walk.slots);
    free(walk.list);
    str_free(&walk.path);
    return rc;
}
