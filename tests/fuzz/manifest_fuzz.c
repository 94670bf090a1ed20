/* Any text behind a right digest: the parser refuses it, or what it read is written and read again
 * the same. */
#include "agent/worker/backup/manifest.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(struct str *text)
{
    char hex[HASH_HEX_MAX];
    hash_bytes_hex(text->s, text->len, hex);
    str_addf(text, "sha256 %s\n", hex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(manifest_free) struct manifest first, second;
    CLEANUP(str_free) struct str text = { 0 }, once = { 0 }, twice = { 0 };
    struct err err = { 0 };
    manifest_init(&first);
    manifest_init(&second);
    str_add(&text, "confleet-backup 1\n");
    str_add_bytes(&text, data, size);
    seal(&text);
    if (manifest_parse(&text, "fuzz", &first, &err) != 0)
        return 0;
    manifest_write(&first, &once);
    CLEANUP(str_free) struct str copy = { 0 };
    str_add_bytes(&copy, once.s, once.len);
    int rc = manifest_parse(&copy, "fuzz", &second, &err);
    assert(rc == 0);
    manifest_write(&second, &twice);
    assert(once.len == twice.len && memcmp(once.s, twice.s, once.len) == 0);
    return 0;
}
