#include "tests/sim/controller.h"
#include "tests/sim/coverage.h"
#include "tests/sim/laws.h"
#include "tests/sim/network.h"
#include "tests/sim/story.h"

#include "confleet/err.h"
#include <string.h>

#define START_MARGIN_MS (2 * MINUTE_MS)

static struct told *order_at(struct world *world, uint32_t number)
{
    return number == 0 ? NULL : &world->orders[number - 1];
}

static void order_put(struct world *world, const struct told *order)
{
    world->orders = world_grow(world->orders, world->order_count, &world->order_room, sizeof *world->orders);
    world->orders[world->order_count++] = *order;
}

static bool is_accepted(const struct world *world, const struct site *site)
{
    return world->now_ms >= site->accepted_ms;
}

void controller_order(struct world *world, uint32_t site, enum decision decision)
{
    order_put(world, &(struct told){ .site = site,
                                     .attempt = world->sites[site].attempt,
                                     .decision = decision,
                                     .serial = world->serial,
                                     .created_ms = world->now_ms });
}

void controller_withdraw(struct world *world, uint32_t site, bool decisions_too)
{
    for (size_t i = 0; i < world->order_count; i++)
        if (world->orders[i].site == site && world->orders[i].state == ORDER_PENDING &&
            (decisions_too || world->orders[i].decision == DECISION_NONE))
            world->orders[i].state = ORDER_WITHDRAWN;
}

/* When nothing of it may be begun any more; zero: no limit. */
static int64_t start_by_ms(const struct world *world, const struct told *order)
{
    int64_t from_ms = order->created_ms > world->started_ms ? order->created_ms : world->started_ms;
    return order->decision == DECISION_NONE ? from_ms + DEADLINE_MS - START_MARGIN_MS : 0;
}

static void order_send(struct world *world, uint32_t number)
{
    struct told *order = order_at(world, number);
    struct letter letter = { .kind = LETTER_ORDER,
                             .to_agent = true,
                             .site = order->site,
                             .link = world->sites[order->site].greeted,
                             .order = number,
                             .epoch = world->epoch,
                             .start_by_ms = start_by_ms(world, order) };
    if (letter.link == 0 || !is_accepted(world, &world->sites[order->site]) ||
        (letter.start_by_ms != 0 && world->now_ms >= letter.start_by_ms))
        return;
    order->sent_ms = world->now_ms;
    network_send(world, &letter);
}

static void orders_send(struct world *world, uint32_t site, int64_t before_ms)
{
    for (size_t i = 0; i < world->order_count; i++)
        if (world->orders[i].state == ORDER_PENDING && world->orders[i].sent_ms < before_ms &&
            (site == STORY_NOBODY || world->orders[i].site == site))
            order_send(world, (uint32_t)i + 1);
}

static void site_changed(struct world *world, size_t at, enum site_state before)
{
    enum site_state state = world->places[at].state;
    STORY(world, (uint32_t)at, "controller: %s, was %s", site_state_name(state), site_state_name(before));
    if (state == SITE_ORDERED)
        controller_order(world, (uint32_t)at, DECISION_NONE);
    if (state == SITE_SILENT) {
        coverage_site(world, before, INPUT_DEADLINE);
        controller_withdraw(world, (uint32_t)at, false);
    }
    laws_moved(world, at, before);
}

/* What the store does not hold is not there when the rollout is loaded for the next event. */
static void reload(struct world *world)
{
    laws_cover(world);
    for (size_t i = 0; i < world->site_count; i++)
        world->places[i].heard_ms = world->places[i].ordered_ms;
}

static void feed_event(struct world *world, const struct rollout_event *event)
{
    int node = coverage_rollout_node(&world->rollout);
    bool expiry = event->kind == ROLLOUT_TICK && world->rollout.expires_ms != 0 &&
                  world->now_ms >= world->rollout.expires_ms;
    enum site_state before = world->places[event->site].state;
    if (rollout_on(&world->rollout, event))
        coverage_rollout(world, node, expiry ? COVERAGE_EXPIRY : (int)event->kind);
    if ((event->kind == ROLLOUT_SITE || event->kind == ROLLOUT_STAYS) && world->places[event->site].state != before)
        coverage_site(world, before, event->input);
    laws_fed(world, event);
}

static bool start_next(struct world *world)
{
    size_t next = 0;
    int node = coverage_rollout_node(&world->rollout);
    if (!rollout_next(&world->rollout, world->now_ms, &next))
        return false;
    coverage_rollout(world, node, COVERAGE_ORDER);
    coverage_site(world, SITE_QUEUED, INPUT_ORDER);
    laws_started(world, next);
    return true;
}

static void feed(struct world *world, const struct rollout_event *event)
{
    enum site_state before[SITES_MAX];
    enum rollout_state state = world->rollout.state;
    bool stopped = world->rollout.reason[0] != '\0';
    size_t orders = world->order_count;
    for (size_t i = 0; i < world->site_count; i++)
        before[i] = world->places[i].state;
    laws_feed_before(world);
    if (event)
        feed_event(world, event);
    world->due_ms = 0;
    while (!world->broken && start_next(world))
        ;
    laws_settled(world, event && event->kind == ROLLOUT_TICK);
    for (size_t i = 0; i < world->site_count && !world->broken; i++)
        if (world->places[i].state != before[i])
            site_changed(world, i, before[i]);
    if (world->rollout.state != state || stopped != (world->rollout.reason[0] != '\0'))
        STORY(world, STORY_NOBODY, "the rollout is %s: %s", rollout_state_name(world->rollout.state),
              world->rollout.reason);
    for (; orders < world->order_count; orders++)
        order_send(world, (uint32_t)orders + 1);
}

void controller_feed(struct world *world, const struct rollout_event *event)
{
    reload(world);
    feed(world, event);
}

void controller_feed_site(struct world *world, size_t site, enum site_input input)
{
    struct rollout_event event = { ROLLOUT_SITE, site, input, world->now_ms, NULL };
    controller_feed(world, &event);
}

static bool is_unanswered(const struct told *order)
{
    return order->state == ORDER_PENDING || order->state == ORDER_WITHDRAWN;
}

static bool is_outdated(const struct world *world, const struct site *site, uint32_t attempt)
{
    enum site_state state = world->places[site->number].state;
    bool held = false;
    if (attempt == 0 || attempt >= site->attempt || !site_state_busy(state) || state == SITE_UNDOING)
        return false;
    for (size_t i = 0; i < world->order_count; i++) {
        const struct told *order = &world->orders[i];
        held |= order->site == site->number && order->decision == DECISION_NONE && order->attempt == site->attempt &&
                (order->state == ORDER_PENDING || order->state == ORDER_ACKED || order->state == ORDER_DONE);
    }
    return held;
}

static void decide_settled(struct world *world, struct site *site)
{
    if (world->places[site->number].state != SITE_ORDERED || !world->rollout.aborted)
        return;
    for (size_t i = 0; i < world->order_count; i++) {
        const struct told *order = &world->orders[i];
        if (order->site == site->number && order->decision == DECISION_NONE &&
            (order->state == ORDER_PENDING || order->state == ORDER_ACKED))
            return;
    }
    controller_feed_site(world, site->number, INPUT_WITHDRAW);
}

static void decide_refused(struct world *world, struct site *site)
{
    struct rollout_event event = { ROLLOUT_STAYS, site->number, INPUT_REFUSE, world->now_ms, "refused" };
    if (site->run_state != INPUT_UNDOING && site->run_state != INPUT_COUNT)
        event.input = site->run_state;
    controller_feed(world, &event);
}

static void answer_rollout(struct world *world, struct site *site, uint32_t number, int code)
{
    struct told order = *order_at(world, number);
    enum site_state state = world->places[site->number].state;
    bool decision = order.decision != DECISION_NONE;
    if (decision && code != 0 && state == SITE_SKIPPED) {
        if (site->run_state == INPUT_FORWARD || site->run_state == INPUT_UNDOING)
            controller_feed_site(world, site->number, INPUT_FORWARD);
        return;
    }
    if (decision && code != 0)
        decide_refused(world, site);
    if (decision) {
        decide_settled(world, site);
        return;
    }
    for (size_t i = number; i < world->order_count; i++) /* those after it */
        if (world->orders[i].site == site->number && world->orders[i].decision == DECISION_NONE)
            return;
    controller_feed_site(world, site->number, code == 0 ? INPUT_ACK : INPUT_REFUSE);
}

static void order_refused(struct world *world, struct site *site, uint32_t number, int code)
{
    order_at(world, number)->state = ORDER_REFUSED;
    answer_rollout(world, site, number, code);
}

static void on_order_ack(struct world *world, struct site *site, uint32_t number, int code)
{
    if (!is_unanswered(order_at(world, number)))
        return;
    if (code != 0) {
        order_refused(world, site, number, code);
        return;
    }
    order_at(world, number)->state = ORDER_ACKED;
    answer_rollout(world, site, number, 0);
}

static void on_run(struct world *world, struct site *site, const struct report *run)
{
    bool early = run->state == INPUT_FORWARD || run->state == INPUT_UNDOING || run->state == INPUT_NOT_READY;
    bool outdated = is_outdated(world, site, run->attempt);
    if (outdated && run->state == INPUT_COMMITTED && world->places[site->number].state == SITE_ORDERED) {
        outdated = false;
        controller_withdraw(world, site->number, false);
    }
    if (outdated)
        return;
    site->run_state = run->state;
    if (world->places[site->number].state == SITE_SKIPPED && !run->stopped && early)
        controller_feed(world, NULL);
    else
        controller_feed_site(world, site->number, run->state);
}

static void on_done(struct world *world, struct site *site, const struct report *done)
{
    struct told *order = order_at(world, done->order);
    enum site_state state = world->places[site->number].state;
    if (!order)
        return;
    if (done->code != 0 && order->decision == DECISION_NONE && is_unanswered(order)) {
        order_refused(world, site, done->order, done->code);
        return;
    }
    if (order->state == ORDER_REFUSED)
        return;
    order->state = ORDER_DONE;
    if (is_outdated(world, site, done->attempt))
        return;
    if (order->decision != DECISION_NONE && !(done->code != 0 && state == SITE_UNDOING)) {
        decide_settled(world, site);
        return;
    }
    if (done->code != 0 && site_state_in_flight(state))
        controller_feed_site(world, site->number, INPUT_LOST);
}

static void on_report(struct world *world, struct site *site, const struct letter *letter)
{
    if (letter->seq == site->event_seq + 1) {
        struct report report = site->reports[letter->seq - 1];
        site->event_seq = letter->seq;
        if (report.kind == REPORT_RUN)
            on_run(world, site, &report);
        else if (report.kind == REPORT_DONE)
            on_done(world, site, &report);
    }
    network_send(world, &(struct letter){ .kind = LETTER_REPORT_ACK,
                                          .to_agent = true,
                                          .site = site->number,
                                          .link = letter->link,
                                          .seq = site->event_seq });
}

/* A controller on a copy of the store may hold far more of this agent than the agent ever said. */
static void stray_ack(struct world *world, const struct site *site)
{
    if (!world->faults.two_controllers || !world_faulty(world) || world_random(world, 50) != 0)
        return;
    network_send(world, &(struct letter){ .kind = LETTER_REPORT_ACK,
                                          .to_agent = true,
                                          .site = site->number,
                                          .link = site->greeted,
                                          .seq = site->report_count + 1000 + world_random(world, 100) });
}

static void welcome(struct world *world, struct site *site)
{
    site->told_accepted = is_accepted(world, site);
    network_send(world, &(struct letter){ .kind = LETTER_WELCOME,
                                          .to_agent = true,
                                          .accepted = site->told_accepted,
                                          .site = site->number,
                                          .link = site->greeted,
                                          .epoch = world->epoch,
                                          .seq = site->event_seq,
                                          .at_ms = world->now_ms });
}

static void on_hello(struct world *world, struct site *site, const struct letter *letter)
{
    site->greeted = letter->link;
    if (letter->seq > site->event_seq)
        laws_broken(world, site->number, "law 5: the agent forgot report %llu, the controller holds %llu",
                    (unsigned long long)letter->seq, (unsigned long long)site->event_seq);
    welcome(world, site);
    orders_send(world, site->number, INT64_MAX);
}

void controller_hear(struct world *world, const struct letter *letter)
{
    struct site *site = &world->sites[letter->site];
    struct letter back = { .to_agent = true, .site = letter->site, .link = letter->link, .at_ms = world->now_ms };
    if (!world->controller_up || letter->link < site->greeted)
        return;
    if (letter->kind != LETTER_HELLO && letter->link != site->greeted) {
        back.kind = LETTER_REFUSAL;
        network_send(world, &back);
        return;
    }
    site->seen_ms = world->now_ms;
    if (letter->kind == LETTER_HELLO) {
        on_hello(world, site, letter);
    } else if (letter->kind == LETTER_BEAT) {
        back.kind = LETTER_BEAT_BACK;
        network_send(world, &back);
    } else if (letter->kind == LETTER_REPORT) {
        on_report(world, site, letter);
        stray_ack(world, site);
    } else if (letter->kind == LETTER_ORDER_ACK) {
        on_order_ack(world, site, letter->order, letter->code);
    }
}

static int64_t earlier(const struct world *world, int64_t due_ms, int64_t at_ms)
{
    return at_ms > world->now_ms && at_ms < due_ms ? at_ms : due_ms;
}

/* When time alone can change something: a deadline, the plan's end, an edge of a span, and the last instant at which
 * what is left of it is long enough. */
static int64_t tick_due_ms(const struct world *world)
{
    int64_t due_ms = earlier(world, INT64_MAX, world->rollout.expires_ms), estimate_ms = world->places[0].estimate_ms;
    for (size_t i = 0; i < world->site_count; i++) {
        const struct rollout_site *site = &world->places[i];
        int64_t from_ms = site->state == SITE_ORDERED ? site->ordered_ms : site->heard_ms;
        if (site_state_in_flight(site->state) && from_ms + DEADLINE_MS < due_ms)
            due_ms = from_ms + DEADLINE_MS;
    }
    for (size_t row = 0; row < SPAN_ROWS; row++)
        for (size_t i = 0; i < SPANS_MAX; i++) {
            const struct span *span = &world->spans[row][i];
            due_ms = earlier(world, due_ms, span->from_ms);
            due_ms = earlier(world, due_ms, span->to_ms);
            due_ms = earlier(world, due_ms, span->from_ms - estimate_ms + 1);
            due_ms = earlier(world, due_ms, span->to_ms - estimate_ms + 1);
        }
    return due_ms;
}

/* Most ticks change nothing, and are not worth asking the engine. Whether that is so is looked at now and then. */
static void tick_feed(struct world *world)
{
    struct rollout_event event = { .kind = ROLLOUT_TICK, .now_ms = world->now_ms };
    bool idle = world->now_ms < world->due_ms;
    size_t orders = world->order_count;
    enum rollout_state state = world->rollout.state;
    if (world->rollout.state != ROLLOUT_RUNNING || (idle && world_random(world, 64) != 0))
        return;
    feed(world, &event);
    if (idle && !world->broken && (orders != world->order_count || world->rollout.state != state))
        laws_broken(world, 0, "the simulator took a tick for idle that was none");
    world->due_ms = tick_due_ms(world);
}

void controller_tick(struct world *world)
{
    if (!world->controller_up)
        return;
    reload(world);
    for (size_t i = 0; i < world->site_count; i++) {
        struct rollout_site *site = &world->places[i];
        int64_t seen_ms = world->sites[i].greeted ? world->sites[i].seen_ms : 0;
        int64_t heard_ms = seen_ms > world->started_ms ? seen_ms : world->started_ms;
        site->heard_ms = heard_ms > site->heard_ms ? heard_ms : site->heard_ms;
        if (site->ordered_ms != 0 && site->ordered_ms < world->started_ms)
            site->ordered_ms = world->started_ms;
    }
    tick_feed(world);
    laws_ticked(world);
    for (size_t i = 0; i < world->site_count; i++) /* somebody has accepted it */
        if (world->sites[i].greeted && !world->sites[i].told_accepted && is_accepted(world, &world->sites[i]))
            welcome(world, &world->sites[i]);
    orders_send(world, STORY_NOBODY, world->now_ms - RESEND_MS);
    world_foresee(world, world->now_ms + (world_faulty(world) ? world->tick_ms : SLOW_TICK_MS), HAPPENS_TICK, 0, 0);
    if (!world->broken)
        laws_end(world);
}

/* The one before lives on and goes on giving the orders it holds, in its own epoch. */
static void stray_orders(struct world *world)
{
    for (size_t i = 0; i < world->order_count; i++) {
        if (world->orders[i].state != ORDER_PENDING)
            continue;
        struct letter letter = { .kind = LETTER_ORDER,
                                 .to_agent = true,
                                 .site = world->orders[i].site,
                                 .order = (uint32_t)i + 1,
                                 .epoch = world->epoch,
                                 .start_by_ms = start_by_ms(world, &world->orders[i]) };
        for (int n = 0; n < 3; n++)
            world_foresee(world, world->now_ms + world_wait(world, 5 * MINUTE_MS), HAPPENS_LETTER, letter.site, 0)
                ->letter = letter;
    }
}

void controller_start(struct world *world)
{
    if (world->controller_up)
        return;
    world->controller_up = true;
    world->epoch++;
    world->started_ms = world->now_ms;
    world->due_ms = 0;
    for (size_t i = 0; i < world->site_count; i++)
        world->sites[i].greeted = 0;
    STORY(world, STORY_NOBODY, "the controller starts, epoch %llu", (unsigned long long)world->epoch);
    world_foresee(world, world->now_ms + 1, HAPPENS_TICK, 0, 0);
}

void controller_crash(struct world *world)
{
    if (!world->controller_up)
        return;
    STORY(world, STORY_NOBODY, "the controller dies");
    if (world->faults.two_controllers)
        stray_orders(world);
    world->controller_up = false;
    for (size_t i = 0; i < world->site_count; i++)
        if (world->sites[i].linked && world_random(world, 4) != 0)
            world_foresee(world, world->now_ms + 1, HAPPENS_LINK_BREAK, (uint32_t)i,
                          world->sites[i].link);
    world_foresee(world, world->now_ms + world_wait(world, MINUTE_MS), HAPPENS_CONTROLLER_START, 0, 0);
}
