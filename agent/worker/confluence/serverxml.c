#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECTOR "Server/Service/Connector"
#define CONTEXT   "Server/Service/Engine/Host/Context"

static uint32_t port_of(const struct xml_element *element, const char *attribute)
{
    const char *value = xml_value(element, attribute);
    uint64_t port = 0;
    return value && text_parse_u64(value, 65535, &port) ? (uint32_t)port : 0;
}

static void copy(char *out, size_t size, const char *value)
{
    if (value)
        (void)snprintf(out, size, "%s", value);
}

static bool is_true(const char *value)
{
    return value && strcasecmp(value, "true") == 0;
}

static bool is_ajp(const struct xml_element *connector)
{
    const char *protocol = xml_value(connector, "protocol");
    return protocol && (strncasecmp(protocol, "AJP", 3) == 0 || strstr(protocol, ".ajp."));
}

const struct xml_element *serverxml_connector(const struct xml *xml)
{
    const struct xml_element *element = NULL;
    while ((element = xml_next(xml, CONNECTOR, element)) != NULL)
        if (!is_ajp(element) && !is_true(xml_value(element, "SSLEnabled")))
            return element;
    return xml_find(xml, CONNECTOR, 0);
}

const struct xml_element *serverxml_context(const struct xml *xml)
{
    const struct xml_element *element = NULL;
    while ((element = xml_next(xml, CONTEXT, element)) != NULL) {
        const char *base = xml_value(element, "docBase");
        if (base && !strstr(base, "synchrony"))
            return element;
    }
    return NULL;
}

int serverxml_parse(const struct str *text, struct serverxml *ret, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(text, &xml, err);
    if (result != 0)
        return result;
    if (xml.count == 0 || strcmp(xml.elements[0].name, "Server") != 0)
        return err_set(err, FAIL_CORRUPT, "the root element is not Server");
    struct serverxml server = { .shutdown_port = port_of(&xml.elements[0], "port") };
    for (const struct xml_element *one = NULL; (one = xml_next(&xml, CONNECTOR, one)) != NULL;)
        server.connectors++;
    const struct xml_element *connector = serverxml_connector(&xml);
    if (connector) {
        server.http_port = port_of(connector, "port");
        server.proxy_port = port_of(connector, "proxyPort");
        server.secure = is_true(xml_value(connector, "secure"));
        copy(server.address, sizeof server.address, xml_value(connector, "address"));
        copy(server.proxy_name, sizeof server.proxy_name, xml_value(connector, "proxyName"));
        copy(server.scheme, sizeof server.scheme, xml_value(connector, "scheme"));
    }
    const struct xml_element *context = serverxml_context(&xml);
    if (context)
        copy(server.context_path, sizeof server.context_path, xml_value(context, "path"));
    for (size_t i = 0; i < xml.count; i++) {
        const char *type = xml_value(&xml.elements[i], "type");
        if (strcmp(xml.elements[i].name, "Resource") == 0 && type &&
            strcmp(type, "javax.sql.DataSource") == 0)
            server.datasource = true;
    }
    *ret = server;
    return 0;
}

int serverxml_read(const char *install, struct serverxml *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(install, "conf/server.xml");
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, XML_SIZE_MAX, &text, err);
    if (result != 0)
        return result;
    return serverxml_parse(&text, ret, err) == 0 ? 0 : err_wrap(err, "%s", path);
}
