/* lineage - did this store grow out of the one that an agent has seen?
 *
 * Agents remember the newest head of the audit chain that a controller has shown them, and show it
 * in their Hello. A store that does not hold that very record is an older copy, or another branch
 * of one: what it knows of its rollouts is not what happened. Its orders are refused by both sides,
 * and nothing new starts, until a person declares it the one to follow (lineage_adopt). Invariant:
 * an agent that has followed an adopted store is bound to its chain as to any other. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/store.h"

struct lineage_head {
    uint64_t seq;
    char hash[65];
};
int lineage_head(struct store *store, struct lineage_head *ret, struct err *err) MUST_USE;
/* What this store holds under the number that the agent has seen; "" for none. */
int lineage_hash(struct store *store, const Confleet__Hello *hello, char ret_hash[65],
                 struct err *err) MUST_USE;
/* ret_why FAIL_STALE, with the remedy, when the agent has seen more than this store holds. */
int lineage_judge(struct store *store, const char *agent, const Confleet__Hello *hello,
                  struct err *ret_why, struct err *err) MUST_USE;
/* Notes that (why empty: takes the note away), and pauses every rollout that runs. */
int lineage_note(struct store *store, const char *agent, const char *why,
                 struct err *err) MUST_USE;
/* A person says that this store is the one to follow, beyond every epoch up to this one. Rollouts
 * that run are paused, and orders that wait are taken back. */
int lineage_adopt(struct store *store, uint64_t epoch, struct err *err) MUST_USE;
