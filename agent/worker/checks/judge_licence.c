/* What the licence allows. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_licence[] = {
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
