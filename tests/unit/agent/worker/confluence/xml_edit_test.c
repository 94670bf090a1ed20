#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static const char server[] =
    "<?xml version='1.0'?>\r\n<Server port=\"8000\"  shutdown='SHUTDOWN'>\r\n"
    "    <Service name=\"a\">\r\n"
    "        <!-- <Connector port=\"1\"/> -->\r\n"
    "        <Connector port=\"8090\" connectionTimeout = '20000'\r\n"
    "                   maxThreads=\"48\"\r\n"
    "                   enableLookups=\"false\" />\r\n"
    "        <Connector port=\"8443\"><X/></Connector>\r\n"
    "    </Service>\r\n</Server>\r\n";

static void edited(struct str *text, const char *from, const struct xml_where *where,
                   const char *name, const char *value)
{
    struct err err = { 0 };
    str_clear(text);
    str_add(text, from);
    CHECK_OK(xml_set(text, where, name, value, &err), err);
}

/* What the edit must have done: the text with `was` replaced once by `is`. */
static void check_only(const struct str *text, const char *from, const char *was, const char *is)
{
    struct str want = { 0 };
    const char *at = strstr(from, was);
    CHECK(at != NULL);
    str_add_bytes(&want, from, (size_t)(at - from));
    str_add(&want, is);
    str_add(&want, at + strlen(was));
    CHECK_STR(str_text(text), str_text(&want));
    str_free(&want);
}

TEST(setting_a_value_changes_its_bytes_alone)
{
    CLEANUP(str_free) struct str text = { 0 };
    edited(&text, server, &(struct xml_where){ .path = "Server" }, "shutdown", "a'b\"c<&");
    check_only(&text, server, "'SHUTDOWN'", "'a&apos;b&quot;c&lt;&amp;'");
    edited(&text, server, &(struct xml_where){ .path = "Server/Service/Connector" },
           "connectionTimeout", "5");
    check_only(&text, server, "'20000'", "'5'");
}

TEST(a_new_attribute_is_put_last_and_indented_as_the_one_before)
{
    CLEANUP(str_free) struct str text = { 0 };
    edited(&text, server, &(struct xml_where){ .path = "Server/Service/Connector" }, "proxyName",
           "wiki.example.com");
    check_only(&text, server, "enableLookups=\"false\"",
               "enableLookups=\"false\"\r\n                   proxyName=\"wiki.example.com\"");
    edited(&text, server, &(struct xml_where){ .path = "Server/Service" }, "x", "1");
    check_only(&text, server, "name=\"a\"", "name=\"a\" x=\"1\"");
    edited(&text, server, &(struct xml_where){ .path = "Server/Service/Connector/X" }, "y", "1");
    check_only(&text, server, "<X/>", "<X y=\"1\"/>");
}

TEST(an_element_is_chosen_by_path_attribute_and_number)
{
    CLEANUP(str_free) struct str text = { 0 };
    edited(&text, server, &(struct xml_where){ "Server/Service/Connector", "port", "8443", 0 },
           "port", "9443");
    check_only(&text, server, "8443", "9443");
    edited(&text, server, &(struct xml_where){ .path = "Server/Service/Connector", .nth = 1 },
           "port", "9443");
    check_only(&text, server, "8443", "9443");
    struct err err = { 0 };
    CHECK_INT(xml_set(&text, &(struct xml_where){ "Server/Service/Connector", "port", "1", 0 },
                      "port", "2", &err),
              -FAIL_NOT_FOUND);
}

TEST(an_equal_value_changes_nothing)
{
    CLEANUP(str_free) struct str text = { 0 };
    edited(&text, server, &(struct xml_where){ .path = "Server" }, "port", "8000");
    CHECK_STR(str_text(&text), server);
}

static void with_element(struct str *text, const char *from, const char *path, struct xml *xml,
                         const struct xml_element **element)
{
    struct err err = { 0 };
    str_clear(text);
    str_add(text, from);
    CHECK_OK(xml_parse_str(text, xml, &err), err);
    *element = xml_find(xml, path, 0);
    CHECK(*element != NULL);
}

TEST(text_is_set_in_filled_and_in_empty_elements)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(xml_free) struct xml xml = { 0 };
    const struct xml_element *element = NULL;
    struct err err = { 0 };
    with_element(&text, "<a><b>x<!-- y -->z</b></a>", "a/b", &xml, &element);
    CHECK_STR(element->text, "xz");
    CHECK_OK(xml_text_set(&text, &xml, element, "1<2", &err), err);
    CHECK_STR(str_text(&text), "<a><b>1&lt;2</b></a>");
    xml_free(&xml);
    with_element(&text, "<a><b c=\"d\"/></a>", "a/b", &xml, &element);
    CHECK_OK(xml_text_set(&text, &xml, element, "t", &err), err);
    CHECK_STR(str_text(&text), "<a><b c=\"d\">t</b></a>");
    xml_free(&xml);
    with_element(&text, "<a><b><c/></b></a>", "a/b", &xml, &element);
    CHECK_INT(xml_text_set(&text, &xml, element, "t", &err), -FAIL_UNSUPPORTED);
}

TEST(an_attribute_is_removed_with_the_blank_before_it)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(xml_free) struct xml xml = { 0 };
    const struct xml_element *element = NULL;
    struct err err = { 0 };
    with_element(&text, server, "Server/Service/Connector", &xml, &element);
    CHECK_OK(xml_attribute_remove(&text, &xml, element, "maxThreads", &err), err);
    check_only(&text, server, "\r\n                   maxThreads=\"48\"", "");
}

TEST(raw_pieces_are_put_after_and_inside_with_indentation)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(xml_free) struct xml xml = { 0 };
    const struct xml_element *element = NULL;
    struct err err = { 0 };
    with_element(&text, "<a>\n  <b/>\n</a>\n", "a/b", &xml, &element);
    CHECK_OK(xml_insert_after(&text, &xml, element, "<c d='1'/>", 10, &err), err);
    CHECK_STR(str_text(&text), "<a>\n  <b/>\n  <c d='1'/>\n</a>\n");
    xml_free(&xml);
    with_element(&text, "<a>\n  <b/>\n</a>\n", "a", &xml, &element);
    CHECK_OK(xml_insert_last(&text, &xml, element, "<c/>", 4, &err), err);
    CHECK_STR(str_text(&text), "<a>\n  <b/>\n  <c/>\n</a>\n");
    CHECK_INT(xml_insert_last(&text, &xml, element, "<c>", 3, &err), -FAIL_CORRUPT);
    CHECK_STR(str_text(&text), "<a>\n  <b/>\n  <c/>\n</a>\n");
    xml_free(&xml);
    with_element(&text, "<a>\n</a>\n", "a", &xml, &element);
    err_clear(&err);
    CHECK_OK(xml_insert_last(&text, &xml, element, "<c/>", 4, &err), err);
    CHECK_STR(str_text(&text), "<a>\n  <c/>\n</a>\n");
}

TEST(a_latin1_file_keeps_its_bytes_and_gets_references)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(xml_free) struct xml xml = { 0 };
    const struct xml_element *element = NULL;
    struct err err = { 0 };
    with_element(&text, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a b=\"\xe9\" c=\"\"/>",
                 "a", &xml, &element);
    CHECK_STR(xml_value(element, "b"), "\xc3\xa9");
    CHECK_OK(xml_attribute_set(&text, &xml, element, "c", "\xc3\xa9\xe2\x82\xac", &err), err);
    CHECK_HAS(str_text(&text), "b=\"\xe9\" c=\"&#xE9;&#x20AC;\"");
}

static void refused(const char *bytes, size_t len, int code, const char *words)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    struct err err = { 0 };
    CHECK_INT(xml_parse(bytes, len, &xml, &err), -code);
    CHECK_HAS(err.text, words);
    CHECK_INT(xml.count, 0);
}

TEST(what_is_no_plain_xml_is_refused_with_its_place)
{
    refused("<a>\n<b></a>", 11, FAIL_CORRUPT, "line 2");
    refused("", 0, FAIL_CORRUPT, "line 1");
    static const char bomb[] = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    refused(bomb, sizeof bomb - 1, FAIL_CORRUPT, "document type");
    CLEANUP(str_free) struct str deep = { 0 };
    for (int i = 0; i <= XML_DEPTH_MAX; i++)
        str_add(&deep, "<a>");
    refused(deep.s, deep.len, FAIL_LIMIT, "nested");
    CLEANUP(free_mem) char *big = mem_zero(1, XML_SIZE_MAX + 1);
    refused(big, XML_SIZE_MAX + 1, FAIL_LIMIT, "limit");
}

TEST(utf16_can_be_read_but_not_changed)
{
    static const char wide[] = "\xff\xfe<\0a\0 \0b\0=\0'\0c\0'\0/\0>";
    CLEANUP(xml_free) struct xml xml = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    str_add_bytes(&text, wide, sizeof wide);
    CHECK_OK(xml_parse_str(&text, &xml, &err), err);
    CHECK_STR(xml_value(xml_find(&xml, "a", 0), "b"), "c");
    CHECK_INT(xml_attribute_set(&text, &xml, xml_find(&xml, "a", 0), "b", "d", &err),
              -FAIL_UNSUPPORTED);
}
