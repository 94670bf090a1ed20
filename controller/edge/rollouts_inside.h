/* rollouts_inside - what the requests about rollouts share; nobody else includes this. */
#pragma once
#include "controller/edge/views.h"

/* id "": the newest. FAIL_NOT_FOUND in words when there is none. */
int rollout_need(struct ask *ask, const char *id, struct rollout_case **ret,
                 struct err *err) MUST_USE;
int rollout_reply(struct ask *ask, const char *id, const struct rollout_ask *what,
                  struct err *err) MUST_USE;
