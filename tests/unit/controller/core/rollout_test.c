#include "controller/core/rollout.h"
#include "harness/test.h"

/* A rollout told as text: sites are a, b, c … stage by stage; each line of a story is an event and
 * what followed. */
struct tale {
    struct rollout rollout;
    struct rollout_stage stages[3];
    struct rollout_site sites[16];
    char text[2048];
    size_t used;
    int64_t now_ms;
};

static void FORMAT(2, 3) tell(struct tale *tale, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tale->used +=
        (size_t)vsnprintf(tale->text + tale->used, sizeof tale->text - tale->used, format, ap);
    va_end(ap);
    CHECK(tale->used < sizeof tale->text);
}

/* Takes what the engine orders, and sees to it that no site is started twice. */
static void tell_orders(struct tale *tale)
{
    size_t site = 0;
    while (rollout_next(&tale->rollout, tale->now_ms, &site)) {
        CHECK_INT(tale->sites[site].state, SITE_ORDERED);
        CHECK_INT(tale->sites[site].ordered_ms, tale->now_ms);
        tell(tale, " start %c", (char)('a' + site));
    }
    if (tale->rollout.state != ROLLOUT_RUNNING)
        tell(tale, " [%s]", rollout_state_name(tale->rollout.state));
    tell(tale, ".");
}

/* sizes: "2 3" is a stage of two sites and one of three. */
static void tale_begin(struct tale *tale, const char *sizes)
{
    struct rollout *r = &tale->rollout;
    r->stages = tale->stages;
    r->sites = tale->sites;
    r->limits = (struct rollout_limits){ 100, 1000 };
    for (const char *p = sizes; *p; p++) {
        if (*p == ' ')
            continue;
        for (int n = 0; n < *p - '0'; n++)
            tale->sites[r->site_count++].stage = r->stage_count;
        r->stage_count++;
    }
    tell_orders(tale);
}

static void happen(struct tale *tale, char site, enum site_input input)
{
    struct rollout_event event = { ROLLOUT_SITE, (size_t)(site - 'a'), input, tale->now_ms, NULL };
    (void)rollout_on(&tale->rollout, &event);
    tell_orders(tale);
}

static void tick(struct tale *tale, int64_t now_ms)
{
    struct rollout_event event = { .kind = ROLLOUT_TICK, .now_ms = now_ms };
    tale->now_ms = now_ms;
    (void)rollout_on(&tale->rollout, &event);
    tell_orders(tale);
}

static void go_well(struct tale *tale, char site)
{
    happen(tale, site, INPUT_ACK);
    happen(tale, site, INPUT_FORWARD);
    happen(tale, site, INPUT_APPLIED);
    happen(tale, site, INPUT_COMMITTED);
}

TEST(sites_go_one_at_a_time_by_default_and_the_next_may_start_when_the_last_is_healthy)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "3");
    go_well(&tale, 'a');
    go_well(&tale, 'b');
    go_well(&tale, 'c');
    CHECK_STR(tale.text, " start a... start b.... start c..... [done].");
}

TEST(a_stage_begins_when_the_one_before_is_kept_not_only_healthy)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1 1");
    happen(&tale, 'a', INPUT_APPLIED);
    CHECK_STR(tale.text, " start a..");
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start b.");
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start b. [done].");
}

TEST(batches_are_whole_and_zero_means_the_rest)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 2, 0 }, .batch_count = 3 };
    tale_begin(&tale, "6");
    happen(&tale, 'a', INPUT_APPLIED);
    happen(&tale, 'b', INPUT_APPLIED);
    happen(&tale, 'c', INPUT_APPLIED);
    CHECK_STR(tale.text, " start a. start b start c.. start d start e start f.");
}

TEST(the_last_batch_size_repeats)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 1, 2 }, .batch_count = 2 };
    tale_begin(&tale, "5");
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'b', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. start b start c.. start d start e.");
}

static const enum site_input bad_ends[] = { INPUT_ROLLED_BACK, INPUT_NOT_READY, INPUT_REFUSED,
                                            INPUT_HELD,        INPUT_REFUSE,    INPUT_LOST,
                                            INPUT_DEADLINE };

TEST(no_site_starts_after_the_first_that_did_not_end_well_whatever_the_way)
{
    for (size_t i = 0; i < sizeof bad_ends / sizeof bad_ends[0]; i++) {
        struct tale tale = { 0 };
        tale_begin(&tale, "3");
        happen(&tale, 'a', bad_ends[i]);
        CHECK_STR(tale.text, " start a. [halted].");
        CHECK_INT(tale.sites[1].state, SITE_QUEUED);
        CHECK_HAS(tale.rollout.reason, bad_ends[i] == INPUT_DEADLINE
                                           ? "nothing heard of 1 of 3"
                                           : "1 of 3 sites did not end well");
    }
}

TEST(a_halted_rollout_still_waits_for_the_sites_in_flight)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 }, .batch_count = 1 };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_APPLIED);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b... [halted].");
}

TEST(a_gate_lets_as_many_fail_as_it_says_and_no_more)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .max_failed = 1 };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_NOT_READY);
    CHECK_STR(tale.text, " start a. start b. start c. [halted].");
    CHECK_HAS(tale.rollout.reason, "2 of 4 sites did not end well, the gate allows 1");
}

TEST(failed_and_silent_sites_are_counted_apart)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){
        .batch = { 3 }, .batch_count = 1, .max_failed = 1, .max_silent = 1
    };
    tale_begin(&tale, "3");
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    happen(&tale, 'b', INPUT_DEADLINE);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b start c... [done].");
}

TEST(a_silent_site_may_be_down_and_keeps_its_place_in_the_batch)
{
    struct tale tale = { 0 };
    tale.stages[0] = (struct rollout_stage){ .batch = { 2 }, .batch_count = 1, .max_silent = 2 };
    tale_begin(&tale, "4");
    happen(&tale, 'a', INPUT_DEADLINE);
    happen(&tale, 'b', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a start b.. [halted].");
    CHECK_HAS(tale.rollout.reason, "silent sites may be down and fill the batch");
}

TEST(silence_has_two_deadlines_and_both_end_it)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    tick(&tale, 99);
    CHECK_INT(tale.sites[0].state, SITE_ORDERED);
    tick(&tale, 100);
    CHECK_INT(tale.sites[0].state, SITE_SILENT);
    CHECK_STR(tale.text, " start a.. [halted].");

    struct tale second = { 0 };
    tale_begin(&second, "1");
    happen(&second, 'a', INPUT_ACK);
    tick(&second, 999);
    CHECK_INT(second.sites[0].state, SITE_RUNNING);
    struct rollout_event heard = { .kind = ROLLOUT_HEARD, .site = 0, .now_ms = 999 };
    CHECK(!rollout_on(&second.rollout, &heard));
    tick(&second, 1998);
    CHECK_INT(second.sites[0].state, SITE_RUNNING);
    tick(&second, 1999);
    CHECK_INT(second.sites[0].state, SITE_SILENT);
}

TEST(what_a_silent_site_says_later_is_believed_but_starts_nothing)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "2");
    happen(&tale, 'a', INPUT_DEADLINE);
    happen(&tale, 'a', INPUT_FORWARD);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. [halted].. [halted].");
    CHECK_INT(tale.sites[0].state, SITE_COMMITTED);
}

TEST(a_person_can_send_a_kept_site_back_and_the_rollout_says_so)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'a', INPUT_BACK);
    CHECK_INT(tale.rollout.state, ROLLOUT_RUNNING);
    CHECK_INT(tale.sites[0].state, SITE_UNDOING);
    happen(&tale, 'a', INPUT_ROLLED_BACK);
    CHECK_STR(tale.text, " start a. [done].. [halted].");
    CHECK_HAS(tale.rollout.reason, "a person decided");
}

TEST(a_stop_by_a_person_lets_nothing_new_start)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "2");
    struct rollout_event stop = { .kind = ROLLOUT_STOP, .reason = "a person aborted it" };
    CHECK(rollout_on(&tale.rollout, &stop));
    CHECK(!rollout_on(&tale.rollout, &stop));
    happen(&tale, 'a', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a. [halted].");
}

TEST(a_skipped_site_is_never_started_and_counts_as_ended)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "3");
    happen(&tale, 'b', INPUT_SKIP);
    happen(&tale, 'a', INPUT_COMMITTED);
    happen(&tale, 'c', INPUT_COMMITTED);
    CHECK_STR(tale.text, " start a.. start c. [done].");
    happen(&tale, 'a', INPUT_SKIP);
    CHECK_INT(tale.sites[0].state, SITE_COMMITTED);
}

TEST(reports_that_come_twice_or_late_change_nothing)
{
    struct tale tale = { 0 };
    tale_begin(&tale, "1");
    happen(&tale, 'a', INPUT_COMMITTED);
    for (int input = 0; input < INPUT_COUNT; input++) {
        bool real = input == INPUT_UNDOING || input == INPUT_ROLLED_BACK || input == INPUT_HELD ||
                    input == INPUT_BACK;
        struct rollout_event event = { ROLLOUT_SITE, 0, (enum site_input)input, 0, NULL };
        struct rollout_site kept = tale.sites[0];
        CHECK_INT(rollout_on(&tale.rollout, &event), real);
        tale.sites[0] = kept;
    }
}

/* Invariants of the header over many random lives: never more in flight or unheard of than one
 * batch, nothing starts once there is a reason not to, and when nothing is in flight the rollout is
 * over. */
TEST(whatever_happens_in_whatever_order_the_invariants_hold)
{
    uint32_t random = 12345;
    for (int life = 0; life < 20000; life++) {
        struct tale tale = { 0 };
        tale.stages[0] = (struct rollout_stage){
            .batch = { 2 }, .batch_count = 1, .max_failed = random % 3, .max_silent = random % 2
        };
        tale.stages[1] = (struct rollout_stage){ .batch = { 1, 3 }, .batch_count = 2 };
        tale_begin(&tale, "44");
        for (int n = 0; n < 60 && tale.rollout.state == ROLLOUT_RUNNING; n++) {
            random = random * 1664525U + 1013904223U;
            struct rollout_event event = { ROLLOUT_SITE, (random >> 8) % 8,
                                           (enum site_input)((random >> 16) % INPUT_COUNT), n,
                                           NULL };
            bool stopped = tale.rollout.reason[0] != '\0';
            size_t site = 0, busy = 0;
            if (event.input == INPUT_ORDER)
                continue; /* only the engine gives orders */
            (void)rollout_on(&tale.rollout, &event);
            while (rollout_next(&tale.rollout, n, &site)) {
                CHECK(!stopped && tale.rollout.reason[0] == '\0');
                /* A report can bring an ended site down again; a start never passes the batch. */
                busy = 0;
                for (size_t i = 0; i < 4; i++)
                    busy += (site_state_in_flight(tale.sites[i].state) &&
                             tale.sites[i].state != SITE_SOAKING) ||
                            tale.sites[i].state == SITE_SILENT;
                CHECK(site >= 4 || busy <= 2);
            }
            for (size_t i = 4; i < 8; i++)
                if (tale.sites[i].state != SITE_QUEUED && tale.sites[i].state != SITE_SKIPPED)
                    for (size_t k = 0; k < 4; k++)
                        CHECK(tale.sites[k].state != SITE_QUEUED);
        }
        size_t flight = 0;
        for (size_t i = 0; i < 8; i++)
            flight += site_state_in_flight(tale.sites[i].state);
        if (tale.rollout.state != ROLLOUT_RUNNING)
            CHECK_INT(flight, 0);
    }
}

TEST(names_of_states_read_back_as_themselves)
{
    enum site_state site = SITE_QUEUED;
    for (int i = 0; i < SITE_STATE_COUNT; i++) {
        CHECK(site_state_parse(site_state_name((enum site_state)i), &site));
        CHECK_INT(site, i);
    }
    CHECK(!site_state_parse("applied", &site));
    enum rollout_state rollout = ROLLOUT_RUNNING;
    for (int i = 0; i < ROLLOUT_STATE_COUNT; i++) {
        CHECK(rollout_state_parse(rollout_state_name((enum rollout_state)i), &rollout));
        CHECK_INT(rollout, i);
    }
    CHECK(!rollout_state_parse("paused", &rollout));
    CHECK(site_state_failed(SITE_HELD));
    CHECK(!site_state_failed(SITE_SILENT));
}
