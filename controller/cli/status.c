#include "controller/cli/status.h"
#include "confleet/cleanup.h"
#include "controller/cli/views.h"
#include <inttypes.h>
#include <string.h>

#define BAR_WIDTH     20
#define BAR_WIDE_FROM 96     /* narrower terminals show half a bar, then words alone */
#define BYTES_FROM    100000 /* totals from here on are taken for bytes */
#define BAR_FROM      76
#define NAME_FROM     64
#define MANY          40 /* sites from here on are counted rather than told one by one */
#define NAME_MAX_WIDE 24 /* columns of a site's name */
#define NAME_MAX_NARROW                                                                            \
    10 /* then a line without its words fits 40 columns, the least of out_open() */

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

void status_site_line(const Confleet__RolloutSiteView *site, const struct out *out,
                      size_t name_width, int64_t now_ms, struct str *to)
{
    CLEANUP(str_free) struct str doing = { 0 };
    char word[24], span[24] = "", elapsed[40];
    int64_t end_ms = site->finished_ms ? site->finished_ms : now_ms;
    if (site->started_ms > 0 && end_ms >= site->started_ms)
        (void)text_duration((end_ms - site->started_ms) / 1000 * 1000, span);
    str_add(to, "  ");
    out_cut(to, site->site, name_width);
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
        out_cut(to, str_text(&doing), (size_t)out->width - used);
    str_add(to, "\n");
}

size_t status_name_width(const Confleet__RolloutView *rollout, const struct out *out)
{
    size_t width = 8, most = out->width >= NAME_FROM ? NAME_MAX_WIDE : NAME_MAX_NARROW;
    for (size_t i = 0; i < rollout->n_sites; i++) {
        size_t columns = out_columns(rollout->sites[i]->site);
        columns = columns < most ? columns : most;
        width = columns > width ? columns : width;
    }
    return width;
}

/* A rollout that has been stopped is halted when its last site has come to its end. */
static const char *state_shown(const Confleet__RolloutView *rollout)
{
    if (rollout->paused)
        return "paused";
    return strcmp(rollout->state, "running") == 0 && rollout->reason[0] ? "nothing new starts"
                                                                        : rollout->state;
}

void status_head(const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    CLEANUP(str_free) struct str head = { 0 };
    str_addf(&head, "rollout %s to %s: %s", rollout->id,
             rollout->release ? rollout->release->version : "?",
             state_shown(rollout));
    if (rollout->reason[0])
        str_addf(&head, ": %s", rollout->reason);
    if (rollout->waiting_for[0])
        str_addf(&head, "; waiting for %s", rollout->waiting_for);
    out_cut(to, str_text(&head), (size_t)out->width);
    str_add(to, "\n");
}

static void stage_line(const Confleet__RolloutView *rollout, const char *name,
                       const struct out *out, int64_t now_ms, struct str *to)
{
    CLEANUP(str_free) struct str line = { 0 }, wait = { 0 };
    str_addf(&line, " stage %s", name);
    for (size_t i = 0; i < rollout->n_stages; i++) {
        if (strcmp(rollout->stages[i]->name, name) != 0)
            continue;
        if (stage_wait_add(&wait, rollout->stages[i], rollout->id, now_ms))
            str_addf(&line, ": %s", str_text(&wait));
        else
            str_addf(&line, ": %s%s%s", rollout->stages[i]->state, wait.len > 0 ? ": " : "",
                     str_text(&wait));
    }
    out_cut(to, str_text(&line), (size_t)out->width);
    str_add(to, "\n");
}

/* Under the sites: what stops them no longer, since somebody signed for it. */
static void waived_lines(const Confleet__RolloutView *rollout, const struct out *out,
                         struct str *to)
{
    size_t count = 0;
    for (size_t i = 0; i < rollout->n_sites; i++) {
        const Confleet__RolloutSiteView *site = rollout->sites[i];
        for (size_t w = 0; w < site->n_waivers; w++) {
            CLEANUP(str_free) struct str line = { 0 };
            if (count++ >= MANY)
                continue;
            str_addf(&line, "  waived now at %s: ", site->site);
            waiver_words(site->waivers[w], site->findings, site->n_findings, &line);
            out_cut(to, str_text(&line), (size_t)out->width);
            str_add(to, "\n");
        }
    }
    if (count > MANY)
        str_addf(to, "  … and %zu more waivers: confleet waive list\n", count - MANY);
}

void status_lines(const Confleet__RolloutView *rollout, const struct out *out, int64_t now_ms,
                  struct str *to)
{
    const char *stage = "";
    size_t name_width = status_name_width(rollout, out);
    status_head(rollout, out, to);
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (strcmp(stage, rollout->sites[i]->stage) != 0) {
            stage = rollout->sites[i]->stage;
            stage_line(rollout, stage, out, now_ms, to);
        }
        status_site_line(rollout->sites[i], out, name_width, now_ms, to);
    }
    waived_lines(rollout, out, to);
}

/* The place of a key, made on first sight. */
static char **key_of(struct status_memory *memory, size_t at)
{
    if (memory->count <= at) {
        memory->keys = mem_grow(memory->keys, at + 1, sizeof *memory->keys);
        for (; memory->count <= at; memory->count++)
            memory->keys[memory->count] = NULL;
    }
    return &memory->keys[at];
}

/* Takes the key over; false: it was that already. A NULL that becomes `silent` is no change. */
static bool key_change(struct status_memory *memory, size_t at, char *key, const char *silent)
{
    char **old = key_of(memory, at);
    bool same = *old ? strcmp(*old, key) == 0 : silent && strcmp(silent, key) == 0;
    free(*old);
    *old = key;
    return !same;
}

static void change_add(struct str *to, int64_t now_ms, const char *what, const char *state,
                       const char *text)
{
    char when[32];
    str_addf(to, "%s ", time_word(now_ms, when));
    out_clean(to, what);
    str_add(to, ": ");
    out_clean(to, state);
    str_add(to, *text ? ": " : "");
    out_clean(to, text);
    str_add(to, "\n");
}

static void rollout_change(struct status_memory *memory, const Confleet__RolloutView *rollout,
                           int64_t now_ms, struct str *to)
{
    char *key = text_printf("%s|%d|%s", rollout->state, (int)rollout->paused, rollout->reason);
    CLEANUP(free_mem) char *what = text_printf("rollout %s", rollout->id);
    if (key_change(memory, 0, key, "running|0|"))
        change_add(to, now_ms, what, state_shown(rollout), rollout->reason);
}

static void stage_change(struct status_memory *memory, const Confleet__RolloutView *rollout,
                         size_t at, int64_t now_ms, struct str *to)
{
    const Confleet__StageView *stage = rollout->stages[at];
    CLEANUP(str_free) struct str wait = { 0 };
    CLEANUP(free_mem) char *what = text_printf("stage %s", stage->name);
    /* Counts and the time that is left change all the while and are no news. */
    bool words = strcmp(stage->state, "running") != 0 && strcmp(stage->state, "soaking") != 0;
    char *key = text_printf("%s|%u|%s", stage->state, stage->approvals, words ? stage->reason : "");
    if (!key_change(memory, 1 + at, key, NULL))
        return;
    if (stage_wait_add(&wait, stage, rollout->id, now_ms))
        change_add(to, now_ms, what, str_text(&wait), "");
    else /* what stopped the rollout has just been told of the rollout itself */
        change_add(to, now_ms, what, stage->state,
                   strcmp(stage->reason, rollout->reason) == 0 ? "" : stage->reason);
}

static void site_change(struct status_memory *memory, size_t at,
                        const Confleet__RolloutSiteView *site, bool many, int64_t now_ms,
                        struct str *to)
{
    CLEANUP(str_free) struct str doing = { 0 };
    bool flight = status_site_in_flight(site);
    char *key =
        text_printf("%s|%s|%d|%s", site->state, site->step, site->undo, flight ? "" : site->reason);
    if (!key_change(memory, at, key, many && strcmp(site->state, "queued") == 0 ? key : NULL))
        return;
    /* Sizes change all the time and would look like many changes of one step. */
    if (flight && site->step_count > 0)
        str_addf(&doing, "%u/%u %s%s", site->step_number, site->step_count,
                 site->undo ? "undo: " : "", site->step_label[0] ? site->step_label : site->step);
    else
        doing_add(&doing, site);
    change_add(to, now_ms, site->site, status_word(site), str_text(&doing));
}

void status_changes(struct status_memory *memory, const Confleet__RolloutView *rollout,
                    int64_t now_ms, struct str *to)
{
    bool many = rollout->n_sites > MANY;
    rollout_change(memory, rollout, now_ms, to);
    for (size_t i = 0; i < rollout->n_stages; i++)
        stage_change(memory, rollout, i, now_ms, to);
    for (size_t i = 0; i < rollout->n_sites; i++)
        site_change(memory, 1 + rollout->n_stages + i, rollout->sites[i], many, now_ms, to);
}

void status_memory_free(struct status_memory *memory)
{
    for (size_t i = 0; i < memory->count; i++)
        free(memory->keys[i]);
    free_mem(&memory->keys);
    memory->count = 0;
}

void status_outage(const Confleet__RolloutSiteView *site, struct str *to)
{
    char text[32];
    if (site->down && site->down_since_ms > 0)
        str_addf(to, "is down since %s", time_word(site->down_since_ms, text));
    else if (site->outage_ms > 0)
        str_addf(to, "was down for %s", text_duration(site->outage_ms, text));
}

static void recap_site(const Confleet__RolloutSiteView *site, const struct out *out, struct str *to)
{
    str_add(to, "  ");
    out_tone(to, out, status_tone(site->state), site->site);
    str_addf(to, ": %s, ", status_word(site));
    version_add(to, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    if (site->outage_ms > 0 || site->down) {
        str_add(to, ", ");
        status_outage(site, to);
    }
    if (site->reason[0]) {
        str_add(to, "\n    because: ");
        out_clean(to, site->reason);
    }
    out_lines(to, "\n    ", "next:\n    ", site->safe_next);
    str_add(to, "\n");
}

/* Of many sites only those that did not just go well are told one by one. */
static bool recap_names(const Confleet__RolloutView *rollout, const Confleet__RolloutSiteView *site)
{
    return rollout->n_sites <= MANY || state_rank(site->state) > 0 || status_site_in_flight(site);
}

void status_recap(const Confleet__RolloutView *rollout, const struct out *out, struct str *to)
{
    struct state_counts counts = counts_of(rollout);
    size_t named = 0, left_out = 0;
    str_add(to, "recap: ");
    counts_add(to, &counts);
    str_add(to, counts.total == 0 ? "no sites\n" : "\n");
    if (strcmp(rollout->state, "halted") == 0 && rollout->reason[0]) {
        str_add(to, "  halted: ");
        out_clean(to, rollout->reason);
        str_add(to, "\n");
        /* An abort is for good, and says so itself. */
        if (!strstr(rollout->reason, "aborted by "))
            str_addf(to,
                     "  to go on: confleet rollout retry %s SITE, or skip, for what did not end "
                     "well; then confleet rollout resume %s\n",
                     rollout->id, rollout->id);
    }
    for (size_t i = 0; i < rollout->n_sites; i++) {
        if (!recap_names(rollout, rollout->sites[i]))
            continue;
        if (named++ < MANY)
            recap_site(rollout->sites[i], out, to);
        else
            left_out++;
    }
    if (left_out > 0)
        str_addf(to, "  … and %zu more\n", left_out);
    waived_lines(rollout, out, to);
}

enum exit_status status_exit(const Confleet__RolloutView *rollout)
{
    struct state_counts counts = counts_of(rollout);
    enum exit_status exit = EXIT_DONE;
    int rank = 0;
    if (rollout_waits_for_person(rollout))
        return EXIT_PERSON;
    if (!status_is_over(rollout))
        return EXIT_PENDING;
    for (size_t i = 0; i <= STATES_MAX; i++) {
        int own_rank = i < STATES_MAX ? state_words[i].rank : state_rank("");
        if (counts.count[i] == 0 || own_rank <= rank)
            continue;
        rank = own_rank;
        exit = i < STATES_MAX ? state_words[i].exit : EXIT_ERROR;
    }
    if (rank == 0 && strcmp(rollout->state, "halted") == 0)
        return EXIT_PERSON;
    return exit;
}
