/* What of a rollout's orders is sent, and what is not sent again. */
#include "work.h"

#include "controller/edge/orders.h"

static struct fleet fleet;
static struct draft decided;
static char sha256[65];

static const Confleet__Reply *decide(const char *rollout, const char *kind, const char *site)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskDecide ask = CONFLEET__ASK_DECIDE__INIT;
    decision.format = 1;
    decision.fleet = fleet.join.fleet;
    decision.plan_sha256 = sha256;
    decision.kind = word(kind);
    decision.stage = word("");
    decision.site = word(site);
    decision.reason = word("as agreed");
    decision.serial = ++fleet.serial;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    text_sign(&decided, &fleet.anna.keys, SIGN_CONTEXT_DECISION, &decision.base);
    ask.decision = &decided.text;
    ask.rollout = word(rollout);
    request.what_case = CONFLEET__REQUEST__WHAT_DECIDE;
    request.decide = &ask;
    return end_ask(&fleet.anna, &request);
}

/* One site, whose upgrade its agent was given. */
static const Confleet__Order *begin(struct draft *d)
{
    fleet = (struct fleet){ 0 };
    work_open(&fleet);
    draft_make(d, &fleet, 1);
    good(draft_apply(d, &fleet));
    (void)snprintf(sha256, sizeof sha256, "%s", show(&fleet, d->id)->plan_sha256);
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_UPGRADE);
    return order;
}

static void finish(struct draft *d)
{
    str_free(&d->payload);
    str_free(&decided.payload);
    decided = (struct draft){ 0 };
    fleet_close(&fleet);
}

TEST(an_order_without_an_answer_is_given_again_after_a_restart)
{
    struct draft d = { 0 };
    char id[64];
    (void)snprintf(id, sizeof id, "%s", begin(&d)->id);
    fleet_restart(&fleet);
    (void)end_greet(&fleet.agent, 2, 1);
    CHECK_STR(hear_order(&fleet.agent)->id, id);
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "ordered");
    finish(&d);
}

TEST(an_upgrade_that_nobody_took_before_a_way_back_is_not_given_again)
{
    struct draft d = { 0 };
    (void)begin(&d);
    good(decide(d.id, "rollback", "docs"));
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    say_order_ack(&fleet.agent, order->id, FAIL_NOT_FOUND, "no run of this plan");
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "held");
    fleet_restart(&fleet);
    (void)end_greet(&fleet.agent, 2, 1);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1500));
    finish(&d);
}

/* The deadline of the order comes true at once. */
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

static void says(const struct draft *d, uint64_t seq, uint32_t attempt, Confleet__RunState state)
{
    Confleet__Event event = event_about((struct about){ seq, "", "docs", d->id });
    Confleet__RunEvent run = CONFLEET__RUN_EVENT__INIT;
    run.state = state;
    event.attempt = attempt;
    event.what_case = CONFLEET__EVENT__WHAT_RUN;
    event.run = &run;
    CHECK_INT(event_acked(&fleet.agent, &event), seq);
}

/* Silent with the second attempt, whose order may or may not have come. */
static void begin_silent(struct draft *d)
{
    (void)begin(d);
    silence(d->id);
    good(decide(d->id, "retry", "docs"));
    good(decide(d->id, "resume", ""));
    CHECK_INT(hear_order(&fleet.agent)->upgrade->attempt, 2);
    silence(d->id);
}

TEST(an_attempt_goes_on_to_its_end_when_the_next_one_never_came)
{
    struct draft d = { 0 };
    begin_silent(&d);
    says(&d, 2, 1, CONFLEET__RUN_STATE__RUN_FORWARD);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    says(&d, 3, 1, CONFLEET__RUN_STATE__RUN_APPLIED);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "soaking");
    says(&d, 4, 1, CONFLEET__RUN_STATE__RUN_COMMITTED);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "committed");
    finish(&d);
}

TEST(an_attempt_that_came_after_all_is_heard_of_after_the_end_of_the_one_before)
{
    struct draft d = { 0 };
    begin_silent(&d);
    says(&d, 2, 1, CONFLEET__RUN_STATE__RUN_NOT_READY);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "not-ready");
    says(&d, 3, 2, CONFLEET__RUN_STATE__RUN_FORWARD);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    says(&d, 4, 2, CONFLEET__RUN_STATE__RUN_ROLLED_BACK);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "rolled-back");
    finish(&d);
}

TEST(what_an_attempt_says_while_the_next_one_is_given_is_history)
{
    struct draft d = { 0 };
    (void)begin(&d);
    silence(d.id);
    good(decide(d.id, "retry", "docs"));
    good(decide(d.id, "resume", ""));
    const Confleet__Order *order = hear_order(&fleet.agent);
    says(&d, 2, 1, CONFLEET__RUN_STATE__RUN_NOT_READY);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "ordered");
    say_order_ack(&fleet.agent, order->id, 0, "");
    says(&d, 3, 1, CONFLEET__RUN_STATE__RUN_COMMITTED);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    finish(&d);
}

TEST(a_site_that_was_kept_all_the_time_needs_no_other_attempt)
{
    struct draft d = { 0 };
    (void)begin(&d);
    silence(d.id);
    good(decide(d.id, "retry", "docs"));
    good(decide(d.id, "resume", ""));
    (void)hear_order(&fleet.agent);
    says(&d, 2, 1, CONFLEET__RUN_STATE__RUN_COMMITTED);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "committed");
    fleet_restart(&fleet);
    (void)end_greet(&fleet.agent, 2, 2);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 1500));
    says(&d, 3, 2, CONFLEET__RUN_STATE__RUN_FORWARD); /* it had taken it */
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    finish(&d);
}

/* What was ordered and heard lies two hours ahead all at once. */
static void clock_back(void)
{
    struct err err = { 0 };
    CHECK_OK(db_run(fleet.daemon->store->db, &err,
                    "UPDATE rollout_sites SET ordered_ms=ordered_ms+7200000 WHERE ordered_ms>0", ""),
             err);
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE orders SET created_ms=created_ms+7200000", ""),
             err);
    struct session *session = sessions_agent(fleet.daemon->sessions, "wiki1");
    CHECK(session);
    session->seen_ms += 7200000;
    fleet.daemon->started_ms += 7200000;
    fleet.daemon->offset_ms += 7200000;
    fleet.daemon->ticked_ms = 1;
    for (int64_t until_ms = clock_mono_ms() + 1500; clock_mono_ms() < until_ms;)
        fleet_turn(&fleet);
}

TEST(a_clock_that_is_set_back_makes_no_deadline_late)
{
    struct draft d = { 0 };
    (void)begin(&d);
    clock_back();
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "ordered");
    CHECK(sessions_agent(fleet.daemon->sessions, "wiki1")->seen_ms <= clock_wall_ms());
    struct err err = { 0 };
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE orders SET sent_ms=0", ""), err);
    CHECK(hear_order(&fleet.agent)->start_by_ms <= clock_wall_ms() + 480000);
    silence(d.id); /* and not two hours later */
    finish(&d);
}
