#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

/* One change of a text: len bytes at `at` become `with`. */
struct splice {
    size_t at, len;
    const struct str *with;
};

static int splice_apply(struct str *text, const struct splice *splice, struct err *err)
{
    assert(splice->at <= text->len);
    assert(splice->len <= text->len - splice->at);
    CLEANUP(str_free) struct str next = { 0 };
    str_add_bytes(&next, text->s, splice->at);
    str_add_bytes(&next, str_text(splice->with), splice->with->len);
    str_add_bytes(&next, text->s + splice->at + splice->len, text->len - splice->at - splice->len);
    /* The changed text must still be what we think it is: a wrong span would show here. */
    CLEANUP(xml_free) struct xml check = { 0 };
    if (xml_parse_str(&next, &check, err) != 0)
        return err_wrap(err, "the changed XML does not parse");
    struct str old = *text;
    *text = next;
    next = old;
    return 0;
}

static int must_be_editable(const struct xml *xml, struct err *err)
{
    if (xml->editable)
        return 0;
    return err_set(err, FAIL_UNSUPPORTED,
                   "the file is written in UTF-16; it can be read but not changed in place");
}

static unsigned decode_utf8(const unsigned char **at)
{
    const unsigned char *p = *at;
    unsigned code = *p++;
    int more = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : code >= 0xc0 ? 1 : 0;
    if (more > 0)
        code &= 0x3fu >> more;
    while (more-- > 0 && (*p & 0xc0) == 0x80)
        code = code << 6 | (*p++ & 0x3fu);
    *at = p;
    return code;
}

void xml_escape(struct str *out, const char *value, bool utf8)
{
    const unsigned char *at = (const unsigned char *)value;
    while (*at) {
        switch (*at) {
        case '&':
            str_add(out, "&amp;");
            at++;
            break;
        case '<':
            str_add(out, "&lt;");
            at++;
            break;
        case '>':
            str_add(out, "&gt;");
            at++;
            break;
        case '"':
            str_add(out, "&quot;");
            at++;
            break;
        case '\'':
            str_add(out, "&apos;");
            at++;
            break;
        case '\t':
        case '\n':
        case '\r':
            str_addf(out, "&#%u;", (unsigned)*at++);
            break;
        default:
            if (*at < 0x80 || utf8)
                str_add_bytes(out, at++, 1);
            else
                str_addf(out, "&#x%X;", decode_utf8(&at));
        }
    }
}

static const struct xml_attribute *attribute_of(const struct xml_element *element, const char *name)
{
    for (size_t i = 0; i < element->attribute_count; i++)
        if (strcmp(element->attributes[i].name, name) == 0)
            return &element->attributes[i];
    return NULL;
}

/* A multi-line tag gets the new attribute on a line of its own, indented as its last attribute is.
 */
static void add_separator(struct str *out, const struct str *text,
                          const struct xml_element *element)
{
    if (element->attribute_count == 0) {
        str_add(out, " ");
        return;
    }
    size_t end = element->attributes[element->attribute_count - 1].at, at = end;
    while (at > element->open_at && (text->s[at - 1] == ' ' || text->s[at - 1] == '\t'))
        at--;
    if (text->s[at - 1] != '\n') {
        str_add(out, " ");
        return;
    }
    size_t line_end = at - 1 > element->open_at && text->s[at - 2] == '\r' ? at - 2 : at - 1;
    str_add_bytes(out, text->s + line_end, end - line_end);
}

int xml_attribute_set(struct str *text, const struct xml *xml, const struct xml_element *element,
                      const char *name, const char *value, struct err *err)
{
    if (must_be_editable(xml, err) != 0)
        return -FAIL_UNSUPPORTED;
    CLEANUP(str_free) struct str with = { 0 };
    const struct xml_attribute *attribute = attribute_of(element, name);
    if (attribute) {
        if (strcmp(attribute->value, value) == 0)
            return 0;
        xml_escape(&with, value, xml->utf8);
        return splice_apply(
            text, &(struct splice){ attribute->value_at, attribute->value_len, &with }, err);
    }
    size_t at = element->open_at + 1 + strlen(element->name);
    if (element->attribute_count > 0) {
        const struct xml_attribute *last = &element->attributes[element->attribute_count - 1];
        at = last->at + last->len;
    }
    add_separator(&with, text, element);
    str_addf(&with, "%s=\"", name);
    xml_escape(&with, value, xml->utf8);
    str_add(&with, "\"");
    return splice_apply(text, &(struct splice){ at, 0, &with }, err);
}

int xml_attribute_remove(struct str *text, const struct xml *xml, const struct xml_element *element,
                         const char *name, struct err *err)
{
    if (must_be_editable(xml, err) != 0)
        return -FAIL_UNSUPPORTED;
    const struct xml_attribute *attribute = attribute_of(element, name);
    if (!attribute)
        return 0;
    size_t at = attribute->at;
    while (at > element->open_at && strchr(" \t\r\n", text->s[at - 1]))
        at--;
    struct str nothing = { 0 };
    return splice_apply(text, &(struct splice){ at, attribute->at + attribute->len - at, &nothing },
                        err);
}

int xml_text_set(struct str *text, const struct xml *xml, const struct xml_element *element,
                 const char *value, struct err *err)
{
    if (must_be_editable(xml, err) != 0)
        return -FAIL_UNSUPPORTED;
    if (xml_child(xml, element, NULL, NULL))
        return err_set(err, FAIL_UNSUPPORTED, "element %s has children; its text is not set",
                       element->name);
    CLEANUP(str_free) struct str with = { 0 };
    if (!element->empty) {
        xml_escape(&with, value, xml->utf8);
        return splice_apply(
            text, &(struct splice){ element->content_at, element->content_len, &with }, err);
    }
    /* <name a="b"/> has no room for text: its last two bytes become >text</name>. */
    str_add(&with, ">");
    xml_escape(&with, value, xml->utf8);
    str_addf(&with, "</%s>", element->name);
    return splice_apply(
        text, &(struct splice){ element->open_at + element->open_len - 2, 2, &with }, err);
}

/* The line break and blanks in front of the byte at `at`, as far as the line holds nothing else. */
static void add_indentation(struct str *out, const struct str *text, size_t at)
{
    size_t start = at;
    while (start > 0 && (text->s[start - 1] == ' ' || text->s[start - 1] == '\t'))
        start--;
    if (start > 0 && text->s[start - 1] != '\n')
        start = at;
    str_add(out, memchr(text->s, '\r', text->len) ? "\r\n" : "\n");
    str_add_bytes(out, text->s + start, at - start);
}

static int fragment_check(const char *raw, size_t len, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    if (xml_parse(raw, len, &xml, err) != 0)
        return err_wrap(err, "the piece to put in");
    return 0;
}

int xml_insert_after(struct str *text, const struct xml *xml, const struct xml_element *element,
                     const char *raw, size_t len, struct err *err)
{
    if (must_be_editable(xml, err) != 0)
        return -FAIL_UNSUPPORTED;
    int result = fragment_check(raw, len, err);
    if (result != 0)
        return result;
    CLEANUP(str_free) struct str with = { 0 };
    add_indentation(&with, text, element->open_at);
    str_add_bytes(&with, raw, len);
    return splice_apply(text, &(struct splice){ element->end_at, 0, &with }, err);
}

int xml_insert_last(struct str *text, const struct xml *xml, const struct xml_element *element,
                    const char *raw, size_t len, struct err *err)
{
    if (must_be_editable(xml, err) != 0)
        return -FAIL_UNSUPPORTED;
    if (element->empty)
        return err_set(err, FAIL_UNSUPPORTED,
                       "element %s is written without an end tag; nothing can be put into it",
                       element->name);
    int result = fragment_check(raw, len, err);
    if (result != 0)
        return result;
    const struct xml_element *last = NULL;
    for (const struct xml_element *e = NULL; (e = xml_child(xml, element, NULL, e)) != NULL;)
        last = e;
    CLEANUP(str_free) struct str with = { 0 };
    if (last) {
        add_indentation(&with, text, last->open_at);
        str_add_bytes(&with, raw, len);
        return splice_apply(text, &(struct splice){ last->end_at, 0, &with }, err);
    }
    add_indentation(&with, text, element->open_at);
    str_add(&with, "  ");
    str_add_bytes(&with, raw, len);
    add_indentation(&with, text, element->open_at);
    size_t at = element->content_at + element->content_len;
    while (at > element->content_at && strchr(" \t\r\n", text->s[at - 1]))
        at--;
    return splice_apply(
        text, &(struct splice){ at, element->content_at + element->content_len - at, &with }, err);
}

int xml_set(struct str *text, const struct xml_where *where, const char *attribute,
            const char *value, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(text, &xml, err);
    if (result != 0)
        return result;
    size_t nth = where->nth;
    const struct xml_element *element = NULL;
    while ((element = xml_next(&xml, where->path, element)) != NULL) {
        const char *have = where->key ? xml_value(element, where->key) : NULL;
        if (where->key && (!have || strcmp(have, where->key_value) != 0))
            continue;
        if (nth-- == 0)
            return xml_attribute_set(text, &xml, element, attribute, value, err);
    }
    return err_set(err, FAIL_NOT_FOUND, "no element %s%s%s%s", where->path,
                   where->key ? " with " : "", where->key ? where->key : "",
                   where->key ? " as wanted" : "");
}
