#include "dump_check.h"
#include "confleet/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 4u
#define READ_SIZE   (256u * 1024)
#define STORED_MAX  (2u * FRAME_CONTENT_MAX)

/* Frames from and up to, which one thread reads. */
struct slice {
    const char *path;
    const struct manifest_dump *dump;
    size_t from, to;
    pack_progress *progress;
    void *ctx;
    pthread_mutex_t *lock;
    pthread_t thread;
    int rc;
    struct err err;
};

static bool has_kept(const struct manifest_dump *dump)
{
    for (size_t i = 0; i < dump->frames.count; i++)
        if (dump->frames.item[i].kept)
            return true;
    return false;
}

/* As it is stored, by the digest that was taken when it was written: whoever takes over frames knows
 * that of each. */
static int check_packed(const struct slice *s, int fd, uint8_t *bytes, size_t number,
                        struct err *err)
{
    const struct frame *want = &s->dump->frames.item[number];
    uint8_t sha256[HASH_SIZE];
    for (size_t got = 0; got < want->stored;) {
        ssize_t n = pread(fd, bytes + got, (size_t)want->stored - got, (off_t)(want->at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, FAIL_IO, n < 0 ? errno : EIO, "read %s", s->path);
        got += (size_t)n;
    }
    hash_bytes(bytes, (size_t)want->stored, sha256);
    return memcmp(sha256, want->packed, HASH_SIZE) == 0
               ? 0
               : err_set(err, FAIL_CORRUPT, "%s: frame %zu is not stored as it was written",
                         s->path, number);
}

/* What was taken over had been decoded, and restored, where it was first. */
static int check_frames(struct slice *s, struct frames_reader *reader, struct err *err)
{
    bool packed = has_kept(s->dump);
    CLEANUP(free_mem) uint8_t *bytes = packed ? mem_zero(1, STORED_MAX) : NULL;
    CLEANUP(close_fd) int fd = packed ? open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (packed && fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", s->path);
    for (size_t i = s->from; i < s->to; i++) {
        const struct frame *want = &s->dump->frames.item[i];
        const uint8_t *content = NULL;
        int rc = packed ? check_packed(s, fd, bytes, i, err) : 0;
        if (rc == 0 && !want->kept)
            rc = frames_seek(reader, want->at, err);
        if (rc == 0 && !want->kept)
            rc = frames_expect(reader, want, i, &content, err);
        if (rc != 0)
            return rc;
        (void)pthread_mutex_lock(s->lock);
        if (s->progress)
            s->progress(s->ctx, want->content);
        (void)pthread_mutex_unlock(s->lock);
    }
    return 0;
}

static void *slice_run(void *arg)
{
    struct slice *s = arg;
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    s->rc = frames_reader_new(s->path, s->dump->size, false, &reader, &s->err);
    if (s->rc == 0)
        s->rc = check_frames(s, reader, &s->err);
    return NULL;
}

/* The file's own digest, while others decode. */
static int check_stored(const char *path, const struct manifest_dump *dump, struct err *err)
{
    CLEANUP(free_mem) uint8_t *bytes = mem_zero(1, READ_SIZE);
    CLEANUP(hash_free) struct hash *hash = hash_new();
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    uint8_t sha256[HASH_SIZE];
    ssize_t got = -1;
    while (fd >= 0 && (got = read(fd, bytes, READ_SIZE)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        if (got > 0)
            hash_add(hash, bytes, (size_t)got);
    }
    if (got != 0)
        return err_sys(err, FAIL_IO, errno, "read %s", path);
    hash_end(hash, sha256);
    return memcmp(sha256, dump->sha256, HASH_SIZE) == 0
               ? 0
               : err_set(err, FAIL_CORRUPT, "%s: its digest differs from the manifest's", path);
}

/* One after the other the frames are the whole file. */
static int check_places(const char *path, const struct manifest_dump *dump, struct err *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < dump->frames.count; at += dump->frames.item[i++].stored)
        if (dump->frames.item[i].at != at)
            return err_set(err, FAIL_CORRUPT, "%s: frame %zu does not follow the one before it",
                           path, i);
    return at == dump->size
               ? 0
               : err_set(err, FAIL_CORRUPT, "%s: holds more frames than the manifest", path);
}

/* The first difference is told, in the order of the file. */
static int check_slices(struct slice *slices, unsigned count, struct err *err)
{
    struct err why = { 0 };
    unsigned started = 1;
    while (started < count &&
           pthread_create(&slices[started].thread, NULL, slice_run, &slices[started]) == 0)
        started++;
    for (unsigned i = started; i < count; i++)
        (void)slice_run(&slices[i]);
    (void)slice_run(&slices[0]);
    int rc = has_kept(slices[0].dump) ? 0 : check_stored(slices[0].path, slices[0].dump, &why);
    for (unsigned i = 1; i < started; i++)
        (void)pthread_join(slices[i].thread, NULL);
    for (unsigned i = count; i > 0; i--)
        if (slices[i - 1].rc != 0) {
            rc = slices[i - 1].rc;
            why = slices[i - 1].err;
        }
    if (rc != 0 && err)
        *err = why;
    return rc;
}

int dump_check(const char *path, const struct manifest_dump *dump, unsigned threads,
               pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(frames_reader_free) struct frames_reader *cold = NULL;
    struct slice slices[THREADS_MAX];
    pthread_mutex_t lock;
    size_t frames = dump->frames.count;
    unsigned count = threads < 1 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
    /* Drops the file from the page cache before anybody reads it. */
    int rc = frames_reader_new(path, dump->size, true, &cold, err);
    if (rc == 0)
        rc = check_places(path, dump, err);
    if (rc != 0)
        return rc;
    frames_reader_free(&cold);
    (void)pthread_mutex_init(&lock, NULL);
    for (unsigned i = 0; i < count; i++)
        slices[i] = (struct slice){ .path = path,
                                    .dump = dump,
                                    .from = frames * i / count,
                                    .to = frames * (i + 1) / count,
                                    .progress = progress,
                                    .ctx = ctx,
                                    .lock = &lock };
    rc = check_slices(slices, count, err);
    (void)pthread_mutex_destroy(&lock);
    return rc;
}
