#include "agent/edge/status.h"
#include "agent/edge/damage.h"
#include "agent/edge/journal.h"
#include "agent/edge/run.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/json.h"
#include "confleet/keys.h"
#include <string.h>

struct writing {
    const struct config *config;
    struct journal *journal;
    struct status *status;
    struct runbook rb; /* of the run being written */
    struct str steps;
    bool json, first_run, first_step;
};

void status_free(struct status *status)
{
    str_free(&status->text);
}

static void member(struct str *out, const char *name, const char *value)
{
    str_addf(out, ",\"%s\":", name);
    json_text(out, value);
}

static int step_write(void *arg, const struct journal_step *row, struct err *err)
{
    struct writing *w = arg;
    char at[CLOCK_TEXT_MAX], took[24];
    (void)err;
    if (runbook_takes(&w->rb, row->event))
        (void)runbook_on(&w->rb, row->event);
    (void)clock_text(row->at_ms, at);
    if (w->json) {
        str_addf(&w->steps, "%s{\"step\":", w->first_step ? "" : ",");
        json_text(&w->steps, runbook_steps[row->step].name);
        member(&w->steps, "event", run_event_name(row->event));
        member(&w->steps, "at", at);
        str_addf(&w->steps, ",\"tookMs\":\"%lld\"", (long long)row->took_ms);
        member(&w->steps, "message", row->message);
        str_add(&w->steps, "}");
    } else if (row->event != EVENT_INTENT) {
        str_addf(&w->steps, "  %s  %-17s %-12s %8s  %s\n", at, runbook_steps[row->step].name,
                 run_event_name(row->event), row->took_ms ? text_duration(row->took_ms, took) : "",
                 row->message);
    }
    w->first_step = false;
    return 0;
}

static const char *state_text(const struct runbook *rb, enum outcome outcome)
{
    if (outcome != OUTCOME_NONE)
        return outcome_name(outcome);
    if (rb->undoing)
        return "going back";
    return rb->at > STEP_PROBE ? "applied, soaking" : "going forward";
}

static const char *now_doing(const struct runbook *rb, enum outcome outcome)
{
    return outcome == OUTCOME_NONE && rb->at >= 0 ? runbook_steps[rb->at].name : "";
}

static void run_json(struct writing *w, const struct journal_run *run)
{
    struct str *out = &w->status->text;
    char text[CLOCK_TEXT_MAX];
    str_addf(out, "%s{\"id\":", w->first_run ? "" : ",");
    json_text(out, run->id);
    member(out, "installation", run->installation);
    member(out, "install", run->install);
    member(out, "site", run->site);
    member(out, "plan", run->plan_id);
    str_addf(out, ",\"attempt\":%u", run->attempt);
    member(out, "state", state_text(&w->rb, run->outcome));
    member(out, "step", now_doing(&w->rb, run->outcome));
    member(out, "reason", run->reason);
    member(out, "created", clock_text(run->created_ms, text));
    member(out, "finished", clock_text(run->finished_ms, text));
    str_addf(out, ",\"outageMs\":\"%lld\",\"down\":%s,\"safeNext\":[", (long long)run->outage_ms,
             runbook_down(&w->rb) ? "true" : "false");
    if (run->outcome == OUTCOME_HELD) {
        CLEANUP(free_mem) char *rollback = text_printf("confleet-agent rollback %s", run->install);
        CLEANUP(free_mem) char *resume = text_printf("confleet-agent resume %s", run->install);
        CLEANUP(str_free) struct str ways = { 0 };
        json_text(out, rollback);
        str_add(out, ",");
        json_text(out, resume);
        damage_ways(w->config, run->id, run->installation, run->install, run->site, &ways);
        for (const char *line = str_text(&ways); *line; line += strcspn(line, "\n") + 1) {
            CLEANUP(free_mem) char *word = text_printf("%.*s", (int)strcspn(line, "\n"), line);
            str_add(out, ",");
            json_text(out, word);
        }
    }
    str_addf(out, "],\"steps\":[%s]}", str_text(&w->steps));
}

static void run_text(struct writing *w, const struct journal_run *run)
{
    struct str *out = &w->status->text;
    char text[CLOCK_TEXT_MAX], outage[24];
    str_addf(out, "%s%s  site %s  %s\n", w->first_run ? "" : "\n", run->id, run->site,
             run->install);
    str_addf(out, "  %s%s%s, begun %s", state_text(&w->rb, run->outcome),
             *now_doing(&w->rb, run->outcome) ? " in step " : "", now_doing(&w->rb, run->outcome),
             clock_text(run->created_ms, text));
    if (run->finished_ms)
        str_addf(out, ", ended %s", clock_text(run->finished_ms, text));
    if (run->finished_ms && runbook_down(&w->rb))
        str_addf(out, ", down since %s", clock_text(run->finished_ms - run->outage_ms, text));
    else if (run->finished_ms)
        str_addf(out, ", down for %s", text_duration(run->outage_ms, outage));
    str_addf(out, "\n%s%s%s%s", *run->reason ? "  because: " : "", run->reason,
             *run->reason ? "\n" : "", str_text(&w->steps));
    if (run->outcome != OUTCOME_HELD)
        return;
    CLEANUP(str_free) struct str ways = { 0 };
    str_addf(out,
             "  This site waits for a person; everything is kept. Safe next commands:\n    "
             "confleet-agent rollback %s\n    confleet-agent resume %s\n",
             run->install, run->install);
    damage_ways(w->config, run->id, run->installation, run->install, run->site, &ways);
    for (const char *line = str_text(&ways); *line; line += strcspn(line, "\n") + 1)
        str_addf(out, "    %.*s\n", (int)strcspn(line, "\n"), line);
}

static int run_write(void *arg, const struct journal_run *run, struct err *err)
{
    struct writing *w = arg;
    w->rb = (struct runbook){ 0 };
    w->first_step = true;
    str_clear(&w->steps);
    int result = journal_steps(w->journal, run->id, step_write, w, err);
    if (result != 0)
        return result;
    if (w->json)
        run_json(w, run);
    else
        run_text(w, run);
    w->first_run = false;
    w->status->runs++;
    w->status->in_flight += run->outcome == OUTCOME_NONE;
    w->status->held += run->outcome == OUTCOME_HELD;
    return 0;
}

static void head_write(const struct config *config, struct journal *journal, bool json,
                       struct str *out)
{
    CLEANUP(free_mem) char *path = config_state(config, "controller");
    struct join join = { 0 };
    bool enrolled = fs_exists(path) && join_load(path, &join, NULL) == 0;
    if (json) {
        str_add(out, "{\"name\":");
        json_text(out, join.name);
        member(out, "controller", join.control);
        str_addf(out, ",\"starts\":\"%llu\",\"epoch\":\"%llu\",\"events\":\"%llu\",\"runs\":[",
                 (unsigned long long)journal_start_count(journal),
                 (unsigned long long)journal_epoch(journal),
                 (unsigned long long)journal_event_seq(journal));
    } else if (enrolled) {
        str_addf(out, "agent %s, controller %s\n\n", join.name, join.control);
    } else {
        str_add(out, "not enrolled with a controller\n\n");
    }
}

int status_read(const struct config *config, bool json, struct status *ret, struct err *err)
{
    CLEANUP(journal_close) struct journal *journal = NULL;
    struct status status = { { 0 }, 0, 0, 0 };
    struct writing writing = { .status = &status, .json = json, .first_run = true };
    struct err why = { 0 };
    /* Only the agent, which reads a run back step by step, sees what cannot have happened. */
    CLEANUP(free_mem) char *known = damage_known(config);
    int result = known ? err_set(&why, FAIL_CORRUPT, "%s", known)
                       : journal_open_read(config->state_dir, &journal, &why);
    if (result == 0) {
        writing.journal = journal;
        writing.config = config;
        head_write(config, journal, json, &status.text);
        result = journal_runs(journal, false, run_write, &writing, &why);
        str_free(&writing.steps);
    }
    if (result != 0)
        status_free(&status);
    if (result == -FAIL_CORRUPT) {
        damage_status(config, &why, json, ret);
        return 0;
    }
    if (result != 0) {
        if (err)
            *err = why;
        return result;
    }
    if (json)
        str_add(&status.text, "]}\n");
    else if (status.runs == 0)
        str_add(&status.text, "no run was made on this server yet\n");
    *ret = status;
    return 0;
}
