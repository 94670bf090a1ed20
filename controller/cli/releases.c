#include "controller/cli/releases.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define RELEASES_MAX 400
#define FILE_MAX     (1024 * 1024)

/* Key in the file, column of the catalogue. */
#define OWN_TEXTS(X)                                                                               \
    X(version, "version")                                                                          \
    X(build, "build_number")                                                                       \
    X(date, "release_date")                                                                        \
    X(eol, "eol_date")                                                                             \
    X(upgrade_from, "min_upgrade_from")                                                            \
    X(upgrade_from_build, "min_upgrade_build")                                                     \
    X(lts, "lts")                                                                                  \
    X(data_center_only, "data_center_only")                                                        \
    X(note, "upgrade_note")                                                                        \
    X(note_url, "note_url")                                                                        \
    X(source, "sources")
#define OWN_PLATFORMS(X)                                                                           \
    X(postgresql, "postgresql")                                                                    \
    X(mysql, "mysql")                                                                              \
    X(sqlserver, "sqlserver")                                                                      \
    X(oracle, "oracle")

struct platforms {
#define X(key, column)                                                                             \
    char *key;                                                                                     \
    struct yaml_at key##_at;
    OWN_PLATFORMS(X)
};
struct own {
    OWN_TEXTS(X)
#undef X
    struct yaml_list java;
    struct yaml_at java_at;
    struct platforms platforms;
};
struct own_file {
    char *format; /* keeps the list off offset zero, which would be a place's "none" */
    struct yaml_list releases;
};

static const struct yaml_field platform_fields[] = {
#define X(name, column)                                                                            \
    { .key = #name,                                                                                \
      .kind = YAML_TEXT,                                                                           \
      .offset = offsetof(struct platforms, name),                                                  \
      .at_offset = offsetof(struct platforms, name##_at) },
    OWN_PLATFORMS(X)
#undef X
        { 0 }
};
static const struct yaml_field own_fields[] = {
#define X(name, column)                                                                            \
    { .key = #name,                                                                                \
      .kind = YAML_TEXT,                                                                           \
      .offset = offsetof(struct own, name),                                                        \
      .needed = offsetof(struct own, name) == offsetof(struct own, version),                       \
      .at_offset = offsetof(struct own, name##_at) },
    OWN_TEXTS(X)
#undef X
        { .key = "java",
          .kind = YAML_LIST,
          .single = true,
          .offset = offsetof(struct own, java),
          .item = YAML_TEXT,
          .item_size = sizeof(char *),
          .min = 1,
          .max = CATALOGUE_JAVA_MAX,
          .at_offset = offsetof(struct own, java_at) },
    { .key = "platforms",
      .kind = YAML_MAP,
      .offset = offsetof(struct own, platforms),
      .fields = platform_fields,
      .help = "supported databases, such as { postgresql: 12-16 }" },
    { 0 }
};
static const struct yaml_field file_fields[] = { { .key = "releases",
                                                   .kind = YAML_LIST,
                                                   .single = true,
                                                   .offset = offsetof(struct own_file, releases),
                                                   .fields = own_fields,
                                                   .item_size = sizeof(struct own),
                                                   .needed = true,
                                                   .min = 1,
                                                   .max = RELEASES_MAX },
                                                 { 0 } };

struct taking {
    const char *name, *source;
    struct yaml_report *report;
    struct catalogue_release release;
};

static void field_take(struct taking *taking, const char *column, const char *text,
                       struct yaml_at at)
{
    const char *why = text ? catalogue_field_set(&taking->release, column, text) : NULL;
    if (why)
        yaml_report_add(taking->report, taking->name, taking->source, at, "%s: '%.100s' %s", column,
                        text, why);
}

static void own_take(const struct own *own, struct taking *taking, struct catalogue *catalogue)
{
    CLEANUP(str_free) struct str java = { 0 };
    char *const *versions = own->java.items;
    taking->release = (struct catalogue_release){ 0 };
#define X(key, column) field_take(taking, column, own->key, own->key##_at);
    OWN_TEXTS(X)
#undef X
#define X(key, column) field_take(taking, column, own->platforms.key, own->platforms.key##_at);
    OWN_PLATFORMS(X)
#undef X
    for (size_t i = 0; i < own->java.count; i++)
        str_addf(&java, "%s%s", i ? " " : "", versions[i] ? versions[i] : "");
    if (java.len > 0)
        field_take(taking, "java", str_text(&java), own->java_at);
    if (!taking->release.text[0])
        return; /* complained about already */
    if (catalogue_find(catalogue, taking->release.text))
        yaml_report_add(taking->report, taking->name, taking->source, own->version_at,
                        "version: %s is there twice", taking->release.text);
    else
        catalogue_put(catalogue, &taking->release);
}

int releases_read_text(const char *name, const char *text, struct catalogue **ret,
                       struct yaml_report *report, struct err *err)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = catalogue_new();
    struct own_file file = { 0 };
    struct taking taking = { .name = name, .source = text, .report = report };
    int result = yaml_load_text(name, text, strlen(text), file_fields, &file, report, err);
    const struct own *items = file.releases.items;
    for (size_t i = 0; result == 0 && i < file.releases.count; i++)
        own_take(&items[i], &taking, catalogue);
    yaml_free(file_fields, &file);
    if (result != 0)
        return result;
    if (report->errors > 0)
        return err_set(err, FAIL_USAGE, "%s: %d error%s", name, report->errors,
                       report->errors == 1 ? "" : "s");
    *ret = TAKE(catalogue);
    return 0;
}

int releases_read(const char *path, struct catalogue **ret, struct yaml_report *report,
                  struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    size_t len = strlen(path);
    if (len > 4 && strcmp(path + len - 4, ".csv") == 0)
        return catalogue_load(path, ret, err);
    int result = fs_read(path, FILE_MAX, &text, err);
    return result != 0 ? result : releases_read_text(path, str_text(&text), ret, report, err);
}

void releases_join(const Confleet__Reply *reply, struct catalogue **ret, struct str *warnings)
{
    CLEANUP(free_mem) char *path = catalogue_shipped();
    struct err err = { 0 };
    struct catalogue *catalogue = NULL;
    if (catalogue_load(path, &catalogue, &err) != 0) {
        str_addf(warnings, "warning: %s; only releases that were imported are known\n", err.text);
        catalogue = catalogue_new();
    }
    for (size_t i = 0; i < reply->n_catalogue; i++)
        catalogue_put_wire(catalogue, reply->catalogue[i]);
    for (size_t i = 0; i < reply->n_releases; i++)
        catalogue_put_wire(catalogue, reply->releases[i]);
    *ret = catalogue;
}
