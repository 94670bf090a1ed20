#include "controller/cli/audit_chain.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <inttypes.h>
#include <string.h>

static const char first_prev[] = "0000000000000000000000000000000000000000000000000000000000000000";

int audit_chain_add(struct audit_chain *chain, const Confleet__AuditView *record, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    char hash[HASH_HEX_MAX];
    if (record->seq != chain->seq + 1)
        return err_set(err, FAIL_CORRUPT,
                       "audit record %" PRIu64 " is missing: after %" PRIu64 " comes %" PRIu64,
                       chain->seq + 1, chain->seq, record->seq);
    if (strcmp(record->prev, chain->seq == 0 ? first_prev : chain->hash) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "audit record %" PRIu64 " does not follow the one before it", record->seq);
    str_addf(&text, "%" PRIu64 "|%" PRId64 "|%s|%s|%s|%s", record->seq, record->at_ms, record->who,
             record->what, record->detail, record->prev);
    hash_bytes_hex(text.s, text.len, hash);
    if (strcmp(hash, record->hash) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "audit record %" PRIu64 " was changed: its hash is not that of its text",
                       record->seq);
    chain->seq = record->seq;
    memcpy(chain->hash, hash, sizeof chain->hash);
    return 0;
}
