#include "controller/cli/html.h"
#include <string.h>

static const char *entity_of(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(struct str *to, const char *text)
{
    bool valid = text_is_utf8(text, strlen(text));
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        const char *entity = entity_of(*s);
        bool c1 = valid && s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
        if (entity)
            str_add(to, entity);
        else if ((*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f || c1 ||
                 (*s >= 0x80 && !valid))
            str_add(to, "?");
        else
            str_add_bytes(to, s, 1);
        s += c1 ? 1 : 0;
    }
}

void html_element(struct str *to, const char *tag, const char *class_name, const char *text)
{
    bool has_class = class_name && *class_name;
    str_addf(to, "<%s%s%s%s>", tag, has_class ? " class=\"" : "", has_class ? class_name : "",
             has_class ? "\"" : "");
    html_text(to, text);
    str_addf(to, "</%s>", tag);
}
