/* bulk_part - the receiving end's file of one artifact: DIR/SHA256.partial while it grows, DIR/SHA256 when it is right.
 *
 * Bytes are taken in order only and hashed as they come; what a former transfer left is hashed again at the opening. Whole
 * and wrong is removed: nobody can tell which of its bytes is bad. Invariant: DIR/SHA256 is synced and has that digest. */
#pragma once
#include "confleet/bulk.h"
#include "confleet/hash.h"
#include "confleet/wire.h"

struct bulk_part {
    char sha256[HASH_HEX_MAX];
    char *path, *partial;
    uint64_t size, have;
    int fd;                      /* -1: not open */
    struct hash *hash;
};

/* The one way from a digest to a path: FAIL_USAGE for anything but 64 lower-case hex digits. */
int bulk_path(const char *dir, const char *sha256, char **ret_path, struct err *err) MUST_USE;
/* 1: the artifact is there already, whole and right; 0: open, part->have bytes are held. FAIL_BUSY: another transfer of it
 * runs. part is all zero before; close it after 0 only. */
int bulk_part_open(struct bulk_part *part, const char *dir, const char *sha256, uint64_t size, struct err *err) MUST_USE;
/* 1: complete and in place, the part is closed; 0: go on. After a failure: close. */
int bulk_part_add(struct bulk_part *part, const Confleet__BulkChunk *chunk, struct err *err) MUST_USE;
void bulk_part_close(struct bulk_part *part);

/* What a chunk at this offset has to hold: all but the last are full. */
size_t bulk_chunk_len(uint64_t size, uint64_t offset);
/* Appends the frame of the chunk at offset, read from fd. */
int bulk_chunk_read(int fd, const char *path, const char *sha256, uint64_t size, uint64_t offset, struct str *ret_bytes,
                    struct err *err) MUST_USE;

/* A peer's code as one of ours; FAIL_PROTOCOL for a number that is none. */
enum fail bulk_fail_of(uint32_t code);
