#include "xattrs.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void add_base64(struct str *out, const unsigned char *from, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned word = (unsigned)from[i] << 16 | (n > 1 ? (unsigned)from[i + 1] << 8 : 0) |
                        (n > 2 ? from[i + 2] : 0);
        char four[4] = { digits[word >> 18], digits[word >> 12 & 63],
                         n > 1 ? digits[word >> 6 & 63] : '=', n > 2 ? digits[word & 63] : '=' };
        str_add_bytes(out, four, 4);
    }
}

/* len bytes of text become *ret_len bytes at out, which has room for len. */
static bool parse_base64(const char *text, size_t len, unsigned char *out, size_t *ret_len)
{
    size_t got = 0;
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        unsigned word = 0;
        size_t pad = 0;
        for (size_t j = 0; j < 4; j++) {
            const char *at = text[i + j] ? strchr(digits, text[i + j]) : NULL;
            if (text[i + j] == '=' && i + 4 == len && j >= 2)
                pad++;
            else if (!at || pad)
                return false;
            word = word << 6 | (at && text[i + j] != '=' ? (unsigned)(at - digits) : 0);
        }
        out[got++] = (unsigned char)(word >> 16);
        if (pad < 2)
            out[got++] = (unsigned char)(word >> 8);
        if (pad < 1)
            out[got++] = (unsigned char)word;
    }
    *ret_len = got;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_name(struct str *out, const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '%' || *c == 0x7f)
            str_addf(out, "%%%02x", (unsigned char)*c);
        else
            str_add_bytes(out, c, 1);
}

static int add_one(const char *path, const char *name, unsigned char *buffer, struct str *out,
                   struct err *err)
{
    ssize_t len = lgetxattr(path, name, buffer, XATTRS_VALUE_MAX);
    if (len < 0 && (errno == ENODATA || errno == ENOENT))
        return 0;
    if (len < 0)
        return err_sys(err, FAIL_IO, errno, "read attribute %s of %s", name, path);
    str_add(out, out->len ? " " : "");
    add_name(out, name);
    str_add(out, ":");
    add_base64(out, buffer, (size_t)len);
    return 0;
}

int xattrs_read(const char *path, struct str *ret_text, struct err *err)
{
    str_clear(ret_text);
    ssize_t size = llistxattr(path, NULL, 0);
    if (size == 0 || (size < 0 && (errno == ENOTSUP || errno == ENOENT)))
        return 0;
    CLEANUP(free_mem) char *list = mem_zero(1, XATTRS_LIST_MAX + 1);
    CLEANUP(free_mem) unsigned char *buffer = mem_zero(1, XATTRS_VALUE_MAX);
    CLEANUP(free_mem) const char **names = NULL;
    size_t count = 0;
    if (size > 0)
        size = llistxattr(path, list, XATTRS_LIST_MAX);
    if (size < 0 && errno == ENOENT)
        return 0;
    if (size < 0)
        return err_sys(err, FAIL_IO, errno, "list the attributes of %s", path);
    for (const char *at = list; at < list + size; at += strlen(at) + 1) {
        names = mem_grow(names, count + 1, sizeof *names);
        names[count++] = at;
    }
    if (count > 1)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        int rc = add_one(path, names[i], buffer, ret_text, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int xattrs_each(const char *text, xattr_fn *each, void *ctx, struct err *err)
{
    CLEANUP(free_mem) char *copy = text_dup(text);
    CLEANUP(free_mem) unsigned char *value = mem_zero(1, strlen(text) + 4);
    for (char *at = copy; *at;) {
        size_t len = strcspn(at, " "), got = 0, name_len = 0;
        char *next = at + len + (at[len] == ' ');
        at[len] = '\0';
        char *colon = strrchr(at, ':');
        if (!colon || colon == at || !parse_base64(colon + 1, strlen(colon + 1), value, &got))
            return err_set(err, FAIL_CORRUPT, "'%s' is no list of attributes", text);
        *colon = '\0';
        for (const char *from = at; *from; from++) {
            unsigned char byte = (unsigned char)*from;
            if (byte == '%') {
                if (!hex_parse((char[]){ from[1], from[1] ? from[2] : '\0', '\0' }, &byte, 1) ||
                    byte == 0)
                    return err_set(err, FAIL_CORRUPT, "'%s' is no name of an attribute", at);
                from += 2;
            }
            at[name_len++] = (char)byte;
        }
        at[name_len] = '\0';
        int rc = each(ctx, at, value, got, err);
        if (rc != 0)
            return rc;
        at = next;
    }
    return 0;
}

struct wanted {
    const char *path;
    const char *name;
    bool found;
};

static int set_one(void *ctx, const char *name, const void *value, size_t len, struct err *err)
{
    const struct wanted *w = ctx;
    if (lsetxattr(w->path, name, value, len, 0) != 0)
        return err_sys(err, FAIL_IO, errno, "set attribute %s of %s", name, w->path);
    return 0;
}

static int look_for(void *ctx, const char *name, const void *value, size_t len, struct err *err)
{
    struct wanted *w = ctx;
    (void)value, (void)len, (void)err;
    if (strcmp(name, w->name) == 0)
        w->found = true;
    return 0;
}

int xattrs_apply(const char *path, const char *text, struct err *err)
{
    CLEANUP(str_free) struct str now = { 0 };
    int rc = xattrs_read(path, &now, err);
    if (rc != 0 || strcmp(str_text(&now), text) == 0)
        return rc;
    CLEANUP(free_mem) char *list = mem_zero(1, XATTRS_LIST_MAX + 1);
    ssize_t size = llistxattr(path, list, XATTRS_LIST_MAX);
    for (const char *at = list; size > 0 && at < list + size; at += strlen(at) + 1) {
        struct wanted w = { .path = path, .name = at };
        if ((rc = xattrs_each(text, look_for, &w, err)) != 0)
            return rc;
        if (!w.found && lremovexattr(path, at) != 0)
            return err_sys(err, FAIL_IO, errno, "remove attribute %s of %s", at, path);
    }
    struct wanted w = { .path = path };
    return xattrs_each(text, set_one, &w, err);
}
