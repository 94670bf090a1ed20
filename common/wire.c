#include "confleet/wire.h"
#include "arena_inside.h"
#include "wire_check.h"
#include "wire_mend.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

#define PIPE_HEAD 4
#define MEND_MAX  67108864

static int decode(struct arena *arena, const ProtobufCMessageDescriptor *message, const void *bytes,
                  size_t len, ProtobufCMessage **ret, struct err *err)
{
    assert(arena);
    if (len > WIRE_FRAME_MAX)
        return err_set(err, FAIL_LIMIT, "%s: %zu bytes, at most %d are allowed",
                       message->short_name, len, WIRE_FRAME_MAX);
    if (wire_check(message, bytes, len, err) < 0)
        return err_wrap(err, "%s", message->short_name);
    ProtobufCMessage *decoded =
        protobuf_c_message_unpack(message, arena_allocator(arena), len, bytes);
    if (!decoded && arena_is_exhausted(arena))
        return err_set(err, FAIL_MEMORY,
                       "%s: decoding %zu bytes takes more memory than one message may use",
                       message->short_name, len);
    if (!decoded)
        return err_set(err, FAIL_PROTOCOL, "%s: the bytes cannot be decoded", message->short_name);
    *ret = decoded;
    return 0;
}

#define DECODER(name, type, descriptor)                                                            \
    int wire_decode_##name(struct arena *arena, const void *bytes, size_t len, type **ret,         \
                           struct err *err)                                                        \
    {                                                                                              \
        ProtobufCMessage *message = NULL;                                                          \
        int result = decode(arena, &descriptor, bytes, len, &message, err);                        \
        if (result == 0)                                                                           \
            *ret = (type *)message;                                                                \
        return result;                                                                             \
    }
DECODER(frame, Confleet__Frame, confleet__frame__descriptor)
DECODER(bulk, Confleet__BulkFrame, confleet__bulk_frame__descriptor)
DECODER(plan, Confleet__Plan, confleet__plan__descriptor)
DECODER(decision, Confleet__Decision, confleet__decision__descriptor)
DECODER(worker_order, Confleet__WorkerOrder, confleet__worker_order__descriptor)
DECODER(worker_reply, Confleet__WorkerReply, confleet__worker_reply__descriptor)
DECODER(event, Confleet__Event, confleet__event__descriptor)
DECODER(order, Confleet__Order, confleet__order__descriptor)
DECODER(order_check, Confleet__OrderCheck, confleet__order_check__descriptor)
DECODER(release, Confleet__Release, confleet__release__descriptor)
DECODER(survey, Confleet__Survey, confleet__survey__descriptor)

static void pack(const ProtobufCMessage *message, struct str *ret_bytes)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    CLEANUP(free_mem) uint8_t *packed = mem_zero(1, len + 1);
    size_t written = protobuf_c_message_pack(message, packed);
    assert(written == len);
    str_add_bytes(ret_bytes, packed, written);
    OPENSSL_cleanse(packed, len); /* a token may have been in it */
}

void wire_encode(const ProtobufCMessage *message, struct str *ret_bytes)
{
    size_t before = ret_bytes->len;
    pack(message, ret_bytes);
    const uint8_t *bytes =
        ret_bytes->s ? (const uint8_t *)ret_bytes->s + before : (const uint8_t *)"";
    if (wire_check(message->descriptor, bytes, ret_bytes->len - before, NULL) == 0)
        return;
    /* Rare, so it may cost a copy. One that does not fit is sent as it is: the receiver says why it
     * refuses. */
    CLEANUP(arena_free) struct arena *arena = arena_new(MEND_MAX);
    ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, arena_allocator(arena),
                                                       ret_bytes->len - before, bytes);
    if (!copy)
        return;
    wire_mend(copy);
    ret_bytes->len = before;
    pack(copy, ret_bytes);
}

void wire_pipe_add(struct str *buffer, const ProtobufCMessage *message)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(message, &bytes);
    size_t len = bytes.len;
    assert(len <= UINT32_MAX);
    uint8_t head[PIPE_HEAD] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                (uint8_t)len };
    str_add_bytes(buffer, head, sizeof head);
    str_add_bytes(buffer, str_text(&bytes), len);
}

int wire_pipe_take(const struct str *buffer, const uint8_t **ret_bytes, size_t *ret_len,
                   struct err *err)
{
    if (buffer->len < PIPE_HEAD)
        return 0;
    const uint8_t *head = (const uint8_t *)buffer->s;
    size_t len =
        (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | (size_t)head[3];
    if (len > WIRE_FRAME_MAX)
        return err_set(err, FAIL_LIMIT, "a message of %zu bytes on a pipe, at most %d are allowed",
                       len, WIRE_FRAME_MAX);
    if (buffer->len - PIPE_HEAD < len)
        return 0;
    *ret_bytes = head + PIPE_HEAD;
    *ret_len = len;
    return 1;
}

void wire_pipe_drop(struct str *buffer, size_t message_len)
{
    size_t whole = PIPE_HEAD + message_len;
    assert(whole <= buffer->len);
    memmove(buffer->s, buffer->s + whole, buffer->len - whole + 1); /* with the ending zero */
    buffer->len -= whole;
}
