/* harness/bulk - artifacts to move and a queue that stands in for a socket. */
#pragma once
#include "confleet/bulk.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "harness/test.h"
#include <sys/stat.h>

struct artifact {
    uint8_t *bytes;
    uint64_t size;
    char sha256[HASH_HEX_MAX];
};

static inline void artifact_free(struct artifact *artifact)
{
    free(artifact->bytes);
}

static inline struct artifact artifact_make(uint64_t size)
{
    struct artifact artifact = { .bytes = mem_zero(1, size), .size = size };
    for (uint64_t i = 0; i < size; i++)
        artifact.bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    hash_bytes_hex(artifact.bytes, size, artifact.sha256);
    return artifact;
}

/* DIR/SHA256 with the artifact's bytes; the path is good until the next call. */
static inline const char *artifact_write(const struct artifact *artifact, const char *dir,
                                         const char *suffix)
{
    static char path[512];
    struct err err = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s%s", dir, artifact->sha256, suffix);
    CHECK_OK(fs_write(path, artifact->bytes, artifact->size, 0600, &err), err);
    return path;
}

static inline void check_file(const char *dir, const struct artifact *artifact)
{
    struct err err = { 0 };
    char digest[HASH_HEX_MAX];
    CLEANUP(free_mem) char *path = fs_join(dir, artifact->sha256);
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", path);
    CHECK_OK(hash_file_hex(path, digest, NULL, &err), err);
    CHECK_STR(digest, artifact->sha256);
    CHECK(!fs_exists(partial));
}

#define QUEUE_MAX 64
struct queue {
    struct str frames[QUEUE_MAX];
    int first, count, sent, most;
    int refuse_after;
};

/* A bulk_send_fn. */
static inline int queue_send(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct queue *queue = arg;
    if (queue->refuse_after && queue->sent >= queue->refuse_after)
        return err_set(err, FAIL_BUSY, "the peer does not read");
    CHECK(queue->count < QUEUE_MAX);
    str_clear(&queue->frames[(queue->first + queue->count) % QUEUE_MAX]);
    str_add_bytes(&queue->frames[(queue->first + queue->count) % QUEUE_MAX], bytes, len);
    queue->count++;
    queue->sent++;
    queue->most = queue->count > queue->most ? queue->count : queue->most;
    return 0;
}

static inline const struct str *queue_take(struct queue *queue)
{
    CHECK(queue->count > 0);
    const struct str *frame = &queue->frames[queue->first];
    queue->first = (queue->first + 1) % QUEUE_MAX;
    queue->count--;
    return frame;
}

static inline void queue_free(struct queue *queue)
{
    for (int i = 0; i < QUEUE_MAX; i++)
        str_free(&queue->frames[i]);
}

/* Frames of the one who sends an artifact, and the fields of an answer. */
static inline void frame_put(struct str *out, const char *sha256, uint64_t size)
{
    Confleet__BulkPut put = CONFLEET__BULK_PUT__INIT;
    put.sha256 = (char *)(uintptr_t)sha256;
    put.size = size;
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_PUT;
    frame.put = &put;
    str_clear(out);
    wire_encode(&frame.base, out);
}

static inline void frame_get(struct str *out, const char *sha256, uint64_t offset, uint32_t credit)
{
    Confleet__BulkGet get = CONFLEET__BULK_GET__INIT;
    get.sha256 = (char *)(uintptr_t)sha256;
    get.offset = offset;
    get.credit = credit;
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_GET;
    frame.get = &get;
    str_clear(out);
    wire_encode(&frame.base, out);
}

static inline void frame_chunk(struct str *out, const struct artifact *artifact, uint64_t offset,
                               uint64_t size)
{
    uint8_t check[HASH_SIZE];
    uint64_t len =
        artifact->size - offset < WIRE_CHUNK_MAX ? artifact->size - offset : WIRE_CHUNK_MAX;
    hash_bytes(artifact->bytes + offset, len, check);
    Confleet__BulkChunk chunk = CONFLEET__BULK_CHUNK__INIT;
    chunk.sha256 = (char *)(uintptr_t)artifact->sha256;
    chunk.offset = offset;
    chunk.size = size;
    chunk.data = (ProtobufCBinaryData){ len, artifact->bytes + offset };
    chunk.check = (ProtobufCBinaryData){ sizeof check, check };
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_CHUNK;
    frame.chunk = &chunk;
    str_clear(out);
    wire_encode(&frame.base, out);
}

/* Decoded into an arena that the caller frees. */
static inline Confleet__BulkFrame *frame_read(struct arena *arena, const struct str *bytes)
{
    struct err err = { 0 };
    Confleet__BulkFrame *frame = NULL;
    CHECK_OK(wire_decode_bulk(arena, bytes->s, bytes->len, &frame, &err), err);
    return frame;
}
