#include "confleet/yaml.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

struct stage {
    char *name;
    int64_t soak_ms;
    struct yaml_at soak_at;
};
struct inner {
    uint64_t failed;
    bool strict;
};
struct sample {
    char *name, *folder, *title;
    uint64_t count, space;
    int mode;
    bool on;
    struct inner gate;
    struct yaml_list stages, batch, labels;
    struct yaml_at name_at;
};

static const char *const modes[] = { "rollback", "hold", NULL };
static const struct yaml_field inner_fields[] = {
    { .key = "max_failed", .kind = YAML_U64, .offset = offsetof(struct inner, failed), .max = 10 },
    { .key = "strict", .kind = YAML_BOOL, .offset = offsetof(struct inner, strict) },
    { 0 }
};
static const struct yaml_field stage_fields[] = {
    { .key = "name", .kind = YAML_NAME, .offset = offsetof(struct stage, name), .needed = true },
    { .key = "soak",
      .kind = YAML_DURATION,
      .offset = offsetof(struct stage, soak_ms),
      .max = 3600 * 1000,
      .help = "how long a new version is watched",
      .at_offset = offsetof(struct stage, soak_at) },
    { 0 }
};
static const struct yaml_field sample_fields[] = {
    { .key = "name",
      .kind = YAML_NAME,
      .offset = offsetof(struct sample, name),
      .needed = true,
      .at_offset = offsetof(struct sample, name_at) },
    { .key = "folder", .kind = YAML_PATH, .offset = offsetof(struct sample, folder) },
    { .key = "title", .kind = YAML_TEXT, .offset = offsetof(struct sample, title) },
    { .key = "count",
      .kind = YAML_U64,
      .offset = offsetof(struct sample, count),
      .min = 2,
      .max = 9 },
    { .key = "space", .kind = YAML_SIZE, .offset = offsetof(struct sample, space), .min = 1024 },
    { .key = "on_failure",
      .kind = YAML_WORD,
      .offset = offsetof(struct sample, mode),
      .words = modes },
    { .key = "enabled", .kind = YAML_BOOL, .offset = offsetof(struct sample, on) },
    { .key = "gate",
      .kind = YAML_MAP,
      .offset = offsetof(struct sample, gate),
      .fields = inner_fields },
    { .key = "stages",
      .kind = YAML_LIST,
      .offset = offsetof(struct sample, stages),
      .fields = stage_fields,
      .item_size = sizeof(struct stage),
      .max = 3 },
    { .key = "batch",
      .kind = YAML_LIST,
      .offset = offsetof(struct sample, batch),
      .item = YAML_U64,
      .item_size = sizeof(uint64_t),
      .min = 1 },
    { .key = "labels", .kind = YAML_PAIRS, .offset = offsetof(struct sample, labels) },
    { 0 }
};

/* Loads a text that must be wrong; its report, valid until the next call. */
static const char *complaints(const char *text)
{
    static char out[65536];
    struct sample sample = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_INT(yaml_load_text("f.yaml", text, strlen(text), sample_fields, &sample, &report, &err),
              -FAIL_USAGE);
    CHECK(report.errors > 0);
    (void)snprintf(out, sizeof out, "%s", str_text(&report.text));
    yaml_report_free(&report);
    yaml_free(sample_fields, &sample);
    return out;
}

static struct sample load(const char *text)
{
    struct sample sample = { .mode = 1 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    int result =
        yaml_load_text("f.yaml", text, strlen(text), sample_fields, &sample, &report, &err);
    if (result != 0)
        print_error("%s", str_text(&report.text));
    CHECK_OK(result, err);
    yaml_report_free(&report);
    return sample;
}

TEST(good_file_fills_the_struct)
{
    struct sample s =
        load("# comment\nname: alpha\nfolder: /var/x\ntitle: \"a: b\"\ncount: 3\nspace: 2G\n"
             "on_failure: rollback\nenabled: true\ngate: { max_failed: 2, strict: true }\n"
             "stages:\n  - name: one\n    soak: 1m30s\n  - { name: two }\nbatch: [1, 5]\nlabels: { "
             "env: no, x: \"\" }\n");
    CHECK_STR(s.name, "alpha");
    CHECK_STR(s.folder, "/var/x");
    CHECK_STR(s.title, "a: b");
    CHECK_INT(s.count, 3);
    CHECK_INT(s.space, 2LL << 30);
    CHECK_INT(s.mode, 0);
    CHECK(s.on);
    CHECK_INT(s.gate.failed, 2);
    CHECK(s.gate.strict);
    CHECK_INT(s.stages.count, 2);
    CHECK_STR(((struct stage *)s.stages.items)[0].name, "one");
    CHECK_INT(((struct stage *)s.stages.items)[0].soak_ms, 90000);
    CHECK_INT(((struct stage *)s.stages.items)[0].soak_at.line, 12);
    CHECK_INT(((struct stage *)s.stages.items)[0].soak_at.column, 11);
    CHECK_INT(((struct stage *)s.stages.items)[1].soak_at.line, 0);
    CHECK_INT(s.stages.at[1].line, 13);
    CHECK_INT(s.batch.count, 2);
    CHECK_INT(((uint64_t *)s.batch.items)[1], 5);
    CHECK_INT(s.batch.at[1].column, 12);
    CHECK_INT(s.labels.count, 2);
    CHECK_STR(((struct yaml_pair *)s.labels.items)[0].value, "no");
    CHECK_STR(((struct yaml_pair *)s.labels.items)[1].value, "");
    yaml_free(sample_fields, &s);
    CHECK(s.name == NULL && s.stages.count == 0);
    yaml_free(sample_fields, &s);
}

TEST(absent_key_leaves_its_default)
{
    struct sample s = load("name: alpha\n");
    CHECK_INT(s.mode, 1);
    CHECK_INT(s.name_at.line, 1);
    CHECK_INT(s.name_at.column, 7);
    yaml_free(sample_fields, &s);
}

TEST(misspelt_key_gets_place_line_caret_and_suggestion)
{
    CHECK_STR(complaints("name: a\ngate:\n  max_faild: 1\n"),
              "f.yaml:3:3: error: unknown key \"max_faild\" in gate; did you mean \"max_failed\"?\n"
              "      max_faild: 1\n"
              "      ^~~~~~~~~\n");
}

TEST(all_errors_come_in_one_pass)
{
    const char *text = complaints(
        "nam: a\ncount: 77\nenabled: maybe\non_failure: rolback\nstages:\n  - soak: 3\n");
    CHECK_HAS(text, "f.yaml:1:1: error: unknown key \"nam\" in the file; did you mean \"name\"?");
    CHECK_HAS(text, "f.yaml:6:5: error: missing key \"name\" in stages");
    CHECK_HAS(text, "f.yaml:2:8: error: count: 77 is out of range: between 2 and 9");
    CHECK_HAS(text, "f.yaml:3:10: error: enabled: \"maybe\" is neither true nor false");
    CHECK_HAS(
        text,
        "f.yaml:4:13: error: on_failure: unknown value \"rolback\"; did you mean \"rollback\"?");
    CHECK_HAS(text, "f.yaml:6:11: error: soak: \"3\" is no duration");
    CHECK_HAS(text, "    note: how long a new version is watched\n");
    CHECK_HAS(text, "f.yaml:6:5: error: missing key \"name\" in stages");
}

TEST(misspelt_key_is_not_missing_as_well)
{
    CHECK(strstr(complaints("nam: a\n"), "missing key") == NULL);
    CHECK_HAS(complaints("title: a\n"), "f.yaml:1:1: error: missing key \"name\" in the file");
}

TEST(quoted_value_is_pointed_at_with_its_quote)
{
    CHECK_STR(complaints("name: \"A B\"\n"),
              "f.yaml:1:7: error: name: \"A B\" is no name: 1 to 63 of a-z, 0-9, '.', '_', '-', "
              "beginning with a letter or digit\n"
              "    name: \"A B\"\n"
              "          ^~~~~\n");
}

TEST(caret_counts_characters_not_bytes)
{
    CHECK_HAS(complaints("{ title: äöü, name: É }\n"), "f.yaml:1:21: error: name: ");
    CHECK_HAS(complaints("{ title: äöü, name: É }\n"), "\n                        ^\n");
}

TEST(wrong_shapes_are_refused)
{
    CHECK_HAS(complaints("name: [a]\n"),
              "f.yaml:1:8: error: name needs a single value, not a list");
    CHECK_HAS(complaints("name: {a: b}\n"), "name needs a single value, not a mapping");
    CHECK_HAS(complaints("name: a\nbatch: 1\n"), "f.yaml:2:8: error: batch needs a list");
    CHECK_HAS(complaints("name: a\ngate: 1\n"), "f.yaml:2:7: error: gate needs a mapping");
    CHECK_HAS(complaints("name: a\nstages: [x]\n"), "f.yaml:2:10: error: stages needs a mapping");
    CHECK_HAS(complaints("name: a\nlabels: { a: [b] }\n"),
              "error: a needs a single value, not a list");
    CHECK_HAS(complaints("name:\n"), "f.yaml:1:1: error: name has no value");
    CHECK_HAS(complaints("name: a\nbatch: []\n"),
              "f.yaml:2:1: error: batch has 0 items; it takes 1 to 4096");
    CHECK_HAS(complaints("name: a\nstages: [{name: a},{name: b},{name: c},{name: d}]\n"),
              "stages has 4 items; it takes 0 to 3");
    CHECK_HAS(complaints("- a\n"), "the file must be a mapping");
    CHECK_HAS(complaints("text\n"), "the file must be a mapping");
    CHECK_HAS(complaints(""), "f.yaml: error: the file holds no keys");
    CHECK_HAS(complaints("# only a comment\n"), "the file holds no keys");
}

TEST(one_item_may_stand_without_its_list_where_the_table_says_so)
{
    struct just {
        struct yaml_list batch, stages;
    };
    static const struct yaml_field fields[] = { { .key = "batch",
                                                  .kind = YAML_LIST,
                                                  .offset = offsetof(struct just, batch),
                                                  .item = YAML_TEXT,
                                                  .single = true,
                                                  .max = 2 },
                                                { .key = "stages",
                                                  .kind = YAML_LIST,
                                                  .offset = offsetof(struct just, stages),
                                                  .fields = stage_fields,
                                                  .item_size = sizeof(struct stage),
                                                  .single = true },
                                                { 0 } };
    static const char text[] = "batch: 3\nstages: { name: one, soak: 1m }\n",
                      wrong[] = "batch: { a: b }\nstages: { soak: 1m }\n";
    struct just just = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_OK(yaml_load_text("f", text, strlen(text), fields, &just, &report, &err), err);
    CHECK_INT(just.batch.count, 1);
    CHECK_STR(((char **)just.batch.items)[0], "3");
    CHECK_INT(just.batch.at[0].column, 8);
    CHECK_INT(just.stages.count, 1);
    CHECK_STR(((struct stage *)just.stages.items)[0].name, "one");
    CHECK_INT(((struct stage *)just.stages.items)[0].soak_ms, 60000);
    yaml_free(fields, &just);
    just = (struct just){ 0 };
    CHECK_INT(yaml_load_text("f", wrong, strlen(wrong), fields, &just, &report, &err), -FAIL_USAGE);
    CHECK_HAS(str_text(&report.text), "f:1:10: error: batch needs a list");
    CHECK_HAS(str_text(&report.text), "f:2:11: error: missing key \"name\" in stages");
    yaml_free(fields, &just);
    yaml_report_free(&report);
}

TEST(wrong_values_are_refused)
{
    CHECK_HAS(complaints("name: a\nfolder: x/y\n"), "folder: \"x/y\" is no absolute path");
    CHECK_HAS(complaints("name: a\ncount: -3\n"), "count: \"-3\" is no whole number");
    CHECK_HAS(complaints("name: a\ncount: 18446744073709551616\n"), "is no whole number");
    CHECK_HAS(complaints("name: a\nspace: 10X\n"), "space: \"10X\" is no size");
    CHECK_HAS(complaints("name: a\nspace: 9999999999G\n"), "is no size");
    CHECK_HAS(complaints("name: a\nspace: 3\n"), "space: 3 is too small: at least 1");
    CHECK_HAS(complaints("name: a\nstages: [{name: b, soak: 2h}]\n"),
              "soak: 2h is out of range: between 0 ms and 1h");
    CHECK_HAS(complaints("name: a\nstages: [{name: b, soak: 99999999999999999d}]\n"),
              "is no duration");
    CHECK_HAS(complaints("name: a\nstages: [{name: b, soak: 1h h}]\n"), "is no duration");
    CHECK_HAS(complaints("name: a\non_failure: explode\n"),
              "unknown value \"explode\": one of rollback, hold");
    CHECK_HAS(complaints("name: a\nbatch: [1, x]\n"),
              "f.yaml:2:12: error: batch: \"x\" is no whole number");
}

TEST(duplicates_aliases_and_tags_are_refused)
{
    CHECK_HAS(complaints("name: a\nname: b\n"),
              "f.yaml:2:1: error: duplicate key \"name\" in the file");
    CHECK_HAS(complaints("name: a\nlabels: {x: 1, x: 2}\n"),
              "f.yaml:2:16: error: duplicate key \"x\" in labels");
    CHECK_HAS(complaints("name: &n a\ntitle: *n\n"),
              "f.yaml:2:8: error: title: aliases (*name) are not allowed here");
    CHECK_HAS(complaints("name: a\ngate: &g {strict: true}\nlabels: *g\n"),
              "labels: aliases (*name) are not allowed here");
    CHECK_HAS(complaints("name: !x a\n"), "name: tags (!name) are not allowed here");
    CHECK_HAS(complaints("name: a\ngate: !x {strict: true}\n"),
              "gate: tags (!name) are not allowed here");
    CHECK_HAS(complaints("name: a\n---\nname: b\n"),
              "f.yaml:3:1: error: a second document begins here");
}

TEST(syntax_errors_keep_their_place)
{
    CHECK_HAS(complaints("name: a\nbatch: [1, 2\ncount: 3\n"),
              "f.yaml:4:1: error: flow sequence without a closing bracket");
    CHECK_HAS(complaints("name: \"a\n"),
              "f.yaml:1:8: error: double-quoted scalar without closing quote");
    CHECK_HAS(complaints("gate:\n\tstrict: true\n"), "f.yaml:2:1: error: tab character");
    CHECK_HAS(complaints("name: a\xff\n"), "f.yaml: error: the file is not UTF-8 text");
}

TEST(zero_byte_is_refused)
{
    struct sample sample = { 0 };
    struct yaml_report report = { 0 };
    CHECK_INT(yaml_load_text("f.yaml", "name: a\0b\n", 10, sample_fields, &sample, &report, NULL),
              -FAIL_USAGE);
    CHECK_HAS(str_text(&report.text), "zero byte");
    yaml_report_free(&report);
    yaml_free(sample_fields, &sample);
    CHECK_HAS(complaints("name: a\ntitle: \"x\\0y\"\n"), "title holds a zero byte");
}

TEST(control_characters_of_a_file_do_not_reach_the_terminal)
{
    const char *text = complaints("name: a\ncount: \"\\e[2Jx\"\n");
    CHECK(strchr(text, '\033') == NULL);
    CHECK_HAS(text, "count: \"?[2Jx\"");
}

TEST(deep_nesting_and_a_flood_of_errors_are_bounded)
{
    CLEANUP(str_free) struct str deep = { 0 }, flood = { 0 };
    for (int i = 0; i < 20000; i++)
        str_add(&deep, "[");
    CHECK_HAS(complaints(str_text(&deep)), "Max depth");
    for (int i = 0; i < 500; i++)
        str_addf(&flood, "k%d: 1\n", i);
    CHECK_HAS(complaints(str_text(&flood)), "f.yaml: more than 50 errors, the rest is not shown");
}

TEST(too_large_a_file_is_refused)
{
    struct sample sample = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    CLEANUP(free_mem) char *big = mem_zero(YAML_SIZE_MAX + 2, 1);
    memset(big, '#', YAML_SIZE_MAX + 1);
    CHECK_INT(
        yaml_load_text("f.yaml", big, YAML_SIZE_MAX + 1, sample_fields, &sample, &report, &err),
        -FAIL_LIMIT);
    CHECK_HAS(err.text, "f.yaml: 1048577 bytes");
}

TEST(file_is_read_and_the_error_counts)
{
    struct sample sample = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    CLEANUP(free_mem) char *source = NULL;
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "p.yaml");
    CHECK_INT(yaml_load(path, sample_fields, &sample, &report, NULL, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_OK(fs_write(path, "name: a\ncont: 1\n", 16, 0600, &err), err);
    CHECK_INT(yaml_load(path, sample_fields, &sample, &report, &source, &err), -FAIL_USAGE);
    CHECK_HAS(err.text, "p.yaml: 1 error");
    CHECK_STR(source, "name: a\ncont: 1\n");
    CHECK_STR(sample.name, "a");
    yaml_report_add(&report, path, source, sample.name_at, "name %s is taken", sample.name);
    CHECK_INT(report.errors, 2);
    CHECK_HAS(str_text(&report.text),
              "p.yaml:1:7: error: name a is taken\n    name: a\n          ^\n");
    yaml_report_free(&report);
    yaml_free(sample_fields, &sample);
}

TEST(suggestions_are_near_or_none)
{
    static const char *const words[] = { "status", "list", "max_parallel", "approvals", NULL };
    CHECK_STR(yaml_suggest("statsu", words), "status");
    CHECK_STR(yaml_suggest("lst", words), "list");
    CHECK_STR(yaml_suggest("max_paralel", words), "max_parallel");
    CHECK_STR(yaml_suggest("approv", words), "approvals");
    CHECK(yaml_suggest("xyzzy", words) == NULL);
    CHECK(yaml_suggest("", words) == NULL);
}
