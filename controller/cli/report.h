/* report - everything about one rollout as text or as one page that needs nothing else. */
#pragma once
#include "controller/cli/out.h"

struct report {
    const Confleet__RolloutView *rollout;     /* full */
    const Confleet__Plan *plan;               /* NULL: not shown by the controller */
    Confleet__OperatorView *const *operators; /* whose keys approvals were made with */
    size_t operator_count;
    const Confleet__AuditView *const
        *records; /* decisions and turns of this rollout, oldest first */
    size_t record_count;
    int64_t now_ms;
    const char *made_by; /* operator */
};

void report_text(const struct report *report, const struct out *out, struct str *to);
/* Self-contained, no script; a policy in the page forbids any, and everything from outside. */
void report_html(const struct report *report, struct str *to);

/* The key of an operator by name, "" when not known. */
const char *report_key(const struct report *report, const char *name);
/* Whether an audit record tells something about the rollout that a person wants in its report. */
bool report_wants(const Confleet__AuditView *record, const char *rollout);
const char *report_step_word(const Confleet__StepView *step);
const Confleet__PlanStage *report_stage(const struct report *report, const char *name);
/* What is to be said of a backup now that the site has come to its end; "" for nothing. */
const char *report_backup_note(const Confleet__RolloutSiteView *site,
                               const Confleet__BackupRecord *backup);
/* "1, 3, the rest", "failed 0, silent 0", for people. */
void report_batch_add(const Confleet__PlanStage *stage, struct str *to);
void report_gate_add(const Confleet__PlanGate *gate, struct str *to);
