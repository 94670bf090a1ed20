/* wire_check - reads the bytes of a message against its descriptor before anything is decoded.
 *
 * The check runs over the bytes because a decoded message has already lost what must be refused: protobuf-c cuts a
 * string at an embedded NUL, merges a field that is given twice and keeps an unknown enum value. It is stricter than
 * the decoder in every point where both could read the same bytes differently (padded varints, wrong wire types, groups,
 * two members of a oneof), so what passes here is decoded as it was checked. Allocates nothing; depth is the schema's. */
#pragma once
#include "confleet/err.h"
#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#define WIRE_DEPTH_MAX 12            /* deeper than the schema; a test compares */
#define WIRE_FIELDS_MAX 64           /* fields of one message type; the same */

/* Limits of one field; wire_limits.c holds the table. */
struct wire_limit {
    const ProtobufCMessageDescriptor *message;   /* NULL: of any message */
    const char *field;
    uint32_t len_min, len_max;                   /* of text and bytes; an empty value passes unless needed */
    uint32_t count_max;                          /* of a repeated field; 0: the default */
    bool hex;                                    /* lower-case hex digits */
    bool word;                                   /* no control characters: it is printed in tables and made into keys */
    bool needed;                                 /* must be there */
};
/* Never NULL. */
const struct wire_limit *wire_limit_of(const ProtobufCMessageDescriptor *message, const ProtobufCFieldDescriptor *field);
uint32_t wire_limit_count(const struct wire_limit *limit);

/* FAIL_PROTOCOL for bytes that no peer of ours would send, FAIL_LIMIT when a named maximum is passed. */
int wire_check(const ProtobufCMessageDescriptor *message, const uint8_t *bytes, size_t len, struct err *err) MUST_USE;
