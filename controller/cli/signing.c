#include "controller/cli/signing.h"
#include "confleet/hash.h"
#include "confleet/wire.h"

int signed_make(const struct keys *keys, const char *context, const ProtobufCMessage *message,
                struct signed_bytes *ret, struct err *err)
{
    wire_encode(message, &ret->payload);
    int result = sign_make(keys, context, ret->payload.s, ret->payload.len, ret->value, err);
    if (result != 0)
        return result;
    hash_bytes_hex(ret->payload.s, ret->payload.len, ret->sha256);
    keys_id(keys->sign_public, ret->key_id);
    confleet__signature__init(&ret->signature);
    ret->signature.key_id = ret->key_id;
    ret->signature.value = (ProtobufCBinaryData){ sizeof ret->value, ret->value };
    ret->list[0] = &ret->signature;
    confleet__signed_text__init(&ret->text);
    ret->text.payload = (ProtobufCBinaryData){ ret->payload.len, (uint8_t *)ret->payload.s };
    ret->text.n_signatures = 1;
    ret->text.signatures = ret->list;
    return 0;
}

void signed_free(struct signed_bytes *bytes)
{
    str_free(&bytes->payload);
}
