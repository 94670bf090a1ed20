/* The shipped form of the catalogue: RFC 4180, with every error at its line and column. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/str.h"
#include <stdio.h>
#include <string.h>

#define FILE_MAX    (4U * 1024 * 1024)
#define LINES_MAX   20000
#define COLUMNS_MAX 64
#define FIELD_MAX   4096

struct csv {
    const char *name, *at, *end;
    size_t line, column;             /* of the next byte, from 1; columns are bytes */
    size_t start_line, start_column; /* of the field read last */
    char *headers[COLUMNS_MAX];
    size_t header_count;
    struct str field;
};

static void csv_free(struct csv *csv)
{
    for (size_t i = 0; i < csv->header_count; i++)
        free(csv->headers[i]);
    str_free(&csv->field);
}

static int wrong(const struct csv *csv, size_t line, size_t column, struct err *err,
                 const char *format, ...) FORMAT(5, 6);
static int wrong(const struct csv *csv, size_t line, size_t column, struct err *err,
                 const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return err_set(err, FAIL_CORRUPT, "%.300s:%zu:%zu: %s", csv->name, line, column, text);
}

static void step(struct csv *csv)
{
    if (*csv->at == '\n') {
        csv->line++;
        csv->column = 0;
    }
    csv->at++;
    csv->column++;
}

static bool at_line_end(const struct csv *csv)
{
    if (csv->at == csv->end || *csv->at == '\n')
        return true;
    return *csv->at == '\r' && csv->end - csv->at >= 2 && csv->at[1] == '\n';
}

static int field_byte(struct csv *csv, struct err *err)
{
    /* A field may be broken into lines; people read it as one text. */
    char byte = *csv->at == '\n' || *csv->at == '\r' || *csv->at == '\t' ? ' ' : *csv->at;
    if ((unsigned char)byte < 0x20 || byte == 0x7f)
        return wrong(csv, csv->line, csv->column, err, "a control character");
    if (csv->field.len >= FIELD_MAX)
        return wrong(csv, csv->start_line, csv->start_column, err, "a field of more than %d bytes",
                     FIELD_MAX);
    str_add_bytes(&csv->field, &byte, 1);
    step(csv);
    return 0;
}

static int quoted_read(struct csv *csv, struct err *err)
{
    int result = 0;
    step(csv);
    while (result == 0) {
        if (csv->at == csv->end)
            return wrong(csv, csv->start_line, csv->start_column, err,
                         "a quoted field that never ends");
        if (*csv->at == '"') {
            step(csv);
            if (csv->at == csv->end || *csv->at != '"')
                break;
        }
        result = field_byte(csv, err);
    }
    if (result == 0 && !at_line_end(csv) && *csv->at != ',')
        result = wrong(csv, csv->line, csv->column, err,
                       "text after the end of a quoted field; a quote inside of one is written "
                       "twice");
    return result;
}

static int field_read(struct csv *csv, struct err *err)
{
    int result = 0;
    str_clear(&csv->field);
    csv->start_line = csv->line;
    csv->start_column = csv->column;
    if (csv->at != csv->end && *csv->at == '"')
        return quoted_read(csv, err);
    while (result == 0 && !at_line_end(csv) && *csv->at != ',') {
        if (*csv->at == '"')
            return wrong(csv, csv->line, csv->column, err,
                         "a quote inside of a field that does not begin with one");
        result = field_byte(csv, err);
    }
    return result;
}

/* True: another field of the same line follows. */
static bool field_next(struct csv *csv)
{
    if (csv->at != csv->end && *csv->at == ',') {
        step(csv);
        return true;
    }
    if (csv->at != csv->end && *csv->at == '\r')
        step(csv);
    if (csv->at != csv->end)
        step(csv);
    return false;
}

static int header_read(struct csv *csv, struct err *err)
{
    bool named = false;
    do {
        int result = field_read(csv, err);
        if (result != 0)
            return result;
        if (csv->header_count == COLUMNS_MAX)
            return wrong(csv, csv->start_line, csv->start_column, err, "more than %d columns",
                         COLUMNS_MAX);
        const char *name = str_text(&csv->field), *first = catalogue_field_name(name);
        for (size_t i = 0; i < csv->header_count; i++)
            if (*name && (strcmp(csv->headers[i], name) == 0 ||
                          (first && first == catalogue_field_name(csv->headers[i]))))
                return wrong(csv, csv->start_line, csv->start_column, err,
                             "the column '%.64s' is there twice", name);
        named = named || strcmp(name, "version") == 0;
        csv->headers[csv->header_count++] = text_dup(name);
    } while (field_next(csv));
    if (!named)
        return wrong(csv, 1, 1, err, "no column 'version': the first line names the columns");
    return 0;
}

static int release_read(struct csv *csv, struct catalogue *catalogue, struct err *err)
{
    struct catalogue_release release = { 0 };
    size_t at = 0, line = csv->line, version_column = csv->column;
    do {
        int result = field_read(csv, err);
        if (result != 0)
            return result;
        if (at == csv->header_count)
            return wrong(csv, csv->start_line, csv->start_column, err,
                         "more fields than the %zu columns of the first line", csv->header_count);
        const char *column = csv->headers[at++], *text = str_text(&csv->field);
        if (strcmp(column, "version") == 0)
            version_column = csv->start_column;
        const char *why =
            catalogue_field_name(column) ? catalogue_field_set(&release, column, text) : NULL;
        if (why)
            return wrong(csv, csv->start_line, csv->start_column, err, "%s '%.100s' %s", column,
                         text, why);
    } while (field_next(csv));
    if (at < csv->header_count)
        return wrong(csv, line, 1, err, "%zu fields, the first line names %zu columns", at,
                     csv->header_count);
    if (!release.text[0])
        return wrong(csv, line, version_column, err, "a release without a version");
    if (catalogue_find(catalogue, release.text))
        return wrong(csv, line, version_column, err, "the release %s is there twice", release.text);
    catalogue_put(catalogue, &release);
    return 0;
}

int catalogue_parse(const char *name, const char *text, size_t len, struct catalogue **ret,
                    struct err *err)
{
    CLEANUP(csv_free)
    struct csv csv = { .name = name, .at = text, .end = text + len, .line = 1, .column = 1 };
    CLEANUP(catalogue_free) struct catalogue *catalogue = catalogue_new();
    if (len > FILE_MAX)
        return err_set(err, FAIL_LIMIT, "%s: more than %u bytes", name, FILE_MAX);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        csv.at += 3;
    int result = header_read(&csv, err);
    size_t lines = 0;
    while (result == 0 && csv.at != csv.end) {
        if (++lines > LINES_MAX)
            result = wrong(&csv, csv.line, 1, err, "more than %d releases", LINES_MAX);
        else if (at_line_end(&csv))
            (void)field_next(&csv);
        else
            result = release_read(&csv, catalogue, err);
    }
    if (result == 0)
        *ret = TAKE(catalogue);
    return result;
}

int catalogue_load(const char *csv_path, struct catalogue **ret, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(csv_path, FILE_MAX, &text, err);
    return result != 0 ? result : catalogue_parse(csv_path, str_text(&text), text.len, ret, err);
}
