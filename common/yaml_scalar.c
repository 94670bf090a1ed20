#include "yaml_parts.h"
#include "confleet/cleanup.h"
#include <inttypes.h>
#include <string.h>

bool yaml_kind_is_text(enum yaml_kind kind)
{
    return kind == YAML_TEXT || kind == YAML_NAME || kind == YAML_PATH;
}

bool yaml_kind_is_scalar(enum yaml_kind kind)
{
    return kind != YAML_LIST && kind != YAML_MAP && kind != YAML_PAIRS;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = { { "ms", 1 },
                                          { "s", 1000 },
                                          { "m", 60 * 1000 },
                                          { "h", 3600 * 1000 },
                                          { "d", 86400 * 1000ULL },
                                          { "w", 7 * 86400 * 1000ULL },
                                          { NULL, 0 } };
static const struct unit size_units[] = { { "", 1 },           { "B", 1 },
                                          { "K", 1ULL << 10 }, { "M", 1ULL << 20 },
                                          { "G", 1ULL << 30 }, { "T", 1ULL << 40 },
                                          { NULL, 0 } };

/* One number and its unit off the front of *text; false when there is none or it passes 2^63. */
static bool unit_take(const char **text, const struct unit *units, uint64_t *ret_value)
{
    size_t digits = strspn(*text, "0123456789");
    size_t letters = strcspn(*text + digits, "0123456789");
    char number[24];
    uint64_t count;
    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, *text, digits);
    number[digits] = '\0';
    if (!text_parse_u64(number, INT64_MAX, &count))
        return false;
    for (; units->name; units++) {
        if (strlen(units->name) != letters || strncmp(*text + digits, units->name, letters) != 0)
            continue;
        if (count > (uint64_t)INT64_MAX / units->factor)
            return false;
        *ret_value = count * units->factor;
        *text += digits + letters;
        return true;
    }
    return false;
}

static bool duration_read(const char *text, uint64_t *ret_ms)
{
    uint64_t sum = 0, part;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    do {
        if (!unit_take(&text, time_units, &part) || part > (uint64_t)INT64_MAX - sum)
            return false;
        sum += part;
    } while (*text);
    *ret_ms = sum;
    return true;
}

bool yaml_duration(const char *text, int64_t *ret_ms)
{
    uint64_t value;
    if (!duration_read(text, &value))
        return false;
    *ret_ms = (int64_t)value;
    return true;
}

static void limit_text(enum yaml_kind kind, uint64_t value, char out[24])
{
    if (kind == YAML_DURATION)
        (void)text_duration((int64_t)value, out);
    else if (kind == YAML_SIZE)
        (void)text_size(value, out);
    else
        (void)snprintf(out, 24, "%" PRIu64, value);
}

static bool within(const struct yaml_field *field, enum yaml_kind kind, uint64_t value,
                   const char *text, struct str *why)
{
    char least[24], most[24];
    if (value >= field->min && (field->max == 0 || value <= field->max))
        return true;
    limit_text(kind, field->min, least);
    limit_text(kind, field->max, most);
    if (field->max == 0)
        str_addf(why, "%s is too small: at least %s", text, least);
    else
        str_addf(why, "%s is out of range: between %s and %s", text, least, most);
    return false;
}

static bool number_read(const struct yaml_field *field, enum yaml_kind kind, const char *text,
                        uint64_t *ret, struct str *why)
{
    const char *rest = text;
    uint64_t value;
    if (kind == YAML_DURATION && !duration_read(text, &value)) {
        str_addf(why,
                 "\"%s\" is no duration: write a number and a unit, such as 90s, 10m, 4h or 7d",
                 text);
        return false;
    }
    if (kind == YAML_SIZE && (!unit_take(&rest, size_units, &value) || *rest)) {
        str_addf(why, "\"%s\" is no size: write a number and a unit, such as 512, 10M or 2G", text);
        return false;
    }
    if (kind == YAML_U64 && !text_parse_u64(text, UINT64_MAX, &value)) {
        str_addf(why, "\"%s\" is no whole number", text);
        return false;
    }
    if (!within(field, kind, value, text, why))
        return false;
    *ret = value;
    return true;
}

static bool text_read(enum yaml_kind kind, const char *text, char **to, struct str *why)
{
    if (kind == YAML_NAME && !text_is_name(text)) {
        str_addf(why,
                 "\"%s\" is no name: 1 to 63 of a-z, 0-9, '.', '_', '-', beginning with a letter "
                 "or digit",
                 text);
        return false;
    }
    if (kind == YAML_PATH && text[0] != '/') {
        str_addf(why, "\"%s\" is no absolute path: it must begin with /", text);
        return false;
    }
    free(*to);
    *to = text_dup(text);
    return true;
}

static bool bool_read(const char *text, bool *to, struct str *why)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *to = text[0] == 't';
        return true;
    }
    str_addf(why, "\"%s\" is neither true nor false", text);
    return false;
}

static bool word_read(const struct yaml_field *field, const char *text, int *to, struct str *why)
{
    for (int i = 0; field->words[i]; i++) {
        if (strcmp(field->words[i], text) == 0) {
            *to = i;
            return true;
        }
    }
    str_addf(why, "unknown value \"%s\"", text);
    if (yaml_suggest(text, field->words)) {
        yaml_suggest_add(why, text, field->words);
        return false;
    }
    for (int i = 0; field->words[i]; i++)
        str_addf(why, "%s%s", i == 0 ? ": one of " : ", ", field->words[i]);
    return false;
}

bool yaml_scalar(const struct yaml_field *field, enum yaml_kind kind, const char *text, void *to,
                 struct str *why)
{
    uint64_t number;
    switch (kind) {
    case YAML_TEXT:
    case YAML_NAME:
    case YAML_PATH:
        return text_read(kind, text, to, why);
    case YAML_U64:
    case YAML_SIZE:
        return number_read(field, kind, text, to, why);
    case YAML_DURATION:
        if (!number_read(field, kind, text, &number, why))
            return false;
        *(int64_t *)to = (int64_t)number;
        return true;
    case YAML_BOOL:
        return bool_read(text, to, why);
    case YAML_WORD:
        return word_read(field, text, to, why);
    case YAML_LIST:
    case YAML_MAP:
    case YAML_PAIRS:
        break;
    }
    str_add(why, "needs a list or a mapping");
    return false;
}
