#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

CLEANUP_OF(pkey_drop, EVP_PKEY *, EVP_PKEY_free)
CLEANUP_OF(digest_drop, EVP_MD_CTX *, EVP_MD_CTX_free)

/* Ed25519 in OpenSSL takes its text at once, so the payload enters as its digest. The zero byte
 * ends the context: no context can be continued into another one. */
static void signed_text(const char *context, const void *payload, size_t len, struct str *ret)
{
    uint8_t digest[HASH_SIZE];
    hash_bytes(payload, len, digest);
    str_add_bytes(ret, context, strlen(context) + 1);
    str_add_bytes(ret, digest, sizeof digest);
}

int sign_make(const struct keys *keys, const char *context, const void *payload, size_t len,
              uint8_t out[SIGN_SIZE], struct err *err)
{
    assert(keys && context && *context);
    assert(payload || len == 0);
    CLEANUP(str_free) struct str text = { 0 };
    signed_text(context, payload ? payload : "", len, &text);
    CLEANUP(pkey_drop)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, keys->sign_secret, KEY_SIZE);
    CLEANUP(digest_drop) EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t signature[SIGN_SIZE];
    size_t signature_len = sizeof signature;
    if (!key || !md || EVP_DigestSignInit(md, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(md, signature, &signature_len, (const uint8_t *)text.s, text.len) != 1 ||
        signature_len != SIGN_SIZE)
        return err_set(err, FAIL_INTERNAL, "OpenSSL made no signature with the key of %s",
                       keys->name);
    memcpy(out, signature, SIGN_SIZE);
    return 0;
}

int sign_check(const uint8_t sign_public[KEY_SIZE], const char *context, const void *payload,
               size_t len, const uint8_t *signature, size_t signature_len, struct err *err)
{
    assert(sign_public && context && *context);
    assert(payload || len == 0);
    if (!signature || signature_len != SIGN_SIZE)
        return err_set(err, FAIL_SIGNATURE, "the signature has %zu bytes instead of %d",
                       signature ? signature_len : 0, SIGN_SIZE);
    CLEANUP(str_free) struct str text = { 0 };
    signed_text(context, payload ? payload : "", len, &text);
    char id[KEY_ID_MAX];
    keys_id(sign_public, id);
    CLEANUP(pkey_drop)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, sign_public, KEY_SIZE);
    CLEANUP(digest_drop) EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!key || !md || EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) != 1)
        return err_set(err, FAIL_SIGNATURE, "key %s cannot be used to check a signature", id);
    /* Garbage may be answered with a negative number, which is true in C: only one is valid. */
    if (EVP_DigestVerify(md, signature, signature_len, (const uint8_t *)text.s, text.len) != 1)
        return err_set(err, FAIL_SIGNATURE, "the signature is not by key %s over these bytes", id);
    return 0;
}
