#include "wire_check.h"
#include "confleet/wire.h"
#include <string.h>

#define COUNT_DEFAULT 1024
#define COUNT_VIEW    4096 /* lists that grow with the fleet */
#define NAME_LEN      64
#define ID_LEN        300 /* an installation's id holds the base name of a folder */

#define OF(message) confleet__##message##__descriptor
#define SHA .len_min = 64, .len_max = 64, .hex = true
#define WORD(max) .len_max = (max), .word = true
#define EXACT(size) .len_min = (size), .len_max = (size)

/* Rows of one message come before the rows of any. */
/* clang-format off */
static const struct wire_limit limits[] = {
    { .message = &OF(enrol), .field = "curve_public", EXACT(32), .needed = true },
    { .message = &OF(signature), .field = "value", EXACT(64), .needed = true },
    { .message = &OF(signature), .field = "key_id", EXACT(16), .hex = true, .needed = true },
    { .message = &OF(signed_text), .field = "payload", .len_max = WIRE_FRAME_MAX, .needed = true },
    { .message = &OF(store_head), .field = "hash", SHA, .needed = true },
    { .message = &OF(welcome), .field = "seen_hash", SHA },
    { .message = &OF(bulk_get), .field = "sha256", SHA, .needed = true },
    { .message = &OF(bulk_chunk), .field = "sha256", SHA, .needed = true },
    { .message = &OF(bulk_chunk), .field = "data", .len_min = 1, .len_max = WIRE_CHUNK_MAX,
      .needed = true },
    { .message = &OF(bulk_chunk), .field = "check", EXACT(32), .needed = true },
    { .message = &OF(bulk_put), .field = "sha256", SHA, .needed = true },
    { .message = &OF(bulk_put), .field = "name", WORD(255) },
    { .message = &OF(bulk_more), .field = "sha256", SHA, .needed = true },
    { .message = &OF(bulk_done), .field = "sha256", SHA, .needed = true },
    { .message = &OF(token_view), .field = "token", EXACT(32) },
    { .message = &OF(token_view), .field = "operators", .count_max = 256 },
    { .message = &OF(key_value), .field = "key", WORD(128) },
    { .message = &OF(key_value), .field = "value", .len_max = 16 * 1024 },
    { .message = &OF(plan), .field = "stages", .count_max = 64 },
    { .message = &OF(plan_stage), .field = "batch", .count_max = 64 },
    { .message = &OF(request), .field = "after", WORD(ID_LEN) },
    { .message = &OF(reply), .field = "next", WORD(ID_LEN) },
    { .message = &OF(reply), .field = "agents", .count_max = COUNT_VIEW },
    { .message = &OF(reply), .field = "audit", .count_max = COUNT_VIEW },
    { .message = &OF(reply), .field = "logs", .count_max = COUNT_VIEW },
    { .message = &OF(release), .field = "java", .count_max = 16 },
    { .message = &OF(release), .field = "platforms", .count_max = 16 },
    { .message = &OF(app_entry), .field = "key", WORD(255), .needed = true },
    { .message = &OF(app_entry), .field = "name", WORD(255) },
    { .message = &OF(app_entry), .field = "from", WORD(NAME_LEN), .needed = true },
    { .message = &OF(app_entry), .field = "to", WORD(NAME_LEN), .needed = true },
    { .message = &OF(app_entry), .field = "data_center", WORD(8) },
    { .message = &OF(app_entry), .field = "source", WORD(255) },
    { .message = &OF(order_restore), .field = "into", WORD(NAME_LEN), .needed = true },
    { .message = &OF(ask_backup), .field = "into", WORD(NAME_LEN) },
    { .field = "apps", .count_max = COUNT_VIEW },
    { .field = "entries", .count_max = COUNT_VIEW },
    { .field = "floor_version", WORD(NAME_LEN) },
    { .field = "data_center_only", WORD(8) },
    { .field = "lts", WORD(8) },
    { .field = "eol_date", WORD(NAME_LEN) },
    { .field = "same_database", WORD(NAME_LEN), .count_max = 64 },
    { .field = "family", WORD(NAME_LEN) },
    { .field = "check", WORD(NAME_LEN) },
    { .field = "notes_read", WORD(NAME_LEN), .count_max = 256 },
    { .field = "sites", WORD(NAME_LEN), .count_max = WIRE_SITES_MAX },
    { .field = "excluded", .count_max = WIRE_SITES_MAX },
    { .field = "signatures", .count_max = 16 },
    { .field = "labels", .count_max = 64 },
    { .field = "nodes", .count_max = 64 },
    { .field = "notes", .len_max = 4096, .count_max = 64 },
    { .field = "search", .len_max = 4096, .count_max = 64 },
    { .field = "sign_public", EXACT(32) },
    { .field = "artifact_sha256", SHA },
    { .field = "plan_sha256", SHA },
    { .field = "manifest_sha256", SHA },
    { .field = "artifact_name", WORD(255) },
    { .field = "id", WORD(ID_LEN) },
    { .field = "installation", WORD(ID_LEN) },
    { .field = "order_id", WORD(ID_LEN) },
    { .field = "plan_id", WORD(ID_LEN) },
    { .field = "rollout", WORD(ID_LEN) },
    { .field = "backup", WORD(ID_LEN) },
    { .field = "you", WORD(96) },
    { .field = "name", WORD(NAME_LEN) },
    { .field = "site", WORD(NAME_LEN) },
    { .field = "agent", WORD(NAME_LEN) },
    { .field = "stage", WORD(NAME_LEN) },
    { .field = "needs_stage", WORD(NAME_LEN) },
    { .field = "env", WORD(NAME_LEN) },
    { .field = "covers", WORD(NAME_LEN) },
    { .field = "fleet", WORD(NAME_LEN) },
    { .field = "signed_by", WORD(NAME_LEN) },
    { .field = "fingerprint", WORD(NAME_LEN) },
    { .field = "boot_id", WORD(NAME_LEN) },
    { .field = "program", WORD(NAME_LEN) },
    { .field = "version", WORD(NAME_LEN) },
    { .field = "from_version", WORD(NAME_LEN) },
    { .field = "target_version", WORD(NAME_LEN) },
    { .field = "agent_version", WORD(NAME_LEN) },
    { .field = "date", WORD(NAME_LEN) },
    { .field = "kind", WORD(NAME_LEN) },
    { .field = "job", WORD(NAME_LEN) },
    { .field = "step", WORD(NAME_LEN) },
    { .field = "on_failure", WORD(NAME_LEN) },
    { .field = "evidence", .len_max = 8192 },
    { .field = "remedy", .len_max = 8192 },
    { .field = "safe_next", .len_max = 8192 },
    { .field = "text", .len_max = 8192 },
    { .field = "detail", .len_max = 8192 },
};
/* clang-format on */
static const struct wire_limit limit_text = { .len_max = 4096 };
static const struct wire_limit limit_bytes = { .len_max = WIRE_FRAME_MAX };

const struct wire_limit *wire_limit_of(const ProtobufCMessageDescriptor *message,
                                       const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if ((!limits[i].message || limits[i].message == message) &&
            limits[i].field[0] == field->name[0] && strcmp(limits[i].field, field->name) == 0)
            return &limits[i];
    return field->type == PROTOBUF_C_TYPE_BYTES ? &limit_bytes : &limit_text;
}

uint32_t wire_limit_count(const struct wire_limit *limit)
{
    return limit->count_max ? limit->count_max : COUNT_DEFAULT;
}
