#include "agent/worker/confluence/cfg.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <stdlib.h>
#include <string.h>

/* Nothing else is copied out of the file. One secret is on the list: the database password, without
 * which nothing works. */
static const char *const known[] = {
    "hibernate.connection.url",
    "hibernate.connection.username",
    "hibernate.connection.password",
    "hibernate.connection.driver_class",
    "hibernate.connection.datasource",
    "hibernate.dialect",
    "jdbc.password.decrypter.classname",
    "hibernate.c3p0.max_size",
    "hibernate.hikari.maximumPoolSize",
    "confluence.cluster",
    "confluence.cluster.home",
    "confluence.cluster.name",
    "confluence.cluster.join.type",
    "confluence.cluster.peers",
    "shared-home",
    "confluence.webapp.context.path",
    "confluence.setup.server.id",
    "attachments.dir",
    "lucene.index.dir",
    "access.mode",
    "confluence.database.choice",
    "confluence.database.connection.type",
    "webwork.multipart.saveDir",
    "struts.multipart.saveDir",
    "synchrony.btf",
};
#define PROPERTY_PATH "confluence-configuration/properties/property"

static bool is_known(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], name) == 0)
            return true;
    return false;
}

/* Blanks around a text do not count; what is left must fit. */
static const char *trimmed(const char *text, char *out, size_t size)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    len = len < size ? len : size - 1;
    memcpy(out, text, len);
    out[len] = 0;
    return out;
}

static int read_build(const char *text, const char *what, uint32_t *ret, struct err *err)
{
    char number[32];
    uint64_t value = 0;
    if (!*trimmed(text, number, sizeof number))
        return 0;
    if (!text_parse_u64(number, UINT32_MAX, &value))
        return err_set(err, FAIL_CORRUPT, "%s is '%s', not a number", what, number);
    *ret = (uint32_t)value;
    return 0;
}

static void read_licence(struct cfg *cfg, const char *name, const char *text)
{
    if (!*text)
        return;
    if (strcmp(name, "atlassian.license.message") == 0)
        cfg->licence = CFG_LICENCE_PRESENT;
    if (strcmp(name, "confluence.license.message") == 0 && cfg->licence == CFG_LICENCE_NONE)
        cfg->licence = CFG_LICENCE_VERSION_1;
}

static int read_properties(const struct xml *xml, struct cfg *cfg, struct err *err)
{
    for (const struct xml_element *element = NULL;
         (element = xml_next(xml, PROPERTY_PATH, element)) != NULL;) {
        const char *name = xml_value(element, "name");
        if (!name)
            continue;
        read_licence(cfg, name, element->text);
        if (strcmp(name, "finalizedBuildNumber") == 0 &&
            read_build(element->text, name, &cfg->finalized_build, err) != 0)
            return -FAIL_CORRUPT;
        if (is_known(name))
            properties_add(&cfg->properties, name, element->text);
    }
    return 0;
}

int cfg_parse(const struct str *text, struct cfg *ret, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(text, &xml, err);
    if (result != 0)
        return result;
    if (xml.count == 0 || strcmp(xml.elements[0].name, "confluence-configuration") != 0)
        return err_set(err, FAIL_CORRUPT, "the root element is not confluence-configuration");
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    const struct xml_element *element = xml_find(&xml, "confluence-configuration/setupStep", 0);
    if (element)
        (void)trimmed(element->text, cfg.setup_step, sizeof cfg.setup_step);
    element = xml_find(&xml, "confluence-configuration/setupType", 0);
    if (element)
        (void)trimmed(element->text, cfg.setup_type, sizeof cfg.setup_type);
    element = xml_find(&xml, "confluence-configuration/buildNumber", 0);
    if (element && (result = read_build(element->text, "buildNumber", &cfg.build, err)) != 0)
        return result;
    if ((result = read_properties(&xml, &cfg, err)) != 0)
        return result;
    *ret = cfg;
    cfg = (struct cfg){ 0 };
    return 0;
}

int cfg_read(const char *home, struct cfg *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(home, "confluence.cfg.xml");
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, XML_SIZE_MAX, &text, err);
    if (result != 0)
        return result;
    result = cfg_parse(&text, ret, err);
    if (text.s)
        explicit_bzero(text.s, text.len);
    return result == 0 ? 0 : err_wrap(err, "%s", path);
}

void cfg_free(struct cfg *cfg)
{
    properties_free(&cfg->properties);
    *cfg = (struct cfg){ 0 };
}

const char *cfg_get(const struct cfg *cfg, const char *name)
{
    const char *value = properties_get(&cfg->properties, name);
    return value ? value : "";
}

char *cfg_expand(const char *value, const char *home)
{
    static const char *const names[] = { "${confluenceHome}", "${localHome}" };
    struct str out = { 0 };
    while (*value) {
        size_t len = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names && len == 0; i++)
            if (strncmp(value, names[i], strlen(names[i])) == 0)
                len = strlen(names[i]);
        if (len > 0)
            str_add(&out, home);
        else
            str_add_bytes(&out, value, len = 1);
        value += len;
    }
    return out.s ? out.s : text_dup("");
}

int cfg_property_set(struct str *text, const char *name, const char *value, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = xml_parse_str(text, &xml, err);
    if (result != 0)
        return result;
    const struct xml_element *element = NULL, *found = NULL;
    while ((element = xml_next(&xml, PROPERTY_PATH, element)) != NULL) {
        const char *have = xml_value(element, "name");
        if (!have || strcmp(have, name) != 0)
            continue;
        if (found)
            return err_set(err, FAIL_CONFLICT, "property %s is there twice", name);
        found = element;
    }
    if (found)
        return xml_text_set(text, &xml, found, value, err);
    element = xml_find(&xml, "confluence-configuration/properties", 0);
    if (!element)
        return err_set(err, FAIL_CORRUPT,
                       "there is no element confluence-configuration/properties");
    CLEANUP(str_free) struct str raw = { 0 };
    str_add(&raw, "<property name=\"");
    xml_escape(&raw, name, xml.utf8);
    str_add(&raw, "\">");
    xml_escape(&raw, value, xml.utf8);
    str_add(&raw, "</property>");
    result = xml_insert_last(text, &xml, element, raw.s, raw.len, err);
    explicit_bzero(raw.s, raw.len);
    return result;
}
