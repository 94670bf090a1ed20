/* The apps of the site and the release. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_apps[] = {
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
