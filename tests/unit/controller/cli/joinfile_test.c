#include "controller/cli/joinfile.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static Confleet__OperatorView views[JOIN_TRUST_MAX + 2], *list[JOIN_TRUST_MAX + 2];
static uint8_t public_keys[JOIN_TRUST_MAX + 2][KEY_SIZE], token_bytes[KEY_SIZE];
static struct keys keys;
static struct join own;
static Confleet__TokenView token;

static void operator_set(size_t i, const char *name, Confleet__Role role, const char *state)
{
    list[i] = &views[i];
    confleet__operator_view__init(list[i]);
    memset(public_keys[i], (int)i + 1, KEY_SIZE);
    views[i].name = (char *)name;
    views[i].role = role;
    views[i].state = (char *)state;
    views[i].sign_public = (ProtobufCBinaryData){ KEY_SIZE, public_keys[i] };
}

/* anna makes the token; the reply lists bob before her. */
static void begin(void)
{
    confleet__token_view__init(&token);
    operator_set(0, "bob", CONFLEET__ROLE__APPROVER, "accepted");
    operator_set(1, "anna", CONFLEET__ROLE__ADMIN, "accepted");
    operator_set(2, "vera", CONFLEET__ROLE__VIEWER, "accepted");
    operator_set(3, "rudi", CONFLEET__ROLE__ADMIN, "revoked");
    memset(token_bytes, 9, sizeof token_bytes);
    token.kind = (char *)"agent";
    token.name = (char *)"host-1";
    token.fleet = (char *)"another-fleet";
    token.controller_key = (char *)"00";
    token.token = (ProtobufCBinaryData){ KEY_SIZE, token_bytes };
    token.expires_ms = 1795400000000;
    token.operators = list;
    token.n_operators = 4;
    (void)snprintf(keys.name, sizeof keys.name, "anna");
    memcpy(keys.sign_public, public_keys[1], KEY_SIZE);
    (void)snprintf(own.fleet, sizeof own.fleet, "fleet-1");
    (void)snprintf(own.control, sizeof own.control, "tcp://c:1");
    (void)snprintf(own.bulk, sizeof own.bulk, "tcp://c:2");
    memset(own.controller_key, 7, KEY_SIZE);
}

TEST(own_pins_go_into_the_file_and_not_those_of_the_reply)
{
    struct err err = { 0 };
    CLEANUP(free_mem) struct join *join = mem_zero(1, sizeof *join);
    begin();
    CHECK_OK(joinfile_make(&own, &keys, &token, join, &err), err);
    CHECK_STR(join->fleet, "fleet-1");
    CHECK_STR(join->control, "tcp://c:1");
    CHECK_STR(join->bulk, "tcp://c:2");
    CHECK(memcmp(join->controller_key, own.controller_key, KEY_SIZE) == 0);
    CHECK(memcmp(join->token, token_bytes, KEY_SIZE) == 0);
    CHECK_STR(join->kind, "agent");
    CHECK_STR(join->name, "host-1");
}

TEST(only_those_who_may_sign_are_trusted_own_key_first)
{
    struct err err = { 0 };
    CLEANUP(free_mem) struct join *join = mem_zero(1, sizeof *join);
    begin();
    CHECK_OK(joinfile_make(&own, &keys, &token, join, &err), err);
    CHECK_INT(join->trust_count, 2);
    CHECK_STR(join->trust[0].name, "anna");
    CHECK_STR(join->trust[0].role, "admin");
    CHECK(memcmp(join->trust[0].sign_public, keys.sign_public, KEY_SIZE) == 0);
    CHECK_STR(join->trust[1].name, "bob");
}

TEST(own_key_counts_once_however_often_the_reply_lists_it)
{
    struct err err = { 0 };
    CLEANUP(free_mem) struct join *join = mem_zero(1, sizeof *join);
    begin();
    for (size_t i = 0; i < JOIN_TRUST_MAX + 2; i++) {
        operator_set(i, "anna", CONFLEET__ROLE__ADMIN, "accepted");
        memcpy(public_keys[i], keys.sign_public, KEY_SIZE);
    }
    token.n_operators = JOIN_TRUST_MAX + 2;
    CHECK_OK(joinfile_make(&own, &keys, &token, join, &err), err);
    CHECK_INT(join->trust_count, 1);
}

TEST(a_name_with_another_key_does_not_stand_for_the_own_one)
{
    struct err err = { 0 };
    CLEANUP(free_mem) struct join *join = mem_zero(1, sizeof *join);
    begin();
    memset(keys.sign_public, 0x55, KEY_SIZE);
    CHECK_INT(joinfile_make(&own, &keys, &token, join, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, "does not list this account's signing key");
}

TEST(reply_without_a_token_and_too_many_signers_are_refused)
{
    struct err err = { 0 };
    CLEANUP(free_mem) struct join *join = mem_zero(1, sizeof *join);
    begin();
    token.token.len = 0;
    CHECK_INT(joinfile_make(&own, &keys, &token, join, &err), -FAIL_PROTOCOL);
    err_clear(&err);
    begin();
    for (size_t i = 2; i < JOIN_TRUST_MAX + 2; i++)
        operator_set(i, "more", CONFLEET__ROLE__OPERATOR, "accepted");
    token.n_operators = JOIN_TRUST_MAX + 2;
    CHECK_INT(joinfile_make(&own, &keys, &token, join, &err), -FAIL_LIMIT);
}
