#include "controller/cli/site_text.h"
#include "confleet/cleanup.h"
#include "controller/cli/readiness.h"
#include "controller/cli/views.h"
#include <string.h>

#define CHECKS_SHOWN  5
#define CHANGES_SHOWN 12
#define BACKUPS_SHOWN 5
#define LABEL         14 /* columns before a value */
#define WIDTH_PIPE    80
#define LEAST_SHOWN   2 /* unknown, warn, block */

struct page {
    const struct site_shown *shown;
    const struct out *out;
    size_t width;
    struct str *to;
};

/* Words of one text, broken at the width; a text's own lines begin anew. `used` columns stand in
 * this line already. */
static void wrap(const struct page *page, size_t used, size_t indent, const char *text)
{
    size_t at = used;
    bool fresh = true;
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, " \r\n");
        CLEANUP(free_mem) char *raw = text_printf("%.*s", (int)len, s);
        CLEANUP(str_free) struct str word = { 0 };
        out_clean(&word, raw);
        size_t columns = out_columns(str_text(&word));
        if (columns > 0) {
            bool breaks = !fresh && at + 1 + columns > page->width;
            if (breaks)
                str_addf(page->to, "\n%*s", (int)indent, "");
            else if (!fresh)
                str_add(page->to, " ");
            at = (breaks ? indent : at + !fresh) + columns;
            str_add(page->to, str_text(&word));
            fresh = false;
        }
        s += len;
        if (*s == '\n' && s[1] && !fresh) {
            str_addf(page->to, "\n%*s", (int)indent, "");
            at = indent;
            fresh = true;
        }
        s += *s != '\0';
    }
    str_add(page->to, "\n");
}

static void pair(const struct page *page, const char *label, const char *value)
{
    str_addf(page->to, "  %-11s ", label);
    wrap(page, LABEL, LABEL, value && *value ? value : "-");
}

static void headline(const struct page *page, const char *text)
{
    str_add(page->to, "\n");
    out_tone(page->to, page->out, TONE_BOLD, text);
    str_add(page->to, "\n");
}

static void labels_show(const struct page *page)
{
    const Confleet__SiteView *site = page->shown->site;
    CLEANUP(str_free) struct str labels = { 0 }, covers = { 0 };
    for (size_t i = 0; i < site->n_labels; i++)
        str_addf(&labels, "%s%s=%s", i > 0 ? " " : "", site->labels[i]->key,
                 site->labels[i]->value);
    for (size_t i = 0; i < site->n_covers; i++)
        str_addf(&covers, "%s%s", i > 0 ? " " : "", site->covers[i]);
    pair(page, "labels", str_text(&labels));
    if (covers.len)
        pair(page, "covers", str_text(&covers));
    if (site->covered_by[0])
        pair(page, "covered by", site->covered_by);
}

static void node_show(const struct page *page, const Confleet__InstallationView *node)
{
    CLEANUP(str_free) struct str where = { 0 }, database = { 0 };
    const Confleet__Installation *one = node->installation;
    str_addf(&where, "%s:%s", node->agent, one ? one->id : "?");
    if (one && (one->install[0] || one->state[0]))
        str_addf(&where, " (%s), %s", one->install[0] ? one->install : "-", one->state);
    pair(page, "node", str_text(&where));
    if (!one)
        return;
    if (one->home[0])
        pair(page, "home", one->home);
    if (one->java[0])
        pair(page, "java", one->java);
    str_addf(&database, "%s%s%s", one->database_kind, one->database_where[0] ? " at " : "",
             one->database_where);
    if (database.len)
        pair(page, "database", str_text(&database));
}

static const Confleet__Finding *finding_of(const Confleet__SiteView *site, const char *id)
{
    for (size_t i = 0; i < site->n_findings; i++)
        if (strcmp(site->findings[i]->id, id) == 0)
            return site->findings[i];
    return NULL;
}

/* What the last check said about it, good or bad, in one line each. */
static void told(const struct page *page, const char *label, const char *const *ids)
{
    for (; *ids; ids++) {
        const Confleet__Finding *finding = finding_of(page->shown->site, *ids);
        if (!finding || !finding->evidence[0])
            continue;
        CLEANUP(free_mem)
        char *first = text_printf("%.*s", (int)strcspn(finding->evidence, "\r\n"), finding->evidence);
        pair(page, label, first);
        label = "";
    }
}

static void head_show(const struct page *page)
{
    static const char *const database[] = { "database-version", "database-size", NULL };
    static const char *const licence[] = { "licence-kind", "licence-maintenance",
                                           "licence-subscription", "licence-users", NULL };
    const Confleet__SiteView *site = page->shown->site;
    CLEANUP(str_free) struct str version = { 0 };
    version_add(&version, site->version, site->build);
    out_tone(page->to, page->out, TONE_BOLD, site->name);
    str_add(page->to, "\n");
    pair(page, "state", site->state);
    if (site->reason[0])
        pair(page, "reason", site->reason);
    pair(page, "version", str_text(&version));
    pair(page, "agent", site->online ? "online" : "offline");
    labels_show(page);
    for (size_t i = 0; i < site->n_nodes; i++)
        node_show(page, site->nodes[i]);
    told(page, "", database);
    told(page, "licence", licence);
}

static void holds_show(const struct page *page)
{
    const Confleet__SiteView *site = page->shown->site;
    char until[DAY_WORD_MAX];
    if (site->n_holds > 0)
        headline(page, "Held: nothing new starts");
    for (size_t i = 0; i < site->n_holds; i++) {
        const Confleet__HoldView *hold = site->holds[i];
        CLEANUP(free_mem)
        char *words =
            text_printf("%s by %s %s%s: %s", hold->site[0] ? "this site" : "all sites", hold->by,
                        hold->until_ms > 0 ? "until " : "until it is lifted",
                        hold->until_ms > 0 ? day_word(hold->until_ms, until) : "", hold->reason);
        str_add(page->to, "  ");
        wrap(page, 2, 4, words);
    }
}

static void waivers_show(const struct page *page)
{
    const Confleet__SiteView *site = page->shown->site;
    if (site->n_waivers > 0)
        headline(page, "Waived: it stops nothing until then");
    for (size_t i = 0; i < site->n_waivers; i++) {
        CLEANUP(str_free) struct str words = { 0 };
        waiver_words(site->waivers[i], site->findings, site->n_findings, &words);
        str_add(page->to, "  ");
        wrap(page, 2, 4, str_text(&words));
    }
}

/* ------------------------------------------------------------------ the last check */

static void finding_show(const struct page *page, const Confleet__Finding *finding)
{
    CLEANUP(free_mem) char *head = text_printf("%s: %s", finding->id, finding->title);
    CLEANUP(str_free) struct str waived = { 0 };
    char word[24];
    (void)snprintf(word, sizeof word, "%-8s", severity_word(finding->severity));
    str_add(page->to, "  ");
    out_tone(page->to, page->out, severity_tone(finding->severity), word);
    str_add(page->to, " ");
    wrap(page, 11, 11, head);
    str_addf(page->to, "%*s", finding->evidence[0] ? 11 : 0, "");
    if (finding->evidence[0])
        wrap(page, 11, 11, finding->evidence);
    if (finding->remedy[0]) {
        str_addf(page->to, "%*sremedy: ", 11, "");
        wrap(page, 19, 11, finding->remedy);
    }
    finding_waived_words(finding, &waived);
    if (waived.len) {
        str_addf(page->to, "%*s", 11, "");
        wrap(page, 11, 11, str_text(&waived));
    }
}

static void findings_show(const struct page *page)
{
    const Confleet__SiteView *site = page->shown->site;
    CLEANUP(free_mem) struct finding_row *rows = mem_zero(site->n_findings + 1, sizeof *rows);
    CLEANUP(free_mem) char *head = NULL;
    size_t fine = 0;
    char when[48];
    for (size_t i = 0; i < site->n_findings; i++) {
        rows[i] = (struct finding_row){ "", site->findings[i] };
        fine += severity_rank(site->findings[i]->severity) < LEAST_SHOWN;
    }
    finding_rows_sort(rows, site->n_findings);
    head = text_printf("Checked %s", ago_word(site->checked_ms, page->shown->now_ms, when));
    headline(page, head);
    for (size_t i = 0; i + fine < site->n_findings; i++)
        finding_show(page, rows[i].finding);
    if (site->n_findings == 0)
        str_addf(page->to, "  nothing is known: confleet check %s\n", site->name);
    else
        str_addf(page->to, "  %zu ok or told only: confleet site show %s --json\n", fine,
                 site->name);
}

/* ------------------------------------------------------------------ checks before it */

/* The newest older one of the same target: of another, other checks fail. */
static Confleet__CheckView *before_of(const struct site_shown *shown, size_t at)
{
    for (size_t i = at + 1; i < shown->check_count; i++)
        if (strcmp(shown->checks[i]->target, shown->checks[at]->target) == 0)
            return shown->checks[i];
    return at + 1 < shown->check_count ? shown->checks[at + 1] : NULL;
}

static void changes_add(const struct ready_site *site, struct str *to)
{
    size_t count = 0;
    for (size_t i = 0; i < site->finding_count; i++) {
        const struct ready_finding *found = &site->findings[i];
        if (found->change == CHANGE_NONE || count++ >= CHANGES_SHOWN)
            continue;
        str_addf(to, "%s%s %s (%s%s)", count > 1 ? ", " : "", change_word(found->change),
                 found->finding->id, found->change == CHANGE_GONE ? "was " : "",
                 ready_rank_word(found->rank));
    }
    if (count > CHANGES_SHOWN)
        str_addf(to, " and %zu more", count - CHANGES_SHOWN);
}

static void check_show(const struct page *page, size_t at)
{
    Confleet__CheckView *check = page->shown->checks[at];
    Confleet__JobSiteView view = CONFLEET__JOB_SITE_VIEW__INIT, *views[] = { &view };
    CLEANUP(readiness_free) struct readiness readiness = { 0 };
    CLEANUP(str_free) struct str line = { 0 }, changes = { 0 };
    char when[DAY_WORD_MAX];
    view.site = page->shown->site->name;
    view.state = (char *)(uintptr_t) "done";
    view.n_findings = check->n_findings;
    view.findings = check->findings;
    view.before = before_of(page->shown, at);
    readiness_make(views, 1, check->target, page->shown->now_ms, &readiness);
    str_addf(&line, "%s%s%s: ", day_word(check->at_ms, when), check->target[0] ? " to " : "",
             check->target);
    ready_counts_add(readiness.sites[0].counts, readiness.sites[0].waived, &line);
    str_add(page->to, "  ");
    wrap(page, 2, 4, str_text(&line));
    changes_add(&readiness.sites[0], &changes);
    str_add(page->to, "    ");
    wrap(page, 4, 6,
         changes.len        ? str_text(&changes)
         : view.before      ? "no change"
                            : "the first one that is kept");
}

static void checks_show(const struct page *page)
{
    size_t count = page->shown->check_count;
    if (count > 0)
        headline(page, "Last checks, and what changed since the one before");
    for (size_t i = 0; i < count && i < CHECKS_SHOWN; i++)
        check_show(page, i);
    if (count > CHECKS_SHOWN)
        str_addf(page->to, "  and %zu earlier ones\n", count - CHECKS_SHOWN);
}

/* ------------------------------------------------------------------ rollouts and backups */

static void passages_show(const struct page *page)
{
    const Confleet__SiteView *site = page->shown->site;
    char when[DAY_WORD_MAX], span[24];
    if (site->n_passages > 0)
        headline(page, "Rollouts, newest first");
    for (size_t i = 0; i < site->n_passages; i++) {
        const Confleet__PassageView *passage = site->passages[i];
        CLEANUP(str_free) struct str line = { 0 };
        str_addf(&line, "%s, stage %s: %s", passage->rollout, passage->stage, passage->state);
        if (passage->started_ms > 0)
            str_addf(&line, ", begun %s", day_word(passage->started_ms, when));
        if (passage->from_version[0])
            str_addf(&line, ", from %s", passage->from_version);
        if (passage->version[0])
            str_addf(&line, ", then on %s", passage->version);
        if (passage->outage_ms > 0)
            str_addf(&line, ", down for %s%s",
                     strcmp(passage->state, "held") == 0 ? "at least " : "",
                     text_duration(passage->outage_ms, span));
        if (passage->attempt > 1)
            str_addf(&line, ", attempt %u", passage->attempt);
        if (passage->reason[0])
            str_addf(&line, ": %s", passage->reason);
        str_add(page->to, "  ");
        wrap(page, 2, 4, str_text(&line));
        if (passage->safe_next[0]) {
            str_add(page->to, "    on its server, next:");
            out_lines(page->to, "\n      ", "", passage->safe_next);
            str_add(page->to, "\n");
        }
    }
}

static void backups_show(const struct page *page)
{
    static const char *const heads[] = { "  BACKUP", "KIND", "LEVEL", "VERSION", "STORED" };
    const Confleet__SiteView *site = page->shown->site;
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 5 };
    char size[24];
    if (site->n_backups == 0)
        return;
    headline(page, "Backups, newest first");
    for (size_t i = 0; i < site->n_backups && i < BACKUPS_SHOWN; i++) {
        const Confleet__BackupRecord *backup = site->backups[i];
        table_addf(&table, "  %s", backup->id);
        table_add(&table, backup->kind);
        table_add(&table, level_word(backup->level));
        table_add(&table, backup->version);
        table_add(&table, text_size(backup->stored_bytes, size));
    }
    table_print(&table, page->to);
    if (site->n_backups > BACKUPS_SHOWN)
        str_addf(page->to, "  and %zu more: confleet backup list %s\n",
                 site->n_backups - BACKUPS_SHOWN, site->name);
}

void site_text(const struct site_shown *shown, const struct out *out, struct str *to)
{
    struct page page = { shown, out, out->terminal ? (size_t)out->width : WIDTH_PIPE, to };
    head_show(&page);
    holds_show(&page);
    waivers_show(&page);
    findings_show(&page);
    checks_show(&page);
    passages_show(&page);
    backups_show(&page);
}
