#include "files.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "manifest_spill.h"
#include "scan.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* At the stop the start guard has taken the place of the script that starts Confluence, which waits
 * beside it (guard.h). A backup holds the installation as it starts: the real script under its own
 * name. */
#define GUARDED     "bin/catalina.sh"
#define GUARD_ASIDE ".catalina.sh.confleet"

/* Checkpoints are to cost little, however large the manifest has become. */
#define CHECKPOINT_SHARE 20

struct source {
    const struct manifest *from;
    struct entry_cursor *cursor;
    uint32_t *packs; /* index in its list → index in ours, MANIFEST_NO_PACK until one is needed */
    bool used;       /* of the part: what the cursor is at is still true */
};
struct pass {
    const struct files_spec *spec;
    const struct store *store;
    struct manifest *manifest;
    struct pack_writer *writer;
    struct source part, base;
    pack_progress *progress;
    void *ctx;
    size_t names, noted_packs;
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

static bool is_own(const struct source *part, const struct entry *old)
{
    return old->pack != MANIFEST_NO_PACK && !part->from->packs[old->pack].from[0];
}

static void pass_over(struct pass *pass, const struct entry *old)
{
    struct entry entry = *old;
    entry.stale = true;
    entry.pack = pass->part.packs[old->pack];
    (void)manifest_add_entry(pass->manifest, &entry);
}

/* The part goes on by one name; what its own packs hold and is true no more is noted as such. */
static int part_next(struct pass *pass, struct err *err)
{
    const struct entry *old = entry_cursor_at(pass->part.cursor);
    if (!pass->part.used && is_own(&pass->part, old))
        pass_over(pass, old);
    pass->part.used = false;
    return entry_cursor_next(pass->part.cursor, err);
}

/* Both go through the tree in the same order. */
static int part_find(struct pass *pass, const struct entry *entry, const struct entry **ret,
                     struct err *err)
{
    const struct entry *at = NULL;
    *ret = NULL;
    while (pass->part.cursor && (at = entry_cursor_at(pass->part.cursor)) != NULL) {
        int order = at->tree != entry->tree ? (at->tree < entry->tree ? -1 : 1)
                                            : manifest_path_compare(at->path, entry->path);
        if (order == 0)
            *ret = at;
        if (order >= 0)
            return 0;
        int rc = part_next(pass, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* 1: this source has what entry is, and it was taken from there. */
static int refer(struct pass *pass, struct source *source, const struct entry *old,
                 struct entry *entry, struct err *err)
{
    if (!old || old->pack == MANIFEST_NO_PACK || old->changed || old->fresh ||
        !files_same(old, entry))
        return 0;
    entry->pack = source_pack(pass, source, old->pack);
    entry->at = old->at;
    entry->skip = old->skip;
    memcpy(entry->sha256, old->sha256, HASH_SIZE);
    if (!entry->fresh && !entry->changed && strcmp(old->user, entry->user) == 0 &&
        strcmp(old->group, entry->group) == 0) {
        entry->line = old->line;
        entry->line_len = old->line_len;
        entry->line_file = entry->pack == old->pack ? old->line_file : NULL;
        entry->line_at = old->line_at;
        entry->line_end = old->line_end;
    }
    source->used = true;
    int rc = manifest_put(pass->manifest, entry, false, err);
    entry->line = NULL;
    entry->line_file = NULL;
    if (rc != 0)
        return rc;
    if (pass->spec->spared)
        pass->spec->spared(pass->ctx, entry->size);
    return 1;
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

static int pack(struct pass *pass, int dirfd, const char *name, struct entry *entry,
                struct err *err)
{
    bool still = pass->spec->still, install = entry->tree == TREE_INSTALL;
    if (still && install && strcmp(entry->path, "bin/" GUARD_ASIDE) == 0)
        return 1;
    if (still && install && strcmp(entry->path, GUARDED) == 0 &&
        faccessat(dirfd, GUARD_ASIDE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        name = GUARD_ASIDE;
    return pack_add(pass->writer, dirfd, name, entry, still, err);
}

static int take(void *ctx, int dirfd, const char *name, struct entry *entry,
                const struct entry *old, struct err *err)
{
    struct pass *pass = ctx;
    const struct entry *in_part = NULL;
    if (pass->names + pass->manifest->stale_count >= MANIFEST_ENTRIES_MAX)
        return err_set(err, FAIL_LIMIT, "more than %u files", MANIFEST_ENTRIES_MAX);
    int rc = part_find(pass, entry, &in_part, err);
    if (rc == 0)
        rc = refer(pass, &pass->part, in_part, entry, err);
    if (rc == 0)
        rc = refer(pass, &pass->base, old, entry, err);
    pass->names += rc == 1;
    if (rc != 0)
        return rc > 0 ? 0 : rc;
    if (dirfd < 0)
        return SCAN_REACH;
    if ((rc = pack(pass, dirfd, name, entry, err)) != 0)
        return rc;
    pass->names++;
    uint64_t holes = pack_writer_holes(pass->writer, entry);
    if (holes > 0 && pass->spec->spared)
        pass->spec->spared(pass->ctx, holes);
    if (pass->progress)
        pass->progress(pass->ctx, entry->size - holes);
    return note(pass, err);
}

static int source_make(struct source *source, const struct manifest *from, struct err *err)
{
    source->from = from;
    if (!from)
        return 0;
    source->packs = mem_zero(from->pack_count + 1, sizeof *source->packs);
    for (size_t i = 0; i < from->pack_count; i++)
        source->packs[i] = MANIFEST_NO_PACK;
    return entry_cursor_new(from, &source->cursor, err);
}

static void pass_free(struct pass *pass)
{
    free(pass->part.packs);
    free(pass->base.packs);
    entry_cursor_free(&pass->part.cursor);
    entry_cursor_free(&pass->base.cursor);
}

/* Packs of the part are in the folder already, and so is all that is in them. */
static void take_part(struct pass *pass)
{
    const struct manifest *part = pass->part.from;
    for (uint32_t i = 0; part && i < part->pack_count; i++)
        if (!part->packs[i].from[0])
            (void)source_pack(pass, &pass->part, i);
}

static int leave_part(struct pass *pass, struct err *err)
{
    const struct manifest *part = pass->part.from;
    int rc = 0;
    while (rc == 0 && part && entry_cursor_at(pass->part.cursor))
        rc = part_next(pass, err);
    for (size_t i = 0; rc == 0 && part && i < part->stale_count; i++)
        pass_over(pass, &part->stale[i]);
    return rc;
}

static int capture_tree(struct pass *pass, enum tree tree, struct err *err)
{
    const struct files_spec *spec = pass->spec;
    CLEANUP(free_mem) char *dir = store_path(pass->store, pass->manifest->id, spec->ending, NULL);
    CLEANUP(pack_writer_free) struct pack_writer *writer = NULL;
    const char *skip[] = { pass->store->dir, tree == TREE_INSTALL ? spec->root[TREE_HOME] : NULL,
                           NULL };
    struct scan_spec scan = { .tree = tree, .root = spec->root[tree], .skip = skip,
                              .base = pass->base.cursor };
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
    rc = scan_tree(&scan, take, pass, err);
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
    int rc = source_make(&pass.part, spec->part, err);
    if (rc == 0)
        rc = source_make(&pass.base, spec->base, err);
    if (rc != 0)
        return rc;
    take_part(&pass);
    pass.noted_packs = manifest->pack_count;
    for (enum tree tree = 0; rc == 0 && tree < TREE_COUNT; tree++)
        rc = capture_tree(&pass, tree, err);
    if (rc == 0)
        rc = leave_part(&pass, err);
    return rc == 0 ? fs_sync_dir(dir, err) : rc;
}

void files_outside(const struct manifest *manifest, struct str *ret_text)
{
    CLEANUP(sums_free) struct sums sums;
    manifest_sum(manifest, &sums);
    str_add(ret_text, str_text(&sums.outside_links));
}
