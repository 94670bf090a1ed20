#include "controller/cli/report_html.h"
#include "confleet/cleanup.h"
#include "controller/cli/html.h"
#include "controller/cli/states.h"
#include <inttypes.h>
#include <string.h>

static enum tone rollout_tone(const Confleet__RolloutView *rollout)
{
    struct state_counts counts = counts_of(rollout);
    bool look = false;
    for (size_t i = 0; i <= STATES_MAX; i++)
        look = look || (counts.count[i] > 0 && (i == STATES_MAX || state_words[i].rank > 0));
    if (strcmp(rollout->state, "halted") == 0)
        return TONE_BAD;
    if (strcmp(rollout->state, "done") == 0)
        return look ? TONE_WARN : TONE_GOOD;
    return TONE_PLAIN;
}

static void card_add(struct str *to, const char *value, const char *label)
{
    str_add(to, "<div class=\"card\">");
    html_element(to, "b", NULL, value);
    html_element(to, "span", NULL, label);
    str_add(to, "</div>");
}

static int64_t outage_longest(const Confleet__RolloutView *rollout)
{
    int64_t longest = 0;
    for (size_t i = 0; i < rollout->n_sites; i++)
        longest = rollout->sites[i]->outage_ms > longest ? rollout->sites[i]->outage_ms : longest;
    return longest;
}

static void cards_add(const Confleet__RolloutView *rollout, const struct state_counts *counts,
                      int64_t now_ms, struct str *to)
{
    char text[32];
    size_t look = counts->count[STATES_MAX];
    int64_t end_ms = rollout->finished_ms ? rollout->finished_ms : now_ms;
    for (size_t i = 0; i < STATES_MAX; i++)
        look += state_words[i].rank > 0 ? counts->count[i] : 0;
    str_add(to, "<div class=\"cards\">");
    (void)snprintf(text, sizeof text, "%zu of %zu", counts->count[state_index("committed")],
                   counts->total);
    card_add(to, text, "sites committed");
    (void)snprintf(text, sizeof text, "%zu", look);
    card_add(to, text, "sites that did not end well");
    card_add(to, text_duration(outage_longest(rollout), text), "longest outage");
    card_add(to, rollout->started_ms > 0 ? text_duration(end_ms - rollout->started_ms, text) : "–",
             rollout->finished_ms ? "from start to end" : "since the start");
    (void)snprintf(text, sizeof text, "%zu", rollout->n_excluded);
    card_add(to, text, "sites not touched");
    str_add(to, "</div>\n");
}

static const char *tone_class(enum tone tone)
{
    return tone == TONE_GOOD    ? "good"
           : tone == TONE_WARN  ? "warn"
           : tone == TONE_BAD   ? "bad"
           : tone == TONE_PLAIN ? "plain"
                                : "dim";
}

static void share_add(const struct state_counts *counts, struct str *to)
{
    if (counts->total == 0)
        return;
    str_add(to, "<div class=\"share\">");
    for (size_t i = 0; i <= STATES_MAX; i++) {
        enum tone tone = i < STATES_MAX ? state_words[i].tone : TONE_WARN;
        if (counts->count[i] > 0)
            str_addf(to, "<i class=\"%s\" style=\"width:%.2f%%\"></i>", tone_class(tone),
                     (double)counts->count[i] * 100 / (double)counts->total);
    }
    str_add(to, "</div>\n<p class=\"legend\">");
    for (size_t i = 0; i <= STATES_MAX; i++) {
        enum tone tone = i < STATES_MAX ? state_words[i].tone : TONE_WARN;
        if (counts->count[i] > 0)
            str_addf(to, "<span><i class=\"%s\"></i>%zu %s</span>", tone_class(tone),
                     counts->count[i], i < STATES_MAX ? state_words[i].word : "other");
    }
    str_add(to, "</p>\n");
}

static void head_add(const struct report *report, struct str *to)
{
    const Confleet__RolloutView *rollout = report->rollout;
    struct state_counts counts = counts_of(rollout);
    CLEANUP(str_free) struct str lead = { 0 };
    str_add(to, "<header><div class=\"top\">");
    CLEANUP(free_mem) char *title = text_printf("Rollout %s", rollout->id);
    html_element(to, "h1", NULL, title);
    report_html_badge(to, rollout_tone(rollout), rollout->paused ? "paused" : rollout->state);
    str_add(to, "</div>\n");
    str_addf(&lead, "%s%sto release ", rollout->name, rollout->name[0] ? ", " : "");
    if (rollout->release)
        version_add(&lead, rollout->release->version, rollout->release->build);
    str_addf(&lead, ", signed by %s", rollout->signed_by);
    html_element(to, "p", "lead", str_text(&lead));
    if (rollout->reason[0])
        html_element(to, "p", "why", rollout->reason);
    cards_add(rollout, &counts, report->now_ms, to);
    share_add(&counts, to);
    str_add(to, "</header>\n");
}

static void facts_add(const struct report *report, struct str *to)
{
    const Confleet__RolloutView *rollout = report->rollout;
    CLEANUP(str_free) struct str keys = { 0 }, gate = { 0 };
    char when[32];
    for (size_t i = 0; rollout->plan && i < rollout->plan->n_signatures; i++)
        str_addf(&keys, "%s%s", i > 0 ? ", " : "", rollout->plan->signatures[i]->key_id);
    str_add(to, "<h2>Who, what, when</h2>\n<div class=\"box\"><dl>");
    report_html_pair(to, "Signed by", rollout->signed_by);
    report_html_pair(to, "With key", str_text(&keys));
    report_html_pair(to, "Started", time_word(rollout->started_ms, when));
    report_html_pair(to, "Finished", time_word(rollout->finished_ms, when));
    if (rollout->release) {
        report_html_pair(to, "Artifact", rollout->release->artifact_name);
        report_html_pair(to, "Artifact digest", rollout->release->artifact_sha256);
    }
    report_html_pair(to, "Plan digest", rollout->plan_sha256);
    if (report->plan) {
        report_html_pair(to, "On failure", report->plan->on_failure);
        report_html_pair(to, "Backup needed", level_word(report->plan->backup_level));
        if (report->plan->run_gate) {
            report_gate_add(report->plan->run_gate, &gate);
            report_html_pair(to, "Whole run halts above", str_text(&gate));
        }
    }
    for (size_t i = 0; report->plan && i < report->plan->n_freezes; i++) {
        const Confleet__PlanFreeze *freeze = report->plan->freezes[i];
        char from[DAY_WORD_MAX], until[DAY_WORD_MAX];
        CLEANUP(free_mem)
        char *text = text_printf("%s to %s: %s", day_word(freeze->from_ms, from),
                                 day_word(freeze->to_ms, until), freeze->reason);
        report_html_pair(to, "Freeze", text);
    }
    report_html_pair(to, "Audit head", rollout->audit_head);
    str_add(to, "</dl></div>\n");
}

static void approvals_add(const struct report *report, const Confleet__StageView *stage,
                          struct str *to)
{
    str_add(to, "<td>");
    if (stage->approvals_needed == 0 && stage->n_approved_by == 0)
        str_add(to, "–");
    else
        str_addf(to, "%u of %u", stage->approvals, stage->approvals_needed);
    for (size_t i = 0; i < stage->n_approved_by; i++) {
        const char *key = report_key(report, stage->approved_by[i]);
        CLEANUP(free_mem)
        char *by = text_printf("%s, key %s", stage->approved_by[i], *key ? key : "unknown");
        html_element(to, "small", NULL, by);
    }
    str_add(to, "</td>");
}

static void terms_add(const struct report *report, const char *name, struct str *to)
{
    const Confleet__PlanStage *plan = report_stage(report, name);
    CLEANUP(str_free) struct str batch = { 0 }, gate = { 0 };
    char span[24];
    if (!plan) {
        str_add(to, "<td>–</td><td>–</td><td>–</td><td>–</td>");
        return;
    }
    report_batch_add(plan, &batch);
    report_gate_add(plan->gate, &gate);
    report_html_cell(to, NULL, str_text(&batch));
    report_html_cell(to, NULL, str_text(&gate));
    report_html_cell(to, "w", text_duration(plan->soak_ms, span));
    report_html_cell(to, NULL, plan->window_rule[0] ? plan->window_rule : "any time");
}

static enum tone stage_tone(const char *state)
{
    return strcmp(state, "done") == 0       ? TONE_GOOD
           : strcmp(state, "halted") == 0   ? TONE_BAD
           : strcmp(state, "approval") == 0 ? TONE_WARN
           : strcmp(state, "waiting") == 0  ? TONE_DIM
                                            : TONE_PLAIN;
}

static void stages_add(const struct report *report, struct str *to)
{
    const Confleet__RolloutView *rollout = report->rollout;
    if (rollout->n_stages == 0)
        return;
    str_add(to, "<h2>Stages</h2>\n<div class=\"box tight\"><table><tr><th>Stage<th>State<th "
                "class=\"n\">Sites<th>Outcomes<th>Batches<th>Gate: halts "
                "above<th>Soak<th>Window<th>Approvals</tr>\n");
    for (size_t i = 0; i < rollout->n_stages; i++) {
        const Confleet__StageView *stage = rollout->stages[i];
        struct state_counts counts = counts_of_stage(stage);
        CLEANUP(str_free) struct str words = { 0 };
        counts_add(&words, &counts);
        str_add(to, "<tr>");
        report_html_cell(to, NULL, stage->name);
        str_add(to, "<td>");
        report_html_badge(to, stage_tone(stage->state), stage->state);
        str_addf(to, "</td><td class=\"n\">%u</td><td>", stage->sites);
        html_text(to, str_text(&words));
        if (stage->reason[0])
            html_element(to, "small", NULL, stage->reason);
        str_add(to, "</td>");
        terms_add(report, stage->name, to);
        approvals_add(report, stage, to);
        str_add(to, "</tr>\n");
    }
    str_add(to, "</table></div>\n");
}

static void decisions_add(const struct report *report, struct str *to)
{
    char when[32];
    if (report->record_count == 0)
        return;
    str_add(to, "<h2>Decisions and turns</h2>\n<div class=\"box "
                "tight\"><table><tr><th>When<th>Who<th>What<th>Audit record</tr>\n");
    for (size_t i = 0; i < report->record_count; i++) {
        const Confleet__AuditView *record = report->records[i];
        str_add(to, "<tr>");
        report_html_cell(to, "w", time_word(record->at_ms, when));
        report_html_cell(to, NULL, record->who);
        report_html_cell(to, "w", record->what);
        str_add(to, "<td>");
        html_text(to, record->detail);
        CLEANUP(free_mem)
        char *seq = text_printf("no. %" PRIu64 ", %.16s…", record->seq, record->hash);
        html_element(to, "small", "mono", seq);
        str_add(to, "</td></tr>\n");
    }
    str_add(to, "</table></div>\n");
}

static bool has_details(const Confleet__RolloutSiteView *site)
{
    return site->n_steps > 0 || site->n_findings > 0 || site->n_backups > 0 || site->reason[0];
}

static void row_add(const Confleet__RolloutSiteView *site, size_t number, struct str *to)
{
    char when[32], span[24];
    bool linked = has_details(site);
    str_add(to, "<tr><td>");
    if (linked)
        str_addf(to, "<a href=\"#site-%zu\">", number);
    html_text(to, site->site);
    str_add(to, linked ? "</a></td>" : "</td>");
    report_html_cell(to, NULL, site->stage);
    str_add(to, "<td>");
    report_html_badge(to, status_tone(site->state), status_word(site));
    if (site->reason[0])
        html_element(to, "small", NULL, site->reason);
    str_add(to, "</td><td>");
    report_html_version(to, site->from_version, site->from_build);
    str_add(to, "</td><td>");
    report_html_now(to, site);
    str_add(to, "</td>");
    report_html_cell(to, "n", site->down            ? "still down"
                              : site->outage_ms > 0 ? text_duration(site->outage_ms, span)
                                                    : "");
    report_html_cell(to, "w", time_word(site->started_ms, when));
    report_html_cell(to, "n",
                     site->finished_ms > site->started_ms && site->started_ms > 0
                         ? text_duration(site->finished_ms - site->started_ms, span)
                         : "");
    str_add(to, "</tr>\n");
}

static void sites_add(const Confleet__RolloutView *rollout, struct str *to)
{
    bool headed = false;
    str_add(to, "<h2>Sites</h2>\n<div class=\"box "
                "tight\"><table><tr><th>Site<th>Stage<th>Outcome<th>Was on<th>Is on<th "
                "class=\"n\">Outage<th>Started<th class=\"n\">Took</tr>\n");
    for (size_t i = 0; i < rollout->n_sites; i++)
        row_add(rollout->sites[i], i, to);
    str_add(to, "</table></div>\n");
    if (rollout->n_excluded > 0) {
        str_add(to, "<h2>Not touched</h2>\n<div class=\"box "
                    "tight\"><table><tr><th>Site<th>Reason</tr>\n");
        for (size_t i = 0; i < rollout->n_excluded; i++) {
            str_add(to, "<tr>");
            report_html_cell(to, "w", rollout->excluded[i]->site);
            report_html_cell(to, NULL, rollout->excluded[i]->reason);
            str_add(to, "</tr>\n");
        }
        str_add(to, "</table></div>\n");
    }
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (!has_details(rollout->sites[i]))
            continue;
        str_add(to, headed ? "" : "<h2>Site by site</h2>\n");
        headed = true;
        report_html_site(rollout->sites[i], i, to);
    }
}

void report_html(const struct report *report, struct str *to)
{
    char when[32];
    CLEANUP(free_mem) char *title = text_printf("Rollout %s: report", report->rollout->id);
    str_add(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    html_element(to, "title", NULL, title);
    str_add(to, "\n<style>\n");
    for (size_t i = 0; report_style[i]; i++)
        str_add(to, report_style[i]);
    str_add(to, "</style></head>\n<body><main>\n");
    head_add(report, to);
    facts_add(report, to);
    stages_add(report, to);
    decisions_add(report, to);
    sites_add(report->rollout, to);
    CLEANUP(free_mem)
    char *made =
        text_printf("Made %s by %s with confleet %s. Times are UTC. Audit head %s: compare "
                    "it with: confleet audit verify",
                    time_word(report->now_ms, when), report->made_by, CONFLEET_VERSION,
                    report->rollout->audit_head);
    html_element(to, "footer", NULL, made);
    str_add(to, "\n</main></body></html>\n");
}
