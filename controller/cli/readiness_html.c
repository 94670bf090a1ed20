#include "confleet/cleanup.h"
#include "controller/cli/html.h"
#include "controller/cli/readiness.h"
#include "controller/cli/report_html.h"
#include <string.h>

static void badge(struct str *to, const struct ready_finding *found)
{
    report_html_badge(to, found->waived ? TONE_DIM : ready_rank_tone(found->rank),
                      found->waived ? "waived" : ready_rank_word(found->rank));
}

static void card(struct str *to, size_t value, const char *label)
{
    str_addf(to, "<div class=\"card\"><b>%zu</b>", value);
    html_element(to, "span", NULL, label);
    str_add(to, "</div>");
}

/* The oldest and the newest facts: what is written here was true then. */
static void age_add(const struct readiness *readiness, struct str *to)
{
    int64_t oldest_ms = 0;
    char when[DAY_WORD_MAX], ago[48];
    for (size_t i = 0; i < readiness->site_count; i++) {
        int64_t at_ms = readiness->sites[i].at_ms;
        if (at_ms > 0 && (oldest_ms == 0 || at_ms < oldest_ms))
            oldest_ms = at_ms;
    }
    if (oldest_ms > 0)
        str_addf(to, "Oldest facts of %s (%s).", day_word(oldest_ms, when),
                 ago_word(oldest_ms, readiness->now_ms, ago));
}

static void head_add(const struct readiness *readiness, struct str *to)
{
    CLEANUP(str_free) struct str lead = { 0 }, since = { 0 };
    CLEANUP(free_mem)
    char *title = text_printf("Readiness%s%s", *readiness->target ? " for " : "",
                              readiness->target);
    bool bad = readiness->blocked > 0 || readiness->silent > 0 || readiness->failed > 0;
    str_add(to, "<header><div class=\"top\">");
    html_element(to, "h1", NULL, title);
    report_html_badge(to, bad ? TONE_BAD : readiness->looked_at > 0 ? TONE_WARN : TONE_GOOD,
                      readiness->blocked > 0     ? "blocked"
                      : bad                      ? "incomplete"
                      : readiness->looked_at > 0 ? "look"
                                                 : "ready");
    str_add(to, "</div>\n");
    str_addf(&lead, "%zu site%s. ", readiness->site_count, readiness->site_count == 1 ? "" : "s");
    age_add(readiness, &lead);
    html_element(to, "p", "lead", str_text(&lead));
    readiness_since(readiness, &since);
    if (since.len > 0)
        html_element(to, "p", "lead", str_text(&since));
    str_add(to, "<div class=\"cards\">");
    card(to, readiness->blocked, "sites blocked");
    card(to, readiness->looked_at, "sites to look at");
    card(to, readiness->ready, "sites ready");
    card(to, readiness->silent + readiness->failed, "sites silent or not checked");
    card(to, readiness->waived, "findings waived");
    str_add(to, "</div></header>\n");
}

static void cell_add(const struct ready_cell *cell, size_t site, size_t family, struct str *to)
{
    static const char *const classes[READY_RANKS] = { "good", "good", "warn", "warn", "bad" };
    if (!cell->any) {
        str_add(to, "<td class=\"c dim\">–</td>");
        return;
    }
    bool linked = cell->rank > 1 || cell->waived > 0;
    str_addf(to, "<td class=\"c %s\">", classes[cell->rank]);
    if (linked)
        str_addf(to, "<a href=\"#s%zu-%zu\">", site, family);
    str_add(to, cell->rank > 1 ? ready_rank_word(cell->rank) : "ok");
    if (cell->rank > 1)
        str_addf(to, "&nbsp;%zu", cell->count);
    if (cell->worse)
        str_add(to, "<sup title=\"new or worse since the check before\">new</sup>");
    if (cell->waived > 0)
        str_addf(to, "<small>%zu&nbsp;waived</small>", cell->waived);
    str_add(to, linked ? "</a></td>" : "</td>");
}

static void matrix_add(const struct readiness *readiness, struct str *to)
{
    str_add(to, "<h2>Matrix</h2>\n<div class=\"box tight\"><table class=\"matrix\"><thead><tr><th>"
                "Site<th>State");
    for (size_t f = 0; f < readiness->family_count; f++)
        html_element(to, "th", "c", readiness->families[f]);
    str_add(to, "</tr></thead>\n");
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        str_addf(to, "<tr><td class=\"w\"><a href=\"#s%zu\">", i);
        html_text(to, site->view->site);
        str_add(to, "</a></td><td>");
        report_html_badge(to, ready_site_tone(site), ready_site_word(site));
        str_add(to, "</td>");
        for (size_t f = 0; f < readiness->family_count; f++)
            cell_add(&site->cells[f], i, f, to);
        str_add(to, "</tr>\n");
    }
    str_add(to, "</table></div>\n");
}

static void bad_add(const struct readiness *readiness, struct str *to)
{
    if (readiness->silent + readiness->failed == 0)
        return;
    str_add(to, "<h2>Sites that gave no answer</h2>\n<div class=\"box tight\"><table><tr><th>Site"
                "<th>State<th>Agent<th>Why</tr>\n");
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        if (site->good)
            continue;
        str_add(to, "<tr>");
        report_html_cell(to, "w", site->view->site);
        report_html_cell(to, NULL, site->view->state);
        report_html_cell(to, NULL, site->view->agent);
        report_html_cell(to, NULL, site->view->message);
        str_add(to, "</tr>\n");
    }
    str_add(to, "</table></div>\n");
}

static size_t place_of(const struct readiness *readiness, const struct ready_row *row)
{
    return (size_t)(row->site - readiness->sites);
}

/* Sites that say the very same; then what they say. */
static void line_add(const struct readiness *readiness, const struct ready_row *rows, size_t count,
                     struct str *to)
{
    const Confleet__Finding *finding = rows->found->finding;
    char until[DAY_WORD_MAX];
    str_add(to, "<dt>");
    for (size_t i = 0; i < count; i++) {
        const char *change = change_word(rows[i].found->change);
        str_addf(to, "%s<a href=\"#s%zu\">", i > 0 ? ", " : "", place_of(readiness, &rows[i]));
        html_text(to, rows[i].site->view->site);
        str_add(to, "</a>");
        if (*change)
            str_addf(to, "<sup>%s</sup>", change);
    }
    str_add(to, "</dt><dd>");
    html_text(to, finding->evidence[0] ? finding->evidence : "–");
    if (rows->found->waived) {
        CLEANUP(free_mem)
        char *words = text_printf("waived by %s until %s: %s", finding->waived_by,
                                  day_word(finding->waived_until_ms, until), finding->waive_reason);
        html_element(to, "small", "waived", words);
    }
    str_add(to, "</dd>");
}

static void group_add(const struct readiness *readiness, const struct ready_row *rows, size_t count,
                      size_t number, struct str *to)
{
    const Confleet__Finding *finding = rows->found->finding;
    CLEANUP(free_mem) char *many = text_printf("%zu of %zu sites", count, readiness->site_count);
    str_addf(to, "<section class=\"box group\" id=\"g%zu\"><div class=\"top\">", number);
    badge(to, rows->found);
    html_element(to, "h3", NULL, finding->title);
    CLEANUP(free_mem)
    char *where = text_printf("%s · %s · %s", readiness->families[rows->found->family], finding->id,
                              many);
    html_element(to, "span", "lead", where);
    str_add(to, "</div><dl class=\"lines\">");
    for (size_t i = 0; i < count;) {
        size_t same = 1;
        while (i + same < count && ready_row_same_line(&rows[i], &rows[i + same]))
            same++;
        line_add(readiness, &rows[i], same, to);
        i += same;
    }
    str_add(to, "</dl>");
    if (rows->found->rank > 1 && finding->remedy[0]) {
        str_add(to, "<h4>Remedy</h4>");
        html_element(to, "p", "remedy", finding->remedy);
    }
    if (finding->rule[0]) {
        str_add(to, "<h4>Rule</h4>");
        html_element(to, "p", "rule", finding->rule);
    }
    str_add(to, "</section>\n");
}

/* Place of each row's group, for the links of the sites' own parts. */
static void groups_add(const struct readiness *readiness, const struct ready_row *rows,
                       size_t count, size_t *groups, struct str *to)
{
    size_t number = 0;
    if (count > 0)
        str_add(to, "<h2>Findings</h2>\n");
    for (size_t i = 0; i < count; number++) {
        size_t same = 1;
        while (i + same < count && ready_row_same(&rows[i], &rows[i + same]))
            same++;
        group_add(readiness, &rows[i], same, number, to);
        for (size_t k = 0; k < same; k++)
            groups[i + k] = number;
        i += same;
    }
}

static void gone_add(const struct readiness *readiness, struct str *to)
{
    size_t count = 0;
    CLEANUP(free_mem) struct ready_row *rows = readiness_rows(readiness, 0, true, &count);
    if (count == 0)
        return;
    str_add(to, "<h2>Gone since the check before</h2>\n<div class=\"box tight\"><table><tr><th>Site"
                "<th>Check<th>Was<th>Title</tr>\n");
    for (size_t i = 0; i < count; i++) {
        str_add(to, "<tr>");
        report_html_cell(to, "w", rows[i].site->view->site);
        report_html_cell(to, NULL, rows[i].found->finding->id);
        report_html_cell(to, NULL, ready_rank_word(rows[i].found->rank));
        report_html_cell(to, NULL, rows[i].found->finding->title);
        str_add(to, "</tr>\n");
    }
    str_add(to, "</table></div>\n");
}

struct page {
    const struct readiness *readiness;
    const struct ready_row *rows;
    const size_t *groups;
    size_t count;
};

static void site_rows_add(const struct page *page, size_t place, struct str *to)
{
    const struct ready_site *site = &page->readiness->sites[place];
    for (size_t f = 0; f < page->readiness->family_count; f++) {
        bool first = true;
        for (size_t i = 0; i < page->count; i++) {
            const struct ready_row *row = &page->rows[i];
            if (row->site != site || row->found->family != f)
                continue;
            if (first)
                str_addf(to, "<tr id=\"s%zu-%zu\">", place, f);
            else
                str_add(to, "<tr>");
            report_html_cell(to, "w", first ? page->readiness->families[f] : "");
            str_add(to, "<td>");
            badge(to, row->found);
            str_addf(to, "</td><td><a href=\"#g%zu\">", page->groups[i]);
            html_text(to, row->found->finding->title);
            str_add(to, "</a></td>");
            report_html_cell(to, NULL, row->found->finding->evidence);
            str_add(to, "</tr>\n");
            first = false;
        }
    }
}

static void site_add(const struct page *page, size_t place, struct str *to)
{
    const struct ready_site *site = &page->readiness->sites[place];
    CLEANUP(str_free) struct str counts = { 0 };
    char when[DAY_WORD_MAX];
    str_addf(to, "<section class=\"box site\" id=\"s%zu\"><div class=\"top\">", place);
    html_element(to, "h3", NULL, site->view->site);
    ready_counts_add(site->counts, site->waived, &counts);
    if (site->at_ms > 0)
        str_addf(&counts, "%sfacts of %s", counts.len > 0 ? " · " : "",
                 day_word(site->at_ms, when));
    html_element(to, "span", "lead", site->good ? str_text(&counts) : site->view->message);
    report_html_badge(to, ready_site_tone(site), ready_site_word(site));
    str_add(to, "</div><table class=\"found\">");
    site_rows_add(page, place, to);
    str_add(to, "</table></section>\n");
}

static void frame_add(const char *title, struct str *to)
{
    str_add(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n");
    html_element(to, "title", NULL, title);
    str_add(to, "\n<style>\n");
    for (size_t i = 0; report_style[i]; i++)
        str_add(to, report_style[i]);
    for (size_t i = 0; readiness_style[i]; i++)
        str_add(to, readiness_style[i]);
    str_add(to, "</style></head>\n<body><main>\n");
}

void readiness_html(const struct readiness *readiness, int least, const char *made_by,
                    struct str *to)
{
    size_t count = 0;
    char when[32];
    CLEANUP(free_mem) struct ready_row *rows = readiness_rows(readiness, least, false, &count);
    CLEANUP(free_mem) size_t *groups = mem_zero(count + 1, sizeof *groups);
    CLEANUP(free_mem)
    char *title = text_printf("Readiness%s%s", *readiness->target ? " for " : "",
                              readiness->target);
    frame_add(title, to);
    head_add(readiness, to);
    matrix_add(readiness, to);
    bad_add(readiness, to);
    groups_add(readiness, rows, count, groups, to);
    gone_add(readiness, to);
    struct page page = { readiness, rows, groups, count };
    str_add(to, "<h2>Site by site</h2>\n");
    for (size_t i = 0; i < readiness->site_count; i++)
        site_add(&page, i, to);
    CLEANUP(free_mem)
    char *made = text_printf("Made %s by %s with confleet %s. Times are UTC. A waived finding stays "
                             "what it is and stops nothing until its waiver ends.",
                             time_word(readiness->now_ms, when), made_by, CONFLEET_VERSION);
    html_element(to, "footer", NULL, made);
    str_add(to, "\n</main></body></html>\n");
}
