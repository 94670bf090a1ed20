#include "controller/cli/cli.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_DUMPABLE, 0); /* the operator's key is in this memory */
    return cli_main(argc, argv);
}
