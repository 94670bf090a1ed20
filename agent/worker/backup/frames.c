#include "frames.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

/* Frames of ours need a window no larger than their content. */
#define FRAME_WINDOW_LOG_MAX 23
/* Who seeks may want one small file: the first reading after it is small, each further one twice as
 * large. */
#define SEEK_CHUNK (128u * 1024)

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

static int zstd_failed(const char *name, uint64_t at, size_t code, struct err *err)
{
    return err_set(err, FAIL_CORRUPT, "%s: damaged at byte %llu: %s", name, (unsigned long long)at,
                   ZSTD_getErrorName(code));
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
    size_t chunk;                    /* since a seek: the next reading; zero: none was, and
                                        what was read is the file in its order */
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
    if (at >= base && at <= base + reader->in_len) {
        reader->in_used = (size_t)(at - base);
        reader->at = at;
        return 0;
    }
    if (lseek(reader->fd, (off_t)at, SEEK_SET) < 0)
        return err_sys(err, FAIL_IO, errno, "seek %s", reader->name);
    reader->in_len = reader->in_used = 0;
    reader->at = at;
    reader->chunk = SEEK_CHUNK;
    return 0;
}

/* Reads until so many bytes wait or the file ends. */
static int reader_fill(struct frames_reader *reader, size_t want, struct err *err)
{
    size_t left = reader->in_len - reader->in_used;
    memmove(reader->in, reader->in + reader->in_used, left);
    reader->in_used = 0;
    reader->in_len = left;
    while (reader->in_len < want) {
        ssize_t got = read(reader->fd, reader->in + reader->in_len, want - reader->in_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", reader->name);
        if (got == 0)
            break;
        if (reader->chunk == 0)
            hash_add(reader->stored, reader->in + reader->in_len, (size_t)got);
        reader->in_len += (size_t)got;
    }
    return 0;
}

/* At least the next frame, if there is one; a damaged one is for the decoder to tell. */
static int reader_need(struct frames_reader *r, struct err *err)
{
    size_t have = r->in_len - r->in_used;
    if (r->chunk == 0)
        return have < r->in_size / 2 ? reader_fill(r, r->in_size, err) : 0;
    while (have < r->in_size / 2 &&
           ZSTD_isError(ZSTD_findFrameCompressedSize(r->in + r->in_used, have))) {
        size_t before = have, want = have + r->chunk;
        int rc = reader_fill(r, want < r->in_size ? want : r->in_size, err);
        if (rc != 0)
            return rc;
        have = r->in_len - r->in_used;
        if (have == before)
            break;
        if (r->chunk < r->in_size)
            r->chunk *= 2;
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
        int rc = reader_need(reader, err);
        if (rc != 0)
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

int frames_expect(struct frames_reader *reader, const struct frame *want, size_t number,
                  const uint8_t **ret_content, struct err *err)
{
    uint8_t sha256[HASH_SIZE];
    const uint8_t *content = NULL;
    struct frame frame;
    int got = frames_next(reader, &content, &frame, err);
    if (got < 0)
        return got;
    if (got == 0 || frame.at != want->at || frame.stored != want->stored ||
        frame.content != want->content)
        return err_set(err, FAIL_CORRUPT, "%s: frame %zu is not the one of the manifest",
                       reader->name, number);
    hash_bytes(content, frame.content, sha256);
    if (memcmp(sha256, want->sha256, HASH_SIZE) != 0)
        return err_set(err, FAIL_CORRUPT, "%s: frame %zu: its digest differs from the manifest's",
                       reader->name, number);
    *ret_content = content;
    return 0;
}

void frames_stored_sha256(struct frames_reader *reader, uint8_t out[HASH_SIZE])
{
    hash_end(reader->stored, out);
}
