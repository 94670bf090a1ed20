/* trusted - operators with keys, their signatures, and the controller file that trusts them, for
 * tests. */
#pragma once
#include "agent/edge/trust.h"
#include "lab.h"

struct signers {
    struct keys keys[4];
    struct join controller;
};

UNUSED static void signers_make(struct signers *signers, size_t trusted)
{
    struct err err = { 0 };
    static const char *const names[] = { "ann", "bob", "eve", "cat" };
    *signers = (struct signers){ 0 };
    (void)snprintf(signers->controller.kind, sizeof signers->controller.kind, "agent");
    (void)snprintf(signers->controller.name, sizeof signers->controller.name, "server1");
    (void)snprintf(signers->controller.fleet, sizeof signers->controller.fleet, "fleet1");
    for (size_t i = 0; i < 4; i++) {
        CHECK_OK(keys_make(names[i], &signers->keys[i], &err), err);
        if (i >= trusted)
            continue;
        struct join_trust *trust = &signers->controller.trust[signers->controller.trust_count++];
        (void)snprintf(trust->name, sizeof trust->name, "%s", names[i]);
        (void)snprintf(trust->role, sizeof trust->role, "operator");
        memcpy(trust->sign_public, signers->keys[i].sign_public, KEY_SIZE);
    }
}

/* Trusts one more key, in a role of its own. */
UNUSED static void signer_trust(struct signers *signers, size_t who, const char *role)
{
    struct join_trust *trust = &signers->controller.trust[signers->controller.trust_count++];
    memcpy(trust->name, signers->keys[who].name, sizeof trust->name);
    (void)snprintf(trust->role, sizeof trust->role, "%s", role);
    memcpy(trust->sign_public, signers->keys[who].sign_public, KEY_SIZE);
}

/* A signed text that owns what it points to. */
struct signed_text {
    Confleet__SignedText text;
    Confleet__Signature signatures[4], *list[4];
    char ids[4][KEY_ID_MAX];
    uint8_t values[4][SIGN_SIZE];
};

UNUSED static void text_sign(struct signed_text *out, const struct signers *signers, unsigned who,
                             const char *context, const struct str *payload)
{
    struct err err = { 0 };
    confleet__signed_text__init(&out->text);
    out->text.payload.data = (uint8_t *)payload->s;
    out->text.payload.len = payload->len;
    out->text.signatures = out->list;
    for (unsigned i = 0; i < 4; i++) {
        if (!(who & (1U << i)))
            continue;
        size_t n = out->text.n_signatures++;
        confleet__signature__init(&out->signatures[n]);
        keys_id(signers->keys[i].sign_public, out->ids[n]);
        CHECK_OK(
            sign_make(&signers->keys[i], context, payload->s, payload->len, out->values[n], &err),
            err);
        out->signatures[n].key_id = out->ids[n];
        out->signatures[n].value.data = out->values[n];
        out->signatures[n].value.len = SIGN_SIZE;
        out->list[n] = &out->signatures[n];
    }
}

#define ANN 1U
#define BOB 2U
#define EVE 4U
#define CAT 8U
