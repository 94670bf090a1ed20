#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct catalogue {
    struct catalogue_release **items; /* owned, by version */
    size_t count, cap;
};

struct catalogue *catalogue_new(void)
{
    return mem_zero(1, sizeof(struct catalogue));
}

void catalogue_free(struct catalogue **catalogue)
{
    if (!*catalogue)
        return;
    for (size_t i = 0; i < (*catalogue)->count; i++)
        free((*catalogue)->items[i]);
    free((*catalogue)->items);
    free_mem(catalogue);
}

/* The first place whose version is not below. */
static size_t place_of(const struct catalogue *catalogue, const struct version *version)
{
    size_t low = 0, high = catalogue->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version_compare(&catalogue->items[middle]->version, version) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct catalogue_release *entry_at(const struct catalogue *catalogue, size_t at,
                                          const struct version *version)
{
    if (at >= catalogue->count || version_compare(&catalogue->items[at]->version, version) != 0)
        return NULL;
    return catalogue->items[at];
}

const struct catalogue_release *catalogue_find(const struct catalogue *catalogue,
                                               const char *version)
{
    struct version wanted;
    if (!catalogue || !version || !version_parse(version, &wanted))
        return NULL;
    return entry_at(catalogue, place_of(catalogue, &wanted), &wanted);
}

const struct catalogue_release *catalogue_at(const struct catalogue *catalogue, size_t at)
{
    return catalogue && at < catalogue->count ? catalogue->items[at] : NULL;
}

static struct catalogue_release *entry_make(struct catalogue *catalogue, size_t at)
{
    struct catalogue_release *entry = mem_zero(1, sizeof *entry);
    if (catalogue->count == catalogue->cap) {
        catalogue->cap = catalogue->cap ? 2 * catalogue->cap : 64;
        catalogue->items =
            mem_grow(catalogue->items, catalogue->cap, sizeof(struct catalogue_release *));
    }
    memmove(catalogue->items + at + 1, catalogue->items + at,
            (catalogue->count - at) * sizeof(struct catalogue_release *));
    catalogue->items[at] = entry;
    catalogue->count++;
    return entry;
}

#define TAKE_TEXT(field)                                                                           \
    do {                                                                                           \
        if (from->field[0])                                                                        \
            memcpy(to->field, from->field, sizeof to->field);                                      \
    } while (0)

static void entry_merge(struct catalogue_release *to, const struct catalogue_release *from)
{
    TAKE_TEXT(date);
    TAKE_TEXT(eol);
    TAKE_TEXT(lts);
    TAKE_TEXT(data_center_only);
    TAKE_TEXT(postgresql);
    TAKE_TEXT(mysql);
    TAKE_TEXT(sqlserver);
    TAKE_TEXT(oracle);
    TAKE_TEXT(note);
    TAKE_TEXT(note_url);
    TAKE_TEXT(source);
    if (from->build)
        to->build = from->build;
    /* Version and build of a floor say the same thing twice: never half of one and half of another.
     */
    if (from->floor_version[0] || from->floor_build) {
        memcpy(to->floor_version, from->floor_version, sizeof to->floor_version);
        to->floor_build = from->floor_build;
    }
    if (from->java_count > 0) {
        memcpy(to->java, from->java, sizeof to->java);
        to->java_count = from->java_count;
    }
}

void catalogue_put(struct catalogue *catalogue, const struct catalogue_release *release)
{
    struct version version;
    bool parsed = version_parse(release->text, &version);
    assert(parsed);
    if (!parsed)
        return;
    size_t at = place_of(catalogue, &version);
    struct catalogue_release *entry = entry_at(catalogue, at, &version);
    if (!entry) {
        entry = entry_make(catalogue, at);
        *entry = *release;
        entry->version = version;
        return;
    }
    entry_merge(entry, release);
}

#define PUT_TEXT(field, value)                                                                     \
    (void)snprintf(entry.field, sizeof entry.field, "%.*s", (int)sizeof entry.field - 1, value)

void catalogue_put_wire(struct catalogue *catalogue, const Confleet__Release *release)
{
    struct catalogue_release entry = { .build = release->build,
                                       .floor_build = release->floor_build };
    struct version version;
    if (strlen(release->version) >= sizeof entry.text || !version_parse(release->version, &version))
        return;
    PUT_TEXT(text, release->version);
    PUT_TEXT(date, release->date);
    PUT_TEXT(eol, release->eol_date);
    PUT_TEXT(lts, release->lts);
    PUT_TEXT(data_center_only, release->data_center_only);
    PUT_TEXT(floor_version, release->floor_version);
    PUT_TEXT(note, release->note);
    PUT_TEXT(note_url, release->note_url);
    PUT_TEXT(source, release->source);
    for (size_t i = 0; i < release->n_java && entry.java_count < CATALOGUE_JAVA_MAX; i++)
        entry.java[entry.java_count++] = release->java[i];
    for (size_t i = 0; i < release->n_platforms; i++) {
        const Confleet__KeyValue *pair = release->platforms[i];
        if (strcmp(pair->key, "postgresql") == 0)
            PUT_TEXT(postgresql, pair->value);
        else if (strcmp(pair->key, "mysql") == 0)
            PUT_TEXT(mysql, pair->value);
        else if (strcmp(pair->key, "sqlserver") == 0)
            PUT_TEXT(sqlserver, pair->value);
        else if (strcmp(pair->key, "oracle") == 0)
            PUT_TEXT(oracle, pair->value);
    }
    catalogue_put(catalogue, &entry);
}

static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void platform_fill(struct catalogue_wire *wire, const char *key, const char *value)
{
    size_t at = wire->release.n_platforms;
    if (!value[0])
        return;
    wire->platforms[at] = (Confleet__KeyValue)CONFLEET__KEY_VALUE__INIT;
    wire->platforms[at].key = lent(key);
    wire->platforms[at].value = lent(value);
    wire->platform_list[at] = &wire->platforms[at];
    wire->release.platforms = wire->platform_list;
    wire->release.n_platforms++;
}

void catalogue_wire_fill(struct catalogue_wire *wire, const struct catalogue_release *release)
{
    wire->release = (Confleet__Release)CONFLEET__RELEASE__INIT;
    wire->release.version = lent(release->text);
    wire->release.build = release->build;
    wire->release.date = lent(release->date);
    wire->release.floor_version = lent(release->floor_version);
    wire->release.floor_build = release->floor_build;
    wire->release.java = (uint32_t *)(uintptr_t)release->java;
    wire->release.n_java = release->java_count;
    wire->release.data_center_only = lent(release->data_center_only);
    wire->release.lts = lent(release->lts);
    wire->release.eol_date = lent(release->eol);
    wire->release.note = lent(release->note);
    wire->release.note_url = lent(release->note_url);
    wire->release.source = lent(release->source);
    platform_fill(wire, "postgresql", release->postgresql);
    platform_fill(wire, "mysql", release->mysql);
    platform_fill(wire, "sqlserver", release->sqlserver);
    platform_fill(wire, "oracle", release->oracle);
}

static void feature_name(const struct version *version, char out[24])
{
    (void)snprintf(out, 24, "%u.%u", version->numbers[0], version->numbers[1]);
}

size_t catalogue_features(const struct catalogue *catalogue, const char *from, const char *target,
                          struct catalogue_feature *ret, size_t max)
{
    struct version low, high, last;
    size_t count = 0;
    if (!from || !target || !version_parse(from, &low) || !version_parse(target, &high) ||
        version_same_feature(&low, &high) || version_compare(&high, &low) < 0)
        return 0;
    last = low;
    for (size_t i = catalogue ? place_of(catalogue, &low) : 0; catalogue && i < catalogue->count;
         i++) {
        const struct catalogue_release *entry = catalogue->items[i];
        if (version_compare(&entry->version, &high) > 0)
            break;
        if (version_same_feature(&entry->version, &low))
            continue;
        if (!version_same_feature(&entry->version, &last)) {
            if (count < max) {
                ret[count] = (struct catalogue_feature){ 0 };
                feature_name(&entry->version, ret[count].name);
            }
            count++;
        }
        last = entry->version;
        struct catalogue_feature *feature = count <= max ? &ret[count - 1] : NULL;
        if (feature && feature->noted_count < CATALOGUE_NOTES_MAX &&
            (entry->note[0] || entry->note_url[0]))
            feature->noted[feature->noted_count++] = entry;
    }
    if (!version_same_feature(&last, &high)) {
        if (count < max) {
            ret[count] = (struct catalogue_feature){ 0 };
            feature_name(&high, ret[count].name);
        }
        count++;
    }
    return count;
}
