#include "controller/cli/audit_chain.h"
#include "confleet/hash.h"
#include "harness/test.h"

/* Three records, hashed here from the words of the rule and not by the code under test. */
static Confleet__AuditView records[3];
static char hashes[3][HASH_HEX_MAX];

static void chain_make(void)
{
    static char zero[65];
    memset(zero, '0', 64);
    for (size_t i = 0; i < 3; i++) {
        char text[512];
        confleet__audit_view__init(&records[i]);
        records[i].seq = i + 1;
        records[i].at_ms = 1795400000000 + (int64_t)i;
        records[i].who = (char *)"operator:anna";
        records[i].what = (char *)"apply";
        records[i].detail = (char *)(i == 1 ? "plan a|b" : "plan x");
        records[i].prev = i == 0 ? zero : hashes[i - 1];
        int len = snprintf(text, sizeof text, "%zu|%lld|operator:anna|apply|%s|%s", i + 1,
                           1795400000000LL + (long long)i, records[i].detail, records[i].prev);
        hash_bytes_hex(text, (size_t)len, hashes[i]);
        records[i].hash = hashes[i];
    }
}

static const char *verdict(void)
{
    static char text[ERR_TEXT_MAX];
    struct audit_chain chain = { 0 };
    struct err err = { 0 };
    for (size_t i = 0; i < 3; i++) {
        if (audit_chain_add(&chain, &records[i], &err) != 0) {
            CHECK_INT(err.code, FAIL_CORRUPT);
            (void)snprintf(text, sizeof text, "%s", err.text);
            return text;
        }
    }
    CHECK_STR(chain.hash, hashes[2]);
    return "unbroken";
}

TEST(chain_of_whole_records_is_unbroken)
{
    chain_make();
    CHECK_STR(verdict(), "unbroken");
}

TEST(changed_word_of_any_field_is_seen)
{
    chain_make();
    records[1].detail = (char *)"plan a|c";
    CHECK_STR(verdict(), "audit record 2 was changed: its hash is not that of its text");
    chain_make();
    records[0].who = (char *)"operator:eve";
    CHECK_STR(verdict(), "audit record 1 was changed: its hash is not that of its text");
    chain_make();
    records[2].at_ms++;
    CHECK_STR(verdict(), "audit record 3 was changed: its hash is not that of its text");
}

TEST(missing_and_foreign_records_are_seen)
{
    chain_make();
    records[1] = records[2];
    CHECK_STR(verdict(), "audit record 2 is missing: after 1 comes 3");
    chain_make();
    records[1].prev = hashes[2];
    CHECK_STR(verdict(), "audit record 2 does not follow the one before it");
    chain_make();
    records[0].prev = hashes[0];
    CHECK_STR(verdict(), "audit record 1 does not follow the one before it");
}
