#include "agent/worker/confluence/app_jar.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "tree.h"
#include "zip.h"

#define DESCRIPTOR "atlassian-plugin.xml"
#define MANIFEST   "META-INF/MANIFEST.MF"
static const char plain[] =
    "<atlassian-plugin key=\"com.example.a\" name='App A' plugins-version=\"2\"><plugin-info>"
    "<version>1.2</version><vendor name=\"V\"/></plugin-info></atlassian-plugin>";

static int read_entries(const struct zip_entry *entries, struct app *ret, struct err *err)
{
    CLEANUP(str_free) struct str jar = { 0 };
    *err = (struct err){ 0 };
    zip_make(entries, &jar);
    return app_jar_read_bytes(jar.s, jar.len, ret, err);
}
#define READ(ret, err, ...)                                                                        \
    read_entries((const struct zip_entry[]){ __VA_ARGS__, { NULL, NULL, 0, false } }, ret, err)

TEST(an_app_is_read_from_memory_and_from_a_file)
{
    struct app app = { .key = "" };
    struct err err = { 0 };
    CLEANUP(str_free) struct str jar = { 0 };
    zip_make((const struct zip_entry[]){ { "a/" DESCRIPTOR, "<no/>", 0, false },
                                         { DESCRIPTOR, plain, 0, false },
                                         { NULL, NULL, 0, false } },
             &jar);
    CHECK_OK(app_jar_read_bytes(jar.s, jar.len, &app, &err), err);
    CHECK_STR(app.key, "com.example.a");
    CHECK_STR(app.version, "1.2");
    const char *dir = test_dir();
    tree_bytes(dir, "a.jar", jar.s, jar.len);
    app = (struct app){ .key = "" };
    CHECK_OK(app_jar_read(tree_path(dir, "a.jar"), &app, &err), err);
    CHECK_STR(app.name, "App A");
    CHECK_INT(app.generation, 2);
}

TEST(a_manifest_tells_what_the_descriptor_leaves_open_or_is_all_there_is)
{
    struct app app = { .key = "" };
    struct err err = { 0 };
    CHECK_OK(READ(&app, &err, { MANIFEST, "Bundle-Version: 3.1\r\nBundle-Vendor: W\r\n", 0, false },
                  { DESCRIPTOR,
                    "<atlassian-plugin key=\"k\" pluginsVersion='3'><plugin-info><version>"
                    "${project.version}</version></plugin-info></atlassian-plugin>",
                    0, false }),
             err);
    CHECK_STR(app.version, "3.1");
    CHECK_STR(app.vendor, "W");
    CHECK_INT(app.generation, 3);
    CHECK_OK(READ(&app, &err,
                  { "meta-inf/manifest.mf",
                    "Bundle-SymbolicName: n\nAtlassian-Plugin-Key: com.example.tr\n ansformless\n",
                    0, false }),
             err);
    CHECK_STR(app.key, "com.example.transformless");
    CHECK_STR(app.name, "n");
    CHECK_INT(app.generation, 0);
}

TEST(a_jar_that_is_no_app_and_a_broken_one_are_told_apart)
{
    struct app app = { .key = "as it was" };
    struct err err = { 0 };
    CHECK_INT(READ(&app, &err, { MANIFEST, "Bundle-Version: 3.1\n", 0, false }), -FAIL_NOT_FOUND);
    CHECK_INT(READ(&app, &err, { "x/" DESCRIPTOR, plain, 0, false }), -FAIL_NOT_FOUND);
    CHECK_INT(READ(&app, &err, { "../" DESCRIPTOR, plain, 0, false }), -FAIL_NOT_FOUND);
    CHECK_INT(READ(&app, &err, { "/" DESCRIPTOR, plain, 0, false }), -FAIL_NOT_FOUND);
    CHECK_INT(READ(&app, &err, { "./" DESCRIPTOR, plain, 0, false }), -FAIL_NOT_FOUND);
    CHECK_INT(READ(&app, &err, { DESCRIPTOR, "<plugin key='x'/>", 0, false }), -FAIL_CORRUPT);
    CHECK_INT(READ(&app, &err, { DESCRIPTOR, "", 0, false }), -FAIL_CORRUPT);
    CHECK_INT(READ(&app, &err, { DESCRIPTOR, "<atlassian-plugin/>", 0, false }), -FAIL_CORRUPT);
    CHECK_INT(READ(&app, &err, { DESCRIPTOR, plain, 0, false }, { DESCRIPTOR, plain, 0, false }),
              -FAIL_CORRUPT);
    CHECK_HAS(err.text, "twice");
    err_clear(&err);
    CHECK_INT(app_jar_read_bytes("", 0, &app, &err), -FAIL_CORRUPT);
    err_clear(&err);
    CHECK_INT(app_jar_read(tree_path(test_dir(), "none.jar"), &app, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_INT(app_jar_read(test_dir(), &app, &err), -FAIL_CORRUPT);
    CHECK_STR(app.key, "as it was");
}

TEST(what_is_encrypted_too_large_or_has_a_document_type_is_not_told)
{
    struct app app = { .key = "as it was" };
    struct err err = { 0 };
    CHECK_INT(READ(&app, &err, { DESCRIPTOR, plain, 0, true }), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "encrypted");
    CHECK_INT(
        READ(&app, &err,
             { DESCRIPTOR, "<!DOCTYPE atlassian-plugin><atlassian-plugin key='x'/>", 0, false }),
        -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "document type");
    CHECK_INT(READ(&app, &err,
                   { DESCRIPTOR,
                     "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
                     "<atlassian-plugin key='&b;'/>",
                     0, false }),
              -FAIL_UNSUPPORTED);
    CHECK_STR(app.key, "as it was");
}

TEST(a_bomb_takes_neither_time_nor_room)
{
    struct app app = { .key = "as it was" };
    struct err err = { 0 };
    CLEANUP(str_free) struct str bomb = { 0 };
    zip_make((const struct zip_entry[]){ { DESCRIPTOR, "", 100 << 20, false },
                                         { NULL, NULL, 0, false } },
             &bomb);
    CHECK(bomb.len < 1 << 20);
    int64_t start_ms = clock_mono_ms();
    CHECK_INT(app_jar_read_bytes(bomb.s, bomb.len, &app, &err), -FAIL_LIMIT);
    /* Another entry that is one is never unpacked. */
    CHECK_OK(READ(&app, &err, { "big", "", 100 << 20, false }, { DESCRIPTOR, plain, 0, false }),
             err);
    CHECK(clock_mono_ms() - start_ms < 20000);
    CHECK_STR(app.key, "com.example.a");
}

TEST(a_jar_cut_off_anywhere_is_an_error_or_the_app)
{
    struct app app = { .key = "" };
    CLEANUP(str_free) struct str jar = { 0 };
    zip_make((const struct zip_entry[]){ { MANIFEST, "Bundle-Version: 3.1\n", 0, false },
                                         { DESCRIPTOR, plain, 0, false },
                                         { NULL, NULL, 0, false } },
             &jar);
    for (size_t len = 0; len < jar.len; len++) {
        struct err err = { 0 };
        CLEANUP(free_mem) char *copy = mem_zero(1, len + 1);
        memcpy(copy, jar.s, len);
        CHECK(app_jar_read_bytes(copy, len, &app, &err) != 0);
        CHECK(err.text[0] != 0);
    }
}
