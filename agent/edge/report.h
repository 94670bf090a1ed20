/* report - what the agent tells the controller, as Event messages put into the journal's outbox.
 *
 * Decides nothing and sends nothing: the link sends what the outbox holds. Called inside the
 * transaction of what it tells. Progress alone is not kept: it goes to whoever listens now. */
#pragma once
#include "agent/edge/journal.h"

struct report_about {
    const char *order_id, *installation, *site, *plan_id;
    uint32_t attempt;
}; /* NULL: none */

int report_step(struct journal *journal, const struct report_about *about, enum step step,
                Confleet__StepState state, bool undo, bool down, const char *message,
                int64_t took_ms, struct err *err) MUST_USE;
int report_run(struct journal *journal, const struct report_about *about,
               const Confleet__RunEvent *run, struct err *err) MUST_USE;
int report_findings(struct journal *journal, const struct report_about *about,
                    Confleet__Finding *const *findings, size_t count, struct err *err) MUST_USE;
int report_backup(struct journal *journal, const struct report_about *about,
                  const Confleet__BackupRecord *backup, struct err *err) MUST_USE;
int report_survey(struct journal *journal, const struct report_about *about,
                  const Confleet__Survey *survey, struct err *err) MUST_USE;
int report_log(struct journal *journal, const struct report_about *about, uint32_t level,
               const char *text, struct err *err) MUST_USE;
int report_done(struct journal *journal, const struct report_about *about, int code,
                const char *message, struct err *err) MUST_USE;
/* The bytes of a frame with an event that is not kept. */
void report_progress(const struct report_about *about, const Confleet__Progress *progress,
                     struct str *ret_frame);
