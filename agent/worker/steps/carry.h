/* carry - what a site has made its own in the old installation finds its way into the new one, before anything is touched.
 *
 * Three ways meet: the old version as shipped (known only when Confleet unpacked it), the old version as it is here, the new
 * version as shipped. Where the old shipped text is unknown, a rule per file decides; what no rule covers is told as a finding,
 * never copied across versions on a guess. Always starts from the new version's shipped copy, so running it again is safe. */
#pragma once
#include "agent/worker/job.h"

/* Files that customers edit, relative to the tree; ended by NULL. unpack keeps a shipped copy of each. */
extern const char *const carry_files[];

int carry_act(struct job *job, struct err *err) MUST_USE;
int carry_probe(struct job *job, Confleet__ProbeState *ret, struct err *err) MUST_USE;
/* Reads confluence.home of a tree the way Confluence does and compares. FAIL_MISMATCH. */
int carry_home_check(const char *tree, const char *home, struct err *err) MUST_USE;
