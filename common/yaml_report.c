#include "yaml_parts.h"
#include "confleet/cleanup.h"
#include <string.h>

#define EXCERPT_MAX 160 /* code points of a source line that are shown */
#define WORD_MAX    40  /* longer words are not worth a suggestion */

void yaml_report_free(struct yaml_report *report)
{
    str_free(&report->text);
    *report = (struct yaml_report){ 0 };
}

static size_t point_len(const char *s)
{
    unsigned char c = (unsigned char)*s;
    size_t want = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    size_t len = 1;
    while (len < want && ((unsigned char)s[len] & 0xc0) == 0x80)
        len++;
    return len;
}

static const char *line_find(const char *source, int line)
{
    for (int at = 1; at < line; at++) {
        source = strchr(source, '\n');
        if (!source)
            return NULL;
        source++;
    }
    return source;
}

/* How many code points the word at s spans: a quoted text whole, otherwise up to a delimiter. */
static int word_span(const char *s, const char *end)
{
    const char *from = s;
    int span = 0;
    char quote = s < end && (*s == '"' || *s == '\'') ? *s : '\0';
    while (s < end) {
        if (quote && s > from && *s == quote)
            return span + 1;
        if (!quote && strchr(" \t\r:,]}{[#", *s))
            break;
        s += point_len(s);
        span++;
    }
    return span;
}

static void excerpt_add(struct str *text, const char *source, struct yaml_at at)
{
    const char *line = line_find(source, at.line);
    if (!line || *line == '\n' || *line == '\0')
        return;
    const char *end = line + strcspn(line, "\n");
    CLEANUP(str_free) struct str caret = { 0 };
    const char *s = line;
    int column = 1;
    str_add(text, "    ");
    str_add(&caret, "    ");
    for (; s < end && column <= EXCERPT_MAX; column++) {
        size_t len = point_len(s);
        /* Control characters of a file from elsewhere must not reach a terminal. */
        if ((unsigned char)*s < 0x20 && *s != '\t')
            str_add(text, *s == '\r' ? "" : "?");
        else
            str_add_bytes(text, s, len);
        if (column < at.column)
            str_add(&caret, *s == '\t' ? "\t" : " ");
        if (column == at.column) {
            str_add(&caret, "^");
            for (int i = 1; i < word_span(s, end) && column + i <= EXCERPT_MAX; i++)
                str_add(&caret, "~");
        }
        s += len;
    }
    if (at.column >= column && at.column <= EXCERPT_MAX)
        str_add(&caret, "^");
    str_addf(text, "\n%s\n", str_text(&caret));
}

void yaml_report_text(struct yaml_report *report, const char *file, const char *source,
                      struct yaml_at at, const char *message, const char *help)
{
    CLEANUP(str_free) struct str plain = { 0 };
    /* Values of the file are quoted in messages; their control characters must not reach a terminal
     * either. */
    for (const char *s = message; *s; s++)
        str_add_bytes(&plain, (unsigned char)*s < 0x20 || *s == 0x7f ? "?" : s, 1);
    if (++report->errors > YAML_ERRORS_MAX) {
        if (report->errors == YAML_ERRORS_MAX + 1)
            str_addf(&report->text, "%s: more than %d errors, the rest is not shown\n", file,
                     YAML_ERRORS_MAX);
        return;
    }
    if (at.line > 0)
        str_addf(&report->text, "%s:%d:%d: error: %s\n", file, at.line, at.column,
                 str_text(&plain));
    else
        str_addf(&report->text, "%s: error: %s\n", file, str_text(&plain));
    if (source && at.line > 0)
        excerpt_add(&report->text, source, at);
    if (help)
        str_addf(&report->text, "    note: %s\n", help);
}

void yaml_report_add(struct yaml_report *report, const char *file, const char *source,
                     struct yaml_at at, const char *format, ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    yaml_report_text(report, file, source, at, str_text(&text), NULL);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, drop, replace, swap of neighbours) that lead from a to b. */
static size_t distance(const char *a, const char *b)
{
    size_t row[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = row[i % 3], *prev = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] = least(least(prev[j], now[j - 1]) + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[a_len % 3][b_len];
}

const char *yaml_suggest(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t len = strlen(word), best_edits = 0;
    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t other = strlen(*words);
        if (other > WORD_MAX)
            continue;
        size_t edits = distance(word, *words),
               limit = (len > other ? len : other) / 3 + (other < 3 ? 0 : 1);
        /* Cut-off words ("approval" for "approvals_needed") are meant as well. */
        if (len >= 3 && other > len && strncmp(word, *words, len) == 0)
            edits = least(edits, 1);
        if (edits <= limit && edits < other && (!best || edits < best_edits)) {
            best = *words;
            best_edits = edits;
        }
    }
    return best;
}

void yaml_suggest_add(struct str *text, const char *word, const char *const *words)
{
    const char *meant = yaml_suggest(word, words);
    if (meant)
        str_addf(text, "; did you mean \"%s\"?", meant);
}
