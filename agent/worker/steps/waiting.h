/* waiting - follows one start of Confluence until it is well or cannot become so.
 *
 * Well means: /status says RUNNING several times in a row, and, when the schema had to be upgraded, the log said that the
 * whole upgrade is done (facts 3.1: "ready to serve" may come before that). Every sign of progress restarts the clock. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

struct waiting {
    const struct installation *found;
    uint64_t log_offset;             /* of the application log, before the start */
    bool upgrade;                    /* a schema upgrade is expected */
    uint32_t build;                  /* that shall run */
    int64_t quiet_ms;                /* without any sign of progress: FAIL_TIMEOUT */
};
int waiting_run(struct job *job, const struct waiting *waiting, struct err *err) MUST_USE;    /* FAIL_UNHEALTHY tells the log's own words */

/* Builds that the home and the database are at; zero when one cannot be read. */
struct builds { uint32_t app, home, database; };
int builds_read(const struct job *job, struct builds *ret, struct err *err) MUST_USE;
