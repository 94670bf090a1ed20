/* The way from the installed version to the release. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_path[] = {
    { "version-path", "The release can follow the installed version",
      "Choose a release with a higher build number.",
      judge_version_path, NEED_FILES | NEED_CATALOGUE, NULL },
    { "artifact", "The release's file is here and whole",
      "Fetch it again.",
      judge_artifact, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
