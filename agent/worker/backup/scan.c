#include "scan.h"
#include "anchor.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "files.h"
#include "place.h"
#include "xattrs.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
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
    bool trusts; /* a folder of the base that stands as it did is not listed */
    struct place place;
    struct anchor anchor;
    struct scan_texts texts;
    struct pool pool; /* of the paths in slots */
    struct str target;
};

int64_t scan_ns(struct timespec t)
{
    int64_t ns = 0;
    if (__builtin_mul_overflow((int64_t)t.tv_sec, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)t.tv_nsec, &ns))
        return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

static void find_user(struct str *name, uint32_t uid)
{
    char buffer[4096];
    struct passwd pw, *found = NULL;
    str_clear(name);
    if (getpwuid_r(uid, &pw, buffer, sizeof buffer, &found) == 0 && found)
        str_add(name, pw.pw_name);
}

static void find_group(struct str *name, uint32_t gid)
{
    char buffer[16384];
    struct group gr, *found = NULL;
    str_clear(name);
    if (getgrgid_r(gid, &gr, buffer, sizeof buffer, &found) == 0 && found)
        str_add(name, gr.gr_name);
}

/* Asked for the same few numbers again and again; the last answer is nearly always right. */
static const char *owner_name(struct scan_owner *owner, uint32_t id,
                              void (*find)(struct str *name, uint32_t id))
{
    if (!owner->known || owner->id != id)
        find(&owner->name, id);
    owner->known = true;
    owner->id = id;
    return str_text(&owner->name);
}

void scan_texts_free(struct scan_texts *texts)
{
    str_free(&texts->user.name);
    str_free(&texts->group.name);
    str_free(&texts->xattrs);
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

static void fill(struct scan_texts *texts, const struct stat *st, struct entry *entry)
{
    entry->type = type_of(st->st_mode);
    entry->mode = st->st_mode & 07777;
    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    entry->user = owner_name(&texts->user, st->st_uid, find_user);
    entry->group = owner_name(&texts->group, st->st_gid, find_group);
    entry->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    entry->mtime_ns = scan_ns(st->st_mtim);
    entry->ctime_ns = scan_ns(st->st_ctim);
    entry->ino = st->st_ino;
    entry->fresh = entry->ctime_ns / 1000000 > clock_wall_ms() - SCAN_FRESH_MS;
    entry->xattrs = "";
}

int scan_fill(struct scan_texts *texts, int dirfd, const char *name, const struct stat *st,
              struct entry *entry, struct err *err)
{
    fill(texts, st, entry);
    if (has_no_xattrs(dirfd, name))
        return 0;
    CLEANUP(free_mem) char *path = text_printf("/proc/self/fd/%d/%s", dirfd, name);
    str_clear(&texts->xattrs);
    int rc = xattrs_read(path, &texts->xattrs, err);
    if (rc != 0)
        return rc;
    if (texts->xattrs.len > MANIFEST_XATTRS_MAX)
        return err_set(err, FAIL_LIMIT, "%s has more than %u bytes of attributes", entry->path,
                       MANIFEST_XATTRS_MAX);
    entry->xattrs = str_text(&texts->xattrs);
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
        walk->slots[at] = (struct inode_slot){ ino, pool_text(&walk->pool, path) };
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
    str_clear(&walk->target);
    str_add_bytes(&walk->target, target, (size_t)len);
    entry->target = str_text(&walk->target);
    return 0;
}

static bool is_skipped(const struct walk *walk, const struct stat *st)
{
    for (size_t i = 0; i < walk->skip_count; i++)
        if (walk->skip[i].dev == st->st_dev && walk->skip[i].ino == st->st_ino)
            return true;
    return false;
}

/* ---- the base, which is in the order of the walk ---- */

/* What the base has is met, or nothing will meet it. */
static int base_pass(struct walk *walk, bool met, struct err *err)
{
    struct entry_cursor *base = walk->spec->base;
    const struct entry *old = entry_cursor_at(base);
    int rc = met || !walk->spec->missed || old->tree != walk->spec->tree
                 ? 0
                 : walk->spec->missed(walk->ctx, old, err);
    return rc == 0 ? entry_cursor_next(base, err) : rc;
}

/* Goes on until behind everything that comes before the path; NULL: to the end of the tree. */
static int base_find(struct walk *walk, const char *path, const struct entry **ret, struct err *err)
{
    struct entry_cursor *base = walk->spec->base;
    *ret = NULL;
    for (const struct entry *at; base && (at = entry_cursor_at(base)) != NULL;) {
        if (at->tree > walk->spec->tree)
            break;
        int order = at->tree < walk->spec->tree || !path ? -1
                                                         : manifest_path_compare(at->path, path);
        if (order == 0)
            *ret = at;
        if (order >= 0)
            break;
        int rc = base_pass(walk, false, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Below the folder that the walk's path begins with. */
static bool base_is_below(const struct walk *walk, size_t len)
{
    const struct entry *at = entry_cursor_at(walk->spec->base);
    if (!at || at->tree != walk->spec->tree)
        return false;
    return (len == 1 && walk->path.s[0] == '.') ||
           (strncmp(at->path, walk->path.s, len) == 0 && at->path[len] == '/');
}

static int walk_folder(struct walk *walk, int dirfd, const char *name, int depth, bool known,
                       struct err *err);

static int look(struct walk *walk, int dirfd, const char *name, const struct stat *st,
                struct entry *entry, struct err *err)
{
    *entry = (struct entry){ .tree = walk->spec->tree,
                             .path = str_text(&walk->path),
                             .pack = MANIFEST_NO_PACK,
                             .target = "",
                             .xattrs = "" };
    if (walk->path.len >= MANIFEST_PATH_MAX)
        return err_set(err, FAIL_LIMIT, "path longer than %u bytes below %s", MANIFEST_PATH_MAX,
                       walk->spec->root);
    int rc = scan_fill(&walk->texts, dirfd, name, st, entry, err);
    return rc == 0 && entry->type == ENTRY_LINK ? read_target(walk, dirfd, name, entry, err) : rc;
}

/* One name: its metadata, its visit, and what is in it. */
static int walk_name(struct walk *walk, int dirfd, const char *name, int depth, struct err *err)
{
    struct stat st;
    struct entry entry;
    const struct entry *old = NULL;
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
    int rc = look(walk, dirfd, name, &st, &entry, err);
    bool shared = rc == 0 && entry.type == ENTRY_FILE && st.st_nlink > 1;
    const char *first = shared ? inode_first(walk, st.st_ino, NULL, false) : NULL;
    if (first) {
        entry.type = ENTRY_HARD;
        entry.target = first;
        entry.size = 0;
    }
    bool folder = entry.type == ENTRY_DIR;
    if (rc == 0)
        rc = base_find(walk, entry.path, &old, err);
    if (rc == 0)
        rc = walk->visit(walk->ctx, dirfd, name, &entry, old, err);
    if (rc == 0 && shared && !first)
        (void)inode_first(walk, st.st_ino, entry.path, true);
    /* Whether it holds the same names as then. */
    bool known = rc == 0 && walk->trusts && old && !old->fresh && files_same(old, &entry);
    if (rc == 0 && old)
        rc = base_pass(walk, true, err);
    if (rc == 0 && folder)
        rc = walk_folder(walk, dirfd, name, depth + 1, known, err);
    return rc > 0 ? 0 : rc;
}

static int list_and_walk(struct walk *walk, int dirfd, const char *name, int depth, struct err *err)
{
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

/* ---- what stands as it did ---- */

/* Equal ctime, inode and all that stat tells: then its attributes and a link's target are the same,
 * too. A file of several names is left to who knows the others. */
static bool stands(struct walk *walk, const struct entry *old, struct entry *ret)
{
    struct stat st;
    const char *rest = NULL;
    if (old->fresh || old->changed || old->type == ENTRY_HARD)
        return false;
    int fd = anchor_find(&walk->anchor, old->path, &rest);
    if (fstatat(fd, rest, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        st.st_dev != walk->dev || is_skipped(walk, &st) ||
        (S_ISREG(st.st_mode) && st.st_nlink > 1))
        return false;
    *ret = (struct entry){ .tree = old->tree, .pack = MANIFEST_NO_PACK, .path = old->path };
    fill(&walk->texts, &st, ret);
    ret->target = old->target;
    ret->xattrs = old->xattrs;
    return files_same(old, ret);
}

/* Like any name that a list told, by the descriptor of its folder. */
static int walk_anew(struct walk *walk, const char *path, struct err *err)
{
    int dirfd = -1, depth = 1;
    const char *name = NULL;
    struct stat st;
    struct err why = { 0 };
    for (const char *c = path; *c; c++)
        depth += *c == '/';
    if (place_find(&walk->place, path, &dirfd, &name, &why) != 0) {
        bool gone = fstatat(walk->place.fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
                    (errno == ENOENT || errno == ENOTDIR);
        if (!gone && err)
            *err = why;
        return gone ? 0 : -why.code;
    }
    str_clear(&walk->path);
    str_add(&walk->path, path);
    return walk_name(walk, dirfd, name, depth, err);
}

/* The name that the base has next, and whatever it has below that. */
static int walk_changed(struct walk *walk, struct err *err)
{
    const struct entry *old = entry_cursor_at(walk->spec->base);
    CLEANUP(free_mem) char *path = text_dup(old->path);
    bool folder = old->type == ENTRY_DIR;
    int rc = walk_anew(walk, path, err);
    if (rc == 0 && (old = entry_cursor_at(walk->spec->base)) != NULL &&
        old->tree == walk->spec->tree && strcmp(old->path, path) == 0)
        rc = base_pass(walk, false, err);
    str_clear(&walk->path);
    str_add(&walk->path, path);
    while (rc == 0 && folder && base_is_below(walk, walk->path.len))
        rc = base_pass(walk, false, err);
    return rc;
}

/* The names that the base has below this folder, of which only those are looked into that differ. */
static int walk_base(struct walk *walk, struct err *err)
{
    size_t len = walk->path.len;
    bool root = len == 1 && walk->path.s[0] == '.';
    int rc = 0;
    while (rc == 0 && base_is_below(walk, len)) {
        const struct entry *old = entry_cursor_at(walk->spec->base);
        struct entry entry;
        if (stands(walk, old, &entry) &&
            (rc = walk->visit(walk->ctx, -1, NULL, &entry, old, err)) != SCAN_REACH)
            rc = rc < 0 ? rc : base_pass(walk, true, err);
        else
            rc = walk_changed(walk, err);
        /* It begins with the folder's path all the time, but for the root's. */
        walk->path.len = len;
        walk->path.s[len] = '\0';
        if (root)
            walk->path.s[0] = '.';
    }
    return rc;
}

static int walk_folder(struct walk *walk, int dirfd, const char *name, int depth, bool known,
                       struct err *err)
{
    if (depth > SCAN_DEPTH_MAX)
        return err_set(err, FAIL_LIMIT, "folders nested more than %d deep below %s", SCAN_DEPTH_MAX,
                       walk->spec->root);
    return known ? walk_base(walk, err) : list_and_walk(walk, dirfd, name, depth, err);
}

/* Local ones, where a folder's times are those of its names and no cache of a client stands between. */
static bool keeps_times(int root)
{
    static const unsigned long known[] = { 0xef53 /* ext2 to ext4 */, 0x58465342 /* XFS */,
                                           0x9123683e /* btrfs */, 0x01021994 /* tmpfs */ };
    struct statfs fs;
    if (fstatfs(root, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((unsigned long)fs.f_type == known[i])
            return true;
    return false;
}

int scan_tree(const struct scan_spec *spec, scan_fn *visit, void *ctx, struct err *err)
{
    struct walk walk = { .spec = spec, .visit = visit, .ctx = ctx };
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
    walk.trusts = spec->base && keeps_times(root);
    int rc = place_open(&walk.place, spec->root, err);
    if (rc != 0)
        return rc;
    walk.anchor.root = walk.place.fd;
    str_add(&walk.path, ".");
    walk.list = mem_zero(1, LIST_SIZE);
    rc = walk_name(&walk, root, ".", 0, err);
    const struct entry *none = NULL;
    if (rc == 0)
        rc = base_find(&walk, NULL, &none, err);
    anchor_free(&walk.anchor);
    place_close(&walk.place);
    free(walk.slots);
    free(walk.list);
    str_free(&walk.path);
    str_free(&walk.target);
    scan_texts_free(&walk.texts);
    pool_free(&walk.pool);
    return rc;
}
