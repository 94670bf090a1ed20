/* window - when a site may start: the weekly rules of a plan file become spans between instants.
 *
 * A rule opens once on each local day it names, at its time of that day by the zone's clock, for so
 * long in elapsed time, whatever the clock does meanwhile. Spans hold their first instant and not
 * their last. Whether a rollout keeps to them is decided elsewhere. */
#pragma once
#include "controller/cli/zone.h"

#define WINDOW_OPENINGS_MAX 400 /* of one stage or site; a plan may be good for 90 days */
#define WINDOW_EVERY_DAY    0x7fu

struct window_rule {
    unsigned days; /* bit 0 is Monday */
    int from_minute;
    int64_t for_ms;
    const char *tz;
};
struct span {
    int64_t from_ms, to_ms;
};
struct spans {
    struct span *list;
    size_t count;
};

bool window_clock_parse(const char *text, int *ret_minute); /* "02:00" */
/* Appends, in order, the openings that end after from_ms and begin before to_ms. FAIL_NOT_FOUND: no
 * such zone; FAIL_LIMIT: more than WINDOW_OPENINGS_MAX. */
int window_expand(const struct window_rule *rule, int64_t from_ms, int64_t to_ms,
                  struct spans *spans, struct err *err) MUST_USE;
/* "2026-12-24" or "2026-12-24 18:00" by the clock of tz, or "2026-12-24T17:00:00Z". A date alone is
 * its first instant, or with `last` the first instant of the next day; a time that comes twice its
 * first coming, or with `last` its second. FAIL_USAGE: no such time. */
int window_instant(const char *text, const char *tz, bool last, int64_t *ret_ms,
                   struct err *err) MUST_USE;

void spans_add(struct spans *spans, int64_t from_ms, int64_t to_ms);
void spans_merge(struct spans *spans); /* in order, none touches the next */
/* These want merged spans. */
void spans_both(const struct spans *one, const struct spans *two, struct spans *ret);
void spans_cut(struct spans *spans, const struct spans *without);
void spans_free(struct spans *spans);
/* The first instant not before from_ms and before to_ms at which something that takes estimate_ms
 * may start: inside a window and outside every freeze, with so much time left before either ends
 * it. -1: there is none. windows NULL: always open. */
int64_t window_first_start(const struct spans *windows, const struct spans *freezes,
                           int64_t estimate_ms, int64_t from_ms, int64_t to_ms);
