/* place - names below one root, reached by descriptors alone: no component of a path is ever
 * followed if it is a link. */
#pragma once
#include "agent/worker/backup/manifest.h"

#define PLACE_TEMP                                                                                 \
    ".confleet-restore" /* what is being written; a leftover is removed like any name that does    \
                           not belong */

struct place {
    const char *root;
    int fd;
    int dirfd;
    char *dir;
}; /* dirfd, dir: the folder that was asked for last */
int place_open(struct place *place, const char *root, struct err *err) MUST_USE;
void place_close(struct place *place);
void place_forget(struct place *place); /* a folder was removed: the next find starts at the root */
/* The folder that holds path, and path's last component; both borrowed until the next call. "." is
 * "." in the root itself. */
int place_find(struct place *place, const char *path, int *ret_dirfd, const char **ret_name,
               struct err *err) MUST_USE;
/* Owner, attributes, mode, time of what was just made. */
int place_apply(struct place *place, int dirfd, const char *name, const struct entry *want,
                struct err *err) MUST_USE;
int place_settle(struct place *place, int dirfd, const char *name, const struct entry *want,
                 bool *ret_touched, struct err *err) MUST_USE; /* only if it differs */
int place_link(struct place *place, const char *target, const char *path, bool *ret_made,
               struct err *err) MUST_USE; /* a hard link */
int place_special(struct place *place, const struct entry *want, bool *ret_made,
                  struct err *err) MUST_USE; /* a symlink or fifo */
