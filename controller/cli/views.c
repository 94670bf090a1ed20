#include "controller/cli/views.h"
#include "confleet/cleanup.h"
#include <inttypes.h>
#include <string.h>

int severity_rank(Confleet__Severity severity)
{
    switch (severity) {
    case CONFLEET__SEVERITY__BLOCK:
        return 4;
    case CONFLEET__SEVERITY__WARN:
        return 3;
    case CONFLEET__SEVERITY__OK:
        return 0;
    case CONFLEET__SEVERITY__INFO:
        return 1;
    default:
        return 2;
    }
}

static int row_compare(const void *a, const void *b)
{
    const struct finding_row *left = a, *right = b;
    int by = severity_rank(right->finding->severity) - severity_rank(left->finding->severity);
    if (by == 0)
        by = strcmp(left->finding->id, right->finding->id);
    if (by == 0)
        by = strcmp(left->finding->title, right->finding->title);
    return by != 0 ? by : strcmp(left->site, right->site);
}

void finding_rows_sort(struct finding_row *rows, size_t count)
{
    if (count > 1)
        qsort(rows, count, sizeof *rows, row_compare);
}

/* How many rows from here on say the same of further sites. */
static size_t rows_alike(const struct finding_row *rows, size_t count)
{
    const Confleet__Finding *first = rows[0].finding;
    size_t alike = 1;
    while (alike < count && rows[alike].finding->severity == first->severity &&
           strcmp(rows[alike].finding->id, first->id) == 0 &&
           strcmp(rows[alike].finding->title, first->title) == 0)
        alike++;
    return alike;
}

static const char *finding_text(const struct finding_row *row, bool remedy)
{
    return remedy ? row->finding->remedy : row->finding->evidence;
}

/* Once when it is the same for all of these sites, else with the name of each. */
static void texts_add(const struct finding_row *rows, size_t count, bool remedy, struct str *to)
{
    const char *label = remedy ? "remedy: " : "";
    bool same = true;
    for (size_t i = 1; i < count; i++)
        same = same && strcmp(finding_text(&rows[i], remedy), finding_text(&rows[0], remedy)) == 0;
    for (size_t i = 0; i < (same ? 1 : count); i++) {
        CLEANUP(str_free) struct str named = { 0 };
        if (!same)
            out_clean(&named, rows[i].site);
        str_addf(&named, "%s%s", same ? "" : ": ", label);
        out_lines(to, "\n           ", str_text(&named), finding_text(&rows[i], remedy));
    }
}

void finding_waived_words(const Confleet__Finding *finding, struct str *to)
{
    char until[DAY_WORD_MAX];
    if (finding->waived_until_ms > 0)
        str_addf(to, "waived by %s until %s: %s", finding->waived_by,
                 day_word(finding->waived_until_ms, until), finding->waive_reason);
}

void waiver_words(const Confleet__Waiver *waiver, Confleet__Finding *const *findings, size_t count,
                  struct str *to)
{
    char until[DAY_WORD_MAX];
    str_add(to, waiver->check);
    for (size_t i = 0; i < count; i++)
        if (strcmp(findings[i]->id, waiver->check) == 0)
            str_addf(to, " (%s)", severity_word(findings[i]->severity));
    str_addf(to, " by %s until %s: %s", waiver->by, day_word(waiver->until_ms, until),
             waiver->reason);
}

/* Each site's own: they were signed one by one. */
static void waivers_add(const struct finding_row *rows, size_t count, bool with_site,
                        struct str *to)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(str_free) struct str words = { 0 };
        finding_waived_words(rows[i].finding, &words);
        if (words.len == 0)
            continue;
        str_add(to, "\n           ");
        if (with_site) {
            out_clean(to, rows[i].site);
            str_add(to, ": ");
        }
        out_clean(to, str_text(&words));
    }
}

void finding_rows_print(const struct out *out, const struct finding_row *rows, size_t count,
                        bool with_site, struct str *to)
{
    size_t alike = 1;
    for (size_t i = 0; i < count; i += alike) {
        const Confleet__Finding *finding = rows[i].finding;
        char word[24];
        alike = with_site ? rows_alike(rows + i, count - i) : 1;
        (void)snprintf(word, sizeof word, "%-8s", severity_word(finding->severity));
        str_add(to, "  ");
        out_tone(to, out, severity_tone(finding->severity), word);
        str_add(to, " ");
        for (size_t site = i; with_site && site < i + alike; site++) {
            out_clean(to, rows[site].site);
            str_add(to, site + 1 < i + alike ? ", " : ": ");
        }
        out_clean(to, finding->id);
        str_add(to, "  ");
        out_clean(to, finding->title);
        texts_add(rows + i, alike, false, to);
        if (severity_rank(finding->severity) > 1)
            texts_add(rows + i, alike, true, to);
        waivers_add(rows + i, alike, with_site, to);
        str_add(to, "\n");
    }
}

void findings_print(const struct out *out, const char *site, Confleet__Finding *const *findings,
                    size_t count, struct str *to)
{
    CLEANUP(free_mem) struct finding_row *rows = mem_zero(count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct finding_row){ site ? site : "", findings[i] };
    finding_rows_sort(rows, count);
    finding_rows_print(out, rows, count, site != NULL, to);
}

void backups_print(Confleet__BackupRecord *const *backups, size_t count, struct str *to)
{
    static const char *const heads[] = { "BACKUP", "SITE",  "KIND", "LEVEL",  "VERSION",
                                         "TAKEN",  "FILES", "SIZE", "STORED", "ROWS" };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 10 };
    char text[32], size[24];
    for (size_t i = 0; i < count; i++) {
        const Confleet__BackupRecord *backup = backups[i];
        CLEANUP(str_free) struct str version = { 0 };
        version_add(&version, backup->version, backup->build);
        table_add(&table, backup->id);
        table_add(&table, backup->site);
        table_add(&table, backup->kind);
        table_add(&table, level_word(backup->level));
        table_add(&table, str_text(&version));
        table_add(&table, time_word(backup->started_ms, text));
        table_addf(&table, "%" PRIu64, backup->files);
        table_add(&table, text_size(backup->bytes, size));
        table_add(&table, text_size(backup->stored_bytes, size));
        table_addf(&table, "%" PRIu64, backup->rows);
    }
    table_print(&table, to);
}
