/* carry - what a site has made its own in the old installation finds its way into the new one, before anything is touched.
 *
 * Three ways meet: the old version as shipped (known only when Confleet unpacked it), the old version as it is here, the new
 * version as shipped. Where the old shipped text is unknown, a rule per file decides; what no rule covers is told as a finding,
 * never copied across versions on a guess. Always starts from the new version's shipped copy, so running it again is safe. */
#pragma once
#include "agent/worker/job.h"
#include "confleet/str.h"
#include <sys/types.h>

/* Files that customers edit, relative to the tree; ended by NULL. unpack keeps a shipped copy of each. */
extern const char *const carry_files[];

int carry_act(struct job *job, struct err *err) MUST_USE;
/* The merges of single files alone, tried in a tree that holds the new version's copies of carry_files and nothing else (each at
 * its place and below TREE_SHIPPED). Owners stay the caller's, secrets are taken out of the texts, and what would end the
 * step is told in stops, file by file. */
struct carry_trial { const char *old, *fresh, *version, *home_or_null; uid_t run_uid; };
struct carry_told { struct str carried, dropped, left, differs, stops, unread; };        /* one line each */
void carry_try(const struct carry_trial *trial, struct carry_told *ret);
void carry_told_free(struct carry_told *told);       /* fits CLEANUP() */
int carry_probe(struct job *job, Confleet__ProbeState *ret, struct err *err) MUST_USE;
/* Reads confluence.home of a tree the way Confluence does and compares. FAIL_MISMATCH. */
int carry_home_check(const char *tree, const char *home, struct err *err) MUST_USE;
