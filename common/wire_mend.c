#include "wire_mend.h"
#include "confleet/str.h"
#include "wire_check.h"
#include <assert.h>
#include <string.h>

#define DOTS       "..."
#define DOTS_LEAST 200 /* shorter text is cut without a sign: it is a name */

static void mend_bytes(char *text, size_t len, bool word)
{
    for (size_t at = 0; at < len;) {
        size_t width = 1;
        while (width <= 4 && !(at + width <= len && text_is_utf8(text + at, width)))
            width++;
        bool control = (unsigned char)text[at] < 0x20 || text[at] == 0x7f;
        if (width > 4 || (word && control)) {
            text[at] = '?';
            width = 1;
        }
        at += width;
    }
}

static void cut(char *text, size_t len_max)
{
    size_t end = len_max >= DOTS_LEAST ? len_max - strlen(DOTS) : len_max;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--; /* not in the middle of a character */
    if (len_max >= DOTS_LEAST)
        memcpy(text + end, DOTS, sizeof DOTS);
    else
        text[end] = '\0';
}

static void mend_text(const struct wire_limit *limit, char *text)
{
    if (!text || limit->hex)
        return;
    mend_bytes(text, strlen(text), limit->word);
    if (strlen(text) > limit->len_max)
        cut(text, limit->len_max);
}

static void mend_value(const ProtobufCMessageDescriptor *message,
                       const ProtobufCFieldDescriptor *field, void *value)
{
    if (field->type == PROTOBUF_C_TYPE_STRING)
        mend_text(wire_limit_of(message, field), *(char **)value);
    else if (field->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **)value)
        wire_mend(*(ProtobufCMessage **)value);
}

static void mend_list(const ProtobufCMessageDescriptor *message,
                      const ProtobufCFieldDescriptor *field, char *base)
{
    size_t *count = (size_t *)(void *)(base + field->quantifier_offset);
    size_t count_max = wire_limit_count(wire_limit_of(message, field));
    if (*count > count_max)
        *count = count_max; /* the list is the arena's: nothing is to be freed */
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return;
    void **values = *(void ***)(void *)(base + field->offset);
    for (size_t i = 0; i < *count; i++)
        mend_value(message, field, &values[i]);
}

void wire_mend(ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    char *base = (char *)message;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool chosen = !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
                      *(uint32_t *)(void *)(base + field->quantifier_offset) == field->id;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            mend_list(descriptor, field, base);
        else if (chosen)
            mend_value(descriptor, field, base + field->offset);
    }
}
