/* confirm - the question before something that a server will do. */
#pragma once
#include "controller/cli/cli.h"

/* 0 after "yes", or at once with --yes. FAIL_CANCELLED for anything else; FAIL_USAGE when nobody is
 * there to be asked. */
int confirm(struct cli *cli, const char *question, struct err *err) MUST_USE;
