#include "bulk_part.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int bulk_path(const char *dir, const char *sha256, char **ret_path, struct err *err)
{
    if (!hash_is_hex(sha256))
        return err_set(
            err, FAIL_USAGE,
            "an artifact's name is its SHA-256, 64 lower-case hex digits, and nothing else");
    *ret_path = fs_join(dir, sha256);
    return 0;
}

size_t bulk_chunk_len(uint64_t size, uint64_t offset)
{
    assert(offset <= size);
    return size - offset < WIRE_CHUNK_MAX ? (size_t)(size - offset) : WIRE_CHUNK_MAX;
}

static int read_all(int fd, const char *path, void *bytes, size_t len, uint64_t offset,
                    struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", path);
        if (got == 0)
            return err_set(err, FAIL_CORRUPT, "%s ends at byte %llu, before its size", path,
                           (unsigned long long)offset + done);
        done += (size_t)got;
    }
    return 0;
}

int bulk_chunk_read(int fd, const char *path, const char *sha256, uint64_t size, uint64_t offset,
                    struct str *ret_bytes, struct err *err)
{
    size_t len = bulk_chunk_len(size, offset);
    CLEANUP(free_mem) uint8_t *data = mem_zero(1, len + 1);
    uint8_t check[HASH_SIZE];
    int result = read_all(fd, path, data, len, offset, err);
    if (result < 0)
        return result;
    hash_bytes(data, len, check);
    Confleet__BulkChunk chunk = CONFLEET__BULK_CHUNK__INIT;
    chunk.sha256 = (char *)(uintptr_t)sha256; /* the encoder only reads */
    chunk.offset = offset;
    chunk.size = size;
    chunk.data = (ProtobufCBinaryData){ len, data };
    chunk.check = (ProtobufCBinaryData){ sizeof check, check };
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_CHUNK;
    frame.chunk = &chunk;
    wire_encode(&frame.base, ret_bytes);
    return 0;
}

/* A file under the final name is believed after it was read, as it may have been put there by hand.
 */
static int is_there(const struct bulk_part *part, struct err *err)
{
    char digest[HASH_HEX_MAX];
    uint64_t size = 0;
    if (!fs_exists(part->path))
        return 0;
    int result = hash_file_hex(part->path, digest, &size, err);
    if (result < 0)
        return result;
    if (size == part->size && strcmp(digest, part->sha256) == 0)
        return 1;
    return fs_unlink(part->path, err);
}

/* Hashes what an earlier transfer left. More than the whole cannot be right. */
static int hash_held(struct bulk_part *part, struct err *err)
{
    struct stat st;
    if (fstat(part->fd, &st) < 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", part->partial);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_IO, "%s is no regular file", part->partial);
    if ((uint64_t)st.st_size > part->size) {
        if (ftruncate(part->fd, 0) < 0)
            return err_sys(err, FAIL_IO, errno, "empty %s", part->partial);
        st.st_size = 0;
    }
    CLEANUP(free_mem) uint8_t *bytes = mem_zero(1, WIRE_CHUNK_MAX);
    while (part->have < (uint64_t)st.st_size) {
        size_t len = bulk_chunk_len((uint64_t)st.st_size, part->have);
        int result = read_all(part->fd, part->partial, bytes, len, part->have, err);
        if (result < 0)
            return result;
        hash_add(part->hash, bytes, len);
        part->have += len;
    }
    return 0;
}

/* 1: complete. Whole and wrong: removed, FAIL_MISMATCH. */
static int finish(struct bulk_part *part, struct err *err)
{
    char digest[HASH_HEX_MAX];
    hash_end_hex(part->hash, digest);
    if (strcmp(digest, part->sha256) != 0) {
        int result = fs_unlink(part->partial, err);
        return result < 0
                   ? result
                   : err_set(err, FAIL_MISMATCH,
                             "the artifact's SHA-256 is %.16s..., not %.16s...: it was removed",
                             digest, part->sha256);
    }
    int result = fs_sync_fd(part->fd, part->partial, err);
    if (result == 0)
        result = fs_rename(part->partial, part->path, err);
    if (result < 0)
        return result;
    bulk_part_close(part);
    return 1;
}

static int open_partial(struct bulk_part *part, const char *dir, struct err *err)
{
    part->fd = open(part->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (part->fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", part->partial);
    if (flock(part->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_set(err, FAIL_BUSY, "another transfer writes %s", part->partial)
                   : err_sys(err, FAIL_IO, errno, "lock %s", part->partial);
    int result = hash_held(part, err);
    uint64_t free_bytes = 0, free_inodes = 0;
    if (result == 0)
        result = fs_space(dir, &free_bytes, &free_inodes, err);
    if (result < 0)
        return result;
    if (free_bytes < part->size - part->have) {
        char needed[24], left[24];
        return err_set(err, FAIL_SPACE, "%s has %s free, the artifact still needs %s", dir,
                       text_size(free_bytes, left), text_size(part->size - part->have, needed));
    }
    return 0;
}

int bulk_part_open(struct bulk_part *part, const char *dir, const char *sha256, uint64_t size,
                   struct err *err)
{
    assert(part && dir && sha256);
    *part = (struct bulk_part){ .fd = -1, .size = size };
    if (size == 0)
        return err_set(err, FAIL_USAGE, "an artifact of no bytes");
    int result = bulk_path(dir, sha256, &part->path, err);
    if (result < 0)
        return result;
    memcpy(part->sha256, sha256, HASH_HEX_MAX);
    part->partial = text_printf("%s.partial", part->path);
    part->hash = hash_new();
    result = is_there(part, err);
    if (result == 0)
        result = open_partial(part, dir, err);
    if (result == 0 && part->have == part->size)
        result = finish(part, err); /* a crash came between the last byte and the rename */
    if (result == -FAIL_MISMATCH) { /* removed, so that the next try starts from nothing */
        err_clear(err);
        bulk_part_close(part);
        return bulk_part_open(part, dir, sha256, size, err);
    }
    if (result != 0)
        bulk_part_close(part);
    return result;
}

int bulk_part_add(struct bulk_part *part, const Confleet__BulkChunk *chunk, struct err *err)
{
    uint8_t check[HASH_SIZE];
    if (part->fd < 0 || part->have >= part->size)
        return err_set(err, FAIL_PROTOCOL, "a chunk after the last one");
    if (chunk->size != part->size)
        return err_set(err, FAIL_MISMATCH, "the artifact has %llu bytes there and %llu here",
                       (unsigned long long)chunk->size, (unsigned long long)part->size);
    if (chunk->offset != part->have || chunk->data.len != bulk_chunk_len(part->size, part->have))
        return err_set(err, FAIL_PROTOCOL,
                       "a chunk of %zu bytes at %llu does not follow %llu bytes", chunk->data.len,
                       (unsigned long long)chunk->offset, (unsigned long long)part->have);
    hash_bytes(chunk->data.data, chunk->data.len, check);
    if (memcmp(check, chunk->check.data, sizeof check) != 0)
        return err_set(err, FAIL_CORRUPT, "the chunk at %llu is not what was read there",
                       (unsigned long long)chunk->offset);
    if (lseek(part->fd, (off_t)part->have, SEEK_SET) < 0)
        return err_sys(err, FAIL_IO, errno, "go on in %s", part->partial);
    int result = fs_write_all(part->fd, chunk->data.data, chunk->data.len, err);
    if (result < 0)
        return err_wrap(err, "write %s", part->partial);
    hash_add(part->hash, chunk->data.data, chunk->data.len);
    part->have += chunk->data.len;
    return part->have == part->size ? finish(part, err) : 0;
}

void bulk_part_close(struct bulk_part *part)
{
    /* Nothing rests on the partial file being on the disk: what is there is hashed again. */
    close_fd(&part->fd);
    hash_free(&part->hash);
    free_mem(&part->path);
    free_mem(&part->partial);
}

enum fail bulk_fail_of(uint32_t code)
{
    static const uint32_t known[] = {
#define X(id, number, name) number,
        FAIL_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == code)
            return (enum fail)code;
    return FAIL_PROTOCOL;
}
