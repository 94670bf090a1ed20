/* stranger - somebody who is not who he should be knocks at the controller; what is let in is held against the protocol's words. */
#pragma once
#include "tests/sim/world.h"

void stranger_knocks(struct world *world);
