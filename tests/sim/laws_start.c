/* Why a rollout stopped, and why a site is not started, against what is true. */
#include "tests/sim/laws.h"

#include <string.h>

#define REASON_BACK "a person decided to go back"

static bool works(enum site_state state)
{
    return state == SITE_ORDERED || state == SITE_RUNNING || state == SITE_UNDOING;
}

static bool failed(enum site_state state)
{
    return state == SITE_ROLLED_BACK || state == SITE_NOT_READY || state == SITE_REFUSED || state == SITE_HELD;
}

struct sum { /* of one stage, or of all */
    uint32_t sites, queued, skipped, soaking, works, doubt, kept, bad[GATE_CLASS_COUNT];
};

static struct sum sum_of(const struct world *world, size_t stage)
{
    struct sum sum = { 0 };
    for (size_t i = 0; i < world->site_count; i++) {
        const struct rollout_site *site = &world->places[i];
        uint32_t counts = !site->excused;
        if (stage != SIZE_MAX && site->stage != stage)
            continue;
        sum.sites++;
        sum.queued += site->state == SITE_QUEUED;
        sum.skipped += site->state == SITE_SKIPPED;
        sum.soaking += site->state == SITE_SOAKING;
        sum.works += works(site->state);
        sum.doubt += site->state == SITE_SILENT || site->state == SITE_HELD;
        sum.kept += site->state == SITE_COMMITTED;
        sum.bad[GATE_FAILED] += counts * failed(site->state);
        sum.bad[GATE_SILENT] += counts * (site->state == SITE_SILENT);
        sum.bad[GATE_REFUSED] += counts * (site->state == SITE_REFUSED);
        sum.bad[GATE_NOT_READY] += counts * (site->state == SITE_NOT_READY);
        sum.bad[GATE_ROLLED_BACK] += counts * (site->state == SITE_ROLLED_BACK);
        sum.bad[GATE_HELD] += counts * (site->state == SITE_HELD);
    }
    return sum;
}

static bool beyond(const struct gate *gate, const struct sum *sum)
{
    bool is = false;
    for (unsigned i = GATE_FAILED; i < GATE_CLASS_COUNT; i++)
        is |= sum->bad[i] > gate->max[i];
    return is;
}

static bool any_gate_is_closed(const struct world *world)
{
    struct sum all = sum_of(world, SIZE_MAX);
    bool closed = world->rollout.run_gate && beyond(&world->run_gate, &all);
    for (size_t i = 0; i < world->rollout.stage_count; i++) {
        struct sum sum = sum_of(world, i);
        closed |= beyond(&world->stages[i].gate, &sum);
    }
    return closed;
}

static bool succeeded(const struct world *world, size_t stage)
{
    struct sum sum = sum_of(world, stage);
    if (sum.queued + sum.works + sum.soaking > 0 || beyond(&world->stages[stage].gate, &sum))
        return false;
    return sum.kept > 0 || sum.bad[GATE_FAILED] + sum.bad[GATE_SILENT] == 0;
}

static bool its_turn(const struct world *world, size_t stage)
{
    const struct rollout_stage *rule = &world->stages[stage];
    size_t needs = rule->needs != 0 ? rule->needs : stage;
    return (needs == 0 || succeeded(world, needs - 1)) && rule->approvals >= rule->approvals_needed;
}

/* May one more be at work, when so many were started, are at work, and are in doubt? The batches one after the other: a batch
 * begins when all of those before have ended. */
static bool batch_allows(const struct world *world, size_t stage, uint32_t started, uint32_t at_work, uint32_t doubt)
{
    const struct rollout_stage *rule = &world->stages[stage];
    struct sum sum = sum_of(world, stage);
    uint32_t sites = sum.sites - sum.skipped, before = 0;
    for (size_t k = 0; before < sites; k++) {
        uint32_t size = rule->batch_count == 0 ? 1 : rule->batch[k < rule->batch_count ? k : rule->batch_count - 1];
        size = size == 0 ? sites - before : size;
        size = size > sites - before ? sites - before : size;
        if (started < before + size)
            return started - at_work >= before && at_work + doubt < size;
        before += size;
    }
    return false;
}

static bool has_place(const struct world *world, size_t stage)
{
    struct sum sum = sum_of(world, stage);
    return batch_allows(world, stage, sum.sites - sum.skipped - sum.queued, sum.works, sum.doubt);
}

static bool covered(const struct world *world, size_t at)
{
    size_t by = world->covered_by[at];
    return by == 0 || world->places[by - 1].state == SITE_COMMITTED;
}

/* The first instant from now on at which its windows let it begin; zero: none. Only at an edge can that change. */
static int64_t first_opening(const struct world *world, size_t at)
{
    int64_t first_ms = laws_in_time(world, at, world->now_ms) ? world->now_ms : 0;
    for (size_t row = 0; row < SPAN_ROWS && first_ms != world->now_ms; row++)
        for (size_t i = 0; i < SPANS_MAX; i++) {
            int64_t edges_ms[] = { world->spans[row][i].from_ms, world->spans[row][i].to_ms };
            for (size_t k = 0; k < 2; k++)
                if (edges_ms[k] > world->now_ms && (first_ms == 0 || edges_ms[k] < first_ms) &&
                    laws_in_time(world, at, edges_ms[k]))
                    first_ms = edges_ms[k];
        }
    return first_ms;
}

void laws_batch(struct world *world, size_t at)
{
    size_t stage = world->places[at].stage;
    struct sum sum = sum_of(world, stage);
    uint32_t started = sum.sites - sum.skipped - sum.queued;
    if (!batch_allows(world, stage, started - 1, sum.works - 1, sum.doubt))
        laws_broken(world, (uint32_t)at, "law 7: it is started, and the batches of stage %s do not allow it",
                    world->stages[stage].name);
    if (!covered(world, at))
        laws_broken(world, (uint32_t)at, "law 1: it is started, and its test site %s is %s",
                    world->places[world->covered_by[at] - 1].name,
                    site_state_name(world->places[world->covered_by[at] - 1].state));
}

void laws_feed_before(struct world *world)
{
    memcpy(world->was.reason, world->rollout.reason, sizeof world->was.reason);
    world->was.aborted = world->rollout.aborted;
    for (size_t i = 0; i < world->site_count; i++) {
        world->was.state[i] = world->places[i].state;
        world->was.excused[i] = world->places[i].excused;
    }
}

static bool starts_with_stage(const struct world *world, size_t stage)
{
    const char *name = world->stages[stage].name, *reason = world->rollout.reason;
    return strncmp(reason, "stage ", 6) == 0 && strncmp(reason + 6, name, strlen(name)) == 0 &&
           reason[6 + strlen(name)] == ':';
}

static bool any_opening(const struct world *world, size_t stage)
{
    bool any = false;
    for (size_t i = 0; i < world->site_count; i++)
        any |= world->places[i].stage == stage && world->places[i].state == SITE_QUEUED && first_opening(world, i) != 0;
    return any;
}

/* It stopped by itself: what it says is true. */
static void stopped_rightly(struct world *world)
{
    const struct rollout *rollout = &world->rollout;
    const char *reason = rollout->reason;
    bool batch = strstr(reason, " fill the batch") != NULL, never = strstr(reason, " can never start") != NULL;
    struct sum all = sum_of(world, SIZE_MAX);
    bool expired = rollout->expires_ms != 0 && world->now_ms >= rollout->expires_ms && all.queued > 0;
    if (strstr(reason, "the gate allows") && !any_gate_is_closed(world))
        laws_broken(world, 0, "law 6: stopped by a gate that is open: %s", reason);
    if (strstr(reason, "the plan expired") && !expired)
        laws_broken(world, 0, "law 6: stopped by a plan that has not expired, or has nothing to start: %s", reason);
    for (size_t i = 0; i < rollout->stage_count; i++) {
        struct sum sum = sum_of(world, i);
        if (!starts_with_stage(world, i))
            continue;
        if (strstr(reason, "none of its") && (sum.queued > 0 || succeeded(world, i)))
            laws_broken(world, 0, "law 6: stopped, and the stage succeeded: %s", reason);
        if ((batch || never) && (rollout->paused || !its_turn(world, i)))
            laws_broken(world, 0, "law 6: stopped, and its turn has not come, or somebody paused: %s", reason);
        if ((batch && has_place(world, i)) || (never && any_opening(world, i)))
            laws_broken(world, 0, "law 6: stopped, and it could start: %s", reason);
    }
}

/* A reason goes when a person resumes, when the way back that was the reason is refused, or for an abort's. */
static void reason_kept(struct world *world, const struct rollout_event *event)
{
    const char *was = world->was.reason, *is = world->rollout.reason;
    bool lifted = event->kind == ROLLOUT_RESUME && !world->was.aborted, queued = false, back = false;
    if (was[0] == '\0' || strcmp(was, is) == 0 || (event->kind == ROLLOUT_ABORT && !world->was.aborted) || lifted)
        return;
    for (size_t i = 0; i < world->site_count; i++) {
        back |= world->places[i].state == SITE_UNDOING || world->places[i].state == SITE_ROLLED_BACK;
        queued |= world->places[i].state == SITE_QUEUED;
    }
    if (event->kind != ROLLOUT_STAYS || strcmp(was, REASON_BACK) != 0 || back)
        laws_broken(world, 0, "law 6: nobody resumed it, and it is stopped no more by: %s", was);
    else if (is[0] == '\0' && queued)
        laws_broken(world, 0, "law 6: a way back was refused, and it goes on as if nobody had wanted it");
}

static void excuses_kept(struct world *world, const struct rollout_event *event)
{
    for (size_t i = 0; i < world->site_count; i++) {
        bool was = world->was.excused[i], is = world->places[i].excused;
        if (was && !is && world->places[i].state == world->was.state[i])
            laws_broken(world, (uint32_t)i, "law 6: it did nothing new, and is excused no more");
        if (!was && is && (event->kind != ROLLOUT_RESUME || world->was.reason[0] == '\0'))
            laws_broken(world, (uint32_t)i, "law 6: it is excused, and nobody resumed in spite of it");
    }
}

void laws_fed(struct world *world, const struct rollout_event *event)
{
    bool person = event->kind == ROLLOUT_STOP || event->kind == ROLLOUT_ABORT || event->kind == ROLLOUT_STAYS ||
                  strcmp(world->rollout.reason, REASON_BACK) == 0;
    reason_kept(world, event);
    excuses_kept(world, event);
    if (!person && strcmp(world->was.reason, world->rollout.reason) != 0)
        stopped_rightly(world);
}

static void windows_are_told(struct world *world, size_t at)
{
    const struct rollout_site *site = &world->places[at];
    struct window_rule rule = { world->stages[site->stage].windows, site->windows, world->rollout.freezes, site->holds,
                                site->estimate_ms };
    struct window_answer answer;
    int64_t first_ms = first_opening(world, at);
    window_look(&rule, world->now_ms, &answer);
    if (answer.next_ms != first_ms || answer.open != (first_ms == world->now_ms))
        laws_broken(world, (uint32_t)at, "law 7: its next opening is told to come in %lld s, and comes in %lld s",
                    (long long)(answer.next_ms - world->now_ms) / 1000, (long long)(first_ms - world->now_ms) / 1000);
}

/* What would be started at the instant at which the plan expires. */
static void expiry_is_an_end(struct world *world)
{
    static struct rollout_site places[SITES_MAX];
    struct rollout then = world->rollout;
    size_t at = 0;
    memcpy(places, world->places, world->site_count * sizeof places[0]);
    then.sites = places;
    if (then.expires_ms != 0 && rollout_next(&then, then.expires_ms, &at))
        laws_broken(world, (uint32_t)at, "law 8: it would be started by a plan that expired");
}

static void stages_are_shown(struct world *world)
{
    struct stage_tally tallies[ROLLOUT_STAGES_MAX];
    struct stage_look look;
    stage_tallies(&world->rollout, tallies);
    for (size_t i = 0; i < world->rollout.stage_count; i++) {
        stage_look(&world->rollout, tallies, i, world->now_ms, &look);
        if ((look.state == STAGE_DONE) != succeeded(world, i))
            laws_broken(world, 0, "law 1: stage %s is shown as %s", world->stages[i].name, stage_state_name(look.state));
    }
}

/* Nothing that may start is left standing. */
static void nobody_is_forgotten(struct world *world)
{
    const struct rollout *rollout = &world->rollout;
    struct sum all = sum_of(world, SIZE_MAX);
    bool flight = all.works + all.soaking > 0, expired = rollout->expires_ms != 0 && world->now_ms >= rollout->expires_ms;
    if (rollout->reason[0] != '\0')
        return;
    if (any_gate_is_closed(world) || (expired && all.queued > 0))
        laws_broken(world, 0, "law 6: %s, and nobody is told", expired ? "the plan has expired" : "a gate is closed");
    if (rollout->paused || expired)
        return;
    for (size_t stage = 0; stage < rollout->stage_count; stage++) {
        struct sum sum = sum_of(world, stage);
        if (sum.queued == 0 || !its_turn(world, stage))
            continue;
        if (!flight && (!has_place(world, stage) || !any_opening(world, stage)))
            laws_broken(world, 0, "law 6: stage %s can start nothing any more, and nobody is told", world->stages[stage].name);
        if (!has_place(world, stage))
            continue;
        for (size_t i = 0; i < world->site_count; i++)
            if (world->places[i].stage == stage && world->places[i].state == SITE_QUEUED && covered(world, i) &&
                laws_in_time(world, i, world->now_ms))
                laws_broken(world, (uint32_t)i, "law 6: nothing keeps it from starting, and nobody starts it");
    }
}

void laws_settled(struct world *world, bool ticked)
{
    struct sum all = sum_of(world, SIZE_MAX);
    const struct rollout *rollout = &world->rollout;
    enum rollout_state state = all.works + all.soaking > 0 ? ROLLOUT_RUNNING
                               : rollout->reason[0] != '\0' ? ROLLOUT_HALTED
                               : all.queued > 0             ? ROLLOUT_RUNNING
                                                            : ROLLOUT_DONE;
    if (rollout->state != state)
        laws_broken(world, 0, "law 6: the rollout is told to be %s, and is %s", rollout_state_name(rollout->state),
                    rollout_state_name(state));
    if (!ticked)
        return;
    nobody_is_forgotten(world);
    stages_are_shown(world);
    expiry_is_an_end(world);
    windows_are_told(world, world->looks++ % world->site_count);
}

/* As the controller reads it from its store: the test site of a site is on the release, or is named. */
void laws_cover(struct world *world)
{
    for (size_t i = 0; i < world->site_count; i++) {
        size_t by = world->covered_by[i];
        world->places[i].uncovered = covered(world, i) ? NULL : world->places[by - 1].name;
    }
}
