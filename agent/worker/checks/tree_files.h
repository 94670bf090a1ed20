/* tree_files - the files of an installation, found without following a link and hashed on all
 * cores.
 *
 * Reads only, also trees whose owner has fewer rights than we: every file is opened beneath the
 * root, links on the way refused, what is no regular file never read. What cannot be read is
 * remembered with its reason, never left out in silence. */
#pragma once
#include "agent/worker/backup/pool.h"
#include "confleet/err.h"
#include "confleet/hash.h"

#define TREE_FILES_MAX 300000
struct tree_file {
    const char *path;
    uint64_t size;
    int64_t mtime_s;
    uint32_t mode; /* with its kind; a folder stands here only when it was not entered */
    int failed;    /* errno of what kept it from being read */
    bool wanted, hashed;
    uint8_t sha256[HASH_SIZE]; /* of a link: of its text */
};
struct tree {
    struct pool pool;
    struct tree_file *files; /* sorted by path */
    size_t count, room;
    int root_fd;
    bool open;
};
/* Whether to look into a folder, by its path below the root. */
typedef bool tree_enter_fn(const void *arg, const char *folder);
/* enter NULL: everything. Other file systems are never entered. FAIL_LIMIT above TREE_FILES_MAX. */
int tree_walk(const char *root, tree_enter_fn *enter, const void *arg, struct tree *ret,
              struct err *err) MUST_USE;
/* Hashes what is wanted, until the time is up (zero: no limit); what is then left is not hashed. */
void tree_hash(struct tree *tree, int64_t until_mono_ms);
void tree_free(struct tree *tree); /* fits CLEANUP() */
