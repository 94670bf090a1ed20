#include "manifest_read.h"
#include "confleet/cleanup.h"
#include "manifest_line.h"
#include "manifest_spill.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DIGEST_SIZE (1024u * 1024)

int manifest_file_window(const struct manifest_file *file, struct window *ret)
{
    *ret = (struct window){ .fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0), .name = "of an earlier backup" };
    return ret->fd;
}

void manifest_file_free(struct manifest_file **file)
{
    if (!*file)
        return;
    close_fd(&(*file)->fd);
    free((*file)->name);
    free(*file);
    *file = NULL;
}

void members_add(struct manifest *manifest, uint32_t pack, uint64_t at)
{
    if (pack >= manifest->member_packs) {
        size_t count = (size_t)pack + 16;
        manifest->members = mem_grow(manifest->members, count, sizeof *manifest->members);
        memset(manifest->members + manifest->member_packs, 0,
               (count - manifest->member_packs) * sizeof *manifest->members);
        manifest->member_packs = count;
    }
    struct members *members = &manifest->members[pack];
    if (members->count == members->cap) {
        members->cap = members->cap ? members->cap * 2 : 64;
        members->at = mem_grow(members->at, members->cap, sizeof *members->at);
    }
    members->at[members->count++] = at;
}

void members_free(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->member_packs; i++)
        free(manifest->members[i].at);
    free(manifest->members);
    manifest->members = NULL;
    manifest->member_packs = 0;
}

static int open_file(const char *path, struct manifest_file **ret, uint64_t *ret_size,
                     struct err *err)
{
    CLEANUP(manifest_file_free) struct manifest_file *file = mem_zero(1, sizeof *file);
    struct stat st;
    file->name = text_dup(path);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file->fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    if (fstat(file->fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_IO, "%s is no regular file", path);
    if ((uint64_t)st.st_size > MANIFEST_SIZE_MAX)
        return err_set(err, FAIL_LIMIT, "%s has more than %u bytes", path, MANIFEST_SIZE_MAX);
    *ret_size = (uint64_t)st.st_size;
    *ret = TAKE(file);
    return 0;
}

/* The last line vouches for all the others, so it is looked at before any of them. */
static int check_digest(struct manifest_file *file, uint64_t size, char ret_sha256[HASH_HEX_MAX],
                        struct err *err)
{
    static const char word[] = "sha256 ";
    enum { TAIL = sizeof word - 1 + HASH_HEX_MAX }; /* the digest's NUL counts for the line's end */
    CLEANUP(hash_free) struct hash *hash = hash_new();
    CLEANUP(free_mem) char *bytes = mem_zero(1, DIGEST_SIZE);
    char hex[HASH_HEX_MAX], tail[TAIL];
    bool zero = size < TAIL;
    uint64_t len = zero ? 0 : size - TAIL;
    for (uint64_t at = 0; !zero && at < len;) {
        size_t part = len - at < DIGEST_SIZE ? (size_t)(len - at) : DIGEST_SIZE;
        int rc = window_read(file->fd, file->name, bytes, part, at, err);
        if (rc != 0)
            return rc;
        zero = memchr(bytes, '\0', part) != NULL;
        hash_add(hash, bytes, part);
        at += part;
    }
    if (zero)
        return err_set(err, FAIL_CORRUPT, "manifest %s is cut short or holds a zero byte",
                       file->name);
    int rc = window_read(file->fd, file->name, tail, TAIL, len, err);
    if (rc != 0)
        return rc;
    hash_sofar_hex(hash, hex);
    if (memcmp(tail, word, sizeof word - 1) != 0 || tail[TAIL - 1] != '\n' ||
        memcmp(tail + sizeof word - 1, hex, HASH_HEX_MAX - 1) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "manifest %s: its last line is not the SHA-256 of what is before it",
                       file->name);
    hash_add(hash, tail, TAIL);
    hash_end_hex(hash, ret_sha256);
    file->end = len;
    return 0;
}

static int bad_line(const struct manifest_file *file, size_t number, const char *why,
                    struct err *err)
{
    return err_set(err, FAIL_CORRUPT, "manifest %s: line %zu: bad %s", file->name, number, why);
}

/* ---- every line ---- */

struct reading {
    struct manifest *m;
    struct manifest_file *file;
    struct window window;
    struct line_before before, none;
    uint64_t at;
    size_t number;
    enum { AT_HEAD, AT_NAMES, AT_STALE, AT_TAIL } part;
    struct pool pool;
    struct hard {
        enum tree tree;
        const char *target;
    } *hard; /* what has to be a file */
    size_t hard_count, hard_cap;
};

static void reading_free(struct reading *r)
{
    window_free(&r->window);
    line_before_free(&r->before);
    line_before_free(&r->none);
    pool_free(&r->pool);
    free(r->hard);
}

static bool is_head(const char *word)
{
    return strcmp(word, "backup") == 0 || strcmp(word, "tree") == 0 || strcmp(word, "pack") == 0;
}

static void note_hard(struct reading *r, const struct entry *entry)
{
    if (r->hard_count == r->hard_cap) {
        r->hard_cap = r->hard_cap ? r->hard_cap * 2 : 64;
        r->hard = mem_grow(r->hard, r->hard_cap, sizeof *r->hard);
    }
    r->hard[r->hard_count++] =
        (struct hard){ entry->tree, pool_text(&r->pool, entry->target) };
}

static void read_entry(struct reading *r, struct line *line, enum entry_type type)
{
    struct manifest *m = r->m;
    struct entry entry;
    line->in_place = true;
    if (r->part > AT_NAMES)
        line->why = "order of lines";
    line_entry(line, type, false, &r->before, &entry);
    if (!line->why && m->sums.names + m->stale_count >= MANIFEST_ENTRIES_MAX)
        line->why = "number of entries";
    if (line->why)
        return;
    if (r->part == AT_HEAD)
        r->file->begin = r->at;
    r->part = AT_NAMES;
    line_passed(&r->before, &entry, true);
    sums_add(&m->sums, m, &entry);
    if (entry.pack != MANIFEST_NO_PACK)
        members_add(m, entry.pack, r->at);
    if (entry.type == ENTRY_HARD)
        note_hard(r, &entry);
}

static void read_stale(struct reading *r, struct line *line)
{
    struct entry entry;
    if (r->part > AT_STALE)
        line->why = "order of lines";
    line_entry(line, ENTRY_FILE, true, &r->none, &entry);
    if (!line->why && r->m->sums.names + r->m->stale_count >= MANIFEST_ENTRIES_MAX)
        line->why = "number of entries";
    if (line->why)
        return;
    if (r->part < AT_STALE)
        r->file->begin = r->part == AT_HEAD ? r->at : r->file->begin;
    if (r->part < AT_STALE)
        r->file->end = r->at;
    r->part = AT_STALE;
    (void)manifest_push_entry(r->m, &entry);
}

static void read_word(struct reading *r, struct line *line, const char *word)
{
    if (is_head(word) != (r->part == AT_HEAD))
        line->why = is_head(word) ? "order of lines" : line->why;
    if (!is_head(word) && r->part < AT_TAIL) {
        if (r->part == AT_HEAD)
            r->file->begin = r->at;
        if (r->part < AT_STALE)
            r->file->end = r->at;
        r->part = AT_TAIL;
    }
    if (!line->why)
        line_word(line, word);
}

/* head: ends at the first line that belongs to no head. */
static int read_lines(struct reading *r, bool head, struct err *err)
{
    uint64_t limit = r->file->end;
    while (r->at < limit) {
        struct line line = { .manifest = r->m };
        char *text = NULL;
        size_t len = 0;
        int rc = window_line(&r->window, r->at, limit, &text, &len, err);
        if (rc != 0)
            return rc;
        size_t word = strcspn(text, " ");
        enum entry_type type = line_type(text, word);
        r->number++;
        if (text[word] == '\0')
            line.why = "fields";
        else
            text[word] = '\0';
        line.at = text + (word < len ? word + 1 : word);
        if (head && !line.why && !is_head(text)) {
            r->file->begin = r->at;
            return 0;
        }
        if (!line.why && type < ENTRY_TYPES)
            read_entry(r, &line, type);
        else if (!line.why && strcmp(text, "stale") == 0)
            read_stale(r, &line);
        else if (!line.why)
            read_word(r, &line, text);
        if (!line.why && line.at[0] != '\0')
            line.why = "more than its fields";
        if (line.why)
            return bad_line(r->file, r->number, line.why, err);
        r->at += len + 1;
    }
    if (r->part == AT_HEAD)
        r->file->begin = r->at;
    return 0;
}

static int compare_hard(const void *a, const void *b)
{
    const struct hard *x = a, *y = b;
    return x->tree != y->tree ? (x->tree < y->tree ? -1 : 1)
                              : manifest_path_compare(x->target, y->target);
}

/* A second reading, where there are hard links: each one's target must be a file. */
static int check_hard(struct reading *r, struct err *err)
{
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    if (r->hard_count == 0)
        return 0;
    qsort(r->hard, r->hard_count, sizeof *r->hard, compare_hard);
    int rc = entry_cursor_new(r->m, &cursor, err);
    for (size_t i = 0; rc == 0 && i < r->hard_count; i++) {
        const struct entry *at = entry_cursor_at(cursor);
        while (at && rc == 0) {
            struct hard here = { at->tree, at->path };
            if (compare_hard(&here, &r->hard[i]) >= 0)
                break;
            rc = entry_cursor_next(cursor, err);
            at = entry_cursor_at(cursor);
        }
        if (rc == 0 && (!at || at->type != ENTRY_FILE || at->tree != r->hard[i].tree ||
                        strcmp(at->path, r->hard[i].target) != 0))
            return err_set(err, FAIL_CORRUPT, "manifest %s: bad target: %s is no file in it",
                           r->file->name, r->hard[i].target);
    }
    return rc;
}

int manifest_open(const char *path, enum manifest_how how, struct manifest *ret,
                  char ret_sha256_or_null[HASH_HEX_MAX], struct err *err)
{
    static const char first[] = "confleet-backup 1\n";
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(reading_free) struct reading r = { .m = &m, .number = 1, .at = sizeof first - 1 };
    char sha256[HASH_HEX_MAX], begin[sizeof first - 1];
    uint64_t size = 0;
    manifest_init(&m);
    line_before_init(&r.before);
    line_before_init(&r.none);
    int rc = open_file(path, &m.file, &size, err);
    if (rc == 0)
        rc = check_digest(m.file, size, sha256, err);
    if (rc != 0)
        return rc;
    bool whole = m.file->end >= sizeof begin;
    if (whole && (rc = window_read(m.file->fd, m.file->name, begin, sizeof begin, 0, err)) != 0)
        return rc;
    if (!whole || memcmp(begin, first, sizeof begin) != 0)
        return err_set(err, FAIL_UNSUPPORTED, "manifest %s is of another format than 1", path);
    r.file = m.file;
    r.window = (struct window){ .fd = m.file->fd, .name = m.file->name };
    rc = read_lines(&r, how == MANIFEST_HEAD, err);
    if (rc == 0 && how == MANIFEST_WHOLE)
        rc = line_check_whole(&m, path, err);
    if (rc == 0)
        rc = check_hard(&r, err);
    if (rc != 0)
        return rc;
    if (ret_sha256_or_null)
        memcpy(ret_sha256_or_null, sha256, sizeof sha256);
    *ret = m;
    manifest_init(&m);
    return 0;
}

int manifest_file_copy(const struct manifest_file *file, lines_fn *take, void *ctx, struct err *err)
{
    CLEANUP(window_free) struct window window = { .fd = file->fd, .name = file->name };
    return window_copy(&window, file->begin, file->end, take, ctx, err);
}
