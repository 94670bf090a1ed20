/* views - what operators see: messages made for showing, built from the store. They hold no secret
 * and decide nothing. */
#pragma once
#include "controller/edge/requests_inside.h"

int view_agent(struct ask *ask, const struct agent *agent, Confleet__AgentView **ret,
               struct err *err) MUST_USE;
/* full: with the findings' evidence and the backups, for one site; a list does without. */
int view_site(struct ask *ask, const struct site *site, bool full, Confleet__SiteView **ret,
              struct err *err) MUST_USE;
/* What of a rollout is shown. The default: every site that fits, with steps, findings and backups,
 * and the signed plan. */
struct rollout_ask {
    bool brief, attention, no_sites;
    uint32_t after, limit;
};
#define ROLLOUT_PAGE_MAX (400 * 1024) /* bytes of one view; a frame holds 512 KiB */
int view_rollout(struct ask *ask, const struct rollout_case *rollout,
                 const struct rollout_ask *what, Confleet__RolloutView **ret,
                 struct err *err) MUST_USE;
/* What of a job is shown: see AskJob. */
int view_job(struct ask *ask, const struct job *job, const Confleet__AskJob *what,
             Confleet__JobView **ret, struct err *err) MUST_USE;
int view_waivers(struct ask *ask, const char *site, Confleet__Waiver ***ret, size_t *ret_count,
                 struct err *err) MUST_USE;
int view_holds(struct ask *ask, const char *site, Confleet__HoldView ***ret, size_t *ret_count,
               struct err *err) MUST_USE; /* site NULL: all; else what holds this one */
