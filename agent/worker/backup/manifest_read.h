/* manifest_read - a manifest whose names stay in their file: read line after line as often as they are
 * needed, so that memory does not grow with them.
 *
 * The file is opened once and its digest is looked at before any line. Lines come in the order in
 * which they are written: head, names, first readings, dump, database; another order is refused.
 * Cursors read by themselves: several may go at a time, in several threads. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "agent/worker/backup/window.h"

/* HEAD: what is before the first name, and no more is looked at. WHOLE: every line as
 * manifest_parse() does it, with sums and with each pack's members. */
enum manifest_how { MANIFEST_HEAD, MANIFEST_WHOLE };
/* sha256: of the whole file. */
int manifest_open(const char *path, enum manifest_how how, struct manifest *ret,
                  char ret_sha256_or_null[HASH_HEX_MAX], struct err *err) MUST_USE;
void manifest_file_free(struct manifest_file **file);
int manifest_file_copy(const struct manifest_file *file, lines_fn *take, void *ctx,
                       struct err *err) MUST_USE; /* the lines of all names as they are */

/* All names in their order; at() is NULL behind the last one, and good until next(). */
struct entry_cursor;
int entry_cursor_new(const struct manifest *manifest, struct entry_cursor **ret,
                     struct err *err) MUST_USE;
void entry_cursor_free(struct entry_cursor **cursor);
const struct entry *entry_cursor_at(const struct entry_cursor *cursor);
int entry_cursor_next(struct entry_cursor *cursor, struct err *err) MUST_USE;

/* What a pack holds of this manifest, first readings included, in the order of their places. 1 and the
 * next one, good until the next call; 0 at the end. */
struct member_cursor;
int member_cursor_new(const struct manifest *manifest, uint32_t pack, struct member_cursor **ret,
                      struct err *err) MUST_USE;
void member_cursor_free(struct member_cursor **cursor);
int member_cursor_next(struct member_cursor *cursor, const struct entry **ret,
                       struct err *err) MUST_USE;

/* Where the lines of a pack's members begin. */
struct members {
    uint64_t *at;
    size_t count, cap;
};
void members_add(struct manifest *manifest, uint32_t pack, uint64_t at);
void members_free(struct manifest *manifest);

/* Outlives the file; its descriptor is the caller's. -1: none can be had. */
int manifest_file_window(const struct manifest_file *file, struct window *ret) MUST_USE;
