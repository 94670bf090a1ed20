/* What is wrong with a plan is said, recorded, and has no effect. */
#include "work.h"

static struct fleet fleet;

static void refuse(struct draft *d, const struct keys *keys, int code, const char *words)
{
    text_sign(d, keys, SIGN_CONTEXT_PLAN, &d->plan.base);
    const Confleet__Reply *reply = ask_apply_as(&fleet.anna, d, NULL);
    CHECK_INT(reply->code, code);
    CHECK_HAS(reply->message, words);
    CHECK_INT(audited(&fleet, "request-refused", words) > 0, 1);
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST))->n_rollouts, 0);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1));
    str_free(&d->payload);
}

#define SPOILED(change, code, words)                                                               \
    do {                                                                                           \
        struct draft d = { 0 };                                                                    \
        draft_make(&d, &fleet, 2);                                                                 \
        change;                                                                                    \
        refuse(&d, &fleet.anna.keys, code, words);                                                 \
    } while (0)

TEST(each_wrong_plan_has_its_own_answer_and_no_effect)
{
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
    SPOILED(d.plan.format = 2, FAIL_UNSUPPORTED, "format 2");
    SPOILED(d.plan.fleet = word("fleet-of-others"), FAIL_MISMATCH, "for the fleet fleet-of-others");
    SPOILED(d.plan.serial = 0, FAIL_STALE, "serial is 0");
    SPOILED(d.plan.serial = INT64_MAX, FAIL_LIMIT, "leaps ahead");
    SPOILED(d.plan.serial = UINT64_C(1) << 63, FAIL_LIMIT, "above 2^63-1");
    SPOILED(d.plan.expires_ms = 1000, FAIL_EXPIRED, "it expired at 1970-01-01");
    SPOILED(d.plan.created_ms += 3600000, FAIL_STALE, "still to come");
    SPOILED(d.plan.n_stages = 0, FAIL_USAGE, "no stage");
    SPOILED(d.stage.n_sites = 0, FAIL_USAGE, "has no site");
    SPOILED(d.plan.id = word("../x"), FAIL_USAGE, "no name");
    SPOILED(d.plan.backup_level = CONFLEET__BACKUP_LEVEL__RE_READ, FAIL_DENIED, "restored once");
    SPOILED(d.plan.on_failure = word("ignore"), FAIL_USAGE, "on_failure");
    SPOILED(d.release.version = word("9.9.9"), FAIL_NOT_FOUND, "release 9.9.9 is not known");
    SPOILED(d.release.build++, FAIL_MISMATCH, "differs from that of the catalogue");
    SPOILED(d.release.artifact_size++, FAIL_MISMATCH, "differs from that of the catalogue");
    SPOILED(d.sha256[0] = d.sha256[0] == 'a' ? 'b' : 'a', FAIL_MISMATCH,
            "differs from that of the catalogue");
    SPOILED(d.sites[0].name = word("nowhere"), FAIL_NOT_FOUND, "no site is called nowhere");
    SPOILED(d.sites[1].name = word("docs"), FAIL_USAGE, "docs is in the plan 2 times");
    SPOILED(d.nodes[0].installation = word("conf-2"), FAIL_STALE,
            "docs is wiki1:conf-1 in the inventory");
    SPOILED(d.sites[0].n_nodes = 0, FAIL_BLOCKED, "exactly one");
    SPOILED(d.sites[0].from_build++, FAIL_STALE, "build 9012");
    SPOILED(d.sites[0].env = word("production"), FAIL_STALE, "env is 'test'");
    SPOILED(d.stage.needs_covered = true, FAIL_BLOCKED, "needs a test site that covers it");
    SPOILED((d.stage.needs_covered = true, d.sites[0].covered_by = word("help")), FAIL_STALE,
            "covered by '' in the inventory, by 'help' in the plan");
    SPOILED(d.stage.needs_stage = word("before"), FAIL_USAGE, "does not come before");
    fleet_close(&fleet);
}

TEST(only_the_signature_of_an_operator_in_force_counts)
{
    struct keys stranger = { 0 }, otto = { 0 };
    struct err err = { 0 };
    struct draft d = { 0 };
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
    CHECK_OK(keys_make("x", &stranger, &err), err);
    draft_make(&d, &fleet, 1);
    refuse(&d, &stranger, FAIL_SIGNATURE, "belongs to no operator here");
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, false, "otto", 60, CONFLEET__ROLE__VIEWER));
    fleet_enrol(&fleet, reply->token->token.data, "otto", &otto, true);
    draft_make(&d, &fleet, 1);
    refuse(&d, &otto, FAIL_DENIED, "signed by otto, who has the role viewer");
    good(ask_revoke(&fleet.anna, false, "otto"));
    draft_make(&d, &fleet, 1);
    refuse(&d, &otto, FAIL_SIGNATURE, "key was revoked");

    draft_make(&d, &fleet, 1);
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_DECISION,
              &d.plan.base); /* signed as something else */
    CHECK_INT(ask_apply_as(&fleet.anna, &d, NULL)->code, FAIL_SIGNATURE);
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    d.payload.s[d.payload.len / 2] ^= 1; /* changed after it was signed */
    CHECK_INT(ask_apply_as(&fleet.anna, &d, NULL)->code, FAIL_SIGNATURE);
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    d.text.n_signatures = 0;
    CHECK_INT(ask_apply_as(&fleet.anna, &d, NULL)->code, FAIL_SIGNATURE);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(a_serial_is_taken_once_and_a_site_is_in_one_rollout_at_a_time)
{
    struct draft d = { 0 };
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    CHECK_INT(draft_apply(&d, &fleet)->code, FAIL_STALE);
    draft_make(&d, &fleet, 2);
    const Confleet__Reply *reply = draft_apply(&d, &fleet);
    CHECK_INT(reply->code, FAIL_BUSY);
    CHECK_HAS(reply->message, "site docs is still in rollout spring-1");
    reply = ask_site_set(&fleet.anna, "docs", "wiki1", "conf-1", NULL);
    CHECK_INT(reply->code, FAIL_BUSY);
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_SERIAL))->serial->next, 2);
    str_free(&d.payload);
    fleet_close(&fleet);
}
