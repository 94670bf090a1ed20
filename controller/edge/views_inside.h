/* views_inside - what the files that build views share; nobody else includes this. */
#pragma once
#include "controller/edge/views.h"

int view_backups(struct ask *ask, const char *site, const char *rollout,
                 Confleet__BackupRecord ***ret, size_t *ret_count, struct err *err) MUST_USE;
/* Findings of a kept CheckEvent; short: without evidence and remedy, so that a list fits in a
 * frame. */
int view_findings(struct ask *ask, const uint8_t *bytes, size_t len, bool full,
                  Confleet__Finding ***ret, size_t *ret_count, struct err *err) MUST_USE;
