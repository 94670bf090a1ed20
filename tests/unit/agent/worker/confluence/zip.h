/* zip - jars for tests, good and hostile, made in memory: several entries, stored or deflated, one
 * repeated byte without end, encryption's mark, two entries of one name. */
#pragma once
#include "confleet/str.h"
#include "harness/test.h"
#include <zlib.h>

struct zip_entry {
    const char *name, *text;
    size_t repeat;  /* with text "": so many blanks */
    bool encrypted; /* only said, not done */
};

static void zip_number(struct str *out, uint32_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        str_add_bytes(out, &(char){ (char)(value >> (8 * i)) }, 1);
}

static void zip_deflate(const struct zip_entry *entry, struct str *out, uint32_t *ret_crc,
                        uint32_t *ret_size)
{
    static const char blanks[65536];
    static unsigned char block[65536];
    z_stream stream = { 0 };
    size_t left = entry->repeat ? entry->repeat : strlen(entry->text);
    uLong crc = crc32(0, NULL, 0);
    *ret_size = (uint32_t)left;
    CHECK_INT(deflateInit2(&stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const char *at = entry->text;
    int done = Z_OK;
    do {
        size_t n = entry->repeat && left > sizeof blanks ? sizeof blanks : left;
        const char *piece = entry->repeat ? blanks : at;
        stream.next_in = (unsigned char *)(uintptr_t)piece;
        stream.avail_in = (unsigned)n;
        crc = crc32(crc, (const unsigned char *)piece, (unsigned)n);
        left -= n;
        at += entry->repeat ? 0 : n;
        do {
            stream.next_out = block;
            stream.avail_out = sizeof block;
            done = deflate(&stream, left ? Z_NO_FLUSH : Z_FINISH);
            str_add_bytes(out, block, sizeof block - stream.avail_out);
        } while (stream.avail_out == 0);
    } while (done != Z_STREAM_END);
    CHECK_INT(deflateEnd(&stream), Z_OK);
    *ret_crc = (uint32_t)crc;
}

/* What both headers of an entry share: from the version to the extra field's length. */
static void zip_common(struct str *out, const struct zip_entry *entry, uint32_t crc,
                       uint32_t packed, uint32_t size)
{
    zip_number(out, 20, 2);
    zip_number(out, entry->encrypted ? 1 : 0, 2);
    zip_number(out, 8, 2);
    zip_number(out, 0, 2);
    zip_number(out, 33, 2);
    zip_number(out, crc, 4);
    zip_number(out, packed, 4);
    zip_number(out, size, 4);
    zip_number(out, (uint32_t)strlen(entry->name), 2);
    zip_number(out, 0, 2);
}

/* Entries, ended by a NULL name, to a whole jar. */
__attribute__((unused)) static void zip_make(const struct zip_entry *entries, struct str *out)
{
    struct str central = { 0 };
    uint32_t count = 0;
    for (; entries->name; entries++, count++) {
        struct str data = { 0 };
        uint32_t crc = 0, size = 0, at = (uint32_t)out->len;
        zip_deflate(entries, &data, &crc, &size);
        zip_number(out, 0x04034b50, 4);
        zip_common(out, entries, crc, (uint32_t)data.len, size);
        str_add(out, entries->name);
        str_add_bytes(out, str_text(&data), data.len);
        zip_number(&central, 0x02014b50, 4);
        zip_number(&central, 20, 2);
        zip_common(&central, entries, crc, (uint32_t)data.len, size);
        zip_number(&central, 0, 2); /* comment, disk, attributes */
        zip_number(&central, 0, 2);
        zip_number(&central, 0, 2);
        zip_number(&central, 0, 4);
        zip_number(&central, at, 4);
        str_add(&central, entries->name);
        str_free(&data);
    }
    uint32_t at = (uint32_t)out->len;
    str_add_bytes(out, str_text(&central), central.len);
    zip_number(out, 0x06054b50, 4);
    zip_number(out, 0, 4);
    zip_number(out, count, 2);
    zip_number(out, count, 2);
    zip_number(out, (uint32_t)central.len, 4);
    zip_number(out, at, 4);
    zip_number(out, 0, 2);
    str_free(&central);
}
