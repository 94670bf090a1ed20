#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

#define SHIPPED "packaging/data/confluence-releases.csv"

static struct catalogue *read_text(const char *text)
{
    struct catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_OK(catalogue_parse("c.csv", text, strlen(text), &catalogue, &err), err);
    return catalogue;
}

static void refused(const char *text, const char *says)
{
    struct catalogue *catalogue = NULL;
    struct err err = { 0 };
    int result = catalogue_parse("c.csv", text, strlen(text), &catalogue, &err);
    if (result != -FAIL_CORRUPT)
        print_error("taken: %s\n", text);
    CHECK_INT(result, -FAIL_CORRUPT);
    CHECK(catalogue == NULL);
    CHECK_HAS(err.text, says);
}

TEST(the_shipped_catalogue_is_read_whole)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_OK(catalogue_load(SHIPPED, &catalogue, &err), err);
    size_t count = 0;
    while (catalogue_at(catalogue, count))
        count++;
    CHECK_INT(count, 552);
    CHECK_STR(catalogue_at(catalogue, 0)->text, "1.0.3a");
    CHECK_STR(catalogue_at(catalogue, 551)->text, "10.2.19");
    const struct catalogue_release *release = catalogue_find(catalogue, "9.2.13");
    CHECK_INT(release->build, 9109);
    CHECK_STR(release->date, "2025-12-16");
    CHECK_STR(release->eol, "2026-12-10");
    CHECK_STR(release->lts, "yes");
    CHECK_STR(release->data_center_only, "yes");
    CHECK_INT(release->java_count, 1);
    CHECK_INT(release->java[0], 17);
    CHECK_STR(release->source, "REL;EOL;C-104200;DOCK;HELM");
    CHECK_INT(catalogue_find(catalogue, "8.0.0")->java_count, 2);
    CHECK_HAS(catalogue_find(catalogue, "6.4")->note, "by mssql-jdbc, automatic or by hand");
    CHECK(catalogue_find(catalogue, "2.1.5a") != catalogue_find(catalogue, "2.1.5"));
    CHECK(catalogue_find(catalogue, "8.5.13") == NULL);
    CHECK(catalogue_find(catalogue, "none") == NULL);
    CHECK(catalogue_find(NULL, "9.2.13") == NULL);
}

TEST(quoting_line_ends_and_unknown_columns_are_as_in_the_rfc)
{
    CLEANUP(catalogue_free)
    struct catalogue *catalogue = read_text("\xef\xbb\xbfversion,upgrade_note,odd\r\n"
                                            "9.1,\"a \"\"b\"\", c\r\nd\",x\r\n"
                                            "\r\n"
                                            "\"9.0\",,");
    CHECK_STR(catalogue_find(catalogue, "9.1.0")->note, "a \"b\", c  d");
    CHECK_STR(catalogue_at(catalogue, 0)->text, "9.0");
}

TEST(each_error_of_the_file_names_line_and_column)
{
    refused("", "c.csv:1:1: no column 'version'");
    refused("build_number\n1\n", "c.csv:1:1: no column");
    refused("version,lts,lts\n", "c.csv:1:13: the column 'lts' is there twice");
    refused("version,build,build_number\n", "c.csv:1:15: the column 'build_number' is there twice");
    refused("version,build_number\n9.2,12\n9.3,x\n", "c.csv:3:5: build_number 'x' is no build");
    refused("version,build_number\n9.2,0\n", "c.csv:2:5: build_number '0'");
    refused("version,build_number\n9.2,4294967296\n", "c.csv:2:5");
    refused("version\n9.2\n9.2.0\n", "c.csv:3:1: the release 9.2.0 is there twice");
    refused("version\nnine\n", "c.csv:2:1: version 'nine' is no version");
    refused("version,lts\n,yes\n", "c.csv:2:1: a release without a version");
    refused("version,lts\n9.2,maybe\n", "c.csv:2:5: lts 'maybe' is neither yes nor no");
    refused("version,lts\n9.2\n", "c.csv:2:1: 1 fields, the first line names 2");
    refused("version,lts\n9.2,yes,more\n", "c.csv:2:9: more fields than the 2");
    refused("version,release_date\n9.2,2025-02-29\n", "is no date");
    refused("version,release_date\n9.2,16.12.2025\n", "is no date");
    refused("version,java\n9.2,seventeen\n", "is no list of Java");
    refused("version,java\n9.2,1 2 3 4 5 6 7 8 9\n", "too many Java");
    refused("version,postgresql\n9.2,>=12\n", "is no list of versions");
    refused("version,note_url\n9.2,ftp://x\n", "is no address");
    refused("version,min_upgrade_from\n9.2,six\n", "c.csv:2:5: min_upgrade_from 'six' is no");
    refused("version,note\n9.2,\"never ends\n", "c.csv:2:5: a quoted field that never ends");
    refused("version,note\n9.2,\"a\" b\n", "c.csv:2:8: text after the end");
    refused("version,note\n9.2,a\"b\n", "c.csv:2:6: a quote inside");
    refused("version,note\n9.2,a\x01\n", "c.csv:2:6: a control character");
    refused("version,note\n9.2,\xff\n", "is not UTF-8");
    refused("version,note\n\"9\n.2\",a\n", "c.csv:2:1: version '9 .2'");
}

TEST(the_file_is_capped_in_bytes_lines_and_fields)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    struct err err = { 0 };
    str_add(&text, "version,x\n9.2,");
    for (int i = 0; i < 4097; i++)
        str_add(&text, "a");
    refused(str_text(&text), "c.csv:2:5: a field of more than 4096 bytes");
    str_clear(&text);
    str_add(&text, "version\n");
    for (int i = 0; i < 20000; i++)
        str_addf(&text, "9.%d\n", i);
    CHECK_OK(catalogue_parse("c", str_text(&text), text.len, &catalogue, &err), err);
    catalogue_free(&catalogue);
    str_add(&text, "10.1\n");
    refused(str_text(&text), "c.csv:20002:1: more than 20000 releases");
    str_clear(&text);
    while (text.len <= 4 * 1024 * 1024)
        str_add(&text, "version,version,version,version,version,version,version,version,\n");
    CHECK_INT(catalogue_parse("c", str_text(&text), text.len, &catalogue, &err), -FAIL_LIMIT);
}

TEST(a_missing_catalogue_is_said_by_its_name)
{
    struct catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_INT(catalogue_load("/nowhere/c.csv", &catalogue, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "/nowhere/c.csv");
}

TEST(an_own_entry_replaces_field_by_field)
{
    CLEANUP(catalogue_free)
    struct catalogue *catalogue = read_text(
        "version,build_number,release_date,java,floor_version\n9.2.21,9116,2026-06-02,17,8.0\n");
    uint32_t java[] = { 17, 21 };
    Confleet__KeyValue pair = CONFLEET__KEY_VALUE__INIT, *pairs[] = { &pair };
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    pair.key = (char *)(uintptr_t) "postgresql";
    pair.value = (char *)(uintptr_t) "12-16";
    release.version = (char *)(uintptr_t) "9.2.21";
    release.java = java;
    release.n_java = 2;
    release.platforms = pairs;
    release.n_platforms = 1;
    release.floor_build = 7103;
    catalogue_put_wire(catalogue, &release);
    const struct catalogue_release *entry = catalogue_find(catalogue, "9.2.21");
    CHECK_INT(entry->build, 9116);
    CHECK_STR(entry->date, "2026-06-02");
    CHECK_INT(entry->java_count, 2);
    CHECK_STR(entry->postgresql, "12-16");
    /* A floor is one thing said twice: the older half of it does not stay. */
    CHECK_STR(entry->floor_version, "");
    CHECK_INT(entry->floor_build, 7103);
    release.version = (char *)(uintptr_t) "9.9.9";
    catalogue_put_wire(catalogue, &release);
    CHECK_STR(catalogue_at(catalogue, 1)->text, "9.9.9");
    release.version = (char *)(uintptr_t) "special build";
    catalogue_put_wire(catalogue, &release);
    CHECK(catalogue_at(catalogue, 2) == NULL);
}

TEST(an_entry_goes_to_the_wire_and_back)
{
    CLEANUP(catalogue_free)
    struct catalogue *catalogue =
        read_text("version,build,date,eol,lts,java,postgresql,mysql,sqlserver,oracle,floor_version,"
                  "floor_build,data_center_only,note,note_url,source\n"
                  "9.2.21,9116,2026-06-02,2026-12-10,yes,17 21,12-16,8.0,2019,19c,7.19.0,8804,yes,"
                  "a note,https://example.org/n,ours\n");
    CLEANUP(catalogue_free) struct catalogue *other = catalogue_new();
    struct catalogue_wire wire;
    catalogue_wire_fill(&wire, catalogue_at(catalogue, 0));
    CHECK_INT(wire.release.n_platforms, 4);
    catalogue_put_wire(other, &wire.release);
    CHECK(memcmp(catalogue_at(other, 0), catalogue_at(catalogue, 0),
                 sizeof(struct catalogue_release)) == 0);
}

TEST(feature_versions_between_are_listed_with_their_notes)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    struct catalogue_feature features[8];
    struct err err = { 0 };
    CHECK_OK(catalogue_load(SHIPPED, &catalogue, &err), err);
    CHECK_INT(catalogue_features(catalogue, "9.2.13", "9.2.21", features, 8), 0);
    CHECK_INT(catalogue_features(catalogue, "9.2.13", "8.5.4", features, 8), 0);
    CHECK_INT(catalogue_features(catalogue, "odd", "8.5.4", features, 8), 0);
    CHECK_INT(catalogue_features(catalogue, "8.5.4", "9.2.21", features, 8), 7);
    CHECK_STR(features[0].name, "8.6");
    CHECK_INT(features[0].noted_count, 1);
    CHECK_HAS(features[0].noted[0]->note, "Data Center licence only");
    CHECK_STR(features[1].name, "8.7");
    CHECK_INT(features[1].noted_count, 0);
    CHECK_STR(features[6].name, "9.2");
    CHECK_INT(catalogue_features(catalogue, "8.5.4", "9.2.21", features, 3), 7);
    CHECK_INT(catalogue_features(catalogue, "10.2.1", "11.3.1", features, 8), 1);
    CHECK_STR(features[0].name, "11.3");
    CHECK_INT(catalogue_features(NULL, "9.2.13", "9.3.1", features, 8), 1);
}

static const char *way(const struct catalogue *catalogue, const char *from, uint32_t build,
                       const char *target)
{
    static char text[2048];
    struct catalogue_path path;
    struct catalogue_from start = { from, build };
    catalogue_path_find(catalogue, &start, target, &path);
    CHECK(path.known == (path.count > 0));
    CHECK(path.known == (path.why[0] == 0));
    if (!path.known) {
        (void)snprintf(text, sizeof text, "? %s", path.why);
        return text;
    }
    size_t len = 0;
    for (size_t i = 0; i < path.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", path.hops[i]);
    return text;
}

TEST(the_way_has_the_fewest_stops_and_stops_at_long_term_support)
{
    CLEANUP(catalogue_free)
    struct catalogue *catalogue = read_text("version,build,floor_version,floor_build,lts\n"
                                            "3.5.17,,2.7.4,,\n"
                                            "5.0.3,,3.5.17,,\n"
                                            "7.13.1,,5.0.3,,\n"
                                            "7.19.1,8804,5.0.3,,yes\n"
                                            "7.20.1,,5.0.3,,no\n"
                                            "8.9.0-m1,,5.0.3,,yes\n"
                                            "9.2.13,9109,6.0.5,7103,yes\n"
                                            "9.2.21,9116,6.0.5,7103,yes\n"
                                            "10.2.1,,7.19,,yes\n"
                                            "11.0.1,,10.2.1,,\n"
                                            "11.1.1,,,,\n");
    CHECK_STR(way(catalogue, "9.2.13", 9109, "9.2.21"), "9.2.21");
    CHECK_STR(way(catalogue, "6.0.5", 0, "9.2.21"), "9.2.21");
    CHECK_STR(way(catalogue, "6.0.4", 0, "9.2.21"), "7.19.1 9.2.21");
    /* Builds decide where both are known, whatever the versions say. */
    CHECK_STR(way(catalogue, "6.0.4", 7103, "9.2.21"), "9.2.21");
    CHECK_STR(way(catalogue, "6.0.5", 7101, "9.2.21"), "7.19.1 9.2.21");
    CHECK_STR(way(catalogue, "2.7.4", 0, "10.2.1"), "3.5.17 5.0.3 7.19.1 10.2.1");
    CHECK_STR(way(catalogue, "6.0.4", 0, "11.0.1"), "7.19.1 10.2.1 11.0.1");
    CHECK_STR(way(catalogue, "6.15.1", 0, "10.2.1"), "9.2.21 10.2.1");
}

TEST(what_is_not_known_of_a_way_is_said_and_never_guessed)
{
    CLEANUP(catalogue_free)
    struct catalogue *catalogue = read_text("version,floor_version,floor_build\n"
                                            "7.19.1,,\n"
                                            "9.2.1,7.19.0,\n"
                                            "10.2.1,,\n"
                                            "10.3.1,,9999\n");
    CHECK_HAS(way(catalogue, "9.2.1", 0, "10.2.1"), "10.2.1 directly is not known");
    CHECK_HAS(way(catalogue, "6.0.5", 0, "9.2.1"), "wants at least 7.19.0");
    CHECK_HAS(way(catalogue, "9.2.1", 0, "10.3.1"), "10.3.1 directly is not known");
    CHECK_HAS(way(catalogue, "9.2.1", 0, "8.0.0"), "8.0.0 is not after 9.2.1");
    CHECK_HAS(way(catalogue, "9.2.1", 0, "9.2.1"), "is not after");
    CHECK_HAS(way(catalogue, "?", 0, "9.2.1"), "'?' cannot be read");
    CHECK_HAS(way(catalogue, "9.2.1", 0, "next"), "'next' cannot be read");
    CHECK_HAS(way(NULL, "9.2.1", 0, "10.2.1"), "is not known");
    CHECK_STR(way(NULL, "9.2.1", 0, "9.2.2"), "9.2.2");
}
