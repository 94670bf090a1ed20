#include "controller/edge/store_plans.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "harness/test.h"
#include <string.h>

static void make_envelope(const char *id, struct str *ret)
{
    CLEANUP(str_free) struct str payload = { 0 };
    Confleet__Plan plan = CONFLEET__PLAN__INIT;
    Confleet__SignedText text = CONFLEET__SIGNED_TEXT__INIT;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderUpgrade upgrade = CONFLEET__ORDER_UPGRADE__INIT;
    plan.id = (char *)(uintptr_t)id;
    wire_encode(&plan.base, &payload);
    text.payload = (ProtobufCBinaryData){ payload.len, (uint8_t *)payload.s };
    upgrade.plan = &text;
    order.what_case = CONFLEET__ORDER__WHAT_UPGRADE;
    order.upgrade = &upgrade;
    str_clear(ret);
    wire_encode(&order.base, ret);
}

static const Confleet__Plan *read_plan(struct store *store, const char *id)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    const Confleet__SignedText *text = NULL;
    const Confleet__Plan *plan = NULL;
    struct err err = { 0 };
    make_envelope(id, &bytes);
    CHECK_OK(plans_read(store, bytes.s, bytes.len, &text, &plan, &err), err);
    CHECK(text);
    CHECK_STR(plan->id, id);
    return plan;
}

TEST(a_plan_is_decoded_once_and_is_never_another)
{
    struct store store = { 0 };
    const Confleet__Plan *a = read_plan(&store, "plan-a"), *b = read_plan(&store, "plan-b");
    CHECK(a != b);
    CHECK(read_plan(&store, "plan-a") == a);
    CHECK(read_plan(&store, "plan-b") == b);
    plans_drop(&store);
    CHECK(!store.plans);
}

TEST(nothing_is_given_up_while_cases_may_point_to_it_and_the_oldest_go_first)
{
    struct store store = { 0 };
    const Confleet__Plan *plans[2 * PLANS_KEPT_MAX];
    char id[16];
    for (int i = 0; i < 2 * PLANS_KEPT_MAX; i++) {
        (void)snprintf(id, sizeof id, "plan-%d", i);
        plans[i] = read_plan(&store, id);
    }
    for (int i = 0; i < 2 * PLANS_KEPT_MAX; i++) {
        (void)snprintf(id, sizeof id, "plan-%d", i);
        CHECK_STR(plans[i]->id, id);
    }
    CHECK(read_plan(&store, "plan-0") == plans[0]);
    plans_trim(&store);
    CHECK(read_plan(&store, "plan-0") == plans[0]);
    (void)snprintf(id, sizeof id, "plan-%d", 2 * PLANS_KEPT_MAX - 1);
    CHECK(read_plan(&store, id) == plans[2 * PLANS_KEPT_MAX - 1]);
    plans_drop(&store);
}

TEST(damaged_bytes_are_refused_each_time)
{
    struct store store = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    const Confleet__SignedText *text = NULL;
    const Confleet__Plan *plan = NULL;
    struct err err = { 0 };
    make_envelope("plan-a", &bytes);
    bytes.s[bytes.len - 1] = 0x01; /* inside the plan, not inside the envelope */
    for (int i = 0; i < 2; i++) {
        CHECK(plans_read(&store, bytes.s, bytes.len, &text, &plan, &err) != 0);
        CHECK(!plan);
        err_clear(&err);
    }
    CHECK_OK(plans_read(&store, bytes.s, bytes.len, &text, NULL, &err), err);
    for (int i = 0; i < 2; i++) {
        CHECK(plans_read(&store, "xx", 2, &text, &plan, &err) != 0);
        err_clear(&err);
    }
    plans_drop(&store);
}
