/* keys - long-lived secrets on disk and what they are for: a CURVE pair to be recognised, an Ed25519 pair to sign.
 *
 * A key file is text, 0600, written atomically: "confleet-key-v1", name, curve-public, curve-secret, sign-public,
 * sign-secret, all hex. Secrets are wiped when freed and never printed. CURVE keys are libsodium's, Ed25519 OpenSSL's. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

#define KEY_SIZE 32
#define KEY_ID_MAX 17                /* 16 hex digits: start of SHA-256 of the raw public signing key */
#define FINGERPRINT_MAX 64           /* "SHA256:" and groups of 4 hex digits of the public CURVE key's SHA-256, first 16 bytes */

struct keys {
    char name[64];
    uint8_t curve_public[KEY_SIZE], curve_secret[KEY_SIZE];
    uint8_t sign_public[KEY_SIZE], sign_secret[KEY_SIZE];
};

int keys_make(const char *name, struct keys *ret, struct err *err) MUST_USE;
int keys_load(const char *path, struct keys *ret, struct err *err) MUST_USE;     /* refuses a file that others can read */
int keys_save(const char *path, const struct keys *keys, struct err *err) MUST_USE;   /* refuses to replace */
void keys_wipe(struct keys *keys);                                               /* fits CLEANUP() */
int keys_curve_from_secret(const uint8_t secret[KEY_SIZE], uint8_t ret_public[KEY_SIZE], struct err *err) MUST_USE;
void keys_fingerprint(const uint8_t curve_public[KEY_SIZE], char out[FINGERPRINT_MAX]);
void keys_id(const uint8_t sign_public[KEY_SIZE], char out[KEY_ID_MAX]);

/* Signatures over exact bytes. What is signed: context, a zero byte, SHA-256 of payload. */
#define SIGN_SIZE 64
#define SIGN_CONTEXT_PLAN "confleet-plan-v1"
#define SIGN_CONTEXT_DECISION "confleet-decision-v1"
int sign_make(const struct keys *keys, const char *context, const void *payload, size_t len, uint8_t out[SIGN_SIZE], struct err *err) MUST_USE;
int sign_check(const uint8_t sign_public[KEY_SIZE], const char *context, const void *payload, size_t len,
               const uint8_t *signature, size_t signature_len, struct err *err) MUST_USE;   /* FAIL_SIGNATURE unless valid */

/* A join file carries what one new agent or operator needs, from the operator who made the token to the new machine:
 * text, 0600: "confleet-join-v1", kind (agent|operator), name, control and bulk endpoints, controller-key (hex, pinned),
 * fleet, token (hex), expires, and one line "trust NAME ROLE HEX" for each operator key that may sign plans. */
struct join_trust { char name[64]; char role[16]; uint8_t sign_public[KEY_SIZE]; };
#define JOIN_TRUST_MAX 64
struct join {
    char kind[16], name[64], fleet[64];
    char control[256], bulk[256];
    uint8_t controller_key[KEY_SIZE], token[KEY_SIZE];
    int64_t expires_ms;
    struct join_trust trust[JOIN_TRUST_MAX];
    size_t trust_count;
};
int join_load(const char *path, struct join *ret, struct err *err) MUST_USE;     /* with a token in it: refused when others can read it */
int join_parse(const char *name, const char *text, size_t len, struct join *ret, struct err *err) MUST_USE;   /* errors as NAME:LINE: text */
int join_save(const char *path, const struct join *join, struct err *err) MUST_USE;
/* The same form, token left out, is kept by an enrolled machine as its "controller" file: whom to call and whom to trust. */
