#include "confleet/licence.h"
#include "confleet/cleanup.h"
#include "confleet/properties.h"
#include "confleet/str.h"
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <zlib.h>

#define SIGNATURE_MAX 128
#define MARK_SIZE     5

static const char vendor_key[] =
    "MIIBuDCCASwGByqGSM44BAEwggEfAoGBAP1/U4EddRIpUt9KnC7s5Of2EbdSPO9EAMMeP4C2USZpRV1AIlH7WT2NWPq/"
    "xfW6MPbLm1Vs14E7gB00b/JmYLdrmVClpJ+f6AR7ECLCT7up1/63xhv4O1fnxqimFQ8E+4P208UewwI1VBNaFpEy9nXz"
    "rith1yrv8iIDGZ3RSAHHAhUAl2BQjxUjC8yykrmCouuEC/BYHPUCgYEA9+GghdabPd7LvKtcNrhXuXmUr7v6OuqC+VdM"
    "Cz0HgmdRWVeOutRZT+ZxBxCBgLRJFnEj6EwoFhO3zwkyjMim4TwWeotUfI0o4KOuHiuzpnWRbqN/C/ohNWLx+2J6ASQ7"
    "zKTxvqhRkImog9/hWuWfBpKLZl6Ae1UlZAFMO/7PSSoDgYUAAoGBAIvfweZvmGo5otwawI3no7Udanxal3hX2haw962K"
    "L/nHQrnC4FG2PvUFf34OecSK1KtHDPQoSQ+DHrfdf6vKUJphw0Kn3gXm4LS8VK/LrY7on/wh2iUobS2XlhuIqEc5mLAU"
    "u9Hd+1qxsQkQ50d0lzKrnDqPsM0WA9htkdJJw2nS";
static const char *const vendor_keys[] = { vendor_key };
const struct licence_keys licence_keys_vendor = { vendor_keys, 1 };

CLEANUP_OF(pkey_drop, EVP_PKEY *, EVP_PKEY_free)
CLEANUP_OF(digest_drop, EVP_MD_CTX *, EVP_MD_CTX_free)

static void refuse(struct licence *licence, const char *why)
{
    licence->form = LICENCE_UNREADABLE;
    (void)snprintf(licence->why, sizeof licence->why, "%s", why);
}

/* Also the byte order mark that some editors put in front. */
void licence_strip(const char *text, size_t len, struct str *out)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)text[i]))
            str_add_bytes(out, &text[i], 1);
}

static int base64_value(int c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static bool base64_decode(const char *text, size_t len, struct str *out)
{
    if (len == 0 || len % 4 != 0)
        return false;
    size_t pad = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
    for (size_t at = 0; at < len; at += 4) {
        size_t skip = at + 4 == len ? pad : 0;
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i + skip >= 4 ? 0 : base64_value(text[at + i]);
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        const uint8_t bytes[3] = { (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits };
        str_add_bytes(out, bytes, 3 - skip);
    }
    return true;
}

static bool base31_parse(const char *text, size_t *ret)
{
    size_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        int digit = *text >= '0' && *text <= '9'   ? *text - '0'
                    : *text >= 'a' && *text <= 'u' ? *text - 'a' + 10
                                                   : -1;
        if (digit < 0 || value > LICENCE_TEXT_MAX)
            return false;
        value = value * 31 + (size_t)digit;
    }
    *ret = value;
    return true;
}

/* The length of the base64 part; zero with licence refused. */
static size_t split(const struct str *text, struct licence *licence)
{
    const char *mark = strrchr(text->s, 'X');
    size_t len = 0;
    if (!mark || strlen(mark) < 4 || !isdigit((unsigned char)mark[1]) ||
        !isdigit((unsigned char)mark[2])) {
        refuse(licence, "it does not end as texts of version 2 do (X02 and a length): it was cut "
                        "off, is of the old version 1, or is something else");
    } else if (strncmp(mark + 1, "02", 2) != 0) {
        refuse(licence, "it is of a newer form than version 2");
    } else if (!base31_parse(mark + 3, &len) || len != (size_t)(mark - text->s)) {
        refuse(licence,
               "its length is not the one that it names at its end: it was cut or changed");
    } else {
        return len;
    }
    return 0;
}

static bool inflate_text(const uint8_t *bytes, size_t len, struct str *out, struct licence *licence)
{
    z_stream stream = { .next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (uInt)len };
    uint8_t *buffer = mem_zero(1, LICENCE_INFLATED_MAX + 1);
    bool good = false;
    if (inflateInit(&stream) == Z_OK) {
        stream.next_out = buffer;
        stream.avail_out = LICENCE_INFLATED_MAX + 1;
        int result = inflate(&stream, Z_FINISH);
        good = result == Z_STREAM_END && stream.avail_out > 0;
        if (stream.avail_out == 0)
            refuse(licence, "it unpacks to more than a licence can hold");
        else if (!good)
            refuse(licence, "what is packed in it is damaged");
        if (good)
            str_add_bytes(out, buffer, LICENCE_INFLATED_MAX + 1 - stream.avail_out);
        if (inflateEnd(&stream) != Z_OK)
            good = false;
    } else {
        refuse(licence, "there was no memory to unpack it");
    }
    explicit_bzero(buffer, LICENCE_INFLATED_MAX + 1);
    free(buffer);
    return good;
}

static bool key_verifies(const char *key_text, const uint8_t *text, size_t len,
                         const uint8_t *signature, size_t signature_len, bool *ret_damaged)
{
    CLEANUP(str_free) struct str der = { 0 };
    if (!base64_decode(key_text, strlen(key_text), &der))
        return false;
    const uint8_t *at = (const uint8_t *)der.s;
    CLEANUP(pkey_drop) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);
    CLEANUP(digest_drop) EVP_MD_CTX *md = EVP_MD_CTX_new();
    /* The algorithm is the vendor's for this form, whatever kind of key is given. */
    if (!key || !md || EVP_PKEY_get_base_id(key) != EVP_PKEY_DSA ||
        EVP_DigestVerifyInit_ex(md, NULL, "SHA1", NULL, NULL, key, NULL) != 1)
        return false;
    int verified = EVP_DigestVerify(md, signature, signature_len, text, len);
    *ret_damaged = verified < 0;
    return verified == 1;
}

static enum licence_signature verify(const struct licence_keys *keys, const uint8_t *text,
                                     size_t len, const uint8_t *signature, size_t signature_len)
{
    bool damaged = false;
    for (size_t i = 0; i < keys->count; i++)
        if (key_verifies(keys->texts[i], text, len, signature, signature_len, &damaged))
            return LICENCE_VERIFIED;
    return damaged ? LICENCE_SIGNATURE_DAMAGED : LICENCE_UNVERIFIED;
}

/* ------------------------------------------------------------------ what it says */

/* Both forms of a name: that of Confluence counts first (facts 2.3). */
static const char *value_of(const struct properties *properties, const char *name)
{
    CLEANUP(free_mem) char *own = text_printf("conf.%s", name);
    const char *value = properties_get(properties, own);
    return value ? value : properties_get(properties, name);
}

static bool is_true(const char *value)
{
    return value && strcasecmp(value, "true") == 0;
}

static void read_count(const struct properties *properties, const char *name,
                       struct licence_count *ret)
{
    const char *value = value_of(properties, name);
    if (!value || !*value)
        ret->when = LICENCE_ABSENT;
    else if (strcmp(value, "-1") == 0 || strcasecmp(value, "unlimited") == 0)
        ret->when = LICENCE_UNLIMITED;
    else
        ret->when = text_parse_u64(value, UINT32_MAX, &ret->value) ? LICENCE_DAY : LICENCE_UNCLEAR;
}

/* Words of the vendor's lists are printed; free text could name a customer. */
static void copy_word(char *out, size_t size, const char *value, const char *allowed)
{
    if (!value || !*value)
        return;
    bool plain = strlen(value) < size && strspn(value, allowed) == strlen(value);
    (void)snprintf(out, size, "%s", plain ? value : "other");
}

static void read_products(const struct properties *properties, struct licence *licence)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    for (size_t i = 0; i < properties->count; i++) {
        const char *name = properties->items[i].name;
        size_t len = strlen(name);
        if (len < 8 || strcmp(name + len - 7, ".active") != 0 ||
            !is_true(properties->items[i].value) || strncmp(name, "conf.", 5) == 0)
            continue;
        licence->app = licence->app || strncmp(name, "plugins.", 8) == 0;
        if (!licence->product[0] && !strchr(name, '*') && strspn(name, lower) == len)
            (void)snprintf(licence->product, sizeof licence->product, "%.*s",
                           (int)strcspn(name, "."), name);
    }
}

static void read_properties(const struct properties *properties, struct licence *licence)
{
    const char *sen = properties_get(properties, "SEN");
    size_t sen_len = sen ? strlen(sen) : 0;
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_", id[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
                                                                      "0123456789";
    licence->host = is_true(properties_get(properties, "conf.active"));
    licence->data_center = is_true(value_of(properties, "DataCenter"));
    licence->evaluation = is_true(value_of(properties, "Evaluation"));
    licence->subscription = is_true(value_of(properties, "Subscription"));
    licence->starter = is_true(value_of(properties, "Starter"));
    licence->test = properties_get(properties, "***NOT-FOR-PRODUCTION-USE***") != NULL;
    copy_word(licence->type, sizeof licence->type, value_of(properties, "LicenseTypeName"), upper);
    copy_word(licence->server_id, sizeof licence->server_id, properties_get(properties, "ServerID"),
              id);
    /* Of a short number four characters would be the whole of it. */
    if (sen_len >= 8 && strspn(sen, id) == sen_len)
        (void)snprintf(licence->sen_tail, sizeof licence->sen_tail, "%s", sen + sen_len - 4);
    read_count(properties, "NumberOfUsers", &licence->users);
    read_count(properties, "NumberOfClusterNodes", &licence->nodes);
    licence_end_parse(value_of(properties, "CreationDate"), &licence->created);
    licence_end_parse(value_of(properties, "PurchaseDate"), &licence->purchased);
    licence_end_parse(value_of(properties, "MaintenanceExpiryDate"), &licence->maintenance);
    licence_end_parse(value_of(properties, "LicenseExpiryDate"), &licence->expiry);
    read_products(properties, licence);
}

static void decode_packed(const struct str *packed, const struct licence_keys *keys,
                          struct licence *licence)
{
    static const uint8_t mark[MARK_SIZE] = { 13, 14, 12, 10, 15 };
    const uint8_t *bytes = (const uint8_t *)packed->s;
    CLEANUP(str_wipe) struct str text = { 0 };
    CLEANUP(properties_free) struct properties properties = { 0 };
    size_t len = packed->len < 4 ? 0
                                 : (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 |
                                       (size_t)bytes[2] << 8 | bytes[3];
    if (len <= MARK_SIZE || len > packed->len - 4 || packed->len - 4 - len > SIGNATURE_MAX) {
        refuse(licence, "the parts in it do not have the lengths that it names");
        return;
    }
    if (memcmp(bytes + 4, mark, MARK_SIZE) != 0) {
        refuse(licence, "what is in it does not begin as a licence does");
        return;
    }
    if (!inflate_text(bytes + 4 + MARK_SIZE, len - MARK_SIZE, &text, licence))
        return;
    if (properties_parse(str_text(&text), text.len, PROPERTIES_LATIN1, &properties, NULL) != 0 ||
        properties.count == 0) {
        refuse(licence, "what is packed in it are no properties");
        return;
    }
    licence->form = LICENCE_VERSION_2;
    licence->signature = verify(keys, bytes + 4, len, bytes + 4 + len, packed->len - 4 - len);
    read_properties(&properties, licence);
}

void licence_decode(const char *text, size_t len, const struct licence_keys *keys,
                    struct licence *ret)
{
    CLEANUP(str_wipe) struct str plain = { 0 };
    CLEANUP(str_wipe) struct str packed = { 0 };
    *ret = (struct licence){ .form = LICENCE_NONE };
    if (len > LICENCE_TEXT_MAX) {
        refuse(ret, "it is longer than 64 KiB, which no licence is");
        return;
    }
    licence_strip(text, len, &plain);
    if (plain.len == 0)
        return;
    if (strlen(plain.s) != plain.len) {
        refuse(ret, "it holds zero bytes");
        return;
    }
    size_t part = split(&plain, ret);
    if (part == 0)
        return;
    if (!base64_decode(plain.s, part, &packed)) {
        refuse(ret, "a character in it is no base64: it was changed");
        return;
    }
    decode_packed(&packed, keys, ret);
}

bool licence_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    CLEANUP(str_wipe) struct str left = { 0 };
    CLEANUP(str_wipe) struct str right = { 0 };
    licence_strip(a, a_len, &left);
    licence_strip(b, b_len, &right);
    return left.len == right.len && memcmp(str_text(&left), str_text(&right), left.len) == 0;
}
