/* A rollout from the signed plan to its end, over real sockets, with the controller killed in the
 * middle. */
#include "work.h"

static size_t order_row_bytes(struct fleet *fleet, const char *id)
{
    struct err err = { 0 };
    int64_t bytes = 0;
    CHECK_OK(db_get_i64(fleet->daemon->store->db, &bytes, NULL, &err,
                        "SELECT length(body) FROM orders WHERE id=$1", "t", id),
             err);
    return (size_t)bytes;
}

TEST(a_site_goes_from_the_plan_to_committed_and_every_step_is_shown)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    const Confleet__Reply *reply = good(draft_apply(&d, &fleet));
    CHECK_STR(reply->rollouts[0]->state, "running");
    CHECK_STR(reply->rollouts[0]->sites[0]->state, "ordered");
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_UPGRADE);
    CHECK_INT(order->epoch, 1);
    CHECK_STR(order->upgrade->site, "docs");
    CHECK_INT(order->upgrade->attempt, 1);
    /* The agent gets the very bytes that were signed. */
    CHECK_INT(order->upgrade->plan->payload.len, d.payload.len);
    CHECK_INT(memcmp(order->upgrade->plan->payload.data, d.payload.s, d.payload.len), 0);
    CHECK_STR(order->upgrade->plan->signatures[0]->key_id, d.key_id);
    /* The plan is kept with its rollout alone; it is put into the order when that is sent. */
    CHECK(order_row_bytes(&fleet, order->id) > 0);
    CHECK(order_row_bytes(&fleet, order->id) < d.payload.len);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_FORWARD, ""),
              2);
    CHECK_INT(say_step(&fleet.agent, (struct about){ 3, order->id, "docs", d.id }, "check",
                       CONFLEET__STEP_STATE__STEP_INTENT),
              3);
    CHECK_INT(say_step(&fleet.agent, (struct about){ 4, order->id, "docs", d.id }, "check",
                       CONFLEET__STEP_STATE__STEP_DONE),
              4);
    CHECK_INT(say_check(&fleet.agent, (struct about){ 5, order->id, "docs", d.id },
                        CONFLEET__SEVERITY__WARN),
              5);
    CHECK_INT(say_backup(&fleet.agent, (struct about){ 6, order->id, "docs", d.id },
                         "20261123T041800Z-1a2b3c"),
              6);
    const Confleet__RolloutView *view = show(&fleet, "");
    CHECK_STR(view->id, d.id);
    CHECK_STR(view->sites[0]->state, "running");
    CHECK_STR(view->sites[0]->step_label, "doing it");
    CHECK_INT(view->sites[0]->step_number, 3);
    CHECK_INT(view->sites[0]->n_steps, 1);
    CHECK_INT(view->sites[0]->steps[0]->state, CONFLEET__STEP_STATE__STEP_DONE);
    CHECK_INT(view->sites[0]->n_findings, 1);
    CHECK_INT(view->sites[0]->n_backups, 1);
    CHECK_INT(say_run(&fleet.agent, (struct about){ 7, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_APPLIED, ""),
              7);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "soaking");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 8, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_COMMITTED, ""),
              8);
    CHECK_INT(say_done(&fleet.agent, (struct about){ 9, order->id, "docs", d.id }, 0, ""), 9);
    view = show(&fleet, d.id);
    CHECK_STR(view->state, "done");
    CHECK_STR(view->sites[0]->state, "committed");
    CHECK_STR(view->sites[0]->version, "9.2.3");
    CHECK_INT(view->sites[0]->outage_ms, 4200);
    CHECK(view->finished_ms > 0);
    CHECK_INT(audited(&fleet, "plan-applied", d.id), 1);
    CHECK_INT(audited(&fleet, "order", "upgrade of site docs"), 1);
    CHECK_INT(audited(&fleet, "site-state", "docs is committed"), 1);
    CHECK_INT(audited(&fleet, "rollout-state", "is done"), 1);
    CHECK_INT(audited(&fleet, "backup", "level restored"), 1);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(a_site_that_is_held_while_down_says_since_when)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_FORWARD, ""),
              2);
    CHECK_INT(say_step(&fleet.agent, (struct about){ 3, order->id, "docs", d.id }, "check",
                       CONFLEET__STEP_STATE__STEP_DONE),
              3);
    const Confleet__RolloutSiteView *site = show(&fleet, d.id)->sites[0];
    CHECK(!site->down);
    CHECK_INT(site->down_since_ms, 0);
    int64_t before_ms = clock_wall_ms();
    CHECK_INT(say_step_down(&fleet.agent, (struct about){ 4, order->id, "docs", d.id }, "stop",
                            CONFLEET__STEP_STATE__STEP_DONE, true),
              4);
    int64_t after_ms = clock_wall_ms();
    while (clock_wall_ms() == after_ms) /* so that the next step is a later one */
        continue;
    CHECK_INT(say_step_down(&fleet.agent, (struct about){ 5, order->id, "docs", d.id }, "start",
                            CONFLEET__STEP_STATE__STEP_FAILED, true),
              5);
    CHECK_INT(say_run(&fleet.agent, (struct about){ 6, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_HELD, "it did not come up"),
              6);
    site = show(&fleet, d.id)->sites[0];
    CHECK_STR(site->state, "held");
    CHECK(site->down);
    CHECK(site->down_since_ms >= before_ms && site->down_since_ms <= after_ms);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(an_order_is_sent_until_it_is_acknowledged_across_connections_and_restarts)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    char id[64];
    work_open(&fleet);
    end_close(&fleet.agent); /* its server is away when the plan comes */
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    fleet_restart(&fleet); /* and the controller is killed */
    end_open(&fleet, &fleet.agent);
    (void)end_greet(&fleet.agent, 2, 1);
    const Confleet__Order *order = hear_order(&fleet.agent);
    (void)snprintf(id, sizeof id, "%s", order->id);
    CHECK_INT(order->epoch, 2); /* the same order under the new epoch */
    fleet_restart(&fleet);      /* once more, before it is acknowledged */
    (void)end_greet(&fleet.agent, 2, 1);
    order = hear_order(&fleet.agent);
    CHECK_STR(order->id, id);
    CHECK_INT(order->epoch, 3);
    say_order_ack(&fleet.agent, id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_FORWARD, ""),
              2);
    fleet_restart(&fleet);
    CHECK_INT(end_greet(&fleet.agent, 2, 2)->event_acked, 2);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER,
                        300)); /* acknowledged is acknowledged */
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(events_count_once_and_a_gap_is_asked_for_again)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    say_order_ack(&fleet.agent, order->id, 0, "");
    struct about about = { 3, order->id, "docs", d.id };
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_ROLLED_BACK, "too early"),
              1); /* 2 is missing */
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "running");
    about.seq = 2;
    CHECK_INT(say_step(&fleet.agent, about, "check", CONFLEET__STEP_STATE__STEP_DONE), 2);
    about.seq = 3;
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_COMMITTED, ""), 3);
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_HELD, "a lie told twice"), 3);
    about.seq = 1;
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_HELD, "an old one"), 3);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "committed");
    CHECK_INT(audited(&fleet, "site-state", "docs is"), 2);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(the_second_site_waits_and_never_starts_after_a_rollback)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 2);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_STR(order->upgrade->site, "docs");
    say_order_ack(&fleet.agent, order->id, 0, "");
    struct about about = { 2, order->id, "docs", d.id };
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_UNDOING, "schema task failed"),
              2);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "undoing");
    about.seq = 3;
    CHECK_INT(
        say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_ROLLED_BACK, "schema task failed"),
        3);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->state, "halted");
    CHECK_HAS(view->reason, "1 of 2 sites did not end well");
    CHECK_STR(view->sites[0]->state, "rolled-back");
    CHECK_STR(view->sites[0]->reason, "schema task failed");
    CHECK_STR(view->sites[1]->state, "queued");
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 200));
    CHECK_INT(audited(&fleet, "rollout-stop", d.id), 1);
    /* The queued site is free for a new plan. */
    draft_make(&d, &fleet, 2);
    good(draft_apply(&d, &fleet));
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(an_order_that_the_agent_refuses_ends_its_site_with_the_agents_words)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, FAIL_DENIED, "policy: 9.2.3 is not allowed here");
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->state, "halted");
    CHECK_STR(view->sites[0]->state, "refused");
    CHECK_HAS(view->sites[0]->reason, "not allowed here");
    CHECK_INT(audited(&fleet, "order-refused", "not allowed here"), 1);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(an_agent_speaks_for_its_own_sites_only)
{
    struct fleet fleet = { 0 };
    struct end eve = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    agent_join(&fleet, &eve, "wiki2");
    CHECK_INT(say_run(&eve, (struct about){ 1, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_HELD, "evil"),
              1);
    CHECK_INT(
        say_check(&eve, (struct about){ 2, order->id, "docs", d.id }, CONFLEET__SEVERITY__BLOCK),
        2);
    say_order_ack(&eve, order->id, FAIL_DENIED, "evil");
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->sites[0]->state, "ordered");
    CHECK_INT(view->sites[0]->n_findings, 0);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, "docs"))
                  ->sites[0]
                  ->n_findings,
              0);
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(a_request_that_is_repeated_is_done_once_and_answered_twice)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    text_sign(&d, &fleet.anna.keys, SIGN_CONTEXT_PLAN, &d.plan.base);
    good(ask_apply_as(&fleet.anna, &d, "same"));
    const Confleet__Reply *again = good(ask_apply_as(&fleet.anna, &d, "same"));
    CHECK_STR(again->rollouts[0]->id, d.id);
    CHECK_INT(audited(&fleet, "plan-applied", d.id), 1);
    fleet_restart(&fleet);
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    again = good(ask_apply_as(&fleet.anna, &d, "same"));
    CHECK_STR(again->rollouts[0]->id, d.id);
    CHECK_INT(ask_apply_as(&fleet.anna, &d, "other")->code, FAIL_STALE);
    str_free(&d.payload);
    fleet_close(&fleet);
}

static void decision_sign(struct draft *d, struct fleet *fleet, const char *kind,
                          const char *sha256)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    decision.format = 1;
    decision.fleet = fleet->join.fleet;
    decision.plan_sha256 = word(sha256);
    decision.kind = word(kind);
    decision.site = word("docs");
    decision.serial = ++fleet->serial;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    text_sign(d, &fleet->anna.keys, SIGN_CONTEXT_DECISION, &decision.base);
}

static const Confleet__Reply *ask_decide(struct fleet *fleet, struct draft *d, const char *rollout)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskDecide ask = CONFLEET__ASK_DECIDE__INIT;
    ask.decision = &d->text;
    ask.rollout = word(rollout);
    request.what_case = CONFLEET__REQUEST__WHAT_DECIDE;
    request.decide = &ask;
    return end_ask(&fleet->anna, &request);
}

TEST(a_signed_decision_reaches_the_agent_and_the_way_back_is_followed)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 }, decided = { 0 };
    char sha256[65];
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_COMMITTED, ""),
              2);
    (void)snprintf(sha256, sizeof sha256, "%s", show(&fleet, d.id)->plan_sha256);
    decision_sign(&decided, &fleet, "rollback", AUDIT_ZERO);
    CHECK_INT(ask_decide(&fleet, &decided, d.id)->code, FAIL_MISMATCH);
    decision_sign(&decided, &fleet, "dance", sha256);
    CHECK_INT(ask_decide(&fleet, &decided, d.id)->code, FAIL_UNSUPPORTED);
    decision_sign(&decided, &fleet, "rollback", sha256);
    decided.payload.s[decided.payload.len - 1] ^= 1;
    CHECK_INT(ask_decide(&fleet, &decided, d.id)->code, FAIL_SIGNATURE);
    decision_sign(&decided, &fleet, "rollback", sha256);
    const Confleet__Reply *reply = good(ask_decide(&fleet, &decided, d.id));
    CHECK_STR(reply->rollouts[0]->state, "running");
    CHECK_STR(reply->rollouts[0]->sites[0]->state, "undoing");
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    CHECK_INT(memcmp(order->decide->decision->payload.data, decided.payload.s, decided.payload.len),
              0);
    CHECK_STR(order->decide->site, "docs");
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 3, order->id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_ROLLED_BACK, ""),
              3);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->state, "halted");
    CHECK_STR(view->sites[0]->state, "rolled-back");
    CHECK_INT(audited(&fleet, "decision", "rollback for rollout"), 1);
    str_free(&d.payload);
    str_free(&decided.payload);
    fleet_close(&fleet);
}

TEST(progress_is_shown_and_not_kept)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    say_order_ack(&fleet.agent, order->id, 0, "");
    Confleet__Event event = event_about((struct about){ 0, order->id, "docs", d.id });
    Confleet__Progress progress = CONFLEET__PROGRESS__INIT;
    progress.done = 3;
    progress.total = 10;
    progress.text = word("waiting for the dump");
    event.what_case = CONFLEET__EVENT__WHAT_PROGRESS;
    event.progress = &progress;
    end_say_event(&fleet.agent, &event);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         view->sites[0]->total == 0 && clock_mono_ms() < until_ms;)
        view = show(&fleet, d.id);
    CHECK_INT(view->sites[0]->done, 3);
    CHECK_STR(view->sites[0]->waiting_for, "the dump");
    CHECK_STR(view->waiting_for, "docs: the dump");
    str_free(&d.payload);
    fleet_close(&fleet);
}

static const Confleet__RolloutView *show_until(struct fleet *fleet, const char *id,
                                               const char *state)
{
    const Confleet__RolloutView *view = show(fleet, id);
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         strcmp(view->sites[0]->state, state) != 0 && clock_mono_ms() < until_ms;)
        view = show(fleet, id);
    CHECK_STR(view->sites[0]->state, state);
    return view;
}

TEST(an_order_that_nobody_takes_ends_as_silence_and_is_withdrawn)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    end_close(&fleet.agent);
    fleet.daemon->options.order_ms = 1500;
    draft_make(&d, &fleet, 2);
    good(draft_apply(&d, &fleet));
    const Confleet__RolloutView *view = show_until(&fleet, d.id, "silent");
    CHECK_STR(view->state, "halted");
    CHECK_HAS(view->reason,
              "1 of 2 sites were not heard of in time, the gate allows 0 (silent): docs");
    CHECK_HAS(view->sites[0]->reason, "did not take the order in time");
    CHECK_STR(view->sites[1]->state, "queued");
    end_open(&fleet, &fleet.agent);
    (void)end_greet(&fleet.agent, 2, 1);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 200));
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(an_agent_that_falls_silent_at_work_is_given_up_and_believed_when_it_comes_back)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    char order_id[64];
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    const Confleet__Order *order = hear_order(&fleet.agent);
    (void)snprintf(order_id, sizeof order_id, "%s", order->id);
    say_order_ack(&fleet.agent, order_id, 0, "");
    CHECK_INT(say_run(&fleet.agent, (struct about){ 2, order_id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_FORWARD, ""),
              2);
    end_close(&fleet.agent);
    fleet.daemon->options.silence_ms = 1500;
    CHECK_STR(show_until(&fleet, d.id, "silent")->state, "halted");
    fleet.daemon->options.silence_ms = 600000;
    end_open(&fleet, &fleet.agent);
    (void)end_greet(&fleet.agent, 3, 3);
    CHECK_INT(say_run(&fleet.agent, (struct about){ 3, order_id, "docs", d.id },
                      CONFLEET__RUN_STATE__RUN_COMMITTED, ""),
              3);
    const Confleet__RolloutView *view = show(&fleet, d.id);
    CHECK_STR(view->sites[0]->state, "committed");
    CHECK_STR(view->state, "halted");
    str_free(&d.payload);
    fleet_close(&fleet);
}

TEST(a_decision_about_a_silent_site_waits_for_its_agent)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 }, decided = { 0 };
    char sha256[65], order_id[64];
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    (void)snprintf(order_id, sizeof order_id, "%s", hear_order(&fleet.agent)->id);
    say_order_ack(&fleet.agent, order_id, 0, "");
    end_close(&fleet.agent);
    fleet.daemon->options.silence_ms = 1500;
    (void)snprintf(sha256, sizeof sha256, "%s", show_until(&fleet, d.id, "silent")->plan_sha256);
    decision_sign(&decided, &fleet, "rollback", sha256);
    good(ask_decide(&fleet, &decided, d.id));
    /* Nobody answers, so the site is silent again at the next look; what was decided remains. */
    (void)show_until(&fleet, d.id, "silent");
    end_open(&fleet, &fleet.agent);
    (void)end_greet(&fleet.agent, 2, 1);
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_DECIDE);
    str_free(&d.payload);
    str_free(&decided.payload);
    fleet_close(&fleet);
}

TEST(a_clock_that_jumps_makes_nobody_silent)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 1);
    good(draft_apply(&d, &fleet));
    (void)hear_order(&fleet.agent);
    struct err err = { 0 };
    /* Two hours: what was ordered and heard lies that far back all at once. */
    CHECK_OK(db_run(fleet.daemon->store->db, &err,
                    "UPDATE rollout_sites SET ordered_ms=ordered_ms-7200000", ""),
             err);
    fleet.daemon->started_ms -= 7200000;
    fleet.daemon->offset_ms -= 7200000;
    fleet.daemon->ticked_ms = 1;
    for (int64_t until_ms = clock_mono_ms() + 1500; clock_mono_ms() < until_ms;)
        fleet_turn(&fleet);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "ordered");
    str_free(&d.payload);
    fleet_close(&fleet);
}
