/* Two lines of frames: a person does not wait for the fleet, and the fleet is not shut out. */
#include "fleet.h"

/* Nothing is answered to these. A peer's own queue is short, so they are taken in by and by. */
static void say_crowd(struct fleet *fleet, struct end *agent, size_t count)
{
    for (size_t i = 1; i <= count; i++) {
        say_log(agent, 0, "progress");
        if (i % 32 != 0 && i != count)
            continue;
        fleet_take_in(fleet, i);
        end_turn(agent); /* sees that its queue has room again */
    }
}

TEST(a_person_is_answered_before_a_crowd_of_agents_that_came_first)
{
    enum { CROWD = 600 };
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    struct err err = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 1, 0);
    say_crowd(&fleet, &agent, CROWD);
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    request.id = word("first");
    request.what_case = CONFLEET__REQUEST__WHAT_PING;
    request.ping = &nothing;
    frame.body_case = CONFLEET__FRAME__BODY_REQUEST;
    frame.request = &request;
    end_say(&fleet.anna, &frame);
    fleet_take_in(&fleet, CROWD + 1);
    CHECK_OK(daemon_turn(fleet.daemon, -1, 0, &err), err);
    size_t left = intake_count(fleet.daemon->intake);
    CHECK(left > 0 && left < CROWD); /* the agents had their share of the same turn */
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         fleet.anna.heard_count == 0 && clock_mono_ms() < until_ms;)
        end_turn(&fleet.anna); /* the controller makes no further turn */
    CHECK_INT(fleet.anna.heard_count, 1);
    CHECK_STR(fleet.anna.heard[0]->reply->id, "first");
    while (intake_count(fleet.daemon->intake) > 0)
        fleet_turn(&fleet);
    fleet_close(&fleet);
}

TEST(the_frames_of_one_peer_stay_in_their_order)
{
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 1, 0);
    for (uint64_t seq = 1; seq <= 40; seq++)
        say_log(&agent, seq, "hello");
    fleet_take_in(&fleet, 40);
    for (uint64_t seq = 1; seq <= 40; seq++)
        CHECK_INT(end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq, seq);
    fleet_close(&fleet);
}

TEST(what_is_taken_in_is_bounded_and_nothing_is_lost)
{
    enum { SPARE = 30 };
    struct fleet fleet = { 0 };
    struct end agent = { 0 };
    struct err err = { 0 };
    fleet_open(&fleet);
    make_agent(&fleet, &agent, "wiki1");
    (void)end_greet(&agent, 1, 0);
    say_crowd(&fleet, &agent, INTAKE_FRAMES_MAX);
    for (uint64_t seq = 1; seq <= SPARE; seq++)
        say_log(&agent, seq, "hello");
    CHECK_OK(intake_fill(fleet.daemon->intake, fleet.daemon->control, &err), err);
    CHECK_INT(intake_count(fleet.daemon->intake), INTAKE_FRAMES_MAX);
    while (end_hear(&agent, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq < SPARE)
        ;
    CHECK_INT(intake_count(fleet.daemon->intake), 0);
    fleet_close(&fleet);
}
