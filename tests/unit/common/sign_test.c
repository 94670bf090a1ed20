#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "harness/test.h"

static void setup(struct keys *keys, uint8_t signature[SIGN_SIZE])
{
    struct err err = { 0 };
    CHECK_OK(keys_make("ada", keys, &err), err);
    CHECK_OK(sign_make(keys, SIGN_CONTEXT_PLAN, "the plan", 8, signature, &err), err);
    CHECK_OK(
        sign_check(keys->sign_public, SIGN_CONTEXT_PLAN, "the plan", 8, signature, SIGN_SIZE, &err),
        err);
}

static void check_refused(const uint8_t *key, const char *context, const char *text,
                          const uint8_t *signature, size_t len)
{
    struct err err = { 0 };
    CHECK_INT(sign_check(key, context, text, strlen(text), signature, len, &err), -FAIL_SIGNATURE);
}

TEST(a_signature_holds_for_one_key_one_context_and_the_exact_bytes)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(keys_wipe) struct keys other = { 0 };
    uint8_t signature[SIGN_SIZE], of_other[SIGN_SIZE];
    setup(&keys, signature);
    setup(&other, of_other);
    check_refused(other.sign_public, SIGN_CONTEXT_PLAN, "the plan", signature, SIGN_SIZE);
    check_refused(keys.sign_public, SIGN_CONTEXT_DECISION, "the plan", signature, SIGN_SIZE);
    check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the plan ", signature, SIGN_SIZE);
    check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the Plan", signature, SIGN_SIZE);
    check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "", signature, SIGN_SIZE);
}

TEST(every_flipped_bit_and_every_wrong_length_of_a_signature_is_refused)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    uint8_t signature[SIGN_SIZE + 1] = { 0 };
    setup(&keys, signature);
    for (size_t bit = 0; bit < SIGN_SIZE * 8; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the plan", signature, SIGN_SIZE);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len <= SIGN_SIZE + 1; len++)
        if (len != SIGN_SIZE)
            check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the plan", signature, len);
    check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the plan", NULL, 0);
    uint8_t garbage[SIGN_SIZE];
    for (int i = 0; i < 50; i++) {
        random_bytes(garbage, sizeof garbage);
        check_refused(keys.sign_public, SIGN_CONTEXT_PLAN, "the plan", garbage, SIGN_SIZE);
    }
}

TEST(keys_that_are_no_points_of_the_curve_never_verify)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    uint8_t signature[SIGN_SIZE];
    setup(&keys, signature);
    for (int byte = 0; byte < 256; byte++) {
        uint8_t key[KEY_SIZE];
        memset(key, byte, sizeof key);
        check_refused(key, SIGN_CONTEXT_PLAN, "the plan", signature, SIGN_SIZE);
    }
}

TEST(an_empty_payload_can_be_signed)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    uint8_t signature[SIGN_SIZE];
    struct err err = { 0 };
    CHECK_OK(keys_make("ada", &keys, &err), err);
    CHECK_OK(sign_make(&keys, SIGN_CONTEXT_DECISION, NULL, 0, signature, &err), err);
    CHECK_OK(
        sign_check(keys.sign_public, SIGN_CONTEXT_DECISION, NULL, 0, signature, SIGN_SIZE, &err),
        err);
}
