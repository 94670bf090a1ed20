/* What this site changed in its installation and look. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_custom[] = {
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
