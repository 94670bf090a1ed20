/* files - one pass over installation and home into packs, whole or as the difference to an earlier
 * backup.
 *
 * A name whose metadata are exactly those of the base, and whose content was surely read after its
 * last change, is referred to where it is; everything else is packed anew. Does not decide when a
 * pass is made and does not give the backup its name. */
#pragma once
#include "agent/worker/backup/store.h"

struct files_spec {
    const char *root[TREE_COUNT];
    const struct manifest *base; /* NULL: everything is packed. Its head is enough */
    const struct manifest *part; /* what this very backup holds since it was cut off, or NULL */
    uint64_t pack_limit;         /* zero: PACK_SIZE_MAX */
    bool checkpoint;             /* note after each pack what is there, for one who goes on */
    pack_progress *spared;       /* hears of bytes that need not be read; may be NULL */
    bool still;                  /* the service is stopped: what changes now is an error */
    const char *ending;          /* of the folder that the packs go into */
    unsigned threads;            /* that compress beside the one that reads */
};
/* progress hears of bytes as they are taken; ctx is its own. Entries and packs are added to
 * manifest. */
int files_capture(const struct store *store, struct manifest *manifest,
                  const struct files_spec *spec, pack_progress *progress, void *ctx,
                  struct err *err) MUST_USE;
/* Whether nothing that a restore puts back differs, ctime and inode included: content need not be
 * read. */
bool files_same(const struct entry *a, const struct entry *b);
/* Links that lead out of their tree, one a line with where to: what they point to is in no backup.
 */
void files_outside(const struct manifest *manifest, struct str *ret_text);
