#include "tests/sim/laws.h"
#include "tests/sim/site.h"
#include "tests/sim/story.h"

#include <stdio.h>
#include <string.h>

uint64_t laws_trip;

void laws_broken(struct world *world, uint32_t site, const char *format, ...)
{
    va_list ap;
    if (world->broken)
        return;
    world->broken = true;
    world->rule = format;
    world->violation_site = site;
    va_start(ap, format);
    (void)vsnprintf(world->violation, sizeof world->violation, format, ap);
    va_end(ap);
    STORY(world, site, "VIOLATION: %s", world->violation);
}

/* The largest batch that the stage ever has; what is there at once is never more. */
static uint32_t batch_most(const struct world *world, size_t stage)
{
    const struct rollout_stage *rule = &world->stages[stage];
    uint32_t most = rule->batch_count == 0 ? 1 : 0, sites = 0;
    for (size_t i = 0; i < world->site_count; i++)
        sites += world->places[i].stage == stage;
    for (size_t i = 0; i < rule->batch_count; i++) {
        uint32_t size = rule->batch[i] == 0 ? sites : rule->batch[i];
        most = size > most ? size : most;
    }
    return most;
}

/* Sites of the stage that are down for an upgrade which nobody told to go back, skipped or tried again. */
static uint32_t down_count(const struct world *world, size_t stage)
{
    uint32_t count = 0;
    for (size_t i = 0; i < world->site_count; i++) {
        const struct site *site = &world->sites[i];
        if (world->places[i].stage != stage || !site->down || site->given_up || site->attempt > 1 ||
            site->runs[0].taken_back)
            continue;
        count++;
    }
    return count;
}

static void ended(struct world *world, struct site *site, const struct runbook *rb)
{
    static const int switched[] = { STEP_STOP, STEP_GUARD, STEP_CAPTURE_FILES, STEP_CAPTURE_DATABASE, STEP_SWITCH,
                                    STEP_START };
    if (site->open->stopped && rb->outcome == OUTCOME_NOT_READY)
        laws_broken(world, site->number, "law 3: stopped, and ended 'not ready'");
    if (rb->outcome == OUTCOME_NONE)
        laws_broken(world, site->number, "law 3: ended without an outcome");
    if (rb->outcome == OUTCOME_HELD)
        return;
    if (site->down)
        laws_broken(world, site->number, "law 3: ended '%s' and is down", outcome_name(rb->outcome));
    for (int step = STEP_STOP; step <= STEP_PROBE && rb->outcome == OUTCOME_COMMITTED; step++)
        if (site->effect[step] != WORTH_COMPLETE)
            laws_broken(world, site->number, "law 3: committed, and step '%s' is not complete",
                        runbook_steps[step].name);
    for (size_t i = 0; i < sizeof switched / sizeof switched[0] && rb->outcome != OUTCOME_COMMITTED; i++)
        if (site->effect[switched[i]] != WORTH_ABSENT)
            laws_broken(world, site->number, "law 3: ended '%s', and step '%s' is not undone",
                        outcome_name(rb->outcome), runbook_steps[switched[i]].name);
}

void laws_recorded(struct world *world, struct site *site, enum run_event event, const struct runbook *before)
{
    const struct runbook *rb = &site->rb;
    if (event == EVENT_ROLLBACK_ORDERED || event == EVENT_RESUME_ORDERED)
        site->open->told_back = event == EVENT_ROLLBACK_ORDERED;
    if (before->stop_intended && !rb->stop_intended)
        laws_broken(world, site->number, "law 3: the stop is forgotten");
    if (before->undoing && !rb->undoing && event != EVENT_RESUME_ORDERED)
        laws_broken(world, site->number, "law 3: a way back turned forward by '%s'", run_event_name(event));
    if (event != EVENT_INTENT && event != EVENT_ROLLBACK_ORDERED && event != EVENT_RESUME_ORDERED &&
        before->mode == MODE_READY)
        laws_broken(world, site->number, "law 4: '%s' without an intent", run_event_name(event));
    if (rb->mode == MODE_ENDED)
        ended(world, site, rb);
    laws_journal(world, site, event, before);
    if (laws_trip != 0 && rb->outcome == OUTCOME_ROLLED_BACK && site->attempt >= laws_trip)
        laws_broken(world, site->number, "law 0: no attempt from %llu on goes back, for a test",
                    (unsigned long long)laws_trip);
}

static uint32_t starts_of(const struct run *run, enum step step)
{
    uint32_t starts = 0;
    for (size_t i = run->row_count; i-- > 0 && run->rows[i].event != EVENT_RESUME_ORDERED;)
        starts += run->rows[i].step == step && run->rows[i].event == EVENT_INTENT;
    return starts;
}

static void stops(struct world *world, struct site *site)
{
    size_t stage = world->places[site->number].stage;
    uint32_t most = batch_most(world, stage), down = down_count(world, stage);
    if (site->effect[STEP_BACKUP] != WORTH_COMPLETE || site->effect[STEP_VERIFY] != WORTH_COMPLETE)
        laws_broken(world, site->number, "law 2: it is stopped, and its backup is not verified");
    if (!site->down && site->attempt == 1 && !site->given_up && down + 1 > most)
        laws_broken(world, site->number, "law 7: %u sites of stage %s are down already, its batch is %u", down,
                    world->stages[stage].name, most);
    int64_t unheard_ms = world->now_ms - site->seen_ms;
    if (unheard_ms > DEADLINE_MS && world->controller_up)
        laws_broken(world, site->number, "law 6: it is stopped, and the controller has not heard of it for %lld s",
                    (long long)(unheard_ms / 1000));
}

void laws_act(struct world *world, struct site *site, enum step step, enum doing doing)
{
    struct run *run = site->open;
    const struct entry *last = run->row_count > 0 ? &run->rows[run->row_count - 1] : NULL;
    if (site->doing != DOING_NOTHING)
        laws_broken(world, site->number, "law 4: two acts at once");
    if (doing == DOING_PROBE)
        return;
    if (!last || last->event != EVENT_INTENT || last->step != step)
        laws_broken(world, site->number, "law 4: '%s' acts without its intent in the journal", runbook_steps[step].name);
    if (doing == DOING_UNDO)
        return;
    if (run->told_back)
        laws_broken(world, site->number, "law 3: '%s' is begun, and a rollback was ordered", runbook_steps[step].name);
    run->stopped |= step == STEP_STOP;
    if (starts_of(run, step) > RUNBOOK_STARTS_MAX)
        laws_broken(world, site->number, "law 4: '%s' is started a third time", runbook_steps[step].name);
    for (int i = STEP_FETCH; i < (int)step; i++)
        if (site->effect[i] != WORTH_COMPLETE && runbook_steps[i].failure != FAILURE_NOTE && i != STEP_SOAK)
            laws_broken(world, site->number, "law 4: '%s' is begun, and '%s' before it is not complete",
                        runbook_steps[step].name, runbook_steps[i].name);
    if (step == STEP_STOP)
        stops(world, site);
}

void laws_taken(struct world *world, struct site *site, const struct told *order, const struct letter *letter)
{
    if (letter->epoch < site->epoch || letter->epoch < site->welcome_epoch)
        laws_broken(world, site->number, "law 8: it obeys an order of epoch %llu", (unsigned long long)letter->epoch);
    for (size_t i = 0; i < site->run_count; i++)
        if (site->runs[i].outcome == OUTCOME_NONE || site->runs[i].outcome == OUTCOME_HELD)
            laws_broken(world, site->number, "law 4: a second run, and attempt %u is %s", site->runs[i].attempt,
                        outcome_name(site->runs[i].outcome));
        else if (site->runs[i].attempt >= order->attempt)
            laws_broken(world, site->number, "law 4: attempt %u is made twice", order->attempt);
    if (site->run_count == RUNS_MAX)
        laws_broken(world, site->number, "law 4: more runs than attempts");
    if (world->now_ms >= letter->start_by_ms)
        laws_broken(world, site->number, "law 6: it takes an order %lld s after it counts as silent",
                    (long long)((world->now_ms - letter->start_by_ms) / 1000));
    if (site->down)
        laws_broken(world, site->number, "law 3: a new attempt of a site that is down");
}

void laws_read_back(struct world *world, struct site *site)
{
    const struct runbook *was = &site->open->latest, *is = &site->rb;
    if (was->at != is->at || was->mode != is->mode || was->outcome != is->outcome || was->undoing != is->undoing ||
        was->stop_intended != is->stop_intended || was->start_intended != is->start_intended ||
        was->rollback_wanted != is->rollback_wanted || was->starts != is->starts ||
        was->undo_fails != is->undo_fails || was->probe_fails != is->probe_fails)
        laws_broken(world, site->number, "law 4: read back from its journal the run is another");
}

static bool covers(const struct span *span, int64_t at_ms)
{
    return span->from_ms <= at_ms && at_ms < span->to_ms;
}

/* Asked of each instant at which something can change, so that it knows nothing of how openings are computed. */
static bool allowed(const struct world *world, const struct rollout_site *site, int64_t at_ms)
{
    const struct span_list *windows[] = { &world->stages[site->stage].windows, &site->windows };
    bool inside = true;
    for (size_t k = 0; k < 2; k++) {
        bool in_one = windows[k]->count == 0;
        for (size_t i = 0; i < windows[k]->count; i++)
            in_one |= covers(&windows[k]->spans[i], at_ms);
        inside &= in_one;
    }
    for (size_t i = 0; i < world->rollout.freezes.count; i++)
        inside &= !covers(&world->rollout.freezes.spans[i], at_ms);
    for (size_t i = 0; i < site->holds.count; i++)
        inside &= !covers(&site->holds.spans[i], at_ms);
    return inside;
}

bool laws_in_time(const struct world *world, size_t at, int64_t from_ms)
{
    const struct rollout_site *site = &world->places[at];
    int64_t to_ms = from_ms + site->estimate_ms;
    bool good = allowed(world, site, from_ms) && allowed(world, site, to_ms - 1);
    for (size_t row = 0; row < SPAN_ROWS && good; row++)
        for (size_t i = 0; i < SPANS_MAX; i++) {
            const struct span *span = &world->spans[row][i];
            if (span->from_ms > from_ms && span->from_ms < to_ms)
                good &= allowed(world, site, span->from_ms);
            if (span->to_ms > from_ms && span->to_ms < to_ms)
                good &= allowed(world, site, span->to_ms);
        }
    return good;
}

static void starts_in_time(struct world *world, size_t at)
{
    if (!laws_in_time(world, at, world->now_ms))
        laws_broken(world, (uint32_t)at, "law 7: it is started outside an opening");
    if (world->rollout.expires_ms != 0 && world->now_ms >= world->rollout.expires_ms)
        laws_broken(world, (uint32_t)at, "law 8: it is started by a plan that expired");
}

static void gates_are_open(struct world *world, size_t at)
{
    for (unsigned class = GATE_FAILED; class < GATE_CLASS_COUNT; class++) {
        uint32_t all = 0, of[STAGES_MAX] = { 0 };
        for (size_t i = 0; i < world->site_count; i++) {
            enum site_state state = world->places[i].state;
            bool failed = state == SITE_ROLLED_BACK || state == SITE_NOT_READY || state == SITE_REFUSED ||
                          state == SITE_HELD;
            bool counts = (class == GATE_FAILED && failed) || (class == GATE_SILENT && state == SITE_SILENT) ||
                          (class == GATE_REFUSED && state == SITE_REFUSED) ||
                          (class == GATE_NOT_READY && state == SITE_NOT_READY) ||
                          (class == GATE_ROLLED_BACK && state == SITE_ROLLED_BACK) ||
                          (class == GATE_HELD && state == SITE_HELD);
            counts &= !world->places[i].excused;
            all += counts;
            of[world->places[i].stage] += counts;
        }
        for (size_t i = 0; i < world->rollout.stage_count; i++)
            if (of[i] > world->stages[i].gate.max[class])
                laws_broken(world, (uint32_t)at, "law 6: it is started, and the gate of stage %s is closed (%s)",
                            world->stages[i].name, gate_class_name((enum gate_class)class));
        if (world->rollout.run_gate && all > world->run_gate.max[class])
            laws_broken(world, (uint32_t)at, "law 6: it is started, and the gate of the run is closed");
    }
}

void laws_started(struct world *world, size_t at)
{
    const struct rollout *rollout = &world->rollout;
    size_t stage = world->places[at].stage;
    size_t needs = world->stages[stage].needs != 0 ? world->stages[stage].needs : stage;
    uint32_t at_work = 0, kept = 0, failed = 0;
    if (rollout->paused || rollout->aborted || rollout->reason[0] != '\0' || rollout->state != ROLLOUT_RUNNING)
        laws_broken(world, (uint32_t)at, "law 6: it is started while the rollout is stopped: %s", rollout->reason);
    if (world->stages[stage].approvals < world->stages[stage].approvals_needed)
        laws_broken(world, (uint32_t)at, "law 1: it is started, and its stage is not approved");
    for (size_t i = 0; i < world->site_count; i++) {
        enum site_state state = world->places[i].state;
        if (world->places[i].stage == stage)
            at_work += state == SITE_ORDERED || state == SITE_RUNNING || state == SITE_UNDOING ||
                       state == SITE_SILENT || state == SITE_HELD;
        if (needs == 0 || world->places[i].stage != needs - 1)
            continue;
        if (state == SITE_QUEUED || state == SITE_ORDERED || state == SITE_RUNNING || state == SITE_UNDOING ||
            state == SITE_SOAKING)
            laws_broken(world, (uint32_t)at, "law 1: it is started, and %s of the stage before is %s",
                        world->places[i].name, site_state_name(state));
        kept += state == SITE_COMMITTED;
        failed += state != SITE_COMMITTED && state != SITE_SKIPPED && !world->places[i].excused;
    }
    if (failed > 0 && kept == 0)
        laws_broken(world, (uint32_t)at, "law 1: it is started, and nothing of the stage before was kept");
    if (at_work > batch_most(world, stage))
        laws_broken(world, (uint32_t)at, "law 7: %u sites of stage %s are at work or in doubt, its batch is %u",
                    at_work, world->stages[stage].name, batch_most(world, stage));
    starts_in_time(world, at);
    laws_batch(world, at);
    gates_are_open(world, at);
}

void laws_moved(struct world *world, size_t at, enum site_state before)
{
    const struct site *site = &world->sites[at];
    bool ever[OUTCOME_HELD + 1] = { false }, applied = false;
    enum site_state state = world->places[at].state;
    for (size_t i = 0; i < site->run_count; i++) {
        for (int k = 0; k <= OUTCOME_HELD; k++)
            ever[k] |= site->runs[i].ever[k];
        applied |= site->runs[i].applied;
    }
    bool ahead = (state == SITE_COMMITTED && !ever[OUTCOME_COMMITTED]) || (state == SITE_SOAKING && !applied) ||
                 (state == SITE_ROLLED_BACK && !ever[OUTCOME_ROLLED_BACK]) ||
                 (state == SITE_NOT_READY && !ever[OUTCOME_NOT_READY]) ||
                 (state == SITE_RUNNING && site->run_count == 0);
    if (ahead)
        laws_broken(world, (uint32_t)at, "law 5: the controller takes it for %s, the journal knows nothing of it",
                    site_state_name(state));
    bool retried = before == SITE_ROLLED_BACK || before == SITE_NOT_READY || before == SITE_REFUSED ||
                   before == SITE_SILENT; /* and then ordered at once */
    if (state == SITE_ORDERED && before != SITE_QUEUED && !retried)
        laws_broken(world, (uint32_t)at, "law 4: ordered out of %s", site_state_name(before));
}

void laws_always(struct world *world, uint32_t number)
{
    const struct site *site = &world->sites[number];
    const struct rollout *rollout = &world->rollout;
    const struct run *run = site->run_count > 0 ? &site->runs[site->run_count - 1] : NULL;
    if (site->schema_touched && (site->effect[STEP_CAPTURE_FILES] != WORTH_COMPLETE ||
                                 site->effect[STEP_CAPTURE_DATABASE] != WORTH_COMPLETE))
        laws_broken(world, number, "law 2: the new build was started, and the capture of the stop is not complete");
    if (site->down && (!run || (run->outcome != OUTCOME_NONE && run->outcome != OUTCOME_HELD)))
        laws_broken(world, number, "law 3: it is down, and nobody is at work");
    if (rollout->state == ROLLOUT_HALTED && rollout->reason[0] == '\0')
        laws_broken(world, number, "law 6: halted without a reason");
    if (rollout->aborted && rollout->reason[0] == '\0')
        laws_broken(world, number, "law 6: aborted and not stopped");
}

void laws_ticked(struct world *world)
{
    for (uint32_t i = 0; i < world->site_count; i++) {
        const struct rollout_site *place = &world->places[i];
        int64_t heard_ms = world->sites[i].greeted ? world->sites[i].seen_ms : 0;
        heard_ms = heard_ms > world->started_ms ? heard_ms : world->started_ms;
        heard_ms = heard_ms > place->ordered_ms ? heard_ms : place->ordered_ms;
        if (site_state_in_flight(place->state) && world->now_ms - heard_ms >= DEADLINE_MS)
            laws_broken(world, i, "law 6: it is %s, and was not heard of for %lld s", site_state_name(place->state),
                        (long long)((world->now_ms - heard_ms) / 1000));
    }
}
