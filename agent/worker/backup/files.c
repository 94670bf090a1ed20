#include "files.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "scan.h"
#include <fcntl.h>
#include <string.h>

/* At the stop the start guard has taken the place of the script that starts Confluence, which waits
 * beside it (guard.h). A backup holds the installation as it starts: the real script under its own
 * name. */
#define GUARDED     "bin/catalina.sh"
#define GUARD_ASIDE ".catalina.sh.confleet"
#define OUTSIDE_MAX 8 /* links named in a note; a customer with more has more to read than a note  \
                       */

struct pass {
    const struct files_spec *spec;
    struct manifest *manifest;
    struct pack_writer *writer;
    uint32_t
        *packs; /* index in the base's list → index in ours, MANIFEST_NO_PACK until one is needed */
    pack_progress *progress;
    void *ctx;
};

bool files_same(const struct entry *a, const struct entry *b)
{
    return a->type == b->type && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns && a->ino == b->ino && a->mode == b->mode &&
           a->uid == b->uid && a->gid == b->gid && strcmp(a->target, b->target) == 0 &&
           strcmp(a->xattrs, b->xattrs) == 0;
}

static uint32_t base_pack(struct pass *pass, uint32_t pack)
{
    const struct manifest *base = pass->spec->base;
    if (pass->packs[pack] == MANIFEST_NO_PACK) {
        struct manifest_pack copy = base->packs[pack];
        copy.name = manifest_text(pass->manifest, copy.name);
        copy.from = manifest_text(pass->manifest, copy.from[0] ? copy.from : base->id);
        pass->packs[pack] = manifest_add_pack(pass->manifest, &copy);
    }
    return pass->packs[pack];
}

static int take(void *ctx, int dirfd, const char *name, struct entry *entry, struct err *err)
{
    struct pass *pass = ctx;
    const struct manifest *base = pass->spec->base;
    const struct entry *old = base ? manifest_find(base, entry->tree, entry->path) : NULL;
    if (pass->manifest->entry_count + pass->manifest->stale_count >= MANIFEST_ENTRIES_MAX)
        return err_set(err, FAIL_LIMIT, "more than %u files", MANIFEST_ENTRIES_MAX);
    if (old && old->pack != MANIFEST_NO_PACK && !old->changed && !old->fresh &&
        files_same(old, entry)) {
        entry->pack = base_pack(pass, old->pack);
        entry->at = old->at;
        entry->skip = old->skip;
        memcpy(entry->sha256, old->sha256, HASH_SIZE);
        (void)manifest_add_entry(pass->manifest, entry);
        return 0;
    }
    int rc = 0;
    if (pass->spec->still && entry->tree == TREE_INSTALL &&
        strcmp(entry->path, "bin/" GUARD_ASIDE) == 0)
        return 1;
    if (pass->spec->still && entry->tree == TREE_INSTALL && strcmp(entry->path, GUARDED) == 0 &&
        faccessat(dirfd, GUARD_ASIDE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        rc = pack_add(pass->writer, dirfd, GUARD_ASIDE, entry, true, err);
    else
        rc = pack_add(pass->writer, dirfd, name, entry, pass->spec->still, err);
    if (rc == 0 && pass->progress)
        pass->progress(pass->ctx, entry->size);
    return rc;
}

int files_capture(const struct store *store, struct manifest *manifest,
                  const struct files_spec *spec, pack_progress *progress, void *ctx,
                  struct err *err)
{
    CLEANUP(free_mem) char *dir = store_path(store, manifest->id, spec->ending, NULL);
    CLEANUP(free_mem) uint32_t *packs = NULL;
    int rc = 0;
    if (spec->base) {
        packs = mem_zero(spec->base->pack_count + 1, sizeof *packs);
        for (size_t i = 0; i < spec->base->pack_count; i++)
            packs[i] = MANIFEST_NO_PACK;
    }
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++) {
        CLEANUP(pack_writer_free) struct pack_writer *writer = NULL;
        const char *skip[] = { store->dir, tree == TREE_INSTALL ? spec->root[TREE_HOME] : NULL,
                               NULL };
        struct scan_spec scan = { .tree = tree, .root = spec->root[tree], .skip = skip };
        struct pass pass = {
            .spec = spec, .manifest = manifest, .packs = packs, .progress = progress, .ctx = ctx
        };
        manifest->root[tree] = manifest_text(manifest, spec->root[tree]);
        rc = pack_writer_new(dir, tree, manifest, &writer, err);
        pass.writer = writer;
        if (rc == 0)
            rc = scan_tree(&scan, manifest, take, &pass, err);
        if (rc == 0)
            rc = pack_writer_finish(writer, err);
        if (rc != 0 && err)
            return err_wrap(err, "capture the %s %s", tree_name(tree), spec->root[tree]);
    }
    return rc == 0 ? fs_sync_dir(dir, err) : rc;
}

/* A relative target that climbs no further than its own folder is deep stays inside. */
static bool leads_outside(const struct manifest *m, const struct entry *entry)
{
    const char *root = m->root[entry->tree];
    size_t len = strlen(root);
    if (entry->target[0] == '/')
        return strncmp(entry->target, root, len) != 0 ||
               (entry->target[len] != '/' && entry->target[len] != '\0');
    int depth = 0;
    for (const char *c = entry->path; *c; c++)
        depth += *c == '/';
    for (const char *part = entry->target; *part;) {
        size_t n = strcspn(part, "/");
        depth += n == 2 && strncmp(part, "..", 2) == 0  ? -1
                 : n == 0 || (n == 1 && part[0] == '.') ? 0
                                                        : 1;
        if (depth < 0)
            return true;
        part += n + (part[n] == '/');
    }
    return false;
}

void files_outside(const struct manifest *manifest, struct str *ret_text)
{
    size_t found = 0;
    for (size_t i = 0; i < manifest->entry_count; i++) {
        const struct entry *entry = &manifest->entries[i];
        if (entry->type == ENTRY_LINK && leads_outside(manifest, entry) && found++ < OUTSIDE_MAX)
            str_addf(ret_text, "%s/%s leads to %s\n", manifest->root[entry->tree], entry->path,
                     entry->target);
    }
    if (found > OUTSIDE_MAX)
        str_addf(ret_text, "and %zu more\n", found - OUTSIDE_MAX);
}
