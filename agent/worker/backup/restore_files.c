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

/* One name that differs, is missing or does not belong, or a folder in which such a name is. */
struct item {
    struct entry want; /* of what does not belong its path alone */
    bool wanted, there;
    struct entry now; /* what stands there; without texts */
    bool may_stay;    /* of the right kind: it need not be removed */
};
/* A folder that is wanted, on the way from the root to where the walk is. */
struct level {
    struct entry want;
    struct str texts;
    bool known, listed;
};
struct restore {
    const struct restore_from *from;
    enum tree tree;
    struct place place;
    struct pool pool;
    struct level levels[SCAN_DEPTH_MAX + 2];
    bool any;
    struct item *items; /* in the order of a walk */
    size_t count, cap;
    const struct item **content; /* files whose content must come from a pack */
    size_t content_count;
    struct str stripped;
    struct restore_counts counts;
};

static bool is_made(const struct entry *entry)
{
    return entry->type != ENTRY_SOCKET && entry->type != ENTRY_DEVICE;
}

/* ---- what differs ---- */

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

static void without_capability(struct str *text, const char *xattrs)
{
    const char *at = find_capability(xattrs);
    str_clear(text);
    str_add_bytes(text, xattrs, at ? (size_t)(at - xattrs) : strlen(xattrs));
    const char *rest = at ? at + strcspn(at, " ") : "";
    str_add(text, rest[0] ? rest + 1 : "");
    while (text->len && text->s[text->len - 1] == ' ')
        text->s[--text->len] = '\0';
}

/* Texts are good until the next call. */
static struct entry wanted_entry(struct restore *r, const struct entry *entry)
{
    struct entry want = *entry;
    want.line = NULL;
    if (r->from->strip && is_privileged(&want)) {
        without_capability(&r->stripped, want.xattrs);
        want.mode &= ~06000u;
        want.xattrs = str_text(&r->stripped);
    }
    return want;
}

static const char *kept(struct restore *r, const char *text)
{
    return text[0] ? pool_text(&r->pool, text) : "";
}

/* want NULL: it does not belong; now NULL: it is missing. */
static void add_item(struct restore *r, const struct entry *want, const struct entry *now)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->items = mem_grow(r->items, r->cap, sizeof *r->items);
    }
    struct item *item = &r->items[r->count++];
    *item = (struct item){ .want = want ? *want : *now, .wanted = want, .there = now };
    struct entry *kept_want = &item->want;
    kept_want->path = kept(r, kept_want->path);
    kept_want->user = kept_want->group = "";
    kept_want->target = want ? kept(r, want->target) : "";
    kept_want->xattrs = want ? kept(r, want->xattrs) : "";
    kept_want->line = NULL;
    if (!now)
        return;
    item->now = *now;
    item->now.path = item->now.user = item->now.group = item->now.target = item->now.xattrs = "";
    item->now.line = NULL;
    item->may_stay = want && want->type == now->type &&
                     (want->type != ENTRY_LINK || strcmp(want->target, now->target) == 0);
}

static size_t depth_of(const char *path)
{
    size_t depth = strcmp(path, ".") != 0;
    for (const char *c = path; *c; c++)
        depth += *c == '/';
    return depth;
}

static void enter_folder(struct restore *r, const struct entry *want, bool listed)
{
    size_t depth = depth_of(want->path);
    if (depth >= sizeof r->levels / sizeof *r->levels)
        return; /* deeper than any walk goes */
    struct level *level = &r->levels[depth];
    level->want = *want;
    level->known = true;
    level->listed = listed;
    str_clear(&level->texts);
    str_add_bytes(&level->texts, want->path, strlen(want->path) + 1);
    size_t xattrs = level->texts.len;
    str_add(&level->texts, want->xattrs);
    level->want.path = level->texts.s;
    level->want.xattrs = level->texts.s + xattrs;
    level->want.user = level->want.group = level->want.target = "";
}

/* What is made, replaced or removed in a folder changes the folder's time, which is put back. */
static void list_parent(struct restore *r, const char *path)
{
    size_t depth = depth_of(path);
    if (depth == 0 || depth > sizeof r->levels / sizeof *r->levels)
        return;
    struct level *level = &r->levels[depth - 1];
    size_t len = strlen(level->known ? level->want.path : "");
    bool is = level->known && (depth == 1 || (strncmp(level->want.path, path, len) == 0 &&
                                              path[len] == '/'));
    if (!is || level->listed)
        return;
    level->listed = true;
    add_item(r, &level->want, &level->want);
}

/* Nothing that a restore puts back differs, and nobody wrote since. Whether two names are still one
 * file is seen when all files are there. */
static bool is_as_wanted(const struct entry *want, const struct entry *now)
{
    return now->type == want->type && want->type != ENTRY_HARD && now->ino == want->ino &&
           now->mtime_ns == want->mtime_ns && now->ctime_ns == want->ctime_ns &&
           now->size == want->size && now->mode == want->mode && now->uid == want->uid &&
           now->gid == want->gid && strcmp(now->xattrs, want->xattrs) == 0 &&
           (want->type != ENTRY_LINK || strcmp(now->target, want->target) == 0);
}

static int see(void *ctx, int dirfd, const char *name, struct entry *now, const struct entry *old,
               struct err *err)
{
    struct restore *r = ctx;
    (void)dirfd, (void)name, (void)err;
    if (!old) {
        list_parent(r, now->path);
        add_item(r, NULL, now);
        return 0;
    }
    struct entry want = wanted_entry(r, old);
    bool same = is_as_wanted(&want, now);
    r->any = true;
    if (!same) {
        list_parent(r, want.path);
        add_item(r, &want, now);
    }
    if (want.type == ENTRY_DIR)
        enter_folder(r, &want, !same);
    return 0;
}

static int miss(void *ctx, const struct entry *old, struct err *err)
{
    struct restore *r = ctx;
    struct entry want = wanted_entry(r, old);
    (void)err;
    r->any = true;
    if (!is_made(&want))
        return 0;
    list_parent(r, want.path);
    add_item(r, &want, NULL);
    if (want.type == ENTRY_DIR)
        enter_folder(r, &want, true);
    return 0;
}

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return manifest_path_compare(x->want.path, y->want.path);
}

static int find_items(struct restore *r, const char *root, struct err *err)
{
    CLEANUP(entry_cursor_free) struct entry_cursor *want = NULL;
    const char *skip[] = { r->from->store->dir, NULL };
    struct scan_spec scan = { .tree = r->tree, .root = root, .skip = skip, .missed = miss };
    int rc = entry_cursor_new(r->from->manifest, &want, err);
    scan.base = want;
    if (rc == 0)
        rc = scan_tree(&scan, see, r, err);
    if (rc == 0 && !r->any)
        return err_set(err, FAIL_NOT_FOUND, "backup %s holds no %s", r->from->manifest->id,
                       tree_name(r->tree));
    if (rc == 0 && r->count > 1)
        qsort(r->items, r->count, sizeof *r->items, compare_items);
    return rc;
}

/* ---- what is done about it ---- */

/* Backwards, so that a folder is empty when its turn comes. A regular file is replaced by rename,
 * never missing in between. */
static int remove_others(struct restore *r, struct err *err)
{
    for (size_t i = r->count; i-- > 0;) {
        const struct item *item = &r->items[i];
        int dirfd = -1;
        const char *name = NULL, *path = item->want.path;
        bool regular = item->now.type == ENTRY_FILE || item->now.type == ENTRY_HARD;
        if (!item->there || item->may_stay ||
            (item->wanted && regular &&
             (item->want.type == ENTRY_FILE || item->want.type == ENTRY_HARD)))
            continue;
        int rc = place_find(&r->place, path, &dirfd, &name, err);
        if (rc != 0)
            return rc;
        if (unlinkat(dirfd, name, item->now.type == ENTRY_DIR ? AT_REMOVEDIR : 0) != 0 &&
            errno != ENOENT)
            return err_sys(err, FAIL_IO, errno, "remove %s/%s", r->place.root, path);
        if (item->now.type == ENTRY_DIR)
            place_forget(&r->place);
        r->counts.removed++;
    }
    return 0;
}

static int make_folders(struct restore *r, struct err *err)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct item *item = &r->items[i];
        const struct entry *want = &item->want;
        int dirfd = -1;
        const char *name = NULL;
        if (!item->wanted || want->type != ENTRY_DIR || strcmp(want->path, ".") == 0 ||
            (item->there && item->now.type == ENTRY_DIR))
            continue;
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
    const struct entry *x = &(*(const struct item *const *)a)->want,
                       *y = &(*(const struct item *const *)b)->want;
    if (x->pack != y->pack)
        return x->pack < y->pack ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->skip < y->skip ? -1 : x->skip > y->skip;
}

static int choose_content(struct restore *r, struct err *err)
{
    r->content = mem_zero(r->count + 1, sizeof *r->content);
    for (size_t i = 0; i < r->count; i++) {
        const struct item *item = &r->items[i];
        const struct entry *want = &item->want, *now = &item->now;
        bool same = false;
        if (!item->wanted || want->type != ENTRY_FILE)
            continue;
        if (item->there && now->type == ENTRY_FILE && now->size == want->size) {
            same = now->mtime_ns == want->mtime_ns && now->ctime_ns == want->ctime_ns &&
                   now->ino == want->ino;
            int rc = same ? 0 : same_content(r, want, &same, err);
            if (rc != 0)
                return rc;
        }
        if (!same)
            r->content[r->content_count++] = item;
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
        const struct entry *want = &r->content[i]->want;
        int rc = 0;
        if (want->pack != open_pack) {
            CLEANUP(free_mem)
            char *path = store_pack_path(r->from->store, r->from->manifest, want->pack, r->from->ending);
            pack_reader_free(&reader);
            rc = pack_reader_new(path, &r->from->manifest->packs[want->pack], &reader, err);
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
    for (size_t i = 0; i < r->count; i++) {
        const struct entry *want = &r->items[i].want;
        int rc = 0;
        bool made = false;
        if (!r->items[i].wanted)
            continue;
        if (want->type == ENTRY_HARD)
            rc = place_link(&r->place, want->target, want->path, &made, err);
        else if (want->type == ENTRY_LINK || want->type == ENTRY_FIFO)
            rc = place_special(&r->place, want, &made, err);
        if (rc != 0)
            return rc;
        r->counts.linked += made;
    }
    return 0;
}

/* Backwards: a folder's time is set after everything in it has its place. */
static int put_metadata(struct restore *r, struct err *err)
{
    for (size_t i = r->count; i-- > 0;) {
        const struct entry *want = &r->items[i].want;
        int dirfd = -1;
        const char *name = NULL;
        bool touched = false;
        if (!r->items[i].wanted || !is_made(want) || want->type == ENTRY_HARD)
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

static void restore_free(struct restore *r)
{
    place_close(&r->place);
    for (size_t i = 0; i < sizeof r->levels / sizeof *r->levels; i++)
        str_free(&r->levels[i].texts);
    pool_free(&r->pool);
    str_free(&r->stripped);
    free(r->items);
    free(r->content);
}

int restore_tree(const struct restore_from *from, enum tree tree, const char *root,
                 struct restore_counts *ret, struct err *err)
{
    CLEANUP(restore_free) struct restore r = { .from = from, .tree = tree };
    int rc = place_open(&r.place, root, err);
    if (rc == 0)
        rc = find_items(&r, root, err);
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

static int pack_readable(const struct restore_from *from, uint32_t pack, struct err *err)
{
    const struct manifest *manifest = from->manifest;
    CLEANUP(member_cursor_free) struct member_cursor *members = NULL;
    CLEANUP(pack_reader_free) struct pack_reader *reader = NULL;
    CLEANUP(free_mem) char *path = store_pack_path(from->store, manifest, pack, from->ending);
    const struct entry *entry = NULL;
    int rc = member_cursor_new(manifest, pack, &members, err);
    while (rc == 0 && (rc = member_cursor_next(members, &entry, err)) > 0) {
        rc = 0;
        if (entry->stale || !is_to_read(manifest, entry))
            continue;
        if (!reader)
            rc = pack_reader_new(path, &manifest->packs[pack], &reader, err);
        if (rc == 0)
            rc = pack_compare(reader, entry, err);
        if (rc == 0 && from->progress)
            from->progress(from->ctx, entry->size);
    }
    return rc;
}

int restore_readable(const struct restore_from *from, enum tree tree, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < from->manifest->pack_count; i++)
        if (from->manifest->packs[i].tree == tree)
            rc = pack_readable(from, i, err);
    return rc;
}

static int not_harmless(const struct manifest *manifest, const struct entry *entry, bool proven,
                        struct err *err)
{
    if (entry->type == ENTRY_DEVICE)
        return err_set(err, FAIL_DENIED, "backup %s: %s is a device", manifest->id, entry->path);
    if (!proven && is_privileged(entry))
        return err_set(err, FAIL_DENIED,
                       "backup %s: %s is set-uid or set-gid, or has capabilities, and this "
                       "backup is not proven: prove it with confleet-agent verify, then it is "
                       "restored without them",
                       manifest->id, entry->path);
    return 0;
}

int restore_harmless(const struct manifest *manifest, bool proven, struct err *err)
{
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    const struct entry *entry = NULL;
    int rc = entry_cursor_new(manifest, &cursor, err);
    while (rc == 0 && (entry = entry_cursor_at(cursor)) != NULL) {
        rc = not_harmless(manifest, entry, proven, err);
        if (rc == 0)
            rc = entry_cursor_next(cursor, err);
    }
    return rc;
}

int restore_stripped(const struct manifest *manifest, struct str *text, struct err *err)
{
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    CLEANUP(str_free) struct str names = { 0 };
    const struct entry *entry = NULL;
    size_t count = 0;
    int rc = entry_cursor_new(manifest, &cursor, err);
    while (rc == 0 && (entry = entry_cursor_at(cursor)) != NULL) {
        if (is_privileged(entry) && count++ < 3)
            str_addf(&names, "%s%.100s", names.len ? ", " : "", entry->path);
        rc = entry_cursor_next(cursor, err);
    }
    if (rc == 0 && count)
        str_addf(
            text,
            "%zu files restored without their set-uid or set-gid bits and capabilities: %s%s; ",
            count, str_text(&names), count > 3 ? " and more" : "");
    return rc;
}
