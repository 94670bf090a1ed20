#include "agent/worker/steps/carry_xml.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include <ctype.h>
#include <string.h>

void carry_xml_report_free(struct carry_xml_report *report)
{
    str_free(&report->carried);
    str_free(&report->left);
}

static bool is_vendors(const char *class_name)
{
    static const char *const starts[] = { "com.atlassian.", "org.apache.", "org.springframework.", "com.opensymphony.", "org.tuckey.",
                                          "bucket.", "net.sf.", "javax.", "jakarta.", "webwork.", "com.sun.", "org.confleet.", NULL };
    for (const char *const *start = starts; *start; start++)
        if (strncmp(class_name, *start, strlen(*start)) == 0)
            return true;
    return false;
}

static const char *trimmed(const char *text, size_t *ret_len)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    *ret_len = len;
    return text;
}

static bool same_text(const char *a, const char *b)
{
    size_t a_len = 0, b_len = 0;
    a = trimmed(a, &a_len), b = trimmed(b, &b_len);
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* ---------------------------------------------------------------- seraph-config.xml */

static int class_merge(const struct xml *mine, const char *path, struct str *text, struct carry_xml_report *ret, struct err *err)
{
    const struct xml_element *old = xml_find(mine, path, 0);
    const char *wanted = old ? xml_value(old, "class") : NULL;
    CLEANUP(xml_free) struct xml ours = { 0 };
    if (!wanted || is_vendors(wanted))
        return 0;
    int rc = xml_parse_str(text, &ours, err);
    if (rc)
        return rc;
    const struct xml_element *fresh = xml_find(&ours, path, 0);
    const char *name = strrchr(path, '/') + 1, *has = fresh ? xml_value(fresh, "class") : NULL;
    if (has && strcmp(has, wanted) == 0)
        return 0;
    if (!fresh) {
        str_addf(&ret->left, "%s %s\n", name, wanted);
        return 0;
    }
    rc = xml_attribute_set(text, &ours, fresh, "class", wanted, err);
    if (rc == 0)
        str_addf(&ret->carried, "%s %s\n", name, wanted);
    return rc;
}

static const struct xml_element *param_value(const struct xml *xml, const char *name)
{
    const struct xml_element *param = NULL;
    for (size_t n = 0; (param = xml_find(xml, "security-config/parameters/init-param", n)) != NULL; n++) {
        const struct xml_element *key = xml_child(xml, param, "param-name", NULL);
        if (key && same_text(key->text, name))
            return xml_child(xml, param, "param-value", NULL);
    }
    return NULL;
}

static int param_merge(const char *name, const char *wanted, struct str *text, struct carry_xml_report *ret, struct err *err)
{
    CLEANUP(xml_free) struct xml ours = { 0 };
    int rc = xml_parse_str(text, &ours, err);
    if (rc)
        return rc;
    const struct xml_element *fresh = param_value(&ours, name);
    if (fresh && same_text(fresh->text, wanted))
        return 0;
    size_t len = 0;
    wanted = trimmed(wanted, &len);
    bool elsewhere = strncmp(wanted, "http://", 7) == 0 || strncmp(wanted, "https://", 8) == 0;
    if (!fresh || !elsewhere) {
        str_addf(&ret->left, "parameter %s\n", name);
        return 0;
    }
    CLEANUP(free_mem) char *value = text_printf("%.*s", (int)len, wanted);
    rc = xml_text_set(text, &ours, fresh, value, err);
    if (rc == 0)
        str_addf(&ret->carried, "parameter %s\n", name);
    return rc;
}

int carry_seraph_merge(const struct str *old, struct str *text, struct carry_xml_report *ret, struct err *err)
{
    static const char *const classes[] = { "security-config/authenticator", "security-config/controller", "security-config/rolemapper", NULL };
    CLEANUP(xml_free) struct xml mine = { 0 };
    int rc = xml_parse_str(old, &mine, err);
    for (const char *const *path = classes; *path && rc == 0; path++)
        rc = class_merge(&mine, *path, text, ret, err);
    const struct xml_element *param = NULL;
    for (size_t n = 0; rc == 0 && (param = xml_find(&mine, "security-config/parameters/init-param", n)) != NULL; n++) {
        const struct xml_element *key = xml_child(&mine, param, "param-name", NULL), *value = xml_child(&mine, param, "param-value", NULL);
        size_t len = 0;
        const char *start = key ? trimmed(key->text, &len) : "";
        CLEANUP(free_mem) char *name = text_printf("%.*s", (int)len, start);
        if (key && value)
            rc = param_merge(name, value->text, text, ret, err);
    }
    return rc;
}

/* ---------------------------------------------------------------- web.xml */

/* Filters, servlets and listeners of somebody else than the vendor. */
static void classes_name(const struct xml *mine, const struct xml *ours, const char *path, struct carry_xml_report *ret)
{
    const struct xml_element *one = NULL, *other = NULL;
    for (size_t n = 0; (one = xml_find(mine, path, n)) != NULL; n++) {
        bool known = false;
        for (size_t m = 0; !known && (other = xml_find(ours, path, m)) != NULL; m++)
            known = same_text(one->text, other->text);
        size_t len = 0;
        const char *name = trimmed(one->text, &len);
        if (!known && !is_vendors(name))
            str_addf(&ret->left, "%s %.*s\n", strrchr(path, '/') + 1, (int)len, name);
    }
}

int carry_web_merge(const struct str *old, struct str *text, struct carry_xml_report *ret, struct err *err)
{
    static const char *const path = "web-app/session-config/session-timeout";
    CLEANUP(xml_free) struct xml mine = { 0 }, ours = { 0 };
    if (xml_parse_str(old, &mine, err) || xml_parse_str(text, &ours, err))
        return err_wrap(err, "web.xml");
    const struct xml_element *had = xml_find(&mine, path, 0), *has = xml_find(&ours, path, 0);
    classes_name(&mine, &ours, "web-app/filter/filter-class", ret);
    classes_name(&mine, &ours, "web-app/servlet/servlet-class", ret);
    classes_name(&mine, &ours, "web-app/listener/listener-class", ret);
    if (!had || (has && same_text(had->text, has->text)))
        return 0;
    size_t len = 0;
    const char *start = trimmed(had->text, &len);
    CLEANUP(free_mem) char *minutes = text_printf("%.*s", (int)len, start);
    uint64_t number = 0;
    if (!has || !text_parse_u64(minutes, 1000000, &number)) {
        str_add(&ret->left, "session-timeout\n");
        return 0;
    }
    if (xml_text_set(text, &ours, has, minutes, err))
        return err_wrap(err, "session-timeout");
    str_addf(&ret->carried, "session-timeout %s\n", minutes);
    return 0;
}
