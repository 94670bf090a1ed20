#include "confleet/fs.h"
#include "manifest_read.h"
#include "pack.h"
#include "tar.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

CLEANUP_OF(read_free, struct archive *, archive_read_free)

struct pack_reader {
    char *path;
    struct frames_reader *frames;
    locale_t locale;
    struct hash *hash;
    uint64_t skip;      /* content bytes of the first frame that are not the member's */
    uint64_t passed;    /* content bytes handed out */
    struct frame frame; /* the frame at hand, and where its content begins in the pack */
    uint64_t frame_begins;
    struct frame_list seen; /* with keep: at, and in content the place where its content begins */
    bool keep;
    struct err err;
};

static la_ssize_t give_bytes(struct archive *a, void *ctx, const void **ret_bytes)
{
    struct pack_reader *r = ctx;
    const uint8_t *content = NULL;
    struct frame frame;
    (void)a;
    int got = r->err.code ? -1 : frames_next(r->frames, &content, &frame, &r->err);
    if (got <= 0)
        return got == 0 ? 0 : -1;
    if (r->skip >= frame.content) {
        (void)err_set(&r->err, FAIL_CORRUPT, "%s: the manifest points behind a frame's end",
                      r->path);
        return -1;
    }
    if (r->keep) {
        struct frame begin = { .at = frame.at, .content = r->passed };
        frame_list_add(&r->seen, &begin);
    }
    *ret_bytes = content + r->skip;
    la_ssize_t len = (la_ssize_t)(frame.content - r->skip);
    r->skip = 0;
    r->passed += (uint64_t)len;
    return len;
}

int pack_reader_new(const char *path, const struct manifest_pack *pack, struct pack_reader **ret,
                    struct err *err)
{
    CLEANUP(pack_reader_free) struct pack_reader *r = mem_zero(1, sizeof *r);
    r->path = text_dup(path);
    r->hash = hash_new();
    int rc = frames_reader_new(path, pack->size, true, &r->frames, err);
    if (rc == 0)
        rc = tar_locale_new(&r->locale, err);
    if (rc != 0)
        return rc;
    *ret = TAKE(r);
    return 0;
}

void pack_reader_free(struct pack_reader **reader)
{
    struct pack_reader *r = *reader;
    if (!r)
        return;
    frames_reader_free(&r->frames);
    tar_locale_free(&r->locale);
    hash_free(&r->hash);
    frame_list_free(&r->seen);
    free(r->path);
    free(r);
    *reader = NULL;
}

static int read_failed(struct pack_reader *r, struct archive *tar, const char *path,
                       struct err *err)
{
    if (r->err.code != 0) {
        if (err)
            *err = r->err;
        int rc = -r->err.code;
        err_clear(&r->err);
        return path && err ? err_wrap(err, "at %s", path) : rc;
    }
    const char *text = archive_error_string(tar);
    return err_set(err, FAIL_CORRUPT, "%s: at %s: %s", r->path, path ? path : "its end",
                   text ? text : "no tar archive");
}

static int open_tar(struct pack_reader *r, struct archive **ret, struct err *err)
{
    CLEANUP(read_free) struct archive *tar = archive_read_new();
    if (!tar)
        return err_set(err, FAIL_MEMORY, "no memory for a pack");
    /* Only the one format that is ours; every other parser stays out of reach of these bytes. */
    if (archive_read_support_format_tar(tar) != ARCHIVE_OK ||
        archive_read_open(tar, r, NULL, give_bytes, NULL) != ARCHIVE_OK)
        return read_failed(r, tar, NULL, err);
    *ret = TAKE(tar);
    return 0;
}

struct flow {
    struct pack_reader *reader;
    const struct entry *entry;
    pack_sink *sink;
    void *ctx;
    uint64_t done, zeros; /* zeros: of holes, which nobody read */
};

static int flow_bytes(struct flow *flow, const void *bytes, size_t len, struct err *err)
{
    hash_add(flow->reader->hash, bytes, len);
    flow->done += len;
    return flow->sink ? flow->sink(flow->ctx, bytes, len, err) : 0;
}

static int flow_zeros(struct flow *flow, uint64_t until, struct err *err)
{
    static const char zeros[65536];
    int rc = 0;
    flow->zeros += until - flow->done;
    while (rc == 0 && flow->done < until) {
        uint64_t left = until - flow->done;
        rc = flow_bytes(flow, zeros, left < sizeof zeros ? (size_t)left : sizeof zeros, err);
    }
    return rc;
}

/* The content of the member whose header was just read. Never more than the manifest's size comes
 * out, however much a member claims. */
static int read_content(struct flow *flow, struct archive *tar, struct err *err)
{
    const struct entry *entry = flow->entry;
    uint8_t sha256[HASH_SIZE];
    hash_end(flow->reader->hash, sha256); /* whatever a failed reading left behind */
    for (;;) {
        const void *bytes = NULL;
        size_t len = 0;
        la_int64_t offset = 0;
        int got = archive_read_data_block(tar, &bytes, &len, &offset);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK)
            return read_failed(flow->reader, tar, entry->path, err);
        if (offset < 0 || (uint64_t)offset < flow->done || (uint64_t)offset > entry->size ||
            len > entry->size - (uint64_t)offset)
            return err_set(err, FAIL_CORRUPT, "%s: %s: holds more than the manifest says",
                           flow->reader->path, entry->path);
        int rc = flow_zeros(flow, (uint64_t)offset, err);
        if (rc == 0)
            rc = flow_bytes(flow, bytes, len, err);
        if (rc != 0)
            return rc;
    }
    int rc = flow_zeros(flow, entry->size, err);
    hash_end(flow->reader->hash, sha256);
    if (rc == 0 && memcmp(sha256, entry->sha256, HASH_SIZE) != 0)
        return err_set(err, FAIL_CORRUPT, "%s: %s: its digest differs from the manifest's",
                       flow->reader->path, entry->path);
    return rc;
}

static int open_member(struct pack_reader *reader, const struct entry *entry, struct archive **tar,
                       struct archive_entry **ret, struct err *err)
{
    err_clear(&reader->err);
    reader->skip = entry->skip;
    int rc = frames_seek(reader->frames, entry->at, err);
    if (rc == 0)
        rc = open_tar(reader, tar, err);
    if (rc != 0)
        return rc;
    int got = archive_read_next_header(*tar, ret);
    return got == ARCHIVE_OK || got == ARCHIVE_WARN ? 0
                                                    : read_failed(reader, *tar, entry->path, err);
}

int pack_read(struct pack_reader *reader, const struct entry *entry, pack_sink *sink, void *ctx,
              struct err *err)
{
    TAR_LOCALE(reader->locale);
    CLEANUP(read_free) struct archive *tar = NULL;
    struct archive_entry *member = NULL;
    struct flow flow = { .reader = reader, .entry = entry, .sink = sink, .ctx = ctx };
    assert(entry->type == ENTRY_FILE);
    int rc = open_member(reader, entry, &tar, &member, err);
    if (rc != 0)
        return rc;
    if (archive_entry_filetype(member) != AE_IFREG || archive_entry_hardlink(member) ||
        (uint64_t)archive_entry_size(member) != entry->size)
        return err_set(err, FAIL_CORRUPT, "%s: what is stored for %s is not that file",
                       reader->path, entry->path);
    return read_content(&flow, tar, err);
}

int pack_compare(struct pack_reader *reader, const struct entry *entry, struct err *err)
{
    TAR_LOCALE(reader->locale);
    CLEANUP(read_free) struct archive *tar = NULL;
    struct archive_entry *member = NULL;
    struct flow flow = { .reader = reader, .entry = entry };
    int rc = open_member(reader, entry, &tar, &member, err);
    if (rc == 0)
        rc = tar_entry_compare(entry, member, reader->path, err);
    return rc == 0 && entry->type == ENTRY_FILE ? read_content(&flow, tar, err) : rc;
}

/* ---- the whole pack ---- */

/* The place that the manifest names must be the one where the member begins, or it could not be
 * read back alone. */
static int check_place(struct pack_reader *r, const struct entry *entry, uint64_t position,
                       size_t *frame, struct err *err)
{
    while (*frame < r->seen.count && r->seen.item[*frame].at < entry->at)
        (*frame)++;
    if (*frame == r->seen.count || r->seen.item[*frame].at != entry->at ||
        r->seen.item[*frame].content + entry->skip != position)
        return err_set(err, FAIL_CORRUPT, "%s: %s is not where the manifest says", r->path,
                       entry->path);
    return 0;
}

static int check_members(struct pack_reader *r, struct member_cursor *members,
                         pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(read_free) struct archive *tar = NULL;
    struct archive_entry *member = NULL;
    const struct entry *entry = NULL;
    size_t frame = 0;
    int rc = open_tar(r, &tar, err);
    while (rc == 0 && (rc = member_cursor_next(members, &entry, err)) > 0) {
        int got = archive_read_next_header(tar, &member);
        if (got == ARCHIVE_EOF)
            return err_set(err, FAIL_CORRUPT, "%s: ends before %s", r->path, entry->path);
        bool odd = !text_is_utf8(entry->path, strlen(entry->path)) ||
                   !text_is_utf8(entry->target, strlen(entry->target));
        if (got != ARCHIVE_OK && !(got == ARCHIVE_WARN && odd))
            return read_failed(r, tar, entry->path, err);
        struct flow flow = { .reader = r, .entry = entry };
        rc = check_place(r, entry, (uint64_t)archive_read_header_position(tar), &frame, err);
        if (rc == 0)
            rc = tar_entry_compare(entry, member, r->path, err);
        if (rc == 0 && entry->type == ENTRY_FILE)
            rc = read_content(&flow, tar, err);
        if (rc == 0 && progress)
            progress(ctx, entry->size - flow.zeros);
    }
    if (rc != 0)
        return rc;
    int got = archive_read_next_header(tar, &member);
    if (got == ARCHIVE_OK)
        return err_set(err, FAIL_CORRUPT, "%s: holds '%s', which the manifest does not know",
                       r->path, archive_entry_pathname(member));
    return got == ARCHIVE_EOF ? 0 : read_failed(r, tar, NULL, err);
}

/* Whether the member at this position is the entry; what lies between is the other backup's own. */
static int is_place(struct pack_reader *r, const struct entry *entry, uint64_t position,
                    size_t *frame, bool *ret_is, struct err *err)
{
    while (*frame < r->seen.count && r->seen.item[*frame].at < entry->at)
        (*frame)++;
    bool known = *frame < r->seen.count;
    *ret_is = known && r->seen.item[*frame].at == entry->at &&
              r->seen.item[*frame].content + entry->skip == position;
    bool missed = known && (r->seen.item[*frame].at != entry->at ||
                            r->seen.item[*frame].content + entry->skip < position);
    return missed ? check_place(r, entry, position, frame, err) : 0;
}

/* Of a pack of another backup only the members that this manifest refers to are its business. */
static int check_referred(struct pack_reader *r, struct member_cursor *members,
                          pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(read_free) struct archive *tar = NULL;
    struct archive_entry *member = NULL;
    const struct entry *entry = NULL;
    size_t frame = 0;
    uint64_t told = 0;
    int rc = open_tar(r, &tar, err), more = rc;
    if (rc == 0)
        rc = more = member_cursor_next(members, &entry, err);
    while (rc >= 0 && more > 0) {
        bool is = false;
        int got = archive_read_next_header(tar, &member);
        if (got == ARCHIVE_EOF)
            return err_set(err, FAIL_CORRUPT, "%s: ends before %s", r->path, entry->path);
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return read_failed(r, tar, entry->path, err);
        struct flow flow = { .reader = r, .entry = entry };
        rc = is_place(r, entry, (uint64_t)archive_read_header_position(tar), &frame, &is, err);
        if (rc == 0 && is)
            rc = tar_entry_compare(entry, member, r->path, err);
        if (rc == 0 && is && entry->type == ENTRY_FILE)
            rc = read_content(&flow, tar, err);
        if (rc == 0 && progress)
            progress(ctx, r->passed - told);
        told = r->passed;
        if (rc == 0 && is)
            rc = more = member_cursor_next(members, &entry, err);
    }
    return rc < 0 ? rc : 0;
}

int pack_check(const char *path, const struct manifest *manifest, uint32_t pack,
               pack_progress *progress, void *ctx, struct err *err)
{
    CLEANUP(pack_reader_free) struct pack_reader *r = NULL;
    CLEANUP(member_cursor_free) struct member_cursor *members = NULL;
    const uint8_t *rest = NULL;
    struct frame frame;
    uint8_t sha256[HASH_SIZE];
    int rc = pack_reader_new(path, &manifest->packs[pack], &r, err);
    if (rc == 0)
        rc = member_cursor_new(manifest, pack, &members, err);
    if (rc != 0)
        return rc;
    TAR_LOCALE(r->locale);
    r->keep = true;
    rc = manifest->packs[pack].from[0] ? check_referred(r, members, progress, ctx, err)
                                       : check_members(r, members, progress, ctx, err);
    if (rc != 0)
        return rc;
    /* Tar stops at its end mark; the file's digest goes to the last byte. */
    while ((rc = frames_next(r->frames, &rest, &frame, err)) > 0)
        if (progress && manifest->packs[pack].from[0])
            progress(ctx, frame.content);
    if (rc != 0)
        return rc;
    frames_stored_sha256(r->frames, sha256);
    if (memcmp(sha256, manifest->packs[pack].sha256, HASH_SIZE) != 0)
        return err_set(err, FAIL_CORRUPT, "%s: its digest differs from the manifest's", path);
    return 0;
}
