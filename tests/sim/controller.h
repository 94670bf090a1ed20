/* controller - what stands around the engine in production: its store, outbox, intake of reports, and sessions.
 * Models controller/edge/events.c, store_feed.c, orders.c and daemon.c; the engine is the product's own. */
#pragma once
#include "tests/sim/world.h"

void controller_start(struct world *world);
void controller_crash(struct world *world);
void controller_hear(struct world *world, const struct letter *letter);
void controller_tick(struct world *world);
/* One transaction: the engine hears of it (NULL: only looks what may start), and what follows is written down. */
void controller_feed(struct world *world, const struct rollout_event *event);
void controller_feed_site(struct world *world, size_t site, enum site_input input);
void controller_order(struct world *world, uint32_t site, enum decision decision);
void controller_withdraw(struct world *world, uint32_t site, bool decisions_too);
