/* agent - what an agent says and hears: the session with its controller, and the orders that it takes or refuses.
 * Models agent/edge/uplink.c and orders.c; the session is the product's own. */
#pragma once
#include "tests/sim/world.h"

void agent_start(struct world *world, struct site *site);
void agent_crash(struct world *world, struct site *site);
void agent_link_up(struct world *world, struct site *site);
void agent_link_break(struct world *world, struct site *site);
void agent_hear(struct world *world, struct site *site, const struct letter *letter);
/* Acts and speaks as far as it can now, and foresees when it can again. */
void agent_turn(struct world *world, struct site *site);
