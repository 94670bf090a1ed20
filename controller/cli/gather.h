/* gather - a check of many sites, followed to its end: what each found is fetched as soon as it is
 * there, and those that stay silent are named at the deadline.
 *
 * The controller keeps the deadline. One that does not is not waited for much longer. */
#pragma once
#include "controller/cli/cli.h"
#include "controller/cli/client.h"

#define GATHER_TIMEOUT_MS (10LL * 60 * 1000)
#define GATHER_GRACE_MS   15000 /* after the deadline, for the controller to say so */

struct gathered {
    struct answer *answers; /* what the views point into */
    size_t answer_count;
    Confleet__JobSiteView **views; /* in the order of their names */
    size_t count;
    Confleet__JobSiteView *asked; /* what stands for a site that no look has shown yet */
    Confleet__JobView head; /* of the job, with these views; borrows */
};
void gathered_free(struct gathered *gathered); /* fits CLEANUP() */
/* names: sites. target "": none. */
int gather(struct cli *cli, const char *const *names, size_t count, const char *target,
           int64_t timeout_ms, struct gathered *ret, struct err *err) MUST_USE;
/* "waiting for: a, b, c and 12 more", as wide as there is room. Pure. */
void gather_line(Confleet__JobSiteView *const *views, size_t count, size_t columns, struct str *to);
