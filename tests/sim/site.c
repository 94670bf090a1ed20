#include "tests/sim/site.h"
#include "tests/sim/coverage.h"
#include "tests/sim/laws.h"
#include "tests/sim/story.h"

#include "confleet/err.h"
#include <assert.h>
#include <string.h>

#define RETRY_MS     2000
#define HEARD_GAP_MS (5 * SECOND_MS)

int64_t site_mono_ms(const struct world *world, const struct site *site)
{
    return world->now_ms + site->clock_skew_ms;
}

enum site_input site_run_state(const struct runbook *rb)
{
    static const enum site_input ends[] = { [OUTCOME_COMMITTED] = INPUT_COMMITTED,
                                            [OUTCOME_ROLLED_BACK] = INPUT_ROLLED_BACK,
                                            [OUTCOME_NOT_READY] = INPUT_NOT_READY,
                                            [OUTCOME_HELD] = INPUT_HELD };
    if (rb->outcome != OUTCOME_NONE)
        return ends[rb->outcome];
    if (rb->undoing)
        return INPUT_UNDOING;
    return rb->at > STEP_PROBE ? INPUT_APPLIED : INPUT_FORWARD;
}

void site_write_begin(struct site *site)
{
    site->writing++;
}

void site_write_end(struct world *world, struct site *site)
{
    if (--site->writing > 0 || site->dead || !site->up || !world_faulty(world) ||
        !world_chance(world, world->faults.power))
        return;
    STORY(world, site->number, "the power of its agent goes, after this was written");
    site->dead = true;
    world->dying = site;
}

void site_report(struct site *site, const struct report *report)
{
    if (site->dead)
        return;
    site->reports = world_grow(site->reports, site->report_count, &site->report_room, sizeof *site->reports);
    site->reports[site->report_count++] = *report;
}

static bool tells_step(enum run_event event)
{
    return event == EVENT_INTENT || event == EVENT_ACT_OK || event == EVENT_PROBED_COMPLETE ||
           event == EVENT_SOAK_OVER || event == EVENT_COMMIT_ORDERED || event == EVENT_ACT_FAILED ||
           event == EVENT_UNDO_FAILED || event == EVENT_UNDO_OK;
}

static int done_code(const struct run *run)
{
    if (run->outcome == OUTCOME_COMMITTED || (run->outcome == OUTCOME_ROLLED_BACK && run->taken_back))
        return FAIL_NONE;
    return run->outcome == OUTCOME_HELD ? FAIL_HELD : FAIL_BLOCKED;
}

void site_record(struct world *world, struct site *site, enum run_event event)
{
    struct run *run = site->open;
    struct runbook before = site->rb;
    if (site->dead)
        return;
    bool after_all = before.mode == MODE_ENDED && before.at < 0;
    enum step step = after_all ? STEP_CHECK : (enum step)before.at;
    if (!runbook_takes(&site->rb, event)) {
        laws_broken(world, site->number, "the driver fed '%s' where the runbook does not take it",
                    run_event_name(event));
        return;
    }
    site_write_begin(site);
    run->rows = world_grow(run->rows, run->row_count, &run->row_room, sizeof *run->rows);
    run->rows[run->row_count++] = (struct entry){ event, step, world->now_ms };
    (void)runbook_on(&site->rb, event);
    run->latest = site->rb;
    STORY(world, site->number, "journal: %s%s %s%s%s", before.undoing ? "undo " : "", runbook_steps[step].name,
          run_event_name(event), site->rb.mode == MODE_ENDED ? "; the run is " : "",
          site->rb.mode == MODE_ENDED ? outcome_name(site->rb.outcome) : "");
    struct report report = { .kind = REPORT_STEP, .attempt = run->attempt, .order = run->order };
    if (tells_step(event))
        site_report(site, &report);
    report.kind = REPORT_RUN;
    report.state = site_run_state(&site->rb);
    report.stopped = site->rb.stop_intended;
    bool first = event == EVENT_INTENT && step == STEP_CHECK && before.starts == 0;
    bool news = first || site_run_state(&before) != report.state;
    if (news)
        site_report(site, &report);
    if (news && world_faulty(world) && world_chance(world, world->faults.twice / 4)) /* in a message of its own */
        site_report(site, &report);
    run->applied |= report.state == INPUT_APPLIED;
    if (event == EVENT_INTENT && step == STEP_SOAK && !site->rb.undoing)
        site->soak_end_ms = world->now_ms + world->soak_ms;
    if (site->rb.mode == MODE_ENDED) {
        run->outcome = site->rb.outcome;
        run->ever[run->outcome] = true;
        report.kind = REPORT_DONE;
        report.code = done_code(run);
        site_report(site, &report);
    }
    coverage_run(world, &before, event);
    laws_recorded(world, site, event, &before);
    site_write_end(world, site);
}

void site_run_add(struct world *world, struct site *site, uint32_t order)
{
    struct run *run = &site->runs[site->run_count++], fresh = { .rows = run->rows, .row_room = run->row_room };
    *run = fresh;
    run->attempt = world->orders[order - 1].attempt;
    run->order = order;
    run->created_ms = world->now_ms;
    run->latest.hold_on_failure = world->hold_on_failure;
    memset(site->effect, 0, sizeof site->effect);
    site->schema_touched = false;
    site_run_load(world, site, run);
}

void site_run_load(struct world *world, struct site *site, struct run *run)
{
    site->open = run;
    site->rb = (struct runbook){ .hold_on_failure = world->hold_on_failure };
    site->doing = DOING_NOTHING;
    site->not_before_ms = 0;
    for (size_t i = 0; i < run->row_count; i++) {
        const struct entry *row = &run->rows[i];
        if (!runbook_takes(&site->rb, row->event)) {
            laws_broken(world, site->number, "law 4: the journal cannot be read back at row %zu ('%s')", i,
                        run_event_name(row->event));
            return;
        }
        (void)runbook_on(&site->rb, row->event);
        if (row->event == EVENT_INTENT && row->step == STEP_SOAK && !site->rb.undoing)
            site->soak_end_ms = row->at_ms + world->soak_ms;
    }
    laws_read_back(world, site);
    bool soaking = site->rb.at == STEP_SOAK && !site->rb.undoing;
    if (!world->broken && site->rb.mode == MODE_BUSY && !soaking)
        site_record(world, site, EVENT_CRASHED);
}

bool site_word(struct world *world, struct site *site, struct run *run, enum run_event word, uint32_t order)
{
    if (site->open && site->open != run)
        return false;
    if (!site->open)
        site_run_load(world, site, run);
    bool takes = runbook_takes(&site->rb, word);
    if (takes) {
        bool reopened = site->rb.mode == MODE_ENDED;
        bool fetching = site->doing == DOING_ACT && site->rb.at == STEP_FETCH;
        site->not_before_ms = 0;
        if (site->doing == DOING_PROBE) { /* what only looks is cut off */
            site->doing = DOING_NOTHING;
            site->act++;
        }
        run->taken_back |= word == EVENT_ROLLBACK_ORDERED;
        if (reopened) {
            run->outcome = OUTCOME_NONE;
            run->order = order;
        }
        site_record(world, site, word);
        if (fetching && word == EVENT_ROLLBACK_ORDERED && !world->broken) {
            site->doing = DOING_NOTHING;
            site->effect[STEP_FETCH] = WORTH_PARTIAL;
            site_record(world, site, EVENT_ACT_FAILED);
        }
    }
    if (site->open && site->rb.mode == MODE_ENDED && site->rb.outcome != OUTCOME_HELD)
        site->open = NULL;
    return takes;
}

static int64_t act_ms(struct world *world, enum step step, enum doing doing)
{
    int64_t mean_ms = doing == DOING_PROBE ? 2 * SECOND_MS : 20 * SECOND_MS;
    if (doing == DOING_ACT && (step == STEP_BACKUP || step == STEP_VERIFY || step == STEP_WAIT))
        mean_ms = 5 * MINUTE_MS;
    return world_wait(world, mean_ms);
}

static void act_begin(struct world *world, struct site *site, enum step step, enum doing doing)
{
    const struct faults *faults = &world->faults;
    bool faulty = world_faulty(world);
    if (site->dead) { /* cut off behind its intent, and nobody knows whether it began: so the stop counts as begun */
        bool stops = doing == DOING_ACT && step == STEP_STOP;
        site->open->stopped |= stops;
        site->down |= stops;
        return;
    }
    int64_t took_ms = act_ms(world, step, doing);
    laws_act(world, site, step, doing);
    if (world->broken)
        return;
    site->doing = doing;
    site->act_end = END_WELL;
    uint32_t fails = doing == DOING_ACT    ? faults->fail
                     : doing == DOING_UNDO ? faults->undo_fails
                                           : faults->probe_fails;
    if (faulty && world_chance(world, faults->hang)) {
        int64_t limit_ms = 1000 * (int64_t)runbook_steps[step].limit_s;
        took_ms = limit_ms < HANG_MAX_MS ? limit_ms : HANG_MAX_MS;
        site->act_end = END_FAILED;
    } else if (faulty && world_chance(world, fails)) {
        site->act_end = END_FAILED;
    } else if (faulty && doing != DOING_PROBE && world_chance(world, faults->died)) {
        site->act_end = END_DIED;
    }
    if (doing == DOING_ACT) {
        site->effect[step] = WORTH_PARTIAL;
        site->down |= step == STEP_STOP;
        site->schema_touched |= step == STEP_START;
    } else if (doing == DOING_UNDO) {
        if (step == STEP_START && site->effect[step] != WORTH_ABSENT)
            site->down = true;
        site->effect[step] = site->effect[step] == WORTH_ABSENT ? WORTH_ABSENT : WORTH_PARTIAL;
    }
    world_foresee(world, world->now_ms + took_ms, HAPPENS_ACT_END, site->number, ++site->act);
}

static bool is_heard(const struct world *world, const struct site *site)
{
    return site->answered && site_mono_ms(world, site) - site->answered_ms < DEADLINE_MS;
}

static bool stop_waits(const struct world *world, struct site *site, const struct order *order)
{
    if (order->kind != ORDER_DO || order->step != STEP_STOP || is_heard(world, site))
        return false;
    site->not_before_ms = world->now_ms + HEARD_GAP_MS;
    return true;
}

void site_tick(struct world *world, struct site *site)
{
    for (int i = 0; i < 4 * STEP_COUNT && !world->broken && site->open && !site->dead; i++) {
        struct order order = runbook_next(&site->rb);
        laws_ordered(world, site, &order);
        if (world->broken)
            return;
        if (order.kind == ORDER_FINISHED) {
            if (site->rb.outcome != OUTCOME_HELD)
                site->open = NULL;
            return;
        }
        if (site->doing != DOING_NOTHING || world->now_ms < site->not_before_ms)
            return;
        if (order.kind == ORDER_WAIT_SOAK) {
            if (site->rb.mode == MODE_READY)
                site_record(world, site, EVENT_INTENT);
            else if (world->now_ms >= site->soak_end_ms)
                site_record(world, site, EVENT_SOAK_OVER);
            else
                return;
            continue;
        }
        if (stop_waits(world, site, &order))
            return;
        if (order.kind != ORDER_PROBE)
            site_record(world, site, EVENT_INTENT);
        if (!world->broken)
            act_begin(world, site, order.step,
                      order.kind == ORDER_UNDO    ? DOING_UNDO
                      : order.kind == ORDER_PROBE ? DOING_PROBE
                                                  : DOING_ACT);
    }
}

static enum worth worth_any(struct world *world)
{
    return (enum worth)world_random(world, 3);
}

static void act_well(struct world *world, struct site *site, enum step step)
{
    site->effect[step] = WORTH_COMPLETE;
    if (step == STEP_PROBE)
        site->down = false;
    site_record(world, site, EVENT_ACT_OK);
}

static void undo_well(struct world *world, struct site *site, enum step step)
{
    /* What comes after it stood on it. */
    for (int i = (int)step; i < STEP_COUNT; i++)
        site->effect[i] = WORTH_ABSENT;
    if (step == STEP_STOP)
        site->down = false;
    if (step == STEP_START)
        site->schema_touched = false;
    site_record(world, site, EVENT_UNDO_OK);
}

static void probe_end(struct world *world, struct site *site, enum step step)
{
    static const enum run_event says[] = { EVENT_PROBED_ABSENT, EVENT_PROBED_PARTIAL, EVENT_PROBED_COMPLETE };
    enum worth worth = site->effect[step];
    /* A probe may see less than there is, never more. */
    if (world_faulty(world) && world_chance(world, world->faults.probe_worse))
        worth = (enum worth)world_random(world, (uint64_t)worth + 1);
    if (worth == WORTH_COMPLETE && step == STEP_PROBE)
        site->down = false;
    site_record(world, site, says[worth]);
}

void site_act_end(struct world *world, struct site *site, uint32_t token)
{
    enum doing doing = site->doing;
    if (!site->up || doing == DOING_NOTHING || token != site->act)
        return;
    enum step step = (enum step)site->rb.at;
    site->doing = DOING_NOTHING;
    if (doing != DOING_ACT && site->act_end != END_WELL)
        site->not_before_ms = world->now_ms + RETRY_MS;
    if (doing == DOING_PROBE && site->act_end == END_WELL) {
        probe_end(world, site, step);
    } else if (doing == DOING_PROBE) {
        site_record(world, site, EVENT_PROBE_FAILED);
    } else if (doing == DOING_UNDO && site->act_end == END_WELL) {
        undo_well(world, site, step);
    } else if (doing == DOING_UNDO) {
        site_record(world, site, EVENT_UNDO_FAILED);
        bool impatient = world->faults.person_ms != 0 && world_faulty(world) && world_random(world, 4) == 0;
        if (!world->broken && impatient && site->rb.mode != MODE_ENDED)
            (void)site_word(world, site, site->open, EVENT_ROLLBACK_ORDERED, NO_ORDER);
    } else if (site->act_end == END_WELL) {
        act_well(world, site, step);
    } else {
        site->effect[step] = worth_any(world);
        site_record(world, site, site->act_end == END_DIED ? EVENT_CRASHED : EVENT_ACT_FAILED);
    }
}

void site_crash(struct world *world, struct site *site)
{
    site->dead = false;
    site->writing = 0;
    if (site->doing == DOING_ACT)
        site->effect[site->rb.at] = worth_any(world);
    site->doing = DOING_NOTHING;
    site->act++;
    site->open = NULL;
}

int64_t site_due_ms(const struct site *site)
{
    if (!site->open || site->doing != DOING_NOTHING || site->rb.mode == MODE_ENDED)
        return INT64_MAX;
    if (site->rb.mode == MODE_BUSY && site->rb.at == STEP_SOAK && !site->rb.undoing)
        return site->soak_end_ms;
    return site->not_before_ms;
}
