/* setup - makes a new controller: keys, store, artifact folder, and the first admin's join file.
 *
 * Run again on a controller that has no admin in force yet, it makes another first token, for a
 * join file that was lost or expired. It never replaces keys or a store. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define SETUP_TOKEN_MS (24LL * 3600 * 1000)

struct setup {
    const char *state_dir;
    const char *control, *bulk; /* endpoints as peers dial them */
    const char *operator_name;
    const char *join_path;
};
/* Declares the store in the folder the one that agents are to follow, though it may be older than
 * they have seen; see lineage.h. Refused while a controller runs on it. */
int setup_raise_epoch(const char *state_dir, uint64_t epoch, uint64_t *ret_epoch,
                      struct err *err) MUST_USE;
int setup_run(const struct setup *setup, struct err *err) MUST_USE;

#define STATE_KEY       "controller.key"
#define STATE_STORE     "controller.db"
#define STATE_ARTIFACTS "artifacts"
