/* store_notices - what a person should hear of, kept until the notify program was told.
 *
 * Written in the transaction of what it is about, so that none is lost and none told too early.
 * Nothing secret is in it: the same words stand in the status. Invariant: at most NOTICES_MAX wait;
 * beyond that new ones are dropped, since the program does not keep up. */
#pragma once
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define NOTICES_MAX 256

struct notice {
    const char *kind;    /* held, gate-closed, approval-needed, rolled-back, silent */
    const char *subject; /* "": news each time; otherwise told once in the life of the rollout */
    const char *rollout, *stage, *site, *message;
};
struct notice_row {
    int64_t seq, at_ms;
    struct notice notice;
};

int notice_put(struct store *store, const struct notice *notice, struct err *err) MUST_USE;
/* The oldest that waits; NULL when none does. */
int notice_next(struct store *store, struct pool *pool, const struct notice_row **ret,
                struct err *err) MUST_USE;
int notice_done(struct store *store, int64_t seq, struct err *err) MUST_USE;
