/* frames - a file of zstd frames whose boundaries are ours, so that a reader can begin in the
 * middle.
 *
 * Content goes in as a stream; a frame is closed when it is full or when the owner asks for a cut.
 * Each frame holds at most FRAME_CONTENT_MAX bytes, says so in its header, carries zstd's own
 * checksum, and `zstd -d` reads the file with no help of ours. Threads, if asked for, compress, hash
 * and write behind the owner's back, in order: where a frame begins is known at the end. What does
 * not compress is stored. Knows nothing of tar, dumps or manifests. Invariant: what frames_next() hands out was decoded whole and its checksum held. */
#pragma once
#include "confleet/err.h"
#include "confleet/hash.h"
#include <stdint.h>

#define FRAME_CONTENT_MAX (4u * 1024 * 1024)
#define FRAME_GROUP_MIN   (512u * 1024) /* small members share a frame until it holds this much */

#define FRAME_THREADS_MAX 4u /* each costs two frames of memory */

struct frame {
    uint64_t at, stored;       /* offset and length in the file */
    uint64_t content;          /* bytes it decodes to */
    uint8_t sha256[HASH_SIZE]; /* of the content; all zero when the writer was not asked for it */
    uint8_t packed[HASH_SIZE]; /* of the bytes stored, by frames_finish(); all zero: not known */
    bool kept;                 /* by frames_put() */
};
struct frame_list {
    struct frame *item;
    size_t count, cap;
};
void frame_list_add(struct frame_list *list, const struct frame *frame);
void frame_list_free(struct frame_list *list);

struct frames_writer;
/* Borrows fd, which is at its beginning; name is for error texts. With keep every frame's digest is
 * taken and remembered. */
int frames_writer_new(int fd, const char *name, bool keep, struct frames_writer **ret,
                      struct err *err) MUST_USE;
void frames_writer_free(struct frames_writer **writer);
/* Before the first byte: so many threads compress and write beside the owner. */
int frames_writer_threads(struct frames_writer *writer, unsigned threads, struct err *err) MUST_USE;
/* What fails in a thread is told by one of the next calls, at the latest by frames_finish(). */
int frames_add(struct frames_writer *writer, const void *bytes, size_t len,
               struct err *err) MUST_USE;
/* Where the next byte goes, and how many fit: what is read to there is added from there without
 * being copied. Good until something is added. */
uint8_t *frames_room(struct frames_writer *writer, size_t *ret_room);
/* The next size bytes that are added, not none, are a file: their digest is taken. Returns its number. */
uint64_t frames_hash(struct frames_writer *writer, uint64_t size);
const uint8_t *frames_digest(const struct frames_writer *writer,
                             uint64_t number); /* after frames_finish() */
int frames_cut(struct frames_writer *writer,
               struct err *err) MUST_USE; /* ends the frame; an empty one is no frame */
/* A frame of its own that was packed before, as it stands in another file; whoever calls has compared
 * the bytes with their digest. */
int frames_put(struct frames_writer *writer, const struct frame *frame, const void *stored,
               struct err *err) MUST_USE;
uint64_t frames_number(const struct frames_writer *writer); /* of the frame being filled, from 0 */
uint64_t frames_within(const struct frames_writer *writer); /* content bytes in it so far */
uint64_t frames_written(struct frames_writer *writer);      /* bytes stored so far */
/* Ends the last frame. size, sha256: of the whole file as stored. frames: by number, the caller's to
 * free; may be NULL. */
int frames_finish(struct frames_writer *writer, uint64_t *ret_size, uint8_t ret_sha256[HASH_SIZE],
                  struct frame_list *ret_frames, struct err *err) MUST_USE;

struct frames_reader;
/* Opens path (no symlink) and drops it from the page cache when cold is asked for. size: what it
 * must have. */
int frames_reader_new(const char *path, uint64_t size, bool cold, struct frames_reader **ret,
                      struct err *err) MUST_USE;
void frames_reader_free(struct frames_reader **reader);
/* Goes to a frame that begins at this offset; asking again for the one at hand costs nothing. */
int frames_seek(struct frames_reader *reader, uint64_t at, struct err *err) MUST_USE;
/* 1 and the next frame's content, borrowed until the next call; 0 at the end of the file; -FAIL_X.
 */
int frames_next(struct frames_reader *reader, const uint8_t **ret_content, struct frame *ret_frame,
                struct err *err) MUST_USE;
/* The next frame, which must be this one of the manifest: its place in the file, and its content's
 * digest. number: for the error's text. */
int frames_expect(struct frames_reader *reader, const struct frame *want, size_t number,
                  const uint8_t **ret_content, struct err *err) MUST_USE;
/* Digest of every stored byte read so far, when reading went from the beginning to the end without
 * a seek. */
void frames_stored_sha256(struct frames_reader *reader, uint8_t out[HASH_SIZE]);
