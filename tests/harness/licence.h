/* licence - texts of version 2 made for tests, signed with a key that the test itself makes.
 *
 * Nothing that is shipped trusts such a key: tests hand it over as a parameter. */
#pragma once
#include "confleet/licence.h"
#include "confleet/str.h"
#include "harness/test.h"
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <zlib.h>

struct licence_maker {
    EVP_PKEY *key;
    char public_text[1024];
    const char *texts[1];
    struct licence_keys keys;
};

/* A new key pair with the numbers p, q and g of the vendor's, which are no secret. */
__attribute__((unused)) static void licence_maker_open(struct licence_maker *maker)
{
    uint8_t der[1024], *out = der;
    int len = EVP_DecodeBlock(der, (const uint8_t *)licence_keys_vendor.texts[0],
                              (int)strlen(licence_keys_vendor.texts[0]));
    const uint8_t *at = der;
    EVP_PKEY *like = d2i_PUBKEY(NULL, &at, len);
    CHECK(like != NULL);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(like, NULL);
    *maker = (struct licence_maker){ 0 };
    CHECK_INT(EVP_PKEY_keygen_init(ctx), 1);
    CHECK_INT(EVP_PKEY_keygen(ctx, &maker->key), 1);
    len = i2d_PUBKEY(maker->key, &out);
    CHECK(len > 0);
    (void)EVP_EncodeBlock((uint8_t *)maker->public_text, der, len);
    maker->texts[0] = maker->public_text;
    maker->keys = (struct licence_keys){ maker->texts, 1 };
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(like);
}

__attribute__((unused)) static void licence_maker_close(struct licence_maker *maker)
{
    EVP_PKEY_free(maker->key);
}

static inline void licence_maker_close_with(char *plain, size_t part, struct str *ret)
{
    static const char numerals[] = "0123456789abcdefghijklmnopqrstu";
    char number[16];
    size_t at = sizeof number - 1;
    number[at] = 0;
    for (size_t rest = part; rest > 0; rest /= 31)
        number[--at] = numerals[rest % 31];
    str_addf(ret, "%sX02%s", plain, number + at);
}

/* packed: the part that is signed. */
__attribute__((unused)) static void licence_wrap(const struct licence_maker *maker,
                                                 const uint8_t *packed, size_t len, struct str *ret)
{
    uint8_t signature[128];
    size_t signature_len = sizeof signature;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    CHECK_INT(EVP_DigestSignInit_ex(md, NULL, "SHA1", NULL, NULL, maker->key, NULL), 1);
    CHECK_INT(EVP_DigestSign(md, signature, &signature_len, packed, len), 1);
    EVP_MD_CTX_free(md);
    const uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                              (uint8_t)len };
    struct str whole = { 0 };
    str_add_bytes(&whole, head, 4);
    str_add_bytes(&whole, packed, len);
    str_add_bytes(&whole, signature, signature_len);
    char *plain = mem_zero(1, whole.len * 2 + 16);
    int part = EVP_EncodeBlock((uint8_t *)plain, (const uint8_t *)whole.s, (int)whole.len);
    licence_maker_close_with(plain, (size_t)part, ret);
    free(plain);
    str_free(&whole);
}

__attribute__((unused)) static void licence_make_bytes(const struct licence_maker *maker,
                                                       const char *text, size_t text_len,
                                                       struct str *ret)
{
    uLongf len = compressBound(text_len);
    uint8_t *packed = mem_zero(1, len + 5);
    memcpy(packed, (const uint8_t[]){ 13, 14, 12, 10, 15 }, 5);
    CHECK_INT(compress2(packed + 5, &len, (const uint8_t *)text, text_len, 9), Z_OK);
    licence_wrap(maker, packed, len + 5, ret);
    free(packed);
}

__attribute__((unused)) static void licence_make(const struct licence_maker *maker,
                                                 const char *properties, struct str *ret)
{
    licence_make_bytes(maker, properties, strlen(properties), ret);
}

#define LICENCE_GOOD                                                                               \
    "#Mon Jan 01 00:00:00 UTC 2024\nconf.active=true\nconf.DataCenter=true\n"                      \
    "conf.NumberOfUsers=500\nconf.LicenseTypeName=COMMERCIAL\nMaintenanceExpiryDate=2030-12-31\n"  \
    "LicenseExpiryDate=2030-12-31\nSubscription=true\nEvaluation=false\nSEN=SEN-1234567\n"         \
    "Organisation=Canary Organisation\nContactEMail=canary@example.org\nlicenseVersion=2\n"
