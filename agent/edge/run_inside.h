/* run_inside - what run.c (the loop) and run_record.c (journal, events) share; for these two files
 * only. */
#pragma once
#include "agent/edge/run.h"

enum doing { DOING_NOTHING, DOING_ACT, DOING_UNDO, DOING_PROBE, DOING_SOAK, DOING_FETCH };

struct run {
    struct run_host host;
    struct journal_run row; /* owned */
    struct arena *arena;    /* holds the plan */
    const Confleet__Plan *plan;
    const Confleet__PlanSite *site;
    const Confleet__PlanStage *stage;
    char *run_dir, *stage_dir, *artifact;
    struct runbook rb;
    enum doing doing;
    struct worker *worker;
    int64_t began_mono_ms;      /* of what is being done */
    int64_t not_before_mono_ms; /* a failed undo or probe is not tried again at once */
    int64_t soak_end_mono_ms, soak_probe_mono_ms;
    bool soak_unhealthy, soak_unprobed;
    bool unheard_told; /* that the stop waits for the controller */
    bool asked_back;                 /* the way back is what was ordered */
    int64_t down_from_ms, outage_ms; /* wall; down_from_ms zero: not down */
    int64_t said_mono_ms;            /* last progress */
    char reason[ERR_TEXT_MAX];
    int fail_code; /* of the reason; enum fail, zero: none */
};

struct outcome_of_act { /* what a finished order brought */
    const char *message;
    int code;
    const Confleet__WorkerResult *result; /* may be NULL */
};

/* Journals the event with all it brings, and only then lets the runbook see it. */
int run_record(struct run *run, enum run_event event, const struct outcome_of_act *brought,
               struct err *err) MUST_USE;
/* Feeds one event of the journal, at a wall time; FAIL_CORRUPT when the runbook cannot take it. */
int run_replay(struct run *run, const struct journal_step *row, struct err *err) MUST_USE;
struct report_about run_about(const struct run *run);
/* A log line for the controller; losing one is no reason to stop. */
int run_log(struct run *run, uint32_t level, const char *text, struct err *err) MUST_USE;
