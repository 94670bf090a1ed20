/* xml_edit - reads a small XML file with expat and changes it without touching any other byte.
 *
 * xml_parse() gives every element with its attributes and the byte spans of its tags; an edit
 * replaces one span inside the text and leaves quoting, blanks, comments and line breaks as the
 * customer has them. After an edit the spans no longer fit: parse again. A document type
 * declaration is refused, so there are no entities to expand and nothing is loaded. Size, depth and
 * count are bounded. Values may be secrets: xml_free() wipes them. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

#define XML_SIZE_MAX       (4 * 1024 * 1024)
#define XML_DEPTH_MAX      64
#define XML_ELEMENTS_MAX   50000
#define XML_ATTRIBUTES_MAX 256 /* of one element */

struct xml_attribute {
    char *name, *value;         /* value decoded, UTF-8 */
    size_t at, len;             /* name="value", both quotes included */
    size_t value_at, value_len; /* between the quotes, as written */
};

struct xml_element {
    char *name, *text;        /* text: its own character data, decoded; "" for none */
    size_t parent;            /* index, XML_NONE for the root */
    size_t open_at, open_len; /* the start tag, or the whole <name/> */
    size_t content_at,
        content_len; /* between start and end tag; len zero and at the end for <name/> */
    size_t end_at;   /* first byte after the element */
    bool empty;      /* written as <name/> */
    struct xml_attribute *attributes;
    size_t attribute_count;
};
#define XML_NONE ((size_t)-1)

struct xml {
    struct xml_element *elements; /* in document order */
    size_t count;
    bool utf8;     /* false: Latin-1 or such; edits then write character references */
    bool editable; /* false for UTF-16: spans cannot be spliced as bytes */
};

int xml_parse(const char *bytes, size_t len, struct xml *ret,
              struct err *err) MUST_USE; /* FAIL_CORRUPT with line and column, FAIL_LIMIT */
int xml_parse_str(const struct str *text, struct xml *ret, struct err *err) MUST_USE;
void xml_free(struct xml *xml); /* fits CLEANUP() */

/* The nth (from 0) element whose names from the root down are path, as "Server/Service/Connector";
 * NULL when there is none. */
const struct xml_element *xml_find(const struct xml *xml, const char *path, size_t nth);
/* The next one after `after` (NULL: the first): for walking over all of them. */
const struct xml_element *xml_next(const struct xml *xml, const char *path,
                                   const struct xml_element *after);
/* The next child of parent called name (NULL: any), after the element `after` (NULL: the first). */
const struct xml_element *xml_child(const struct xml *xml, const struct xml_element *parent,
                                    const char *name, const struct xml_element *after);
const char *xml_value(const struct xml_element *element,
                      const char *attribute); /* NULL when absent */

/* Edits. element belongs to the parse of this very text; on failure text is untouched. */
int xml_attribute_set(struct str *text, const struct xml *xml, const struct xml_element *element,
                      const char *name, const char *value, struct err *err)
    MUST_USE; /* replaces the value, or adds the attribute last */
int xml_attribute_remove(
    struct str *text, const struct xml *xml, const struct xml_element *element, const char *name,
    struct err *err) MUST_USE; /* absent is fine; takes the blank before it along */
int xml_text_set(struct str *text, const struct xml *xml, const struct xml_element *element,
                 const char *value, struct err *err) MUST_USE; /* of an element without children */
/* Puts raw XML after an element, on lines of its own with that element's indentation. It must parse
 * by itself. */
int xml_insert_after(struct str *text, const struct xml *xml, const struct xml_element *element,
                     const char *raw, size_t len, struct err *err) MUST_USE;
/* Puts raw XML before the end tag of an element; FAIL_UNSUPPORTED for one written as <name/>. */
int xml_insert_last(struct str *text, const struct xml *xml, const struct xml_element *element,
                    const char *raw, size_t len, struct err *err) MUST_USE;
void xml_escape(struct str *out, const char *value,
                bool utf8); /* for text and for both kinds of quotes */

/* The header's one-call form: parse, find, set. path as for xml_find(). When key is not NULL only
 * elements with that attribute equal to key_value count. FAIL_NOT_FOUND when there is no such
 * element. */
struct xml_where {
    const char *path, *key, *key_value;
    size_t nth;
};
int xml_set(struct str *text, const struct xml_where *where, const char *attribute,
            const char *value, struct err *err) MUST_USE;
