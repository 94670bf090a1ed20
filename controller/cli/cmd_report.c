#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/json.h"
#include "confleet/wire.h"
#include "controller/cli/fetch.h"
#include "controller/cli/report.h"
#include <string.h>

#define AUDIT_PAGE 500

/* What a report is made of, and what it points into. */
struct sources {
    struct fetched rollout;
    struct answer operators;
    struct answer *audit;
    size_t audit_count;
    const Confleet__AuditView **records;
    size_t record_count;
    struct arena *arena;
    Confleet__Plan *plan;
};

static void sources_free(struct sources *sources)
{
    for (size_t i = 0; i < sources->audit_count; i++)
        answer_free(&sources->audit[i]);
    free_mem(&sources->audit);
    free_mem(&sources->records);
    fetched_free(&sources->rollout);
    answer_free(&sources->operators);
    arena_free(&sources->arena);
}

/* The page's records that belong into the report. A page without any is not kept. */
static void audit_take(struct sources *sources, struct answer *page)
{
    const Confleet__RolloutView *rollout = sources->rollout.view;
    size_t before = sources->record_count;
    for (size_t i = 0; i < page->reply->n_audit; i++) {
        const Confleet__AuditView *record = page->reply->audit[i];
        if (!report_wants(record, rollout->id))
            continue;
        sources->records =
            mem_grow(sources->records, sources->record_count + 1, sizeof *sources->records);
        sources->records[sources->record_count++] = record;
    }
    if (sources->record_count == before)
        return;
    sources->audit = mem_grow(sources->audit, sources->audit_count + 1, sizeof *sources->audit);
    sources->audit[sources->audit_count++] = *page;
    *page = (struct answer){ 0 };
}

static int audit_ask(struct cli *cli, struct sources *sources, struct err *err)
{
    for (uint64_t after = 0;;) {
        CLEANUP(answer_free) struct answer page = { 0 };
        Confleet__AskAudit audit = CONFLEET__ASK_AUDIT__INIT;
        Confleet__Request request = CONFLEET__REQUEST__INIT;
        audit.after = after;
        audit.limit = AUDIT_PAGE;
        request.what_case = CONFLEET__REQUEST__WHAT_AUDIT;
        request.audit = &audit;
        int result = ask(cli, &request, &page, err);
        if (result != 0 || page.reply->n_audit == 0)
            return result;
        after = page.reply->audit[page.reply->n_audit - 1]->seq;
        audit_take(sources, &page);
    }
}

static int sources_ask(struct cli *cli, struct sources *sources, struct err *err)
{
    int result = rollout_fetch(cli, cli->arg_count > 0 ? cli->args[0] : "", FETCH_FULL,
                               &sources->rollout, err);
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_OPERATOR_LIST, &sources->operators, err);
    if (result == 0)
        result = audit_ask(cli, sources, err);
    sources->arena = arena_new(WIRE_ARENA_MAX);
    if (result == 0 && sources->rollout.view->plan)
        result = rollout_plan(sources->rollout.view, sources->arena, &sources->plan, err);
    return result;
}

static void report_json(const struct report *report, struct str *to)
{
    str_addf(to, "{\"schema\":%d,\"report\":", OUT_SCHEMA);
    json_message(to, &report->rollout->base, false);
    str_add(to, ",\"decisions\":[");
    for (size_t i = 0; i < report->record_count; i++) {
        str_add(to, i > 0 ? "," : "");
        json_message(to, &report->records[i]->base, false);
    }
    str_add(to, "]}\n");
}

int cmd_report(struct cli *cli, struct err *err)
{
    CLEANUP(sources_free) struct sources sources = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *format = cli_value(cli, "format");
    format = cli_flag(cli, "json") ? "json" : format ? format : "text";
    bool json = strcmp(format, "json") == 0, html = strcmp(format, "html") == 0;
    if (!json && !html && strcmp(format, "text") != 0)
        return err_set(err, FAIL_USAGE, "--format '%s': write text, json or html", format);
    int result = sources_ask(cli, &sources, err);
    if (result != 0)
        return result;
    struct report report = { .rollout = sources.rollout.view,
                             .plan = sources.plan,
                             .operators = sources.operators.reply->operators,
                             .operator_count = sources.operators.reply->n_operators,
                             .records = sources.records,
                             .record_count = sources.record_count,
                             .now_ms = clock_wall_ms(),
                             .made_by = client_keys(cli->client)->name };
    if (json)
        report_json(&report, &text);
    else if (html)
        report_html(&report, &text);
    else
        report_text(&report, &cli->out, &text);
    return out_write(&cli->out, &text, err);
}
