#include "restore_files.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "place.h"
#include "scan.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE (1024u * 1024)

struct restore {
    const struct restore_from *from;
    const struct manifest *want;
    enum tree tree;
    struct manifest now; /* what stands there */
    struct place place;
    size_t first, end;            /* entries of this tree in want */
    const struct entry **content; /* files whose content must come from a pack */
    size_t content_count;
    bool *
        names_changed; /* of want: folders in which this restore made, replaced or removed a name */
    struct restore_counts counts;
};

static int note_entry(void *ctx, int dirfd, const char *name, struct entry *entry, struct err *err)
{
    (void)dirfd, (void)name, (void)err;
    (void)manifest_add_entry(ctx, entry);
    return 0;
}

static bool is_made(const struct entry *entry)
{
    return entry->type != ENTRY_SOCKET && entry->type != ENTRY_DEVICE;
}

/* Whether what stands there may stay: of the right kind, and for a file not bound to another name
 * that it must be independent of. */
static bool may_stay(const struct entry *want, const struct entry *now)
{
    if (want->type != now->type)
        return false;
    return want->type != ENTRY_LINK || strcmp(want->target, now->target) == 0;
}

static void note_name(struct restore *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(free_mem)
    char *folder = text_printf("%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    const struct entry *want = manifest_find(r->want, r->tree, folder);
    if (want)
        r->names_changed[want - r->want->entries] = true;
}

/* Backwards, so that a folder is empty when its turn comes. A regular file is replaced by rename,
 * never missing in between. */
static int remove_others(struct restore *r, struct err *err)
{
    for (size_t i = r->now.entry_count; i-- > 0;) {
        const struct entry *now = &r->now.entries[i];
        const struct entry *want = manifest_find(r->want, r->tree, now->path);
        int dirfd = -1;
        const char *name = NULL;
        bool regular = now->type == ENTRY_FILE || now->type == ENTRY_HARD;
        if (want && (may_stay(want, now) ||
                     (regular && (want->type == ENTRY_FILE || want->type == ENTRY_HARD))))
            continue;
        int rc = place_find(&r->place, now->path, &dirfd, &name, err);
        if (rc != 0)
            return rc;
        if (unlinkat(dirfd, name, now->type == ENTRY_DIR ? AT_REMOVEDIR : 0) != 0 &&
            errno != ENOENT)
            return err_sys(err, FAIL_IO, errno, "remove %s/%s", r->place.root, now->path);
        if (now->type == ENTRY_DIR)
            place_forget(&r->place);
        note_name(r, now->path);
        r->counts.removed++;
    }
    return 0;
}

static int make_folders(struct restore *r, struct err *err)
{
    for (size_t i = r->first; i < r->end; i++) {
        const struct entry *want = &r->want->entries[i];
        int dirfd = -1;
        const char *name = NULL;
        if (want->type != ENTRY_DIR || strcmp(want->path, ".") == 0)
            continue;
        const struct entry *now = manifest_find(&r->now, r->tree, want->path);
        if (now && now->type == ENTRY_DIR)
            continue;
        note_name(r, want->path);
        int rc = place_find(&r->place, want->path, &dirfd, &name, err);
        if (rc != 0)
            return rc;
        if (mkdirat(dirfd, name, 0700) != 0 && errno != EEXIST)
            return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "make folder %s/%s",
                           r->place.root, want->path);
    }
    return 0;
}

/* Equal size is known. Whether the bytes are, too. */
static int same_content(struct restore *r, const struct entry *want, bool *ret_same,
                        struct err *err)
{
    CLEANUP(free_mem) uint8_t *buffer = mem_zero(1, READ_SIZE);
    CLEANUP(hash_free) struct hash *hash = hash_new();
    uint8_t sha256[HASH_SIZE];
    int dirfd = -1;
    const char *name = NULL;
    int rc = place_find(&r->place, want->path, &dirfd, &name, err);
    if (rc != 0)
        return rc;
    CLEANUP(close_fd) int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *ret_same = false;
    if (fd < 0)
        return 0;
    for (;;) {
        ssize_t got = read(fd, buffer, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return 0; /* unreadable is different: it will be written anew */
        if (got == 0)
            break;
        hash_add(hash, buffer, (size_t)got);
    }
    hash_end(hash, sha256);
    *ret_same = memcmp(sha256, want->sha256, HASH_SIZE) == 0;
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    if (x->pack != y->pack)
        return x->pack < y->pack ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->skip < y->skip ? -1 : x->skip > y->skip;
}

static int choose_content(struct restore *r, struct err *err)
{
    r->content = mem_zero(r->end - r->first + 1, sizeof *r->content);
    for (size_t i = r->first; i < r->end; i++) {
        const struct entry *want = &r->want->entries[i];
        const struct entry *now = manifest_find(&r->now, r->tree, want->path);
        bool same = false;
        if (want->type != ENTRY_FILE)
            continue;
        if (now && now->type == ENTRY_FILE && now->size == want->size) {
            same = now->mtime_ns == want->mtime_ns && now->ctime_ns == want->ctime_ns &&
                   now->ino == want->ino;
            int rc = same ? 0 : same_content(r, want, &same, err);
            if (rc != 0)
                return rc;
        }
        if (!same)
            r->content[r->content_count++] = want;
    }
    if (r->content_count > 1)
        qsort(r->content, r->content_count, sizeof *r->content, compare_places);
    return 0;
}

/* Zeros at the end of a part are left out: what was sparse stays so, and the file gets its length
 * at the end. */
struct writing {
    int fd;
    uint64_t at;
};

static int write_part(void *ctx, const void *bytes, size_t len, struct err *err)
{
    struct writing *w = ctx;
    static const char zeros[4096];
    const char *from = bytes;
    while (len > 0) {
        size_t part = len < sizeof zeros ? len : sizeof zeros;
        bool hole = part == sizeof zeros && memcmp(from, zeros, part) == 0;
        for (size_t done = 0; !hole && done < part;) {
            ssize_t put = pwrite(w->fd, from + done, part - done, (off_t)(w->at + done));
            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                return err_sys(err, put < 0 && errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno,
                               "write");
            done += (size_t)put;
        }
        from += part;
        len -= part;
        w->at += part;
    }
    return 0;
}

static int write_file(struct restore *r, struct pack_reader *reader, const struct entry *want,
                      struct err *err)
{
    int dirfd = -1;
    const char *name = NULL;
    int rc = place_find(&r->place, want->path, &dirfd, &name, err);
    if (rc != 0)
        return rc;
    (void)unlinkat(dirfd, PLACE_TEMP, 0);
    CLEANUP(close_fd)
    int fd = openat(dirfd, PLACE_TEMP, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno,
                       "create a file beside %s/%s", r->place.root, want->path);
    struct writing writing = { .fd = fd };
    rc = pack_read(reader, want, write_part, &writing, err);
    if (rc == 0 && ftruncate(fd, (off_t)want->size) != 0)
        rc = err_sys(err, FAIL_IO, errno, "set the length");
    if (rc == 0)
        rc = place_apply(&r->place, dirfd, PLACE_TEMP, want, err);
    /* Synced with all others at the end, of which this is one reading: after a power cut the tree
     * is compared anew, and a file that lost its bytes is not the one that was scanned. */
    if (rc == 0)
        rc = fs_close(&fd, want->path, err);
    if (rc == 0 && renameat(dirfd, PLACE_TEMP, dirfd, name) != 0)
        rc = err_sys(err, FAIL_IO, errno, "rename");
    if (rc != 0) {
        (void)unlinkat(dirfd, PLACE_TEMP, 0);
        return err_wrap(err, "restore %s/%s", r->place.root, want->path);
    }
    note_name(r, want->path);
    r->counts.written++;
    r->counts.bytes += want->size;
    if (r->from->progress)
        r->from->progress(r->from->ctx, want->size);
    return 0;
}

static int write_content(struct restore *r, struct err *err)
{
    CLEANUP(pack_reader_free) struct pack_reader *reader = NULL;
    uint32_t open_pack = MANIFEST_NO_PACK;
    for (size_t i = 0; i < r->content_count; i++) {
        const struct entry *want = r->content[i];
        int rc = 0;
        if (want->pack != open_pack) {
            CLEANUP(free_mem)
            char *path = store_pack_path(r->from->store, r->want, want->pack, r->from->ending);
            pack_reader_free(&reader);
            rc = pack_reader_new(path, &r->want->packs[want->pack], &reader, err);
            open_pack = want->pack;
        }
        if (rc == 0)
            rc = write_file(r, reader, want, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int make_links(struct restore *r, struct err *err)
{
    for (size_t i = r->first; i < r->end; i++) {
        const struct entry *want = &r->want->entries[i];
        int rc = 0;
        bool made = false;
        if (want->type == ENTRY_HARD)
            rc = place_link(&r->place, want->target, want->path, &made, err);
        else if (want->type == ENTRY_LINK || want->type == ENTRY_FIFO)
            rc = place_special(&r->place, want, &made, err);
        if (rc != 0)
            return rc;
        if (made)
            note_name(r, want->path);
        r->counts.linked += made;
    }
    return 0;
}

/* What the scan saw as it must be, and nobody wrote since. */
static bool is_as_wanted(const struct restore *r, const struct entry *want)
{
    const struct entry *now = manifest_find(&r->now, r->tree, want->path);
    return now && !r->names_changed[want - r->want->entries] && now->type == want->type &&
           now->ino == want->ino && now->mtime_ns == want->mtime_ns &&
           now->ctime_ns == want->ctime_ns && now->size == want->size && now->mode == want->mode &&
           now->uid == want->uid && now->gid == want->gid && strcmp(now->xattrs, want->xattrs) == 0;
}

/* Backwards: a folder's time is set after everything in it has its place. */
static int put_metadata(struct restore *r, struct err *err)
{
    for (size_t i = r->end; i-- > r->first;) {
        const struct entry *want = &r->want->entries[i];
        int dirfd = -1;
        const char *name = NULL;
        bool touched = false;
        if (!is_made(want) || want->type == ENTRY_HARD || is_as_wanted(r, want))
            continue;
        int rc = place_find(&r->place, want->path, &dirfd, &name, err);
        if (rc == 0)
            rc = place_settle(&r->place, dirfd, name, want, &touched, err);
        if (rc != 0)
            return rc;
        r->counts.touched += touched;
    }
    return 0;
}

static void find_range(struct restore *r)
{
    while (r->first < r->want->entry_count && r->want->entries[r->first].tree != r->tree)
        r->first++;
    r->end = r->first;
    while (r->end < r->want->entry_count && r->want->entries[r->end].tree == r->tree)
        r->end++;
}

static void restore_free(struct restore *r)
{
    place_close(&r->place);
    manifest_free(&r->now);
    free(r->content);
    free(r->names_changed);
}

int restore_tree(const struct restore_from *from, enum tree tree, const char *root,
                 struct restore_counts *ret, struct err *err)
{
    CLEANUP(restore_free) struct restore r = { .from = from, .want = from->manifest, .tree = tree };
    const char *skip[] = { from->store->dir, NULL };
    struct scan_spec scan = { .tree = tree, .root = root, .skip = skip, .base = from->manifest };
    manifest_init(&r.now);
    find_range(&r);
    if (r.first == r.end)
        return err_set(err, FAIL_NOT_FOUND, "backup %s holds no %s", from->manifest->id,
                       tree_name(tree));
    r.names_changed = mem_zero(r.want->entry_count, sizeof *r.names_changed);
    int rc = place_open(&r.place, root, err);
    if (rc == 0)
        rc = scan_tree(&scan, &r.now, note_entry, &r.now, err);
    if (rc == 0)
        rc = remove_others(&r, err);
    if (rc == 0)
        rc = make_folders(&r, err);
    if (rc == 0)
        rc = choose_content(&r, err);
    if (rc == 0)
        rc = write_content(&r, err);
    if (rc == 0)
        rc = make_links(&r, err);
    if (rc == 0)
        rc = put_metadata(&r, err);
    if (rc == 0 && syncfs(r.place.fd) != 0)
        rc = err_sys(err, FAIL_IO, errno, "sync %s", root);
    if (rc != 0)
        return err_wrap(err, "put %s back", root);
    *ret = r.counts;
    return 0;
}

/* Folders and links of its own packs were compared with those; a pack of another backup is only
 * looked into here. */
static bool is_to_read(const struct manifest *manifest, const struct entry *entry)
{
    return entry->type == ENTRY_FILE ||
           (entry->pack != MANIFEST_NO_PACK && manifest->packs[entry->pack].from[0]);
}

int restore_readable(const struct restore_from *from, enum tree tree, struct err *err)
{
    const struct manifest *manifest = from->manifest;
    CLEANUP(pack_reader_free) struct pack_reader *reader = NULL;
    CLEANUP(free_mem) const struct entry **list = mem_zero(manifest->entry_count + 1, sizeof *list);
    uint32_t open_pack = MANIFEST_NO_PACK;
    size_t count = 0;
    for (size_t i = 0; i < manifest->entry_count; i++)
        if (manifest->entries[i].tree == tree && is_to_read(manifest, &manifest->entries[i]))
            list[count++] = &manifest->entries[i];
    if (count > 1)
        qsort(list, count, sizeof *list, compare_places);
    for (size_t i = 0; i < count; i++) {
        int rc = 0;
        if (list[i]->pack != open_pack) {
            CLEANUP(free_mem)
            char *path = store_pack_path(from->store, manifest, list[i]->pack, from->ending);
            pack_reader_free(&reader);
            rc = pack_reader_new(path, &manifest->packs[list[i]->pack], &reader, err);
            open_pack = list[i]->pack;
        }
        if (rc == 0)
            rc = pack_compare(reader, list[i], err);
        if (rc != 0)
            return rc;
        if (from->progress)
            from->progress(from->ctx, list[i]->size);
    }
    return 0;
}

#define CAPABILITY "security.capability:"

static const char *find_capability(const char *xattrs)
{
    const char *at = strstr(xattrs, CAPABILITY);
    while (at && at != xattrs && at[-1] != ' ') /* of another one's name a part */
        at = strstr(at + 1, CAPABILITY);
    return at;
}

/* Who runs it gets rights that he has not. */
static bool is_privileged(const struct entry *entry)
{
    return (entry->type == ENTRY_FILE || entry->type == ENTRY_HARD) &&
           ((entry->mode & 06000) || find_capability(entry->xattrs));
}

static const char *without_capability(struct manifest *manifest, const char *xattrs)
{
    CLEANUP(str_free) struct str text = { 0 };
    const char *at = find_capability(xattrs);
    if (!at)
        return xattrs;
    const char *rest = at + strcspn(at, " ");
    str_add_bytes(&text, xattrs, (size_t)(at - xattrs));
    str_add(&text, rest[0] ? rest + 1 : "");
    while (text.len && text.s[text.len - 1] == ' ')
        text.s[--text.len] = '\0';
    return manifest_text(manifest, str_text(&text));
}

int restore_harmless(const struct manifest *manifest, bool proven, struct err *err)
{
    for (size_t i = 0; i < manifest->entry_count; i++) {
        const struct entry *entry = &manifest->entries[i];
        if (entry->type == ENTRY_DEVICE)
            return err_set(err, FAIL_DENIED, "backup %s: %s is a device", manifest->id,
                           entry->path);
        if (!proven && is_privileged(entry))
            return err_set(err, FAIL_DENIED,
                           "backup %s: %s is set-uid or set-gid, or has capabilities, and this "
                           "backup is not proven: prove it with confleet-agent verify, then it is "
                           "restored without them",
                           manifest->id, entry->path);
    }
    return 0;
}

void restore_strip(struct manifest *manifest, struct str *text)
{
    CLEANUP(str_free) struct str names = { 0 };
    size_t count = 0;
    for (size_t i = 0; i < manifest->entry_count; i++) {
        struct entry *entry = &manifest->entries[i];
        if (!is_privileged(entry))
            continue;
        entry->mode &= ~06000u;
        entry->xattrs = without_capability(manifest, entry->xattrs);
        if (count++ < 3)
            str_addf(&names, "%s%.100s", names.len ? ", " : "", entry->path);
    }
    if (count)
        str_addf(
            text,
            "%zu files restored without their set-uid or set-gid bits and capabilities: %s%s; ",
            count, str_text(&names), count > 3 ? " and more" : "");
}
