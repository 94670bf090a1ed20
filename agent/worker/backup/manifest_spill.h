/* manifest_spill - where the names of a manifest go while it is made, when they are not to be held in
 * memory: lines in two files without a name, in the order in which they come.
 *
 * Names that are known to their last field are written at once; of those that an earlier manifest has
 * word for word, it is only noted where. Those whose pack is open wait in
 * memory until it is finished, and go to a file of their own, each with its place among the others.
 * Nothing of it outlives the process. */
#pragma once
#include "agent/worker/backup/manifest_read.h"

/* dir: of the file system that the manifest will be on. Before the first name. */
int manifest_spill_to(struct manifest *manifest, const char *dir, struct err *err) MUST_USE;
void manifest_spill_free(struct manifest_spill **spill);
/* The next name, its texts borrowed; into memory when there is no spill. waits: its pack is open. */
int manifest_put(struct manifest *manifest, const struct entry *entry, bool waits,
                 struct err *err) MUST_USE;
/* The names that wait have their places. */
int manifest_settle(struct manifest *manifest, struct err *err) MUST_USE;
/* All lines, merged; no name waits. */
int manifest_spill_copy(struct manifest_spill *spill, lines_fn *take, void *ctx,
                        struct err *err) MUST_USE;

/* For manifest.c and manifest_read.c. */
struct pool *manifest_spill_pool(struct manifest_spill *spill);
void manifest_spill_own(const struct manifest_spill *spill, struct window *ret, uint64_t *ret_end);
