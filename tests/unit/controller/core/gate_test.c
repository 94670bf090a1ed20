/* Every class of outcome, each limit from 0 to 2, over a stage and over the run, at each place of a
 * batch: the rollout stops at the first one too many, not before it and not after it. */
#include "controller/core/gate.h"
#include "controller/core/stage.h"
#include "harness/test.h"

#define SITES 9
#define BATCH 3

static const struct {
    enum site_input input;
    enum gate_class class;
} outcomes[] = {
    { INPUT_REFUSED, GATE_REFUSED },     { INPUT_REFUSE, GATE_REFUSED },
    { INPUT_NOT_READY, GATE_NOT_READY }, { INPUT_ROLLED_BACK, GATE_ROLLED_BACK },
    { INPUT_HELD, GATE_HELD },           { INPUT_DEADLINE, GATE_SILENT },
};

struct trial {
    enum site_input bad;
    enum gate_class limited;
    uint32_t max;
    bool over_run; /* three stages of three, limited together; otherwise one stage of nine */
    size_t position;
};

struct result {
    size_t bad, started, started_at_stop;
    struct rollout rollout;
};

static struct rollout_stage stages[3];
static struct rollout_site sites[SITES];
static struct gate run_gate;

static void trial_setup(const struct trial *trial, struct rollout *r)
{
    static const char *const names[SITES] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };
    static const char *const stage_names[3] = { "one", "two", "three" };
    struct gate gate = gate_open();
    gate.max[trial->limited] = trial->max;
    run_gate = trial->over_run ? gate : gate_open();
    *r = (struct rollout){ .stages = stages,
                           .stage_count = trial->over_run ? 3 : 1,
                           .sites = sites,
                           .site_count = SITES,
                           .run_gate = &run_gate,
                           .limits = { INT64_MAX, INT64_MAX } };
    for (size_t i = 0; i < 3; i++)
        stages[i] = (struct rollout_stage){ .name = stage_names[i],
                                            .batch = { BATCH },
                                            .batch_count = 1,
                                            .gate = trial->over_run ? gate_open() : gate };
    for (size_t i = 0; i < SITES; i++)
        sites[i] =
            (struct rollout_site){ .name = names[i], .stage = trial->over_run ? i / BATCH : 0 };
}

/* One site of each batch, the one at the trial's position, ends badly; the others are kept. */
static struct result trial_run(const struct trial *trial)
{
    struct result result = { .started_at_stop = SIZE_MAX };
    size_t site = 0;
    trial_setup(trial, &result.rollout);
    for (int round = 0; round < 100; round++) {
        size_t under_way = SITES;
        while (rollout_next(&result.rollout, 1, &site))
            result.started++;
        if (result.rollout.reason[0] != '\0' && result.started_at_stop == SIZE_MAX)
            result.started_at_stop = result.started;
        for (size_t i = SITES; i-- > 0;)
            under_way = sites[i].state == SITE_ORDERED ? i : under_way;
        if (under_way == SITES)
            break;
        bool bad = under_way % BATCH == trial->position;
        struct rollout_event event = { ROLLOUT_SITE, under_way, bad ? trial->bad : INPUT_COMMITTED,
                                       1, NULL };
        bool stopped = result.rollout.reason[0] != '\0';
        CHECK(rollout_on(&result.rollout, &event));
        result.bad += bad && !stopped;
        /* Stops with exactly the event that is one too many. */
        if (!stopped && trial->max < GATE_NO_LIMIT)
            CHECK_INT(result.rollout.reason[0] != '\0', result.bad == trial->max + 1);
        if (!stopped && result.rollout.reason[0] != '\0')
            result.started_at_stop = result.started;
    }
    return result;
}

static void trial_check(const struct trial *trial)
{
    struct result result = trial_run(trial);
    CHECK_INT(result.bad, trial->max + 1);
    CHECK_INT(result.started, result.started_at_stop);
    CHECK_INT(result.started <= (size_t)(trial->max + 1) * BATCH, true);
    CHECK_INT(result.rollout.state, ROLLOUT_HALTED);
    CHECK_HAS(result.rollout.reason, gate_class_words(trial->limited));
    CHECK_HAS(result.rollout.reason, trial->over_run ? "the whole run" : "stage one");
    for (size_t i = (size_t)(trial->max + 1) * BATCH; i < SITES; i++)
        CHECK_INT(sites[i].state, SITE_QUEUED);
    /* Halted stays halted: time and late news start nothing. */
    struct rollout_event tick = { .kind = ROLLOUT_TICK, .now_ms = 1000 };
    size_t site = 0;
    (void)rollout_on(&result.rollout, &tick);
    CHECK(!rollout_next(&result.rollout, 1000, &site));
    CHECK_INT(result.rollout.state, ROLLOUT_HALTED);
}

/* saltstack/salt#54521: with batch 1 a failing state still went on to the whole fleet;
 * ansible/ansible#7686, #56265: unreachable hosts were not counted; flatcar/nebraska#427: only
 * time-outs were counted, errors were not. */
TEST(each_class_stops_the_rollout_at_one_more_than_its_limit_wherever_it_happens)
{
    for (size_t o = 0; o < sizeof outcomes / sizeof outcomes[0]; o++)
        for (uint32_t max = 0; max <= 2; max++)
            for (int over_run = 0; over_run < 2; over_run++)
                for (size_t position = 0; position < BATCH; position++) {
                    struct trial trial = { outcomes[o].input, outcomes[o].class, max, over_run != 0,
                                           position };
                    trial_check(&trial);
                    if (outcomes[o].class == GATE_SILENT)
                        continue;
                    trial.limited = GATE_FAILED;
                    trial_check(&trial);
                }
}

TEST(a_limit_of_one_class_is_not_touched_by_another)
{
    for (size_t o = 0; o < sizeof outcomes / sizeof outcomes[0]; o++)
        for (unsigned class = GATE_FAILED; class < GATE_CLASS_COUNT; class ++) {
            struct gate gate = gate_open();
            struct gate_counts counts = { 0 };
            enum gate_class closed = GATE_NONE;
            enum site_state after = SITE_QUEUED;
            CHECK(site_state_after(SITE_ORDERED, outcomes[o].input, &after));
            gate.max[class] = 0;
            gate_count(&counts, after);
            bool counts_here = class == outcomes[o].class ||
                               (class == GATE_FAILED && outcomes[o].class != GATE_SILENT);
            CHECK_INT(gate_closed(&gate, &counts, &closed), counts_here);
        }
}

TEST(what_goes_well_waits_or_is_skipped_is_counted_by_no_gate)
{
    static const enum site_state states[] = { SITE_QUEUED,  SITE_ORDERED, SITE_RUNNING,
                                              SITE_UNDOING, SITE_SOAKING, SITE_COMMITTED,
                                              SITE_SKIPPED };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        for (unsigned class = GATE_FAILED; class < GATE_CLASS_COUNT; class ++)
            CHECK(!gate_counts_in((enum gate_class) class, states[i]));
}

TEST(the_strict_gate_allows_nothing_and_the_open_one_everything)
{
    struct gate strict = gate_strict(), open = gate_open();
    enum gate_class closed = GATE_NONE;
    for (int ended = 0; ended < SITE_STATE_COUNT; ended++) {
        struct gate_counts counts = { 0 };
        gate_count(&counts, (enum site_state)ended);
        bool bad = gate_class_of((enum site_state)ended) != GATE_NONE;
        CHECK_INT(gate_closed(&strict, &counts, &closed), bad);
        CHECK(!gate_closed(&open, &counts, &closed));
    }
    CHECK_STR(gate_class_name(GATE_NOT_READY), "not-ready");
}
