#include "files.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "scan.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* At the stop the start guard has taken the place of the script that starts Confluence, which waits
 * beside it (guard.h). A backup holds the installation as it starts: the real script under its own
 * name. */
#define GUARDED     "bin/catalina.sh"
#define GUARD_ASIDE ".catalina.sh.confleet"
#define OUTSIDE_MAX                                                                                \
    8 /* links named in a note; a customer with more has more to read than a note                  \
       */

/* Checkpoints are to cost little, however large the manifest has become. */
#define CHECKPOINT_SHARE 20

struct source {
    const struct manifest *from;
    uint32_t *packs; /* index in its list → index in ours, MANIFEST_NO_PACK until one is needed */
    bool *used;      /* of the part: entries that are still true */
    size_t next;     /* entry that comes next if the tree is as it was */
};
struct pass {
    const struct files_spec *spec;
    const struct store *store;
    struct manifest *manifest;
    struct pack_writer *writer;
    struct source part, base;
    pack_progress *progress;
    void *ctx;
    size_t noted_packs;
    int64_t noted_ms, noting_ms;
};

bool files_same(const struct entry *a, const struct entry *b)
{
    return a->type == b->type && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns && a->ino == b->ino && a->mode == b->mode &&
           a->uid == b->uid && a->gid == b->gid && strcmp(a->target, b->target) == 0 &&
           strcmp(a->xattrs, b->xattrs) == 0;
}

static uint32_t source_pack(struct pass *pass, struct source *source, uint32_t pack)
{
    if (source->packs[pack] == MANIFEST_NO_PACK) {
        struct manifest_pack copy = source->from->packs[pack];
        bool own = source == &pass->part;
        copy.name = manifest_text(pass->manifest, copy.name);
        copy.from =
            manifest_text(pass->manifest, copy.from[0] || own ? copy.from : source->from->id);
        source->packs[pack] = manifest_add_pack(pass->manifest, &copy);
    }
    return source->packs[pack];
}

/* Both go through the tree in the same order, so that nothing needs to be searched as long as
 * nothing has come or gone. */
static const struct entry *source_find(struct source *source, const struct entry *entry)
{
    const struct manifest *from = source->from;
    if (!from)
        return NULL;
    const struct entry *old =
        source->next < from->entry_count ? &from->entries[source->next] : NULL;
    if (!old || old->tree != entry->tree || strcmp(old->path, entry->path) != 0)
        old = manifest_find(from, entry->tree, entry->path);
    if (old)
        source->next = (size_t)(old - from->entries) + 1;
    return old;
}

/* Whether this source has what entry is; then entry says where. */
static bool refer(struct pass *pass, struct source *source, struct entry *entry)
{
    const struct entry *old = source_find(source, entry);
    if (!old || old->pack == MANIFEST_NO_PACK || old->changed || old->fresh ||
        !files_same(old, entry))
        return false;
    entry->pack = source_pack(pass, source, old->pack);
    entry->at = old->at;
    entry->skip = old->skip;
    memcpy(entry->sha256, old->sha256, HASH_SIZE);
    if (source->used)
        source->used[old - source->from->entries] = true;
    (void)manifest_add_entry(pass->manifest, entry);
    if (pass->spec->spared)
        pass->spec->spared(pass->ctx, entry->size);
    return true;
}

static int note(struct pass *pass, struct err *err)
{
    int64_t now = clock_mono_ms();
    size_t packs = pass->manifest->pack_count;
    if (!pass->spec->checkpoint || !pack_writer_between(pass->writer) ||
        packs == pass->noted_packs || now - pass->noted_ms < pass->noting_ms * CHECKPOINT_SHARE)
        return 0;
    int rc = store_note_part(pass->store, pass->manifest, pass->spec->ending, err);
    pass->noted_packs = packs;
    pass->noted_ms = clock_mono_ms();
    pass->noting_ms = pass->noted_ms - now;
    return rc;
}

static int take(void *ctx, int dirfd, const char *name, struct entry *entry, struct err *err)
{
    struct pass *pass = ctx;
    if (pass->manifest->entry_count + pass->manifest->stale_count >= MANIFEST_ENTRIES_MAX)
        return err_set(err, FAIL_LIMIT, "more than %u files", MANIFEST_ENTRIES_MAX);
    if (refer(pass, &pass->part, entry) || refer(pass, &pass->base, entry))
        return 0;
    if (dirfd < 0)
        return SCAN_REACH;
    int rc = 0;
    if (pass->spec->still && entry->tree == TREE_INSTALL &&
        strcmp(entry->path, "bin/" GUARD_ASIDE) == 0)
        return 1;
    if (pass->spec->still && entry->tree == TREE_INSTALL && strcmp(entry->path, GUARDED) == 0 &&
        faccessat(dirfd, GUARD_ASIDE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        rc = pack_add(pass->writer, dirfd, GUARD_ASIDE, entry, true, err);
    else
        rc = pack_add(pass->writer, dirfd, name, entry, pass->spec->still, err);
    uint64_t holes = rc == 0 ? pack_writer_holes(pass->writer, entry) : 0;
    if (holes > 0 && pass->spec->spared)
        pass->spec->spared(pass->ctx, holes);
    if (rc == 0 && pass->progress)
        pass->progress(pass->ctx, entry->size - holes);
    return rc == 0 ? note(pass, err) : rc;
}

static void source_make(struct source *source, const struct manifest *from)
{
    source->from = from;
    source->packs = from ? mem_zero(from->pack_count + 1, sizeof *source->packs) : NULL;
    for (size_t i = 0; from && i < from->pack_count; i++)
        source->packs[i] = MANIFEST_NO_PACK;
}

static void pass_free(struct pass *pass)
{
    free(pass->part.packs);
    free(pass->part.used);
    free(pass->base.packs);
}

/* Packs of the part are in the folder already, and so is all that is in them. */
static void take_part(struct pass *pass)
{
    const struct manifest *part = pass->part.from;
    if (!part)
        return;
    pass->part.used = mem_zero(part->entry_count + 1, sizeof *pass->part.used);
    for (uint32_t i = 0; i < part->pack_count; i++)
        if (!part->packs[i].from[0])
            (void)source_pack(pass, &pass->part, i);
}

static void pass_over(struct pass *pass, const struct entry *old)
{
    struct entry entry = *old;
    entry.stale = true;
    entry.pack = pass->part.packs[old->pack];
    entry.path = manifest_text(pass->manifest, old->path);
    entry.user = manifest_text(pass->manifest, old->user);
    entry.group = manifest_text(pass->manifest, old->group);
    entry.target = manifest_text(pass->manifest, old->target);
    entry.xattrs = manifest_text(pass->manifest, old->xattrs);
    (void)manifest_add_entry(pass->manifest, &entry);
}

/* What the part's own packs hold and what is true no more. */
static void leave_part(struct pass *pass)
{
    const struct manifest *part = pass->part.from;
    for (size_t i = 0; part && i < part->entry_count; i++) {
        const struct entry *old = &part->entries[i];
        if (!pass->part.used[i] && old->pack != MANIFEST_NO_PACK && !part->packs[old->pack].from[0])
            pass_over(pass, old);
    }
    for (size_t i = 0; part && i < part->stale_count; i++)
        pass_over(pass, &part->stale[i]);
}

static int capture_tree(struct pass *pass, enum tree tree, struct err *err)
{
    const struct files_spec *spec = pass->spec;
    CLEANUP(free_mem) char *dir = store_path(pass->store, pass->manifest->id, spec->ending, NULL);
    CLEANUP(pack_writer_free) struct pack_writer *writer = NULL;
    const char *skip[] = { pass->store->dir, tree == TREE_INSTALL ? spec->root[TREE_HOME] : NULL,
                           NULL };
    struct scan_spec scan = { .tree = tree, .root = spec->root[tree], .skip = skip,
                              .base = spec->base };
    pass->manifest->root[tree] = manifest_text(pass->manifest, spec->root[tree]);
    int rc = pack_writer_new(dir, tree, pass->manifest, &writer, err);
    if (rc != 0)
        return rc;
    pack_writer_threads(writer, spec->threads);
    if (spec->still)
        pack_writer_small_first(writer); /* the site waits until they are read back */
    if (spec->pack_limit)
        pack_writer_limit(writer, spec->pack_limit);
    pass->writer = writer;
    rc = scan_tree(&scan, pass->manifest, take, pass, err);
    if (rc == 0)
        rc = pack_writer_finish(writer, err);
    return rc == 0 ? 0 : err_wrap(err, "capture the %s %s", tree_name(tree), spec->root[tree]);
}

int files_capture(const struct store *store, struct manifest *manifest,
                  const struct files_spec *spec, pack_progress *progress, void *ctx,
                  struct err *err)
{
    CLEANUP(free_mem) char *dir = store_path(store, manifest->id, spec->ending, NULL);
    CLEANUP(pass_free)
    struct pass pass = {
        .spec = spec, .store = store, .manifest = manifest, .progress = progress, .ctx = ctx
    };
    int rc = 0;
    source_make(&pass.part, spec->part);
    source_make(&pass.base, spec->base);
    take_part(&pass);
    pass.noted_packs = manifest->pack_count;
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++)
        rc = capture_tree(&pass, tree, err);
    if (rc == 0)
        leave_part(&pass);
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
