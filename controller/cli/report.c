#include "controller/cli/report.h"
#include "confleet/cleanup.h"
#include "controller/cli/approve_text.h"
#include "controller/cli/status.h"
#include "controller/cli/views.h"
#include <string.h>

static void pair_add(struct str *to, const char *label, const char *value)
{
    str_addf(to, "  %-12s ", label);
    out_clean(to, value && *value ? value : "-");
    str_add(to, "\n");
}

static void head_add(const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    CLEANUP(str_free) struct str title = { 0 }, release = { 0 }, keys = { 0 };
    char when[32], span[24];
    str_addf(&title, "Report of rollout %s", rollout->id);
    out_tone(to, out, TONE_BOLD, str_text(&title));
    str_add(to, "\n");
    if (rollout->release)
        version_add(&release, rollout->release->version, rollout->release->build);
    for (size_t i = 0; rollout->plan && i < rollout->plan->n_signatures; i++)
        str_addf(&keys, "%s%s", i > 0 ? ", " : "", rollout->plan->signatures[i]->key_id);
    pair_add(to, "plan", rollout->name);
    pair_add(to, "release", str_text(&release));
    if (rollout->release)
        pair_add(to, "artifact", rollout->release->artifact_sha256);
    pair_add(to, "state", rollout->state);
    if (rollout->reason[0])
        pair_add(to, "reason", rollout->reason);
    pair_add(to, "signed by", rollout->signed_by);
    pair_add(to, "with key", str_text(&keys));
    pair_add(to, "plan digest", rollout->plan_sha256);
    pair_add(to, "started", time_word(rollout->started_ms, when));
    pair_add(to, "finished", time_word(rollout->finished_ms, when));
    if (rollout->finished_ms > rollout->started_ms)
        pair_add(to, "took", text_duration(rollout->finished_ms - rollout->started_ms, span));
    pair_add(to, "audit head", rollout->audit_head);
}

const char *report_step_word(const Confleet__StepView *step)
{
    switch (step->state) {
    case CONFLEET__STEP_STATE__STEP_INTENT:
        return "begun";
    case CONFLEET__STEP_STATE__STEP_DONE:
        return "done";
    case CONFLEET__STEP_STATE__STEP_FAILED:
        return "failed";
    case CONFLEET__STEP_STATE__STEP_UNDONE:
        return "undone";
    default:
        return "-";
    }
}

static void steps_add(const Confleet__RolloutSiteView *site, struct str *to)
{
    static const char *const heads[] = { "  STEP", "AT", "TOOK", "SITE", "RESULT", "NOTE" };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 6 };
    char when[32], span[24];
    for (size_t i = 0; i < site->n_steps; i++) {
        const Confleet__StepView *step = site->steps[i];
        table_addf(&table, "  %s%s", step->undo ? "undo " : "", step->step);
        table_add(&table, time_word(step->at_ms, when));
        table_add(&table, text_duration(step->took_ms, span));
        table_add(&table, step->down ? "down" : "up");
        table_add(&table, report_step_word(step));
        table_add(&table, step->message);
    }
    if (table.count > 0)
        table_print(&table, to);
}

static void site_add(const Confleet__RolloutSiteView *site, const struct out *out, struct str *to)
{
    CLEANUP(str_free) struct str from = { 0 }, now = { 0 }, name = { 0 };
    char when[32], span[24];
    version_add(&from, site->from_version, site->from_build);
    version_add(&now, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    str_addf(&name, "Site %s (stage %s, agent %s)", site->site, site->stage, site->agent);
    str_add(to, "\n");
    out_tone(to, out, TONE_BOLD, str_text(&name));
    str_add(to, "\n  outcome      ");
    out_tone(to, out, status_tone(site->state), status_word(site));
    str_add(to, "\n");
    if (site->reason[0])
        pair_add(to, "because", site->reason);
    if (site->safe_next[0]) {
        str_add(to, "  next");
        out_lines(to, "\n    ", "", site->safe_next);
        str_add(to, "\n");
    }
    pair_add(to, "was on", str_text(&from));
    pair_add(to, "is on", str_text(&now));
    pair_add(to, "started", time_word(site->started_ms, when));
    pair_add(to, "finished", time_word(site->finished_ms, when));
    char since[64];
    (void)snprintf(since, sizeof since, "down since %s", time_word(site->down_since_ms, when));
    pair_add(to, "outage", site->down             ? since
                           : site->outage_ms > 0 ? text_duration(site->outage_ms, span)
                                                 : "none");
    if (site->attempt > 1) {
        char attempt[24];
        (void)snprintf(attempt, sizeof attempt, "%u", site->attempt);
        pair_add(to, "attempt", attempt);
    }
    if (site->n_findings > 0)
        findings_print(out, NULL, site->findings, site->n_findings, to);
    if (site->n_backups > 0)
        backups_print(site->backups, site->n_backups, to);
    else
        str_add(to, "  no backup was taken\n");
    for (size_t i = 0; i < site->n_backups; i++) {
        const char *note = report_backup_note(site, site->backups[i]);
        if (note[0])
            pair_add(to, "backup note", note);
    }
    steps_add(site, to);
}

const char *report_backup_note(const Confleet__RolloutSiteView *site,
                               const Confleet__BackupRecord *backup)
{
    /* The proof of the capture follows a healthy start of the new version, which did not come. */
    if (site->run == CONFLEET__RUN_STATE__RUN_ROLLED_BACK && strcmp(backup->kind, "stop") == 0 &&
        backup->level < CONFLEET__BACKUP_LEVEL__RESTORED)
        return "taken at the stop for the way back, which the site has gone; never restored into a "
               "scratch database";
    return backup->note;
}

const char *report_key(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->operator_count; i++) {
        if (strcmp(report->operators[i]->name, name) == 0)
            return report->operators[i]->key_id;
    }
    return "";
}

bool report_wants(const Confleet__AuditView *record, const char *rollout)
{
    static const char *const noise[] = { "order", "site-state", "backup", "event" };
    size_t len = strlen(rollout);
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        if (strcmp(record->what, noise[i]) == 0)
            return false;
    }
    for (const char *s = strstr(record->detail, "rollout "); s; s = strstr(s, "rollout ")) {
        s += strlen("rollout ");
        if (strncmp(s, rollout, len) == 0 && (s[len] == '\0' || strchr(" ,:;()", s[len])))
            return true;
    }
    return false;
}

const Confleet__PlanStage *report_stage(const struct report *report, const char *name)
{
    return report->plan ? plan_stage_find(report->plan, name) : NULL;
}

void report_batch_add(const Confleet__PlanStage *stage, struct str *to)
{
    for (size_t i = 0; i < stage->n_batch; i++) {
        str_add(to, i > 0 ? ", " : "");
        if (stage->batch[i] == 0)
            str_add(to, "the rest");
        else
            str_addf(to, "%u", stage->batch[i]);
    }
    str_add(to, stage->n_batch == 0 ? "1" : "");
}

void report_gate_add(const Confleet__PlanGate *gate, struct str *to)
{
    static const char *const words[] = { "?",         "failed",      "silent", "refused",
                                         "not ready", "rolled back", "held" };
    if (!gate) {
        str_add(to, "none");
        return;
    }
    str_addf(to, "failed %u, silent %u", gate->max_failed, gate->max_silent);
    for (size_t i = 0; i < gate->n_limits; i++) {
        size_t class = (size_t)gate->limits[i]->class_;
        str_addf(to, ", %s %u", words[class < sizeof words / sizeof words[0] ? class : 0],
                 gate->limits[i]->max);
    }
}

static void stage_text(const struct report *report, const Confleet__StageView *stage,
                       struct str *to)
{
    const Confleet__PlanStage *plan = report_stage(report, stage->name);
    CLEANUP(str_free) struct str line = { 0 };
    struct state_counts counts = counts_of_stage(stage);
    str_addf(&line, "%s; %u site%s: ", stage->state, stage->sites, stage->sites == 1 ? "" : "s");
    counts_add(&line, &counts);
    if (plan) {
        str_add(&line, "; batches ");
        report_batch_add(plan, &line);
        str_add(&line, "; halts above ");
        report_gate_add(plan->gate, &line);
    }
    pair_add(to, stage->name, str_text(&line));
    if (stage->reason[0])
        pair_add(to, "", stage->reason);
    for (size_t i = 0; i < stage->n_approved_by; i++) {
        const char *name = stage->approved_by[i];
        CLEANUP(free_mem)
        char *by = text_printf("approved by %s, key %s", name,
                               *report_key(report, name) ? report_key(report, name) : "unknown");
        pair_add(to, "", by);
    }
}

static void decisions_text(const struct report *report, struct str *to)
{
    char when[32];
    str_add(to, report->record_count > 0 ? "\nDecisions and turns\n" : "");
    for (size_t i = 0; i < report->record_count; i++) {
        const Confleet__AuditView *record = report->records[i];
        str_addf(to, "  %s  ", time_word(record->at_ms, when));
        out_clean(to, record->who);
        str_add(to, "  ");
        out_clean(to, record->what);
        str_add(to, ": ");
        out_clean(to, record->detail);
        str_add(to, "\n");
    }
}

void report_text(const struct report *report, const struct out *out, struct str *to)
{
    const Confleet__RolloutView *rollout = report->rollout;
    head_add(rollout, out, to);
    str_add(to, rollout->n_stages > 0 ? "\nStages\n" : "");
    for (size_t i = 0; i < rollout->n_stages; i++)
        stage_text(report, rollout->stages[i], to);
    decisions_text(report, to);
    for (size_t i = 0; i < rollout->n_sites; i++)
        site_add(rollout->sites[i], out, to);
    if (rollout->n_excluded > 0)
        str_add(to, "\nNot touched\n");
    for (size_t i = 0; i < rollout->n_excluded; i++)
        pair_add(to, rollout->excluded[i]->site, rollout->excluded[i]->reason);
    str_add(to, "\n");
    status_recap(rollout, out, to);
}
