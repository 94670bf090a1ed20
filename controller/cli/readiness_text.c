#include "confleet/cleanup.h"
#include "controller/cli/readiness.h"
#include <string.h>

#define NAME_COLUMNS_MAX 28
#define NAME_COLUMNS_MIN 8
#define GAP              2
#define SITES_NAMED_MAX  60 /* of one line of evidence; the rest are counted */

struct matrix {
    const struct readiness *readiness;
    const struct out *out;
    size_t name_columns, word_columns, columns[READY_FAMILIES_MAX];
    int tight; /* 0 words; 1 letters; 2 also heads of two letters and a narrow gap */
    bool star, waived; /* marks that were used */
};

static void cell_text(const struct matrix *matrix, const struct ready_cell *cell, struct str *to)
{
    static const char *const letters[READY_RANKS] = { "ok", "ok", "?", "W", "B" };
    static const char *const words[READY_RANKS] = { "ok", "ok", "unkn", "warn", "block" };
    if (!cell->any) {
        str_add(to, "-");
        return;
    }
    str_add(to, matrix->tight ? letters[cell->rank] : words[cell->rank]);
    if (cell->rank > 1)
        str_addf(to, matrix->tight ? "%zu" : " %zu", cell->count);
    str_addf(to, "%s%s", cell->worse ? "*" : "", cell->waived > 0 ? "w" : "");
}

static size_t gap_of(const struct matrix *matrix)
{
    return matrix->tight > 1 ? 1 : GAP;
}

static size_t matrix_columns(const struct matrix *matrix)
{
    size_t sum = matrix->name_columns + gap_of(matrix) + matrix->word_columns;
    for (size_t f = 0; f < matrix->readiness->family_count; f++)
        sum += gap_of(matrix) + matrix->columns[f];
    return sum;
}

static void matrix_measure(struct matrix *matrix)
{
    static const size_t heads[] = { SIZE_MAX, 4, 2 };
    const struct readiness *readiness = matrix->readiness;
    matrix->name_columns = strlen("SITE");
    matrix->word_columns = strlen("STATE");
    for (size_t f = 0; f < readiness->family_count; f++) {
        size_t head = out_columns(readiness->families[f]);
        matrix->columns[f] = head > heads[matrix->tight] ? heads[matrix->tight] : head;
    }
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        size_t name = out_columns(site->view->site), word = out_columns(ready_site_word(site));
        name = name > NAME_COLUMNS_MAX ? NAME_COLUMNS_MAX : name;
        matrix->name_columns = name > matrix->name_columns ? name : matrix->name_columns;
        matrix->word_columns = word > matrix->word_columns ? word : matrix->word_columns;
        for (size_t f = 0; f < readiness->family_count; f++) {
            CLEANUP(str_free) struct str cell = { 0 };
            cell_text(matrix, &site->cells[f], &cell);
            if (out_columns(str_text(&cell)) > matrix->columns[f])
                matrix->columns[f] = out_columns(str_text(&cell));
            matrix->star = matrix->star || site->cells[f].worse;
            matrix->waived = matrix->waived || site->cells[f].waived > 0;
        }
    }
    if (!matrix->out->terminal)
        return;
    size_t have = (size_t)matrix->out->width, need = matrix_columns(matrix);
    if (need > have && matrix->tight < 2) {
        matrix->tight++;
        matrix_measure(matrix);
    } else if (need > have) {
        size_t over = need - have, spare = matrix->name_columns - NAME_COLUMNS_MIN;
        if (matrix->name_columns > NAME_COLUMNS_MIN)
            matrix->name_columns -= over < spare ? over : spare;
    }
}

static void padded(const struct matrix *matrix, struct str *to, enum tone tone, const char *text,
                   size_t columns, bool last)
{
    CLEANUP(str_free) struct str cut = { 0 };
    out_cut(&cut, text, columns);
    out_tone(to, matrix->out, tone, str_text(&cut));
    if (!last)
        str_addf(to, "%*s", (int)(columns - out_columns(str_text(&cut)) + gap_of(matrix)), "");
}

static void matrix_row(const struct matrix *matrix, const struct ready_site *site, struct str *to)
{
    size_t families = matrix->readiness->family_count;
    padded(matrix, to, TONE_PLAIN, site->view->site, matrix->name_columns, false);
    padded(matrix, to, ready_site_tone(site), ready_site_word(site), matrix->word_columns,
           families == 0);
    for (size_t f = 0; f < families; f++) {
        const struct ready_cell *cell = &site->cells[f];
        CLEANUP(str_free) struct str text = { 0 };
        cell_text(matrix, cell, &text);
        padded(matrix, to, cell->any ? ready_rank_tone(cell->rank) : TONE_DIM, str_text(&text),
               matrix->columns[f], f + 1 == families);
    }
    str_add(to, "\n");
}

static void matrix_add(struct matrix *matrix, struct str *to)
{
    const struct readiness *readiness = matrix->readiness;
    matrix_measure(matrix);
    padded(matrix, to, TONE_BOLD, "SITE", matrix->name_columns, false);
    padded(matrix, to, TONE_BOLD, "STATE", matrix->word_columns, readiness->family_count == 0);
    for (size_t f = 0; f < readiness->family_count; f++) {
        CLEANUP(free_mem) char *head = text_printf("%.*s", (int)matrix->columns[f],
                                                   readiness->families[f]);
        padded(matrix, to, TONE_BOLD, head, matrix->columns[f],
               f + 1 == readiness->family_count);
    }
    str_add(to, "\n");
    for (size_t i = 0; i < readiness->site_count; i++)
        matrix_row(matrix, &readiness->sites[i], to);
    if (matrix->tight)
        str_add(to, "B block, W warn, ? unknown\n");
    if (matrix->star)
        str_add(to, "* new or worse since the check before\n");
    if (matrix->waived)
        str_add(to, "w some are waived: confleet waive list\n");
}

/* The sites of rows that are alike, with what changed for each. */
static void sites_add(const struct ready_row *rows, size_t count, struct str *to)
{
    size_t named = count > SITES_NAMED_MAX ? SITES_NAMED_MAX : count;
    for (size_t i = 0; i < named; i++) {
        const char *change = change_word(rows[i].found->change);
        str_add(to, i > 0 ? ", " : "");
        out_clean(to, rows[i].site->view->site);
        if (*change && rows[i].found->change != CHANGE_GONE)
            str_addf(to, " (%s)", change);
    }
    if (count > named)
        str_addf(to, " and %zu more", count - named);
}

static void waived_add(const struct ready_row *row, struct str *to)
{
    const Confleet__Finding *finding = row->found->finding;
    char until[DAY_WORD_MAX];
    if (!row->found->waived)
        return;
    str_add(to, "           waived by ");
    out_clean(to, finding->waived_by);
    str_addf(to, " until %s: ", day_word(finding->waived_until_ms, until));
    out_clean(to, finding->waive_reason);
    str_add(to, "\n");
}

static void group_add(const struct out *out, const struct ready_row *rows, size_t count,
                      size_t site_count, struct str *to)
{
    const Confleet__Finding *finding = rows->found->finding;
    char word[24];
    (void)snprintf(word, sizeof word, "%-8s",
                   rows->found->waived ? "waived" : ready_rank_word(rows->found->rank));
    str_add(to, "\n  ");
    out_tone(to, out, rows->found->waived ? TONE_DIM : ready_rank_tone(rows->found->rank), word);
    str_add(to, " ");
    out_clean(to, finding->id);
    str_add(to, "  ");
    out_clean(to, finding->title);
    if (site_count > 1)
        str_addf(to, "  (%zu of %zu sites)", count, site_count);
    str_add(to, "\n");
    for (size_t i = 0; i < count;) {
        size_t same = 1;
        while (i + same < count && ready_row_same_line(&rows[i], &rows[i + same]))
            same++;
        str_add(to, "           ");
        sites_add(&rows[i], same, to);
        str_add(to, ":");
        out_lines(to, "\n             ", "", rows[i].found->finding->evidence);
        str_add(to, "\n");
        waived_add(&rows[i], to);
        i += same;
    }
    if (rows->found->rank > 1 && finding->remedy[0]) {
        out_lines(to, "           ", "remedy: ", finding->remedy);
        str_add(to, "\n");
    }
    if (rows->found->rank > 1 && finding->rule[0]) {
        out_lines(to, "           ", "rule: ", finding->rule);
        str_add(to, "\n");
    }
}

static void details_add(const struct readiness *readiness, const struct out *out, int least,
                        struct str *to)
{
    size_t count = 0;
    CLEANUP(free_mem) struct ready_row *rows = readiness_rows(readiness, least, false, &count);
    for (size_t i = 0; i < count;) {
        size_t same = 1;
        while (i + same < count && ready_row_same(&rows[i], &rows[i + same]))
            same++;
        group_add(out, &rows[i], same, readiness->site_count, to);
        i += same;
    }
}

static void gone_add(const struct readiness *readiness, struct str *to)
{
    size_t count = 0;
    CLEANUP(free_mem) struct ready_row *rows = readiness_rows(readiness, 0, true, &count);
    for (size_t i = 0; i < count;) {
        size_t same = 1;
        while (i + same < count && ready_row_same(&rows[i], &rows[i + same]))
            same++;
        str_add(to, i == 0 ? "\n" : "");
        str_add(to, "  gone     ");
        out_clean(to, rows[i].found->finding->id);
        str_addf(to, " (was %s): ", ready_rank_word(rows[i].found->rank));
        sites_add(&rows[i], same, to);
        str_add(to, "\n");
        i += same;
    }
}

static void bad_add(const struct readiness *readiness, const struct out *out, struct str *to)
{
    bool first = true;
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        char word[24];
        if (site->good)
            continue;
        (void)snprintf(word, sizeof word, "%-8.20s", site->view->state);
        str_add(to, first ? "\n  " : "  ");
        first = false;
        out_tone(to, out, TONE_BAD, word);
        str_add(to, " ");
        out_clean(to, site->view->site);
        str_add(to, site->view->message[0] ? ": " : "");
        out_clean(to, site->view->message);
        if (site->view->agent[0]) {
            str_add(to, " (agent ");
            out_clean(to, site->view->agent);
            str_add(to, ")");
        }
        str_add(to, "\n");
    }
}

void readiness_text(const struct readiness *readiness, const struct out *out, int least,
                    struct str *to)
{
    struct matrix matrix = { .readiness = readiness, .out = out };
    CLEANUP(str_free) struct str since = { 0 };
    matrix_add(&matrix, to);
    bad_add(readiness, out, to);
    details_add(readiness, out, least, to);
    gone_add(readiness, to);
    str_addf(to, "\n%zu site%s: ", readiness->site_count, readiness->site_count == 1 ? "" : "s");
    str_addf(to, "%zu blocked, %zu to look at, %zu ready", readiness->blocked, readiness->looked_at,
             readiness->ready);
    if (readiness->silent > 0)
        str_addf(to, ", %zu silent", readiness->silent);
    if (readiness->failed > 0)
        str_addf(to, ", %zu not checked", readiness->failed);
    if (readiness->looked_at + readiness->blocked + readiness->ready > 0) {
        str_add(to, "; findings: ");
        ready_counts_add(readiness->counts, readiness->waived, to);
        str_add(to, least > 0 ? " (--all shows all)" : "");
    }
    str_add(to, "\n");
    readiness_since(readiness, &since);
    if (since.len > 0)
        str_addf(to, "%s\n", str_text(&since));
}
