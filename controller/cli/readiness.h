/* readiness - what a check found on many sites, in the order in which people read it: sites worst
 * first, families as columns, the same finding of many sites once, and what changed since the check
 * before.
 *
 * Pure, and borrows the views that it is made of. A finding that an operator waived stays what it
 * is and counts nowhere but as waived. A site that did not answer is never ready. */
#pragma once
#include "controller/cli/out.h"

#define READY_FAMILIES_MAX 24
#define READY_RANKS        5 /* ok, info, unknown, warn, block: severity_rank() */

enum change { CHANGE_NONE, CHANGE_NEW, CHANGE_WORSE, CHANGE_BETTER, CHANGE_GONE };

struct ready_finding {
    const Confleet__Finding *finding; /* of the check before when it is gone */
    size_t family;
    int rank;
    bool waived;
    enum change change;
};
struct ready_cell {
    int rank; /* of the worst that is not waived */
    size_t count, waived;
    bool worse, any; /* some is new or worse; there is a finding at all */
};
struct ready_site {
    const Confleet__JobSiteView *view;
    struct ready_finding *findings; /* those that are gone last */
    size_t finding_count;
    struct ready_cell cells[READY_FAMILIES_MAX];
    size_t counts[READY_RANKS], waived;
    int rank;  /* of the worst that is not waived */
    bool good; /* the check itself ended well */
    int64_t at_ms;
};
struct readiness {
    struct ready_site *sites;
    size_t site_count, family_count;
    const char *families[READY_FAMILIES_MAX];
    size_t counts[READY_RANKS], waived, silent, failed;
    size_t blocked, looked_at, ready; /* sites with a block; with less that is to be looked at; the rest */
    int64_t before_from_ms, before_to_ms; /* times of the checks before; zero: none */
    long diff[READY_RANKS];               /* against them, of the sites that have one */
    const char *target;                   /* "": none */
    int64_t now_ms;
};
void readiness_make(Confleet__JobSiteView *const *views, size_t count, const char *target,
                    int64_t now_ms, struct readiness *ret);
void readiness_free(struct readiness *readiness); /* fits CLEANUP() */
/* 0 nothing to look at, 2 warn or unknown, 3 something blocks, 7 a site was silent, 1 a check
 * failed. */
int readiness_exit(const struct readiness *readiness);

/* Findings of all sites of at least this rank, worst first, equal ones side by side. Gone ones are
 * ranked as what they were. */
struct ready_row {
    const struct ready_site *site;
    const struct ready_finding *found;
};
struct ready_row *readiness_rows(const struct readiness *readiness, int least, bool gone,
                                 size_t *ret_count); /* owned by the caller */
bool ready_row_same(const struct ready_row *a, const struct ready_row *b);      /* but the evidence */
bool ready_row_same_line(const struct ready_row *a, const struct ready_row *b); /* all of it */

const char *ready_site_word(const struct ready_site *site); /* "block", "silent", "ready" … */
enum tone ready_site_tone(const struct ready_site *site);
const char *ready_rank_word(int rank);
enum tone ready_rank_tone(int rank);
const char *change_word(enum change change); /* "" for none */
int ready_rank_parse(const char *word, int *ret_rank, struct err *err) MUST_USE;
/* "+2 block, -1 warn since 2026-11-22T14:02:00Z"; nothing when there was no check before. */
void readiness_since(const struct readiness *readiness, struct str *to);
/* "2 block, 1 warn, 1 waived" */
void ready_counts_add(const size_t counts[READY_RANKS], size_t waived, struct str *to);

/* For people on a terminal or in a file; least: rank of the details. */
void readiness_text(const struct readiness *readiness, const struct out *out, int least,
                    struct str *to);
/* RFC 4180, one finding a row; what a spreadsheet would take for a formula is made text. */
void readiness_csv(const struct readiness *readiness, int least, struct str *to);
/* One page that needs nothing else. */
void readiness_html(const struct readiness *readiness, int least, const char *made_by,
                    struct str *to);
extern const char *const readiness_style[]; /* ended by NULL; after report_style */
