#include "controller/cli/out.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/json.h"
#include <assert.h>
#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_LEAST 40 /* lines are laid out for so many columns, however few there are */

void out_open(struct out *out, int fd)
{
    struct winsize size = { 0 };
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    bool dumb = !term || strcmp(term, "dumb") == 0 || !*term;
    *out = (struct out){ .fd = fd, .width = 100, .height = 40 };
    out->terminal = isatty(fd) && !dumb;
    out->color = out->terminal && (!plain || !*plain);
    if (out->terminal && ioctl(fd, TIOCGWINSZ, &size) == 0) {
        /* A terminal may not know its size. */
        if (size.ws_col > 0)
            out->width = size.ws_col >= WIDTH_LEAST ? size.ws_col : WIDTH_LEAST;
        if (size.ws_row > 0)
            out->height = size.ws_row;
    }
}

int out_write(const struct out *out, const struct str *text, struct err *err)
{
    if (text->len == 0)
        return 0;
    return fs_write_all(out->fd, text->s, text->len, err);
}

void out_show(const struct out *out, const struct str *text)
{
    struct err ignored = { 0 };
    if (out_write(out, text, &ignored) != 0)
        return; /* nobody looks any more, and the work does not depend on it */
}

void out_clean(struct str *to, const char *text)
{
    bool valid = text_is_utf8(text, strlen(text));
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        /* C1 controls are two bytes in UTF-8 (0xc2 0x80 to 0x9f) and as live on some terminals as
         * ESC. */
        bool c1 = valid && s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
        if (*s == '\n' || *s == '\t' || *s == '\r')
            str_add(to, " ");
        else if (*s < 0x20 || *s == 0x7f || (*s >= 0x80 && !valid) || c1)
            str_add(to, "?");
        else
            str_add_bytes(to, s, 1);
        s += c1 ? 1 : 0;
    }
}

void out_lines(struct str *to, const char *before, const char *label, const char *text)
{
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, "\n");
        CLEANUP(free_mem) char *line = text_printf("%.*s", (int)len, s);
        if (*line) {
            str_addf(to, "%s%s", before, label);
            out_clean(to, line);
            label = "";
        }
        s += len + (s[len] == '\n');
    }
}

void out_tone(struct str *to, const struct out *out, enum tone tone, const char *text)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = "",       [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m",
        [TONE_BAD] = "\033[31m", [TONE_DIM] = "\033[2m",   [TONE_BOLD] = "\033[1m"
    };
    bool paint = out && out->color && tone != TONE_PLAIN;
    str_add(to, paint ? codes[tone] : "");
    out_clean(to, text);
    str_add(to, paint ? "\033[0m" : "");
}

size_t out_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

void out_cut(struct str *to, const char *text, size_t columns)
{
    CLEANUP(str_free) struct str clean = { 0 };
    out_clean(&clean, text);
    const char *s = str_text(&clean);
    bool cut = out_columns(s) > columns;
    for (size_t used = 0; *s && used + (cut ? 1 : 0) < columns; used++) {
        do
            str_add_bytes(to, s++, 1);
        while (((unsigned char)*s & 0xc0) == 0x80);
    }
    if (cut && columns > 0)
        str_add(to, "…");
}

void table_add(struct table *table, const char *cell)
{
    struct str clean = { 0 };
    out_clean(&clean, cell && *cell ? cell : "-");
    table->cells = mem_grow(table->cells, table->count + 1, sizeof *table->cells);
    table->cells[table->count++] = clean.s;
}

void table_addf(struct table *table, const char *format, ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    table_add(table, str_text(&text));
}

static void row_print(const char *const *cells, size_t columns, const size_t *widths,
                      struct str *to)
{
    for (size_t c = 0; c < columns; c++) {
        str_add(to, cells[c]);
        if (c + 1 < columns)
            str_addf(to, "%*s", (int)(widths[c] - out_columns(cells[c]) + 2), "");
    }
    str_add(to, "\n");
}

void table_print(const struct table *table, struct str *to)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 };
    assert(table->columns <= TABLE_COLUMNS_MAX);
    assert(table->count % table->columns == 0);
    for (size_t c = 0; c < table->columns; c++)
        widths[c] = out_columns(table->heads[c]);
    for (size_t i = 0; i < table->count; i++) {
        size_t columns = out_columns(table->cells[i]);
        if (columns > widths[i % table->columns])
            widths[i % table->columns] = columns;
    }
    row_print(table->heads, table->columns, widths, to);
    for (size_t i = 0; i < table->count; i += table->columns)
        row_print((const char *const *)(const void *)(table->cells + i), table->columns, widths,
                  to);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free_mem(&table->cells);
    table->count = 0;
}

void json_list(struct str *to, const char *key, const ProtobufCMessage *const *items, size_t count)
{
    str_addf(to, "{\"schema\":%d,\"%s\":[", OUT_SCHEMA, key);
    for (size_t i = 0; i < count; i++) {
        str_add(to, i > 0 ? "," : "");
        json_message(to, items[i], false);
    }
    str_add(to, "]}\n");
}

void json_one(struct str *to, const char *key, const ProtobufCMessage *item)
{
    str_addf(to, "{\"schema\":%d,\"%s\":", OUT_SCHEMA, key);
    json_message(to, item, false);
    str_add(to, "}\n");
}

const char *severity_word(Confleet__Severity severity)
{
    switch (severity) {
    case CONFLEET__SEVERITY__OK:
        return "ok";
    case CONFLEET__SEVERITY__INFO:
        return "info";
    case CONFLEET__SEVERITY__WARN:
        return "warn";
    case CONFLEET__SEVERITY__BLOCK:
        return "block";
    default:
        return "unknown";
    }
}

enum tone severity_tone(Confleet__Severity severity)
{
    switch (severity) {
    case CONFLEET__SEVERITY__OK:
        return TONE_GOOD;
    case CONFLEET__SEVERITY__INFO:
        return TONE_PLAIN;
    case CONFLEET__SEVERITY__BLOCK:
        return TONE_BAD;
    default:
        return TONE_WARN;
    }
}

const char *level_word(Confleet__BackupLevel level)
{
    static const char *const words[] = { "none", "complete", "re-read", "restored", "started" };
    return (size_t)level < sizeof words / sizeof words[0] ? words[level] : "none";
}

static const char *const role_words[] = { "none", "viewer", "operator", "approver", "admin" };

const char *role_word(Confleet__Role role)
{
    return (size_t)role < sizeof role_words / sizeof role_words[0] ? role_words[role] : "none";
}

bool role_parse(const char *text, Confleet__Role *ret_role)
{
    for (size_t i = 1; i < sizeof role_words / sizeof role_words[0]; i++) {
        if (strcmp(role_words[i], text) == 0) {
            *ret_role = (Confleet__Role)i;
            return true;
        }
    }
    return false;
}

const char *time_word(int64_t ms, char out[32])
{
    return clock_text(ms, out);
}

const char *day_word(int64_t ms, char out[DAY_WORD_MAX])
{
    static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
    char text[CLOCK_TEXT_MAX];
    int64_t day = ms / (24LL * 3600 * 1000); /* 1970 began on a Thursday */
    clock_text(ms, text);
    if (ms <= 0 || strlen(text) < 16)
        (void)snprintf(out, DAY_WORD_MAX, "-");
    else
        (void)snprintf(out, DAY_WORD_MAX, "%s %.10s %.5s UTC", days[day % 7], text, text + 11);
    return out;
}

const char *ago_word(int64_t then_ms, int64_t now_ms, char out[48])
{
    char span[24];
    if (then_ms == 0)
        (void)snprintf(out, 48, "never");
    else
        (void)snprintf(out, 48, "%s ago",
                       text_duration(now_ms > then_ms ? now_ms - then_ms : 0, span));
    return out;
}

void version_add(struct str *to, const char *version, uint32_t build)
{
    if (!version[0] && build == 0) {
        str_add(to, "unknown");
        return;
    }
    out_clean(to, version[0] ? version : "unknown version");
    if (build > 0)
        str_addf(to, " (build %u)", build);
}
