#include "controller/cli/decision.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "controller/cli/fetch.h"
#include "controller/cli/signing.h"
#include "controller/cli/until.h"
#include "harness/test.h"

#define NOW  1795400000000
#define PLAN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct decision_about about = { "fleet-1", PLAN, "anna", 42, NOW };

/* Signed, decoded again and told as text. */
static const char *payload_of(struct decision decision)
{
    static char text[512];
    struct keys keys = { 0 };
    struct err err = { 0 };
    Confleet__Decision message, *back = NULL;
    CLEANUP(signed_free) struct signed_bytes bytes = { 0 };
    struct arena *arena = arena_new(65536);
    CHECK_OK(keys_make("anna", &keys, &err), err);
    decision_fill(&decision, &about, &message);
    CHECK_OK(signed_make(&keys, SIGN_CONTEXT_DECISION, &message.base, &bytes, &err), err);
    const ProtobufCBinaryData *payload = &bytes.text.payload, *value = &bytes.signature.value;
    CHECK_OK(sign_check(keys.sign_public, SIGN_CONTEXT_DECISION, payload->data, payload->len,
                        value->data, value->len, &err),
             err);
    struct err refused = { 0 };
    CHECK_INT(sign_check(keys.sign_public, SIGN_CONTEXT_PLAN, payload->data, payload->len,
                         value->data, value->len, &refused),
              -FAIL_SIGNATURE);
    CHECK_OK(wire_decode_decision(arena, payload->data, payload->len, &back, &err), err);
    CHECK_STR(back->plan_sha256, PLAN);
    CHECK_STR(back->fleet, "fleet-1");
    CHECK_STR(back->signed_by, "anna");
    CHECK_INT(back->format, 1);
    CHECK_INT(back->serial, 42);
    CHECK_INT(back->created_ms, NOW);
    (void)snprintf(text, sizeof text, "%s stage=%s site=%s reason=%s good for %lld s", back->kind,
                   back->stage, back->site, back->reason,
                   (long long)(back->expires_ms - back->created_ms) / 1000);
    arena_free(&arena);
    keys_wipe(&keys);
    return text;
}

TEST(decision_is_bound_to_plan_stage_and_site)
{
    CHECK_STR(payload_of((struct decision){ .kind = "approve",
                                            .stage = "production",
                                            .good_until_ms = NOW + 7 * 86400000LL }),
              "approve stage=production site= reason= good for 604800 s");
    CHECK_STR(payload_of((struct decision){ .kind = "pause", .reason = "disk" }),
              "pause stage= site= reason=disk good for 3600 s");
    CHECK_STR(payload_of((struct decision){ .kind = "retry",
                                            .stage = "production",
                                            .site = "wiki",
                                            .reason = "fixed",
                                            .good_until_ms = NOW + 1000 }),
              "retry stage=production site=wiki reason=fixed good for 3600 s");
    CHECK_STR(
        payload_of((struct decision){ .kind = "rollback", .stage = "production", .reason = "r" }),
        "rollback stage=production site= reason=r good for 3600 s");
}

/* One rollout per letter of the states: r running, h halted, d done; started one after the other.
 */
static const char *chosen(const char *letters)
{
    static char text[256];
    static Confleet__RolloutView rows[4], *list[4];
    static const char *const ids[] = { "one", "two", "three", "four" };
    CLEANUP(str_free) struct str why = { 0 };
    size_t count = strlen(letters);
    for (size_t i = 0; i < count; i++) {
        list[i] = &rows[i];
        confleet__rollout_view__init(list[i]);
        rows[i].id = (char *)ids[i];
        rows[i].started_ms = 1000 + (int64_t)i;
        rows[i].state = (char *)(letters[i] == 'r'   ? "running"
                                 : letters[i] == 'h' ? "halted"
                                                     : "done");
    }
    const Confleet__RolloutView *rollout = rollout_choose(list, count, &why);
    (void)snprintf(text, sizeof text, "%s: %s", rollout ? rollout->id : "-", str_text(&why));
    return text;
}

TEST(rollout_that_is_left_out_must_be_the_only_one_meant)
{
    CHECK_STR(chosen("drd"), "two: the only active one");
    CHECK_STR(chosen("rh"), "one: the only active one");
    CHECK_STR(chosen("dh"), "two: the newest one, halted");
    CHECK_STR(chosen("rr"), "-: several rollouts are active; say which: one, two");
    CHECK_STR(chosen("hd"), "-: no rollout is active; give its ID (the newest, two, is done)");
    CHECK_STR(chosen(""), "-: no rollout yet; begin with: confleet plan FILE");
}

TEST(plan_that_is_not_the_named_one_is_not_signed_for)
{
    struct err err = { 0 };
    struct arena *arena = arena_new(65536);
    CLEANUP(str_free) struct str bytes = { 0 };
    char sha256[HASH_HEX_MAX];
    Confleet__Plan plan = CONFLEET__PLAN__INIT, *back = NULL;
    Confleet__SignedText text = CONFLEET__SIGNED_TEXT__INIT;
    Confleet__RolloutView rollout = CONFLEET__ROLLOUT_VIEW__INIT;
    plan.id = (char *)"spring-7";
    wire_encode(&plan.base, &bytes);
    text.payload = (ProtobufCBinaryData){ bytes.len, (uint8_t *)bytes.s };
    hash_bytes_hex(bytes.s, bytes.len, sha256);
    rollout.id = plan.id;
    CHECK_INT(rollout_plan(&rollout, arena, &back, &err), -FAIL_PROTOCOL);
    err_clear(&err);
    rollout.plan = &text;
    rollout.plan_sha256 = (char *)PLAN;
    CHECK_INT(rollout_plan(&rollout, arena, &back, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, "nothing is signed");
    CHECK(back == NULL);
    err_clear(&err);
    rollout.plan_sha256 = sha256;
    CHECK_OK(rollout_plan(&rollout, arena, &back, &err), err);
    CHECK_STR(back->id, "spring-7");
    arena_free(&arena);
}

static long long until(const char *text)
{
    struct err err = { 0 };
    int64_t ms = -1;
    int result = until_parse(text, NOW, &ms, &err);
    if (result != 0) {
        CHECK_INT(result, -FAIL_USAGE);
        CHECK_HAS(err.text, text);
        CHECK_INT(ms, -1);
        return 0;
    }
    return ms;
}

TEST(hold_ends_at_a_duration_or_a_time)
{
    CHECK_INT(until("2h"), NOW + 7200000);
    CHECK_INT(until("3d"), NOW + 3 * 86400000LL);
    CHECK_INT(until("2026-11-28T02:13:20Z"), NOW + 5 * 86400000LL);
    CHECK_INT(until("2026-11-28 02:13"), NOW + 5 * 86400000LL - 20000);
    CHECK_INT(until("2028-02-29"), 1835395200000);
    CHECK_INT(until("2027-01-01"), 1798761600000);
    static const char *const wrong[] = {
        "",  "tomorrow",    "2027-02-29", "2026-13-01",    "2026-11-22", "2026-11-28T25:00",
        "0", "2026-11-28x", "9999-01-01", "2026-11-28T02", "26-11-28",   "-2h"
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(until(wrong[i]), 0);
}
