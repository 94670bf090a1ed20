#include "agent/edge/findings_text.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_LEAST 40
#define WIDTH_PIPE  100
#define INDENT      11

static const char *const names[] = { "-", "ok", "info", "WARN", "BLOCK", "unknown" };
#define SEVERITIES (sizeof names / sizeof *names)

int findings_width(void)
{
    struct winsize size = { 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_PIPE;
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

/* Columns of the next word; a character of several bytes is taken for one column. */
static size_t word_len(const char *at, size_t *ret_columns)
{
    size_t len = 0, columns = 0;
    for (; at[len] && at[len] != ' ' && at[len] != '\n'; len++)
        columns += ((unsigned char)at[len] & 0xc0) != 0x80;
    *ret_columns = columns;
    return len;
}

/* Control characters in UTF-8's second page (C1) are as live on some terminals as ESC. */
static void clean_add(struct str *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
        if (c < ' ' || c == 0x7f)
            str_add(out, "?");
        else if (c1) {
            str_add(out, "?");
            i++;
        } else
            str_add_bytes(out, text + i, 1);
    }
}

void findings_plain(struct str *out, const char *text)
{
    clean_add(out, text, strlen(text));
}

/* Wraps text; the first line begins behind what stands already, of `used` columns. */
static void wrap(struct str *out, const char *text, size_t used, size_t width)
{
    size_t at = used;
    bool fresh = true;
    while (*text) {
        if (*text == '\n') {
            str_addf(out, "\n%*s", INDENT, "");
            at = INDENT;
            fresh = true;
            text++;
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        size_t columns = 0, len = word_len(text, &columns);
        if (!fresh && at + 1 + columns > width) {
            str_addf(out, "\n%*s", INDENT, "");
            at = INDENT;
        } else if (!fresh) {
            str_add(out, " ");
            at++;
        }
        clean_add(out, text, len);
        at += columns;
        text += len;
        fresh = false;
    }
    str_add(out, "\n");
}

static void part(struct str *out, const char *label, const char *text, size_t width)
{
    if (!*text)
        return;
    str_addf(out, "%*s%s", INDENT, "", label);
    wrap(out, text, INDENT + strlen(label), width);
}

static void finding_text(struct str *out, const Confleet__Finding *finding, size_t width)
{
    size_t severity = (size_t)finding->severity < SEVERITIES ? (size_t)finding->severity : 0;
    bool fine = finding->severity == CONFLEET__SEVERITY__OK ||
                finding->severity == CONFLEET__SEVERITY__INFO;
    str_addf(out, "  %-8s %-21s ", names[severity], finding->id);
    if (fine) {
        wrap(out, *finding->evidence ? finding->evidence : finding->title, 33, width);
        return;
    }
    wrap(out, finding->title, 33, width);
    part(out, "", finding->evidence, width);
    part(out, "to do: ", finding->remedy, width);
    part(out, "rule: ", finding->rule, width);
    if (finding->waived_until_ms)
        part(out, "waived by ", finding->waived_by, width);
}

void findings_text(struct str *out, Confleet__Finding *const *findings, size_t count, int width)
{
    size_t counts[SEVERITIES] = { 0 };
    const char *family = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(family, findings[i]->family) != 0) {
            family = findings[i]->family;
            str_addf(out, "%s%s\n", i > 0 ? "\n" : "", family);
        }
        finding_text(out, findings[i], (size_t)width);
        counts[(size_t)findings[i]->severity < SEVERITIES ? findings[i]->severity : 0]++;
    }
    if (count > 0)
        str_addf(out, "\n%zu checks: %zu block, %zu warn, %zu unknown, %zu info, %zu ok\n", count,
                 counts[CONFLEET__SEVERITY__BLOCK], counts[CONFLEET__SEVERITY__WARN],
                 counts[CONFLEET__SEVERITY__UNKNOWN], counts[CONFLEET__SEVERITY__INFO],
                 counts[CONFLEET__SEVERITY__OK]);
}
