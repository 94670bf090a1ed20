/* The file beside a dump. Text, one thing a line:
 *
 *   confleet-ranges 1
 *   method NAME, dump SIZE                of the file beside it
 *   table KEY STEP COUNT                  and so many lines behind it:
 *   range ROWS DIGEST VERSIONS FIRST COUNT    its frames
 *   frame AT STORED CONTENT SHA256 PACKED
 *   sha256 HEX                            of all before */
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "ranges.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD     "confleet-ranges 1\n"
#define TAIL_LEN (sizeof "sha256 \n" - 1 + 64)
#define FILE_MAX (256u * 1024 * 1024)

static void add_sum(struct str *out, range_sum sum)
{
    str_addf(out, " %016" PRIx64 "%016" PRIx64, (uint64_t)((range_bits)sum >> 64),
             (uint64_t)sum);
}

int ranges_save(const struct ranges *ranges, const struct frame_list *frames, uint64_t dump_size,
                const char *path, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    char hex[HASH_HEX_MAX], packed[HASH_HEX_MAX];
    str_addf(&text, HEAD "method %s\ndump %" PRIu64 "\n", ranges->method, dump_size);
    for (size_t i = 0; i < ranges->table_count; i++) {
        const struct range_table *t = &ranges->tables[i];
        if (t->step == 0)
            continue;
        str_addf(&text, "table %s %" PRIu64 " %zu\n", t->key, t->step, t->count);
        for (size_t k = 0; k < t->count; k++) {
            const struct range *r = &ranges->items[t->first + k];
            str_addf(&text, "range %" PRIu64, r->rows);
            add_sum(&text, r->digest);
            add_sum(&text, r->versions);
            str_addf(&text, " %zu %zu\n", r->frame, r->frames);
        }
    }
    for (size_t i = 0; i < frames->count; i++) {
        const struct frame *f = &frames->item[i];
        hex_text(f->sha256, HASH_SIZE, hex);
        hex_text(f->packed, HASH_SIZE, packed);
        str_addf(&text, "frame %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %s\n", f->at, f->stored,
                 f->content, hex, packed);
    }
    hash_bytes_hex(text.s, text.len, hex);
    str_addf(&text, "sha256 %s\n", hex);
    return fs_write(path, text.s, text.len, 0600, err);
}

/* ---- reading ---- */

struct line {
    char *at; /* what is left of it */
    bool bad;
};

static char *word(struct line *line)
{
    char *from = line->at, *end = from + strcspn(from, " ");
    line->bad = line->bad || end == from;
    line->at = *end ? end + 1 : end;
    *end = '\0';
    return from;
}

static uint64_t number(struct line *line)
{
    uint64_t value = 0;
    if (!text_parse_u64(word(line), UINT64_MAX, &value))
        line->bad = true;
    return value;
}

static range_sum sum(struct line *line)
{
    uint8_t bytes[16] = { 0 };
    range_bits value = 0;
    if (!hex_parse(word(line), bytes, sizeof bytes))
        line->bad = true;
    for (size_t i = 0; i < sizeof bytes; i++)
        value = value << 8 | bytes[i];
    return (range_sum)value;
}

static void digest(struct line *line, uint8_t out[HASH_SIZE])
{
    if (!hex_parse(word(line), out, HASH_SIZE))
        line->bad = true;
}

static bool take_table(struct ranges *r, struct line *line)
{
    struct range_table t = { .first = r->count };
    const char *key = word(line);
    bool whole = r->count == (r->table_count ? r->tables[r->table_count - 1].first +
                                                   r->tables[r->table_count - 1].count
                                             : 0);
    t.step = number(line);
    t.count = (size_t)number(line);
    if (line->bad || !whole || !hash_is_hex(key) || t.step == 0 || t.count == 0)
        return false;
    memcpy(t.key, key, sizeof t.key);
    r->tables = mem_grow(r->tables, r->table_count + 1, sizeof *r->tables);
    r->tables[r->table_count++] = t;
    return true;
}

static bool take_range(struct ranges *r, struct line *line)
{
    const struct range_table *t = r->table_count ? &r->tables[r->table_count - 1] : NULL;
    if (!t || r->count - t->first >= t->count)
        return false;
    struct range range = { .from = (r->count - t->first) * t->step, .rows = number(line) };
    range.digest = sum(line);
    range.versions = sum(line);
    range.frame = (size_t)number(line);
    range.frames = (size_t)number(line);
    if (r->count % 1024 == 0)
        r->items = mem_grow(r->items, r->count + 1024, sizeof *r->items);
    r->items[r->count++] = range;
    return !line->bad;
}

static bool take_frame(struct ranges *r, struct line *line)
{
    struct frame f = { .at = number(line) };
    const struct frame *last = r->frames.count ? &r->frames.item[r->frames.count - 1] : NULL;
    f.stored = number(line);
    f.content = number(line);
    digest(line, f.sha256);
    digest(line, f.packed);
    frame_list_add(&r->frames, &f);
    return !line->bad && f.at == (last ? last->at + last->stored : 0) && f.content > 0 &&
           f.content <= FRAME_CONTENT_MAX && f.stored <= 2 * FRAME_CONTENT_MAX;
}

static bool take_line(struct ranges *r, char *text)
{
    struct line line = { .at = text };
    const char *what = word(&line);
    if (strcmp(what, "method") == 0) {
        r->method = pool_text(&r->pool, word(&line));
        return !line.bad;
    }
    if (strcmp(what, "dump") == 0) {
        r->dump_size = number(&line);
        return !line.bad;
    }
    return strcmp(what, "table") == 0   ? take_table(r, &line)
           : strcmp(what, "range") == 0 ? take_range(r, &line)
           : strcmp(what, "frame") == 0 ? take_frame(r, &line)
                                        : false;
}

static bool is_whole(const struct ranges *r)
{
    const struct frame *last = r->frames.count ? &r->frames.item[r->frames.count - 1] : NULL;
    const struct range_table *t = r->table_count ? &r->tables[r->table_count - 1] : NULL;
    if (!r->method || !last || last->at + last->stored != r->dump_size ||
        (t && t->first + t->count != r->count))
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].frame > r->frames.count ||
            r->items[i].frames > r->frames.count - r->items[i].frame)
            return false;
    return true;
}

int ranges_load(const char *path, struct ranges *ret, struct err *err)
{
    CLEANUP(ranges_free) struct ranges r = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 };
    char hex[HASH_HEX_MAX];
    int rc = fs_read(path, FILE_MAX, &text, err);
    if (rc != 0)
        return rc;
    size_t body = text.len > TAIL_LEN ? text.len - TAIL_LEN : 0;
    hash_bytes_hex(str_text(&text), body, hex);
    CLEANUP(free_mem) char *tail = text_printf("sha256 %s\n", hex);
    bool good = body > sizeof HEAD && memcmp(text.s, HEAD, sizeof HEAD - 1) == 0 &&
                memcmp(text.s + body, tail, TAIL_LEN) == 0 && text.s[body - 1] == '\n';
    for (char *at = text.s + sizeof HEAD - 1; good && at < text.s + body;) {
        char *end = memchr(at, '\n', (size_t)(text.s + body - at));
        *end = '\0';
        good = take_line(&r, at);
        at = end + 1;
    }
    if (!good || !is_whole(&r))
        return err_set(err, FAIL_CORRUPT, "%s does not say what a dump's frames hold", path);
    *ret = r;
    r = (struct ranges){ .count = 0 };
    return 0;
}
