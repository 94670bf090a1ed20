/* discover - where on this server installations of Confluence are: below given folders, and behind
 * running processes.
 *
 * Looks, and changes nothing. Folders whose name begins with a dot are not entered: there the trees
 * of upgrades in progress lie. Depth and number of folders are bounded; a search cut short says so.
 */
#pragma once
#include "confleet/err.h"
#include <stddef.h>

#define DISCOVER_DEPTH_MAX   4
#define DISCOVER_FOLDERS_MAX 20000
#define DISCOVER_FOUND_MAX   64

struct discovery {
    char *paths[DISCOVER_FOUND_MAX];
    size_t count;
    size_t folders;
    bool cut_short;
    int trouble; /* errno of what kept it from looking; what was found is not all then */
};
bool discover_is_installation(const char *path);
void discover_add(struct discovery *discovery,
                  const char *path); /* real path, once; no installation: nothing */
void discover_below(struct discovery *discovery, const char *folder);
void discover_running(struct discovery *discovery, const char *proc_root);
void discovery_free(struct discovery *discovery); /* fits CLEANUP() */
