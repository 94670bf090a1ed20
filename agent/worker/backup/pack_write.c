#include "confleet/fs.h"
#include "manifest_spill.h"
#include "pack.h"
#include "scan.h"
#include "tar.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define READ_SIZE          (1024u * 1024)
#define SPARSE_MIN         (64u * 1024)
#define SPARSE_REGIONS_MAX 512
/* Small packs, if they are wanted: so many of each size, then twice as large ones. */
#define SMALL_SIZE  (64ULL * 1024 * 1024)
#define SMALL_COUNT 4
/* Names that wait in memory until their pack is finished. */
#define MEMBERS_MAX (64u * 1024)

struct region {
    off_t begin, end;
};
struct pack_writer {
    char *dir;
    enum tree tree;
    struct manifest *manifest;
    unsigned number; /* of the newest pack */
    uint64_t limit;
    bool grows;
    uint32_t pack; /* its index in the manifest */
    unsigned threads;
    size_t entries, stale; /* counts of the manifest when the pack began */
    struct scan_texts texts;
    char *path;
    int fd;
    struct frames_writer *frames;
    struct archive *tar; /* NULL: no pack is open */
    struct archive_entry *member;
    struct region regions[SPARSE_REGIONS_MAX]; /* of the file at hand: where it has data */
    size_t region_count;                       /* 0: everywhere */
    locale_t locale;
    struct hash *hash;
    uint8_t *buffer;
    struct err
        write_err; /* why libarchive's callback failed; libarchive itself only says that it did */
};

static la_ssize_t take_bytes(struct archive *a, void *ctx, const void *bytes, size_t len)
{
    struct pack_writer *w = ctx;
    (void)a;
    if (w->write_err.code == 0 && frames_add(w->frames, bytes, len, &w->write_err) == 0)
        return (la_ssize_t)len;
    return -1;
}

static int tar_failed(struct pack_writer *w, const char *what, struct err *err)
{
    if (w->write_err.code != 0 && err)
        *err = w->write_err;
    if (w->write_err.code != 0)
        return -w->write_err.code;
    const char *text = archive_error_string(w->tar);
    return err_set(err, FAIL_IO, "%s: %s: %s", w->path, what, text ? text : "failed");
}

int pack_writer_new(const char *dir, enum tree tree, struct manifest *manifest,
                    struct pack_writer **ret, struct err *err)
{
    CLEANUP(pack_writer_free) struct pack_writer *w = mem_zero(1, sizeof *w);
    w->dir = text_dup(dir);
    w->tree = tree;
    w->manifest = manifest;
    w->fd = -1;
    w->limit = PACK_SIZE_MAX;
    for (size_t i = 0; i < manifest->pack_count; i++)
        w->number += manifest->packs[i].tree == tree && !manifest->packs[i].from[0];
    w->hash = hash_new();
    w->buffer = mem_zero(1, READ_SIZE);
    w->member = archive_entry_new();
    if (!w->member)
        return err_set(err, FAIL_MEMORY, "no memory for a pack");
    int rc = tar_locale_new(&w->locale, err);
    if (rc == 0)
        *ret = TAKE(w);
    return rc;
}

void pack_writer_limit(struct pack_writer *writer, uint64_t limit)
{
    writer->limit = limit;
}

void pack_writer_small_first(struct pack_writer *writer)
{
    writer->limit = SMALL_SIZE;
    writer->grows = true;
}

bool pack_writer_between(const struct pack_writer *writer)
{
    return !writer->tar;
}

void pack_writer_threads(struct pack_writer *writer, unsigned threads)
{
    writer->threads = threads;
}

void pack_writer_free(struct pack_writer **writer)
{
    struct pack_writer *w = *writer;
    if (!w)
        return;
    /* A pack that was not finished is worth nothing; freeing it may try to write its end, which no
     * longer matters. */
    (void)archive_write_free(w->tar);
    archive_entry_free(w->member);
    tar_locale_free(&w->locale);
    frames_writer_free(&w->frames);
    close_fd(&w->fd);
    hash_free(&w->hash);
    scan_texts_free(&w->texts);
    free(w->buffer);
    free(w->path);
    free(w->dir);
    free(w);
    *writer = NULL;
}

static int pack_begin(struct pack_writer *w, struct err *err)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%04u.tar.zst", tree_name(w->tree), ++w->number);
    if (w->grows && w->number % SMALL_COUNT == 0 && w->limit < PACK_SIZE_MAX)
        w->limit *= 2;
    struct manifest_pack pack = { .tree = w->tree,
                                  .name = manifest_text(w->manifest, name),
                                  .from = "" };
    if (w->manifest->pack_count >= MANIFEST_PACKS_MAX)
        return err_set(err, FAIL_LIMIT, "more than %u packs", MANIFEST_PACKS_MAX);
    w->pack = manifest_add_pack(w->manifest, &pack);
    w->entries = w->manifest->entry_count;
    w->stale = w->manifest->stale_count;
    free(w->path);
    w->path = fs_join(w->dir, name);
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd < 0)
        return err_sys(err, FAIL_IO, errno, "create %s", w->path);
    int rc = frames_writer_new(w->fd, w->path, false, &w->frames, err);
    if (rc == 0)
        rc = frames_writer_threads(w->frames, w->threads, err);
    if (rc != 0)
        return rc;
    w->tar = archive_write_new();
    if (!w->tar)
        return err_set(err, FAIL_MEMORY, "no memory for a pack");
    /* No blocking of libarchive's own: frames must know where each member begins. */
    if (archive_write_set_format_pax(w->tar) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(w->tar, 0) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(w->tar, 1) != ARCHIVE_OK ||
        archive_write_open2(w->tar, w, NULL, take_bytes, NULL, NULL) != ARCHIVE_OK)
        return tar_failed(w, "open", err);
    return 0;
}

static void place(const struct pack_writer *w, const struct frame_list *frames, struct entry *entry)
{
    if (entry->pack != w->pack)
        return;
    assert(entry->at < frames->count);
    entry->at = frames->item[entry->at].at;
    if (entry->owed) {
        uint64_t number;
        memcpy(&number, entry->sha256, sizeof number);
        memcpy(entry->sha256, frames_digest(w->frames, number), HASH_SIZE);
        entry->owed = false;
    }
}

/* Until here members name their frame and their digest by number. */
static int pack_end(struct pack_writer *w, struct err *err)
{
    CLEANUP(frame_list_free) struct frame_list frames = { 0 };
    struct manifest_pack *pack = &w->manifest->packs[w->pack];
    if (archive_write_close(w->tar) != ARCHIVE_OK)
        return tar_failed(w, "end", err);
    int freed = archive_write_free(w->tar);
    w->tar = NULL;
    if (freed != ARCHIVE_OK)
        return err_set(err, FAIL_IO, "%s: end failed", w->path);
    int rc = frames_finish(w->frames, &pack->size, pack->sha256, &frames, err);
    if (rc == 0)
        rc = fs_sync_fd(w->fd, w->path, err);
    if (rc == 0)
        rc = fs_close(&w->fd, w->path, err);
    if (rc != 0)
        return rc;
    for (size_t i = w->entries; i < w->manifest->entry_count; i++)
        place(w, &frames, &w->manifest->entries[i]);
    for (size_t i = w->stale; i < w->manifest->stale_count; i++)
        place(w, &frames, &w->manifest->stale[i]);
    frames_writer_free(&w->frames);
    return manifest_settle(w->manifest, err);
}

static int pack_end_if_full(struct pack_writer *w, struct err *err)
{
    if (!w->tar || (frames_written(w->frames) < w->limit &&
                    w->manifest->entry_count - w->entries < MEMBERS_MAX))
        return 0;
    return pack_end(w, err);
}

uint64_t pack_writer_holes(const struct pack_writer *writer, const struct entry *entry)
{
    uint64_t data = 0;
    if (entry->type != ENTRY_FILE || writer->region_count == 0)
        return 0;
    for (size_t i = 0; i < writer->region_count; i++)
        data += (uint64_t)(writer->regions[i].end - writer->regions[i].begin);
    return data < entry->size ? entry->size - data : 0;
}

int pack_writer_finish(struct pack_writer *writer, struct err *err)
{
    return writer->tar ? pack_end(writer, err) : 0;
}

/* Holes are told to tar as such. Without them a sparse file would be stored, and come back, at its
 * full length. */
static void find_holes(struct pack_writer *w, int fd, const struct stat *st)
{
    off_t at = 0;
    w->region_count = 0;
    if (st->st_size < (off_t)SPARSE_MIN || st->st_blocks * 512 >= st->st_size)
        return;
    for (size_t i = 0; i < SPARSE_REGIONS_MAX; i++) {
        off_t data = lseek(fd, at, SEEK_DATA);
        bool last = data < 0 && errno == ENXIO;
        off_t end = last ? st->st_size : data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (end < 0 || end > st->st_size)
            return;
        w->regions[i] = (struct region){ last ? st->st_size : data, end };
        at = end;
        if (at == st->st_size) {
            w->region_count = i + 1;
            return;
        }
    }
}

static void add_holes(struct pack_writer *w)
{
    archive_entry_sparse_clear(w->member);
    for (size_t i = 0; i < w->region_count; i++)
        archive_entry_sparse_add_entry(w->member, w->regions[i].begin,
                                       w->regions[i].end - w->regions[i].begin);
}

static void blank(uint8_t *bytes, off_t at, size_t len, off_t begin, off_t end)
{
    off_t from = begin > at ? begin : at, to = end < at + (off_t)len ? end : at + (off_t)len;
    if (from < to)
        memset(bytes + (from - at), 0, (size_t)(to - from));
}

/* Somebody may write into a hole after it was found; tar leaves such bytes out, so the digest must
 * not know them either. */
static void blank_holes(const struct pack_writer *w, off_t at, size_t len)
{
    off_t hole = 0;
    for (size_t i = 0; i < w->region_count; i++) {
        blank(w->buffer, at, len, hole, w->regions[i].begin);
        hole = w->regions[i].end;
    }
}

static int write_header(struct pack_writer *w, struct entry *entry, struct err *err)
{
    int rc = 0;
    if (frames_within(w->frames) > 0 &&
        (frames_within(w->frames) >= FRAME_GROUP_MIN || entry->size >= FRAME_GROUP_MIN))
        rc = frames_cut(w->frames, err);
    if (rc != 0)
        return rc;
    entry->pack = w->pack;
    entry->at = frames_number(w->frames);
    entry->skip = frames_within(w->frames);
    int got = archive_write_header(w->tar, w->member);
    /* A name that is no UTF-8 goes out as it is, marked as such; libarchive warns about that. */
    bool odd = !text_is_utf8(entry->path, strlen(entry->path)) ||
               !text_is_utf8(entry->target, strlen(entry->target));
    if (got != ARCHIVE_OK && !(got == ARCHIVE_WARN && odd && w->write_err.code == 0))
        return tar_failed(w, entry->path, err);
    return 0;
}

/* Where it is read to: right into its frame, unless there are holes that tar leaves out. */
static uint8_t *read_place(struct pack_writer *w, uint64_t left, size_t *ret_want)
{
    size_t room = READ_SIZE;
    uint8_t *to = w->region_count ? w->buffer : frames_room(w->frames, &room);
    *ret_want = left < room ? (size_t)left : room;
    return to;
}

/* Who hashes: the frames, from the very bytes that they hold; where holes are left out, we do. */
static void hash_begin(struct pack_writer *w, struct entry *entry)
{
    entry->owed = entry->size > 0 && w->region_count == 0;
    if (entry->owed) {
        uint64_t number = frames_hash(w->frames, entry->size);
        memcpy(entry->sha256, &number, sizeof number);
    }
}

/* Exactly size bytes, as the header promised: what the file lacks by now is filled with zeros, what
 * it has more is left. */
static int write_content(struct pack_writer *w, int fd, struct entry *entry, bool *ret_short,
                         struct err *err)
{
    uint64_t left = entry->size;
    size_t want = 0;
    *ret_short = false;
    hash_begin(w, entry);
    while (left > 0) {
        uint8_t *to = read_place(w, left, &want);
        ssize_t got = *ret_short ? 0 : read(fd, to, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", entry->path);
        if (got == 0) {
            *ret_short = true;
            memset(to, 0, want);
            got = (ssize_t)want;
        }
        if (!entry->owed) {
            blank_holes(w, (off_t)(entry->size - left), (size_t)got);
            hash_add(w->hash, to, (size_t)got);
        }
        for (ssize_t at = 0; at < got;) {
            la_ssize_t put = archive_write_data(w->tar, to + at, (size_t)(got - at));
            if (put <= 0)
                return tar_failed(w, entry->path, err);
            at += put;
        }
        left -= (uint64_t)got;
    }
    if (!entry->owed)
        hash_end(w->hash, entry->sha256);
    return 0;
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int write_member(struct pack_writer *w, int fd, const struct stat *st, struct entry *entry,
                        bool *ret_short, struct err *err)
{
    TAR_LOCALE(w->locale);
    int rc = 0;
    if (!w->tar)
        rc = pack_begin(w, err);
    if (rc == 0)
        rc = tar_entry_fill(entry, w->member, err);
    if (rc != 0)
        return rc;
    if (fd >= 0) {
        find_holes(w, fd, st);
        add_holes(w);
        if (lseek(fd, 0, SEEK_SET) != 0)
            return err_sys(err, FAIL_IO, errno, "rewind %s", entry->path);
    }
    if ((rc = write_header(w, entry, err)) != 0)
        return rc;
    if (entry->type == ENTRY_FILE && (rc = write_content(w, fd, entry, ret_short, err)) != 0)
        return rc;
    if (archive_write_finish_entry(w->tar) != ARCHIVE_OK)
        return tar_failed(w, entry->path, err);
    return 0;
}

static int moved(const struct entry *entry, struct err *err)
{
    return err_set(err, FAIL_CONFLICT,
                   "%s changed while it was captured although the service is stopped: "
                   "another program writes there",
                   entry->path);
}

/* A time that the manifest cannot hold would come back as another one. */
static int check_time(const struct entry *entry, struct err *err)
{
    if (entry->mtime_ns != INT64_MIN && entry->mtime_ns != INT64_MAX)
        return 0;
    return err_set(err, FAIL_UNSUPPORTED,
                   "%s: its time of change is before 1678 or after 2261, which a backup cannot "
                   "keep: give it another one (touch)",
                   entry->path);
}

/* 1: what stands there by now is no regular file, or nothing. */
static int open_file(struct pack_writer *w, int dirfd, const char *name, struct entry *entry,
                     int *ret_fd, struct stat *st, struct err *err)
{
    /* Without waiting: a fifo may have taken the name since it was looked at. */
    const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    /* Being backed up is no use of a file, and an inode less is written; only its owner and root may
     * ask for that. */
    CLEANUP(close_fd) int fd = openat(dirfd, name, how | O_NOATIME);
    if (fd < 0 && errno == EPERM)
        fd = openat(dirfd, name, how);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
        return 1;
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", entry->path);
    if (fstat(fd, st) != 0)
        return err_sys(err, FAIL_IO, errno, "stat %s", entry->path);
    if (!S_ISREG(st->st_mode))
        return 1;
    int rc = scan_fill(&w->texts, dirfd, name, st, entry, err);
    if (rc == 0)
        rc = check_time(entry, err);
    if (rc == 0)
        *ret_fd = TAKE_FD(fd);
    return rc;
}

static int add_file(struct pack_writer *w, int dirfd, const char *name, struct entry *entry,
                    bool still, struct err *err)
{
    for (int try = 1;; try++) {
        CLEANUP(close_fd) int fd = -1;
        struct stat before, after;
        bool too_short = false;
        int rc = open_file(w, dirfd, name, entry, &fd, &before, err);
        if (rc == 1 && still)
            return moved(entry, err);
        if (rc != 0)
            return rc;
        if ((rc = write_member(w, fd, &before, entry, &too_short, err)) != 0)
            return rc;
        if (fstat(fd, &after) != 0)
            return err_sys(err, FAIL_IO, errno, "stat %s", entry->path);
        if (!too_short && same_stat(&before, &after) &&
            fstatat(dirfd, name, &after, AT_SYMLINK_NOFOLLOW) == 0 && same_stat(&before, &after))
            break;
        if (still && try == PACK_TRIES)
            return moved(entry, err);
        if (try == PACK_TRIES) {
            entry->changed = true;
            break;
        }
        entry->stale = true;
        (void)manifest_add_entry(w->manifest, entry);
        entry->stale = false;
    }
    int rc = manifest_put(w->manifest, entry, true, err);
    return rc == 0 ? pack_end_if_full(w, err) : rc;
}

int pack_add(struct pack_writer *writer, int dirfd, const char *name, struct entry *entry,
             bool still, struct err *err)
{
    bool unused = false;
    assert(entry->tree == writer->tree);
    int rc = check_time(entry, err);
    if (rc == 0 && entry->type == ENTRY_FILE)
        return add_file(writer, dirfd, name, entry, still, err);
    bool packed =
        entry->type == ENTRY_DIR || entry->type == ENTRY_LINK || entry->type == ENTRY_HARD;
    if (rc == 0 && packed)
        rc = write_member(writer, -1, NULL, entry, &unused, err);
    if (rc == 0)
        rc = manifest_put(writer->manifest, entry, packed, err);
    return rc == 0 ? pack_end_if_full(writer, err) : rc;
}
