#include "confleet/properties.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const unsigned char *at, *end;
    bool raw;
    unsigned high; /* first half of a surrogate pair, zero for none */
};

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_break(int c)
{
    return c == '\n' || c == '\r';
}

static void add_code(struct str *out, unsigned code)
{
    char utf8[4];
    size_t len = 0;
    if (code < 0x80) {
        utf8[len++] = (char)code;
    } else if (code < 0x800) {
        utf8[len++] = (char)(0xc0 | code >> 6);
        utf8[len++] = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        utf8[len++] = (char)(0xe0 | code >> 12);
        utf8[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        utf8[len++] = (char)(0x80 | (code & 0x3f));
    } else {
        utf8[len++] = (char)(0xf0 | code >> 18);
        utf8[len++] = (char)(0x80 | (code >> 12 & 0x3f));
        utf8[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        utf8[len++] = (char)(0x80 | (code & 0x3f));
    }
    str_add_bytes(out, utf8, len);
}

/* One UTF-16 unit; a lone half of a pair becomes U+FFFD, as it has no UTF-8 form. NUL ends C texts
 * early and is dropped. */
static void add_unit(struct reader *reader, struct str *out, unsigned unit)
{
    bool low = unit >= 0xdc00 && unit < 0xe000;
    if (reader->high && low) {
        add_code(out, 0x10000 + ((reader->high - 0xd800) << 10) + (unit - 0xdc00));
        reader->high = 0;
        return;
    }
    if (reader->high)
        add_code(out, 0xfffd);
    reader->high = 0;
    if (unit >= 0xd800 && unit < 0xdc00)
        reader->high = unit;
    else if (low)
        add_code(out, 0xfffd);
    else if (unit != 0)
        add_code(out, unit);
}

static void add_byte(struct reader *reader, struct str *out, unsigned char byte)
{
    if (reader->raw && byte >= 0x80)
        str_add_bytes(out, &byte, 1);
    else
        add_unit(reader, out, byte);
}

static void skip_break(struct reader *reader)
{
    if (reader->at < reader->end && *reader->at == '\r')
        reader->at++;
    if (reader->at < reader->end && *reader->at == '\n')
        reader->at++;
}

static int hex_value(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* After a backslash. false: a malformed \u escape. */
static bool read_escape(struct reader *reader, struct str *out)
{
    if (reader->at == reader->end)
        return true;
    if (is_break(*reader->at)) {
        skip_break(reader);
        while (reader->at < reader->end && is_blank(*reader->at))
            reader->at++;
        return true;
    }
    unsigned char c = *reader->at++;
    if (c != 'u') {
        static const char from[] = "tnrf", to[] = "\t\n\r\f";
        const char *known = c ? strchr(from, c) : NULL;
        add_byte(reader, out, known ? (unsigned char)to[known - from] : c);
        return true;
    }
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = reader->at < reader->end ? hex_value(*reader->at) : -1;
        if (digit < 0)
            return false;
        unit = unit << 4 | (unsigned)digit;
        reader->at++;
    }
    add_unit(reader, out, unit);
    return true;
}

/* Up to the end of the name (= : blank) or, for a value, of the line. */
static bool read_part(struct reader *reader, struct str *out, bool name)
{
    while (reader->at < reader->end && !is_break(*reader->at)) {
        unsigned char c = *reader->at;
        if (name && (c == '=' || c == ':' || is_blank(c)))
            break;
        reader->at++;
        if (c != '\\')
            add_byte(reader, out, c);
        else if (!read_escape(reader, out))
            return false;
    }
    if (reader->high)
        add_code(out, 0xfffd);
    reader->high = 0;
    return true;
}

static void skip_blanks(struct reader *reader)
{
    for (;;) {
        while (reader->at < reader->end && is_blank(*reader->at))
            reader->at++;
        /* A continued line may begin before the value does. */
        if (reader->end - reader->at < 2 || *reader->at != '\\' || !is_break(reader->at[1]))
            return;
        reader->at++;
        skip_break(reader);
    }
}

void properties_add(struct properties *properties, const char *name, const char *value)
{
    /* Grown by doubling, without a field for the capacity: the count alone tells when it is a power
     * of two. */
    if ((properties->count & (properties->count - 1)) == 0)
        properties->items =
            mem_grow(properties->items, properties->count ? properties->count * 2 : 1,
                     sizeof *properties->items);
    properties->items[properties->count++] = (struct property){ text_dup(name), text_dup(value) };
}

static bool skip_to_name(struct reader *reader)
{
    while (reader->at < reader->end) {
        unsigned char c = *reader->at;
        if (is_blank(c) || is_break(c)) {
            reader->at++;
        } else if (c == '#' || c == '!') {
            while (reader->at < reader->end && !is_break(*reader->at))
                reader->at++;
        } else {
            return true;
        }
    }
    return false;
}

static int parse_all(struct reader *reader, struct properties *ret, struct err *err)
{
    const unsigned char *start = reader->at;
    CLEANUP(str_free) struct str name = { 0 };
    CLEANUP(str_free) struct str value = { 0 };
    while (skip_to_name(reader)) {
        str_clear(&name);
        str_clear(&value);
        bool good = read_part(reader, &name, true);
        skip_blanks(reader);
        if (good && reader->at < reader->end && (*reader->at == '=' || *reader->at == ':')) {
            reader->at++;
            skip_blanks(reader);
        }
        if (!good || !read_part(reader, &value, false)) {
            size_t line = 1;
            for (const unsigned char *p = start; p < reader->at; p++)
                line += *p == '\n';
            return err_set(err, FAIL_CORRUPT, "line %zu: \\u wants four hex digits", line);
        }
        if (ret->count == PROPERTIES_COUNT_MAX)
            return err_set(err, FAIL_LIMIT, "more than %d properties", PROPERTIES_COUNT_MAX);
        properties_add(ret, str_text(&name), str_text(&value));
        if (value.s)
            explicit_bzero(value.s, value.len);
    }
    return 0;
}

int properties_parse(const char *text, size_t len, enum properties_bytes bytes,
                     struct properties *ret, struct err *err)
{
    if (len > PROPERTIES_SIZE_MAX)
        return err_set(err, FAIL_LIMIT, "%zu bytes of properties, the limit is %d", len,
                       PROPERTIES_SIZE_MAX);
    const unsigned char *start = (const unsigned char *)text;
    struct reader reader = { .at = start, .end = start + len, .raw = bytes == PROPERTIES_RAW };
    struct properties properties = { 0 };
    int result = parse_all(&reader, &properties, err);
    if (result != 0) {
        properties_free(&properties);
        return result;
    }
    *ret = properties;
    return 0;
}

int properties_read(const char *path, enum properties_bytes bytes, struct properties *ret,
                    struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, PROPERTIES_SIZE_MAX, &text, err);
    if (result != 0)
        return result;
    if (properties_parse(str_text(&text), text.len, bytes, ret, err) != 0)
        return err_wrap(err, "%s", path);
    return 0;
}

const char *properties_get(const struct properties *properties, const char *name)
{
    for (size_t i = properties->count; i > 0; i--)
        if (strcmp(properties->items[i - 1].name, name) == 0)
            return properties->items[i - 1].value;
    return NULL;
}

void properties_free(struct properties *properties)
{
    for (size_t i = 0; i < properties->count; i++) {
        explicit_bzero(properties->items[i].value, strlen(properties->items[i].value));
        free(properties->items[i].name);
        free(properties->items[i].value);
    }
    free(properties->items);
    *properties = (struct properties){ 0 };
}
