/* prove - a backup is worth what was read back from it: files by digest, the database by a restore
 * that is compared.
 *
 * Levels: complete, re-read (every stored byte read from the disk and compared), restored (the dump
 * restored into a scratch database whose tables, rows, sequences, large objects, owners and grants
 * equal what was counted in the dump's own snapshot). */
#pragma once
#include "agent/worker/backup/scratch.h"
#include "agent/worker/backup/store.h"

/* Restores and compares. note (of the proof) says where, and why not elsewhere. FAIL_MISMATCH names
 * what differs. */
int prove_database(const struct store *store, const struct manifest *manifest, const char *ending,
                   const struct scratch_spec *spec, struct proof *proof, pack_progress *progress,
                   void *ctx, struct err *err) MUST_USE;
