#include "app_catalogue_inside.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/json.h"
#include <jansson.h>
#include <string.h>

static inline void json_drop(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

struct reading {
    const char *name, *text;
    size_t len;
    struct app_catalogue *catalogue;
    struct app_entry entry;
    const char *at; /* where the app at hand begins, as far as it can be told */
};

/* The parser tells lines for broken JSON alone; for the rest the line of the app's key is near
 * enough. */
static int wrong(const struct reading *reading, const char *why, struct err *err)
{
    int line = 1;
    for (const char *at = reading->text; reading->at && at < reading->at; at++)
        line += *at == '\n';
    if (!reading->entry.key[0])
        return err_set(err, FAIL_CORRUPT, "%s:%d: %s", reading->name, line, why);
    return err_set(err, FAIL_CORRUPT, "%s:%d: app %.100s%s%.60s: %s", reading->name, line,
                   reading->entry.key, reading->entry.version[0] ? ", version " : "",
                   reading->entry.version, why);
}

static int take(const struct reading *reading, json_t *object, const char *member, char *out,
                size_t size, struct err *err)
{
    const json_t *value = json_object_get(object, member);
    char why[160];
    if (!value || json_is_null(value))
        return 0;
    const char *text = json_string_value(value);
    if (text && strlen(text) == json_string_length(value) && strlen(text) < size) {
        memset(out, 0, size);
        memcpy(out, text, strlen(text) + 1);
        return 0;
    }
    (void)snprintf(why, sizeof why, "\"%s\" must be a text in quotes of at most %zu bytes", member,
                   size - 1);
    return wrong(reading, why, err);
}

/* Near the key's own words, if they stand in the file as they are; searched from the app before. */
static void place(struct reading *reading)
{
    CLEANUP(free_mem) char *quoted = text_printf("\"%s\"", reading->entry.key);
    const char *from = reading->at ? reading->at : reading->text;
    size_t rest = reading->len - (size_t)(from - reading->text);
    const char *found = memmem(from, rest, quoted, strlen(quoted));
    if (found)
        reading->at = found;
}

static int read_version(struct reading *reading, json_t *version, struct err *err)
{
    struct app_entry *entry = &reading->entry;
    const json_t *dc = json_object_get(version, "dataCenter");
    const json_t *blocks = json_object_get(version, "blocks");
    memset(entry->version, 0, sizeof entry->version);
    memset(entry->from, 0, sizeof entry->from);
    memset(entry->to, 0, sizeof entry->to);
    memset(entry->data_center, 0, sizeof entry->data_center);
    if (!json_is_object(version))
        return wrong(reading, "a version must be { \"name\": …, \"from\": …, \"to\": … }", err);
    int result = take(reading, version, "name", entry->version, sizeof entry->version, err);
    if (result == 0)
        result = take(reading, version, "from", entry->from, sizeof entry->from, err);
    if (result == 0)
        result = take(reading, version, "to", entry->to, sizeof entry->to, err);
    if (result != 0)
        return result;
    if ((dc && !json_is_boolean(dc) && !json_is_null(dc)) ||
        (blocks && !json_is_boolean(blocks) && !json_is_null(blocks)))
        return wrong(reading, "\"dataCenter\" and \"blocks\" must be true or false", err);
    if (json_is_boolean(dc))
        (void)snprintf(entry->data_center, sizeof entry->data_center, "%s",
                       json_is_true(dc) ? "yes" : "no");
    entry->blocks = json_is_true(blocks);
    const char *why = app_catalogue_put(reading->catalogue, entry);
    return why ? wrong(reading, why, err) : 0;
}

static int read_app(struct reading *reading, json_t *app, const struct app_entry *common,
                    struct err *err)
{
    struct app_entry *entry = &reading->entry;
    json_t *versions = json_object_get(app, "versions"), *version = NULL;
    size_t i = 0;
    *entry = *common;
    if (!json_is_object(app))
        return wrong(reading, "an app must be { \"key\": …, \"versions\": [ … ] }", err);
    int result = take(reading, app, "key", entry->key, sizeof entry->key, err);
    if (result == 0 && entry->key[0])
        place(reading);
    if (result == 0)
        result = take(reading, app, "name", entry->name, sizeof entry->name, err);
    if (result == 0)
        result = take(reading, app, "source", entry->source, sizeof entry->source, err);
    if (result == 0)
        result = take(reading, app, "date", entry->date, sizeof entry->date, err);
    if (result == 0 && !json_is_array(versions))
        return wrong(reading, "an app must have \"versions\": [ … ]", err);
    if (result == 0 && !entry->key[0])
        return wrong(reading, "an app must have a \"key\", such as com.example.app", err);
    json_array_foreach(versions, i, version) if (result == 0) result =
        read_version(reading, version, err);
    return result;
}

int app_catalogue_parse(const char *name, const char *text, size_t len, struct app_catalogue **ret,
                        struct err *err)
{
    json_error_t bad;
    if (len > APP_FILE_MAX)
        return err_set(err, FAIL_LIMIT, "%s: a file of apps has at most 8 MiB", name);
    CLEANUP(json_drop) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad);
    if (!root)
        return err_set(err, FAIL_CORRUPT, "%s:%d: %.150s; see confleet(1) for the form", name,
                       bad.line > 0 ? bad.line : 1, bad.text);
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = app_catalogue_new();
    struct reading reading = { name, text, len, catalogue, { .key = "" }, NULL };
    struct app_entry common = { .key = "" };
    json_t *apps = json_object_get(root, "apps"), *app = NULL;
    size_t i = 0;
    if (!json_is_array(apps))
        return wrong(&reading, "the file must be { \"apps\": [ … ] }; see confleet(1)", err);
    int result = take(&reading, root, "source", common.source, sizeof common.source, err);
    if (result == 0)
        result = take(&reading, root, "date", common.date, sizeof common.date, err);
    json_array_foreach(apps, i, app) if (result == 0) result =
        read_app(&reading, app, &common, err);
    if (result == 0)
        *ret = TAKE(catalogue);
    return result;
}

int app_catalogue_load(const char *path, struct app_catalogue **ret, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, APP_FILE_MAX, &text, err);
    return result == 0 ? app_catalogue_parse(path, str_text(&text), text.len, ret, err) : result;
}

static void member(struct str *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    str_addf(out, ", \"%s\": ", name);
    json_text(out, value);
}

void app_catalogue_text(const struct app_catalogue *catalogue, struct str *out)
{
    const struct app_entry *entry = NULL;
    str_add(out, "{ \"apps\": [");
    for (size_t i = 0; (entry = app_catalogue_at(catalogue, i)) != NULL; i++) {
        str_addf(out, "%s\n  { \"key\": ", i ? "," : "");
        json_text(out, entry->key);
        member(out, "name", entry->name);
        member(out, "source", entry->source);
        member(out, "date", entry->date);
        str_add(out, ", \"versions\": [ { \"name\": ");
        json_text(out, entry->version);
        member(out, "from", entry->from);
        member(out, "to", entry->to);
        if (entry->data_center[0])
            str_addf(out, ", \"dataCenter\": %s",
                     strcmp(entry->data_center, "yes") == 0 ? "true" : "false");
        str_addf(out, "%s } ] }", entry->blocks ? ", \"blocks\": true" : "");
    }
    str_add(out, "\n] }\n");
}
