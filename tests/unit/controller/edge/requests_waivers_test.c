/* Waivers as the controller takes them, who sees them where, and the checks that are kept. */
#include "work.h"

#include "confleet/waiver.h"

#define HOUR_MS (3600LL * 1000)

static struct fleet fleet;
static struct draft decided;

struct wish {
    const char *site, *check, *reason, *kind, *stage;
    int64_t for_ms;
};

static const Confleet__Reply *waive_as(const struct keys *keys, struct wish wish)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskDecide ask = CONFLEET__ASK_DECIDE__INIT;
    decision.format = 1;
    decision.fleet = fleet.join.fleet;
    decision.kind = word(wish.kind ? wish.kind : "waive");
    decision.stage = word(wish.stage ? wish.stage : "");
    decision.site = word(wish.site);
    decision.check = word(wish.check);
    decision.reason = word(wish.reason);
    decision.serial = ++fleet.serial;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + wish.for_ms;
    text_sign(&decided, keys, SIGN_CONTEXT_DECISION, &decision.base);
    ask.decision = &decided.text;
    request.what_case = CONFLEET__REQUEST__WHAT_WAIVE;
    request.waive = &ask;
    return end_ask(&fleet.anna, &request);
}

static const Confleet__Reply *waive(struct wish wish)
{
    return waive_as(&fleet.anna.keys, wish);
}

static void begin(void)
{
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
}

static void finish(void)
{
    fleet_close(&fleet);
    str_free(&decided.payload);
    decided = (struct draft){ 0 };
}

static const Confleet__SiteView *site_shown(const char *name)
{
    return good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, name))->sites[0];
}

static const Confleet__Order *order_check(const char *site, int64_t timeout_ms, const char **ret_job)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskCheck check = CONFLEET__ASK_CHECK__INIT;
    char *sites[] = { word(site) };
    check.n_sites = 1;
    check.sites = sites;
    check.timeout_ms = timeout_ms;
    request.what_case = CONFLEET__REQUEST__WHAT_CHECK;
    request.check = &check;
    *ret_job = word(good(end_ask(&fleet.anna, &request))->job->id);
    return hear_order(&fleet.agent);
}

TEST(a_waiver_is_kept_shown_everywhere_sent_along_and_audited)
{
    const char *job = NULL;
    begin();
    const Confleet__Reply *reply =
        good(waive((struct wish){ "docs", "heap", "agreed", NULL, NULL, HOUR_MS }));
    CHECK_INT(reply->n_waivers, 1);
    CHECK_STR(reply->waivers[0]->by, "anna");
    CHECK_INT(audited(&fleet, "waive", "heap of site docs stops nothing until"), 1);
    CHECK_INT(site_shown("docs")->n_waivers, 1);
    CHECK_STR(site_shown("docs")->waivers[0]->reason, "agreed");
    CHECK_INT(site_shown("help")->n_waivers, 0);
    reply = good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_WAIVER_LIST, ""));
    CHECK_INT(reply->n_waivers, 1);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_WAIVER_LIST, "help"))->n_waivers,
              0);
    /* A list of sites is what a plan is made from. */
    reply = good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST));
    CHECK_INT(reply->sites[0]->n_waivers + reply->sites[1]->n_waivers, 1);
    const Confleet__Order *order = order_check("docs", 0, &job);
    CHECK_INT(order->check->n_waivers, 1);
    CHECK_INT(order->check->waivers[0]->payload.len, decided.payload.len);
    CHECK(memcmp(order->check->waivers[0]->payload.data, decided.payload.s, decided.payload.len) ==
          0);
    finish();
}

TEST(a_waiver_of_a_form_that_is_not_right_is_refused)
{
    CLEANUP(free_mem) char *lengthy = text_printf("%0*d", WAIVER_REASON_MAX + 1, 1);
    begin();
    const struct {
        struct wish wish;
        int code;
        const char *says;
    } bad[] = {
        { { "docs", "backup-dir", "x", NULL, NULL, HOUR_MS }, FAIL_DENIED, "cannot be waived" },
        { { "docs", "clone-database", "x", NULL, NULL, HOUR_MS }, FAIL_DENIED, "cannot be waived" },
        { { "docs", "heap", "", NULL, NULL, HOUR_MS }, FAIL_USAGE, "reason" },
        { { "docs", "heap", lengthy, NULL, NULL, HOUR_MS }, FAIL_LIMIT, "500 bytes" },
        { { "docs", "heap", "x", NULL, NULL, WAIVER_MAX_MS + 1 }, FAIL_LIMIT, "days at most" },
        { { "nowhere", "heap", "x", NULL, NULL, HOUR_MS }, FAIL_NOT_FOUND, "no site" },
        { { "docs", "", "x", NULL, NULL, HOUR_MS }, FAIL_USAGE, "a check" },
        { { "docs", "heap", "x", NULL, "test", HOUR_MS }, FAIL_USAGE, "not for a plan or a stage" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const Confleet__Reply *reply = waive(bad[i].wish);
        CHECK_INT(reply->code, bad[i].code);
        CHECK_HAS(reply->message, bad[i].says);
    }
    CHECK(waive((struct wish){ "docs", "heap", "x", "approve", NULL, HOUR_MS })->code != 0);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_WAIVER_LIST, ""))->n_waivers, 0);
    CHECK_INT(audited(&fleet, "waive", ""), 0);
    finish();
}

TEST(a_waiver_counts_by_its_signer_and_until_it_is_lifted_or_over)
{
    struct keys vera;
    struct err err = { 0 };
    begin();
    const Confleet__Reply *reply =
        good(ask_token(&fleet.anna, false, "vera", 60, CONFLEET__ROLE__VIEWER));
    fleet_enrol(&fleet, reply->token->token.data, "vera", &vera, true);
    const struct wish wish = { "docs", "heap", "agreed", NULL, NULL, HOUR_MS };
    CHECK_INT(waive_as(&vera, wish)->code, FAIL_DENIED);
    good(waive(wish));
    good(waive((struct wish){ "docs", "memory", "agreed", NULL, NULL, HOUR_MS }));
    CHECK_INT(site_shown("docs")->n_waivers, 2);
    good(waive((struct wish){ "docs", "heap", "more memory came", NULL, NULL, -1000 }));
    CHECK_INT(site_shown("docs")->n_waivers, 1);
    CHECK_STR(site_shown("docs")->waivers[0]->check, "memory");
    CHECK_INT(audited(&fleet, "unwaive", "heap of site docs counts again"), 1);
    CHECK_INT(waive((struct wish){ "docs", "heap", "x", NULL, NULL, -1000 })->code, FAIL_NOT_FOUND);
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE waivers SET until_ms=1000", ""), err);
    CHECK_INT(site_shown("docs")->n_waivers, 0);
    finish();
}

TEST(a_check_that_no_finding_names_is_not_waived_and_no_waiver_comes_again)
{
    const char *job = NULL;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskDecide ask = CONFLEET__ASK_DECIDE__INIT;
    Confleet__Finding heap = CONFLEET__FINDING__INIT;
    begin();
    const char *id = word(order_check("docs", 0, &job)->id);
    say_order_ack(&fleet.agent, id, 0, "");
    heap.id = word("heap");
    heap.severity = CONFLEET__SEVERITY__WARN;
    heap.title = word("Memory for Java");
    CHECK_INT(say_finding(&fleet.agent, (struct about){ 2, id, "docs", NULL }, &heap), 2);
    const Confleet__Reply *reply =
        waive((struct wish){ "docs", "haep", "agreed", NULL, NULL, HOUR_MS });
    CHECK_INT(reply->code, FAIL_NOT_FOUND);
    CHECK_HAS(reply->message, "the last check of site docs has no finding haep");
    CHECK_INT(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_WAIVER_LIST, "nowhere")->code,
              FAIL_NOT_FOUND);
    good(waive((struct wish){ "docs", "heap", "agreed", NULL, NULL, HOUR_MS }));
    ask.decision = &decided.text; /* the very same bytes */
    request.what_case = CONFLEET__REQUEST__WHAT_WAIVE;
    request.waive = &ask;
    CHECK(end_ask(&fleet.anna, &request)->code != 0);
    CHECK_INT(site_shown("docs")->n_waivers, 1);
    finish();
}

TEST(a_rollout_shows_the_waivers_of_its_own_sites_and_a_site_its_rollouts)
{
    struct draft d = { 0 };
    begin();
    CHECK_INT(site_shown("docs")->n_passages, 0);
    good(waive((struct wish){ "help", "heap", "agreed", NULL, NULL, HOUR_MS }));
    draft_make(&d, &fleet, 2);
    good(draft_apply(&d, &fleet));
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_INT(view->sites[0]->n_waivers, 0);
    CHECK_INT(view->sites[1]->n_waivers, 1);
    CHECK_STR(view->sites[1]->waivers[0]->check, "heap");
    const Confleet__SiteView *site = site_shown("docs");
    CHECK_INT(site->n_passages, 1);
    CHECK_STR(site->passages[0]->rollout, d.id);
    CHECK_STR(site->passages[0]->stage, "test");
    CHECK_STR(site->passages[0]->from_version, "9.2.1");
    finish();
    str_free(&d.payload);
}

TEST(checks_are_kept_newest_first_and_a_site_that_is_not_there_is_named)
{
    const char *job = NULL;
    uint64_t seq = 2;
    begin();
    CHECK_INT(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_CHECK_HISTORY, "nowhere")->code,
              FAIL_NOT_FOUND);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_CHECK_HISTORY, "docs"))->n_checks,
              0);
    const Confleet__Severity severities[] = { CONFLEET__SEVERITY__BLOCK, CONFLEET__SEVERITY__OK };
    for (size_t i = 0; i < 2; i++) {
        const Confleet__Order *order = order_check("docs", 0, &job);
        const char *id = word(order->id);
        say_order_ack(&fleet.agent, id, 0, "");
        CHECK_INT(say_check(&fleet.agent, (struct about){ seq, id, "docs", NULL }, severities[i]),
                  seq);
        CHECK_INT(say_done(&fleet.agent, (struct about){ seq + 1, id, "docs", NULL }, 0, ""),
                  seq + 1);
        seq += 2;
    }
    const Confleet__Reply *reply =
        good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_CHECK_HISTORY, "docs"));
    CHECK_INT(reply->n_checks, 2);
    CHECK_INT(reply->checks[0]->findings[0]->severity, CONFLEET__SEVERITY__OK);
    CHECK_INT(reply->checks[1]->findings[0]->severity, CONFLEET__SEVERITY__BLOCK);
    CHECK_STR(reply->checks[0]->cause, job);
    finish();
}

TEST(remarks_of_a_step_stand_with_the_run_and_are_no_check_of_the_site)
{
    struct draft d = { 0 };
    Confleet__Finding remark = CONFLEET__FINDING__INIT;
    begin();
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const char *id = word(hear_order(&fleet.agent)->id);
    say_order_ack(&fleet.agent, id, 0, "");
    struct about about = { 2, id, "docs", d.id };
    CHECK_INT(say_check(&fleet.agent, about, CONFLEET__SEVERITY__WARN), 2);
    remark.id = word("carry-unmerged");
    remark.severity = CONFLEET__SEVERITY__WARN;
    remark.title = word("files that were not carried over");
    about.seq = 3;
    CHECK_INT(say_finding(&fleet.agent, about, &remark), 3);
    about.seq = 4; /* looked at again right before the stop */
    CHECK_INT(say_check(&fleet.agent, about, CONFLEET__SEVERITY__OK), 4);
    const Confleet__RolloutSiteView *site = show(&fleet, d.id)->sites[0];
    CHECK_INT(site->n_findings, 2);
    CHECK_STR(site->findings[0]->id, "space");
    CHECK_INT(site->findings[0]->severity, CONFLEET__SEVERITY__OK);
    CHECK_STR(site->findings[1]->id, "carry-unmerged");
    CHECK_INT(site_shown("docs")->n_findings, 1);
    CHECK_STR(site_shown("docs")->findings[0]->id, "space");
    const Confleet__Reply *reply =
        good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_CHECK_HISTORY, "docs"));
    CHECK_INT(reply->n_checks, 2);
    CHECK_STR(reply->checks[0]->target, "9.2.3");
    CHECK_STR(reply->checks[0]->cause, d.id);
    finish();
    str_free(&d.payload);
}

TEST(a_check_that_is_not_answered_in_time_ends_silent_and_says_why)
{
    static const char *const says[] = { "did not take the order in time",
                                        "took the order and did not answer in time" };
    struct err err = { 0 };
    begin();
    for (size_t i = 0; i < 2; i++) {
        const char *job = NULL;
        const Confleet__Order *order = order_check(i == 0 ? "docs" : "help", HOUR_MS, &job);
        if (i == 1)
            say_order_ack(&fleet.agent, order->id, 0, "");
        Confleet__Request request = CONFLEET__REQUEST__INIT;
        Confleet__AskJob ask = CONFLEET__ASK_JOB__INIT;
        ask.id = word(job);
        request.what_case = CONFLEET__REQUEST__WHAT_JOB;
        request.job = &ask;
        const Confleet__JobView *view = good(end_ask(&fleet.anna, &request))->job;
        CHECK_STR(view->state, "running");
        CHECK_INT(view->deadline_ms, view->created_ms + HOUR_MS);
        CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE jobs SET deadline_ms=1", ""), err);
        for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
             strcmp(view->state, "running") == 0 && clock_mono_ms() < until_ms;)
            view = good(end_ask(&fleet.anna, &request))->job;
        CHECK_STR(view->state, "failed");
        CHECK_STR(view->sites[0]->state, "silent");
        CHECK_HAS(view->sites[0]->message, says[i]);
    }
    finish();
}
