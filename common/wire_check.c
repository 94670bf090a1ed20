#include "wire_check.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <assert.h>
#include <string.h>

/* What is left to read of one message. */
struct cursor {
    const uint8_t *at, *end;
};

struct walk {
    const ProtobufCMessageDescriptor *message;
    uint32_t
        counts[WIRE_FIELDS_MAX]; /* how often each field was seen, by its place in the descriptor */
    int depth;
};

static int check_message(const ProtobufCMessageDescriptor *message, struct cursor bytes, int depth,
                         struct err *err);

/* A varint in its shortest form: two spellings of one number are two messages with one meaning. */
static int take_varint(struct cursor *in, uint64_t *ret_value, struct err *err)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (in->at == in->end)
            return err_set(err, FAIL_PROTOCOL, "the bytes end inside a number");
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            return err_set(err, FAIL_PROTOCOL, "a number has more than 64 bits");
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            return err_set(err, FAIL_PROTOCOL, "a number is padded");
        *ret_value = value;
        return 0;
    }
    return err_set(err, FAIL_PROTOCOL, "a number has more than ten bytes");
}

static int take_span(struct cursor *in, struct cursor *ret_span, struct err *err)
{
    uint64_t len = 0;
    int result = take_varint(in, &len, err);
    if (result < 0)
        return result;
    if (len > (uint64_t)(in->end - in->at))
        return err_set(err, FAIL_PROTOCOL, "a length of %llu bytes reaches past the end",
                       (unsigned long long)len);
    *ret_span = (struct cursor){ in->at, in->at + len };
    in->at += len;
    return 0;
}

static bool is_varint(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_ENUM || type == PROTOBUF_C_TYPE_BOOL ||
           type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_UINT32 ||
           type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_UINT64;
}

static int check_number(const ProtobufCFieldDescriptor *field, uint64_t value, struct err *err)
{
    /* Epochs, serials and sizes are kept as signed 64-bit numbers by every store. */
    if (field->type == PROTOBUF_C_TYPE_UINT64 && value > INT64_MAX)
        return err_set(err, FAIL_LIMIT, "the number is above 2^63-1");
    switch (field->type) {
    case PROTOBUF_C_TYPE_ENUM:
        if (value <= INT32_MAX &&
            protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value))
            return 0;
        return err_set(err, FAIL_PROTOCOL, "%llu is no known value", (unsigned long long)value);
    case PROTOBUF_C_TYPE_BOOL:
        if (value <= 1)
            return 0;
        return err_set(err, FAIL_PROTOCOL, "%llu is neither yes nor no", (unsigned long long)value);
    case PROTOBUF_C_TYPE_UINT32:
        if (value <= UINT32_MAX)
            return 0;
        return err_set(err, FAIL_PROTOCOL, "%llu does not fit 32 bits", (unsigned long long)value);
    case PROTOBUF_C_TYPE_INT32:
        /* Negative numbers are sign-extended to 64 bits on the wire. */
        if (value <= INT32_MAX || value >= (uint64_t)(int64_t)INT32_MIN)
            return 0;
        return err_set(err, FAIL_PROTOCOL, "%llu does not fit 32 bits", (unsigned long long)value);
    default:
        return 0;
    }
}

static int check_text(const struct wire_limit *limit, struct cursor text, struct err *err)
{
    size_t len = (size_t)(text.end - text.at);
    if (memchr(text.at, 0, len))
        return err_set(err, FAIL_PROTOCOL, "the text holds a zero byte");
    if (!text_is_utf8((const char *)text.at, len))
        return err_set(err, FAIL_PROTOCOL, "the text is no valid UTF-8");
    for (const uint8_t *at = text.at; at < text.end; at++) {
        if (limit->word && (*at < 0x20 || *at == 0x7f))
            return err_set(err, FAIL_PROTOCOL, "the name holds a control character");
        if (limit->hex && !((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f')))
            return err_set(err, FAIL_PROTOCOL, "the text is not made of lower-case hex digits");
    }
    return 0;
}

static int check_span(const struct walk *walk, const ProtobufCFieldDescriptor *field,
                      struct cursor span, struct err *err)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_message(field->descriptor, span, walk->depth + 1, err);
    const struct wire_limit *limit = wire_limit_of(walk->message, field);
    size_t len = (size_t)(span.end - span.at);
    if (len > limit->len_max)
        return err_set(err, FAIL_LIMIT, "%zu bytes, at most %u are allowed", len, limit->len_max);
    if (len < limit->len_min && (len > 0 || limit->needed))
        return err_set(err, FAIL_PROTOCOL, "%zu bytes, %u are needed", len, limit->len_min);
    return field->type == PROTOBUF_C_TYPE_STRING ? check_text(limit, span, err) : 0;
}

/* Repeated numbers come packed into one span, or one by one. */
static int check_packed(const ProtobufCFieldDescriptor *field, struct cursor span, uint32_t *count,
                        struct err *err)
{
    while (span.at < span.end) {
        uint64_t value = 0;
        int result = take_varint(&span, &value, err);
        if (result == 0)
            result = check_number(field, value, err);
        if (result < 0)
            return result;
        *count += 1;
    }
    return 0;
}

static int check_value(struct walk *walk, const ProtobufCFieldDescriptor *field, unsigned wire_type,
                       struct cursor *in, struct err *err)
{
    uint32_t *count = &walk->counts[field - walk->message->fields];
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    int result;
    if (wire_type == PROTOBUF_C_WIRE_TYPE_VARINT && is_varint(field->type)) {
        uint64_t value = 0;
        result = take_varint(in, &value, err);
        if (result == 0)
            result = check_number(field, value, err);
        *count += 1;
    } else if (wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
               (!is_varint(field->type) || repeated)) {
        struct cursor span = { NULL, NULL };
        result = take_span(in, &span, err);
        if (result < 0)
            return result;
        if (is_varint(field->type)) {
            result = check_packed(field, span, count, err);
        } else {
            result = check_span(walk, field, span, err);
            *count += 1;
        }
    } else {
        return err_set(err, FAIL_PROTOCOL, "wire type %u is not the field's", wire_type);
    }
    if (result < 0)
        return result;
    if (!repeated && *count > 1)
        return err_set(err, FAIL_PROTOCOL, "the field is given twice");
    if (repeated && *count > wire_limit_count(wire_limit_of(walk->message, field)))
        return err_set(err, FAIL_LIMIT, "more than %u entries",
                       wire_limit_count(wire_limit_of(walk->message, field)));
    return 0;
}

static int check_field(struct walk *walk, struct cursor *in, struct err *err)
{
    uint64_t tag = 0;
    int result = take_varint(in, &tag, err);
    if (result < 0)
        return result;
    const ProtobufCFieldDescriptor *field =
        tag >> 3 <= INT32_MAX
            ? protobuf_c_message_descriptor_get_field(walk->message, (unsigned)(tag >> 3))
            : NULL;
    if (!field)
        return err_set(err, FAIL_PROTOCOL, "%s has no field %llu", walk->message->short_name,
                       (unsigned long long)(tag >> 3));
    result = check_value(walk, field, (unsigned)(tag & 7), in, err);
    return result < 0 ? err_wrap(err, "%s", field->name) : 0;
}

/* What can be said only when all fields were seen: a oneof has exactly one member, nothing needed
 * is missing. */
static int check_whole(const struct walk *walk, struct err *err)
{
    bool has_oneof = false;
    uint32_t chosen = 0;
    for (unsigned i = 0; i < walk->message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &walk->message->fields[i];
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            has_oneof = true;
            chosen += walk->counts[i];
        } else if (walk->counts[i] == 0 &&
                   (field->type == PROTOBUF_C_TYPE_STRING ||
                    field->type == PROTOBUF_C_TYPE_BYTES) &&
                   wire_limit_of(walk->message, field)->needed) {
            return err_set(err, FAIL_PROTOCOL, "%s: is missing", field->name);
        }
    }
    if (has_oneof && chosen != 1)
        return err_set(err, FAIL_PROTOCOL, "%s says %s", walk->message->short_name,
                       chosen ? "two things at once" : "nothing");
    return 0;
}

static int check_message(const ProtobufCMessageDescriptor *message, struct cursor bytes, int depth,
                         struct err *err)
{
    assert(message->n_fields <= WIRE_FIELDS_MAX);
    if (depth > WIRE_DEPTH_MAX)
        return err_set(err, FAIL_LIMIT, "messages are nested deeper than %d", WIRE_DEPTH_MAX);
    struct walk walk = { .message = message, .depth = depth };
    while (bytes.at < bytes.end) {
        int result = check_field(&walk, &bytes, err);
        if (result < 0)
            return result;
    }
    return check_whole(&walk, err);
}

int wire_check(const ProtobufCMessageDescriptor *message, const uint8_t *bytes, size_t len,
               struct err *err)
{
    static const uint8_t nothing[1];
    assert(bytes || len == 0);
    const uint8_t *start = bytes ? bytes : nothing;
    return check_message(message, (struct cursor){ start, start + len }, 1, err);
}
