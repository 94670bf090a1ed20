#include "bench.h"

/* What the agent says to the plan, signed by those. */
static int judge(struct bench *bench, unsigned who, struct err *err)
{
    Confleet__OrderUpgrade order = CONFLEET__ORDER_UPGRADE__INIT;
    bench->text = (struct signed_text){ 0 };
    text_sign(&bench->text, &bench->signers, who, SIGN_CONTEXT_PLAN, &bench->lab.plan);
    order.plan = &bench->text.text;
    order.site = lend("wiki");
    order.attempt = 1;
    return trust_plan(&bench->trust, bench->arena, &order, clock_wall_ms(), &bench->trusted, err);
}

static void check_refused(void (*change)(Confleet__Plan *plan), int code, const char *words)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, change);
    CHECK_INT(judge(&bench, ANN, &err), -code);
    CHECK_HAS(err.text, words);
    CHECK_INT(lab_serial(&bench.lab), 0);
    bench_close(&bench);
}

TEST(a_plan_signed_by_a_trusted_operator_is_taken)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    CHECK_OK(judge(&bench, ANN, &err), err);
    CHECK_STR(bench.trusted.installation->install, "/opt/conf");
    CHECK_STR(bench.trusted.stage->name, "test");
    bench_close(&bench);
}

TEST(a_plan_without_a_trusted_signature_is_refused)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    CHECK_INT(judge(&bench, 0, &err), -FAIL_SIGNATURE);
    err_clear(&err);
    CHECK_INT(judge(&bench, EVE, &err), -FAIL_SIGNATURE);
    CHECK_HAS(err.text, "signed by 0 of the keys");
    bench_close(&bench);
}

TEST(one_wrong_bit_in_the_signature_or_the_plan_is_refused)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    CHECK_OK(judge(&bench, ANN, &err), err);
    Confleet__OrderUpgrade order = CONFLEET__ORDER_UPGRADE__INIT;
    order.plan = &bench.text.text;
    order.site = lend("wiki");
    bench.text.values[0][5] ^= 1;
    CHECK_INT(trust_plan(&bench.trust, bench.arena, &order, clock_wall_ms(), &bench.trusted, &err),
              -FAIL_SIGNATURE);
    bench.text.values[0][5] ^= 1;
    err_clear(&err);
    bench.lab.plan.s[9] ^= 1;
    CHECK_INT(trust_plan(&bench.trust, bench.arena, &order, clock_wall_ms(), &bench.trusted, &err),
              -FAIL_SIGNATURE);
    bench_close(&bench);
}

TEST(a_decision_s_signature_is_none_for_a_plan)
{
    struct bench bench;
    struct err err = { 0 };
    Confleet__OrderUpgrade order = CONFLEET__ORDER_UPGRADE__INIT;
    bench_open(&bench, NULL);
    text_sign(&bench.text, &bench.signers, ANN, SIGN_CONTEXT_DECISION, &bench.lab.plan);
    order.plan = &bench.text.text;
    order.site = lend("wiki");
    CHECK_INT(trust_plan(&bench.trust, bench.arena, &order, clock_wall_ms(), &bench.trusted, &err),
              -FAIL_SIGNATURE);
    bench_close(&bench);
}

TEST(two_signatures_means_two_different_keys)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    bench.lab.config.policy.signatures = 2;
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_SIGNATURE);
    err_clear(&err);
    CHECK_OK(judge(&bench, ANN | BOB, &err), err);
    struct join_trust *trust = bench.signers.controller.trust;
    trust[1] = trust[0]; /* the same key under a second name */
    (void)snprintf(trust[1].name, sizeof trust[1].name, "ann-again");
    CHECK_INT(judge(&bench, ANN | BOB, &err), -FAIL_SIGNATURE);
    CHECK_HAS(err.text, "signed by 1 of the keys");
    bench_close(&bench);
}

TEST(a_viewer_cannot_sign)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    (void)snprintf(bench.signers.controller.trust[0].role, 16, "viewer");
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_SIGNATURE);
    bench_close(&bench);
}

static void another_fleet(Confleet__Plan *plan)
{
    plan->fleet = lend("fleet2");
}
static void another_format(Confleet__Plan *plan)
{
    plan->format = 2;
}
static void expired(Confleet__Plan *plan)
{
    plan->expires_ms = clock_wall_ms() - 1;
}
static void from_the_future(Confleet__Plan *plan)
{
    plan->created_ms = clock_wall_ms() + 3600 * 1000;
}
static void another_agent(Confleet__Plan *plan)
{
    plan->stages[0]->sites[0]->nodes[0]->agent = lend("server2");
}
static void another_installation(Confleet__Plan *plan)
{
    plan->stages[0]->sites[0]->nodes[0]->installation = lend("other-00000000");
}
static void another_site(Confleet__Plan *plan)
{
    plan->stages[0]->sites[0]->name = lend("blog");
}
static void another_build(Confleet__Plan *plan)
{
    plan->stages[0]->sites[0]->from_build = 9000;
}
static void no_node(Confleet__Plan *plan)
{
    plan->stages[0]->sites[0]->n_nodes = 0;
}
static void weak_backup(Confleet__Plan *plan)
{
    plan->backup_level = CONFLEET__BACKUP_LEVEL__RE_READ;
}
static void strange_failure(Confleet__Plan *plan)
{
    plan->on_failure = lend("ignore");
}
static void no_size(Confleet__Plan *plan)
{
    plan->release->artifact_size = 0;
}
TEST(each_flaw_of_a_plan_is_refused_in_its_own_words)
{
    check_refused(another_fleet, FAIL_MISMATCH, "fleet fleet2");
    check_refused(another_format, FAIL_PROTOCOL, "format 2");
    check_refused(expired, FAIL_EXPIRED, "expired at");
    check_refused(from_the_future, FAIL_EXPIRED, "in the future");
    check_refused(another_agent, FAIL_NOT_FOUND,
                  "gives site wiki to agent server2; this agent is server1");
    check_refused(another_installation, FAIL_NOT_FOUND,
                  "other-00000000, which is not on this server");
    check_refused(another_site, FAIL_NOT_FOUND, "does not name site wiki");
    check_refused(another_build, FAIL_MISMATCH, "build 9012 is installed");
    check_refused(no_node, FAIL_UNSUPPORTED, "0 nodes");
    check_refused(weak_backup, FAIL_DENIED, "proven by restoring");
    check_refused(strange_failure, FAIL_PROTOCOL, "on_failure is 'ignore'");
    check_refused(no_size, FAIL_PROTOCOL, "digest and size");
}

TEST(an_old_serial_is_refused_and_the_same_plan_is_not)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 8, &err), err);
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_STALE);
    CHECK_HAS(err.text, "serial 7, this agent has seen 8");
    bench_close(&bench);

    bench_open(&bench, NULL);
    err_clear(&err);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 7, &err), err);
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_STALE);
    err_clear(&err);
    struct run *run = lab_run(&bench.lab, true); /* as if this very plan had been taken before */
    run_close(&run);
    CHECK_OK(judge(&bench, ANN, &err), err);
    bench_close(&bench);
}

/* Two rollouts at once: the newer one was first at another installation of this agent. */
TEST(a_newer_plan_of_another_installation_does_not_outdate_this_one)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    CHECK_OK(journal_serial_set(bench.lab.journal, "other-00000000", 8, &err), err);
    CHECK_OK(judge(&bench, ANN, &err), err);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 6, &err), err);
    CHECK_OK(judge(&bench, ANN, &err), err);
    /* The very plan that another installation took is no proof for this one. */
    struct run *run = lab_run(&bench.lab, true);
    run_close(&run);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 7, &err), err);
    CHECK_OK(judge(&bench, ANN, &err), err);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 8, &err), err);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 2, &err), err);
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_STALE);
    CHECK_HAS(err.text, "this agent has seen 8 for /opt/conf already");
    bench_close(&bench);
}

TEST(a_stale_plan_is_called_stale_also_when_its_builds_do_not_fit_any_more)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, another_build);
    CHECK_OK(journal_serial_set(bench.lab.journal, "conf-12345678", 8, &err), err);
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_STALE);
    bench_close(&bench);
}

TEST(a_cluster_node_is_refused)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    bench.installation.clustered = true;
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_UNSUPPORTED);
    bench_close(&bench);
}

TEST(the_local_policy_has_the_last_word)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench, NULL);
    struct policy *policy = &bench.lab.config.policy;
    policy->version_to = text_dup("9.2.4");
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "policy.version_to 9.2.4");
    free(policy->version_to);
    policy->version_to = text_dup("9.2.13");
    err_clear(&err);
    CHECK_OK(judge(&bench, ANN, &err), err);
    policy->version_from = text_dup("9.10");
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    free_mem(&policy->version_from);
    err_clear(&err);
    policy->min_soak_ms = 2000;
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "min_soak");
    policy->min_soak_ms = 0;
    err_clear(&err);
    policy->hold_file = text_dup("/dev/null");
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "remove /dev/null");
    free_mem(&policy->hold_file);
    err_clear(&err);
    ((char **)policy->installations.items)[0][1] = 'x';
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "policy.installations");
    err_clear(&err);
    ((char **)policy->operations.items)[0][0] = 'x';
    CHECK_INT(judge(&bench, ANN, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "policy.operations");
    bench_close(&bench);
}

struct verdict {
    int result;
    struct err err;
    struct trusted_decision trusted;
};

static struct verdict decide(struct bench *bench, unsigned who, const Confleet__Decision *decision)
{
    struct verdict verdict = { 0 };
    struct signed_text text = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    struct decision_about about = { decision->plan_sha256[0] == 'b' ? "aa" : decision->plan_sha256,
                                    "test", "wiki", "/opt/conf", clock_wall_ms() };
    wire_encode(&decision->base, &bytes);
    text_sign(&text, &bench->signers, who, SIGN_CONTEXT_DECISION, &bytes);
    verdict.result = trust_decision(&bench->trust, bench->arena, &text.text, &about,
                                    clock_wall_ms(), &verdict.trusted, &verdict.err);
    return verdict;
}

TEST(decisions_are_judged_like_plans)
{
    struct bench bench;
    bench_open(&bench, NULL);
    Confleet__Decision good = CONFLEET__DECISION__INIT;
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("a", 1, sha256);
    sha256[0] = 'c';
    good.format = 1;
    good.fleet = lend("fleet1");
    good.plan_sha256 = sha256;
    good.kind = lend("rollback");
    good.site = lend("wiki");
    good.serial = 9;
    good.created_ms = clock_wall_ms();
    good.expires_ms = good.created_ms + 60000;
    struct verdict verdict = decide(&bench, ANN, &good);
    CHECK_OK(verdict.result, verdict.err);
    CHECK_INT(verdict.trusted.kind, DECIDE_ROLLBACK);
    CHECK_INT(decide(&bench, EVE, &good).result, -FAIL_SIGNATURE);
    Confleet__Decision bad = good;
    bad.site = lend("blog");
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_MISMATCH);
    bad = good, bad.stage = lend("production");
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_MISMATCH);
    bad = good, bad.fleet = lend("fleet2");
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_MISMATCH);
    bad = good, bad.expires_ms = 1;
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_EXPIRED);
    bad = good, bad.created_ms -= 3600 * 1000;
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_STALE);
    static const char *const not_for_agents[] = { "approve", "retry",
                                                  "pause",   "resume", "explode" };
    for (size_t i = 0; i < sizeof not_for_agents / sizeof *not_for_agents; i++) {
        bad = good, bad.kind = lend(not_for_agents[i]);
        verdict = decide(&bench, ANN, &bad);
        CHECK_INT(verdict.result, -FAIL_UNSUPPORTED);
        CHECK_HAS(verdict.err.text, "is no decision that an agent acts upon");
    }
    bad = good, bad.kind = lend("abort"), bad.site = lend("");
    verdict = decide(&bench, ANN, &bad); /* of the whole rollout */
    CHECK_OK(verdict.result, verdict.err);
    CHECK_INT(verdict.trusted.kind, DECIDE_ABORT);
    char other[HASH_HEX_MAX];
    memcpy(other, sha256, sizeof other);
    other[0] = 'b';
    bad = good, bad.plan_sha256 = other;
    CHECK_INT(decide(&bench, ANN, &bad).result, -FAIL_MISMATCH);
    struct err err = { 0 };
    CHECK_OK(journal_decision_set(bench.lab.journal, 10, &err), err);
    CHECK_INT(decide(&bench, ANN, &good).result, -FAIL_STALE);
    bench_close(&bench);
}
