#include "frames.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <zstd.h>

/* Fast enough that the disk and the digests set the pace. What does not compress is passed through
 * by the fastest level that there is, which stores it: attachments are mostly compressed already. */
#define FRAME_LEVEL 1
#define SAMPLE_SIZE 4096u
#define SAMPLES     16u
/* Fewer of a hundred bytes are saved: not worth four times the work. */
#define SAVING_LEAST 3u
/* So much is written before the kernel is asked to begin storing it, so that the sync at the end is
 * short. */
#define KICK_SIZE (8u * 1024 * 1024)
/* Frames that are filled, packed, hashed or written at one time: more than threads, since each must
 * wait for its turn. */
#define SLOTS_MORE 3u
#define SLOTS_MAX  (FRAME_THREADS_MAX + SLOTS_MORE)

/* Bytes of a frame that belong to the content of a file. */
struct span {
    uint32_t at, len;
    bool last; /* the file ends with it */
};

/* One frame on its way: filled by the owner; compressed, its files hashed, and written by whoever is
 * free. Files and frames are hashed and written in their order. */
struct slot {
    uint8_t *in, *out;
    size_t in_len;
    ZSTD_CCtx *zstd;
    struct hash *content;
    struct span *spans;
    size_t span_count, span_cap;
    bool given;  /* the frame below came packed */
    bool packed; /* out holds the frame below */
    struct frame frame;
};

struct frames_writer {
    int fd;
    char *name;
    bool keep;
    struct hash *stored, *file;
    struct slot slots[SLOTS_MAX];
    size_t slot_count, out_size;
    uint64_t filling; /* number of the frame that is being filled; its slot is filling % slot_count */
    uint64_t digests_begun, hash_left; /* files, and bytes of the last one that are still to come */
    /* Below the lock; without threads there is nobody to lock out. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    pthread_t threads[FRAME_THREADS_MAX];
    size_t thread_count;
    uint64_t full; /* frames handed over by the owner: each number below is one of those */
    uint64_t packing, hashing, writing; /* numbers of the frames that are next */
    bool hash_busy, write_busy, ending;
    uint64_t at, kicked;
    struct frame_list list;
    uint8_t (*digests)[HASH_SIZE];
    size_t digest_count, digest_cap;
    struct err err; /* the first failure; nothing is written after it */
};

static int slot_init(struct slot *slot, size_t out_size, struct err *err)
{
    slot->in = mem_zero(1, FRAME_CONTENT_MAX);
    slot->out = mem_zero(1, out_size);
    slot->content = hash_new();
    slot->zstd = ZSTD_createCCtx();
    if (!slot->zstd)
        return err_set(err, FAIL_MEMORY, "no memory for compression");
    return ZSTD_isError(ZSTD_CCtx_setParameter(slot->zstd, ZSTD_c_checksumFlag, 1))
               ? err_set(err, FAIL_INTERNAL, "zstd refuses its settings")
               : 0;
}

static int set_level(struct slot *slot, int level, struct err *err)
{
    return ZSTD_isError(ZSTD_CCtx_setParameter(slot->zstd, ZSTD_c_compressionLevel, level))
               ? err_set(err, FAIL_INTERNAL, "zstd refuses its settings")
               : 0;
}

/* Whether samples from all over the frame hardly compress. */
static bool is_dense(const struct frames_writer *w, struct slot *slot)
{
    size_t packed = 0;
    if (slot->in_len < 2 * SAMPLES * SAMPLE_SIZE)
        return false;
    for (size_t i = 0; i < SAMPLES; i++) {
        const uint8_t *from = slot->in + (slot->in_len - SAMPLE_SIZE) / (SAMPLES - 1) * i;
        size_t got = ZSTD_compress2(slot->zstd, slot->out, w->out_size, from, SAMPLE_SIZE);
        if (ZSTD_isError(got))
            return false; /* the frame itself will tell */
        packed += got;
    }
    return packed * 100 > SAMPLES * SAMPLE_SIZE * (100 - SAVING_LEAST);
}

static int slot_pack(const struct frames_writer *w, struct slot *slot, struct err *err)
{
    if (slot->given)
        return 0;
    slot->frame = (struct frame){ .content = slot->in_len };
    int rc = set_level(slot, FRAME_LEVEL, err);
    if (rc == 0 && is_dense(w, slot))
        rc = set_level(slot, ZSTD_minCLevel(), err);
    if (rc != 0)
        return rc;
    size_t stored = ZSTD_compress2(slot->zstd, slot->out, w->out_size, slot->in, slot->in_len);
    if (ZSTD_isError(stored))
        return err_set(err, FAIL_INTERNAL, "%s: compress: %s", w->name, ZSTD_getErrorName(stored));
    slot->frame.stored = stored;
    if (w->keep) {
        hash_add(slot->content, slot->in, slot->in_len);
        hash_end(slot->content, slot->frame.sha256);
        hash_add(slot->content, slot->out, stored);
        hash_end(slot->content, slot->frame.packed);
    }
    return 0;
}

/* Of one frame after the other: running digest and list are changed by whose turn it is alone. */
static void slot_hash(struct frames_writer *w, const struct slot *slot)
{
    for (size_t i = 0; i < slot->span_count; i++) {
        hash_add(w->file, slot->in + slot->spans[i].at, slot->spans[i].len);
        if (!slot->spans[i].last)
            continue;
        if (w->digest_count == w->digest_cap) {
            w->digest_cap = w->digest_cap ? w->digest_cap * 2 : 256;
            w->digests = mem_grow(w->digests, w->digest_cap, sizeof *w->digests);
        }
        hash_end(w->file, w->digests[w->digest_count++]);
    }
}

/* The same for offset and list of frames. */
static int slot_write(struct frames_writer *w, struct slot *slot, struct err *err)
{
    if (fs_write_all(w->fd, slot->out, slot->frame.stored, err) != 0)
        return err_wrap(err, "write %s", w->name);
    hash_add(w->stored, slot->out, slot->frame.stored);
    slot->frame.at = w->at;
    uint64_t end = w->at + slot->frame.stored;
    if (end - w->kicked >= KICK_SIZE) {
        /* Only a hint; whether it was stored, the sync at the end tells. */
        (void)sync_file_range(w->fd, (off_t)w->kicked, (off_t)(end - w->kicked),
                              SYNC_FILE_RANGE_WRITE);
        w->kicked = end;
    }
    return 0;
}

static void slot_written(struct frames_writer *w, struct slot *slot)
{
    frame_list_add(&w->list, &slot->frame);
    w->at += slot->frame.stored;
    w->writing++;
    slot->packed = false;
}

static void slot_clear(struct slot *slot)
{
    slot->in_len = 0;
    slot->span_count = 0;
    slot->given = false;
}

static struct slot *slot_of(struct frames_writer *w, uint64_t number)
{
    return &w->slots[number % w->slot_count];
}

enum task { TASK_NONE, TASK_WRITE, TASK_PACK, TASK_HASH };

/* The oldest frame first: the owner waits for its slot. */
static enum task next_task(struct frames_writer *w)
{
    enum task task = TASK_NONE;
    uint64_t oldest = w->full;
    if (!w->write_busy && w->writing < oldest && slot_of(w, w->writing)->packed) {
        oldest = w->writing;
        task = TASK_WRITE;
    }
    if (w->packing < oldest) {
        oldest = w->packing;
        task = TASK_PACK;
    }
    if (!w->hash_busy && w->hashing < oldest)
        task = TASK_HASH;
    return task;
}

/* The lock is held at the beginning and at the end of each, and not while there is work. */
static int do_pack(struct frames_writer *w, struct err *err)
{
    struct slot *slot = slot_of(w, w->packing++);
    (void)pthread_mutex_unlock(&w->lock);
    int rc = slot_pack(w, slot, err);
    (void)pthread_mutex_lock(&w->lock);
    slot->packed = rc == 0;
    return rc;
}

static int do_write(struct frames_writer *w, struct err *err)
{
    struct slot *slot = slot_of(w, w->writing);
    w->write_busy = true;
    (void)pthread_mutex_unlock(&w->lock);
    int rc = slot_write(w, slot, err);
    (void)pthread_mutex_lock(&w->lock);
    w->write_busy = false;
    if (rc == 0)
        slot_written(w, slot);
    return rc;
}

static void do_hash(struct frames_writer *w)
{
    struct slot *slot = slot_of(w, w->hashing);
    w->hash_busy = true;
    (void)pthread_mutex_unlock(&w->lock);
    slot_hash(w, slot);
    (void)pthread_mutex_lock(&w->lock);
    w->hash_busy = false;
    w->hashing++;
}

static void *work(void *arg)
{
    struct frames_writer *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->ending && w->err.code == 0) {
        struct err why = { 0 };
        int rc = 0;
        enum task task = next_task(w);
        if (task == TASK_NONE) {
            (void)pthread_cond_wait(&w->moved, &w->lock);
            continue;
        }
        if (task == TASK_HASH)
            do_hash(w);
        else
            rc = task == TASK_PACK ? do_pack(w, &why) : do_write(w, &why);
        if (rc != 0 && w->err.code == 0)
            w->err = why;
        (void)pthread_cond_broadcast(&w->moved);
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
    writer->file = hash_new();
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
    for (int rc = 0; threads > 0 && writer->slot_count < threads + SLOTS_MORE; writer->slot_count++)
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
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        (void)ZSTD_freeCCtx(w->slots[i].zstd);
        hash_free(&w->slots[i].content);
        free(w->slots[i].spans);
        free(w->slots[i].in);
        free(w->slots[i].out);
    }
    hash_free(&w->stored);
    hash_free(&w->file);
    frame_list_free(&w->list);
    free(w->digests);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->moved);
    free(w->name);
    free(w);
    *writer = NULL;
}

static int failed(const struct frames_writer *w, struct err *err)
{
    if (w->err.code != 0 && err)
        *err = w->err;
    return -w->err.code;
}

/* Waits until so many frames are written and hashed, or everything has failed. */
static int wait_done(struct frames_writer *w, uint64_t count, struct err *err)
{
    (void)pthread_mutex_lock(&w->lock);
    while ((w->writing < count || w->hashing < count) && w->err.code == 0)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    int rc = failed(w, err);
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

static int cut_alone(struct frames_writer *w, struct slot *slot, struct err *err)
{
    int rc = slot_pack(w, slot, err);
    if (rc == 0)
        rc = slot_write(w, slot, err);
    if (rc != 0)
        return rc;
    slot_hash(w, slot);
    slot_written(w, slot);
    w->filling++;
    w->full = w->packing = w->hashing = w->filling;
    slot_clear(slot_of(w, w->filling));
    return 0;
}

static int hand_over(struct frames_writer *writer, struct err *err)
{
    struct slot *slot = slot_of(writer, writer->filling);
    if (writer->thread_count == 0)
        return cut_alone(writer, slot, err);
    (void)pthread_mutex_lock(&writer->lock);
    writer->full = ++writer->filling;
    (void)pthread_cond_broadcast(&writer->moved);
    (void)pthread_mutex_unlock(&writer->lock);
    int rc = writer->filling < writer->slot_count
                 ? 0
                 : wait_done(writer, writer->filling + 1 - writer->slot_count, err);
    if (rc == 0)
        slot_clear(slot_of(writer, writer->filling));
    return rc;
}

int frames_cut(struct frames_writer *writer, struct err *err)
{
    return slot_of(writer, writer->filling)->in_len == 0 ? 0 : hand_over(writer, err);
}

int frames_put(struct frames_writer *writer, const struct frame *frame, const void *stored,
               struct err *err)
{
    assert(writer->hash_left == 0);
    int rc = frames_cut(writer, err);
    if (rc != 0)
        return rc;
    if (frame->stored == 0 || frame->stored > writer->out_size || frame->content > FRAME_CONTENT_MAX)
        return err_set(err, FAIL_CORRUPT, "%s: a frame of %llu bytes is none of a backup",
                       writer->name, (unsigned long long)frame->stored);
    struct slot *slot = slot_of(writer, writer->filling);
    memcpy(slot->out, stored, frame->stored);
    slot->frame = *frame;
    slot->frame.kept = true;
    slot->given = true;
    return hand_over(writer, err);
}

/* Of the next len bytes in this slot those that belong to a file. */
static void slot_mark(struct frames_writer *w, struct slot *slot, size_t len)
{
    size_t part = len < w->hash_left ? len : (size_t)w->hash_left;
    if (part == 0)
        return;
    if (slot->span_count == slot->span_cap) {
        slot->span_cap = slot->span_cap ? slot->span_cap * 2 : 64;
        slot->spans = mem_grow(slot->spans, slot->span_cap, sizeof *slot->spans);
    }
    w->hash_left -= part;
    slot->spans[slot->span_count++] =
        (struct span){ (uint32_t)slot->in_len, (uint32_t)part, w->hash_left == 0 };
}

int frames_add(struct frames_writer *writer, const void *bytes, size_t len, struct err *err)
{
    const uint8_t *from = bytes;
    while (len > 0) {
        struct slot *slot = slot_of(writer, writer->filling);
        size_t room = FRAME_CONTENT_MAX - slot->in_len;
        size_t part = len < room ? len : room;
        if (from != slot->in + slot->in_len)
            memcpy(slot->in + slot->in_len, from, part);
        slot_mark(writer, slot, part);
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

uint8_t *frames_room(struct frames_writer *writer, size_t *ret_room)
{
    struct slot *slot = slot_of(writer, writer->filling);
    *ret_room = FRAME_CONTENT_MAX - slot->in_len;
    return slot->in + slot->in_len;
}

uint64_t frames_hash(struct frames_writer *writer, uint64_t size)
{
    assert(size > 0);
    assert(writer->hash_left == 0);
    writer->hash_left = size;
    return writer->digests_begun++;
}

const uint8_t *frames_digest(const struct frames_writer *writer, uint64_t number)
{
    assert(number < writer->digest_count);
    return writer->digests[number];
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
    assert(writer->hash_left == 0);
    int rc = frames_cut(writer, err);
    if (rc == 0)
        rc = wait_done(writer, writer->filling, err);
    threads_end(writer);
    if (rc != 0)
        return rc;
    assert(writer->list.count == writer->filling);
    assert(writer->digest_count == writer->digests_begun);
    *ret_size = writer->at;
    hash_end(writer->stored, ret_sha256);
    if (ret_frames) {
        *ret_frames = writer->list;
        writer->list = (struct frame_list){ 0 };
    }
    return 0;
}
