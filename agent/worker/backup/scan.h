/* scan - one walk over a tree, a folder before what is in it, names in the manifest's order.
 *
 * Descriptors all the way down, no symlink followed, no file system left: another one mounted
 * inside is refused, since what is on it could be neither captured nor put back. Reads names and
 * metadata; contents are the visitor's. */
#pragma once
#include "agent/worker/backup/manifest_read.h"
#include "confleet/err.h"
#include <sys/stat.h>

#define SCAN_DEPTH_MAX 200
#define SCAN_FRESH_MS  1000 /* younger changes may share their time stamp with the next one */

/* dirfd and name reach the thing; old is what the base has under its name, or NULL. All texts are
 * good until the visit ends. 0: taken; 1: it is gone, pass on; -FAIL_X ends the walk.
 * With dirfd -1 entry is just what the base has: whoever needs the thing itself answers SCAN_REACH
 * and is asked again with its folder open. */
#define SCAN_REACH 2
typedef int scan_fn(void *ctx, int dirfd, const char *name, struct entry *entry,
                    const struct entry *old, struct err *err);
/* What the base has and the walk did not meet, in its place. */
typedef int scan_missed_fn(void *ctx, const struct entry *old, struct err *err);

struct scan_spec {
    enum tree tree;
    const char *root;
    const char *const *skip; /* absolute paths not to go into (backup folder, home inside the
                                installation); ended by NULL, may be NULL */
    /* An earlier walk over the same tree, or NULL. A folder that stands as it did then is not
     * listed: whoever adds, removes or renames a name changes the folder's times. On file systems
     * that are not known to keep to that all folders are listed. */
    struct entry_cursor *base; /* goes on behind the tree */
    scan_missed_fn *missed;    /* may be NULL */
};
int scan_tree(const struct scan_spec *spec, scan_fn *visit, void *ctx, struct err *err) MUST_USE;
/* Nanoseconds since 1970; what 64 bits cannot hold is INT64_MIN or INT64_MAX. */
int64_t scan_ns(struct timespec t);
/* Names of users and groups, and the attributes of what was filled last. All zero is empty. */
struct scan_owner {
    bool known;
    uint32_t id;
    struct str name;
};
struct scan_texts {
    struct scan_owner user, group;
    struct str xattrs;
};
void scan_texts_free(struct scan_texts *texts);
/* Fills what stat tells; texts are good until the next call. Path, tree and target of entry are left
 * as they are. */
int scan_fill(struct scan_texts *texts, int dirfd, const char *name, const struct stat *st,
              struct entry *entry, struct err *err) MUST_USE;
