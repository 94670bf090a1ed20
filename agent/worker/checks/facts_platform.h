/* facts_platform - operating system, memory, Java, limits, time, Tomcat. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_platform {
    struct part part;
};
gather_fn facts_gather_platform;
void facts_platform_free(struct facts_platform *facts);
