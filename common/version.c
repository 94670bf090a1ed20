#include "confleet/version.h"
#include <string.h>

/* In the order in which the vendor published them before a release. */
static const struct {
    const char *word;
    int order;
} early_words[] = { { "snapshot", 1 }, { "alpha", 2 }, { "milestone", 3 }, { "m", 3 },
                    { "eap", 4 },      { "beta", 5 },  { "rc", 6 } };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* Nine digits at most, so that no sum of them overflows. */
static const char *number_read(const char *at, uint32_t *ret)
{
    uint32_t value = 0;
    size_t digits = 0;
    for (; is_digit(*at); at++) {
        if (++digits > 9)
            return NULL;
        value = value * 10 + (uint32_t)(*at - '0');
    }
    *ret = value;
    return digits > 0 ? at : NULL;
}

/* How early the letters of suffix are; zero: no such word. */
static int early_order(const char *suffix)
{
    size_t len = 0;
    while (is_letter(suffix[len]))
        len++;
    for (size_t i = 0; i < sizeof early_words / sizeof *early_words; i++)
        if (strlen(early_words[i].word) == len && memcmp(early_words[i].word, suffix, len) == 0)
            return early_words[i].order;
    return 0;
}

/* 5.5-OD-31-009: builds of the vendor's own hosting, made from a release that was out. */
static bool hosted_read(const char *at, struct version *version)
{
    uint32_t high = 0, low = 0;
    version->rank = 1;
    at = number_read(at, &high);
    if (!at || *at != '-' || !(at = number_read(at + 1, &low)) || *at != '\0' || high > 99999 ||
        low > 999)
        return false;
    version->suffix_number = high * 1000 + low;
    return true;
}

static bool suffix_read(const char *at, struct version *version)
{
    char mark = *at;
    const char *number = NULL;
    if (mark == '_' || mark == '-')
        at++;
    size_t len = strlen(at);
    if (len == 0 || len >= sizeof version->suffix)
        return false;
    for (size_t i = 0; i <= len; i++)
        version->suffix[i] = lower(at[i]);
    if (mark == '_') {
        version->rank = 1;
        number = number_read(version->suffix, &version->suffix_number);
        return number && *number == '\0';
    }
    if (mark != '-') {
        version->rank = 1;
        version->suffix_number = (uint32_t)(unsigned char)version->suffix[0];
        return len == 1 && is_letter(version->suffix[0]);
    }
    if (strncmp(version->suffix, "od-", 3) == 0)
        return hosted_read(version->suffix + 3, version);
    version->rank = -1;
    for (number = version->suffix; is_letter(*number);)
        number++;
    if (early_order(version->suffix) == 0)
        return false;
    if (*number == '\0')
        return true;
    number = number_read(number, &version->suffix_number);
    return number && *number == '\0';
}

bool version_parse(const char *text, struct version *ret)
{
    struct version version = { 0 };
    const char *at = text;
    while (version.count < VERSION_NUMBERS) {
        at = number_read(at, &version.numbers[version.count]);
        if (!at)
            return false;
        version.count++;
        if (*at != '.')
            break;
        at++;
    }
    if (version.count < 2 || (*at != '\0' && !suffix_read(at, &version)))
        return false;
    *ret = version;
    return true;
}

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The marks were never mixed within one release: which comes first is only that some one does. */
static int late_order(const char *suffix)
{
    if (!is_letter(suffix[0]))
        return 0;
    return suffix[1] == '\0' ? 1 : 2;
}

int version_compare(const struct version *a, const struct version *b)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < VERSION_NUMBERS; i++)
        order = order_of(a->numbers[i], b->numbers[i]);
    if (order == 0)
        order = order_of(a->rank, b->rank);
    if (order == 0 && a->rank < 0)
        order = order_of(early_order(a->suffix), early_order(b->suffix));
    if (order == 0 && a->rank > 0)
        order = order_of(late_order(a->suffix), late_order(b->suffix));
    return order != 0 ? order : order_of(a->suffix_number, b->suffix_number);
}

bool version_same_feature(const struct version *a, const struct version *b)
{
    return a->numbers[0] == b->numbers[0] && a->numbers[1] == b->numbers[1];
}

bool version_at_least(const struct version *version, uint32_t major, uint32_t minor)
{
    if (version->numbers[0] != major)
        return version->numbers[0] > major;
    return version->numbers[1] >= minor;
}
