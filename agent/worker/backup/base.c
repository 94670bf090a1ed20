#include "base.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define TRIES_MAX 8 /* manifests that are read before everything is packed anew */

CLEANUP_OF(close_dir, DIR *, closedir)

struct ids {
    char (*item)[MANIFEST_ID_MAX];
    size_t count;
};

static void ids_free(struct ids *ids)
{
    free(ids->item);
    *ids = (struct ids){ NULL, 0 };
}

/* Ids begin with their time: the newest comes first. */
static int compare_ids(const void *a, const void *b)
{
    return strcmp(b, a);
}

static int list_ids(const struct store *store, struct ids *ids, struct err *err)
{
    CLEANUP(close_dir) DIR *dir = opendir(store->dir);
    if (!dir)
        return err_sys(err, FAIL_IO, errno, "list %s", store->dir);
    for (const struct dirent *one; (one = readdir(dir)) != NULL;) {
        if (!manifest_id_is_valid(one->d_name))
            continue;
        ids->item = mem_grow(ids->item, ids->count + 1, sizeof *ids->item);
        (void)snprintf(ids->item[ids->count++], MANIFEST_ID_MAX, "%.31s", one->d_name);
    }
    if (ids->count > 1)
        qsort(ids->item, ids->count, sizeof *ids->item, compare_ids);
    return 0;
}

static bool is_first(const struct manifest *m, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(m->packs[i].from, m->packs[at].from) == 0)
            return false;
    return true;
}

size_t base_count(const struct manifest *manifest)
{
    size_t count = 0;
    for (size_t i = 0; i < manifest->pack_count; i++)
        count += manifest->packs[i].from[0] && is_first(manifest, i);
    return count;
}

/* A proof is taken away from a backup whose pack was found bad. */
static bool is_believed(const struct store *store, const struct manifest *m)
{
    for (size_t i = 0; i < m->pack_count; i++) {
        CLEANUP(free_mem) char *proof = store_path(store, m->packs[i].from, "", "proof");
        if (m->packs[i].from[0] && !fs_exists(proof))
            return false;
    }
    return true;
}

int base_find(const struct store *store, struct manifest *ret, bool *ret_found, struct err *err)
{
    CLEANUP(ids_free) struct ids ids = { NULL, 0 };
    *ret_found = false;
    int rc = list_ids(store, &ids, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < ids.count && i < TRIES_MAX; i++) {
        CLEANUP(manifest_free) struct manifest m;
        struct proof proof = { 0 };
        struct err ignored = { 0 };
        char sha256[HASH_HEX_MAX];
        manifest_init(&m);
        if (store_read(store, ids.item[i], "", MANIFEST_WHOLE, &m, sha256, &ignored) != 0 ||
            proof_read(store, ids.item[i], sha256, &proof, &ignored) != 0 ||
            proof.level < CONFLEET__BACKUP_LEVEL__RESTORED || !is_believed(store, &m))
            continue;
        if (base_count(&m) >= CHAIN_MAX)
            return 0; /* the chain is as long as it may be: the next one begins a new chain */
        *ret = m;
        manifest_init(&m);
        *ret_found = true;
        return 0;
    }
    return 0;
}
