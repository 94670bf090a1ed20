#include "confleet/wire.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* An order for an upgrade: nested, with text, bytes and numbers. */
static void make_order(struct str *out)
{
    Confleet__Signature signature = CONFLEET__SIGNATURE__INIT;
    uint8_t value[64] = { 7 };
    signature.key_id = (char[]){ "0123456789abcdef" };
    signature.value = (ProtobufCBinaryData){ sizeof value, value };
    Confleet__Signature *signatures[] = { &signature };
    Confleet__SignedText plan = CONFLEET__SIGNED_TEXT__INIT;
    uint8_t payload[] = "the plan";
    plan.payload = (ProtobufCBinaryData){ 8, payload };
    plan.signatures = signatures;
    plan.n_signatures = 1;
    Confleet__OrderUpgrade upgrade = CONFLEET__ORDER_UPGRADE__INIT;
    upgrade.plan = &plan;
    upgrade.site = (char[]){ "wiki" };
    upgrade.attempt = 2;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    order.id = (char[]){ "r1/wiki/2" };
    order.epoch = 4;
    order.what_case = CONFLEET__ORDER__WHAT_UPGRADE;
    order.upgrade = &upgrade;
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    frame.body_case = CONFLEET__FRAME__BODY_ORDER;
    frame.order = &order;
    wire_encode(&frame.base, out);
}

TEST(a_frame_comes_back_as_it_was_sent)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct err err = { 0 };
    Confleet__Frame *frame = NULL;
    make_order(&bytes);
    CHECK_OK(wire_decode_frame(arena, bytes.s, bytes.len, &frame, &err), err);
    CHECK_INT(frame->body_case, CONFLEET__FRAME__BODY_ORDER);
    CHECK_INT(frame->order->epoch, 4);
    CHECK_INT(frame->order->what_case, CONFLEET__ORDER__WHAT_UPGRADE);
    CHECK_STR(frame->order->upgrade->site, "wiki");
    CHECK_INT(frame->order->upgrade->plan->payload.len, 8);
    CHECK_STR(frame->order->upgrade->plan->signatures[0]->key_id, "0123456789abcdef");
}

TEST(a_message_cut_at_any_byte_is_refused)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    make_order(&bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        struct err err = { 0 };
        Confleet__Frame untouched, *frame = &untouched;
        CHECK_INT(wire_decode_frame(arena, bytes.s, len, &frame, &err), -FAIL_PROTOCOL);
        CHECK(frame == &untouched);
        CHECK_HAS(err.text, "Frame: ");
    }
}

TEST(every_budget_too_small_ends_in_a_clean_refusal)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    make_order(&bytes);
    bool fitted = false;
    for (size_t budget = 0; budget < 2048; budget += 8) {
        CLEANUP(arena_free) struct arena *arena = arena_new(budget);
        struct err err = { 0 };
        Confleet__Frame *frame = NULL;
        int result = wire_decode_frame(arena, bytes.s, bytes.len, &frame, &err);
        if (fitted || result == 0) {
            CHECK_INT(result, 0);
            fitted = true;
        } else {
            CHECK_INT(result, -FAIL_MEMORY);
            CHECK(frame == NULL);
        }
    }
    CHECK(fitted);
}

static void put_empty(struct str *out, unsigned field, size_t count)
{
    uint8_t pair[2] = { (uint8_t)(field << 3 | 2), 0 };
    for (size_t i = 0; i < count; i++)
        str_add_bytes(out, pair, sizeof pair);
}

TEST(a_megabyte_of_empty_messages_is_refused_before_it_costs_memory)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct err err = { 0 };
    Confleet__Survey *survey = NULL;
    put_empty(&bytes, 1, 512 * 1024); /* Survey.installations, 1 MiB */
    CHECK_INT(wire_decode_survey(arena, bytes.s, bytes.len, &survey, &err), -FAIL_LIMIT);
    CHECK_HAS(err.text, "at most 524288");
    err_clear(&err);
    CHECK_INT(wire_decode_survey(arena, bytes.s, 512 * 1024, &survey, &err), -FAIL_LIMIT);
    CHECK_HAS(err.text, "installations: more than 1024 entries");
}

/* Wide at two levels: each list is within its count, together they pass the budget. */
TEST(nested_lists_that_multiply_are_stopped_by_the_budget)
{
    CLEANUP(str_free) struct str site = { 0 };
    CLEANUP(str_free) struct str reply = { 0 };
    put_empty(&site, 10, 500); /* SiteView.findings */
    for (int i = 0; i < 500; i++) {
        uint8_t head[4] = { 11 << 3 | 2, (uint8_t)(site.len & 0x7f) | 0x80,
                            (uint8_t)(site.len >> 7), 0 };
        str_add_bytes(&reply, head, 3);
        str_add_bytes(&reply, site.s, site.len);
    }
    CHECK(reply.len < WIRE_FRAME_MAX);
    CLEANUP(str_free) struct str frame_bytes = { 0 };
    uint8_t head[8] = { ((21 << 3 | 2) & 0x7f) | 0x80, 21 << 3 >> 7,
                        (uint8_t)(reply.len & 0x7f) | 0x80, (uint8_t)(reply.len >> 7 & 0x7f) | 0x80,
                        (uint8_t)(reply.len >> 14) };
    str_add_bytes(&frame_bytes, head, 5);
    str_add_bytes(&frame_bytes, reply.s, reply.len);
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct err err = { 0 };
    Confleet__Frame *frame = NULL;
    CHECK_INT(wire_decode_frame(arena, frame_bytes.s, frame_bytes.len, &frame, &err), -FAIL_MEMORY);
}

TEST(each_kind_of_message_is_decoded_as_itself)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct err err = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };

    Confleet__Plan plan = CONFLEET__PLAN__INIT, *got_plan = NULL;
    plan.serial = INT64_MAX;
    plan.id = (char[]){ "p1" };
    wire_encode(&plan.base, &bytes);
    CHECK_OK(wire_decode_plan(arena, bytes.s, bytes.len, &got_plan, &err), err);
    CHECK(got_plan->serial == INT64_MAX);

    Confleet__Decision decision = CONFLEET__DECISION__INIT, *got_decision = NULL;
    decision.kind = (char[]){ "approve" };
    decision.plan_sha256 = (char[]){ SHA };
    str_clear(&bytes);
    wire_encode(&decision.base, &bytes);
    CHECK_OK(wire_decode_decision(arena, bytes.s, bytes.len, &got_decision, &err), err);
    CHECK_STR(got_decision->plan_sha256, SHA);

    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT, *got_order = NULL;
    order.job = (char[]){ "step" };
    order.phase = CONFLEET__WORKER_PHASE__UNDO;
    str_clear(&bytes);
    wire_encode(&order.base, &bytes);
    CHECK_OK(wire_decode_worker_order(arena, bytes.s, bytes.len, &got_order, &err), err);
    CHECK_INT(got_order->phase, CONFLEET__WORKER_PHASE__UNDO);

    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT, *got_reply = NULL;
    Confleet__WorkerResult worker_result = CONFLEET__WORKER_RESULT__INIT;
    worker_result.code = FAIL_SPACE;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_RESULT;
    reply.result = &worker_result;
    str_clear(&bytes);
    wire_encode(&reply.base, &bytes);
    CHECK_OK(wire_decode_worker_reply(arena, bytes.s, bytes.len, &got_reply, &err), err);
    CHECK_INT(got_reply->result->code, FAIL_SPACE);

    Confleet__BulkFrame bulk = CONFLEET__BULK_FRAME__INIT, *got_bulk = NULL;
    Confleet__BulkGet get = CONFLEET__BULK_GET__INIT;
    get.sha256 = (char[]){ SHA };
    get.offset = 1;
    bulk.body_case = CONFLEET__BULK_FRAME__BODY_GET;
    bulk.get = &get;
    str_clear(&bytes);
    wire_encode(&bulk.base, &bytes);
    CHECK_OK(wire_decode_bulk(arena, bytes.s, bytes.len, &got_bulk, &err), err);
    CHECK_INT(got_bulk->get->offset, 1);
}

TEST(a_pipe_hands_out_whole_messages_in_order)
{
    CLEANUP(str_free) struct str written = { 0 };
    CLEANUP(str_free) struct str buffer = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct err err = { 0 };
    for (int i = 0; i < 3; i++) {
        Confleet__Decision decision = CONFLEET__DECISION__INIT;
        decision.serial = (uint64_t)i + 1;
        wire_pipe_add(&written, &decision.base);
    }
    int taken = 0;
    for (size_t i = 0; i < written.len; i++) {
        const uint8_t *bytes = NULL;
        size_t len = 0;
        str_add_bytes(&buffer, written.s + i, 1);
        int result = wire_pipe_take(&buffer, &bytes, &len, &err);
        if (result == 0)
            continue;
        CHECK_INT(result, 1);
        Confleet__Decision *decision = NULL;
        CHECK_OK(wire_decode_decision(arena, bytes, len, &decision, &err), err);
        CHECK_INT(decision->serial, ++taken);
        wire_pipe_drop(&buffer, len);
        CHECK_INT(buffer.len, 0);
    }
    CHECK_INT(taken, 3);
}

TEST(a_pipe_keeps_what_follows_a_message_and_refuses_a_length_above_the_cap)
{
    CLEANUP(str_free) struct str buffer = { 0 };
    struct err err = { 0 };
    const uint8_t *bytes = NULL;
    size_t len = 99;
    str_add_bytes(&buffer, "\0\0\0\0\0\x08\0\x01zzz", 11);
    CHECK_INT(wire_pipe_take(&buffer, &bytes, &len, &err), 1);
    CHECK_INT(len, 0);
    wire_pipe_drop(&buffer, 0);
    CHECK_INT(buffer.len, 7);
    CHECK_STR(buffer.s + 4, "zzz");
    CHECK_INT(wire_pipe_take(&buffer, &bytes, &len, &err), -FAIL_LIMIT);
    CHECK_HAS(err.text, "524289 bytes");
}
