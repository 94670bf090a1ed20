/* laws - what must hold, looked at after every event by who did not decide it; see the design's laws.
 *
 * Judges from what is true on the servers and in the journals, never from what the code under test says of itself.
 * The first law that is broken ends the run. */
#pragma once
#include "tests/sim/world.h"

/* A run's row was written; before: the runbook as it was. */
void laws_recorded(struct world *world, struct site *site, enum run_event event, const struct runbook *before);
/* The act is about to take effect. */
void laws_act(struct world *world, struct site *site, enum step step, enum doing doing);
/* An agent takes an upgrade upon itself. */
void laws_taken(struct world *world, struct site *site, const struct told *order, const struct letter *letter);
/* An agent was started, and has read its journal back. */
void laws_read_back(struct world *world, struct site *site);
/* The runbook orders this next. */
void laws_ordered(struct world *world, struct site *site, const struct order *order);
/* A row was written, against what the rows before it say; part of laws_recorded(). */
void laws_journal(struct world *world, struct site *site, enum run_event event, const struct runbook *before);
/* An agent obeys an abort; goes_on: by doing nothing. */
void laws_aborted(struct world *world, struct site *site, bool goes_on);
/* An agent is about to say this. */
void laws_said(struct world *world, struct site *site, const struct session_order *order);
/* It has said what it had to; due_ms: when it wants to speak again, by its own clock. */
void laws_spoke(struct world *world, struct site *site, int64_t due_ms);
/* An agent was told the controller's time. */
void laws_told_clock(struct world *world, struct site *site);
/* The engine hears of an event, has heard of it, and has started what it can. */
void laws_feed_before(struct world *world);
void laws_fed(struct world *world, const struct rollout_event *event);
void laws_settled(struct world *world, bool ticked);
/* Its part about batches and test sites. */
void laws_batch(struct world *world, size_t site);
void laws_cover(struct world *world);
/* Do windows, freezes and holds leave it the time that it may need, from that instant on? */
bool laws_in_time(const struct world *world, size_t at, int64_t from_ms);
/* The engine chose this site. */
void laws_started(struct world *world, size_t site);
/* The engine moved a site. */
void laws_moved(struct world *world, size_t site, enum site_state before);
/* The controller looked at its deadlines. */
void laws_ticked(struct world *world);
/* After every event, of everybody it may concern. */
void laws_always(struct world *world, uint32_t site);
/* The faults are over: has it come to its end? Sets world->over, or breaks a law. */
void laws_end(struct world *world);
void laws_broken(struct world *world, uint32_t site, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* For the test of what becomes of a failure: from this attempt on a way back breaks a law. Zero: none does. */
extern uint64_t laws_trip;
