/* evidence - logs of a new version that failed, kept in the run's folder before the way back takes them along.
 *
 * Best effort by design: nothing on the way back may fail because a log could not be copied. Bounded per file. */
#pragma once
#include "agent/worker/job.h"

#define EVIDENCE_MAX (8ULL << 20)

void evidence_keep_tree(struct job *job, const char *tree);       /* logs of the tree, when it is this run's */
void evidence_keep_home(struct job *job);                         /* the application log since the start */
int evidence_remove(struct job *job, struct err *err) MUST_USE;
