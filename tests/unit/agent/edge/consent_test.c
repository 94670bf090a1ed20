#include "agent/edge/consent.h"
#include "bench.h"

/* ann is the operator who signs the plans; bob and cat may approve; nobody here knows eve. */
struct desk {
    struct bench bench;
    struct signed_text plan, approvals[3], retry;
    struct str payloads[3], retry_payload;
    Confleet__SignedText *list[3];
    Confleet__OrderUpgrade order;
    char sha256[HASH_HEX_MAX];
};

static uint32_t approvals_wanted = 1;
static void production(Confleet__Plan *plan)
{
    plan->stages[0]->name = lend("production");
    plan->stages[0]->production = true;
    plan->stages[0]->needs_approvals = approvals_wanted;
}
static void one_that_is_no_production(Confleet__Plan *plan)
{
    production(plan);
    plan->stages[0]->production = false;
}

static void desk_open(struct desk *desk, uint32_t needed)
{
    *desk = (struct desk){ 0 };
    approvals_wanted = needed;
    bench_open(&desk->bench, production);
    signers_make(&desk->bench.signers, 1);
    signer_trust(&desk->bench.signers, 1, "approver");
    signer_trust(&desk->bench.signers, 3, "admin");
    text_sign(&desk->plan, &desk->bench.signers, ANN, SIGN_CONTEXT_PLAN, &desk->bench.lab.plan);
    hash_bytes_hex(desk->bench.lab.plan.s, desk->bench.lab.plan.len, desk->sha256);
    confleet__order_upgrade__init(&desk->order);
    desk->order.plan = &desk->plan.text;
    desk->order.site = lend("wiki");
    desk->order.attempt = 1;
    desk->order.approvals = desk->list;
}

static void desk_close(struct desk *desk)
{
    for (size_t i = 0; i < 3; i++)
        str_free(&desk->payloads[i]);
    str_free(&desk->retry_payload);
    bench_close(&desk->bench);
}

static Confleet__Decision decision(struct desk *desk, const char *kind)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    decision.format = 1;
    decision.fleet = lend("fleet1");
    decision.plan_sha256 = desk->sha256;
    decision.kind = lend(kind);
    decision.serial = 9;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    if (strcmp(kind, "approve") == 0)
        decision.stage = lend("production");
    else
        decision.site = lend("wiki");
    return decision;
}

static void approve(struct desk *desk, unsigned who, const Confleet__Decision *changed)
{
    size_t n = desk->order.n_approvals++;
    Confleet__Decision approval = changed ? *changed : decision(desk, "approve");
    wire_encode(&approval.base, &desk->payloads[n]);
    text_sign(&desk->approvals[n], &desk->bench.signers, who, SIGN_CONTEXT_DECISION,
              &desk->payloads[n]);
    desk->list[n] = &desk->approvals[n].text;
}

static void retry(struct desk *desk, unsigned who, const Confleet__Decision *changed)
{
    Confleet__Decision retry = changed ? *changed : decision(desk, "retry");
    str_clear(&desk->retry_payload);
    wire_encode(&retry.base, &desk->retry_payload);
    text_sign(&desk->retry, &desk->bench.signers, who, SIGN_CONTEXT_DECISION, &desk->retry_payload);
    desk->order.retry = &desk->retry.text;
}

static int judge(struct desk *desk, struct err *err)
{
    return trust_plan(&desk->bench.trust, desk->bench.arena, &desk->order, clock_wall_ms(),
                      &desk->bench.trusted, err);
}

/* The desk is closed afterwards. */
static void check_refused(struct desk *desk, int code, const char *words)
{
    struct err err = { 0 };
    uint64_t serial = 0;
    CHECK_INT(judge(desk, &err), -code);
    CHECK_HAS(err.text, words);
    err_clear(&err);
    CHECK_OK(journal_serial(desk->bench.lab.journal, "conf-12345678", &serial, &err), err);
    CHECK_INT(serial, 0);
    desk_close(desk);
}

static void check_taken(struct desk *desk)
{
    struct err err = { 0 };
    CHECK_OK(judge(desk, &err), err);
    desk_close(desk);
}

TEST(production_starts_with_the_approvals_that_the_plan_asks_for)
{
    struct desk desk;
    desk_open(&desk, 1);
    approve(&desk, BOB, NULL);
    check_taken(&desk);

    desk_open(&desk, 2);
    approve(&desk, BOB, NULL);
    approve(&desk, CAT, NULL);
    check_taken(&desk);

    desk_open(&desk, 0);
    check_taken(&desk);
}

TEST(a_missing_approval_is_refused)
{
    struct desk desk;
    desk_open(&desk, 1);
    check_refused(&desk, FAIL_DENIED,
                  "stage production needs the approval of 1, this agent counts 0 of 0 given");
}

TEST(one_approval_where_two_are_needed_is_refused)
{
    struct desk desk;
    desk_open(&desk, 2);
    approve(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "needs the approval of 2, this agent counts 1 of 1 given");
}

TEST(the_same_key_twice_is_one_approval)
{
    struct desk desk;
    desk_open(&desk, 2);
    approve(&desk, BOB, NULL);
    approve(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "counts 1 of 2 given: bob has approved already");

    desk_open(&desk, 2);
    signer_trust(&desk.bench.signers, 1, "admin"); /* bob's key under a second entry */
    approve(&desk, BOB, NULL);
    Confleet__Decision later = decision(&desk, "approve");
    later.serial = 10;
    approve(&desk, BOB, &later);
    check_refused(&desk, FAIL_DENIED, "counts 1 of 2 given");
}

TEST(a_viewer_or_an_operator_cannot_approve)
{
    struct desk desk;
    desk_open(&desk, 1);
    signer_trust(&desk.bench.signers, 2, "viewer");
    approve(&desk, EVE, NULL);
    check_refused(&desk, FAIL_DENIED, "eve is viewer; approvals are given by");

    desk_open(&desk, 1);
    signer_trust(&desk.bench.signers, 2, "operator");
    approve(&desk, EVE, NULL);
    check_refused(&desk, FAIL_DENIED, "eve is operator; approvals are given by");
}

TEST(an_approval_of_another_rollout_or_stage_is_no_approval)
{
    struct desk desk;
    char other[HASH_HEX_MAX];
    hash_bytes_hex("another plan", 12, other);
    desk_open(&desk, 1);
    Confleet__Decision changed = decision(&desk, "approve");
    changed.plan_sha256 = other;
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "it was given for another plan");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve"), changed.stage = lend("test");
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "it was given for stage 'test'");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve"), changed.stage = lend("");
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "it was given for stage ''");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve"), changed.site = lend("blog");
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "for site blog alone");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve"), changed.fleet = lend("fleet2");
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "for fleet fleet2");

    desk_open(&desk, 1);
    changed = decision(&desk, "resume"), changed.stage = lend("production");
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_MISMATCH, "it is a 'resume'");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve"), changed.format = 2;
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_PROTOCOL, "format 2");
}

TEST(an_approval_that_expired_or_comes_from_the_future_does_not_count)
{
    struct desk desk;
    desk_open(&desk, 1);
    Confleet__Decision changed = decision(&desk, "approve");
    changed.expires_ms = clock_wall_ms() - 1;
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_EXPIRED, "the approval expired at");

    desk_open(&desk, 1);
    changed = decision(&desk, "approve");
    changed.created_ms += 3600 * 1000, changed.expires_ms += 7200 * 1000;
    approve(&desk, BOB, &changed);
    check_refused(&desk, FAIL_EXPIRED, "in the future");
}

TEST(what_the_controller_forges_is_refused)
{
    struct desk desk;
    desk_open(&desk, 1);
    approve(&desk, EVE, NULL); /* a key of its own */
    check_refused(&desk, FAIL_SIGNATURE, "it is signed by no key that this agent trusts");

    desk_open(&desk, 1);
    approve(&desk, 0, NULL); /* no signature at all */
    check_refused(&desk, FAIL_SIGNATURE, "it is signed by no key that this agent trusts");

    desk_open(&desk, 1);
    approve(&desk, EVE, NULL); /* a key of its own in bob's name */
    keys_id(desk.bench.signers.keys[1].sign_public, desk.approvals[0].ids[0]);
    check_refused(&desk, FAIL_SIGNATURE, "signature by bob");

    desk_open(&desk, 1);
    approve(&desk, BOB, NULL); /* the plan's signature in the approval's place */
    text_sign(&desk.approvals[0], &desk.bench.signers, BOB, SIGN_CONTEXT_PLAN, &desk.payloads[0]);
    check_refused(&desk, FAIL_SIGNATURE, "signature by bob");
}

TEST(an_altered_approval_is_refused_even_beside_enough_good_ones)
{
    struct desk desk;
    for (size_t at = 0; at < 40; at += 3) {
        desk_open(&desk, 1);
        approve(&desk, BOB, NULL);
        approve(&desk, CAT, NULL);
        CHECK(desk.payloads[1].len > 40);
        desk.payloads[1].s[at] ^= 1;
        check_refused(&desk, FAIL_SIGNATURE, "approval 2: signature by cat");
    }
}

TEST(what_does_not_count_does_no_harm_beside_enough_that_does)
{
    struct desk desk;
    desk_open(&desk, 1);
    approve(&desk, EVE, NULL); /* may be an approver who came after this agent was enrolled */
    approve(&desk, ANN, NULL);
    approve(&desk, BOB, NULL);
    check_taken(&desk);
}

TEST(the_signer_of_the_plan_is_no_second_person)
{
    struct desk desk;
    desk_open(&desk, 1);
    text_sign(&desk.plan, &desk.bench.signers, BOB, SIGN_CONTEXT_PLAN, &desk.bench.lab.plan);
    approve(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "bob has signed the plan; another person must approve it");

    desk_open(&desk, 2);
    text_sign(&desk.plan, &desk.bench.signers, BOB, SIGN_CONTEXT_PLAN, &desk.bench.lab.plan);
    approve(&desk, BOB, NULL);
    approve(&desk, CAT, NULL);
    check_refused(&desk, FAIL_DENIED, "counts 1 of 2 given: bob has signed the plan");
}

TEST(the_only_operator_there_is_may_approve_his_own_plan_where_one_is_enough)
{
    for (uint32_t needed = 1; needed <= 2; needed++) {
        struct desk desk;
        desk_open(&desk, needed);
        struct join *controller = &desk.bench.signers.controller;
        (void)snprintf(controller->trust[0].role, sizeof controller->trust[0].role, "admin");
        controller->trust_count = 1;
        approve(&desk, ANN, NULL);
        if (needed == 1)
            check_taken(&desk);
        else
            check_refused(&desk, FAIL_DENIED, "ann has signed the plan");
    }
}

TEST(this_server_s_policy_may_ask_for_more_than_the_plan)
{
    struct desk desk;
    desk_open(&desk, 0);
    desk.bench.lab.config.policy.approvals_needed = 1;
    check_refused(&desk, FAIL_DENIED, "needs the approval of 1");

    desk_open(&desk, 1);
    desk.bench.lab.config.policy.approvals_needed = 2;
    approve(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "needs the approval of 2");

    desk_open(&desk, 2);
    desk.bench.lab.config.policy.approvals_needed = 1; /* and never for less */
    approve(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "needs the approval of 2");
}

TEST(a_stage_that_is_no_production_is_the_controller_s_to_hold_back)
{
    struct desk desk;
    desk_open(&desk, 1);
    desk.bench.lab.change = one_that_is_no_production;
    lab_plan(&desk.bench.lab);
    text_sign(&desk.plan, &desk.bench.signers, ANN, SIGN_CONTEXT_PLAN, &desk.bench.lab.plan);
    check_taken(&desk);
}

TEST(more_approvals_than_anybody_needs_are_not_even_read)
{
    struct desk desk;
    Confleet__SignedText *many[CONSENT_APPROVALS_MAX + 1];
    desk_open(&desk, 1);
    approve(&desk, BOB, NULL);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = desk.list[0];
    desk.order.approvals = many;
    desk.order.n_approvals = sizeof many / sizeof *many;
    check_refused(&desk, FAIL_LIMIT, "at most 64");
}

static void desk_of_second_attempt(struct desk *desk)
{
    desk_open(desk, 0);
    desk->order.attempt = 2;
}

TEST(a_second_attempt_needs_a_signed_retry_of_its_site)
{
    struct desk desk;
    struct err err = { 0 };
    desk_of_second_attempt(&desk);
    check_refused(&desk, FAIL_DENIED, "attempt 2 of site wiki needs a person's signed retry");

    desk_of_second_attempt(&desk);
    retry(&desk, ANN, NULL);
    CHECK_OK(judge(&desk, &err), err);
    CHECK_INT(desk.bench.trusted.retry_serial, 9);
    desk_close(&desk);

    desk_of_second_attempt(&desk);
    retry(&desk, EVE, NULL);
    check_refused(&desk, FAIL_SIGNATURE,
                  "the retry of site wiki: it is signed by no key that this agent trusts");

    desk_of_second_attempt(&desk);
    retry(&desk, BOB, NULL);
    check_refused(&desk, FAIL_DENIED, "bob is approver; a retry is decided by an operator");

    desk_of_second_attempt(&desk);
    retry(&desk, ANN, NULL);
    desk.retry_payload.s[9] ^= 1;
    check_refused(&desk, FAIL_SIGNATURE, "signature by ann");
}

TEST(a_retry_of_something_else_is_none)
{
    struct desk desk;
    char other[HASH_HEX_MAX];
    hash_bytes_hex("another plan", 12, other);
    static const char *const sites[] = { "", "blog" };
    for (size_t i = 0; i < 2; i++) {
        desk_of_second_attempt(&desk);
        Confleet__Decision changed = decision(&desk, "retry");
        changed.site = lend(sites[i]);
        retry(&desk, ANN, &changed);
        check_refused(&desk, FAIL_MISMATCH, "not wiki");
    }
    desk_of_second_attempt(&desk);
    Confleet__Decision changed = decision(&desk, "retry");
    changed.plan_sha256 = other;
    retry(&desk, ANN, &changed);
    check_refused(&desk, FAIL_MISMATCH, "another plan");

    desk_of_second_attempt(&desk);
    changed = decision(&desk, "skip");
    retry(&desk, ANN, &changed);
    check_refused(&desk, FAIL_MISMATCH, "it is a 'skip'");

    desk_of_second_attempt(&desk);
    changed = decision(&desk, "retry"), changed.expires_ms = clock_wall_ms() - 1;
    retry(&desk, ANN, &changed);
    check_refused(&desk, FAIL_EXPIRED, "the retry expired at");
}

TEST(each_attempt_needs_a_retry_of_its_own)
{
    struct desk desk;
    struct err err = { 0 };
    desk_of_second_attempt(&desk);
    struct run *run = lab_run(&desk.bench.lab, true); /* the attempt before, which ended */
    run_close(&run);
    CHECK_OK(consent_retry_used(desk.bench.lab.journal, "run1", 9, &err), err);
    desk.order.attempt = 3;
    retry(&desk, ANN, NULL);
    CHECK_INT(judge(&desk, &err), -FAIL_STALE);
    CHECK_HAS(err.text, "the attempt before stood on 9");
    err_clear(&err);
    Confleet__Decision newer = decision(&desk, "retry");
    newer.serial = 10;
    retry(&desk, ANN, &newer);
    CHECK_OK(judge(&desk, &err), err);
    desk_close(&desk);
}
