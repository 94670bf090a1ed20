/* watch - follows one rollout to its end: in place on a terminal, one line per change otherwise. */
#pragma once
#include "controller/cli/cli.h"
#include "controller/cli/client.h"

/* Empty id: the newest. Answers the exit status of its end; --watch=false and --json are looked at
 * here. */
int watch(struct cli *cli, const char *id, struct err *err);
int rollout_ask(struct cli *cli, const char *id, struct answer *ret,
                struct err *err) MUST_USE; /* exactly one, or FAIL_NOT_FOUND */
