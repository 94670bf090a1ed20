#include "confleet/cleanup.h"
#include "manifest_line.h"
#include "manifest_spill.h"
#include <assert.h>
#include <string.h>

/* ---- names in their order ---- */

/* One line that is known to be a name, its bytes kept beside. */
struct entry_line {
    struct window window;
    struct line_before before;
    struct str raw;
    struct entry entry;
};

static void entry_line_free(struct entry_line *one)
{
    window_free(&one->window);
    line_before_free(&one->before);
    str_free(&one->raw);
}

/* Up to where it is packed: what comes behind is in no text of it, whose blanks are escaped. */
static void keep_line(struct entry_line *one)
{
    static const char pack[] = " pack=";
    size_t len = one->raw.len;
    for (size_t i = len; one->entry.pack != MANIFEST_NO_PACK && i-- > 0;)
        if (one->raw.s[i] == ' ' && strncmp(one->raw.s + i, pack, sizeof pack - 1) == 0) {
            len = i;
            break;
        }
    one->entry.line = one->raw.s;
    one->entry.line_len = len;
}

/* 0: the line is another word's. in_order: it must follow the one before; else that was looked at when
 * all were read. */
static int entry_line_read(struct entry_line *one, const struct manifest *m, uint64_t at,
                           uint64_t end, bool in_order, uint64_t *ret_next, struct err *err)
{
    /* What is only looked at: the manifest's packs. */
    struct line line = { .manifest = (struct manifest *)(uintptr_t)m, .in_place = true };
    char *text = NULL;
    size_t len = 0;
    int rc = window_line(&one->window, at, end, &text, &len, err);
    if (rc != 0)
        return rc;
    size_t word = strcspn(text, " ");
    enum entry_type type = line_type(text, word);
    if (type == ENTRY_TYPES || text[word] == '\0')
        return 0;
    str_clear(&one->raw);
    str_add_bytes(&one->raw, text, len);
    line.at = text + word + 1;
    line_entry(&line, type, false, in_order ? &one->before : NULL, &one->entry);
    if (line.why || line.at[0] != '\0')
        return err_set(err, FAIL_CORRUPT, "manifest %s: the line at byte %llu: bad %s",
                       one->window.name, (unsigned long long)at,
                       line.why ? line.why : "end, more than its fields");
    if (in_order)
        line_passed(&one->before, &one->entry, true);
    keep_line(one);
    *ret_next = at + len + 1;
    return 1;
}

struct entry_cursor {
    const struct manifest *m;
    size_t next; /* in memory */
    uint64_t at; /* in the file: the line that comes next */
    struct entry_line one;
    const struct entry *entry;
};

int entry_cursor_new(const struct manifest *manifest, struct entry_cursor **ret, struct err *err)
{
    assert(!manifest->spill);
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = mem_zero(1, sizeof *cursor);
    cursor->m = manifest;
    line_before_init(&cursor->one.before);
    if (manifest->file) {
        cursor->at = manifest->file->begin;
        cursor->one.window.fd = manifest->file->fd;
        cursor->one.window.name = manifest->file->name;
    }
    int rc = entry_cursor_next(cursor, err);
    if (rc == 0)
        *ret = TAKE(cursor);
    return rc;
}

void entry_cursor_free(struct entry_cursor **cursor)
{
    if (!*cursor)
        return;
    entry_line_free(&(*cursor)->one);
    free(*cursor);
    *cursor = NULL;
}

const struct entry *entry_cursor_at(const struct entry_cursor *cursor)
{
    return cursor->entry;
}

int entry_cursor_next(struct entry_cursor *cursor, struct err *err)
{
    const struct manifest *m = cursor->m;
    cursor->entry = NULL;
    if (!m->file) {
        if (cursor->next < m->entry_count)
            cursor->entry = &m->entries[cursor->next++];
        return 0;
    }
    if (cursor->at >= m->file->end)
        return 0;
    struct entry *entry = &cursor->one.entry;
    uint64_t at = cursor->at;
    int got = entry_line_read(&cursor->one, m, at, m->file->end, true, &cursor->at, err);
    if (got > 0) {
        entry->line_file = m->file;
        entry->line_at = at;
        entry->line_end = cursor->at;
        cursor->entry = entry;
    } else if (got == 0) {
        cursor->at = m->file->end;
    }
    return got < 0 ? got : 0;
}

/* ---- members of a pack ---- */

struct member_cursor {
    const struct manifest *m;
    const struct members *lines; /* NULL: list has them all */
    size_t next;
    uint64_t end;
    struct entry_line one;
    bool have;                 /* one holds the line that comes next */
    const struct entry **list; /* in memory: first readings, or all */
    size_t list_count, list_next;
};

static int compare_places(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->skip < y->skip ? -1 : x->skip > y->skip;
}

static void list_members(struct member_cursor *c, const struct entry *entries, size_t count,
                         uint32_t pack)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].pack == pack)
            c->list[c->list_count++] = &entries[i];
}

int member_cursor_new(const struct manifest *manifest, uint32_t pack, struct member_cursor **ret,
                      struct err *err)
{
    CLEANUP(member_cursor_free) struct member_cursor *c = mem_zero(1, sizeof *c);
    const struct manifest *m = manifest;
    bool lines = m->file || m->spill;
    (void)err;
    c->m = m;
    line_before_init(&c->one.before);
    c->list = mem_zero((lines ? 0 : m->entry_count) + m->stale_count + 1, sizeof(void *));
    list_members(c, m->stale, m->stale_count, pack);
    if (!lines)
        list_members(c, m->entries, m->entry_count, pack);
    if (c->list_count > 1)
        qsort(c->list, c->list_count, sizeof(void *), compare_places);
    if (lines && pack < m->member_packs)
        c->lines = &m->members[pack];
    if (m->file) {
        c->one.window.fd = m->file->fd;
        c->one.window.name = m->file->name;
        c->end = m->file->end;
    } else if (m->spill) {
        manifest_spill_own(m->spill, &c->one.window, &c->end);
    }
    *ret = TAKE(c);
    return 0;
}

void member_cursor_free(struct member_cursor **cursor)
{
    if (!*cursor)
        return;
    entry_line_free(&(*cursor)->one);
    free((*cursor)->list);
    free(*cursor);
    *cursor = NULL;
}

int member_cursor_next(struct member_cursor *cursor, const struct entry **ret, struct err *err)
{
    struct member_cursor *c = cursor;
    const struct entry *listed = c->list_next < c->list_count ? c->list[c->list_next] : NULL;
    if (!c->have && c->lines && c->next < c->lines->count) {
        uint64_t next = 0;
        int got = entry_line_read(&c->one, c->m, c->lines->at[c->next++], c->end, false, &next, err);
        if (got <= 0)
            return got < 0 ? got
                           : err_set(err, FAIL_CORRUPT, "manifest %s changed while it was read",
                                     c->one.window.name);
        c->have = true;
    }
    const struct entry *read = c->have ? &c->one.entry : NULL;
    if (!read && !listed)
        return 0;
    if (read && (!listed || compare_places(&read, &listed) <= 0)) {
        c->have = false;
        *ret = read;
    } else {
        c->list_next++;
        *ret = listed;
    }
    return 1;
}
