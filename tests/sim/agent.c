#include "tests/sim/agent.h"
#include "tests/sim/coverage.h"
#include "tests/sim/laws.h"
#include "tests/sim/network.h"
#include "tests/sim/site.h"
#include "tests/sim/story.h"

#include "confleet/err.h"

#define DECISION_SKEW_MS (5 * MINUTE_MS)

static void send_order_ack(struct world *world, const struct site *site, uint32_t order, int code)
{
    network_send(world, &(struct letter){ .kind = LETTER_ORDER_ACK,
                                          .site = site->number,
                                          .link = site->link,
                                          .order = order,
                                          .code = code });
}

/* False: there is nothing to say. */
static bool say_next(struct world *world, struct site *site)
{
    struct letter letter = { .site = site->number, .link = site->link };
    int64_t now_ms = site_mono_ms(world, site);
    struct session_order order = session_next(&site->session, site->report_count, now_ms);
    uint64_t last = order.after;
    laws_said(world, site, &order);
    if (world->broken)
        return false;
    switch (order.say) {
    case SAY_NOTHING:
        return false;
    case SAY_HELLO:
        letter.kind = LETTER_HELLO;
        letter.epoch = site->epoch;
        letter.seq = site->gone;
        network_send(world, &letter);
        break;
    case SAY_HEARTBEAT:
        letter.kind = LETTER_BEAT;
        network_send(world, &letter);
        break;
    case SAY_EVENTS:
        letter.kind = LETTER_REPORT;
        for (uint64_t i = 0; i < order.count; i++) {
            letter.seq = ++last;
            network_send(world, &letter);
        }
        break;
    }
    coverage_session(world, &site->session, CALL_SAID);
    session_said(&site->session, order.say, last, now_ms);
    return true;
}

static void answer_keep(struct site *site, uint32_t order, int code)
{
    site->answers = world_grow(site->answers, site->answer_count, &site->answer_room, sizeof *site->answers);
    site->answers[site->answer_count++] = (struct answer){ order, code };
}

static void report_done(struct site *site, uint32_t order, int code)
{
    site_report(site, &(struct report){ .kind = REPORT_DONE, .order = order, .code = code });
}

static int take_upgrade(struct world *world, struct site *site, const struct letter *letter)
{
    const struct told *order = &world->orders[letter->order - 1];
    int64_t now_ms = site->clock_known ? site_mono_ms(world, site) + site->clock_ms : world->now_ms;
    if (letter->start_by_ms != 0 && now_ms >= letter->start_by_ms) {
        report_done(site, letter->order, FAIL_EXPIRED);
        return FAIL_EXPIRED;
    }
    if (site->open)
        return site->rb.mode == MODE_ENDED ? FAIL_HELD : FAIL_BUSY;
    if (site->run_count > 0 && order->attempt <= site->runs[site->run_count - 1].attempt)
        return FAIL_EXISTS;
    if (world_faulty(world) && world_chance(world, world->faults.policy))
        return FAIL_DENIED; /* its own windows, its policy, a plan that it does not trust */
    if (site->dropped) {
        report_done(site, letter->order, FAIL_CANCELLED);
        return FAIL_CANCELLED;
    }
    laws_taken(world, site, order, letter);
    if (!world->broken)
        site_run_add(world, site, letter->order);
    site->session.heartbeat_ms = world->heartbeat_ms;
    return 0;
}

static int decide(struct world *world, struct site *site, struct run *run, uint32_t number)
{
    struct told order = world->orders[number - 1];
    if (order.serial < site->decision_serial || order.created_ms + DECISION_SKEW_MS < run->created_ms)
        return FAIL_STALE;
    bool drops = order.decision == DECISION_ABORT || order.decision == DECISION_SKIP;
    site->dropped |= drops;
    if (order.decision == DECISION_SKIP && site->open == run && site->rb.stop_intended)
        return FAIL_CONFLICT;
    if (order.decision == DECISION_ABORT && !site->open)
        return FAIL_CONFLICT;
    if (order.decision == DECISION_ABORT && site->rb.outcome == OUTCOME_HELD)
        return FAIL_HELD;
    bool goes_on = (order.decision == DECISION_SKIP && !site->open) ||
                   (order.decision == DECISION_ABORT && site->rb.start_intended);
    if (order.decision == DECISION_ABORT)
        laws_aborted(world, site, goes_on);
    enum run_event word = order.decision == DECISION_COMMIT ? EVENT_COMMIT_ORDERED : EVENT_ROLLBACK_ORDERED;
    if (!goes_on && !site_word(world, site, run, word, number))
        return FAIL_CONFLICT;
    site->decision_serial = order.serial;
    return 0;
}

static int take_decide(struct world *world, struct site *site, uint32_t number)
{
    struct told order = world->orders[number - 1];
    struct run *run = site->run_count > 0 ? &site->runs[site->run_count - 1] : NULL;
    if (!run && order.decision != DECISION_ABORT && order.decision != DECISION_SKIP)
        return FAIL_NOT_FOUND;
    if (!run && order.serial < site->decision_serial)
        return FAIL_STALE;
    if (!run) {
        site->dropped = true;
        site->decision_serial = order.serial;
        report_done(site, number, 0);
        return 0;
    }
    int code = decide(world, site, run, number);
    if (code != 0 && run->outcome == OUTCOME_COMMITTED && !site->open)
        site_report(site, &(struct report){ .kind = REPORT_RUN,
                                            .state = INPUT_COMMITTED,
                                            .attempt = run->attempt,
                                            .order = number,
                                            .stopped = true });
    return code;
}

static void take(struct world *world, struct site *site, const struct letter *letter)
{
    int code = 0;
    if (letter->epoch < site->epoch) {
        STORY(world, site->number, "order %u is of epoch %llu: refused", letter->order,
              (unsigned long long)letter->epoch);
        return; /* the answer goes to the controller that nobody listens to any more */
    }
    site->epoch = letter->epoch;
    for (size_t i = 0; i < site->answer_count; i++)
        if (site->answers[i].order == letter->order) {
            send_order_ack(world, site, letter->order, site->answers[i].code);
            return;
        }
    enum decision decision = world->orders[letter->order - 1].decision;
    site_write_begin(site);
    if (decision == DECISION_NONE)
        code = take_upgrade(world, site, letter);
    else
        code = take_decide(world, site, letter->order);
    STORY(world, site->number, "takes order %u (%s): code %d", letter->order, decision ? "a decision" : "upgrade",
          code);
    answer_keep(site, letter->order, code);
    site_write_end(world, site);
    while (code != 0 && say_next(world, site))
        ;
    send_order_ack(world, site, letter->order, code);
}

static void told_clock(struct world *world, struct site *site, enum session_say answered, int64_t controller_ms)
{
    coverage_session(world, &site->session, CALL_TOLD);
    session_told(&site->session, answered, controller_ms, site_mono_ms(world, site));
    site->clock_known = session_clock(&site->session, 0, &site->clock_ms);
    site->answered = site->clock_known;
    site->answered_ms = site->session.answered_ms;
    laws_told_clock(world, site);
}

static void welcomed(struct world *world, struct site *site, const struct letter *letter)
{
    if (letter->epoch < site->epoch) {
        agent_link_break(world, site);
        return;
    }
    site->welcomed = site->link;
    site->said_link = 0; /* all that was under way is said again */
    site->unwelcome = 0;
    site->welcome_epoch = letter->epoch;
    told_clock(world, site, SAY_HELLO, letter->at_ms);
    coverage_session(world, &site->session, CALL_WELCOME);
    site->accepted_link = letter->accepted ? site->link : 0;
    session_welcome(&site->session, letter->accepted, letter->seq, (uint32_t)world->heartbeat_ms,
                    site_mono_ms(world, site));
    site->epoch = letter->epoch;
    site->gone = letter->seq > site->gone ? letter->seq : site->gone;
}

void agent_hear(struct world *world, struct site *site, const struct letter *letter)
{
    bool stray = letter->link == 0; /* of the other controller */
    if (!site->up || (!stray && (!site->linked || letter->link != site->link)))
        return;
    bool open = site->session.state == SESSION_OPEN;
    switch (letter->kind) {
    case LETTER_WELCOME:
        welcomed(world, site, letter);
        break;
    case LETTER_BEAT_BACK:
        if (!site->open || !world_faulty(world))
            site->session.heartbeat_ms = SLOW_BEAT_MS;
        told_clock(world, site, SAY_HEARTBEAT, letter->at_ms);
        break;
    case LETTER_REPORT_ACK:
        if (open) {
            coverage_session(world, &site->session, CALL_ACK);
            session_ack(&site->session, letter->seq, site_mono_ms(world, site));
        }
        if (open && site->session.acked > site->gone)
            site->gone = site->session.acked;
        break;
    case LETTER_REFUSAL:
        STORY(world, site->number, "the controller does not know this connection");
        agent_link_break(world, site);
        break;
    case LETTER_ORDER:
        if (open)
            take(world, site, letter);
        break;
    default:
        break;
    }
    if (!world->broken)
        agent_turn(world, site);
}

void agent_turn(struct world *world, struct site *site)
{
    if (!site->up)
        return;
    if (site->wake_ms <= world->now_ms)
        site->wake_ms = 0;
    site_tick(world, site);
    while (!world->broken && say_next(world, site))
        ;
    if (world->broken)
        return;
    laws_spoke(world, site, session_due_ms(&site->session));
    int64_t due_ms = session_due_ms(&site->session), run_ms = site_due_ms(site);
    due_ms = due_ms == INT64_MAX ? due_ms : due_ms - site->clock_skew_ms;
    due_ms = run_ms < due_ms ? run_ms : due_ms;
    if (due_ms == INT64_MAX)
        return;
    due_ms = due_ms <= world->now_ms ? world->now_ms + 1 : due_ms;
    if (site->wake_ms != 0 && site->wake_ms <= due_ms)
        return;
    site->wake_ms = due_ms;
    world_foresee(world, due_ms, HAPPENS_WAKE, site->number, 0);
}

void agent_link_up(struct world *world, struct site *site)
{
    if (!site->up || site->linked || site->dead)
        return;
    if (!world->controller_up) {
        world_foresee(world, world->now_ms + 15 * SECOND_MS, HAPPENS_LINK_UP, site->number, 0);
        return;
    }
    site->link++;
    site->unwelcome++;
    site->linked = true;
    coverage_session(world, &site->session, CALL_UP);
    session_up(&site->session, site_mono_ms(world, site));
    agent_turn(world, site);
}

void agent_link_break(struct world *world, struct site *site)
{
    if (!site->linked)
        return;
    site->linked = false;
    coverage_session(world, &site->session, CALL_DOWN);
    session_down(&site->session);
    int64_t wait_ms = world_wait(world, (3 * SECOND_MS) << (site->unwelcome < 4 ? site->unwelcome : 4));
    world_foresee(world, world->now_ms + wait_ms, HAPPENS_LINK_UP, site->number, 0);
}

void agent_start(struct world *world, struct site *site)
{
    if (site->up)
        return;
    site->up = true;
    site->linked = false;
    /* What it found on its server before anybody listens; much of it takes its time, so one agent is enough. */
    uint64_t found = site->accepted_ms == 0 || site->number != 0 ? 1 : 2 * SESSION_WINDOW;
    while (site->report_count < found)
        site_report(site, &(struct report){ .kind = REPORT_STEP });
    site->answered = site->clock_known = false;
    site->wake_ms = 0;
    site->open = NULL;
    coverage_session(world, &site->session, CALL_DOWN);
    session_down(&site->session);
    for (size_t i = 0; i < site->run_count && !world->broken; i++)
        if (site->runs[i].outcome == OUTCOME_NONE || site->runs[i].outcome == OUTCOME_HELD)
            site_run_load(world, site, &site->runs[i]);
    world_foresee(world, world->now_ms + world_wait(world, SECOND_MS), HAPPENS_LINK_UP, site->number, 0);
    if (!world->broken)
        agent_turn(world, site);
}

void agent_crash(struct world *world, struct site *site)
{
    if (!site->up)
        return;
    STORY(world, site->number, "its agent dies");
    site_crash(world, site);
    site->up = site->linked = false;
    coverage_session(world, &site->session, CALL_DOWN);
    session_down(&site->session);
    int64_t away_ms = world_random(world, 4) == 0 ? world_wait(world, 12 * MINUTE_MS) : world_wait(world, 10 * SECOND_MS);
    world_foresee(world, world->now_ms + away_ms, HAPPENS_AGENT_START, site->number, 0);
}
