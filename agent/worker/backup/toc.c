#include "toc.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <limits.h>
#include <string.h>

#define ITEMS_MAX     5000000
#define FORMAT_CUSTOM 1

struct cursor {
    const uint8_t *bytes;
    size_t len, at;
    unsigned int_size;
    bool bad; /* what stands there can be no number */
    struct pool *pool;
};

static bool ended(const struct cursor *c)
{
    return c->at > c->len;
}

/* Behind the end everything reads as zero; ended() tells. */
static unsigned byte(struct cursor *c)
{
    return c->at++ < c->len ? c->bytes[c->at - 1] : 0;
}

bool toc_int(const uint8_t *bytes, unsigned int_size, int *ret)
{
    uint64_t value = 0;
    for (unsigned i = int_size; i > 0; i--) {
        if (value > INT_MAX)
            return false;
        value = value << 8 | bytes[i];
    }
    if (value > INT_MAX || bytes[0] > 1)
        return false;
    *ret = bytes[0] ? -(int)value : (int)value;
    return true;
}

static int number(struct cursor *c)
{
    uint8_t raw[TOC_INT_MAX] = { 0 };
    int value = 0;
    for (unsigned i = 0; i <= c->int_size; i++)
        raw[i] = (uint8_t)byte(c);
    if (!ended(c) && !toc_int(raw, c->int_size, &value))
        c->bad = true;
    return c->bad ? 0 : value;
}

/* NULL for none, and for what is not there. */
static const char *text(struct cursor *c)
{
    int len = number(c);
    if (len < 0 || ended(c) || c->bad)
        return NULL;
    size_t from = c->at;
    c->at += (size_t)len;
    return ended(c) ? NULL : pool_bytes(c->pool, c->bytes + from, (size_t)len);
}

static const char *text_or_empty(struct cursor *c)
{
    const char *found = text(c);
    return found ? found : "";
}

static int read_item(struct cursor *c, unsigned minor, unsigned offset_size, struct toc_item *item,
                     struct err *err)
{
    item->id = number(c);
    item->has_data = number(c) != 0;
    (void)text(c); /* the row of the catalogue: table and object */
    (void)text(c);
    item->tag = text_or_empty(c);
    item->what = text_or_empty(c);
    item->section = number(c);
    item->definition = text_or_empty(c);
    (void)text(c); /* how it is dropped */
    item->copy = text_or_empty(c);
    (void)text(c); /* schema, tablespace, access method, kind, owner */
    (void)text(c);
    (void)text(c);
    if (minor >= 16)
        (void)number(c);
    (void)text(c);
    const char *with_oids = text_or_empty(c);
    while (text(c))
        ; /* what it depends on */
    for (unsigned i = 0; i <= offset_size; i++)
        (void)byte(c);
    if (!ended(c) && strcmp(with_oids, "true") == 0)
        return err_set(err, FAIL_UNSUPPORTED, "table %s has OIDS", item->tag);
    return 0;
}

/* In front of the table of contents. */
static int read_head(struct cursor *c, unsigned *ret_minor, unsigned *ret_offset_size,
                     struct err *err)
{
    static const char magic[5] = "PGDMP";
    for (size_t i = 0; i < sizeof magic; i++)
        if (byte(c) != (unsigned char)magic[i] && !ended(c))
            return err_set(err, FAIL_UNSUPPORTED, "no archive of pg_dump");
    unsigned major = byte(c), minor = byte(c), revision = byte(c);
    c->int_size = byte(c);
    unsigned offset_size = byte(c), format = byte(c);
    if (ended(c))
        return 0;
    if (major != 1 || minor < 14 || minor > 16 || c->int_size < 4 || c->int_size >= TOC_INT_MAX ||
        offset_size > 64 || format != FORMAT_CUSTOM)
        return err_set(err, FAIL_UNSUPPORTED, "archive of version %u.%u.%u, format %u", major,
                       minor, revision, format);
    int compression = minor >= 15 ? (int)byte(c) : number(c);
    for (int i = 0; i < 7; i++)
        (void)number(c); /* when it was made */
    for (int i = 0; i < 3; i++)
        (void)text(c); /* database, versions */
    if (!ended(c) && compression != 0)
        return err_set(err, FAIL_UNSUPPORTED, "compressed archive");
    *ret_minor = minor;
    *ret_offset_size = offset_size;
    return 0;
}

int toc_read(const uint8_t *bytes, size_t len, struct toc *ret, bool *ret_whole, struct err *err)
{
    CLEANUP(toc_free) struct toc toc = { .count = 0 };
    struct cursor c = { .bytes = bytes, .len = len, .pool = &toc.pool };
    unsigned minor = 0, offset_size = 0;
    *ret_whole = false;
    int rc = read_head(&c, &minor, &offset_size, err);
    if (rc != 0 || ended(&c))
        return rc;
    int count = number(&c);
    for (int i = 0; i < count && !ended(&c) && !c.bad; i++) {
        struct toc_item item = { 0 };
        if ((rc = read_item(&c, minor, offset_size, &item, err)) != 0)
            return rc;
        if (toc.count == toc.cap) {
            toc.cap = toc.cap ? toc.cap * 2 : 256;
            toc.items = mem_grow(toc.items, toc.cap, sizeof *toc.items);
        }
        toc.items[toc.count++] = item;
    }
    if (c.bad || count < 0 || count > ITEMS_MAX)
        return err_set(err, FAIL_UNSUPPORTED, "the archive's table of contents cannot be read");
    if (ended(&c))
        return 0;
    toc.toc_size = c.at;
    toc.int_size = c.int_size;
    toc.minor = minor;
    *ret = toc;
    toc = (struct toc){ .count = 0 };
    *ret_whole = true;
    return 0;
}

void toc_free(struct toc *toc)
{
    pool_free(&toc->pool);
    free(toc->items);
    *toc = (struct toc){ .count = 0 };
}
