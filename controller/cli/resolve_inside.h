/* resolve_inside - what the sources of resolve share; nobody else includes it.
 *
 * Until the empty ones are dropped, stages of the plan and of the file have the same numbers. */
#pragma once
#include "controller/cli/resolve.h"

char *own(const char *text); /* a copy; of nothing: "" */
void resolve_complain(const struct resolve_in *in, struct yaml_report *report, struct yaml_at at,
                      const char *format, ...) FORMAT(4, 5);
const Confleet__SiteView *resolve_site(const struct resolve_in *in, const char *name);
/* The stage that must be through before stage i begins: the one it needs, or the one before it. */
size_t stage_before(const struct planfile *file, size_t i); /* i itself: none */
struct yaml_at at_or(struct yaml_at at, struct yaml_at otherwise);

/* Openings, freezes, and whether every stage can begin before the plan expires. */
void resolve_times(const struct resolve_in *in, Confleet__Plan *plan, struct yaml_report *report);
/* The way of each site to the release, and the notes on it. */
void resolve_path(const struct resolve_in *in, const Confleet__Plan *plan,
                  struct yaml_report *report);
/* Gates, approvals, coverage and versions. */
void resolve_rules(const struct resolve_in *in, Confleet__Plan *plan, struct yaml_report *report);
