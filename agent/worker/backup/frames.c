#include "frames.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

/* Fast enough that the disk and the digests set the pace; attachments are mostly compressed
 * already. */
#define FRAME_LEVEL 1
/* Frames of ours need a window no larger than their content. */
#define FRAME_WINDOW_LOG_MAX 23

void frame_list_add(struct frame_list *list, const struct frame *frame)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->item = mem_grow(list->item, list->cap, sizeof *list->item);
    }
    list->item[list->count++] = *frame;
}

void frame_list_free(struct frame_list *list)
{
    free(list->item);
    *list = (struct frame_list){ 0 };
}

/* One frame on its way: filled by the owner, compressed by whoever is free, written in its turn. */
struct slot {
    enum { SLOT_FREE, SLOT_FULL, SLOT_TAKEN } state;
    uint8_t *in, *out;
    size_t in_len;
    ZSTD_CCtx *zstd;
    struct hash *content;
};

struct frames_writer {
    int fd;
    char *name;
    bool keep;
    struct hash *stored;
    struct slot slots[FRAME_THREADS_MAX + 1];
    size_t slot_count, out_size;
    uint64_t filling; /* number of the frame that is being filled; its slot is filling % slot_count */
    /* Below the lock; without threads there is nobody to lock out. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    pthread_t threads[FRAME_THREADS_MAX];
    size_t thread_count;
    uint64_t taking, writing; /* numbers of the frames to be compressed and to be written next */
    bool ending;
    uint64_t at;
    struct frame_list list;
    struct err err; /* the first failure; nothing is written after it */
};

static int zstd_failed(const char *name, uint64_t at, size_t code, struct err *err)
{
    return err_set(err, FAIL_CORRUPT, "%s: damaged at byte %llu: %s", name, (unsigned long long)at,
                   ZSTD_getErrorName(code));
}

static int slot_init(struct slot *slot, size_t out_size, struct err *err)
{
    slot->in = mem_zero(1, FRAME_CONTENT_MAX);
    slot->out = mem_zero(1, out_size);
    slot->content = hash_new();
    slot->zstd = ZSTD_createCCtx();
    if (!slot->zstd)
        return err_set(err, FAIL_MEMORY, "no memory for compression");
    size_t level = ZSTD_CCtx_setParameter(slot->zstd, ZSTD_c_compressionLevel, FRAME_LEVEL);
    size_t check = ZSTD_CCtx_setParameter(slot->zstd, ZSTD_c_checksumFlag, 1);
    return ZSTD_isError(level) || ZSTD_isError(check)
               ? err_set(err, FAIL_INTERNAL, "zstd refuses its settings")
               : 0;
}

static int slot_compress(const struct frames_writer *w, struct slot *slot, struct frame *ret,
                         struct err *err)
{
    *ret = (struct frame){ .content = slot->in_len };
    size_t stored = ZSTD_compress2(slot->zstd, slot->out, w->out_size, slot->in, slot->in_len);
    if (ZSTD_isError(stored))
        return err_set(err, FAIL_INTERNAL, "%s: compress: %s", w->name, ZSTD_getErrorName(stored));
    ret->stored = stored;
    if (w->keep) {
        hash_add(slot->content, slot->in, slot->in_len);
        hash_end(slot->content, ret->sha256);
    }
    return 0;
}

/* Of one frame after the other. Offset and list are changed by whose turn it is alone. */
static int slot_write(struct frames_writer *w, const struct slot *slot, struct frame *frame,
                      struct err *err)
{
    if (fs_write_all(w->fd, slot->out, frame->stored, err) != 0)
        return err_wrap(err, "write %s", w->name);
    hash_add(w->stored, slot->out, frame->stored);
    frame->at = w->at;
    return 0;
}

static void slot_done(struct frames_writer *w, struct slot *slot, const struct frame *frame)
{
    frame_list_add(&w->list, frame);
    w->at += frame->stored;
    w->writing++;
    slot->in_len = 0;
    slot->state = SLOT_FREE;
}

/* The lock is held at the beginning and at the end, and not while there is work. */
static void work_once(struct frames_writer *w)
{
    uint64_t number = w->taking++;
    struct slot *slot = &w->slots[number % w->slot_count];
    struct frame frame;
    struct err why = { 0 };
    slot->state = SLOT_TAKEN;
    (void)pthread_mutex_unlock(&w->lock);
    int rc = slot_compress(w, slot, &frame, &why);
    (void)pthread_mutex_lock(&w->lock);
    while (w->writing != number && w->err.code == 0 && !w->ending)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    if (w->writing == number && w->err.code == 0 && rc == 0) {
        (void)pthread_mutex_unlock(&w->lock);
        rc = slot_write(w, slot, &frame, &why);
        (void)pthread_mutex_lock(&w->lock);
        if (rc == 0)
            slot_done(w, slot, &frame);
    }
    if (rc != 0 && w->err.code == 0)
        w->err = why;
    (void)pthread_cond_broadcast(&w->moved);
}

static void *work(void *arg)
{
    struct frames_writer *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->ending && w->err.code == 0) {
        if (w->slots[w->taking % w->slot_count].state == SLOT_FULL)
            work_once(w);
        else
            (void)pthread_cond_wait(&w->moved, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

int frames_writer_new(int fd, const char *name, bool keep, struct frames_writer **ret,
                      struct err *err)
{
    assert(fd >= 0);
    CLEANUP(frames_writer_free) struct frames_writer *writer = mem_zero(1, sizeof *writer);
    (void)pthread_mutex_init(&writer->lock, NULL);
    (void)pthread_cond_init(&writer->moved, NULL);
    writer->fd = fd;
    writer->name = text_dup(name);
    writer->keep = keep;
    writer->stored = hash_new();
    writer->out_size = ZSTD_compressBound(FRAME_CONTENT_MAX);
    writer->slot_count = 1;
    int rc = slot_init(&writer->slots[0], writer->out_size, err);
    if (rc == 0)
        *ret = TAKE(writer);
    return rc;
}

int frames_writer_threads(struct frames_writer *writer, unsigned threads, struct err *err)
{
    assert(writer->filling == 0 && writer->slots[0].in_len == 0);
    assert(writer->thread_count == 0);
    threads = threads < FRAME_THREADS_MAX ? threads : FRAME_THREADS_MAX;
    for (int rc = 0; writer->slot_count <= threads; writer->slot_count++)
        if ((rc = slot_init(&writer->slots[writer->slot_count], writer->out_size, err)) != 0)
            return rc;
    /* For a thread that cannot be had the others do its work, and without any the owner. */
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&writer->threads[writer->thread_count], NULL, work, writer) == 0)
            writer->thread_count++;
    return 0;
}

static void threads_end(struct frames_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->ending = true;
    (void)pthread_cond_broadcast(&w->moved);
    (void)pthread_mutex_unlock(&w->lock);
    while (w->thread_count > 0)
        (void)pthread_join(w->threads[--w->thread_count], NULL);
}

void frames_writer_free(struct frames_writer **writer)
{
    struct frames_writer *w = *writer;
    if (!w)
        return;
    threads_end(w);
    for (size_t i = 0; i < FRAME_THREADS_MAX + 1; i++) {
        (void)ZSTD_freeCCtx(w->slots[i].zstd);
        hash_free(&w->slots[i].content);
        free(w->slots[i].in);
        free(w->slots[i].out);
    }
    hash_free(&w->stored);
    frame_list_free(&w->list);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->moved);
    free(w->name);
    free(w);
    *writer = NULL;
}

static struct slot *slot_filling(struct frames_writer *w)
{
    return &w->slots[w->filling % w->slot_count];
}

static int failed(const struct frames_writer *w, struct err *err)
{
    if (w->err.code != 0 && err)
        *err = w->err;
    return -w->err.code;
}

/* Waits until that frame is written, or everything has failed. */
static int wait_written(struct frames_writer *w, uint64_t count, struct err *err)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->writing < count && w->err.code == 0)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    int rc = failed(w, err);
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

static int cut_alone(struct frames_writer *w, struct slot *slot, struct err *err)
{
    struct frame frame;
    int rc = slot_compress(w, slot, &frame, err);
    if (rc == 0)
        rc = slot_write(w, slot, &frame, err);
    if (rc != 0)
        return rc;
    slot_done(w, slot, &frame);
    w->filling++;
    return 0;
}

int frames_cut(struct frames_writer *writer, struct err *err)
{
    struct slot *slot = slot_filling(writer);
    if (slot->in_len == 0)
        return 0;
    if (writer->thread_count == 0)
        return cut_alone(writer, slot, err);
    (void)pthread_mutex_lock(&writer->lock);
    slot->state = SLOT_FULL;
    writer->filling++;
    (void)pthread_cond_broadcast(&writer->moved);
    (void)pthread_mutex_unlock(&writer->lock);
    return writer->filling < writer->slot_count
               ? 0
               : wait_written(writer, writer->filling + 1 - writer->slot_count, err);
}

int frames_add(struct frames_writer *writer, const void *bytes, size_t len, struct err *err)
{
    const uint8_t *from = bytes;
    while (len > 0) {
        struct slot *slot = slot_filling(writer);
        size_t room = FRAME_CONTENT_MAX - slot->in_len;
        size_t part = len < room ? len : room;
        memcpy(slot->in + slot->in_len, from, part);
        slot->in_len += part;
        from += part;
        len -= part;
        if (slot->in_len == FRAME_CONTENT_MAX) {
            int rc = frames_cut(writer, err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

uint64_t frames_number(const struct frames_writer *writer)
{
    return writer->filling;
}

uint64_t frames_within(const struct frames_writer *writer)
{
    return writer->slots[writer->filling % writer->slot_count].in_len;
}

uint64_t frames_written(struct frames_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    uint64_t at = writer->at;
    (void)pthread_mutex_unlock(&writer->lock);
    return at;
}

int frames_finish(struct frames_writer *writer, uint64_t *ret_size, uint8_t ret_sha256[HASH_SIZE],
                  struct frame_list *ret_frames, struct err *err)
{
    int rc = frames_cut(writer, err);
    if (rc == 0)
        rc = wait_written(writer, writer->filling, err);
    threads_end(writer);
    if (rc != 0)
        return rc;
    assert(writer->list.count == writer->filling);
    *ret_size = writer->at;
    hash_end(writer->stored, ret_sha256);
    if (ret_frames) {
        *ret_frames = writer->list;
        writer->list = (struct frame_list){ 0 };
    }
    return 0;
}

struct frames_reader {
    int fd;
    char *name;
    uint64_t size;
    ZSTD_DCtx *zstd;
    struct hash *stored;
    uint8_t *in, *out;
    size_t in_size, in_len, in_used; /* in[in_used..in_len) was read and not yet decoded */
    uint64_t at;                     /* offset of in[in_used] */
    bool have; /* out holds the frame below, not handed out since the last seek */
    struct frame frame;
    bool pending;
};

int frames_reader_new(const char *path, uint64_t size, bool cold, struct frames_reader **ret,
                      struct err *err)
{
    CLEANUP(frames_reader_free) struct frames_reader *reader = mem_zero(1, sizeof *reader);
    reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    reader->name = text_dup(path);
    if (reader->fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    struct stat st;
    if (fstat(reader->fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_CORRUPT, "%s is no regular file", path);
    if ((uint64_t)st.st_size != size)
        return err_set(err, FAIL_CORRUPT, "%s has %lld bytes, the manifest says %llu", path,
                       (long long)st.st_size, (unsigned long long)size);
    /* Only clean pages can be dropped; what was just written was synced by its writer. */
    if (cold)
        (void)posix_fadvise(reader->fd, 0, 0, POSIX_FADV_DONTNEED);
    reader->size = size;
    /* Twice the largest frame: a refill moves and reads about as much as it keeps, however small
     * the frames are. */
    reader->in_size = 2 * ZSTD_compressBound(FRAME_CONTENT_MAX);
    reader->in = mem_zero(1, reader->in_size);
    reader->out = mem_zero(1, FRAME_CONTENT_MAX);
    reader->stored = hash_new();
    reader->zstd = ZSTD_createDCtx();
    if (!reader->zstd)
        return err_set(err, FAIL_MEMORY, "no memory for decompression");
    if (ZSTD_isError(
            ZSTD_DCtx_setParameter(reader->zstd, ZSTD_d_windowLogMax, FRAME_WINDOW_LOG_MAX)))
        return err_set(err, FAIL_INTERNAL, "zstd refuses its settings");
    *ret = TAKE(reader);
    return 0;
}

void frames_reader_free(struct frames_reader **reader)
{
    struct frames_reader *r = *reader;
    if (!r)
        return;
    close_fd(&r->fd);
    (void)ZSTD_freeDCtx(r->zstd);
    hash_free(&r->stored);
    free(r->in);
    free(r->out);
    free(r->name);
    free(r);
    *reader = NULL;
}

int frames_seek(struct frames_reader *reader, uint64_t at, struct err *err)
{
    if (reader->have && reader->frame.at == at) {
        reader->pending = true;
        return 0;
    }
    reader->have = reader->pending = false;
    if (at > reader->size)
        return err_set(err, FAIL_CORRUPT, "%s: the manifest points behind its end (%llu of %llu)",
                       reader->name, (unsigned long long)at, (unsigned long long)reader->size);
    uint64_t base = reader->at - reader->in_used;
    if (at >= base && at < base + reader->in_len) {
        reader->in_used = (size_t)(at - base);
        reader->at = at;
        return 0;
    }
    if (lseek(reader->fd, (off_t)at, SEEK_SET) < 0)
        return err_sys(err, FAIL_IO, errno, "seek %s", reader->name);
    reader->in_len = reader->in_used = 0;
    reader->at = at;
    return 0;
}

/* Reads until the buffer is full or the file ends. */
static int reader_fill(struct frames_reader *reader, struct err *err)
{
    size_t left = reader->in_len - reader->in_used;
    memmove(reader->in, reader->in + reader->in_used, left);
    reader->in_used = 0;
    reader->in_len = left;
    while (reader->in_len < reader->in_size) {
        ssize_t got =
            read(reader->fd, reader->in + reader->in_len, reader->in_size - reader->in_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", reader->name);
        if (got == 0)
            break;
        hash_add(reader->stored, reader->in + reader->in_len, (size_t)got);
        reader->in_len += (size_t)got;
    }
    return 0;
}

static int reader_decode(struct frames_reader *reader, struct err *err)
{
    const uint8_t *from = reader->in + reader->in_used;
    size_t have = reader->in_len - reader->in_used;
    size_t stored = ZSTD_findFrameCompressedSize(from, have);
    if (ZSTD_isError(stored))
        return zstd_failed(reader->name, reader->at, stored, err);
    unsigned long long content = ZSTD_getFrameContentSize(from, have);
    if (content == 0 || content > FRAME_CONTENT_MAX) /* unknown and error are huge numbers */
        return err_set(err, FAIL_CORRUPT, "%s: no frame of a backup at byte %llu", reader->name,
                       (unsigned long long)reader->at);
    size_t got = ZSTD_decompressDCtx(reader->zstd, reader->out, FRAME_CONTENT_MAX, from, stored);
    if (ZSTD_isError(got))
        return zstd_failed(reader->name, reader->at, got, err);
    if (got != content)
        return err_set(err, FAIL_CORRUPT, "%s: frame at byte %llu is cut", reader->name,
                       (unsigned long long)reader->at);
    reader->frame = (struct frame){ .at = reader->at, .stored = stored, .content = got };
    reader->in_used += stored;
    reader->at += stored;
    return 0;
}

int frames_next(struct frames_reader *reader, const uint8_t **ret_content, struct frame *ret_frame,
                struct err *err)
{
    if (!reader->pending) {
        reader->have = false;
        int rc = 0;
        if (reader->in_len - reader->in_used < reader->in_size / 2 &&
            (rc = reader_fill(reader, err)) != 0)
            return rc;
        if (reader->in_len == reader->in_used)
            return 0;
        if ((rc = reader_decode(reader, err)) != 0)
            return rc;
        reader->have = true;
    }
    reader->pending = false;
    *ret_content = reader->out;
    *ret_frame = reader->frame;
    return 1;
}

void frames_stored_sha256(struct frames_reader *reader, uint8_t out[HASH_SIZE])
{
    hash_end(reader->stored, out);
}
