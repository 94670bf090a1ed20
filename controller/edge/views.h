/* views - what operators see: messages made for showing, built from the store. They hold no secret
 * and decide nothing. */
#pragma once
#include "controller/edge/requests_inside.h"

int view_agent(struct ask *ask, const struct agent *agent, Confleet__AgentView **ret,
               struct err *err) MUST_USE;
/* full: with the findings' evidence and the backups, for one site; a list does without. */
int view_site(struct ask *ask, const struct site *site, bool full, Confleet__SiteView **ret,
              struct err *err) MUST_USE;
/* full: with steps, findings, backups and the signed plan. */
int view_rollout(struct ask *ask, const struct rollout_case *rollout, bool full,
                 Confleet__RolloutView **ret, struct err *err) MUST_USE;
int view_job(struct ask *ask, const struct job *job, Confleet__JobView **ret,
             struct err *err) MUST_USE;
