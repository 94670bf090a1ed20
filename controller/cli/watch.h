/* watch - follows one rollout to its end: in place on a terminal, one line per change otherwise. */
#pragma once
#include "controller/cli/cli.h"

/* Empty id: the newest. Answers the exit status of its end; --watch=false and --json are looked at
 * here. */
int watch(struct cli *cli, const char *id, struct err *err);
