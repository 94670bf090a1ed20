/* site - a server: what is true on it, its agent's journal, and the agent that acts by its runbook.
 *
 * Between runbook and session, which are the product's own, stands what agent/edge does in production: run.c and
 * run_record.c here, orders.c and uplink.c in agent.h. Invariant: no act without its intent in the journal. */
#pragma once
#include "tests/sim/world.h"

#define NO_ORDER 0 /* of a run that somebody on the server took up again */

int64_t site_mono_ms(const struct world *world, const struct site *site);
void site_record(struct world *world, struct site *site, enum run_event event);
/* Begins a run for the order; the caller has judged it. */
void site_run_add(struct world *world, struct site *site, uint32_t order);
/* Reads the run back from the journal. */
void site_run_load(struct world *world, struct site *site, struct run *run);
/* A word of a person. False: it has no meaning there. */
bool site_word(struct world *world, struct site *site, struct run *run, enum run_event word, uint32_t order);
void site_tick(struct world *world, struct site *site);
void site_act_end(struct world *world, struct site *site, uint32_t token);
/* Around what is one transaction of the agent's journal; what was written is durable at its end, and then the power
 * may go. Where it went nothing more is written, said or done. */
void site_write_begin(struct site *site);
void site_write_end(struct world *world, struct site *site);
void site_report(struct site *site, const struct report *report);
/* The agent dies; what it was doing may have had any effect. */
void site_crash(struct world *world, struct site *site);
int64_t site_due_ms(const struct site *site);
enum site_input site_run_state(const struct runbook *rb);
