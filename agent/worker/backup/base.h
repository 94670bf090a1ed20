/* base - the backup that a new one may refer to for what did not change: the newest that was proven
 * by restoring and is still believed, as long as the chain stays short.
 *
 * Reads manifests and proofs, writes nothing. */
#pragma once
#include "agent/worker/backup/store.h"

#define CHAIN_MAX 4 /* other backups that a hot one may need; a capture at the stop adds one */

/* ret is initialised, its names stay in their file, and is the base when ret_found says so. Backups that cannot be read are
 * passed over. */
int base_find(const struct store *store, struct manifest *ret, bool *ret_found,
              struct err *err) MUST_USE;
/* Backups that hold packs of this one. */
size_t base_count(const struct manifest *manifest);
