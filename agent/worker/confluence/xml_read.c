/* The reading half of xml_edit: expat's events become elements with spans. */
#include "agent/worker/confluence/xml_edit.h"
#include <assert.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reading {
    XML_Parser parser;
    struct xml *xml;
    const char *bytes;
    size_t len, cap, text_total;
    size_t open[XML_DEPTH_MAX];
    size_t depth;
    struct str text[XML_DEPTH_MAX];
    const char *refused; /* why we stopped; NULL while all is well */
    enum fail refused_code;
};

static void refuse(struct reading *reading, enum fail code, const char *why)
{
    if (!reading->refused) {
        reading->refused = why;
        reading->refused_code = code;
    }
    (void)XML_StopParser(reading->parser, XML_FALSE); /* fails only when already stopped */
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool ends_name(char c)
{
    return is_blank(c) || c == '=' || c == '>' || c == '/';
}

/* expat has proven the tag well formed, so the scan only has to find the borders; every step is
 * bounded all the same. */
static void find_attribute_spans(struct xml_element *element, const char *bytes)
{
    size_t at = element->open_at + 1, end = element->open_at + element->open_len;
    while (at < end && !ends_name(bytes[at]))
        at++;
    for (size_t i = 0; i < element->attribute_count && at < end; i++) {
        struct xml_attribute *attribute = &element->attributes[i];
        while (at < end && is_blank(bytes[at]))
            at++;
        attribute->at = at;
        while (at < end && bytes[at] != '"' && bytes[at] != '\'')
            at++;
        if (at >= end)
            return;
        char quote = bytes[at++];
        attribute->value_at = at;
        while (at < end && bytes[at] != quote)
            at++;
        attribute->value_len = at - attribute->value_at;
        at = at < end ? at + 1 : at;
        attribute->len = at - attribute->at;
    }
}

static void take_attributes(struct xml_element *element, const char **attributes)
{
    size_t count = 0;
    while (attributes[2 * count])
        count++;
    element->attribute_count = count;
    if (count == 0)
        return;
    element->attributes = mem_zero(count, sizeof *element->attributes);
    for (size_t i = 0; i < count; i++) {
        element->attributes[i].name = text_dup(attributes[2 * i]);
        element->attributes[i].value = text_dup(attributes[2 * i + 1]);
    }
}

static void on_start(void *data, const char *name, const char **attributes)
{
    struct reading *reading = data;
    struct xml *xml = reading->xml;
    if (reading->depth == XML_DEPTH_MAX) {
        refuse(reading, FAIL_LIMIT, "elements are nested too deep");
        return;
    }
    if (xml->count == XML_ELEMENTS_MAX) {
        refuse(reading, FAIL_LIMIT, "too many elements");
        return;
    }
    if (attributes[0] && XML_GetSpecifiedAttributeCount(reading->parser) > 2 * XML_ATTRIBUTES_MAX) {
        refuse(reading, FAIL_LIMIT, "too many attributes");
        return;
    }
    if (xml->count == reading->cap) {
        reading->cap = reading->cap ? reading->cap * 2 : 64;
        xml->elements = mem_grow(xml->elements, reading->cap, sizeof *xml->elements);
    }
    struct xml_element *element = &xml->elements[xml->count];
    memset(element, 0, sizeof *element);
    element->name = text_dup(name);
    element->parent = reading->depth ? reading->open[reading->depth - 1] : XML_NONE;
    element->open_at = (size_t)XML_GetCurrentByteIndex(reading->parser);
    element->open_len = (size_t)XML_GetCurrentByteCount(reading->parser);
    assert(element->open_at + element->open_len <= reading->len);
    element->content_at = element->open_at + element->open_len;
    take_attributes(element, attributes);
    if (xml->editable)
        find_attribute_spans(element, reading->bytes);
    str_clear(&reading->text[reading->depth]);
    reading->open[reading->depth++] = xml->count++;
}

static void on_end(void *data, const char *name)
{
    struct reading *reading = data;
    (void)name;
    if (reading->depth == 0 || reading->refused)
        return;
    struct xml_element *element = &reading->xml->elements[reading->open[--reading->depth]];
    size_t at = (size_t)XML_GetCurrentByteIndex(reading->parser);
    size_t len = (size_t)XML_GetCurrentByteCount(reading->parser);
    struct str *text = &reading->text[reading->depth];
    element->text = text_dup(str_text(text));
    if (text->s)
        explicit_bzero(text->s, text->len);
    element->empty = len == 0; /* expat tells the end of <name/> as an event without bytes */
    if (element->empty) {
        element->end_at = element->content_at;
    } else {
        element->content_len = at - element->content_at;
        element->end_at = at + len;
    }
}

static void on_text(void *data, const char *text, int len)
{
    struct reading *reading = data;
    if (reading->depth > 0)
        str_add_bytes(&reading->text[reading->depth - 1], text, (size_t)len);
}

static void on_doctype(void *data, const char *name, const char *system, const char *public,
                       int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    refuse(data, FAIL_CORRUPT, "it has a document type declaration, which is not read");
}

static void on_declaration(void *data, const char *version, const char *encoding, int standalone)
{
    struct reading *reading = data;
    (void)standalone;
    if (version && encoding && strcasecmp(encoding, "UTF-8") != 0)
        reading->xml->utf8 = false;
}

static int failure(const struct reading *reading, struct err *err)
{
    unsigned long line = XML_GetCurrentLineNumber(reading->parser);
    unsigned long column = XML_GetCurrentColumnNumber(reading->parser) + 1;
    if (reading->refused)
        return err_set(err, reading->refused_code, "line %lu column %lu: %s", line, column,
                       reading->refused);
    return err_set(err, FAIL_CORRUPT, "line %lu column %lu: %s", line, column,
                   XML_ErrorString(XML_GetErrorCode(reading->parser)));
}

int xml_parse(const char *bytes, size_t len, struct xml *ret, struct err *err)
{
    if (len > XML_SIZE_MAX)
        return err_set(err, FAIL_LIMIT, "%zu bytes of XML, the limit is %d", len, XML_SIZE_MAX);
    struct xml xml = { .utf8 = true, .editable = true };
    struct reading reading = { .xml = &xml, .bytes = bytes, .len = len };
    if (len >= 2 && (memchr(bytes, 0, len < 4 ? len : 4) || (unsigned char)bytes[0] >= 0xfe))
        xml.utf8 = xml.editable = false;
    reading.parser = XML_ParserCreate(NULL);
    if (!reading.parser)
        return err_set(err, FAIL_MEMORY, "no memory for an XML parser");
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    XML_SetXmlDeclHandler(reading.parser, on_declaration);
    bool good = XML_Parse(reading.parser, bytes, (int)len, XML_TRUE) == XML_STATUS_OK;
    int result = good ? 0 : failure(&reading, err);
    XML_ParserFree(reading.parser);
    for (size_t i = 0; i < XML_DEPTH_MAX; i++) {
        if (reading.text[i].s)
            explicit_bzero(reading.text[i].s, reading.text[i].len);
        str_free(&reading.text[i]);
    }
    if (!good) {
        xml_free(&xml);
        return result;
    }
    *ret = xml;
    return 0;
}

int xml_parse_str(const struct str *text, struct xml *ret, struct err *err)
{
    return xml_parse(str_text(text), text->len, ret, err);
}

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void xml_free(struct xml *xml)
{
    for (size_t i = 0; i < xml->count; i++) {
        struct xml_element *element = &xml->elements[i];
        for (size_t a = 0; a < element->attribute_count; a++) {
            free(element->attributes[a].name);
            wipe(&element->attributes[a].value);
        }
        free(element->attributes);
        free(element->name);
        wipe(&element->text);
    }
    free(xml->elements);
    *xml = (struct xml){ 0 };
}

/* Whether the names from the root down to element are the first len bytes of path. */
static bool path_fits(const struct xml *xml, const struct xml_element *element, const char *path,
                      size_t len)
{
    for (;;) {
        size_t name = strlen(element->name);
        if (name > len || memcmp(path + len - name, element->name, name) != 0)
            return false;
        len -= name;
        if (element->parent == XML_NONE)
            return len == 0;
        if (len == 0 || path[--len] != '/')
            return false;
        element = &xml->elements[element->parent];
    }
}

const struct xml_element *xml_next(const struct xml *xml, const char *path,
                                   const struct xml_element *after)
{
    for (size_t i = after ? (size_t)(after - xml->elements) + 1 : 0; i < xml->count; i++)
        if (path_fits(xml, &xml->elements[i], path, strlen(path)))
            return &xml->elements[i];
    return NULL;
}

const struct xml_element *xml_find(const struct xml *xml, const char *path, size_t nth)
{
    const struct xml_element *element = xml_next(xml, path, NULL);
    while (element && nth-- > 0)
        element = xml_next(xml, path, element);
    return element;
}

const struct xml_element *xml_child(const struct xml *xml, const struct xml_element *parent,
                                    const char *name, const struct xml_element *after)
{
    size_t index = (size_t)(parent - xml->elements);
    for (size_t i = after ? (size_t)(after - xml->elements) + 1 : index + 1; i < xml->count; i++) {
        const struct xml_element *element = &xml->elements[i];
        if (element->open_at >= parent->end_at)
            return NULL;
        if (element->parent == index && (!name || strcmp(element->name, name) == 0))
            return element;
    }
    return NULL;
}

const char *xml_value(const struct xml_element *element, const char *attribute)
{
    for (size_t i = 0; i < element->attribute_count; i++)
        if (strcmp(element->attributes[i].name, attribute) == 0)
            return element->attributes[i].value;
    return NULL;
}
