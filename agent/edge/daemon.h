/* daemon - the agent's one thread: waits for the controller, workers, signals and time, and lets
 * each have its turn.
 *
 * Owns what the parts borrow: configuration, journal, keys, agent, uplink. Ends on SIGTERM or
 * SIGINT, with a run that is in flight left to its journal; a journal that cannot be written ends
 * it with an error. */
#pragma once
#include "agent/edge/config.h"

/* Serves until it is told to end. */
int daemon_run(const struct config *config, struct err *err) MUST_USE;
/* Without the network: gives the word, then drives the runs until none is in flight (soaking and
 * held ones stay). FAIL_BUSY when the daemon holds the journal. *ret_outcome: enum outcome of the
 * run that the word was for. */
int daemon_word(const struct config *config, int word, const char *install, int *ret_outcome,
                struct err *err) MUST_USE;
