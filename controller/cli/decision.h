/* decision - what a person decides about a rollout, as the exact bytes that are signed and sent.
 *
 * Every decision is bound to the digest of one plan; approve and rollback of a stage name the
 * stage, those about one site name both. The controller and the agents check each by themselves. */
#pragma once
#include "controller/cli/cli.h"
#include "controller/cli/client.h"

struct decision {
    const char *kind;         /* of Decision.kind in the protocol */
    const char *stage, *site; /* NULL: none */
    const char *reason;       /* NULL: none */
    const char *check;        /* kind "waive": id of the finding; NULL otherwise */
    int64_t good_until_ms;    /* at least; zero: an hour is enough. A site may have to wait for its
                                 window */
};
/* What was decided about what, for Decision; borrows all texts. */
struct decision_about {
    const char *fleet, *plan_sha256, *signed_by;
    uint64_t serial;
    int64_t now_ms;
};
void decision_fill(const struct decision *decision, const struct decision_about *about,
                   Confleet__Decision *ret);

/* Signs and sends it. *ret_words gets the controller's own words, or stays empty. */
int decision_send(struct cli *cli, const Confleet__RolloutView *rollout,
                  const struct decision *decision, struct str *ret_words, struct err *err) MUST_USE;
/* Signs a "waive" of this check of this site until then; in the past, it lifts. *ret gets the
 * site's waivers. */
int decision_waive(struct cli *cli, const struct decision *decision, struct answer *ret,
                   struct err *err) MUST_USE;
