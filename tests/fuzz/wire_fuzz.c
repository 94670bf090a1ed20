/* Every decoder of what crosses a socket or a pipe: the first byte chooses one, the rest is the
 * message. What is accepted must come back the same after it was encoded: the check and the decoder
 * have then read the same thing. */
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int decode_fn(struct arena *arena, const void *bytes, size_t len, ProtobufCMessage **ret,
                      struct err *err);

#define DECODER(name, type)                                                                        \
    static int decode_##name(struct arena *arena, const void *bytes, size_t len,                   \
                             ProtobufCMessage **ret, struct err *err)                              \
    {                                                                                              \
        type *message = NULL;                                                                      \
        int result = wire_decode_##name(arena, bytes, len, &message, err);                         \
        *ret = (ProtobufCMessage *)message;                                                        \
        return result;                                                                             \
    }
DECODER(frame, Confleet__Frame)
DECODER(bulk, Confleet__BulkFrame)
DECODER(plan, Confleet__Plan)
DECODER(decision, Confleet__Decision)
DECODER(worker_order, Confleet__WorkerOrder)
DECODER(worker_reply, Confleet__WorkerReply)
DECODER(event, Confleet__Event)
DECODER(order, Confleet__Order)
DECODER(survey, Confleet__Survey)

static decode_fn *const decoders[] = { decode_frame,    decode_bulk,         decode_plan,
                                       decode_decision, decode_worker_order, decode_worker_reply,
                                       decode_event,    decode_order,        decode_survey };
#define DECODERS (sizeof decoders / sizeof decoders[0])

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &confleet__frame__descriptor,        &confleet__bulk_frame__descriptor,
    &confleet__plan__descriptor,         &confleet__decision__descriptor,
    &confleet__worker_order__descriptor, &confleet__worker_reply__descriptor,
    &confleet__event__descriptor,        &confleet__order__descriptor,
    &confleet__survey__descriptor
};

/* A message of ours with anything in it, as a sender would make it from file names and output:
 * encoding it mends what can be mended, and once mended it stays as it is. */
static void check_mend(unsigned kind, struct arena *arena, const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *second = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str once = { 0 };
    CLEANUP(str_free) struct str twice = { 0 };
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptors[kind], arena_allocator(arena), size, data);
    if (!message)
        return;
    wire_encode(message, &once);
    ProtobufCMessage *again = NULL;
    if (decoders[kind](second, once.s ? once.s : "", once.len, &again, NULL) < 0)
        return;
    wire_encode(again, &twice);
    if (once.len < twice.len)
        abort();
}

static void check_pipe(const uint8_t *data, size_t size)
{
    CLEANUP(str_free) struct str buffer = { 0 };
    const uint8_t *bytes = NULL;
    size_t len = 0;
    str_add_bytes(&buffer, data, size);
    while (wire_pipe_take(&buffer, &bytes, &len, NULL) == 1) {
        if (bytes != (const uint8_t *)buffer.s + 4 || len > buffer.len - 4)
            abort();
        wire_pipe_drop(&buffer, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned kind = data[0] % (DECODERS + 1);
    data++, size--;
    if (kind == DECODERS) {
        check_pipe(data, size);
        return 0;
    }
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(arena_free) struct arena *second = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str once = { 0 };
    CLEANUP(str_free) struct str twice = { 0 };
    struct err err = { 0 };
    ProtobufCMessage *message = NULL, *again = NULL;
    int result = decoders[kind](arena, data, size, &message, &err);
    if (result < 0) {
        if (message || err.code != -result || !err.text[0])
            abort();
        check_mend(kind, arena, data, size);
        return 0;
    }
    wire_encode(message, &once);
    if (decoders[kind](second, once.s ? once.s : "", once.len, &again, &err) < 0)
        abort();
    wire_encode(again, &twice);
    if (once.len != twice.len || memcmp(str_text(&once), str_text(&twice), once.len) != 0)
        abort();
    return 0;
}
