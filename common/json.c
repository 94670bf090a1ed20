#include "confleet/json.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Message types of this project are not recursive (a test of the repository says so); this is for a
 * mistake in that. */
#define DEPTH_MAX 16

void json_text(struct str *out, const char *text)
{
    /* A text that is no UTF-8 cannot be JSON; its bytes above ASCII are shown as marks, so that the
     * output stays valid. */
    bool valid = text_is_utf8(text, strlen(text));
    str_add(out, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == '"' || *s == '\\')
            str_addf(out, "\\%c", *s);
        else if (*s == '\n')
            str_add(out, "\\n");
        else if (*s == '\t')
            str_add(out, "\\t");
        else if (*s < 0x20 || *s == 0x7f)
            str_addf(out, "\\u%04x", *s);
        else if (*s >= 0x80 && !valid)
            str_add(out, "\\ufffd");
        else
            str_add_bytes(out, s, 1);
    }
    str_add(out, "\"");
}

static void name_add(struct str *out, const char *name)
{
    str_add(out, "\"");
    for (; *name; name++) {
        char c = *name;
        if (c == '_' && name[1] >= 'a' && name[1] <= 'z')
            c = (char)(*++name - 'a' + 'A');
        str_add_bytes(out, &c, 1);
    }
    str_add(out, "\":");
}

static void bytes_add(struct str *out, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "0123456789abcdef";
    str_add(out, "\"");
    for (size_t i = 0; i < bytes->len; i++) {
        str_add_bytes(out, &digits[bytes->data[i] >> 4], 1);
        str_add_bytes(out, &digits[bytes->data[i] & 15], 1);
    }
    str_add(out, "\"");
}

static void enum_add(struct str *out, const ProtobufCFieldDescriptor *field, int value)
{
    const ProtobufCEnumValue *known =
        protobuf_c_enum_descriptor_get_value(field->descriptor, value);
    if (known)
        json_text(out, known->name);
    else
        str_addf(out, "%d", value);
}

static void real_add(struct str *out, double value)
{
    if (isfinite(value))
        str_addf(out, "%.17g", value);
    else
        str_add(out, "null");
}

static void message_add(struct str *out, const ProtobufCMessage *message, bool full, int depth);

static void value_add(struct str *out, const ProtobufCFieldDescriptor *field, const void *at,
                      bool full, int depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        str_addf(out, "%" PRId32, *(const int32_t *)at);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        str_addf(out, "%" PRIu32, *(const uint32_t *)at);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        /* As text: a reader whose numbers are doubles would lose the low digits. */
        str_addf(out, "\"%" PRId64 "\"", *(const int64_t *)at);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        str_addf(out, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        real_add(out, (double)*(const float *)at);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        real_add(out, *(const double *)at);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        str_add(out, *(const protobuf_c_boolean *)at ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        enum_add(out, field, *(const int *)at);
        return;
    case PROTOBUF_C_TYPE_STRING:
        json_text(out, *(const char *const *)at ? *(const char *const *)at : "");
        return;
    case PROTOBUF_C_TYPE_BYTES:
        bytes_add(out, at);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        message_add(out, *(const ProtobufCMessage *const *)at, full, depth + 1);
        return;
    }
    str_add(out, "null");
}

static size_t value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

/* Whether a value is the one that proto3 does not even send. */
static bool value_is_empty(const ProtobufCFieldDescriptor *field, const void *at)
{
    static const unsigned char zero[8] = { 0 };
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return !*(const char *const *)at || !**(const char *const *)at;
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)at)->len == 0;
    return memcmp(at, zero, value_size(field->type)) == 0;
}

static void list_add(struct str *out, const ProtobufCFieldDescriptor *field, const char *items,
                     size_t count, bool full, int depth)
{
    str_add(out, "[");
    for (size_t i = 0; i < count; i++) {
        str_add(out, i > 0 ? "," : "");
        value_add(out, field, items + i * value_size(field->type), full, depth);
    }
    str_add(out, "]");
}

/* Whether the field is printed at all. A member of a oneof is when it is the chosen one, empty or
 * not. */
static bool field_is_shown(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           bool full)
{
    const char *base = (const char *)message;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return full || *(const size_t *)(const void *)(base + field->quantifier_offset) > 0;
    return full || !value_is_empty(field, base + field->offset);
}

static void message_add(struct str *out, const ProtobufCMessage *message, bool full, int depth)
{
    if (!message) {
        str_add(out, "null");
        return;
    }
    assert(depth < DEPTH_MAX);
    const char *base = (const char *)message;
    bool first = true;
    str_add(out, "{");
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const void *at = base + field->offset;
        if (!field_is_shown(message, field, full))
            continue;
        str_add(out, first ? "" : ",");
        first = false;
        name_add(out, field->name);
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            list_add(out, field, *(const char *const *)at,
                     *(const size_t *)(const void *)(base + field->quantifier_offset), full, depth);
        else
            value_add(out, field, at, full, depth);
    }
    str_add(out, "}");
}

void json_message(struct str *out, const ProtobufCMessage *message, bool full)
{
    message_add(out, message, full, 0);
}
