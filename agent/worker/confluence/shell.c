#include "agent/worker/confluence/shell.h"
#include "confleet/cleanup.h"
#include <string.h>

/* The ways these files write the installation's folder; longer ones first. PRGDIR is its bin folder
 * there. */
static const char *const own_folder[] = {
    "`dirname \"$PRGDIR\"`", "`dirname $PRGDIR`", "$(dirname \"$PRGDIR\")",
    "$(dirname $PRGDIR)",    "$PRGDIR/..",        "${PRGDIR}/..",
    "${CATALINA_BASE}",      "${CATALINA_HOME}",  "$CATALINA_BASE",
    "$CATALINA_HOME",
};

/* false: something is left that only a shell can tell. */
static bool expand(const char *text, size_t len, const char *install, struct str *ret)
{
    CLEANUP(str_free) struct str out = { 0 };
    while (len > 0) {
        size_t took = 0;
        for (size_t i = 0; i < sizeof own_folder / sizeof *own_folder && took == 0; i++) {
            size_t own = strlen(own_folder[i]);
            if (own <= len && memcmp(text, own_folder[i], own) == 0)
                took = own;
        }
        if (took > 0)
            str_add(&out, install);
        else if (*text == '$' || *text == '`')
            return false;
        else
            str_add_bytes(&out, text, took = 1);
        text += took;
        len -= took;
    }
    str_clear(ret);
    str_add(ret, str_text(&out));
    return true;
}

static const char *line_end(const char *line)
{
    return line + strcspn(line, "\n");
}

/* The word at `at`: quotes of one kind around it are dropped; blanks and ; end it outside of them.
 * Inside $( ) and ` ` blanks and quotes belong to it. */
static size_t word_length(const char *at, const char *end, char quote)
{
    bool tick = false;
    int depth = 0;
    const char *p = at;
    for (; p < end; p++) {
        if (*p == '`')
            tick = !tick;
        else if (p[0] == '$' && p + 1 < end && p[1] == '(')
            depth++;
        else if (*p == ')' && depth > 0)
            depth--;
        if (tick || depth > 0)
            continue;
        if (quote ? *p == quote
                  : (*p == ' ' || *p == '\t' || *p == ';' || *p == '"' || *p == '\'' || *p == '\r'))
            break;
    }
    return (size_t)(p - at);
}

enum shell_found shell_variable(const char *text, const char *name, const char *install,
                                struct str *ret)
{
    enum shell_found found = SHELL_NONE;
    size_t name_len = strlen(name);
    for (const char *line = text; *line;
         line = *line_end(line) ? line_end(line) + 1 : line_end(line)) {
        const char *at = line + strspn(line, " \t"), *end = line_end(line);
        if (strncmp(at, "export ", 7) == 0)
            at += 7 + strspn(at + 7, " \t");
        if (strncmp(at, name, name_len) != 0 || at[name_len] != '=')
            continue;
        at += name_len + 1;
        char quote = at < end && (*at == '"' || *at == '\'') ? *at++ : '\0';
        found = expand(at, word_length(at, end, quote), install, ret) ? SHELL_VALUE : SHELL_UNKNOWN;
    }
    return found;
}

static bool in_comment(const char *line, const char *at)
{
    bool start = true;
    char quote = 0;
    for (const char *p = line; p < at; p++) {
        if (quote) {
            quote = *p == quote ? '\0' : quote;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == '#' && start) {
            return true;
        }
        start = *p == ' ' || *p == '\t' || *p == ';';
    }
    return false;
}

enum shell_found shell_option(const char *text, const char *option, const char *install,
                              struct str *ret)
{
    enum shell_found found = SHELL_NONE;
    for (const char *at = strstr(text, option); at; at = strstr(at + 1, option)) {
        const char *line = at;
        while (line > text && line[-1] != '\n')
            line--;
        if (in_comment(line, at))
            continue;
        const char *value = at + strlen(option), *end = line_end(at);
        bool escaped = value + 1 < end && value[0] == '\\' && value[1] == '"';
        value += escaped ? 2 : 0;
        char quote = !escaped && value < end && (*value == '"' || *value == '\'') ? *value++ : '\0';
        size_t len = word_length(value, end, escaped ? '\\' : quote);
        CLEANUP(str_free) struct str one = { 0 };
        if (found == SHELL_UNKNOWN || !expand(value, len, install, &one) ||
            (found == SHELL_VALUE && strcmp(str_text(&one), str_text(ret)) != 0)) {
            found = SHELL_UNKNOWN;
            continue;
        }
        str_clear(ret);
        str_add(ret, str_text(&one));
        found = SHELL_VALUE;
    }
    return found;
}
