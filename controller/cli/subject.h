/* subject - the rollout that a command decides about, and its plan.
 *
 * The plan's bytes have the digest that a decision is bound to: what a person is shown is what is
 * signed for. */
#pragma once
#include "controller/cli/fetch.h"

struct subject {
    char *id;
    const Confleet__RolloutView *view; /* with every site, brief */
    const Confleet__Plan *plan;        /* NULL: too large to be shown in one answer */
    struct fetched sites, head;        /* what view and plan point into */
    struct arena *arena;
};
/* id NULL: the one active rollout, as rollout_pick() finds it. */
int subject_open(struct cli *cli, const char *id, struct subject *ret, struct err *err) MUST_USE;
void subject_free(struct subject *subject);
int subject_site(const struct subject *subject, const char *name,
                 const Confleet__RolloutSiteView **ret, struct err *err) MUST_USE;
/* The rollout as it is now, brief, as --json of a decision. */
int subject_show(struct cli *cli, const struct subject *subject, struct err *err) MUST_USE;
