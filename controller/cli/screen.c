#include "controller/cli/screen.h"
#include "confleet/cleanup.h"
#include <string.h>

#define STAGES_SHOWN 8
#define STAGE_STATE  9 /* columns of a stage's state */

bool screen_fits(size_t sites, size_t stages, const struct out *out)
{
    return sites + stages + 2 <= (size_t)out->height;
}

/* Lower comes first; zero: not in this part of the screen. */
static int attention_order(const Confleet__RolloutSiteView *site)
{
    int rank = state_rank(site->state);
    return rank > 0 ? 100 - rank : 0;
}

static int work_order(const Confleet__RolloutSiteView *site)
{
    static const char *const order[] = { "undoing", "running", "ordered", "soaking" };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (strcmp(order[i], site->state) == 0)
            return (site->down ? 1 : 10) + (int)i;
    }
    return 0;
}

struct entry {
    const Confleet__RolloutSiteView *site;
    int order;
    size_t at;
};

static int entry_compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    return left->at < right->at ? -1 : 1;
}

/* Sites of one part of the screen, in its order. */
struct part {
    struct entry *entries;
    size_t count, total; /* total: with those that only the controller's counts know */
};

static void part_free(struct part *part)
{
    free_mem(&part->entries);
}

static struct part part_make(const Confleet__RolloutView *rollout,
                             int (*order)(const Confleet__RolloutSiteView *site))
{
    struct part part = { .entries = mem_zero(rollout->n_sites + 1, sizeof *part.entries) };
    for (size_t i = 0; i < rollout->n_sites; i++) {
        int own = order(rollout->sites[i]);
        if (own > 0)
            part.entries[part.count++] = (struct entry){ rollout->sites[i], own, i };
    }
    qsort(part.entries, part.count, sizeof *part.entries, entry_compare);
    return part;
}

/* room: lines with the heading; the last one says how many are left out. */
static void part_add(const struct part *part, const char *title, size_t room,
                     const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                     struct str *to)
{
    char line[96];
    size_t width = status_name_width(rollout, out);
    size_t shown = part->total + 1 <= room && part->count == part->total ? part->total
                   : room > 2                                            ? room - 2
                                                                         : 0;
    if (part->total == 0 || room == 0)
        return;
    shown = shown < part->count ? shown : part->count;
    (void)snprintf(line, sizeof line, "%s (%zu)", title, part->total);
    out_tone(to, out, TONE_BOLD, line);
    str_add(to, "\n");
    for (size_t i = 0; i < shown; i++)
        status_site_line(part->entries[i].site, out, width, now_ms, to);
    if (shown < part->total && room > 1)
        str_addf(to, "  … and %zu more\n", part->total - shown);
}

static void stage_row(const Confleet__RolloutView *rollout, const Confleet__StageView *stage,
                      size_t name_width, const struct out *out, int64_t now_ms, struct str *to)
{
    CLEANUP(str_free) struct str line = { 0 }, name = { 0 }, text = { 0 };
    struct state_counts counts = counts_of_stage(stage);
    out_cut(&name, stage->name, name_width);
    str_addf(&line, " %s%*s  %-*.*s  %5u  ", str_text(&name),
             (int)(name_width - out_columns(str_text(&name))), "", STAGE_STATE, STAGE_STATE,
             stage->state, stage->sites);
    (void)stage_wait_add(&text, stage, rollout->id, now_ms);
    counts_add(&line, &counts);
    if (text.len > 0)
        str_addf(&line, "; %s", str_text(&text));
    out_cut(to, str_text(&line), (size_t)out->width);
    str_add(to, "\n");
}

static bool stage_is_over(const Confleet__StageView *stage)
{
    return strcmp(stage->state, "done") == 0;
}

/* What is over goes first from a list that is too long: it needs nobody. */
static size_t stages_from(const Confleet__RolloutView *rollout)
{
    size_t from = 0;
    while (rollout->n_stages - from > STAGES_SHOWN && stage_is_over(rollout->stages[from]))
        from++;
    return from;
}

static size_t stages_add(const Confleet__RolloutView *rollout, const struct out *out,
                         int64_t now_ms, struct str *to)
{
    CLEANUP(str_free) struct str head = { 0 };
    size_t width = strlen("STAGE"), from = stages_from(rollout);
    size_t end = rollout->n_stages - from > STAGES_SHOWN ? from + STAGES_SHOWN : rollout->n_stages;
    if (rollout->n_stages == 0)
        return 0;
    for (size_t i = from; i < end; i++) {
        size_t columns = out_columns(rollout->stages[i]->name);
        width = columns > width ? columns : width;
    }
    width = width < 20 ? width : 20;
    str_addf(&head, " %-*s  %-*s  %5s  %s", (int)width, "STAGE", STAGE_STATE, "STATE", "SITES",
             "OUTCOMES; WAITING FOR");
    out_cut(to, str_text(&head), (size_t)out->width);
    str_add(to, "\n");
    for (size_t i = from; i < end; i++)
        stage_row(rollout, rollout->stages[i], width, out, now_ms, to);
    if (end - from < rollout->n_stages)
        str_addf(to, "  … and %zu more stages\n", rollout->n_stages - (end - from));
    return 1 + (end - from) + (end - from < rollout->n_stages);
}

static void totals_set(const struct state_counts *counts, struct part *attention, struct part *work)
{
    for (size_t i = 0; i <= STATES_MAX; i++) {
        if (i == STATES_MAX || state_words[i].rank > 0)
            attention->total += counts->count[i];
        else if (state_words[i].flight)
            work->total += counts->count[i];
    }
    attention->total = attention->total > attention->count ? attention->total : attention->count;
    work->total = work->total > work->count ? work->total : work->count;
}

static void large_add(const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                      struct str *to)
{
    CLEANUP(str_free) struct str line = { 0 };
    CLEANUP(part_free) struct part attention = part_make(rollout, attention_order);
    CLEANUP(part_free) struct part work = part_make(rollout, work_order);
    struct state_counts counts = counts_of(rollout);
    status_head(rollout, out, to);
    str_addf(&line, "%zu site%s: ", counts.total, counts.total == 1 ? "" : "s");
    counts_add(&line, &counts);
    out_cut(to, str_text(&line), (size_t)out->width);
    str_add(to, "\n");
    /* One line for the hint, one for the cursor. */
    size_t used = 2 + stages_add(rollout, out, now_ms, to) + 2;
    size_t room = (size_t)out->height > used ? (size_t)out->height - used : 0;
    totals_set(&counts, &attention, &work);
    size_t first = attention.total + 1, half = room - room / 3;
    if (work.total == 0)
        half = room;
    else if (work.total + 1 < room / 3)
        half = room - work.total - 1;
    first = attention.total == 0 ? 0 : first < half ? first : half;
    part_add(&attention, "needs attention", first, rollout, out, now_ms, to);
    part_add(&work, "at work", room - first, rollout, out, now_ms, to);
    str_clear(&line);
    str_addf(&line, "every site: confleet rollout status %s --all", rollout->id);
    out_cut(to, str_text(&line), (size_t)out->width);
    str_add(to, "\n");
}

void screen_add(const Confleet__RolloutView *rollout, const struct out *out, bool all,
                int64_t now_ms, struct str *to)
{
    bool whole = rollout->n_sites >= rollout->site_count;
    if (whole && (all || screen_fits(rollout->n_sites, rollout->n_stages, out)))
        status_lines(rollout, out, now_ms, to);
    else
        large_add(rollout, out, now_ms, to);
}
