/* What runs beside and around the site. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_operations[] = {
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
