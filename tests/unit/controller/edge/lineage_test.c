#include "controller/edge/lineage.h"
#include "work.h"

static const Confleet__Refusal *claim(struct end *agent, uint64_t epoch)
{
    end_say_hello(agent, (struct greeting){ 9, .epoch_seen = epoch });
    const Confleet__Refusal *refusal = end_hear(agent, CONFLEET__FRAME__BODY_REFUSAL)->refusal;
    CHECK_INT(refusal->code, FAIL_STALE);
    return refusal;
}

TEST(an_epoch_that_no_controller_can_have_reached_is_not_advised_to_anybody)
{
    struct fleet fleet = { 0 };
    struct end other = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &other, "other");
    (void)end_greet(&other, 1, 0);
    CHECK_HAS(claim(&other, 7)->message, "raise-epoch --state DIR --epoch 7");
    const Confleet__Refusal *refusal = claim(&other, UINT64_C(1) << 62);
    CHECK_HAS(refusal->message, "confleet agent revoke other");
    CHECK(strstr(refusal->message, "raise-epoch") == NULL);
    fleet_close(&fleet);
}

TEST(an_agents_word_stops_the_rollouts_that_it_has_a_part_in_and_no_others)
{
    struct fleet fleet = { 0 };
    struct end other = { 0 };
    struct draft d = { 0 };
    struct err err = { 0 };
    work_open(&fleet);
    draft_make(&d, &fleet, 2);
    good(draft_apply(&d, &fleet));
    make_agent(&fleet, &other, "other");
    (void)end_greet(&other, 1, 0);
    (void)claim(&other, 7);
    CHECK(!show(&fleet, d.id)->paused);
    CHECK_OK(lineage_note(fleet.daemon->store, "wiki1", "an older copy", &err), err);
    CHECK(show(&fleet, d.id)->paused);
    CHECK_HAS(show(&fleet, d.id)->reason, "an older copy");
    str_free(&d.payload);
    fleet_close(&fleet);
}
