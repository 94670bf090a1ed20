#include "manifest_spill.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "manifest_line.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SPILL_SIZE  (256u * 1024)
#define SOURCES_MAX 2 /* earlier manifests: the base, and what a pass that was cut off has left */
#define RUNS_MAX    (256u * 1024)

struct spill_file {
    int fd;
    struct str text; /* not written yet */
    uint64_t len;    /* with that */
};
/* Lines that are known, one after the other as they stand in one place. */
struct run {
    size_t source; /* 0: the file of ours */
    uint64_t at, len;
};
/* A line of own follows eight bytes: how much that is known comes before it. */
struct manifest_spill {
    struct spill_file known, own;
    const struct manifest_file *source[SOURCES_MAX]; /* only to tell one from the other */
    struct window window[SOURCES_MAX + 1];
    size_t sources;
    struct run *runs;
    size_t run_count, run_cap;
    uint64_t total;  /* of what is known */
    uint64_t *after; /* of the names that wait */
    size_t after_cap;
    struct pool pool;
};

static int spill_open(const char *dir, int *ret_fd, struct err *err)
{
    *ret_fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (*ret_fd >= 0)
        return 0;
    /* Not every file system has files without a name. */
    CLEANUP(free_mem) char *path = fs_join(dir, "manifest.spill");
    *ret_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*ret_fd < 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "create %s", path);
    return unlink(path) == 0 ? 0 : err_sys(err, FAIL_IO, errno, "remove %s", path);
}

int manifest_spill_to(struct manifest *manifest, const char *dir, struct err *err)
{
    assert(manifest->entry_count == 0 && !manifest->spill && !manifest->file);
    CLEANUP(manifest_spill_free) struct manifest_spill *spill = mem_zero(1, sizeof *spill);
    spill->known.fd = spill->own.fd = -1;
    int rc = spill_open(dir, &spill->known.fd, err);
    if (rc == 0)
        rc = spill_open(dir, &spill->own.fd, err);
    spill->window[0] = (struct window){ .fd = spill->known.fd, .name = "being made" };
    if (rc == 0)
        manifest->spill = TAKE(spill);
    return rc;
}

static void spill_file_free(struct spill_file *file)
{
    close_fd(&file->fd);
    str_free(&file->text);
}

void manifest_spill_free(struct manifest_spill **spill)
{
    if (!*spill)
        return;
    spill_file_free(&(*spill)->known);
    spill_file_free(&(*spill)->own);
    for (size_t i = 0; i <= (*spill)->sources; i++)
        window_free(&(*spill)->window[i]);
    for (size_t i = 1; i <= (*spill)->sources; i++)
        close_fd(&(*spill)->window[i].fd);
    free((*spill)->runs);
    free((*spill)->after);
    pool_free(&(*spill)->pool);
    free(*spill);
    *spill = NULL;
}

struct pool *manifest_spill_pool(struct manifest_spill *spill)
{
    return &spill->pool;
}

void manifest_spill_own(const struct manifest_spill *spill, struct window *ret, uint64_t *ret_end)
{
    ret->fd = spill->own.fd;
    ret->name = "being made";
    *ret_end = spill->own.len;
}

static int spill_flush(struct spill_file *file, size_t least, struct err *err)
{
    if (file->text.len < least)
        return 0;
    int rc = fs_write_all(file->fd, file->text.s, file->text.len, err);
    str_clear(&file->text);
    return rc == 0 ? 0 : err_wrap(err, "write the manifest");
}

static void add_run(struct manifest_spill *spill, size_t source, uint64_t at, uint64_t len)
{
    struct run *last = spill->run_count ? &spill->runs[spill->run_count - 1] : NULL;
    spill->total += len;
    if (last && last->source == source && last->at + last->len == at) {
        last->len += len;
        return;
    }
    if (spill->run_count == spill->run_cap) {
        spill->run_cap = spill->run_cap ? spill->run_cap * 2 : 64;
        spill->runs = mem_grow(spill->runs, spill->run_cap, sizeof *spill->runs);
    }
    spill->runs[spill->run_count++] = (struct run){ source, at, len };
}

/* 0: the line is to be written. */
static size_t find_source(struct manifest_spill *spill, const struct entry *entry)
{
    if (!entry->line_file || spill->run_count >= RUNS_MAX)
        return 0;
    for (size_t i = 0; i < spill->sources; i++)
        if (spill->source[i] == entry->line_file)
            return i + 1;
    if (spill->sources == SOURCES_MAX ||
        manifest_file_window(entry->line_file, &spill->window[spill->sources + 1]) < 0)
        return 0;
    spill->source[spill->sources++] = entry->line_file;
    return spill->sources;
}

static int put_known(struct manifest_spill *spill, const struct entry *entry, struct err *err)
{
    size_t source = find_source(spill, entry);
    if (source) {
        add_run(spill, source, entry->line_at, entry->line_end - entry->line_at);
        return 0;
    }
    struct spill_file *known = &spill->known;
    size_t before = known->text.len;
    line_write_entry(&known->text, entry);
    size_t len = known->text.len - before;
    add_run(spill, 0, known->len, len);
    known->len += len;
    return spill_flush(known, SPILL_SIZE, err);
}

int manifest_put(struct manifest *manifest, const struct entry *entry, bool waits, struct err *err)
{
    struct manifest_spill *spill = manifest->spill;
    if (entry->stale || !spill) {
        (void)manifest_add_entry(manifest, entry);
        return 0;
    }
    sums_add(&manifest->sums, manifest, entry);
    if (!waits)
        return put_known(spill, entry, err);
    if (manifest->entry_count == spill->after_cap) {
        spill->after_cap = spill->after_cap ? spill->after_cap * 2 : 256;
        spill->after = mem_grow(spill->after, spill->after_cap, sizeof *spill->after);
    }
    spill->after[manifest->entry_count] = spill->total;
    (void)manifest_add_entry(manifest, entry);
    return 0;
}

int manifest_settle(struct manifest *manifest, struct err *err)
{
    struct manifest_spill *spill = manifest->spill;
    int rc = 0;
    if (!spill)
        return 0;
    struct spill_file *own = &spill->own;
    for (size_t i = 0; rc == 0 && i < manifest->entry_count; i++) {
        size_t before = own->text.len;
        assert(!manifest->entries[i].owed);
        str_add_bytes(&own->text, &spill->after[i], sizeof spill->after[i]);
        members_add(manifest, manifest->entries[i].pack, own->len + sizeof spill->after[i]);
        line_write_entry(&own->text, &manifest->entries[i]);
        own->len += own->text.len - before;
        rc = spill_flush(own, SPILL_SIZE, err);
    }
    /* Whoever checks packs reads lines from the file. */
    if (rc == 0)
        rc = spill_flush(own, 1, err);
    manifest->entry_count = 0;
    pool_free(&spill->pool);
    return rc;
}

/* Where copying what is known has come to. */
struct copying {
    struct manifest_spill *spill;
    size_t run;
    uint64_t in_run, done;
    lines_fn *take;
    void *ctx;
};

static int copy_known(struct copying *c, uint64_t until, struct err *err)
{
    int rc = 0;
    while (rc == 0 && c->done < until) {
        assert(c->run < c->spill->run_count);
        const struct run *run = &c->spill->runs[c->run];
        uint64_t left = run->len - c->in_run, part = until - c->done < left ? until - c->done : left;
        uint64_t from = run->at + c->in_run;
        rc = window_copy(&c->spill->window[run->source], from, from + part, c->take, c->ctx, err);
        c->done += part;
        c->in_run += part;
        if (c->in_run == run->len) {
            c->run++;
            c->in_run = 0;
        }
    }
    return rc;
}

int manifest_spill_copy(struct manifest_spill *spill, lines_fn *take, void *ctx, struct err *err)
{
    CLEANUP(window_free) struct window own = { .fd = spill->own.fd, .name = "being made" };
    struct copying copying = { .spill = spill, .take = take, .ctx = ctx };
    uint64_t end = spill->own.len;
    int rc = spill_flush(&spill->known, 1, err);
    if (rc == 0)
        rc = spill_flush(&spill->own, 1, err);
    for (uint64_t at = 0; rc == 0 && at < end;) {
        char *bytes = NULL;
        size_t len = 0;
        uint64_t after = 0;
        if ((rc = window_bytes(&own, at, sizeof after, end, &bytes, err)) != 0)
            break;
        memcpy(&after, bytes, sizeof after);
        rc = copy_known(&copying, after, err);
        if (rc == 0)
            rc = window_line(&own, at + sizeof after, end, &bytes, &len, err);
        if (rc != 0)
            break;
        bytes[len] = '\n';
        rc = take(ctx, bytes, len + 1, err);
        at += sizeof after + len + 1;
    }
    return rc == 0 ? copy_known(&copying, spill->total, err) : rc;
}
