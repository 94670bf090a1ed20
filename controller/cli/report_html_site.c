#include "confleet/cleanup.h"
#include "controller/cli/html.h"
#include "controller/cli/report_html.h"
#include "controller/cli/states.h"
#include "controller/cli/views.h"
#include <inttypes.h>
#include <string.h>

void report_html_badge(struct str *to, enum tone tone, const char *word)
{
    static const char *const classes[] = {
        [TONE_PLAIN] = "badge plain", [TONE_GOOD] = "badge good", [TONE_WARN] = "badge warn",
        [TONE_BAD] = "badge bad",     [TONE_DIM] = "badge",       [TONE_BOLD] = "badge"
    };
    html_element(to, "span", classes[tone], word);
}

/* What is not there has one sign on the whole page; the times of a terminal have another. */
static const char *said(const char *text)
{
    return text && *text && strcmp(text, "-") != 0 ? text : "–";
}

void report_html_pair(struct str *to, const char *label, const char *value)
{
    html_element(to, "dt", NULL, label);
    html_element(to, "dd", NULL, said(value));
}

void report_html_version(struct str *to, const char *version, uint32_t build)
{
    CLEANUP(str_free) struct str text = { 0 };
    version_add(&text, version, build);
    html_text(to, str_text(&text));
}

void report_html_cell(struct str *to, const char *class_name, const char *text)
{
    html_element(to, "td", class_name, said(text));
}

void report_html_now(struct str *to, const Confleet__RolloutSiteView *site)
{
    bool told = site->version[0] || site->build;
    report_html_version(to, told ? site->version : site->from_version,
                        told ? site->build : site->from_build);
}

/* A soak is longer than all the rest together and would leave nothing to see of it. */
static bool is_soak(const Confleet__StepView *step)
{
    return strcmp(step->step, "soak") == 0;
}

static int64_t steps_total(const Confleet__RolloutSiteView *site)
{
    int64_t total = 0;
    for (size_t i = 0; i < site->n_steps; i++)
        total +=
            is_soak(site->steps[i]) || site->steps[i]->took_ms < 0 ? 0 : site->steps[i]->took_ms;
    return total > 0 ? total : 1;
}

static void step_add(const Confleet__StepView *step, double left, double width, struct str *to)
{
    char span[24];
    CLEANUP(str_free) struct str name = { 0 };
    bool failed = step->state == CONFLEET__STEP_STATE__STEP_FAILED;
    const char *class = is_soak(step) ? "soak"
                        : failed      ? "fail"
                        : step->undo  ? "undo"
                        : step->down  ? "down"
                                      : "";
    str_addf(&name, "%s%s%s", step->undo ? "undo " : "", step->step, failed ? " ✗" : "");
    html_element(to, "div", "w", str_text(&name));
    str_addf(to,
             "<div class=\"lane\"><i class=\"%s\" style=\"left:%.2f%%;width:%.2f%%\"></i></div>",
             class, left, width);
    html_element(to, "div", "t",
                 step->state == CONFLEET__STEP_STATE__STEP_INTENT
                     ? "begun"
                     : text_duration(step->took_ms, span));
    if (step->message[0])
        html_element(to, "div", "m", step->message);
    str_add(to, "\n");
}

static void steps_add(const Confleet__RolloutSiteView *site, struct str *to)
{
    double total = (double)steps_total(site), at = 0;
    if (site->n_steps == 0)
        return;
    str_add(to, "<h4>Steps</h4>\n<div class=\"steps\">\n");
    for (size_t i = 0; i < site->n_steps; i++) {
        const Confleet__StepView *step = site->steps[i];
        double took = step->took_ms > 0 ? (double)step->took_ms : 0;
        if (is_soak(step)) {
            step_add(step, 0, 100, to);
            continue;
        }
        step_add(step, at * 100 / total, took * 100 / total, to);
        at += took;
    }
    str_add(to, "</div>\n<p class=\"key\"><i></i>site up<i class=\"down\"></i>site down<i "
                "class=\"undo\"></i>on the way back<i class=\"fail\"></i>failed<i "
                "class=\"soak\"></i>soak, not to scale</p>\n");
}

static enum tone finding_tone(Confleet__Severity severity)
{
    enum tone tone = severity_tone(severity);
    return severity == CONFLEET__SEVERITY__INFO ? TONE_PLAIN : tone;
}

static int finding_compare(const void *a, const void *b)
{
    const Confleet__Finding *const *left = a, *const *right = b;
    int by = severity_rank((*right)->severity) - severity_rank((*left)->severity);
    return by != 0 ? by : strcmp((*left)->id, (*right)->id);
}

static void finding_add(const Confleet__Finding *finding, struct str *to)
{
    CLEANUP(str_free) struct str waived = { 0 };
    finding_waived_words(finding, &waived);
    str_add(to, "<tr><td>");
    report_html_badge(to, waived.len ? TONE_PLAIN : finding_tone(finding->severity),
                      severity_word(finding->severity));
    if (waived.len)
        report_html_badge(to, TONE_PLAIN, "waived");
    str_add(to, "</td>");
    report_html_cell(to, "w", finding->id);
    str_add(to, "<td>");
    html_text(to, finding->title);
    if (finding->evidence[0])
        html_element(to, "small", NULL, finding->evidence);
    if (finding->remedy[0] && severity_rank(finding->severity) > 1) {
        CLEANUP(free_mem) char *remedy = text_printf("Remedy: %s", finding->remedy);
        html_element(to, "small", NULL, remedy);
    }
    if (waived.len)
        html_element(to, "small", NULL, str_text(&waived));
    str_add(to, "</td></tr>\n");
}

static void findings_add(const Confleet__RolloutSiteView *site, struct str *to)
{
    CLEANUP(free_mem)
    const Confleet__Finding **sorted = mem_zero(site->n_findings + 1, sizeof *sorted);
    if (site->n_findings == 0)
        return;
    for (size_t i = 0; i < site->n_findings; i++)
        sorted[i] = site->findings[i];
    qsort(sorted, site->n_findings, sizeof *sorted, finding_compare);
    str_add(to, "<h4>Findings</h4>\n<table><tr><th>Severity<th>Check<th>Finding</tr>\n");
    for (size_t i = 0; i < site->n_findings; i++)
        finding_add(sorted[i], to);
    str_add(to, "</table>\n");
}

static void backup_add(const Confleet__RolloutSiteView *site,
                       const Confleet__BackupRecord *backup, struct str *to)
{
    const char *note = report_backup_note(site, backup);
    char text[32], size[24];
    bool proven = backup->level >= CONFLEET__BACKUP_LEVEL__RESTORED;
    str_add(to, "<tr><td class=\"mono\">");
    html_text(to, backup->id);
    if (note[0])
        html_element(to, "small", NULL, note);
    str_add(to, "</td>");
    report_html_cell(to, "w", strcmp(backup->kind, "stop") == 0 ? "at the stop" : "while running");
    str_add(to, "<td>");
    report_html_badge(to, proven ? TONE_GOOD : TONE_WARN, level_word(backup->level));
    str_add(to, "</td><td>");
    report_html_version(to, backup->version, backup->build);
    str_add(to, "</td>");
    report_html_cell(to, "w", time_word(backup->started_ms, text));
    str_addf(to, "<td class=\"n\">%" PRIu64 "</td>", backup->files);
    report_html_cell(to, "n", text_size(backup->bytes, size));
    report_html_cell(to, "n", text_size(backup->stored_bytes, size));
    str_addf(to, "<td class=\"n\">%" PRIu64 "</td></tr>\n", backup->rows);
}

static void backups_add(const Confleet__RolloutSiteView *site, struct str *to)
{
    str_add(to, "<h4>Backups</h4>\n");
    if (site->n_backups == 0) {
        str_add(to, "<p class=\"lead\">No backup was taken.</p>\n");
        return;
    }
    str_add(to, "<table><tr><th>Backup<th>Taken<th>Level reached<th>Version<th>Begun<th "
                "class=\"n\">Files<th class=\"n\">Size<th class=\"n\">Stored<th "
                "class=\"n\">Rows</tr>\n");
    for (size_t i = 0; i < site->n_backups; i++)
        backup_add(site, site->backups[i], to);
    str_add(to, "</table>\n");
}

void report_html_site(const Confleet__RolloutSiteView *site, size_t number, struct str *to)
{
    char when[32], span[24];
    str_addf(to, "<section class=\"box site\" id=\"site-%zu\"><div class=\"top\">", number);
    html_element(to, "h3", NULL, site->site);
    report_html_badge(to, status_tone(site->state), status_word(site));
    str_add(to, "</div>\n");
    if (site->reason[0])
        html_element(to, "p", "why", site->reason);
    str_add(to, "<h4>Passage</h4>\n<dl>");
    report_html_pair(to, "Stage", site->stage);
    report_html_pair(to, "Agent", site->agent);
    str_add(to, "<dt>Version</dt><dd>");
    report_html_version(to, site->from_version, site->from_build);
    if ((site->version[0] || site->build) &&
        (site->build != site->from_build || strcmp(site->version, site->from_version) != 0)) {
        str_add(to, " → ");
        report_html_now(to, site);
    } else {
        str_add(to, ", as before");
    }
    str_add(to, "</dd>");
    report_html_pair(to, "Started", time_word(site->started_ms, when));
    report_html_pair(to, "Finished", time_word(site->finished_ms, when));
    char since[64];
    (void)snprintf(since, sizeof since, "down since %s", time_word(site->down_since_ms, when));
    report_html_pair(to, "Outage", site->down             ? since
                                   : site->outage_ms > 0 ? text_duration(site->outage_ms, span)
                                                         : "none");
    if (site->attempt > 1) {
        (void)snprintf(span, sizeof span, "%u", site->attempt);
        report_html_pair(to, "Attempt", span);
    }
    str_add(to, "</dl>\n");
    if (site->safe_next[0]) {
        str_add(to, "<h4>Next, by a person</h4>\n");
        html_element(to, "div", "next", site->safe_next);
    }
    steps_add(site, to);
    findings_add(site, to);
    backups_add(site, to);
    str_add(to, "</section>\n");
}
