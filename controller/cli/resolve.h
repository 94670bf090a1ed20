/* resolve - a plan file and the fleet as the controller shows it become the plan that is signed.
 *
 * Pure: nothing is asked, read or written here. Every site of the fleet ends up in one stage or
 * among the excluded, with the reason. A site in two stages, a stage that selects nothing and an
 * unknown release are errors at their place in the file. Nothing is left to the controller to
 * evaluate. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/cli/planfile.h"

struct resolve_in {
    const struct planfile *file;
    Confleet__SiteView *const *sites;
    size_t site_count;
    Confleet__AgentView *const *agents;
    size_t agent_count;
    Confleet__Release *const *releases;
    size_t release_count;
    const char *fleet, *operator;
    uint64_t serial;
    int64_t now_ms;
};
/* FAIL_USAGE: the report holds what is wrong. *ret is owned: plan_free(). */
int plan_resolve(const struct resolve_in *in, Confleet__Plan **ret, struct yaml_report *report,
                 struct err *err) MUST_USE;
void plan_free(Confleet__Plan **plan);
size_t plan_site_count(const Confleet__Plan *plan);
/* key is not ended by a zero byte; "site" stands for the site's name. */
bool site_has_label(const Confleet__SiteView *site, const char *key, size_t key_len,
                    const char *value);
