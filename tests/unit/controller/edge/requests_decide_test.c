/* What people decide about a rollout under way: by role, signed, audited, and told to the agents.
 */
#include "work.h"

#include "controller/edge/store_rollouts.h"

static struct fleet fleet;
static struct draft decided;
static char sha256[65];

static struct draft *plan_apply(struct draft *d, size_t sites)
{
    good(draft_apply(d, &fleet));
    (void)sites;
    (void)snprintf(sha256, sizeof sha256, "%s", show(&fleet, d->id)->plan_sha256);
    return d;
}

static const char *decide_reason = "as agreed";

static const Confleet__Reply *decide_as(const struct keys *keys, const char *rollout,
                                        const char *kind, const char *stage, const char *site)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskDecide ask = CONFLEET__ASK_DECIDE__INIT;
    decision.format = 1;
    decision.fleet = fleet.join.fleet;
    decision.plan_sha256 = sha256;
    decision.kind = word(kind);
    decision.stage = word(stage);
    decision.site = word(site);
    decision.reason = word(decide_reason);
    decision.serial = ++fleet.serial;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    text_sign(&decided, keys, SIGN_CONTEXT_DECISION, &decision.base);
    ask.decision = &decided.text;
    ask.rollout = word(rollout);
    request.what_case = CONFLEET__REQUEST__WHAT_DECIDE;
    request.decide = &ask;
    return end_ask(&fleet.anna, &request);
}

static const Confleet__Reply *decide(const char *rollout, const char *kind, const char *stage,
                                     const char *site)
{
    return decide_as(&fleet.anna.keys, rollout, kind, stage, site);
}

static void person_join(const char *name, Confleet__Role role, struct keys *keys)
{
    const Confleet__Reply *reply = good(ask_token(&fleet.anna, false, name, 60, role));
    fleet_enrol(&fleet, reply->token->token.data, name, keys, true);
}

static void begin(void)
{
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
}

static void finish(struct draft *d)
{
    str_free(&d->payload);
    str_free(&decided.payload);
    decided = (struct draft){ 0 };
    fleet_close(&fleet);
}

TEST(a_stage_waits_for_the_approval_of_somebody_else_and_the_order_carries_it)
{
    struct draft d = { 0 };
    struct keys otto = { 0 }, vera = { 0 }, olga = { 0 };
    begin();
    person_join("otto", CONFLEET__ROLE__APPROVER, &otto);
    person_join("vera", CONFLEET__ROLE__VIEWER, &vera);
    person_join("olga", CONFLEET__ROLE__OPERATOR, &olga);
    draft_make(&d, &fleet, 1);
    d.stage.needs_approvals = 1;
    plan_apply(&d, 1);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->stages[0]->state, "approval");
    CHECK_HAS(view->waiting_for, "waits for 1 approval");
    CHECK_INT(view->stages[0]->approvals_needed, 1);
    const Confleet__Reply *reply = decide(d.id, "approve", "test", "");
    CHECK_INT(reply->code, FAIL_DENIED);
    CHECK_HAS(reply->message, "anna signed this plan and may not approve");
    CHECK_INT(decide_as(&vera, d.id, "approve", "test", "")->code, FAIL_DENIED);
    reply = decide_as(&olga, d.id, "approve", "test", "");
    CHECK_HAS(reply->message, "olga has the role operator: approve needs approver or admin");
    CHECK_INT(decide_as(&otto, d.id, "approve", "prod", "")->code, FAIL_NOT_FOUND);
    CHECK_INT(decide_as(&otto, d.id, "pause", "", "")->code, FAIL_DENIED);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1));
    view = good(decide_as(&otto, d.id, "approve", "test", ""))->rollouts[0];
    CHECK_STR(view->stages[0]->state, "running");
    CHECK_INT(view->stages[0]->n_approved_by, 1);
    CHECK_STR(view->stages[0]->approved_by[0], "otto");
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->upgrade->n_approvals, 1);
    CHECK_INT(
        memcmp(order->upgrade->approvals[0]->payload.data, decided.payload.s, decided.payload.len),
        0);
    CHECK_INT(decide_as(&otto, d.id, "approve", "test", "")->code, FAIL_EXISTS);
    finish(&d);
}

TEST(who_is_alone_may_approve_his_own_plan_and_it_is_said)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    d.stage.needs_approvals = 1;
    plan_apply(&d, 1);
    good(decide(d.id, "approve", "test", ""));
    CHECK_INT(hear_order(&fleet.agent)->upgrade->n_approvals, 1);
    CHECK_INT(audited(&fleet, "approval-alone", "being the only operator known"), 1);
    finish(&d);
}

TEST(where_two_are_needed_nobody_approves_a_plan_of_his_own)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    d.stage.needs_approvals = 2;
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    struct rollout_new new = { &d.plan, &d.text, AUDIT_ZERO, "anna" };
    struct err err = { 0 };
    CHECK_OK(rollout_put(fleet.daemon->store, &new, &err), err);
    (void)snprintf(sha256, sizeof sha256, "%s", show(&fleet, d.id)->plan_sha256);
    const Confleet__Reply *reply = decide(d.id, "approve", "test", "");
    CHECK_INT(reply->code, FAIL_DENIED);
    CHECK_HAS(reply->message, "anna signed this plan and may not approve stage test");
    CHECK_INT(show(&fleet, d.id)->stages[0]->approvals, 0);
    finish(&d);
}

TEST(an_approval_ends_with_its_time_and_with_its_person)
{
    struct draft d = { 0 };
    struct keys otto = { 0 }, oscar = { 0 };
    struct err err = { 0 };
    begin();
    person_join("otto", CONFLEET__ROLE__APPROVER, &otto);
    person_join("oscar", CONFLEET__ROLE__APPROVER, &oscar);
    draft_make(&d, &fleet, 1);
    d.stage.needs_approvals = 2;
    plan_apply(&d, 1);
    good(decide_as(&otto, d.id, "approve", "test", ""));
    CHECK_INT(show(&fleet, d.id)->stages[0]->approvals, 1);
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE approvals SET expires_ms=1000", ""),
             err);
    CHECK_INT(show(&fleet, d.id)->stages[0]->approvals, 0);
    good(decide_as(&oscar, d.id, "approve", "test", ""));
    CHECK_INT(show(&fleet, d.id)->stages[0]->approvals, 1);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1));
    good(ask_revoke(&fleet.anna, false, "oscar"));
    CHECK_INT(show(&fleet, d.id)->stages[0]->approvals, 0);
    CHECK_STR(show(&fleet, d.id)->stages[0]->state, "approval");
    finish(&d);
}

TEST(a_pause_and_its_end_survive_a_restart)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 2);
    plan_apply(&d, 2);
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    good(decide(d.id, "pause", "", ""));
    CHECK_INT(decide(d.id, "pause", "", "")->code, FAIL_CONFLICT);
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_COMMITTED, ""),
              2);
    fleet_restart(&fleet);
    CHECK_INT(end_greet(&fleet.agent, 2, 2)->event_acked, 2);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1500));
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK(view->paused);
    CHECK_STR(view->reason, "paused by anna: as agreed");
    CHECK_STR(view->sites[1]->state, "queued");
    good(decide(d.id, "resume", "", ""));
    CHECK_STR(hear_order(&fleet.agent)->upgrade->site, "help");
    finish(&d);
}

TEST(a_failed_site_is_tried_again_by_a_signed_decision_and_another_is_skipped)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 2);
    plan_apply(&d, 2);
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(decide(d.id, "retry", "", "docs")->code, FAIL_CONFLICT);
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_ROLLED_BACK, "its schema task failed"),
              2);
    CHECK_STR(show(&fleet, d.id)->state, "halted");
    struct err err = { 0 };
    const Confleet__Reply *reply = NULL;
    CHECK_INT(decide(d.id, "skip", "", "nowhere")->code, FAIL_NOT_FOUND);
    decide_reason = "";
    reply = decide(d.id, "skip", "", "help");
    decide_reason = "as agreed";
    CHECK_INT(reply->code, FAIL_USAGE);
    CHECK_HAS(reply->message, "skipping site help needs a reason");
    CHECK_STR(show(&fleet, d.id)->sites[1]->state, "queued");
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE rollouts SET aborted=1", ""), err);
    reply = decide(d.id, "retry", "", "docs");
    CHECK_INT(reply->code, FAIL_CANCELLED);
    CHECK_HAS(reply->message, "was aborted: make a new plan for site docs");
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE rollouts SET aborted=0", ""), err);
    good(decide(d.id, "retry", "", "docs"));
    good(decide(d.id, "skip", "", "help"));
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_INT(view->sites[0]->attempt, 2);
    CHECK_STR(view->sites[0]->reason, "attempt 2, decided by anna: as agreed");
    CHECK_STR(view->sites[1]->state, "skipped");
    CHECK_STR(view->sites[1]->reason, "skipped by anna: as agreed");
    good(decide(d.id, "resume", "", ""));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->upgrade->attempt, 2);
    CHECK(order->upgrade->retry);
    /* A word about the first attempt is history now. */
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 3, "", "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_HELD, "late"),
              3);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    finish(&d);
}

TEST(nothing_is_tried_again_on_a_plan_that_has_expired)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    d.plan.expires_ms = d.plan.created_ms + 3000;
    plan_apply(&d, 1);
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_ROLLED_BACK, "its schema task failed"),
              2);
    int64_t end_ms = d.plan.expires_ms;
    while (clock_wall_ms() <= end_ms)
        fleet_turn(&fleet);
    const Confleet__Reply *reply = decide(d.id, "retry", "", "docs");
    CHECK_INT(reply->code, FAIL_EXPIRED);
    CHECK_HAS(reply->message, "make a new plan for site docs");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "rolled-back");
    finish(&d);
}

TEST(an_abort_reaches_those_in_flight_and_is_for_good)
{
    struct draft d = { 0 };
    char id[64];
    begin();
    draft_make(&d, &fleet, 2);
    plan_apply(&d, 2);
    const Confleet__Order *order = hear_order(&fleet.agent);
    (void)snprintf(id, sizeof id, "%s", order->id);
    good(decide(d.id, "abort", "", ""));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    CHECK_STR(show(&fleet, d.id)->state, "running"); /* until the agent has answered */
    say_order_ack(&fleet.agent, order->id, FAIL_CONFLICT, "nothing of site docs is in flight here");
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->state, "halted");
    CHECK_STR(view->reason, "aborted by anna: as agreed");
    CHECK_STR(view->sites[0]->state, "queued");
    CHECK_INT(decide(d.id, "resume", "", "")->code, FAIL_CANCELLED);
    CHECK_INT(decide(d.id, "abort", "", "")->code, FAIL_CONFLICT);
    finish(&d);
}

/* Feeds the passing of time: the deadline of the order comes true at once. */
static void silence(const char *rollout)
{
    fleet.daemon->options.order_ms = 1;
    for (int64_t end_ms = clock_mono_ms() + FLEET_WAIT_MS;
         strcmp(show(&fleet, rollout)->sites[0]->state, "silent") != 0;) {
        CHECK(clock_mono_ms() < end_ms);
        fleet_turn(&fleet);
    }
    fleet.daemon->options.order_ms = 600000;
}

TEST(an_order_says_until_when_it_may_be_begun_and_a_silent_site_that_is_skipped_hears_of_it)
{
    struct draft d = { 0 };
    char id[64];
    begin();
    draft_make(&d, &fleet, 2);
    int64_t before_ms = clock_wall_ms();
    plan_apply(&d, 2);
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK(order->start_by_ms >= before_ms + 480000);
    CHECK(order->start_by_ms <= clock_wall_ms() + 480000); /* two minutes before it is silent */
    (void)snprintf(id, sizeof id, "%s", order->id);
    silence(d.id);
    good(decide(d.id, "skip", "", "docs"));
    good(decide(d.id, "skip", "", "help"));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    CHECK_INT(order->start_by_ms, 0);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 300)); /* none for help */
    /* The agent had the order all the time; its answer comes by report alone. */
    CHECK_INT(say_done(&fleet.agent, (struct about){ 2, id, "docs", "" }, FAIL_EXPIRED, "too late"),
              2);
    CHECK_INT(audited(&fleet, "order-refused", "upgrade for site docs"), 1);
    say_order_ack(&fleet.agent, id, FAIL_EXPIRED, "too late");
    /* What it had begun before is ended by the skip, which is no news. */
    CHECK_INT(say_done(&fleet.agent, (struct about){ 3, order->id, "docs", "" }, 0, "dropped"), 3);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->sites[0]->state, "skipped");
    CHECK_STR(view->sites[0]->reason, "skipped by anna: as agreed");
    CHECK_INT(audited(&fleet, "order-refused", ""), 1);
    finish(&d);
}

TEST(the_refusal_of_an_order_that_another_has_followed_does_not_end_the_new_attempt)
{
    struct draft d = { 0 };
    char id[64];
    begin();
    draft_make(&d, &fleet, 1);
    plan_apply(&d, 1);
    (void)snprintf(id, sizeof id, "%s", hear_order(&fleet.agent)->id);
    silence(d.id);
    good(decide(d.id, "retry", "", "docs"));
    good(decide(d.id, "resume", "", ""));
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->upgrade->attempt, 2);
    CHECK(order->start_by_ms > clock_wall_ms() + 400000); /* an instant of its own */
    say_order_ack(&fleet.agent, id, FAIL_EXPIRED, "too late");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "ordered");
    CHECK_INT(audited(&fleet, "order-refused", "too late"), 1);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    finish(&d);
}

TEST(the_way_back_of_an_earlier_attempt_is_believed_when_the_new_one_was_refused)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    plan_apply(&d, 1);
    (void)hear_order(&fleet.agent);
    silence(d.id);
    good(decide(d.id, "retry", "", "docs"));
    good(decide(d.id, "resume", "", ""));
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->upgrade->attempt, 2);
    say_order_ack(&fleet.agent, order->id, FAIL_CONFLICT, "a run is under way");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "refused");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, "", "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_COMMITTED, ""),
              2);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "committed");
    good(decide(d.id, "rollback", "", "docs"));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "undoing");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 3, "", "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_ROLLED_BACK, "decided by anna"),
              3);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "rolled-back");
    finish(&d);
}

TEST(a_silent_site_hears_of_an_abort_and_a_skipped_one_that_goes_on_is_at_work_again)
{
    struct draft d = { 0 };
    char id[64];
    begin();
    draft_make(&d, &fleet, 2);
    plan_apply(&d, 2);
    (void)snprintf(id, sizeof id, "%s", hear_order(&fleet.agent)->id);
    silence(d.id);
    good(decide(d.id, "skip", "", "docs"));
    const Confleet__Order *order = hear_order(&fleet.agent);
    struct about about = { 2, id, "docs", d.id };
    Confleet__Event event = event_about(about);
    Confleet__RunEvent run = CONFLEET__RUN_EVENT__INIT;
    run.state = CONFLEET__RUN_STATE__RUN_FORWARD;
    event.what_case = CONFLEET__EVENT__WHAT_RUN;
    event.run = &run;
    CHECK_INT(event_acked(&fleet.agent, &event), 2);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "skipped"); /* it has not heard of it yet */
    say_order_ack(&fleet.agent, order->id, FAIL_CONFLICT, "site docs was stopped already");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    finish(&d);

    begin();
    draft_make(&d, &fleet, 1);
    plan_apply(&d, 1);
    (void)hear_order(&fleet.agent);
    silence(d.id);
    good(decide(d.id, "abort", "", ""));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    finish(&d);
}

/* The agent keeps what it has: either it says so itself, or its refusal is all that comes. */
static void back_refused(bool reported, size_t sites, const char *state, const char *site_state,
                         const char *reason)
{
    struct draft d = { 0 };
    char id[64];
    begin();
    draft_make(&d, &fleet, sites);
    plan_apply(&d, sites);
    const Confleet__Order *order = hear_order(&fleet.agent);
    (void)snprintf(id, sizeof id, "%s", order->id);
    struct about about = { 2, id, "docs", d.id };
    say_order_ack(&fleet.agent, id, 0, "");
    CHECK_INT(say_run(&fleet.agent, about,
                      reported ? CONFLEET__RUN_STATE__RUN_COMMITTED
                               : CONFLEET__RUN_STATE__RUN_APPLIED,
                      ""),
              2);
    good(decide(d.id, "rollback", "", "docs"));
    do
        order = hear_order(&fleet.agent);
    while (order->what_case != CONFLEET__ORDER__WHAT_DECIDE);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "undoing");
    about.seq = 3;
    if (reported)
        CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_COMMITTED,
                          "not rolled back: the backup is gone"),
                  3);
    say_order_ack(&fleet.agent, order->id, FAIL_DENIED, "the backup is gone");
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->sites[0]->state, site_state);
    CHECK_STR(view->sites[0]->reason, "not rolled back: the backup is gone");
    CHECK_STR(view->state, state);
    CHECK_STR(view->reason, reason);
    finish(&d);
}

TEST(a_way_back_that_its_agent_refused_leaves_site_and_rollout_as_they_are)
{
    back_refused(true, 1, "done", "committed", "");
    back_refused(false, 1, "running", "soaking", "");
}

static const Confleet__Reply *ask_hold(const char *site, int64_t until_ms)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskHold ask = CONFLEET__ASK_HOLD__INIT;
    ask.site = word(site);
    ask.until_ms = until_ms;
    ask.reason = word("audit week");
    request.what_case = CONFLEET__REQUEST__WHAT_HOLD;
    request.hold = &ask;
    return end_ask(&fleet.anna, &request);
}

TEST(a_hold_keeps_a_site_from_starting_until_it_is_lifted)
{
    struct draft d = { 0 };
    begin();
    CHECK_INT(ask_hold("nowhere", clock_wall_ms() + 3600000)->code, FAIL_NOT_FOUND);
    CHECK_INT(ask_hold("docs", 1000)->code, FAIL_USAGE);
    CHECK_INT(ask_hold("docs", 0)->code, FAIL_NOT_FOUND);
    const Confleet__Reply *reply = good(ask_hold("", clock_wall_ms() + 3600000));
    CHECK_INT(reply->n_holds, 1);
    CHECK_STR(reply->holds[0]->by, "anna");
    draft_make(&d, &fleet, 1);
    plan_apply(&d, 1);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->stages[0]->state, "window");
    CHECK_HAS(view->stages[0]->reason, "site docs: on hold until");
    CHECK_HAS(view->stages[0]->reason, "(audit week); the next opening is at");
    CHECK_INT(good(ask_hold("", 0))->n_holds, 0);
    CHECK_STR(hear_order(&fleet.agent)->upgrade->site, "docs");
    finish(&d);
}

TEST(a_hold_of_one_site_lets_the_others_start)
{
    struct draft d = { 0 };
    begin();
    good(ask_hold("docs", clock_wall_ms() + 3600000));
    draft_make(&d, &fleet, 2);
    plan_apply(&d, 2);
    CHECK_STR(hear_order(&fleet.agent)->upgrade->site, "help");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "queued");
    finish(&d);
}

TEST(a_site_waits_for_the_test_site_that_covers_it)
{
    struct draft d = { 0 };
    struct err err = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    d.stage.needs_covered = true;
    d.sites[0].covered_by = word("help");
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    struct rollout_new new = { &d.plan, &d.text, AUDIT_ZERO, "anna" };
    CHECK_OK(rollout_put(fleet.daemon->store, &new, &err), err);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_HAS(view->stages[0]->reason, "site docs waits for its test site help to be kept");
    CHECK_STR(view->sites[0]->state, "queued");
    finish(&d);
}

TEST(a_rollback_of_a_stage_reaches_that_stage_alone)
{
    struct draft d = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    plan_apply(&d, 1);
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_APPLIED, ""),
              2);
    CHECK_INT(decide(d.id, "rollback", "prod", "")->code, FAIL_NOT_FOUND);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1));
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "soaking");
    good(decide(d.id, "rollback", "test", ""));
    CHECK_INT(hear_order(&fleet.agent)->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    finish(&d);
}

#define MANY 1000
TEST(a_rollout_of_a_thousand_sites_is_told_in_pages_that_fit_and_at_once)
{
    static Confleet__PlanSite sites[MANY], *list[MANY];
    static Confleet__PlanNode nodes[MANY], *node_lists[MANY][1];
    static char names[MANY][16];
    struct draft d = { 0 };
    struct err err = { 0 };
    begin();
    draft_make(&d, &fleet, 1);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "site-%04zu", i);
        sites[i] = d.sites[0];
        nodes[i] = d.nodes[0];
        nodes[i].agent = word("elsewhere");
        node_lists[i][0] = &nodes[i];
        sites[i].nodes = node_lists[i];
        sites[i].name = names[i];
        list[i] = &sites[i];
    }
    d.stage.sites = list;
    d.stage.n_sites = MANY;
    d.stage.needs_approvals = 1;
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    struct rollout_new new = { &d.plan, &d.text, AUDIT_ZERO, "anna" };
    CHECK_OK(rollout_put(fleet.daemon->store, &new, &err), err);
    CHECK_OK(db_run(fleet.daemon->store->db, &err,
                    "UPDATE rollout_sites SET state='silent' WHERE site='site-0777'", ""),
             err);
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskRollout ask = CONFLEET__ASK_ROLLOUT__INIT;
    ask.id = d.id;
    request.what_case = CONFLEET__REQUEST__WHAT_ROLLOUT_SHOW;
    request.rollout_show = &ask;
    size_t seen = 0, pages = 0;
    do {
        const Confleet__RolloutView *view = good(end_ask(&fleet.anna, &request))->rollouts[0];
        CHECK_INT(view->site_count, MANY);
        CHECK_INT(view->stages[0]->sites, MANY);
        for (size_t i = 0; i < view->n_sites; i++)
            CHECK_STR(view->sites[i]->site, names[seen++]);
        ask.after = view->next;
        pages++;
    } while (ask.after != 0 && pages < 50);
    CHECK_INT(seen, MANY);
    ask.after = 0;
    ask.brief = ask.attention = true;
    int64_t start_ms = clock_mono_ms();
    const Confleet__RolloutView *view = good(end_ask(&fleet.anna, &request))->rollouts[0];
    CHECK(clock_mono_ms() - start_ms < 1000);
    CHECK_INT(view->n_sites, 1);
    CHECK_STR(view->sites[0]->site, "site-0777");
    ask.attention = false;
    ask.limit = 10;
    view = good(end_ask(&fleet.anna, &request))->rollouts[0];
    CHECK_INT(view->n_sites, 10);
    CHECK_INT(view->next, 10);
    finish(&d);
}
