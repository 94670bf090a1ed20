/* fetch - one artifact on its way from the controller, over a bulk connection of its own that lives
 * as long as the fetch.
 *
 * Size and digest are those of the signed plan; a cut connection goes on where it ended. It waits
 * for a controller that is gone, within the time limit of the runbook's step. */
#pragma once
#include "agent/edge/run.h"
#include "confleet/bulk.h"
#include "confleet/link.h"

struct fetch;
int fetch_open(const struct keys *keys, const struct join *controller, const struct config *config,
               struct run *run, struct fetch **ret, struct err *err) MUST_USE;
void fetch_close(struct fetch **fetch);
struct run *fetch_run(const struct fetch *fetch);
/* 1: the artifact is in place; 0: not yet; negative: it will not come. */
int fetch_tick(struct fetch *fetch, int64_t now_mono_ms, struct err *err) MUST_USE;
size_t fetch_poll(const struct fetch *fetch, zmq_pollitem_t items[2]);
int64_t fetch_due_ms(const struct fetch *fetch);
