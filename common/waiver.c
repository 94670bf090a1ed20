#include "confleet/waiver.h"
#include <string.h>

/* Each stands for something that the backup, its proof or the restore needs, or for a rule of the
 * server's own administrator that nobody may widen from outside. */
const char *const waiver_never[] = {
    "setup-complete", /* without a home there is nothing to take back */
    "build-numbers",  /* the way back is proven by them */
    "home-inside",    /* the switch would move the home along */
    "files-outside",  /* the backup would not hold them */
    "one-node",       /* half a cluster is never upgraded */
    "database-kind",  "database-reachable", "database-rights", "client-tools", "scratch",
    "space",          "backup-dir",         "other-run",
    "hooks",          /* they run as root */
    "clone-database", /* two programs would upgrade one database, and the way back would overwrite
                         what the other site wrote */
    NULL,
};

int waiver_allowed(const char *check, struct err *err)
{
    for (size_t i = 0; waiver_never[i]; i++)
        if (strcmp(waiver_never[i], check) == 0)
            return err_set(err, FAIL_DENIED,
                           "%s cannot be waived: the way back of an upgrade depends on it; follow "
                           "its remedy instead",
                           check);
    return 0;
}
