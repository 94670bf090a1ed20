/* facts_licence - what the licence in use, and one that waits on this server, say.
 *
 * The texts themselves end with the gatherer: only decoded fields that may be printed are kept. */
#pragma once
#include "agent/worker/checks/gather.h"
#include "confleet/licence.h"

#define LICENCE_PROPERTY "atlassian.license.message" /* in confluence.cfg.xml */

struct facts_licence {
    struct part part;
    struct licence used;
    enum fact waits; /* a new licence was handed over; FACT_UNKNOWN: waits_why */
    struct licence waiting;
    char waits_why[FACT_TEXT];
    bool waits_same; /* it is the one that is in use already */
    enum fact users_known;
    uint64_t users; /* active accounts of all directories */
    char users_why[FACT_TEXT];
};
gather_fn facts_gather_licence;
void facts_licence_free(struct facts_licence *facts);
/* The one that the upgraded site will run with. */
const struct licence *facts_licence_counts(const struct facts_licence *facts);
/* One that may take the place of the licence in use. */
bool facts_licence_fits(const struct licence *licence);
