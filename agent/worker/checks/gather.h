/* gather - finds facts side by side, each part within a time of its own.
 *
 * A part is a plain struct that begins with a struct part. Its gatherer runs in a thread on memory
 * of its own, so that one that hangs (a dead file server, a database that does not answer) costs
 * its own part and nothing else: the part then is unknown with the reason. Gatherers read files,
 * /proc, the database and HTTP, and change nothing. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "confleet/catalogue.h"
#include "confleet/wire.h"

#define FACT_TEXT 512
enum fact { FACT_UNKNOWN, FACT_NO, FACT_YES };

struct part {
    enum fact known; /* FACT_YES: gathered; else why says what is missing */
    char why[FACT_TEXT];
    int64_t at_ms, took_ms; /* wall clock; duration */
};

/* What every gatherer may read. It outlives them, also those that are left behind. */
struct gather_source {
    const Confleet__WorkerNode *node;
    const Confleet__WorkerOrder *order;
    const struct installation *site;
    const struct catalogue *catalogue; /* NULL: none here */
    struct catalogue_release target;   /* text "" when no release was named */
    struct catalogue_release
        installed; /* of the catalogue; text "" when it does not know the version */
};

typedef void gather_fn(const struct gather_source *source, void *part);
struct gatherer {
    const char *name;    /* for the reason, such as "the apps" */
    size_t offset, size; /* of its part in the struct that is filled */
    int limit_ms;
    gather_fn *run;
};
/* Runs all of the table (ended by a NULL name) and copies the parts into base as they come. False:
 * some part was not finished in time; its thread still runs, and source must never be freed then.
 */
bool gather_all(const struct gatherer *table, const struct gather_source *source,
                void *base) MUST_USE;
/* Why a database that is not PostgreSQL is not asked, or that none is known. */
void facts_database_why(const struct installation *site, char why[FACT_TEXT]);
