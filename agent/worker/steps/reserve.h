/* reserve - room that is taken before the stop, so that the way back needs none that somebody else may have used up.
 *
 * Ordinary files of allocated blocks: one in the backup folder, one on the home's file system when that is another one. Their
 * names come from the run folder's, so a second run never takes the first one's for its own. Nothing is written into the home. */
#pragma once
#include "agent/worker/job.h"
#include <stdint.h>

#define RESERVE_LEAST (64ULL * 1024 * 1024)

/* One file of at least size_bytes allocated bytes at path; a shorter one is grown. FAIL_SPACE names path, need and have. */
int reserve_make(const char *path, uint64_t size_bytes, struct err *err) MUST_USE;
/* Whether path holds that many allocated bytes. */
Confleet__ProbeState reserve_state(const char *path, uint64_t size_bytes);

/* Where a run of this id keeps its reserve in a folder; owned. */
char *reserve_path(const char *dir, const char *run);
int reserve_take(struct job *job, struct err *err) MUST_USE;
int reserve_release(struct job *job, struct err *err) MUST_USE;      /* absent is fine */
/* The way back goes on without: what cannot be removed is told, and left for the expiry. */
int reserve_undo(struct job *job, struct err *err) MUST_USE;
int reserve_probe(struct job *job, Confleet__ProbeState *ret, struct err *err) MUST_USE;
