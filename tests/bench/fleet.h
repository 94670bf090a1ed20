/* fleet - what the two halves of the fleet's measurement share: agents that are emulated, and the rival.
 *
 * A program of measurement, no test: what goes wrong ends it with a message. Times are seconds of
 * CLOCK_MONOTONIC, which all processes of a machine share. */
#pragma once
#include "confleet/err.h"
#include <stddef.h>
#include <stdint.h>

/* Words of the command line, the command itself left out. Lines on standard input drive it. */
int fleet_agents(int count, char **words);
/* N HELLO WELCOME ORDER ACK EVENT EVENT_ACK: sizes in bytes. */
int fleet_rival(int count, char **words);

void need(bool good, const char *what);
void need_ok(int result, const struct err *err);
size_t need_number(const char *text);
double now_s(void);
void files_raise(void); /* as many descriptors as the system lets us have */
