/* restore_files - makes a tree what a manifest says it was, touching only what differs.
 *
 * What is not in the manifest is removed, what is missing or different comes from the packs with
 * its digest checked before it gets its name; owner, mode, times, attributes and links are put
 * back; nothing is followed and nothing outside the root is reached. Idempotent: run again after a
 * crash it does what is left. In memory is what differs alone. Sockets and devices are not made. Invariant: on success every file,
 * folder and link of the manifest is there as it was, and synced. */
#pragma once
#include "agent/worker/backup/store.h"

struct restore_counts {
    uint64_t removed, written, linked, touched, bytes;
};
struct restore_from {
    const struct store *store;
    const struct manifest *manifest;
    const char *ending;
    pack_progress *progress;
    void *ctx;
    bool strip; /* without set-uid and set-gid bits and capabilities */
};
int restore_tree(const struct restore_from *from, enum tree tree, const char *root,
                 struct restore_counts *ret, struct err *err) MUST_USE;
/* Every file of a tree read from where it is, other backups' packs included, and compared; nothing
 * is written. */
int restore_readable(const struct restore_from *from, enum tree tree, struct err *err) MUST_USE;
/* What nobody restores from a backup that may be forged: devices, and unless it is proven
 * programs that are set-uid or have capabilities. FAIL_DENIED names it. */
int restore_harmless(const struct manifest *manifest, bool proven, struct err *err) MUST_USE;
/* Text says from how many files, and from which, strip takes something away. */
int restore_stripped(const struct manifest *manifest, struct str *text, struct err *err) MUST_USE;
