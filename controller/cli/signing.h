/* signing - a plan or decision becomes exact bytes, their digest and this operator's signature over
 * them. */
#pragma once
#include "confleet/keys.h"
#include "confleet.pb-c.h"

struct signed_bytes {
    struct str payload;
    char sha256[65], key_id[KEY_ID_MAX];
    uint8_t value[SIGN_SIZE];
    Confleet__Signature signature, *list[1];
    Confleet__SignedText text; /* ready to be sent; points into this struct, which must not move */
};
int signed_make(const struct keys *keys, const char *context, const ProtobufCMessage *message,
                struct signed_bytes *ret, struct err *err) MUST_USE;
void signed_free(struct signed_bytes *bytes);
