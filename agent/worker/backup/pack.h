/* pack - files as members of ordinary pax archives in zstd frames, `home-0001.tar.zst` and so on,
 * and the way back out.
 *
 * The writer notices a file that changes while it is read and tries again; the reader believes
 * nothing but the manifest's digests. Does not walk trees and does not touch what it reads.
 * Archives end as tar wants them, so `tar --zstd -xf` and bsdtar unpack them alone. Invariant: an
 * entry with a pack was hashed from the very bytes that went into it. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "confleet/err.h"

/* Stored; a pack that passed it is ended and the next one begun. What was packed so far outlives a
 * crash. */
#define PACK_SIZE_MAX (1024ULL * 1024 * 1024)
#define PACK_TRIES    3 /* readings of a file that changes */

struct pack_writer;
/* Packs go into dir; they are listed in manifest, which outlives the writer. Where entries are in a
 * pack stands in the manifest when the pack is finished. */
int pack_writer_new(const char *dir, enum tree tree, struct manifest *manifest,
                    struct pack_writer **ret, struct err *err) MUST_USE;
/* Numbers go on behind the packs that the manifest has of its own. limit: instead of PACK_SIZE_MAX.
 */
void pack_writer_limit(struct pack_writer *writer, uint64_t limit);
/* The first packs are small, and so several of them can be read back at a time. */
void pack_writer_small_first(struct pack_writer *writer);
/* No pack is open: all that was added is synced. */
bool pack_writer_between(const struct pack_writer *writer);
void pack_writer_free(struct pack_writer **writer);
void pack_writer_threads(struct pack_writer *writer, unsigned threads); /* of packs begun later */
/* Packs what dirfd and name reach and adds entry to the manifest. Sockets, fifos and devices are
 * only listed. 1: it is gone. A file that changes in every reading is FAIL_CONFLICT with still (the
 * service is stopped); else the last reading counts and the entry says changed. */
int pack_add(struct pack_writer *writer, int dirfd, const char *name, struct entry *entry,
             bool still, struct err *err) MUST_USE;
/* Of the entry that was added last: bytes of holes, which were neither read nor stored. */
uint64_t pack_writer_holes(const struct pack_writer *writer, const struct entry *entry);
int pack_writer_finish(struct pack_writer *writer,
                       struct err *err) MUST_USE; /* ended, synced, closed */

/* Gets a file's bytes in order; holes come as zeros. */
typedef int pack_sink(void *ctx, const void *bytes, size_t len, struct err *err);
struct pack_reader;
int pack_reader_new(const char *path, const struct manifest_pack *pack, struct pack_reader **ret,
                    struct err *err) MUST_USE;
void pack_reader_free(struct pack_reader **reader);
/* One file's content; sink may be NULL. FAIL_CORRUPT unless size and digest are the entry's: what
 * the sink got before is then worth nothing. */
int pack_read(struct pack_reader *reader, const struct entry *entry, pack_sink *sink, void *ctx,
              struct err *err) MUST_USE;

/* One member against its entry: name, kind, target, owner, mode, time, attributes, content. */
int pack_compare(struct pack_reader *reader, const struct entry *entry, struct err *err) MUST_USE;

/* Reads a whole pack from the disk and compares every member with the manifest, and the bytes as
 * stored with the pack's digest. Of another backup's pack: every member that is referred to. */
typedef void pack_progress(void *ctx, uint64_t bytes);
int pack_check(const char *path, const struct manifest *manifest, uint32_t pack,
               pack_progress *progress, void *ctx, struct err *err) MUST_USE;
