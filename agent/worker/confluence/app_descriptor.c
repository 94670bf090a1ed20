#include "agent/worker/confluence/app_descriptor.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include <string.h>
#include <strings.h>

/* Copies what fits, without blanks around it and without control characters. */
static void say(char *out, size_t size, const char *text, size_t len)
{
    size_t used = 0;
    while (len > 0 && (unsigned char)text[0] <= ' ') {
        text++;
        len--;
    }
    while (len > 0 && (unsigned char)text[len - 1] <= ' ')
        len--;
    if (memmem(text, len, "${", 2))
        return;
    for (; used < len && used + 1 < size; used++)
        out[used] = (unsigned char)text[used] < ' ' || text[used] == 127 ? ' ' : text[used];
    out[used] = 0;
}
#define SAY(field, text)                                                                           \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (text_ && !(field)[0])                                                                  \
            say(field, sizeof(field), text_, strlen(text_));                                       \
    } while (0)

static enum app_says yes_no(const char *text, const char *yes)
{
    text += strspn(text, " \t\r\n");
    size_t len = strcspn(text, " \t\r\n");
    return len == strlen(yes) && strncasecmp(text, yes, len) == 0 ? APP_SAYS_YES : APP_SAYS_NO;
}

/* Two spellings of one mark: no counts only where neither says yes. */
static void add_says(enum app_says *mark, enum app_says value)
{
    if (*mark != APP_SAYS_YES)
        *mark = value;
}

static void read_param(const struct xml_element *param, struct app *app)
{
    const char *name = xml_value(param, "name");
    if (!name)
        return;
    if (strcmp(name, "atlassian-data-center-status") == 0)
        add_says(&app->data_center, yes_no(param->text, "compatible"));
    else if (strcmp(name, "atlassian-data-center-compatible") == 0)
        add_says(&app->data_center, yes_no(param->text, "true"));
    else if (strcmp(name, "atlassian-licensing-enabled") == 0)
        add_says(&app->licensing, yes_no(param->text, "true"));
}

static void read_info(const struct xml_element *child, struct app *app)
{
    if (strcmp(child->name, "version") == 0)
        SAY(app->version, child->text);
    else if (strcmp(child->name, "vendor") == 0)
        SAY(app->vendor, xml_value(child, "name"));
    else if (strcmp(child->name, "param") == 0)
        read_param(child, app);
}

/* One pass: descriptors may be made to be searched for long. */
static void read_infos(const struct xml *xml, struct app *app)
{
    for (size_t i = 1; i < xml->count; i++) {
        size_t parent = xml->elements[i].parent;
        if (parent != XML_NONE && xml->elements[parent].parent == 0 &&
            strcmp(xml->elements[parent].name, "plugin-info") == 0)
            read_info(&xml->elements[i], app);
    }
}

/* One without the attribute is of generation 1. */
static unsigned generation_of(const struct xml_element *root)
{
    const char *text = xml_value(root, "plugins-version");
    if (!text)
        text = xml_value(root, "pluginsVersion");
    if (!text)
        return 1;
    text += strspn(text, " ");
    return text[0] >= '1' && text[0] <= '3' && (text[1] == 0 || text[1] == ' ')
               ? (unsigned)(text[0] - '0')
               : 0;
}

/* The declaration stands before the root element; the parser refuses it wherever it is. */
static bool has_doctype(const char *bytes, size_t len)
{
    return memmem(bytes, len, "<!DOCTYPE", 9) != NULL ||
           memmem(bytes, len, "<\0!\0D\0O\0C\0T", 12) != NULL ||
           memmem(bytes, len, "\0<\0!\0D\0O\0C\0T", 13) != NULL;
}

int app_descriptor_parse(const char *bytes, size_t len, struct app *ret, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    struct app app = { .key = "" };
    if (len > APP_DESCRIPTOR_MAX)
        return err_set(err, FAIL_LIMIT, "the descriptor is larger than 1 MiB");
    int result = xml_parse(bytes, len, &xml, err);
    if (result != 0 && has_doctype(bytes, len)) {
        if (err)
            err_clear(err);
        return err_set(err, FAIL_UNSUPPORTED,
                       "the descriptor has a document type declaration, which is not read");
    }
    if (result != 0) {
        (void)err_wrap(err, "the descriptor");
        return result;
    }
    const struct xml_element *root = xml.count ? &xml.elements[0] : NULL;
    if (!root || strcmp(root->name, "atlassian-plugin") != 0)
        return err_set(err, FAIL_CORRUPT, "the descriptor is none of an app");
    SAY(app.key, xml_value(root, "key"));
    SAY(app.name, xml_value(root, "name"));
    const char *state = xml_value(root, "state");
    app.off = state && strcmp(state, "disabled") == 0;
    app.generation = generation_of(root);
    read_infos(&xml, &app);
    *ret = app;
    return 0;
}

/* ------------------------------------------------------------------ manifest */

/* One header, its further lines joined; returns where the next begins. A line goes on in the next
 * when that one begins with a blank. */
static size_t header_take(const char *bytes, size_t len, size_t at, char *line, size_t size)
{
    size_t used = 0;
    bool first = true;
    while (at < len && (first || bytes[at] == ' ')) {
        at += !first;
        while (at < len && bytes[at] != '\n' && bytes[at] != '\r') {
            if (used + 1 < size)
                line[used++] = bytes[at];
            at++;
        }
        at += at < len && bytes[at] == '\r';
        at += at < len && bytes[at] == '\n';
        first = false;
    }
    line[used] = 0;
    return at;
}

void app_manifest_parse(const char *bytes, size_t len, struct app *app)
{
    char line[1024];
    char symbolic[256] = "", implementation[64] = "";
    const struct {
        const char *name;
        char *to;
        size_t size;
    } headers[] = {
        { "Atlassian-Plugin-Key", app->key, sizeof app->key },
        { "Bundle-Name", app->name, sizeof app->name },
        { "Bundle-Version", app->version, sizeof app->version },
        { "Bundle-Vendor", app->vendor, sizeof app->vendor },
        { "Bundle-SymbolicName", symbolic, sizeof symbolic },
        { "Implementation-Version", implementation, sizeof implementation },
    };
    size_t at = 0;
    len = len < APP_DESCRIPTOR_MAX ? len : APP_DESCRIPTOR_MAX;
    while (at < len) {
        at = header_take(bytes, len, at, line, sizeof line);
        if (!line[0])
            break; /* what follows is about single entries */
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = 0;
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
            if (strcasecmp(line, headers[i].name) == 0 && !headers[i].to[0])
                say(headers[i].to, headers[i].size, colon + 1, strlen(colon + 1));
    }
    SAY(app->version, implementation);
    if (app->key[0])
        SAY(app->name, symbolic);
}
