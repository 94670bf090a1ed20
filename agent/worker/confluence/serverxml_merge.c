/* The way of a site's own settings into the next version's server.xml. */
#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/confluence/redact.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTOR "Server/Service/Connector"
#define CONTEXT   "Server/Service/Engine/Host/Context"
#define CARRY_MAX 64 /* attributes and elements carried into one file */

/* Without the old version's shipped file these are taken to be the customer's. className never
 * is: 5.5's names no class that later versions have (facts 1.2). */
static const char *const connector_known[] = { "port",
                                               "address",
                                               "proxyName",
                                               "proxyPort",
                                               "scheme",
                                               "secure",
                                               "redirectPort",
                                               "maxThreads",
                                               "maxHttpHeaderSize",
                                               "maxPostSize",
                                               "connectionTimeout",
                                               "acceptCount",
                                               "compression",
                                               "compressionMinSize",
                                               "compressibleMimeType",
                                               "compressableMimeType",
                                               "relaxedPathChars",
                                               "relaxedQueryChars",
                                               "SSLEnabled",
                                               "keystoreFile",
                                               "keystorePass",
                                               "keystoreType",
                                               "keyPass",
                                               "truststoreFile",
                                               "truststorePass",
                                               "truststoreType",
                                               "sslEnabledProtocols",
                                               "ciphers",
                                               "maxConnections",
                                               "keyAlias",
                                               "sslProtocol",
                                               "clientAuth",
                                               "server",
                                               "bindOnInit",
                                               NULL };
static const char *const server_known[] = { "port", "shutdown", "address", NULL };
static const char *const context_known[] = { "path", NULL };
static const char *const never[] = { "className", "protocol", "docBase", NULL };

struct merge {
    struct xml old, shipped;
    bool has_shipped;
    const struct str *old_text;
    struct str *text;
    struct serverxml_report *report;
};

void serverxml_report_free(struct serverxml_report *report)
{
    str_free(&report->carried);
    str_free(&report->left);
}

static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static const struct xml_element *server_element(const struct xml *xml)
{
    return xml_find(xml, "Server", 0);
}

typedef const struct xml_element *find_fn(const struct xml *xml);

static int set_in_new(struct merge *merge, find_fn *find, const char *label, const char *name,
                      const char *value, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(merge->text, &xml, err);
    if (result != 0)
        return result;
    const struct xml_element *element = find(&xml);
    if (!element) {
        str_addf(&merge->report->left, "%s %s: the new file has no such element\n", label, name);
        return 0;
    }
    const char *have = xml_value(element, name);
    if (have && strcmp(have, value) == 0)
        return 0;
    if ((result = xml_attribute_set(merge->text, &xml, element, name, value, err)) != 0)
        return err_wrap(err, "%s %s", label, name);
    str_addf(&merge->report->carried, "%s %s=\"%s\"\n", label, name,
             redact_is_secret(name) || redact_is_secret(value) ? REDACTED : value);
    return 0;
}

/* Whether the customer wrote this attribute: it differs from the shipped one, or, with nothing to
 * compare, it is on the list. */
static bool is_local(const struct merge *merge, find_fn *find, const char *const *known,
                     const struct xml_attribute *attribute)
{
    if (listed(never, attribute->name))
        return false;
    if (!merge->has_shipped)
        return listed(known, attribute->name);
    const struct xml_element *shipped = find(&merge->shipped);
    const char *value = shipped ? xml_value(shipped, attribute->name) : NULL;
    return !value || strcmp(value, attribute->value) != 0;
}

static int merge_element(struct merge *merge, find_fn *find, const char *const *known,
                         const char *label, struct err *err)
{
    const struct xml_element *old = find(&merge->old);
    if (!old)
        return 0;
    for (size_t i = 0; i < old->attribute_count; i++) {
        const struct xml_attribute *attribute = &old->attributes[i];
        if (!is_local(merge, find, known, attribute))
            continue;
        int result = set_in_new(merge, find, label, attribute->name, attribute->value, err);
        if (result != 0)
            return result;
    }
    return 0;
}

/* An element that Confluence ships commented out is known by its port (connectors) or name
 * (resources). */
static bool has_like(const struct xml *xml, const char *path, const char *key, const char *value)
{
    const struct xml_element *element = NULL;
    while ((element = xml_next(xml, path, element)) != NULL) {
        const char *have = xml_value(element, key);
        if (have && strcmp(have, value) == 0)
            return true;
    }
    return false;
}

static int insert_raw(struct merge *merge, const struct xml_element *old, find_fn *find,
                      bool inside, const char *label, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(merge->text, &xml, err);
    if (result != 0)
        return result;
    const struct xml_element *place = find(&xml);
    if (!place || !merge->old.editable || merge->old.utf8 != xml.utf8) {
        str_addf(&merge->report->left, "%s: it has no place in the new file\n", label);
        return 0;
    }
    const char *raw = merge->old_text->s + old->open_at;
    size_t len = old->end_at - old->open_at;
    result = inside ? xml_insert_last(merge->text, &xml, place, raw, len, err)
                    : xml_insert_after(merge->text, &xml, place, raw, len, err);
    if (result != 0)
        return err_wrap(err, "%s", label);
    str_addf(&merge->report->carried, "%s\n", label);
    return 0;
}

static int merge_connectors(struct merge *merge, struct err *err)
{
    const struct xml_element *main_one = serverxml_connector(&merge->old), *element = NULL;
    for (size_t i = 0;
         i < CARRY_MAX && (element = xml_next(&merge->old, CONNECTOR, element)) != NULL; i++) {
        const char *port = xml_value(element, "port");
        if (element == main_one || !port)
            continue;
        CLEANUP(xml_free) struct xml now = { 0 };
        int result = xml_parse_str(merge->text, &now, err);
        if (result != 0)
            return result;
        CLEANUP(free_mem) char *label = text_printf("Connector on port %s", port);
        if (has_like(&now, CONNECTOR, "port", port))
            continue;
        if (xml_value(element, "className")) {
            str_addf(&merge->report->left,
                     "%s: it names a class that the new Tomcat may not have\n", label);
            continue;
        }
        if ((result = insert_raw(merge, element, serverxml_connector, false, label, err)) != 0)
            return result;
    }
    return 0;
}

/* Whether the shipped file has an element with the same name and attributes at this path. */
static bool is_shipped(const struct xml *xml, const char *path, const struct xml_element *element)
{
    const struct xml_element *other = NULL;
    while ((other = xml_next(xml, path, other)) != NULL) {
        size_t same = 0;
        for (size_t a = 0; a < element->attribute_count; a++) {
            const char *value = xml_value(other, element->attributes[a].name);
            same += value && strcmp(value, element->attributes[a].value) == 0;
        }
        if (same == element->attribute_count && same == other->attribute_count)
            return true;
    }
    return false;
}

static int merge_resources(struct merge *merge, struct err *err)
{
    const struct xml_element *context = serverxml_context(&merge->old), *element = NULL;
    for (size_t i = 0; context && i < CARRY_MAX &&
                       (element = xml_child(&merge->old, context, "Resource", element)) != NULL;
         i++) {
        const char *name = xml_value(element, "name");
        CLEANUP(xml_free) struct xml now = { 0 };
        int result = xml_parse_str(merge->text, &now, err);
        if (result != 0)
            return result;
        if (!name || has_like(&now, CONTEXT "/Resource", "name", name))
            continue;
        CLEANUP(free_mem) char *label = text_printf("Resource %s", name);
        if ((result = insert_raw(merge, element, serverxml_context, true, label, err)) != 0)
            return result;
    }
    return 0;
}

/* Valves, realms, hosts and aliases of the customer's: their meaning cannot be judged here, so a
 * person is told. */
static void report_others(struct merge *merge, const struct xml *now)
{
    static const char *const paths[] = {
        "Server/Service/Engine/Valve",
        "Server/Service/Engine/Host/Valve",
        CONTEXT "/Valve",
        CONTEXT "/Realm",
        CONTEXT "/Loader",
        CONTEXT "/Parameter",
        CONTEXT "/Environment",
        "Server/Service/Engine/Realm",
        "Server/Service/Engine/Host/Alias",
        CONTEXT,
        "Server/GlobalNamingResources/Resource",
        "Server/Listener",
    };
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
        const struct xml_element *element = NULL;
        for (size_t i = 0;
             i < CARRY_MAX && (element = xml_next(&merge->old, paths[p], element)) != NULL; i++) {
            const char *of = xml_value(element, "className");
            of = of ? of : xml_value(element, "docBase");
            bool again = of && (has_like(now, paths[p], "className", of) ||
                                has_like(now, paths[p], "docBase", of));
            if (again || is_shipped(now, paths[p], element) ||
                (merge->has_shipped && is_shipped(&merge->shipped, paths[p], element)))
                continue;
            str_addf(&merge->report->left, "%s%s%s: look whether the new version needs it\n",
                     paths[p], of ? " " : "", of ? of : "");
        }
    }
}

static int merge_all(struct merge *merge, struct err *err)
{
    int result = merge_element(merge, server_element, server_known, "Server", err);
    if (result == 0)
        result = merge_element(merge, serverxml_connector, connector_known, "Connector", err);
    if (result == 0)
        result = merge_element(merge, serverxml_context, context_known, "Context", err);
    if (result == 0)
        result = merge_connectors(merge, err);
    if (result == 0)
        result = merge_resources(merge, err);
    if (result != 0)
        return result;
    CLEANUP(xml_free) struct xml now = { 0 };
    if ((result = xml_parse_str(merge->text, &now, err)) != 0)
        return result;
    report_others(merge, &now);
    return 0;
}

int serverxml_merge(const struct str *old, const struct str *shipped_or_null, struct str *text,
                    struct serverxml_report *ret, struct err *err)
{
    CLEANUP(str_free) struct str work = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    struct merge merge = { .old_text = old, .text = &work, .report = &report };
    str_add_bytes(&work, str_text(text), text->len);
    int result = xml_parse_str(old, &merge.old, err);
    if (result != 0)
        return err_wrap(err, "the old server.xml");
    if (shipped_or_null && xml_parse_str(shipped_or_null, &merge.shipped, NULL) == 0)
        merge.has_shipped = true;
    result = merge_all(&merge, err);
    xml_free(&merge.old);
    xml_free(&merge.shipped);
    if (result != 0)
        return result;
    struct str before = *text;
    *text = work;
    work = before;
    *ret = report;
    report = (struct serverxml_report){ 0 };
    return 0;
}
