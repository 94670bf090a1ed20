/* wire - bytes to messages and back: size cap, bounded arena, one check after each decode.
 *
 * Nothing else in the project calls a protobuf-c unpack function. A decoded message lives in its arena and dies with
 * it. wire_decode_*() have checked: every string is valid UTF-8 without NUL and within its limit, every enum is known,
 * every repeated field is within its limit, fixed-size bytes have their size, no unknown fields. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

#define CONFLEET_PROTOCOL 1
#define WIRE_FRAME_MAX 524288                 /* one frame of control or bulk socket, one message on a pipe */
#define WIRE_ARENA_MAX 8388608                /* what decoding one frame may use */
#define WIRE_SITES_MAX 4096                   /* that one message names: a plan, a question; so a controller has no more */
#define WIRE_CHUNK_MAX 262144                 /* data of one BulkChunk */

struct arena;                                 /* memory of one message */
struct arena *arena_new(size_t size_max);
void arena_free(struct arena **arena);
ProtobufCAllocator *arena_allocator(struct arena *arena);   /* zeroed memory; NULL when the budget is used up */
void *arena_alloc(struct arena *arena, size_t size);        /* the same budget */

int wire_decode_frame(struct arena *arena, const void *bytes, size_t len, Confleet__Frame **ret, struct err *err) MUST_USE;
int wire_decode_bulk(struct arena *arena, const void *bytes, size_t len, Confleet__BulkFrame **ret, struct err *err) MUST_USE;
int wire_decode_plan(struct arena *arena, const void *bytes, size_t len, Confleet__Plan **ret, struct err *err) MUST_USE;
int wire_decode_decision(struct arena *arena, const void *bytes, size_t len, Confleet__Decision **ret, struct err *err) MUST_USE;
int wire_decode_worker_order(struct arena *arena, const void *bytes, size_t len, Confleet__WorkerOrder **ret, struct err *err) MUST_USE;
int wire_decode_worker_reply(struct arena *arena, const void *bytes, size_t len, Confleet__WorkerReply **ret, struct err *err) MUST_USE;
int wire_decode_event(struct arena *arena, const void *bytes, size_t len, Confleet__Event **ret, struct err *err) MUST_USE;       /* from our own stores */
int wire_decode_order(struct arena *arena, const void *bytes, size_t len, Confleet__Order **ret, struct err *err) MUST_USE;       /* from our own stores */
/* From our own memory and stores. */
int wire_decode_order_check(struct arena *arena, const void *bytes, size_t len, Confleet__OrderCheck **ret, struct err *err) MUST_USE;
int wire_decode_release(struct arena *arena, const void *bytes, size_t len, Confleet__Release **ret, struct err *err) MUST_USE;
int wire_decode_survey(struct arena *arena, const void *bytes, size_t len, Confleet__Survey **ret, struct err *err) MUST_USE;     /* from our own stores */

/* Appends the message's bytes. Text and lists that the receiver's check would refuse are mended on the way (common/wire_mend.h):
 * invalid UTF-8 becomes '?', what is too long is cut. So a file name or a program's output may go into a message as it is. */
void wire_encode(const ProtobufCMessage *message, struct str *ret_bytes);

/* Pipes: 4 bytes big-endian length, then the message. wire_pipe_take() takes one whole message off the front of *buffer:
 * 1 and its bytes (borrowed until the next call; consume with wire_pipe_drop), 0 when more is needed, -FAIL_LIMIT. */
void wire_pipe_add(struct str *buffer, const ProtobufCMessage *message);
int wire_pipe_take(const struct str *buffer, const uint8_t **ret_bytes, size_t *ret_len, struct err *err) MUST_USE;
void wire_pipe_drop(struct str *buffer, size_t message_len);
