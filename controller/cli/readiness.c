#include "controller/cli/readiness.h"
#include "confleet/cleanup.h"
#include "controller/cli/jobs.h"
#include "controller/cli/views.h"
#include <stdlib.h>
#include <string.h>

#define RANK_WORSE_LEAST 2 /* unknown, warn, block: what somebody should look at */

static const char *const rank_words[READY_RANKS] = { "ok", "info", "unknown", "warn", "block" };

const char *ready_rank_word(int rank)
{
    return rank >= 0 && rank < READY_RANKS ? rank_words[rank] : "unknown";
}

enum tone ready_rank_tone(int rank)
{
    static const enum tone tones[READY_RANKS] = { TONE_GOOD, TONE_GOOD, TONE_WARN, TONE_WARN,
                                                  TONE_BAD };
    return rank >= 0 && rank < READY_RANKS ? tones[rank] : TONE_WARN;
}

int ready_rank_parse(const char *word, int *ret_rank, struct err *err)
{
    for (int i = 0; i < READY_RANKS; i++) {
        if (strcmp(rank_words[i], word) != 0)
            continue;
        *ret_rank = i;
        return 0;
    }
    return err_set(err, FAIL_USAGE, "'%s' is no severity: ok, info, unknown, warn or block", word);
}

const char *change_word(enum change change)
{
    static const char *const words[] = { "", "new", "worse", "better", "gone" };
    return words[change];
}

static size_t family_place(struct readiness *readiness, const char *name)
{
    const char *family = *name ? name : "other";
    for (size_t i = 0; i < readiness->family_count; i++)
        if (strcmp(readiness->families[i], family) == 0)
            return i;
    if (readiness->family_count == READY_FAMILIES_MAX)
        return READY_FAMILIES_MAX - 1;
    readiness->families[readiness->family_count] = family;
    return readiness->family_count++;
}

static const Confleet__Finding *finding_of(Confleet__Finding *const *findings, size_t count,
                                           const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(findings[i]->id, id) == 0)
            return findings[i];
    return NULL;
}

static enum change change_of(const struct ready_site *site, const Confleet__Finding *now)
{
    const Confleet__CheckView *before = site->view->before;
    if (!before)
        return CHANGE_NONE;
    const Confleet__Finding *then = finding_of(before->findings, before->n_findings, now->id);
    int was = then ? severity_rank(then->severity) : 0, is = severity_rank(now->severity);
    if (is > was && is >= RANK_WORSE_LEAST)
        return was < RANK_WORSE_LEAST ? CHANGE_NEW : CHANGE_WORSE;
    return is < was && is >= RANK_WORSE_LEAST ? CHANGE_BETTER : CHANGE_NONE;
}

static void cell_note(struct ready_cell *cell, const struct ready_finding *found)
{
    cell->any = true;
    cell->worse = cell->worse || found->change == CHANGE_NEW || found->change == CHANGE_WORSE;
    if (found->waived) {
        cell->waived++;
        return;
    }
    if (found->rank > cell->rank)
        cell->count = 0;
    if (found->rank >= cell->rank) {
        cell->rank = found->rank;
        cell->count++;
    }
}

static void gone_add(struct readiness *readiness, struct ready_site *site)
{
    const Confleet__CheckView *before = site->view->before;
    for (size_t i = 0; before && i < before->n_findings; i++) {
        const Confleet__Finding *then = before->findings[i];
        const Confleet__Finding *now =
            finding_of(site->view->findings, site->view->n_findings, then->id);
        int was = severity_rank(then->severity);
        if (was < RANK_WORSE_LEAST || (now && severity_rank(now->severity) >= RANK_WORSE_LEAST))
            continue;
        site->findings[site->finding_count++] = (struct ready_finding){
            then, family_place(readiness, then->family), was, false, CHANGE_GONE
        };
    }
}

static void site_note(struct readiness *readiness, struct ready_site *site,
                      const Confleet__JobSiteView *view)
{
    size_t before = view->before ? view->before->n_findings : 0;
    site->view = view;
    site->good = job_state_is_good(view->state);
    site->findings = mem_zero(view->n_findings + before + 1, sizeof *site->findings);
    for (size_t i = 0; i < view->n_findings; i++) {
        const Confleet__Finding *finding = view->findings[i];
        struct ready_finding *found = &site->findings[site->finding_count++];
        *found = (struct ready_finding){ finding, family_place(readiness, finding->family),
                                         severity_rank(finding->severity),
                                         finding->waived_until_ms > 0, change_of(site, finding) };
        cell_note(&site->cells[found->family], found);
        site->at_ms = finding->at_ms > site->at_ms ? finding->at_ms : site->at_ms;
        if (found->waived) {
            site->waived++;
            continue;
        }
        site->counts[found->rank]++;
        site->rank = found->rank > site->rank ? found->rank : site->rank;
    }
    gone_add(readiness, site);
}

static void since_note(struct readiness *readiness, const struct ready_site *site)
{
    const Confleet__CheckView *before = site->view->before;
    if (!before)
        return;
    if (!readiness->before_from_ms || before->at_ms < readiness->before_from_ms)
        readiness->before_from_ms = before->at_ms;
    if (before->at_ms > readiness->before_to_ms)
        readiness->before_to_ms = before->at_ms;
    for (int i = 0; i < READY_RANKS; i++)
        readiness->diff[i] += (long)site->counts[i];
    for (size_t i = 0; i < before->n_findings; i++)
        if (before->findings[i]->waived_until_ms == 0)
            readiness->diff[severity_rank(before->findings[i]->severity)]--;
}

static void total_note(struct readiness *readiness, const struct ready_site *site)
{
    for (int i = 0; i < READY_RANKS; i++)
        readiness->counts[i] += site->counts[i];
    readiness->waived += site->waived;
    bool silent = strcmp(site->view->state, "silent") == 0;
    readiness->silent += silent;
    readiness->failed += !site->good && !silent;
    readiness->blocked += site->rank == READY_RANKS - 1;
    if (site->good && site->rank < READY_RANKS - 1)
        *(site->rank >= RANK_WORSE_LEAST ? &readiness->looked_at : &readiness->ready) += 1;
    since_note(readiness, site);
}

static int site_weight(const struct ready_site *site)
{
    int weight = 2 * site->rank;
    /* Nobody knows what a silent one would have said: after the blocked, before all others. */
    return !site->good && weight < 2 * (READY_RANKS - 1) ? 2 * (READY_RANKS - 1) - 1 : weight;
}

static int site_compare(const void *a, const void *b)
{
    const struct ready_site *left = a, *right = b;
    int by = site_weight(right) - site_weight(left);
    for (int i = READY_RANKS - 1; by == 0 && i >= RANK_WORSE_LEAST; i--)
        by = (int)right->counts[i] - (int)left->counts[i];
    return by != 0 ? by : strcmp(left->view->site, right->view->site);
}

void readiness_make(Confleet__JobSiteView *const *views, size_t count, const char *target,
                    int64_t now_ms, struct readiness *ret)
{
    *ret = (struct readiness){ .target = target, .now_ms = now_ms };
    ret->sites = mem_zero(count + 1, sizeof *ret->sites);
    for (size_t i = 0; i < count; i++)
        site_note(ret, &ret->sites[ret->site_count++], views[i]);
    for (size_t i = 0; i < count; i++)
        total_note(ret, &ret->sites[i]);
    if (count > 1)
        qsort(ret->sites, count, sizeof *ret->sites, site_compare);
}

void readiness_free(struct readiness *readiness)
{
    for (size_t i = 0; i < readiness->site_count; i++)
        free_mem(&readiness->sites[i].findings);
    free_mem(&readiness->sites);
    readiness->site_count = 0;
}

int readiness_exit(const struct readiness *readiness)
{
    if (readiness->blocked > 0)
        return EXIT_BLOCKED;
    if (readiness->silent > 0)
        return EXIT_TIMEOUT;
    if (readiness->failed > 0)
        return EXIT_ERROR;
    return readiness->looked_at > 0 ? EXIT_PENDING : EXIT_DONE;
}

static int row_compare(const void *a, const void *b)
{
    const struct ready_row *left = a, *right = b;
    const struct ready_finding *l = left->found, *r = right->found;
    int by = (int)l->waived - (int)r->waived;
    if (by == 0)
        by = r->rank - l->rank;
    if (by == 0)
        by = l->family < r->family ? -1 : l->family > r->family;
    if (by == 0)
        by = strcmp(l->finding->id, r->finding->id);
    if (by == 0)
        by = strcmp(l->finding->remedy, r->finding->remedy);
    if (by == 0)
        by = strcmp(l->finding->evidence, r->finding->evidence);
    return by != 0 ? by : strcmp(left->site->view->site, right->site->view->site);
}

struct ready_row *readiness_rows(const struct readiness *readiness, int least, bool gone,
                                 size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < readiness->site_count; i++)
        count += readiness->sites[i].finding_count;
    struct ready_row *rows = mem_zero(count + 1, sizeof *rows);
    count = 0;
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        for (size_t f = 0; f < site->finding_count; f++)
            if (site->findings[f].rank >= least &&
                (site->findings[f].change == CHANGE_GONE) == gone)
                rows[count++] = (struct ready_row){ site, &site->findings[f] };
    }
    if (count > 1)
        qsort(rows, count, sizeof *rows, row_compare);
    *ret_count = count;
    return rows;
}

bool ready_row_same(const struct ready_row *a, const struct ready_row *b)
{
    const struct ready_finding *l = a->found, *r = b->found;
    return l->waived == r->waived && l->rank == r->rank && l->family == r->family &&
           strcmp(l->finding->id, r->finding->id) == 0 &&
           strcmp(l->finding->remedy, r->finding->remedy) == 0;
}

bool ready_row_same_line(const struct ready_row *a, const struct ready_row *b)
{
    return ready_row_same(a, b) &&
           strcmp(a->found->finding->evidence, b->found->finding->evidence) == 0;
}

const char *ready_site_word(const struct ready_site *site)
{
    if (site->rank == READY_RANKS - 1)
        return "block";
    if (!site->good)
        return site->view->state;
    return site->rank >= RANK_WORSE_LEAST ? ready_rank_word(site->rank) : "ready";
}

enum tone ready_site_tone(const struct ready_site *site)
{
    return site->good ? ready_rank_tone(site->rank) : TONE_BAD;
}

void ready_counts_add(const size_t counts[READY_RANKS], size_t waived, struct str *to)
{
    const char *comma = "";
    static const int order[] = { 4, 3, 2, 1, 0 };
    for (size_t i = 0; i < READY_RANKS; i++) {
        if (counts[order[i]] == 0)
            continue;
        str_addf(to, "%s%zu %s", comma, counts[order[i]], rank_words[order[i]]);
        comma = ", ";
    }
    if (waived > 0)
        str_addf(to, "%s%zu waived", comma, waived);
}

void readiness_since(const struct readiness *readiness, struct str *to)
{
    char from[DAY_WORD_MAX], until[DAY_WORD_MAX];
    bool any = false;
    if (!readiness->before_from_ms)
        return;
    for (int i = READY_RANKS - 1; i >= RANK_WORSE_LEAST; i--) {
        if (readiness->diff[i] == 0)
            continue;
        str_addf(to, "%s%+ld %s", any ? ", " : "", readiness->diff[i], rank_words[i]);
        any = true;
    }
    str_add(to, any ? " since " : "as many as ");
    (void)day_word(readiness->before_from_ms, from);
    (void)day_word(readiness->before_to_ms, until);
    if (strcmp(from, until) == 0)
        str_addf(to, "the check of %s", from);
    else
        str_addf(to, "the checks of %s to %s", from, until);
}
