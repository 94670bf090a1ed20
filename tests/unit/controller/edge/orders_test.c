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

