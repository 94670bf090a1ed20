/* resolve - a plan file and the fleet as the controller shows it become the plan that is signed.
 *
 * Asks and writes nothing; of this computer it reads the time zones alone. Every site of the fleet
 * ends up in one stage or among the excluded, with the reason. What can never come true is an error
 * at its place in the file: a site in two stages, a gate that stops nothing, a stage that cannot
 * begin before the plan expires. Nothing is left to the controller to evaluate. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/catalogue.h"
#include "controller/cli/planfile.h"

struct resolve_in {
    const struct planfile *file;
    Confleet__SiteView *const *sites;
    size_t site_count;
    Confleet__AgentView *const *agents;
    size_t agent_count;
    Confleet__Release *const *releases;
    size_t release_count;
    Confleet__OperatorView *const *operators; /* NULL: not known, approvals are not counted */
    size_t operator_count;
    const struct catalogue *catalogue; /* NULL: not known, neither ways nor notes are judged */
    const char *fleet, *operator;
    uint64_t serial;
    int64_t now_ms;
    struct str *warnings; /* whole lines; NULL: nobody wants them */
};
/* The report may hold errors of the file already: everything is said at once. FAIL_USAGE: the
 * report holds what is wrong. *ret is owned: plan_free(). */
int plan_resolve(const struct resolve_in *in, Confleet__Plan **ret, struct yaml_report *report,
                 struct err *err) MUST_USE;
/* What the plan comes to, without its number, its times and the excluded: the same for the same
 * file and fleet, whoever resolves it. */
#define PLAN_INPUTS_MAX 17
void plan_inputs(const Confleet__Plan *plan, char out[PLAN_INPUTS_MAX]);
/* One line for each thing that is not as it was. */
void plan_changes(const Confleet__Plan *was, const Confleet__Plan *is, struct str *to);
void plan_free(Confleet__Plan **plan);
size_t plan_site_count(const Confleet__Plan *plan);
/* key is not ended by a zero byte; "site" stands for the site's name. */
bool site_has_label(const Confleet__SiteView *site, const char *key, size_t key_len,
                    const char *value);
