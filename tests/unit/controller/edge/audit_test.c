#include "controller/edge/audit.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

static struct store *store_with_records(int count)
{
    struct err err = { 0 };
    struct store *store = NULL;
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "controller.db");
    CHECK_OK(store_open(path, "fleet-1", &store, &err), err);
    store->now_ms = 1700000000000;
    for (int i = 0; i < count; i++)
        CHECK_OK(audit_add(store, "operator:anna", "site-set", &err, "site s%d env=test", i), err);
    return store;
}

static void sql(struct store *store, const char *text)
{
    struct err err = { 0 };
    CHECK_OK(db_run(store->db, &err, text, ""), err);
}

static const char *verdict(struct store *store)
{
    static struct err err;
    uint64_t rows = 0;
    err = (struct err){ 0 };
    return audit_verify(store, &rows, &err) == 0 ? "fine" : err.text;
}

TEST(the_hash_is_that_of_the_text_that_the_header_promises)
{
    char hash[65];
    /* printf '1|1700000000000|operator:anna|site-set|site s0 env=test|000…' | sha256sum */
    audit_hash(1, 1700000000000, "operator:anna", "site-set", "site s0 env=test", AUDIT_ZERO, hash);
    CHECK_STR(hash, "b9af01a2c47f180df10be33d734f357fdaaf9e4d4eeeac549b826f9c98d3a9c2");
}

TEST(an_untouched_chain_is_fine_and_its_head_is_the_newest_hash)
{
    CLEANUP(store_close) struct store *store = store_with_records(5);
    struct err err = { 0 };
    uint64_t rows = 0;
    char head[65], again[65];
    CHECK_OK(audit_verify(store, &rows, &err), err);
    CHECK_INT(rows, 5);
    CHECK_OK(audit_head(store, head, &err), err);
    CHECK_OK(audit_add(store, "controller", "start", &err, "x"), err);
    CHECK_OK(audit_head(store, again, &err), err);
    CHECK(strcmp(head, again) != 0);
    CHECK_STR(verdict(store), "fine");
}

TEST(an_edited_record_is_found_whichever_field_it_was)
{
    static const char *const edits[] = {
        "UPDATE audit SET detail='site s2 env=production' WHERE seq=3",
        "UPDATE audit SET who='operator:eve' WHERE seq=3",
        "UPDATE audit SET what='nothing' WHERE seq=3",
        "UPDATE audit SET at_ms=at_ms+1 WHERE seq=3",
        "UPDATE audit SET hash=prev WHERE seq=3",
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        CLEANUP(store_close) struct store *store = store_with_records(5);
        sql(store, edits[i]);
        CHECK_HAS(verdict(store), "audit record 3 was changed");
    }
}

TEST(a_record_that_was_edited_and_hashed_anew_breaks_the_next_link)
{
    CLEANUP(store_close) struct store *store = store_with_records(5);
    struct err err = { 0 };
    CLEANUP(free_mem) char *prev = NULL;
    char hash[65];
    CHECK_OK(db_get_text(store->db, &prev, &err, "SELECT prev FROM audit WHERE seq=3", ""), err);
    audit_hash(3, store->now_ms, "operator:anna", "site-set", "forged", prev, hash);
    CHECK_OK(
        db_run(store->db, &err, "UPDATE audit SET detail='forged', hash=$1 WHERE seq=3", "t", hash),
        err);
    CHECK_HAS(verdict(store), "audit record 4 does not follow");
}

TEST(a_deleted_record_is_missed)
{
    CLEANUP(store_close) struct store *store = store_with_records(5);
    sql(store, "DELETE FROM audit WHERE seq=2");
    CHECK_HAS(verdict(store), "audit record 2 is missing");
    CLEANUP(store_close) struct store *first = store_with_records(5);
    sql(first, "DELETE FROM audit WHERE seq=1");
    CHECK_HAS(verdict(first), "audit record 1 is missing");
}

TEST(exchanged_records_are_found)
{
    CLEANUP(store_close) struct store *store = store_with_records(5);
    sql(store, "UPDATE audit SET seq=seq+100 WHERE seq IN (2,3)");
    sql(store, "UPDATE audit SET seq=CASE seq WHEN 102 THEN 3 ELSE 2 END WHERE seq>100");
    CHECK_HAS(verdict(store), "audit record 2 does not follow");
}

TEST(a_cut_tail_shows_only_against_a_head_that_was_kept_elsewhere)
{
    CLEANUP(store_close) struct store *store = store_with_records(5);
    struct err err = { 0 };
    char head[65], cut[65];
    CHECK_OK(audit_head(store, head, &err), err);
    sql(store, "DELETE FROM audit WHERE seq=5");
    CHECK_STR(verdict(store), "fine");
    CHECK_OK(audit_head(store, cut, &err), err);
    CHECK(strcmp(head, cut) != 0);
}

TEST(a_detail_that_is_too_long_is_cut_at_a_whole_character)
{
    CLEANUP(store_close) struct store *store = store_with_records(0);
    struct err err = { 0 };
    CLEANUP(free_mem) char *detail = NULL;
    char text[AUDIT_DETAIL_MAX * 2];
    for (size_t i = 0; i < sizeof text - 2; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\0';
    CHECK_OK(audit_add(store, "controller", "x", &err, "a%s", text), err);
    CHECK_OK(db_get_text(store->db, &detail, &err, "SELECT detail FROM audit", ""), err);
    CHECK(text_is_utf8(detail, strlen(detail)));
    CHECK(strlen(detail) >= AUDIT_DETAIL_MAX - 3);
    CHECK_STR(verdict(store), "fine");
}
