#include "app_catalogue_inside.h"
#include "confleet/cleanup.h"
#include "confleet/version.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct app_catalogue {
    struct app_entry *entries;
    size_t count;
};

struct app_catalogue *app_catalogue_new(void)
{
    return mem_zero(1, sizeof(struct app_catalogue));
}

void app_catalogue_free(struct app_catalogue **catalogue)
{
    if (*catalogue)
        free((*catalogue)->entries);
    free_mem(catalogue);
}

size_t app_catalogue_count(const struct app_catalogue *catalogue)
{
    return catalogue->count;
}

const struct app_entry *app_catalogue_at(const struct app_catalogue *catalogue, size_t at)
{
    return at < catalogue->count ? &catalogue->entries[at] : NULL;
}

/* ------------------------------------------------------------------ order of versions */

static int number_compare(const char **a, const char **b)
{
    const char *x = *a + strspn(*a, "0"), *y = *b + strspn(*b, "0");
    size_t m = strspn(x, "0123456789"), n = strspn(y, "0123456789");
    *a = x + m;
    *b = y + n;
    if (m != n)
        return m < n ? -1 : 1;
    return strncmp(x, y, m);
}

/* A word before the release itself, as in 2.0-beta1. */
static bool is_before(const char *rest)
{
    static const char *const words[] = { "alpha", "beta", "rc", "snapshot", "m" };
    rest += strspn(rest, ".-_ ");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]), at = 0;
        while (at < len && tolower((unsigned char)rest[at]) == words[i][at])
            at++;
        if (at == len && !isalpha((unsigned char)rest[at]))
            return true;
    }
    return false;
}

int app_version_compare(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            int order = number_compare(&a, &b);
            if (order != 0)
                return order;
            continue;
        }
        /* "2.0" against "2-beta": a further number is above, a word before the release below. */
        if (*a != *b && (is_before(a) || is_before(b)) && is_before(a) != is_before(b))
            return is_before(a) ? -1 : 1;
        if (*a != *b)
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        a++;
        b++;
    }
    if (!*a && !*b)
        return 0;
    if (*a)
        return is_before(a) ? -1 : 1;
    return is_before(b) ? 1 : -1;
}

/* ------------------------------------------------------------------ what goes in */

static int entry_order(const void *a, const void *b)
{
    const struct app_entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (order == 0)
        order = app_version_compare(y->version, x->version);
    if (order == 0)
        order = strcmp(y->version, x->version);
    if (order == 0)
        order = strcmp(x->from, y->from);
    return order ? order : strcmp(x->to, y->to);
}

static bool is_date(const char *text)
{
    static const char form[] = "dddd-dd-dd";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != '-')
            return false;
    return true;
}

static bool is_word(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return false;
    return true;
}

/* NULL: good. */
static const char *entry_wrong(const struct app_entry *entry)
{
    struct version from, to;
    if (!entry->key[0] || !is_word(entry->key) || strpbrk(entry->key, " \t"))
        return "\"key\" must be the app's key, such as com.example.app";
    if (!entry->version[0] || !is_word(entry->version))
        return "\"name\" of a version must be as the app says it, or \"*\" for any";
    if (!version_parse(entry->from, &from))
        return "\"from\" must be the oldest version of Confluence, such as 8.5.0";
    if (!version_parse(entry->to, &to))
        return "\"to\" must be the newest version of Confluence, such as 9.2 for all 9.2.x";
    if (version_compare(&from, &to) > 0 && !version_same_feature(&from, &to))
        return "\"to\" is older than \"from\"";
    if (entry->data_center[0] && strcmp(entry->data_center, "yes") != 0 &&
        strcmp(entry->data_center, "no") != 0)
        return "\"dataCenter\" must be true or false";
    if (entry->date[0] && !is_date(entry->date))
        return "\"date\" must be yyyy-mm-dd";
    if (!is_word(entry->name) || !is_word(entry->source))
        return "texts must not hold control characters";
    return NULL;
}

/* The place of the same app, version and range is taken. */
static void put(struct app_catalogue *catalogue, const struct app_entry *entry)
{
    size_t low = 0, high = catalogue->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (entry_order(&catalogue->entries[mid], entry) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < catalogue->count && entry_order(&catalogue->entries[low], entry) == 0) {
        catalogue->entries[low] = *entry;
        return;
    }
    catalogue->entries =
        mem_grow(catalogue->entries, catalogue->count + 1, sizeof *catalogue->entries);
    memmove(&catalogue->entries[low + 1], &catalogue->entries[low],
            (catalogue->count - low) * sizeof *catalogue->entries);
    catalogue->entries[low] = *entry;
    catalogue->count++;
}

const char *app_catalogue_put(struct app_catalogue *catalogue, const struct app_entry *entry)
{
    const char *wrong = entry_wrong(entry);
    if (!wrong && catalogue->count >= APP_ENTRIES_MAX)
        wrong = "a catalogue holds at most 20,000 versions of apps";
    if (!wrong)
        put(catalogue, entry);
    return wrong;
}

void app_entry_wire(const struct app_entry *entry, Confleet__AppEntry *ret)
{
    confleet__app_entry__init(ret);
    ret->key = (char *)(uintptr_t)entry->key;
    ret->name = (char *)(uintptr_t)entry->name;
    ret->version = (char *)(uintptr_t)entry->version;
    ret->from = (char *)(uintptr_t)entry->from;
    ret->to = (char *)(uintptr_t)entry->to;
    ret->data_center = (char *)(uintptr_t)entry->data_center;
    ret->blocks = entry->blocks;
    ret->source = (char *)(uintptr_t)entry->source;
    ret->date = (char *)(uintptr_t)entry->date;
}

bool app_catalogue_put_wire(struct app_catalogue *catalogue, const Confleet__AppEntry *entry,
                            const char **ret_why)
{
    struct app_entry own = { .blocks = entry->blocks };
    const struct {
        char *to;
        size_t size;
        const char *from;
    } texts[] = {
        { own.key, sizeof own.key, entry->key },
        { own.name, sizeof own.name, entry->name },
        { own.version, sizeof own.version, entry->version },
        { own.from, sizeof own.from, entry->from },
        { own.to, sizeof own.to, entry->to },
        { own.data_center, sizeof own.data_center, entry->data_center },
        { own.source, sizeof own.source, entry->source },
        { own.date, sizeof own.date, entry->date },
    };
    *ret_why = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].from) >= texts[i].size) {
            *ret_why = "a text of it is too long";
            return false;
        }
        memcpy(texts[i].to, texts[i].from, strlen(texts[i].from) + 1);
    }
    *ret_why = app_catalogue_put(catalogue, &own);
    return *ret_why == NULL;
}

/* ------------------------------------------------------------------ what comes out */

static bool in_range(const struct app_entry *entry, const struct version *release)
{
    struct version from, to;
    if (!version_parse(entry->from, &from) || !version_parse(entry->to, &to) ||
        version_compare(&from, release) > 0)
        return false;
    for (size_t i = 0; i < to.count && i < VERSION_NUMBERS; i++)
        if (release->numbers[i] != to.numbers[i])
            return release->numbers[i] < to.numbers[i];
    return release->count > to.count || version_compare(release, &to) <= 0;
}

static size_t first_of(const struct app_catalogue *catalogue, const char *key)
{
    size_t low = 0, high = catalogue->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(catalogue->entries[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void weigh(const struct app_entry *entry, bool fits, struct app_answer *ret)
{
    if (fits) {
        ret->fit = APP_FITS;
        ret->blocks = false;
        ret->entry = entry;
        ret->data_center = entry->data_center;
    } else if (ret->fit != APP_FITS) {
        ret->blocks = ret->blocks || entry->blocks;
        ret->fit = APP_UNFIT;
        ret->entry = entry;
        ret->data_center = entry->data_center;
    }
}

void app_catalogue_ask(const struct app_catalogue *catalogue, const struct app_question *question,
                       struct app_answer *ret)
{
    struct version release, installed;
    bool has_release = version_parse(question->release, &release);
    bool has_installed = version_parse(question->installed, &installed);
    bool exact = false;
    *ret = (struct app_answer){ .data_center = "" };
    for (size_t i = first_of(catalogue, question->key);
         i < catalogue->count && strcmp(catalogue->entries[i].key, question->key) == 0; i++) {
        const struct app_entry *entry = &catalogue->entries[i];
        bool any = strcmp(entry->version, "*") == 0;
        bool fits = has_release && in_range(entry, &release);
        int order = any ? 0 : app_version_compare(entry->version, question->version);
        ret->known_key = true;
        if (!has_release || !question->version[0])
            continue;
        /* "*" sorts behind or before the others; it counts only where the very version is not
         * named. */
        if (!any && order == 0) {
            if (!exact)
                *ret = (struct app_answer){ .data_center = "",
                                            .known_key = true,
                                            .update = ret->update,
                                            .update_now = ret->update_now };
            exact = true;
            weigh(entry, fits, ret);
        } else if (any && !exact)
            weigh(entry, fits, ret);
        else if (!any && order > 0 && fits &&
                 (!ret->update || app_version_compare(entry->version, ret->update->version) >= 0)) {
            bool now = has_installed && in_range(entry, &installed);
            bool same = ret->update && strcmp(entry->version, ret->update->version) == 0;
            ret->update_now = now || (same && ret->update_now);
            ret->update = entry;
        }
    }
}
