/* planfile - a plan as a person wrote it: YAML in, struct out, everything wrong with it in one
 * report.
 *
 * Knows nothing of the fleet: names of sites and releases are compared in resolve. What this
 * version cannot keep its word on (windows, approvals, covered) is refused here, never ignored. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/yaml.h"

#define PLAN_STAGES_MAX         16
#define PLAN_BATCH_MAX          16
#define PLAN_SOAK_DEFAULT_MS    (24LL * 3600 * 1000)
#define PLAN_EXPIRES_DEFAULT_MS (7 * 24LL * 3600 * 1000)
#define PLAN_REST               0u /* in a batch: all that is left */

struct plan_window {
    struct yaml_list days;
    char *from, *tz;
    int64_t for_ms;
    struct yaml_at from_at, tz_at;
};
struct plan_gate {
    uint64_t max_failed, max_silent;
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
    int64_t soak_ms;
    struct yaml_list batch; /* texts as written; batches holds the numbers */
    struct plan_window window;
    struct plan_gate gate;
    struct plan_needs needs;
    struct yaml_at name_at, select_at, soak_at, batch_at, window_at;
    uint32_t batches[PLAN_BATCH_MAX];
    size_t batch_count;
};
struct planfile {
    char *name, *release;
    int on_failure, level;   /* words below */
    int64_t expires_ms;      /* from the moment of signing */
    struct yaml_list stages; /* of struct plan_stage */
    struct yaml_at name_at, release_at, level_at;
    char *source;
    const char *file; /* borrowed */
};
extern const char *const planfile_failures[]; /* "rollback", "hold" */

/* FAIL_USAGE: the report holds what is wrong. planfile_free() in every case. */
int planfile_load(const char *path, struct planfile *ret, struct yaml_report *report,
                  struct err *err) MUST_USE;
int planfile_load_text(const char *name, const char *text, struct planfile *ret,
                       struct yaml_report *report, struct err *err) MUST_USE;
void planfile_free(struct planfile *file);
struct plan_stage *planfile_stage(const struct planfile *file, size_t index);
Confleet__BackupLevel planfile_level(const struct planfile *file);
