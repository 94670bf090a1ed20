#include "controller/cli/releases.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

static const char *wrong(const char *text)
{
    static char out[4096];
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    struct catalogue *catalogue = NULL;
    CHECK_INT(releases_read_text("r.yaml", text, &catalogue, &report, &err), -FAIL_USAGE);
    CHECK(catalogue == NULL);
    (void)snprintf(out, sizeof out, "%s", str_text(&report.text));
    yaml_report_free(&report);
    return out;
}

TEST(an_operators_file_fills_every_field)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_OK(releases_read_text("r.yaml",
                                "releases:\n"
                                "  - version: 9.2.21\n    build: 9116\n    date: 2026-06-02\n"
                                "    eol: 2026-12-10\n    upgrade_from: 7.19.0\n"
                                "    upgrade_from_build: 8804\n    java: [17, 21]\n"
                                "    platforms: { postgresql: 12-16, mysql: \"8.0\" }\n"
                                "    lts: yes\n    data_center_only: yes\n    note: look out\n"
                                "    note_url: https://example.org/n\n    source: ours\n"
                                "  - version: 10.2.1\n    java: 21\n",
                                &catalogue, &report, &err),
             err);
    const struct catalogue_release *release = catalogue_at(catalogue, 0);
    CHECK_INT(release->build, 9116);
    CHECK_STR(release->date, "2026-06-02");
    CHECK_STR(release->eol, "2026-12-10");
    CHECK_STR(release->floor_version, "7.19.0");
    CHECK_INT(release->floor_build, 8804);
    CHECK_INT(release->java_count, 2);
    CHECK_STR(release->postgresql, "12-16");
    CHECK_STR(release->mysql, "8.0");
    CHECK_STR(release->lts, "yes");
    CHECK_STR(release->data_center_only, "yes");
    CHECK_STR(release->note, "look out");
    CHECK_STR(release->note_url, "https://example.org/n");
    CHECK_STR(release->source, "ours");
    CHECK_INT(catalogue_at(catalogue, 1)->java[0], 21);
    CHECK_STR(catalogue_at(catalogue, 1)->text, "10.2.1");
}

TEST(what_is_wrong_with_it_is_said_at_its_place_all_at_once)
{
    const char *text = wrong("releases:\n  - version: 9.2.21\n    build: many\n    java: [17, x]\n"
                             "  - version: nine\n    platforms: { oracle: \">12\" }\n"
                             "  - version: 9.2.21\n");
    CHECK_HAS(text, "r.yaml:3:12: error: build_number: 'many' is no build number");
    CHECK_HAS(text, "r.yaml:4:12: error: java: '17 x' is no list of Java");
    CHECK_HAS(text, "r.yaml:5:14: error: version: 'nine' is no version");
    CHECK_HAS(text, "r.yaml:6:26: error: oracle: '>12' is no list of versions");
    CHECK_HAS(text, "r.yaml:7:14: error: version: 9.2.21 is there twice");
    CHECK_HAS(wrong("releases:\n  - build: 1\n"), "version");
    CHECK_HAS(wrong("releases:\n  - version: 9.2\n    upgrad_from: 1.0\n"), "upgrade_from");
    CHECK_HAS(wrong("release: 9.2\n"), "releases");
}

TEST(the_name_tells_csv_from_yaml)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/own.csv", test_dir());
    struct err err = { 0 };
    CHECK_OK(fs_write(path, "version,build\n9.2.21,9116\n", 26, 0600, &err), err);
    CHECK_OK(releases_read(path, &catalogue, &report, &err), err);
    CHECK_INT(catalogue_at(catalogue, 0)->build, 9116);
    catalogue_free(&catalogue);
    CHECK_OK(fs_write(path, "version,build\n9.2.21,x\n", 23, 0600, &err), err);
    CHECK_INT(releases_read(path, &catalogue, &report, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "own.csv:2:8: build 'x'");
    err_clear(&err);
    CHECK_INT(releases_read("/nowhere.yaml", &catalogue, &report, &err), -FAIL_NOT_FOUND);
}
