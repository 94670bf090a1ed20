#include "controller/cli/status.h"
#include "confleet/cleanup.h"
#include <inttypes.h>
#include <string.h>

#define BAR_WIDTH     20
#define BAR_WIDE_FROM 96     /* narrower terminals show half a bar, then words alone */
#define BYTES_FROM    100000 /* totals from here on are taken for bytes */
#define BAR_FROM      76
#define NAME_FROM     64
#define NAME_MAX_WIDE 24 /* columns of a site's name */
#define NAME_MAX_NARROW                                                                            \
    10 /* then a line without its words fits 40 columns, the least of out_open() */

/* The spellings of the controller's rollout states. rank: what decides the exit status, highest
 * first. */
static const struct {
    const char *state, *word;
    bool flight;
    enum tone tone;
    enum exit_status exit;
    int rank;
} states[] = {
    { "queued", "queued", false, TONE_DIM, EXIT_PENDING, 0 },
    { "ordered", "ordered", true, TONE_PLAIN, EXIT_PENDING, 0 },
    { "running", "running", true, TONE_PLAIN, EXIT_PENDING, 0 },
    { "undoing", "going back", true, TONE_WARN, EXIT_PENDING, 0 },
    { "soaking", "soaking", true, TONE_GOOD, EXIT_PENDING, 0 },
    { "committed", "committed", false, TONE_GOOD, EXIT_DONE, 0 },
    { "skipped", "skipped", false, TONE_DIM, EXIT_DONE, 0 },
    { "not-ready", "not ready", false, TONE_WARN, EXIT_BLOCKED, 2 },
    { "refused", "refused", false, TONE_BAD, EXIT_BLOCKED, 2 },
    { "rolled-back", "rolled back", false, TONE_WARN, EXIT_ROLLED_BACK, 3 },
    { "silent", "silent", false, TONE_BAD, EXIT_TIMEOUT, 4 },
    { "held", "held", false, TONE_BAD, EXIT_PERSON, 5 },
};
#define STATES (sizeof states / sizeof states[0])

static size_t state_index(const char *state)
{
    size_t i = 0;
    while (i < STATES && strcmp(states[i].state, state) != 0)
        i++;
    return i;
}

enum tone status_tone(const char *state)
{
    size_t i = state_index(state);
    return i < STATES ? states[i].tone : TONE_WARN;
}

const char *status_word(const Confleet__RolloutSiteView *site)
{
    size_t i = state_index(site->state);
    return i < STATES ? states[i].word : site->state;
}

bool status_site_in_flight(const Confleet__RolloutSiteView *site)
{
    size_t i = state_index(site->state);
    return i < STATES && states[i].flight;
}

bool status_is_over(const Confleet__RolloutView *rollout)
{
    if (strcmp(rollout->state, "done") == 0)
        return true;
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (status_site_in_flight(rollout->sites[i]))
            return false;
    }
    return strcmp(rollout->state, "halted") == 0;
}

/* Appends at most that many columns of the text, cleaned. */
static void add_cut(struct str *to, const char *text, size_t columns)
{
    CLEANUP(str_free) struct str clean = { 0 };
    out_clean(&clean, text);
    const char *s = str_text(&clean);
    bool cut = out_columns(s) > columns;
    for (size_t used = 0; *s && used + (cut ? 1 : 0) < columns; used++) {
        do
            str_add_bytes(to, s++, 1);
        while (((unsigned char)*s & 0xc0) == 0x80);
    }
    if (cut && columns > 0)
        str_add(to, "…");
}

static void bar_add(struct str *to, const Confleet__RolloutSiteView *site, int width)
{
    double part = 0;
    if (status_site_in_flight(site) && site->step_count > 0 && site->step_number > 0) {
        double inner = site->total > 0 && site->done <= site->total
                           ? (double)site->done / (double)site->total
                           : 0;
        part = ((double)site->step_number - 1 + inner) / (double)site->step_count;
    }
    if (strcmp(site->state, "committed") == 0)
        part = 1;
    int filled = part >= 1 ? width : (int)(part * width);
    str_addf(to, "[%.*s%.*s]", filled, "####################", width - filled,
             "....................");
}

/* What the site is at, or how it ended. */
static void doing_add(struct str *to, const Confleet__RolloutSiteView *site)
{
    char done[24], total[24];
    if (!status_site_in_flight(site)) {
        str_add(to, site->reason);
        return;
    }
    if (site->step_count > 0)
        str_addf(to, "%u/%u ", site->step_number, site->step_count);
    str_addf(to, "%s%s", site->undo ? "undo: " : "",
             site->step_label[0] ? site->step_label : site->step);
    /* Small totals are counts of seconds, files or tables; large ones are bytes. */
    if (site->total >= BYTES_FROM)
        str_addf(to, " %s of %s", text_size(site->done, done), text_size(site->total, total));
    else if (site->total > 0 && site->done <= site->total)
        str_addf(to, " %d%%", (int)((double)site->done * 100.0 / (double)site->total));
    if (site->waiting_for[0])
        str_addf(to, "%swaiting for %s", to->len > 0 ? "; " : "", site->waiting_for);
}

static void site_line(const Confleet__RolloutSiteView *site, const struct out *out,
                      size_t name_width, int64_t now_ms, struct str *to)
{
    CLEANUP(str_free) struct str doing = { 0 };
    char word[24], span[24] = "", elapsed[40];
    int64_t end_ms = site->finished_ms ? site->finished_ms : now_ms;
    if (site->started_ms > 0 && end_ms >= site->started_ms)
        (void)text_duration((end_ms - site->started_ms) / 1000 * 1000, span);
    str_add(to, "  ");
    add_cut(to, site->site, name_width);
    size_t name = out_columns(site->site);
    str_addf(to, "%*s", (int)(name < name_width ? name_width - name : 0) + 1, "");
    (void)snprintf(word, sizeof word, "%-11.11s", status_word(site));
    out_tone(to, out, status_tone(site->state), word);
    str_add(to, " ");
    int bar = out->width >= BAR_WIDE_FROM ? BAR_WIDTH : out->width >= BAR_FROM ? BAR_WIDTH / 2 : 0;
    if (bar > 0)
        bar_add(to, site, bar);
    (void)snprintf(elapsed, sizeof elapsed, " %8s %s ", span, site->down ? "down" : "    ");
    str_add(to, elapsed);
    doing_add(&doing, site);
    size_t used = 2 + name_width + 1 + 11 + 1 + (bar > 0 ? (size_t)bar + 2 : 0) + strlen(elapsed);
    if (out->width > (int)used)
        add_cut(to, str_text(&doing), (size_t)out->width - used);
    str_add(to, "\n");
}

void status_lines(const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to)
{
    CLEANUP(str_free) struct str head = { 0 };
    const char *stage = "";
    size_t name_width = 8, name_max = out->width >= NAME_FROM ? NAME_MAX_WIDE : NAME_MAX_NARROW;
    for (size_t i = 0; i < rollout->n_sites; i++) {
        size_t columns = out_columns(rollout->sites[i]->site);
        columns = columns < name_max ? columns : name_max;
        name_width = columns > name_width ? columns : name_width;
    }
    str_addf(&head, "rollout %s to %s: %s", rollout->id,
             rollout->release ? rollout->release->version : "?", rollout->state);
    if (rollout->reason[0])
        str_addf(&head, ": %s", rollout->reason);
    if (rollout->waiting_for[0])
        str_addf(&head, "; waiting for %s", rollout->waiting_for);
    add_cut(to, str_text(&head), (size_t)out->width);
    str_add(to, "\n");
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (strcmp(stage, rollout->sites[i]->stage) != 0) {
            stage = rollout->sites[i]->stage;
            str_add(to, " stage ");
            add_cut(to, stage, (size_t)out->width - strlen(" stage "));
            str_add(to, "\n");
        }
        site_line(rollout->sites[i], out, name_width, now_ms, to);
    }
}

void status_changes(struct status_memory *memory, const Confleet__RolloutView *rollout,
                    int64_t now_ms, struct str *to)
{
    char when[32];
    if (memory->count < rollout->n_sites) {
        memory->keys = mem_grow(memory->keys, rollout->n_sites, sizeof *memory->keys);
        for (; memory->count < rollout->n_sites; memory->count++)
            memory->keys[memory->count] = NULL;
    }
    for (size_t i = 0; i < rollout->n_sites; i++) {
        const Confleet__RolloutSiteView *site = rollout->sites[i];
        CLEANUP(free_mem)
        char *key = text_printf("%s|%s|%d|%s", site->state, site->step, site->undo,
                                status_site_in_flight(site) ? "" : site->reason);
        if (memory->keys[i] && strcmp(memory->keys[i], key) == 0)
            continue;
        CLEANUP(str_free) struct str doing = { 0 };
        /* Sizes change all the time and would look like many changes of one step. */
        if (status_site_in_flight(site) && site->step_count > 0)
            str_addf(&doing, "%u/%u %s%s", site->step_number, site->step_count,
                     site->undo ? "undo: " : "",
                     site->step_label[0] ? site->step_label : site->step);
        else
            doing_add(&doing, site);
        str_addf(to, "%s ", time_word(now_ms, when));
        out_clean(to, site->site);
        str_addf(to, ": %s", status_word(site));
        str_add(to, doing.len > 0 ? ": " : "");
        out_clean(to, str_text(&doing));
        str_add(to, "\n");
        free(memory->keys[i]);
        memory->keys[i] = TAKE(key);
    }
}

void status_memory_free(struct status_memory *memory)
{
    for (size_t i = 0; i < memory->count; i++)
        free(memory->keys[i]);
    free_mem(&memory->keys);
    memory->count = 0;
}

static void recap_site(const Confleet__RolloutSiteView *site, const struct out *out, struct str *to)
{
    char span[24];
    str_add(to, "  ");
    out_tone(to, out, status_tone(site->state), site->site);
    str_addf(to, ": %s, ", status_word(site));
    version_add(to, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    if (site->outage_ms > 0)
        str_addf(to, ", was down for %s", text_duration(site->outage_ms, span));
    if (site->reason[0]) {
        str_add(to, "\n    because: ");
        out_clean(to, site->reason);
    }
    out_lines(to, "\n    ", "next:\n    ", site->safe_next);
    str_add(to, "\n");
}

void status_recap(const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    size_t counts[STATES + 1] = { 0 };
    bool first = true;
    for (size_t i = 0; i < rollout->n_sites; i++)
        counts[state_index(rollout->sites[i]->state)]++;
    str_add(to, "recap:");
    for (size_t i = 0; i <= STATES; i++) {
        if (counts[i] == 0)
            continue;
        str_addf(to, "%s %zu %s", first ? "" : ",", counts[i],
                 i < STATES ? states[i].word : "other");
        first = false;
    }
    str_add(to, first ? " no sites\n" : "\n");
    for (size_t i = 0; i < rollout->n_sites; i++)
        recap_site(rollout->sites[i], out, to);
}

enum exit_status status_exit(const Confleet__RolloutView *rollout)
{
    enum exit_status exit = EXIT_DONE;
    int rank = 0;
    if (!status_is_over(rollout))
        return EXIT_PENDING;
    for (size_t i = 0; i < rollout->n_sites; i++) {
        size_t at = state_index(rollout->sites[i]->state);
        /* A word that this version does not know, in a rollout that is over: a person must look. */
        int own_rank = at < STATES ? states[at].rank : 4;
        if (own_rank > rank) {
            rank = own_rank;
            exit = at < STATES ? states[at].exit : EXIT_ERROR;
        }
    }
    if (rank == 0 && strcmp(rollout->state, "halted") == 0)
        return EXIT_PERSON;
    return exit;
}
