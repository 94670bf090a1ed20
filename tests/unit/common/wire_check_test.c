#include "common/wire_check.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "harness/test.h"

/* Bytes of a message, built by hand so that forms which no encoder makes can be tried. */
static void put_varint(struct str *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        str_add_bytes(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_number(struct str *out, unsigned field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3);
    put_varint(out, value);
}

static void put_bytes(struct str *out, unsigned field, const void *bytes, size_t len)
{
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, len);
    str_add_bytes(out, bytes, len);
}

static void put_text(struct str *out, unsigned field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

static void check_refused(const ProtobufCMessageDescriptor *message, const struct str *bytes,
                          int code, const char *words)
{
    struct err err = { 0 };
    CHECK_INT(wire_check(message, (const uint8_t *)str_text(bytes), bytes->len, &err), -code);
    CHECK_HAS(err.text, words);
}

static void check_passes(const ProtobufCMessageDescriptor *message, const struct str *bytes)
{
    struct err err = { 0 };
    CHECK_OK(wire_check(message, (const uint8_t *)str_text(bytes), bytes->len, &err), err);
}

TEST(text_is_utf8_without_zero_bytes_and_within_its_limit)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    put_bytes(&bytes, 3, "a\0b", 3); /* Finding.title */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL,
                  "title: the text holds a zero byte");
    str_clear(&bytes);
    put_bytes(&bytes, 3, "a\0", 2);
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "zero byte");
    str_clear(&bytes);
    put_text(&bytes, 3, "caf\xe9");
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "no valid UTF-8");
    str_clear(&bytes);
    put_text(&bytes, 3, "café\tone\n");
    check_passes(&confleet__finding__descriptor, &bytes);
    char big[4097];
    memset(big, 'x', sizeof big);
    str_clear(&bytes);
    put_bytes(&bytes, 3, big, 4096);
    check_passes(&confleet__finding__descriptor, &bytes);
    str_clear(&bytes);
    put_bytes(&bytes, 3, big, 4097);
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_LIMIT, "4097 bytes, at most 4096");
}

TEST(names_are_short_and_hold_no_control_characters)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    put_text(&bytes, 1, "agent\033[2J");
    check_refused(&confleet__ask_name__descriptor, &bytes, FAIL_PROTOCOL,
                  "name: the name holds a control character");
    str_clear(&bytes);
    put_text(&bytes, 1, "12345678901234567890123456789012345678901234567890123456789012345");
    check_refused(&confleet__ask_name__descriptor, &bytes, FAIL_LIMIT, "at most 64");
}

TEST(digests_and_keys_have_their_size)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    put_text(&bytes, 4, "ab"); /* Release.artifact_sha256 */
    check_refused(&confleet__release__descriptor, &bytes, FAIL_PROTOCOL, "2 bytes, 64 are needed");
    str_clear(&bytes);
    put_text(&bytes, 4, "ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789");
    check_refused(&confleet__release__descriptor, &bytes, FAIL_PROTOCOL, "hex digits");
    str_clear(&bytes);
    put_text(&bytes, 4, "");
    check_passes(&confleet__release__descriptor, &bytes);
    str_clear(&bytes);
    put_text(&bytes, 1, "../../../../etc/passwd/../../../../etc/passwd/../../../../etc/pas");
    check_refused(&confleet__bulk_get__descriptor, &bytes, FAIL_LIMIT, "sha256");
    str_clear(&bytes);
    put_text(&bytes, 1, "../../../../etc/passwd/../../../../etc/passwd/../../../../etc/pa");
    check_refused(&confleet__bulk_get__descriptor, &bytes, FAIL_PROTOCOL,
                  "sha256: the text is not made of");
    str_clear(&bytes);
    check_refused(&confleet__bulk_get__descriptor, &bytes, FAIL_PROTOCOL, "sha256: is missing");
    put_text(&bytes, 2, "0123456789012345678901234567890"); /* 31 of 32 */
    check_refused(&confleet__enrol__descriptor, &bytes, FAIL_PROTOCOL,
                  "curve_public: 31 bytes, 32 are needed");
    str_clear(&bytes);
    put_text(&bytes, 2, "");
    check_refused(&confleet__enrol__descriptor, &bytes, FAIL_PROTOCOL,
                  "curve_public: 0 bytes, 32 are needed");
}

TEST(numbers_are_known_fit_their_type_and_have_one_spelling)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    put_number(&bytes, 2, 6); /* Finding.severity */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL,
                  "severity: 6 is no known value");
    str_clear(&bytes);
    put_number(&bytes, 2, UINT64_C(0x100000001)); /* one, if cut to 32 bits */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "no known value");
    str_clear(&bytes);
    put_number(&bytes, 2, 5);
    check_passes(&confleet__finding__descriptor, &bytes);
    str_clear(&bytes);
    put_number(&bytes, 5, UINT64_C(0x100000000)); /* Installation.app_build */
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL,
                  "does not fit 32 bits");
    str_clear(&bytes);
    put_number(&bytes, 9, (uint64_t)-1); /* Installation.pid */
    check_passes(&confleet__installation__descriptor, &bytes);
    str_clear(&bytes);
    put_number(&bytes, 9, UINT32_MAX);
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL,
                  "does not fit 32 bits");
    str_clear(&bytes);
    put_number(&bytes, 16, 2); /* Installation.installer_made */
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL, "neither yes nor no");
    str_clear(&bytes);
    put_number(&bytes, 5, UINT64_C(0x8000000000000000)); /* Plan.serial: stores keep it signed */
    check_refused(&confleet__plan__descriptor, &bytes, FAIL_LIMIT, "above 2^63-1");
    str_clear(&bytes);
    str_add_bytes(&bytes, "\x28\x81\x00", 3); /* 1, padded */
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL, "padded");
    str_clear(&bytes);
    str_add_bytes(&bytes, "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11);
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL, "more than 64 bits");
    str_clear(&bytes);
    str_add_bytes(&bytes, "\x28\xff", 2);
    check_refused(&confleet__installation__descriptor, &bytes, FAIL_PROTOCOL,
                  "end inside a number");
}

TEST(fields_are_known_of_their_wire_type_and_given_once)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    put_number(&bytes, 99, 1);
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "Finding has no field 99");
    str_clear(&bytes);
    put_number(&bytes, 0, 1);
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "no field 0");
    str_clear(&bytes);
    put_varint(&bytes, UINT64_MAX);
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "no field");
    str_clear(&bytes);
    put_number(&bytes, 1, 1); /* Finding.id is text */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "wire type 0");
    str_clear(&bytes);
    put_text(&bytes, 2, "x"); /* Finding.severity is a number */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "wire type 2");
    str_clear(&bytes);
    put_varint(&bytes, 1 << 3 | 3); /* a group */
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "wire type 3");
    str_clear(&bytes);
    put_text(&bytes, 1, "a");
    put_text(&bytes, 1, "b");
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL,
                  "id: the field is given twice");
    str_clear(&bytes);
    put_varint(&bytes, 1 << 3 | 2);
    put_varint(&bytes, 4);
    str_add(&bytes, "abc");
    check_refused(&confleet__finding__descriptor, &bytes, FAIL_PROTOCOL, "reaches past the end");
}

TEST(a_frame_says_exactly_one_thing)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    check_refused(&confleet__frame__descriptor, &bytes, FAIL_PROTOCOL, "Frame says nothing");
    put_text(&bytes, 4, ""); /* heartbeat */
    check_passes(&confleet__frame__descriptor, &bytes);
    put_text(&bytes, 1, ""); /* hello */
    check_refused(&confleet__frame__descriptor, &bytes, FAIL_PROTOCOL, "two things at once");
    str_clear(&bytes);
    put_text(&bytes, 4, "");
    put_text(&bytes, 4, "");
    check_refused(&confleet__frame__descriptor, &bytes, FAIL_PROTOCOL, "given twice");
}

TEST(repeated_fields_are_counted_packed_or_not)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    for (int i = 0; i < 17; i++)
        put_text(&bytes, 2, ""); /* SignedText.signatures */
    check_refused(&confleet__signed_text__descriptor, &bytes, FAIL_PROTOCOL,
                  "signatures: key_id: is missing");
    str_clear(&bytes);
    for (int i = 0; i < 65; i++)
        put_text(&bytes, 2, ""); /* AskSiteSet.labels */
    check_refused(&confleet__ask_site_set__descriptor, &bytes, FAIL_LIMIT,
                  "labels: more than 64 entries");
    uint8_t batch[65] = { 0 };
    str_clear(&bytes);
    put_bytes(&bytes, 3, batch, 64); /* PlanStage.batch, packed */
    check_passes(&confleet__plan_stage__descriptor, &bytes);
    put_number(&bytes, 3, 1); /* and one more */
    check_refused(&confleet__plan_stage__descriptor, &bytes, FAIL_LIMIT,
                  "batch: more than 64 entries");
    str_clear(&bytes);
    put_bytes(&bytes, 3, batch, 65);
    check_refused(&confleet__plan_stage__descriptor, &bytes, FAIL_LIMIT,
                  "batch: more than 64 entries");
    str_clear(&bytes);
    put_bytes(&bytes, 3, "\x01\xff", 2);
    check_refused(&confleet__plan_stage__descriptor, &bytes, FAIL_PROTOCOL,
                  "batch: the bytes end inside a number");
}

/* The walker and the arena rest on these; a change of the .proto that breaks one is told here. */
static void check_schema(const ProtobufCMessageDescriptor *message, int depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX); /* fails for a message that contains itself, too */
    CHECK(message->n_fields <= WIRE_FIELDS_MAX);
    uint32_t oneof = 0;
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        bool known =
            field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
            field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_ENUM ||
            field->type == PROTOBUF_C_TYPE_BOOL || field->type == PROTOBUF_C_TYPE_INT32 ||
            field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_INT64 ||
            field->type == PROTOBUF_C_TYPE_UINT64;
        if (!known)
            print_error("%s.%s has a type that wire_check() does not know\n", message->name,
                        field->name);
        CHECK(known);
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            CHECK(oneof == 0 || oneof == field->quantifier_offset);
            oneof = field->quantifier_offset;
        }
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            check_schema(field->descriptor, depth + 1);
    }
}

TEST(no_message_contains_itself_and_all_types_are_checked)
{
    check_schema(&confleet__frame__descriptor, 1);
    check_schema(&confleet__bulk_frame__descriptor, 1);
    check_schema(&confleet__plan__descriptor, 1);
    check_schema(&confleet__decision__descriptor, 1);
    check_schema(&confleet__worker_order__descriptor, 1);
    check_schema(&confleet__worker_reply__descriptor, 1);
}
