/* operator - people who decide at random: what `confleet rollout …` and `confleet-agent` let them do, and no more.
 * Models controller/edge/requests_decide.c. */
#pragma once
#include "tests/sim/world.h"

void operator_decide(struct world *world);
