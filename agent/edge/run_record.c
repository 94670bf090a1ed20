#include "agent/edge/damage.h"
#include "agent/edge/run_inside.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/log.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct report_about run_about(const struct run *run)
{
    return (struct report_about){ run->row.order_id, run->row.installation, run->row.site,
                                  run->row.plan_id, run->row.attempt };
}

static Confleet__RunState state_of(const struct runbook *rb)
{
    switch (rb->outcome) {
    case OUTCOME_COMMITTED:
        return CONFLEET__RUN_STATE__RUN_COMMITTED;
    case OUTCOME_ROLLED_BACK:
        return CONFLEET__RUN_STATE__RUN_ROLLED_BACK;
    case OUTCOME_NOT_READY:
        return CONFLEET__RUN_STATE__RUN_NOT_READY;
    case OUTCOME_HELD:
        return CONFLEET__RUN_STATE__RUN_HELD;
    case OUTCOME_NONE:
        break;
    }
    if (rb->undoing)
        return CONFLEET__RUN_STATE__RUN_UNDOING;
    return rb->at > STEP_PROBE ? CONFLEET__RUN_STATE__RUN_APPLIED
                               : CONFLEET__RUN_STATE__RUN_FORWARD;
}

/* Of the runbook as it was before the event: what the event says of its step. */
static Confleet__StepState step_state(enum run_event event)
{
    switch (event) {
    case EVENT_INTENT:
        return CONFLEET__STEP_STATE__STEP_INTENT;
    case EVENT_ACT_OK:
    case EVENT_PROBED_COMPLETE:
    case EVENT_SOAK_OVER:
    case EVENT_COMMIT_ORDERED:
        return CONFLEET__STEP_STATE__STEP_DONE;
    case EVENT_ACT_FAILED:
    case EVENT_UNDO_FAILED:
        return CONFLEET__STEP_STATE__STEP_FAILED;
    case EVENT_UNDO_OK:
        return CONFLEET__STEP_STATE__STEP_UNDONE;
    default:
        return CONFLEET__STEP_STATE__STEP_NONE;
    }
}

/* Why the run went the way it went: the first failure; a word of a person; what a failed undo adds.
 */
static void reason_note(struct run *run, const struct journal_step *row,
                        const struct runbook *before)
{
    const struct step_def *def = &runbook_steps[row->step];
    const char *message = row->message ? row->message : "";
    struct runbook after = before[1];
    if (row->event == EVENT_RESUME_ORDERED) {
        if (!before->undoing)
            run->reason[0] = 0;
    } else if (row->event == EVENT_ROLLBACK_ORDERED) {
        (void)snprintf(run->reason, sizeof run->reason, "rollback ordered%s%s",
                       *message ? ": " : "", message);
    } else if (row->event == EVENT_UNDO_FAILED) {
        if (after.outcome == OUTCOME_HELD)
            (void)snprintf(run->reason, sizeof run->reason, "undoing '%s' failed %d times: %s",
                           def->name, RUNBOOK_UNDO_MAX, message);
    } else if (!run->reason[0] && def->failure == FAILURE_BACK &&
               (after.undoing || after.mode == MODE_ENDED) && !before->undoing &&
               after.outcome != OUTCOME_COMMITTED) {
        if (row->event == EVENT_ACT_FAILED)
            (void)snprintf(run->reason, sizeof run->reason, "%s: %s", def->name, message);
        else if (row->event != EVENT_ACT_OK)
            (void)snprintf(run->reason, sizeof run->reason,
                           "%s was cut off twice and is not tried again%s%s", def->name,
                           *message ? ": " : "", message);
    }
}

static void outage_note(struct run *run, bool was_down, int64_t at_ms)
{
    bool down = runbook_down(&run->rb);
    if (!was_down && down) {
        run->down_from_ms = at_ms;
    } else if (was_down && !down && run->down_from_ms) {
        run->outage_ms += at_ms > run->down_from_ms ? at_ms - run->down_from_ms : 0;
        run->down_from_ms = 0;
    }
}

int64_t run_outage_ms(const struct run *run, int64_t now_wall_ms)
{
    return run->outage_ms + (run->down_from_ms && now_wall_ms > run->down_from_ms
                                 ? now_wall_ms - run->down_from_ms
                                 : 0);
}

static void take(struct run *run, const struct journal_step *row)
{
    struct runbook both[2] = { run->rb, run->rb };
    (void)runbook_on(&both[1], row->event);
    reason_note(run, row, both);
    run->rb = both[1];
    outage_note(run, runbook_down(&both[0]), row->at_ms);
    if (row->event == EVENT_INTENT && row->step == STEP_SOAK && !run->rb.undoing)
        run->soak_end_mono_ms =
            clock_mono_ms() + (row->at_ms + run->stage->soak_ms - clock_wall_ms());
}

int run_replay(struct run *run, const struct journal_step *row, struct err *err)
{
    bool word = row->event == EVENT_ROLLBACK_ORDERED || row->event == EVENT_RESUME_ORDERED;
    if (!runbook_takes(&run->rb, row->event) || (!word && runbook_next(&run->rb).step != row->step))
        return err_set(
            err, FAIL_CORRUPT,
            "the journal of run %s says '%s' of step '%s', which cannot have happened there",
            run->row.id, run_event_name(row->event), runbook_steps[row->step].name);
    take(run, row);
    return 0;
}

static void safe_next(const struct run *run, struct str *text)
{
    str_addf(text, "confleet-agent status\n");
    str_addf(text, "confleet-agent rollback %s\n", run->row.install);
    str_addf(text, "confleet-agent resume %s\n", run->row.install);
    damage_ways(run->host.config, run->row.id, run->row.installation, run->row.install,
                run->row.site, text);
}

static int report_state(struct run *run, struct err *err)
{
    Confleet__RunEvent event = CONFLEET__RUN_EVENT__INIT;
    CLEANUP(str_free) struct str next = { 0 };
    struct report_about about = run_about(run);
    event.state = state_of(&run->rb);
    event.reason = run->reason;
    event.outage_ms = run_outage_ms(run, clock_wall_ms());
    bool new_one = event.state == CONFLEET__RUN_STATE__RUN_APPLIED ||
                   event.state == CONFLEET__RUN_STATE__RUN_COMMITTED;
    bool old_one = event.state == CONFLEET__RUN_STATE__RUN_ROLLED_BACK ||
                   event.state == CONFLEET__RUN_STATE__RUN_NOT_READY;
    if (new_one || old_one) {
        event.build = new_one ? run->plan->release->build : run->site->from_build;
        event.version = new_one ? run->plan->release->version : run->site->from_version;
    }
    if (event.state == CONFLEET__RUN_STATE__RUN_HELD) {
        safe_next(run, &next);
        event.safe_next = next.s;
    }
    log_info("run.state", "run=%s site=%s state=\"%s\" outage_ms=%lld%s%s%s", run->row.id,
             run->row.site,
             run->rb.outcome   ? outcome_name(run->rb.outcome)
             : run->rb.undoing ? "going back"
                               : "going forward",
             (long long)event.outage_ms, run->reason[0] ? " reason=\"" : "", run->reason,
             run->reason[0] ? "\"" : "");
    return report_run(run->host.journal, &about, &event, err);
}

static int done_code(const struct run *run)
{
    switch (run->rb.outcome) {
    case OUTCOME_COMMITTED:
        return FAIL_NONE;
    case OUTCOME_NOT_READY:
        return run->fail_code ? run->fail_code : FAIL_BLOCKED;
    case OUTCOME_HELD:
        return FAIL_HELD;
    default:
        return run->asked_back ? FAIL_NONE : run->fail_code ? run->fail_code : FAIL_CANCELLED;
    }
}

static int record_end(struct run *run, struct err *err)
{
    struct report_about about = run_about(run);
    int64_t now_ms = clock_wall_ms();
    int result = journal_run_end(run->host.journal, run->row.id, run->rb.outcome, run->reason,
                                 now_ms, run_outage_ms(run, now_ms), err);
    if (result == 0)
        result = report_done(run->host.journal, &about, done_code(run), run->reason, err);
    return result ? result : journal_order_done(run->host.journal, run->row.order_id, err);
}

static int record_memo(struct run *run, const Confleet__WorkerResult *brought, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < brought->n_memo && result == 0; i++)
        result = journal_memo_set(run->host.journal, run->row.id, brought->memo[i]->key,
                                  brought->memo[i]->value, err);
    struct report_about about = run_about(run);
    if (result == 0 && brought->n_findings)
        result =
            report_findings(run->host.journal, &about, brought->findings, brought->n_findings, err);
    if (result == 0 && brought->backup)
        result = report_backup(run->host.journal, &about, brought->backup, err);
    return result;
}

struct record {
    struct run *run;
    struct journal_step row;
    const struct outcome_of_act *brought;
    struct runbook before;
};

static int record_all(void *arg, struct err *err)
{
    struct record *record = arg;
    struct run *run = record->run;
    struct report_about about = run_about(run);
    int result = journal_step_add(run->host.journal, run->row.id, &record->row, err);
    if (result == 0 && record->brought && record->brought->result)
        result = record_memo(run, record->brought->result, err);
    Confleet__StepState state = step_state(record->row.event);
    bool undo = record->before.undoing;
    if (result == 0 && state != CONFLEET__STEP_STATE__STEP_NONE)
        result = report_step(run->host.journal, &about, record->row.step, state, undo,
                             runbook_steps[record->row.step].down, record->row.message,
                             record->row.took_ms, err);
    if (result != 0)
        return result;
    take(run, &record->row);
    bool first = record->row.event == EVENT_INTENT && record->row.step == STEP_CHECK &&
                 record->before.starts == 0;
    if (first || state_of(&record->before) != state_of(&run->rb))
        result = report_state(run, err);
    if (result == 0 && run->rb.mode == MODE_ENDED)
        result = record_end(run, err);
    return result;
}

int run_record(struct run *run, enum run_event event, const struct outcome_of_act *brought,
               struct err *err)
{
    assert(runbook_takes(&run->rb, event));
    struct run before = *run;
    struct record record = { run, { .event = event, .at_ms = clock_wall_ms() }, brought, run->rb };
    bool after_all = run->rb.mode == MODE_ENDED && run->rb.at < 0;
    record.row.step = after_all ? STEP_CHECK : (enum step)run->rb.at;
    record.row.message = brought && brought->message ? brought->message : "";
    record.row.took_ms =
        event == EVENT_INTENT || !run->began_mono_ms ? 0 : clock_mono_ms() - run->began_mono_ms;
    if (brought && brought->code && !run->fail_code)
        run->fail_code = brought->code;
    int result = journal_tx(run->host.journal, record_all, &record, err);
    if (result != 0) {
        run->rb = before.rb; /* what was not recorded did not happen */
        run->down_from_ms = before.down_from_ms;
        run->outage_ms = before.outage_ms;
        return err_wrap(err, "record '%s' of step '%s'", run_event_name(event),
                        runbook_steps[record.row.step].name);
    }
    log_info("run.step", "run=%s step=%s event=%s%s took_ms=%lld%s%s%s", run->row.id,
             runbook_steps[record.row.step].name, run_event_name(event),
             before.rb.undoing ? " undo=true" : "", (long long)record.row.took_ms,
             *record.row.message ? " message=\"" : "", record.row.message,
             *record.row.message ? "\"" : "");
    return 0;
}

int run_log(struct run *run, uint32_t level, const char *text, struct err *err)
{
    struct report_about about = run_about(run);
    log_line(level <= 4 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "worker.says", "run=%s text=\"%s\"",
             run->row.id, text);
    return report_log(run->host.journal, &about, level, text, err);
}
