/* window - says whether a site may start at an instant, and if not, why and when next.
 *
 * Works on instants that others computed: no time zones, no clock. An opening is where all windows
 * meet and no freeze or hold lies; freezes and holds beat every window. Nothing here interrupts
 * what has started. Invariant: an open answer leaves at least the estimate before the opening ends,
 * so that neither outage nor rollback runs out of it. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define WINDOW_REASON_MAX 256
#define INSTANT_TEXT_MAX  24

/* from_ms is inside, to_ms is not. */
struct span {
    int64_t from_ms, to_ms;
    const char *reason; /* freezes and holds: a person's words; NULL or "": none */
};
struct span_list {
    const struct span *spans;
    size_t count;
};

struct window_rule {
    struct span_list stage, site; /* none: any time */
    struct span_list freezes;     /* of the plan */
    struct span_list holds;       /* of the store, those that reach this site */
    int64_t estimate_ms;
};

struct window_answer {
    bool open;
    int64_t next_ms;  /* start of the next opening that is long enough; zero: none comes */
    int64_t until_ms; /* end of the opening now or next; zero: no end known */
    char reason[WINDOW_REASON_MAX]; /* not open: what is in the way, and when it is not any more */
};

void window_look(const struct window_rule *rule, int64_t now_ms, struct window_answer *ret);
/* 2026-11-23T04:18Z; the core may not ask the clock's own texts. */
const char *instant_text(int64_t at_ms, char out[INSTANT_TEXT_MAX]);
