#include "agent/worker/confluence/redact_text.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "(hidden)"

struct redact {
    const char *at, *line; /* here, and where its line starts */
    struct str *out;
    bool armed; /* the name of a secret stood as a value or text; its own value comes behind it */
};

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

static bool is_secret(const char *name, size_t len)
{
    static const char *const words[] = { "pass",    "pwd",      "secret",  "token",   "credential",
                                         "apikey",  "api_key",  "api-key", "api.key", "privatekey",
                                         "licence", "license",  "keyphrase", "private.key",
                                         "private_key", "private-key", NULL };
    for (const char *const *word = words; *word; word++)
        for (size_t i = 0, size = strlen(*word); i + size <= len; i++)
            if (strncasecmp(name + i, *word, size) == 0)
                return true;
    return (len >= 3 && strncasecmp(name + len - 3, "key", 3) == 0) ||
           (len == 8 && strncasecmp(name, "shutdown", 8) == 0);
}

static void keep(struct redact *r, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (r->at[i] == '\n')
            r->line = r->at + i + 1;
    str_add_bytes(r->out, r->at, len);
    r->at += len;
}

/* Line ends stay, so that lines of two texts still meet. */
static void hide(struct redact *r, size_t len)
{
    if (len)
        str_add(r->out, HIDDEN);
    for (size_t i = 0; i < len; i++)
        if (r->at[i] == '\n') {
            str_add(r->out, "\n");
            r->line = r->at + i + 1;
        }
    r->at += len;
}

/* A property's value goes to the end of its line, and on behind a backslash there. */
static size_t property_len(const char *at)
{
    size_t len = strcspn(at, "\r\n");
    while (len && at[len] && at[len - 1] == '\\') {
        len += strspn(at + len, "\r\n");
        len += strcspn(at + len, "\r\n");
    }
    return len;
}

/* Between quotes up to the same quote; a backslash before it belongs to the quote. */
static void hide_value(struct redact *r)
{
    if (*r->at == '\\' && (r->at[1] == '"' || r->at[1] == '\''))
        keep(r, 1);
    if (*r->at == '"' || *r->at == '\'') {
        char quote = *r->at;
        keep(r, 1);
        const char *end = strchr(r->at, quote);
        hide(r, end ? (size_t)(end - r->at) : strlen(r->at));
        return;
    }
    hide(r, strcspn(r->at, " \t\r\n\"'<>"));
}

/* At the end of a secret's name: its value, when one follows here. */
static void value_behind(struct redact *r, bool first_of_line, bool closes)
{
    size_t blanks = strspn(r->at, " \t");
    char sign = r->at[blanks];
    if (sign == '=' || (sign == ':' && r->at[blanks + 1] != '/')) {
        keep(r, blanks + 1);
        keep(r, strspn(r->at, " \t"));
        if (first_of_line && *r->at != '"' && *r->at != '\'')
            hide(r, property_len(r->at));
        else
            hide_value(r);
    } else if (first_of_line && blanks) {
        keep(r, blanks);
        hide(r, property_len(r->at));
    } else if (!closes && (sign == '"' || sign == '\'' || sign == '<' || sign == '>' || sign == ',')) {
        r->armed = true;
    }
}

static bool is_first(const struct redact *r, const char *name)
{
    const char *start = r->line + strspn(r->line, " \t");
    return start == name;
}

static void name_take(struct redact *r)
{
    const char *name = r->at;
    size_t len = 0;
    bool first = is_first(r, name), closes = name > r->line && name[-1] == '/';
    while (is_name(name[len]))
        len++;
    keep(r, len);
    if (is_secret(name, len)) {
        value_behind(r, first, closes);
    } else if (r->armed && len == 5 && strncasecmp(name, "value", 5) == 0 &&
               strspn(r->at, " \t\r\n") + 1 <= strlen(r->at) &&
               r->at[strspn(r->at, " \t\r\n")] == '=') {
        keep(r, strspn(r->at, " \t\r\n=") );
        hide_value(r);
        r->armed = false;
    }
}

/* What stands before the @ of an address behind "://". */
static void url_take(struct redact *r)
{
    keep(r, 3);
    size_t len = strcspn(r->at, "/ \t\r\n\"'<>?"), at = len;
    while (at && r->at[at - 1] != '@')
        at--;
    size_t colon = strcspn(r->at, ":");
    if (at && colon + 1 < at) {
        keep(r, colon + 1);
        hide(r, at - 1 - (colon + 1));
    }
}

static void element_take(struct redact *r)
{
    keep(r, 1);
    size_t blanks = strspn(r->at, " \t\r\n"), len = strcspn(r->at + blanks, "<");
    if (!r->armed || r->at[blanks] == '<' || !r->at[blanks])
        return;
    keep(r, blanks);
    hide(r, len);
    r->armed = false;
}

void redact_text(const char *text, struct str *out)
{
    static const char pem[] = "-----BEGIN", pem_end[] = "-----END";
    struct redact r = { .at = text, .line = text, .out = out };
    while (*r.at) {
        if (strncmp(r.at, pem, sizeof pem - 1) == 0) {
            const char *end = strstr(r.at, pem_end);
            hide(&r, end ? (size_t)(end - r.at) : strlen(r.at));
        } else if (strncmp(r.at, "://", 3) == 0) {
            url_take(&r);
        } else if (*r.at == '>') {
            element_take(&r);
        } else if (is_name(*r.at)) {
            name_take(&r);
        } else {
            keep(&r, 1);
        }
    }
}
