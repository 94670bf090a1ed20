/* anchor - paths below one root, asked for in the order of a walk: the way to a folder in which several
 * of them lie is gone once.
 *
 * A folder is held when a second path in a row leads through it. What is held is the folder that was
 * there when it was found; whoever relies on a path looks at the folder's times as well. */
#pragma once
#include "confleet/str.h"

#define ANCHOR_MAX 16

struct anchor {
    int root; /* borrowed */
    struct {
        int fd;
        size_t len;
    } held[ANCHOR_MAX]; /* each below the one before, at so many bytes of path */
    size_t count;
    struct str path, wanted; /* of what is held last; of what the last path would have held */
};
void anchor_free(struct anchor *anchor); /* forgets all */
/* A folder that path leads through, and the rest of the path; good until the next call. */
int anchor_find(struct anchor *anchor, const char *path, const char **ret_rest);
