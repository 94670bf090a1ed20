/* scan - one walk over a tree, a folder before what is in it, names in the manifest's order.
 *
 * Descriptors all the way down, no symlink followed, no file system left: another one mounted
 * inside is refused, since what is on it could be neither captured nor put back. Reads names and
 * metadata; contents are the visitor's. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "confleet/err.h"
#include <sys/stat.h>

#define SCAN_DEPTH_MAX 200
#define SCAN_FRESH_MS  1000 /* younger changes may share their time stamp with the next one */

/* dirfd and name reach the thing. Texts of entry live in the manifest's pool. 0: taken (added to
 * the manifest by the visitor); 1: it is gone, pass on; -FAIL_X ends the walk.
 * With dirfd -1 entry is just what the base has: whoever needs the thing itself answers SCAN_REACH
 * and is asked again with its folder open. */
#define SCAN_REACH 2
typedef int scan_fn(void *ctx, int dirfd, const char *name, struct entry *entry, struct err *err);

struct scan_spec {
    enum tree tree;
    const char *root;
    const char *const *skip; /* absolute paths not to go into (backup folder, home inside the
                                installation); ended by NULL, may be NULL */
    /* An earlier walk over the same tree, or NULL. A folder that stands as it did then is not
     * listed: whoever adds, removes or renames a name changes the folder's times. On file systems
     * that are not known to keep to that all folders are listed. */
    const struct manifest *base;
};
int scan_tree(const struct scan_spec *spec, struct manifest *manifest, scan_fn *visit, void *ctx,
              struct err *err) MUST_USE;
/* Nanoseconds since 1970; what 64 bits cannot hold is INT64_MIN or INT64_MAX. */
int64_t scan_ns(struct timespec t);
/* Fills what stat tells; texts go to the pool. Path, tree and target of entry are left as they are.
 */
int scan_fill(struct manifest *manifest, int dirfd, const char *name, const struct stat *st,
              struct entry *entry, struct err *err) MUST_USE;
