#include "room.h"
#include "base.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "manifest_read.h"
#include "scan.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_BYTES 260 /* of a file's line in the manifest, which is there twice for a moment */
#define DAY_MS     (24LL * 3600 * 1000)
#define FAR_MS     (10 * 365 * DAY_MS)

CLEANUP_OF(close_dir, DIR *, closedir)

/* The folder, or the nearest one above it that exists. */
static int nearest(const char *path, struct stat *ret, char **ret_path, struct err *err)
{
    CLEANUP(free_mem) char *at = text_dup(path);
    while (stat(at, ret) != 0) {
        char *slash = strrchr(at, '/');
        if (errno != ENOENT || !slash)
            return err_sys(err, FAIL_IO, errno, "look at %s", at);
        slash[slash == at] = '\0';
    }
    *ret_path = TAKE(at);
    return 0;
}

int room_check(const struct room_place *places, size_t count, const char *remedy, struct err *err)
{
    dev_t dev[ROOM_MAX];
    char need[24], have[24];
    for (size_t i = 0; i < count && i < ROOM_MAX; i++) {
        CLEANUP(free_mem) char *path = NULL;
        uint64_t bytes = ROOM_SPARE, files = 0, free_bytes = 0, free_files = 0;
        struct stat st;
        int rc = nearest(places[i].path, &st, &path, err);
        if (rc == 0)
            rc = fs_space(path, &free_bytes, &free_files, err);
        if (rc != 0)
            return rc;
        dev[i] = st.st_dev;
        for (size_t k = 0; k <= i; k++) {
            bool shared = dev[k] == dev[i];
            if (shared && places[k].bytes > UINT64_MAX / 2 - bytes)
                return err_set(err, FAIL_SPACE, "%s needs more than any disk has", places[k].what);
            bytes += shared ? places[k].bytes : 0;
            files += shared ? places[k].files : 0;
        }
        if (bytes > free_bytes)
            return err_set(err, FAIL_SPACE, "%s: %s needs %s with all that goes there, %s are free; %s",
                           places[i].path, places[i].what, text_size(bytes, need),
                           text_size(free_bytes, have), remedy);
        if (files > free_files)
            return err_set(err, FAIL_SPACE,
                           "%s: %s needs %llu files, its file system has room for %llu; %s",
                           places[i].path, places[i].what, (unsigned long long)files,
                           (unsigned long long)free_files, remedy);
    }
    return 0;
}

/* Both are in the same order. What cannot be read is not held. */
static bool is_held(struct entry_cursor *held, enum tree tree, const char *path,
                    const struct stat *st)
{
    const struct entry *old = NULL;
    struct err ignored = { 0 };
    while (held && (old = entry_cursor_at(held)) != NULL) {
        int order = old->tree != tree ? (old->tree < tree ? -1 : 1)
                                      : manifest_path_compare(old->path, path);
        if (order > 0)
            return false;
        if (order == 0)
            break;
        if (entry_cursor_next(held, &ignored) != 0)
            return false;
    }
    return old && old->type == ENTRY_FILE && old->pack != MANIFEST_NO_PACK && !old->changed &&
           !old->fresh && old->size == (uint64_t)st->st_size && old->ino == st->st_ino &&
           old->mtime_ns == scan_ns(st->st_mtim) && old->ctime_ns == scan_ns(st->st_ctim);
}

/* As a walk meets them. */
static int in_order(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

uint64_t room_content(const struct stat *st)
{
    uint64_t size = (uint64_t)st->st_size, blocks = (uint64_t)st->st_blocks * 512;
    return blocks < size ? blocks : size;
}

void room_trees(const char *const root[TREE_COUNT], const char *skip,
                const struct manifest *const held[2], struct room_trees *ret)
{
    CLEANUP(entry_cursor_free) struct entry_cursor *first = NULL;
    CLEANUP(entry_cursor_free) struct entry_cursor *second = NULL;
    struct err ignored = { 0 };
    *ret = (struct room_trees){ 0 };
    if (held[0] && entry_cursor_new(held[0], &first, &ignored) != 0)
        err_clear(&ignored); /* then it holds nothing that is known of */
    if (held[1] && entry_cursor_new(held[1], &second, &ignored) != 0)
        err_clear(&ignored);
    for (enum tree tree = 0; tree < TREE_COUNT; tree++) {
        char *const roots[] = { (char *)(uintptr_t)root[tree], NULL };
        size_t len = strlen(root[tree]);
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, in_order);
        for (FTSENT *one; fts && (one = fts_read(fts)) != NULL;) {
            bool other = strcmp(one->fts_path, skip) == 0 ||
                         (tree == TREE_INSTALL && strcmp(one->fts_path, root[TREE_HOME]) == 0);
            if (one->fts_info == FTS_D && other)
                (void)fts_set(fts, one, FTS_SKIP);
            ret->names += one->fts_info != FTS_DP;
            if (one->fts_info != FTS_F)
                continue;
            const char *path = one->fts_path + len + (one->fts_path[len] == '/');
            ret->bytes += (uint64_t)one->fts_statp->st_size;
            if (!is_held(first, tree, path, one->fts_statp) &&
                !is_held(second, tree, path, one->fts_statp))
                ret->packed += room_content(one->fts_statp);
        }
        if (fts)
            (void)fts_close(fts);
    }
}

uint64_t room_manifest(uint64_t names)
{
    return 2 * names * LINE_BYTES;
}

static int newest_first(const void *a, const void *b)
{
    const struct room_kept *x = a, *y = b;
    return (x->finished_ms < y->finished_ms) - (x->finished_ms > y->finished_ms);
}

/* What comes in at this pace until the oldest expires is the most that will ever be there beyond
 * what there is: from then on as much goes as comes. */
static int64_t full_in(const struct room_kept *kept, size_t count, uint64_t free_bytes,
                       int64_t keep_ms, int64_t now_ms)
{
    int64_t oldest_ms = kept[count - 1].finished_ms, span_ms = now_ms - oldest_ms;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)kept[i].bytes;
    if (span_ms <= 0 || sum <= 0)
        return -1;
    double pace = sum / (double)span_ms, full = (double)free_bytes / pace;
    double until = (double)keep_ms - (double)span_ms;
    if ((keep_ms > 0 && full > (until > 0 ? until : 0)) || full > (double)FAR_MS)
        return -1;
    return (int64_t)full;
}

bool room_forecast(const struct room_kept *kept, size_t count, uint64_t free_bytes, int64_t keep_ms,
                   int64_t now_ms, struct room_forecast *ret)
{
    struct room_forecast made = { .full_in_ms = -1 };
    uint64_t sum = 0;
    if (count == 0)
        return false;
    CLEANUP(free_mem) struct room_kept *sorted = mem_zero(count, sizeof *sorted);
    memcpy(sorted, kept, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, newest_first);
    while (made.like < count && made.like <= CHAIN_MAX)
        sum += sorted[made.like++].bytes;
    made.next_bytes = sum / made.like;
    made.more = made.next_bytes > 0 ? free_bytes / made.next_bytes : 0;
    made.paced = sorted[0].finished_ms - sorted[count - 1].finished_ms >= DAY_MS;
    if (made.paced)
        made.full_in_ms = full_in(sorted, count, free_bytes, keep_ms, now_ms);
    *ret = made;
    return true;
}

void room_forecast_text(const struct room_forecast *forecast, uint64_t free_bytes, char *out,
                        size_t size)
{
    char room[24], each[24], when[24], like[32] = "one";
    if (forecast->like > 1)
        (void)snprintf(like, sizeof like, "%zu", forecast->like);
    int used = snprintf(out, size, "%s free: room for %llu more like the last %s (%s each)",
                        text_size(free_bytes, room), (unsigned long long)forecast->more, like,
                        text_size(forecast->next_bytes, each));
    if (used < 0 || (size_t)used >= size)
        return;
    if (!forecast->paced)
        (void)snprintf(out + used, size - (size_t)used,
                       "; for how long is unknown: %s", forecast->like > 1
                           ? "the backups there are less than a day apart"
                           : "one backup tells no pace");
    else if (forecast->full_in_ms < 0)
        (void)snprintf(out + used, size - (size_t)used,
                       "; at the pace so far it does not fill up: what expires makes room");
    else
        (void)snprintf(out + used, size - (size_t)used, "; at the pace so far it is full in %s",
                       text_duration(forecast->full_in_ms, when));
}

static bool kept_read(const char *store, const char *id, struct room_kept *ret)
{
    CLEANUP(free_mem) char *dir = fs_join(store, id), *manifest = fs_join(dir, "manifest");
    CLEANUP(close_dir) DIR *files = opendir(dir);
    struct stat st;
    if (!files || stat(manifest, &st) != 0)
        return false;
    *ret = (struct room_kept){ (int64_t)st.st_mtim.tv_sec * 1000, 0 };
    for (const struct dirent *one; (one = readdir(files)) != NULL;)
        if (fstatat(dirfd(files), one->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            ret->bytes += (uint64_t)st.st_size;
    return true;
}

int room_look(const char *store, struct room_kept **ret, size_t *ret_count, struct err *err)
{
    CLEANUP(free_mem) struct room_kept *kept = NULL;
    size_t count = 0;
    CLEANUP(close_dir) DIR *dir = opendir(store);
    if (!dir && errno != ENOENT)
        return err_sys(err, FAIL_IO, errno, "list %s", store);
    for (const struct dirent *one; dir && (one = readdir(dir)) != NULL;) {
        struct room_kept this;
        if (!manifest_id_is_valid(one->d_name) || !kept_read(store, one->d_name, &this))
            continue;
        kept = mem_grow(kept, count + 1, sizeof *kept);
        kept[count++] = this;
    }
    *ret = TAKE(kept);
    *ret_count = count;
    return 0;
}
