#include "agent/edge/report.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <assert.h>
#include <string.h>

#define TEXT_LEN_MAX 4000 /* the wire refuses longer texts */

/* protobuf-c's structs hold char * for what is only read. */
static char *lend(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

/* Valid UTF-8 of bounded length, whatever a tool or a worker said. */
static char *wire_text(const char *text)
{
    size_t len = text ? strnlen(text, TEXT_LEN_MAX) : 0;
    while (len > 0 && len == TEXT_LEN_MAX && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    char *owned = text_printf("%.*s", (int)len, text ? text : "");
    for (size_t i = 0; i < len && !text_is_utf8(owned, len); i++)
        if ((unsigned char)owned[i] >= 0x80)
            owned[i] = '?';
    return owned;
}

static void event_init(Confleet__Event *event, const struct report_about *about,
                       Confleet__Event__WhatCase what)
{
    confleet__event__init(event);
    event->at_ms = clock_wall_ms();
    event->order_id = lend(about->order_id);
    event->installation = lend(about->installation);
    event->site = lend(about->site);
    event->plan_id = lend(about->plan_id);
    event->attempt = about->attempt;
    event->what_case = what;
}

static int keep(struct journal *journal, Confleet__Event *event, struct err *err)
{
    uint64_t seq = 0;
    return journal_event(journal, event, &seq, err);
}

int report_step(struct journal *journal, const struct report_about *about, enum step step,
                Confleet__StepState state, bool undo, bool down, const char *message,
                int64_t took_ms, struct err *err)
{
    Confleet__Event event;
    Confleet__StepEvent body = CONFLEET__STEP_EVENT__INIT;
    CLEANUP(free_mem) char *text = wire_text(message);
    event_init(&event, about, CONFLEET__EVENT__WHAT_STEP);
    body.step = lend(runbook_steps[step].name);
    body.label = lend(runbook_steps[step].label);
    body.number = (uint32_t)step + 1;
    body.count = STEP_COUNT;
    body.state = state;
    body.undo = undo;
    body.down = down;
    body.message = text;
    body.took_ms = took_ms;
    event.step = &body;
    return keep(journal, &event, err);
}

int report_run(struct journal *journal, const struct report_about *about,
               const Confleet__RunEvent *run, struct err *err)
{
    Confleet__Event event;
    Confleet__RunEvent body = *run;
    CLEANUP(free_mem) char *reason = wire_text(run->reason);
    event_init(&event, about, CONFLEET__EVENT__WHAT_RUN);
    body.reason = reason;
    event.run = &body;
    return keep(journal, &event, err);
}

int report_findings(struct journal *journal, const struct report_about *about,
                    Confleet__Finding *const *findings, size_t count, struct err *err)
{
    Confleet__Event event;
    Confleet__CheckEvent body = CONFLEET__CHECK_EVENT__INIT;
    event_init(&event, about, CONFLEET__EVENT__WHAT_CHECK);
    body.n_findings = count;
    body.findings = (Confleet__Finding **)(uintptr_t)findings;
    event.check = &body;
    return keep(journal, &event, err);
}

int report_backup(struct journal *journal, const struct report_about *about,
                  const Confleet__BackupRecord *backup, struct err *err)
{
    Confleet__Event event;
    Confleet__BackupRecord body = *backup;
    event_init(&event, about, CONFLEET__EVENT__WHAT_BACKUP);
    event.backup = &body;
    return keep(journal, &event, err);
}

int report_survey(struct journal *journal, const struct report_about *about,
                  const Confleet__Survey *survey, struct err *err)
{
    Confleet__Event event;
    Confleet__Survey body = *survey;
    event_init(&event, about, CONFLEET__EVENT__WHAT_SURVEY);
    event.survey = &body;
    return keep(journal, &event, err);
}

int report_log(struct journal *journal, const struct report_about *about, uint32_t level,
               const char *text, struct err *err)
{
    Confleet__Event event;
    Confleet__LogEvent body = CONFLEET__LOG_EVENT__INIT;
    CLEANUP(free_mem) char *owned = wire_text(text);
    event_init(&event, about, CONFLEET__EVENT__WHAT_LOG);
    body.level = level;
    body.text = owned;
    event.log = &body;
    return keep(journal, &event, err);
}

int report_done(struct journal *journal, const struct report_about *about, int code,
                const char *message, struct err *err)
{
    Confleet__Event event;
    Confleet__DoneEvent body = CONFLEET__DONE_EVENT__INIT;
    CLEANUP(free_mem) char *text = wire_text(message);
    assert(code >= 0);
    event_init(&event, about, CONFLEET__EVENT__WHAT_DONE);
    body.code = (uint32_t)code;
    body.message = text;
    event.done = &body;
    return keep(journal, &event, err);
}

void report_progress(const struct report_about *about, const Confleet__Progress *progress,
                     struct str *ret_frame)
{
    Confleet__Event event;
    Confleet__Progress body = *progress;
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    event_init(&event, about, CONFLEET__EVENT__WHAT_PROGRESS);
    event.progress = &body;
    frame.body_case = CONFLEET__FRAME__BODY_EVENT;
    frame.event = &event;
    wire_encode(&frame.base, ret_frame);
}
