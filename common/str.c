#include "confleet/str.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_zero(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        abort();     /* the journal makes a restart safe; carrying on without memory does not */
    return p;
}

void *mem_grow(void *p, size_t count, size_t size)
{
    void *bigger = reallocarray(p, count ? count : 1, size ? size : 1);
    if (!bigger)
        abort();
    return bigger;
}

static void reserve(struct str *str, size_t more)
{
    if (more > SIZE_MAX / 4 || str->len > SIZE_MAX / 4)
        abort();
    size_t need = str->len + more + 1;
    if (need <= str->cap)
        return;
    size_t cap = str->cap ? str->cap : 64;
    while (cap < need)
        cap *= 2;
    str->s = mem_grow(str->s, cap, 1);
    str->cap = cap;
}

void str_add_bytes(struct str *str, const void *bytes, size_t len)
{
    reserve(str, len);
    if (len)
        memcpy(str->s + str->len, bytes, len);
    str->len += len;
    str->s[str->len] = '\0';
}

void str_add(struct str *str, const char *text) { str_add_bytes(str, text, strlen(text)); }

void str_vaddf(struct str *str, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(len >= 0);
    reserve(str, (size_t)len);
    (void)vsnprintf(str->s + str->len, (size_t)len + 1, format, ap);
    str->len += (size_t)len;
}

void str_addf(struct str *str, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    str_vaddf(str, format, ap);
    va_end(ap);
}

void str_clear(struct str *str)
{
    str->len = 0;
    if (str->s)
        str->s[0] = '\0';
}

void str_free(struct str *str)
{
    free(str->s);
    *str = (struct str){ 0 };
}

void str_wipe(struct str *str)
{
    if (str->s)
        explicit_bzero(str->s, str->cap);
    str_free(str);
}

const char *str_text(const struct str *str) { return str->s ? str->s : ""; }

char *text_dup(const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(mem_zero(size, 1), text, size);
}

char *text_printf(const char *format, ...)
{
    struct str str = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&str, format, ap);
    va_end(ap);
    return str.s;
}

bool text_is_name(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len > 63 || text[0] == '.' || text[0] == '-' || text[0] == '_')
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

/* Length of the UTF-8 sequence at p with at most `left` bytes, zero when it is none: no overlong forms, no surrogates. */
static size_t utf8_one(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (len == 0 || len > left || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90)
        || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

bool text_is_utf8(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t one = utf8_one((const unsigned char *)text + at, len - at);
        if (one == 0)
            return false;
        at += one;
    }
    return true;
}

bool text_parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (!text || !*text)
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret_value = value;
    return true;
}

const char *text_size(uint64_t bytes, char out[24])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, 24, unit && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *text_duration(int64_t ms, char out[24])
{
    long long s = ms / 1000;
    if (ms < 0)
        (void)snprintf(out, 24, "-");
    else if (ms < 1000)
        (void)snprintf(out, 24, "%lld ms", (long long)ms);
    else if (s < 10)
        (void)snprintf(out, 24, "%lld.%lld s", s, (long long)ms % 1000 / 100);
    else if (s < 60)
        (void)snprintf(out, 24, "%lld s", s);
    else if (s < 3600)
        (void)snprintf(out, 24, "%lldm %02llds", s / 60, s % 60);
    else if (s < 48 * 3600)
        (void)snprintf(out, 24, "%lldh %02lldm", s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, 24, "%lldd %02lldh", s / 86400, s / 3600 % 24);
    return out;
}
