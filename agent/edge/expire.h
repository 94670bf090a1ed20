/* expire - what is past its time on this server: chosen from the journal, removed by workers.
 *
 * At the start and once an hour. Nothing of an installation with a run in flight or held is looked
 * at. That a run has expired is journalled before its removal is ordered: from then on nobody goes
 * back behind it, whether or not the removal has come to its end. */
#pragma once
#include "agent/edge/agent.h"

int expire_tick(struct agent *agent, struct err *err) MUST_USE;
/* FAIL_EXPIRED or FAIL_CONFLICT when this ended run cannot be rolled back any more. */
int expire_check(struct agent *agent, const struct journal_run *row, struct err *err) MUST_USE;
