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
        by = strcmp(left->site, right->site);
    return by != 0 ? by : strcmp(left->finding->id, right->finding->id);
}

void finding_rows_sort(struct finding_row *rows, size_t count)
{
    if (count > 1)
        qsort(rows, count, sizeof *rows, row_compare);
}

void finding_rows_print(const struct out *out, const struct finding_row *rows, size_t count,
                        bool with_site, struct str *to)
{
    for (size_t i = 0; i < count; i++) {
        const Confleet__Finding *finding = rows[i].finding;
        char word[24];
        (void)snprintf(word, sizeof word, "%-8s", severity_word(finding->severity));
        str_add(to, "  ");
        out_tone(to, out, severity_tone(finding->severity), word);
        str_add(to, " ");
        if (with_site) {
            out_clean(to, rows[i].site);
            str_add(to, ": ");
        }
        out_clean(to, finding->id);
        str_add(to, "  ");
        out_clean(to, finding->title);
        out_lines(to, "\n           ", "", finding->evidence);
        if (severity_rank(finding->severity) > 1)
            out_lines(to, "\n           ", "remedy: ", finding->remedy);
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
