/* Where backups go, and how old they are. */
#include "agent/worker/checks/check.h"

/* clang-format off */
const struct check_def checks_backup[] = {
    { "backup-dir", "Backup folder",
      "Create it, owned by root, mode 0700, outside of home and installation.",
      judge_backup_dir, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
