/* network - carries letters between the controller and the agents: loses, repeats, delays and reorders them.
 *
 * A letter belongs to a connection; what an older one still held never arrives. Hello, Welcome and heartbeats keep
 * their order and come once, as in a TCP connection: what an agent knows of the controller's clock rests on that. */
#pragma once
#include "tests/sim/world.h"

void network_send(struct world *world, const struct letter *letter);
/* Cuts one direction of one site for a while. */
void network_cut(struct world *world, struct site *site);
