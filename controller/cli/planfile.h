/* planfile - a plan as a person wrote it: YAML in, struct out, everything wrong with it in one
 * report.
 *
 * Knows nothing of the fleet and not what time it is: names of sites and releases, and whether a
 * window ever opens, are judged in resolve. A key that was left out has no place (line zero) and
 * its default as value. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/yaml.h"
#include "controller/cli/window.h"

#define PLAN_STAGES_MAX          16
#define PLAN_BATCH_MAX           16
#define PLAN_FREEZES_MAX         32
#define PLAN_SITE_WINDOWS_MAX    256
#define PLAN_SOAK_DEFAULT_MS     (24LL * 3600 * 1000)
#define PLAN_ESTIMATE_DEFAULT_MS (30LL * 60 * 1000)
#define PLAN_EXPIRES_DEFAULT_MS  (7 * 24LL * 3600 * 1000)
#define PLAN_EXPIRES_MAX_MS      (90 * 24LL * 3600 * 1000)
#define PLAN_REST                0u /* in a batch: all that is left */

struct plan_window {
    struct yaml_list days;
    char *from, *tz;
    int64_t for_ms;
    struct yaml_at from_at, for_at, tz_at;
    struct window_rule rule; /* borrows tz; for_ms is zero when the window is wrong */
};
struct plan_freeze {
    char *from, *to, *reason, *tz;
    struct yaml_at from_at, to_at, tz_at;
    int64_t from_ms, to_ms;
};
struct plan_site_window {
    char *site;
    struct yaml_list windows; /* of struct plan_window */
    struct yaml_at site_at, windows_at;
};
#define PLAN_GATE_LIMITS(X) /* key of the file, class that is counted */                           \
    X(max_failed, FAILED)                                                                          \
    X(max_silent, SILENT)                                                                          \
    X(max_refused, REFUSED)                                                                        \
    X(max_not_ready, NOT_READY)                                                                    \
    X(max_rolled_back, ROLLED_BACK)                                                                \
    X(max_held, HELD)
struct plan_gate {
#define X(key, class) uint64_t key;
    PLAN_GATE_LIMITS(X)
#undef X
#define X(key, class) struct yaml_at key##_at;
    PLAN_GATE_LIMITS(X)
#undef X
};
struct plan_limit {
    const char *key;
    Confleet__OutcomeClass class;
    uint64_t max;
    struct yaml_at at;
};
struct plan_needs {
    char *stage;
    uint64_t approvals;
    bool covered;
    struct yaml_at stage_at, approvals_at, covered_at;
};
struct plan_stage {
    char *name;
    struct yaml_list
        select; /* of struct yaml_pair; "site" is the site's name, the others are labels */
    int64_t soak_ms, estimate_ms;
    struct yaml_list batch;   /* texts as written; batches holds the numbers */
    struct yaml_list windows; /* of struct plan_window; empty: any time */
    struct plan_gate gate;
    struct plan_needs needs;
    struct yaml_at name_at, select_at, soak_at, estimate_at, batch_at, window_at, gate_at;
    uint32_t batches[PLAN_BATCH_MAX];
    size_t batch_count;
};
struct planfile {
    char *name, *release;
    struct yaml_list notes_read; /* of char *: feature versions such as 9.0 */
    int on_failure, level;       /* words below */
    char *expires;               /* as written */
    int64_t expires_ms;          /* from the moment of signing; zero: until_ms counts */
    int64_t until_ms, silence_ms;
    struct yaml_list stages;       /* of struct plan_stage */
    struct yaml_list freezes;      /* of struct plan_freeze */
    struct yaml_list site_windows; /* of struct plan_site_window */
    struct plan_gate gate;
    struct yaml_at notes_at;
    struct yaml_at name_at, release_at, level_at, expires_at, gate_at, freeze_at, failure_at,
        silence_at;
    char *source;
    const char *file; /* borrowed */
    bool whole;       /* every key could be read: what is wrong besides is worth judging */
};
#define PLAN_GATE_LIMIT_COUNT 6
extern const char *const planfile_failures[]; /* "rollback", "hold" */

/* FAIL_USAGE: the report holds what is wrong. planfile_free() in every case. */
int planfile_load(const char *path, struct planfile *ret, struct yaml_report *report,
                  struct err *err) MUST_USE;
int planfile_load_text(const char *name, const char *text, struct planfile *ret,
                       struct yaml_report *report, struct err *err) MUST_USE;
void planfile_free(struct planfile *file);
void planfile_complain(const struct planfile *file, struct yaml_report *report, struct yaml_at at,
                       const char *format, ...) FORMAT(4, 5);
/* Windows, freezes and the expiry of a file that was read. */
void planfile_times(struct planfile *file, struct yaml_report *report);
void gate_limits(const struct plan_gate *gate, struct plan_limit ret[PLAN_GATE_LIMIT_COUNT]);
struct plan_window *planfile_window(const struct yaml_list *windows, size_t index);
const struct plan_site_window *planfile_site_window(const struct planfile *file, const char *site);
struct plan_stage *planfile_stage(const struct planfile *file, size_t index);
Confleet__BackupLevel planfile_level(const struct planfile *file);
