/* One field of a release by the name of its column, checked. */
#include "confleet/catalogue.h"
#include "confleet/str.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef const char *field_fn(const char *text, void *out, size_t size);

static const char *set_text(const char *text, void *out, size_t size)
{
    if (strlen(text) >= size)
        return "is too long";
    memset(out, 0, size);
    (void)snprintf(out, size, "%s", text);
    return NULL;
}

static const char *set_version(const char *text, void *out, size_t size)
{
    struct version version;
    if (*text && !version_parse(text, &version))
        return "is no version such as 9.2.13";
    return set_text(text, out, size);
}

static const char *set_number(const char *text, void *out, size_t size)
{
    uint64_t value = 0;
    uint32_t number = 0;
    if (*text && (!text_parse_u64(text, UINT32_MAX, &value) || value == 0))
        return "is no build number, which is a whole number above zero";
    number = (uint32_t)value;
    memcpy(out, &number, size);
    return NULL;
}

static bool digits(const char *text, size_t count, unsigned *ret)
{
    *ret = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *ret = *ret * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

static const char *set_date(const char *text, void *out, size_t size)
{
    static const unsigned days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    static const char wrong[] = "is no date such as 2025-12-16";
    unsigned year = 0, month = 0, day = 0;
    if (!*text)
        return set_text(text, out, size);
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !digits(text, 4, &year) ||
        !digits(text + 5, 2, &month) || !digits(text + 8, 2, &day))
        return wrong;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1990 || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (leap && month == 2 ? 1U : 0U))
        return wrong;
    return set_text(text, out, size);
}

static const char *set_answer(const char *text, void *out, size_t size)
{
    if (*text && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return "is neither yes nor no";
    return set_text(text, out, size);
}

/* 12-16, or 12,14-16, or words such as 19c: what a judge cannot read is shown and stays unknown. */
static const char *set_platform(const char *text, void *out, size_t size)
{
    for (const char *s = text; *s; s++)
        if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,- ", *s))
            return "is no list of versions such as 12,14-16";
    return set_text(text, out, size);
}

static const char *set_url(const char *text, void *out, size_t size)
{
    if (*text && strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0)
        return "is no address that begins with https://";
    if (strpbrk(text, " \"<>"))
        return "holds a blank, a quote or a bracket, which an address cannot hold";
    return set_text(text, out, size);
}

static const char *set_java(const char *text, void *out, size_t size)
{
    struct catalogue_release *release = out;
    uint32_t java[CATALOGUE_JAVA_MAX] = { 0 };
    size_t count = 0;
    (void)size;
    for (const char *s = text; *s;) {
        unsigned value = 0;
        size_t len = strspn(s, "0123456789");
        if (len == 0 || len > 3 || !digits(s, len, &value) || value == 0)
            return "is no list of Java versions such as 11 17";
        if (count == CATALOGUE_JAVA_MAX)
            return "holds too many Java versions, 8 at most";
        java[count++] = value;
        s += len;
        s += strspn(s, " ,;");
    }
    memcpy(release->java, java, sizeof java);
    release->java_count = count;
    return NULL;
}

#define AT(field)                                                                                  \
    offsetof(struct catalogue_release, field), sizeof((struct catalogue_release *)NULL)->field
/* The first spelling is that of the shipped file. */
static const struct {
    const char *name, *other;
    field_fn *set;
    size_t offset, size;
} columns[] = {
    { "version", NULL, set_version, AT(text) },
    { "build_number", "build", set_number, AT(build) },
    { "release_date", "date", set_date, AT(date) },
    { "eol_date", "eol", set_date, AT(eol) },
    { "lts", NULL, set_answer, AT(lts) },
    { "java", NULL, set_java, 0, 0 },
    { "postgresql", NULL, set_platform, AT(postgresql) },
    { "mysql", NULL, set_platform, AT(mysql) },
    { "sqlserver", NULL, set_platform, AT(sqlserver) },
    { "oracle", NULL, set_platform, AT(oracle) },
    { "min_upgrade_from", "floor_version", set_version, AT(floor_version) },
    { "min_upgrade_build", "floor_build", set_number, AT(floor_build) },
    { "data_center_only", NULL, set_answer, AT(data_center_only) },
    { "upgrade_note", "note", set_text, AT(note) },
    { "note_url", NULL, set_url, AT(note_url) },
    { "sources", "source", set_text, AT(source) },
};
#define COLUMNS (sizeof columns / sizeof *columns)

static size_t column_find(const char *name)
{
    size_t at = 0;
    while (at < COLUMNS && strcmp(columns[at].name, name) != 0 &&
           (!columns[at].other || strcmp(columns[at].other, name) != 0))
        at++;
    return at;
}

const char *catalogue_field_name(const char *column)
{
    size_t at = column_find(column);
    return at < COLUMNS ? columns[at].name : NULL;
}

const char *catalogue_field_set(struct catalogue_release *release, const char *column,
                                const char *text)
{
    size_t at = column_find(column);
    if (at == COLUMNS)
        return "is no field of a release";
    if (!text_is_utf8(text, strlen(text)))
        return "is not UTF-8";
    for (const char *s = text; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return "holds a control character";
    return columns[at].set(text, (char *)release + columns[at].offset, columns[at].size);
}
