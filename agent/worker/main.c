/* confleet-worker: one order from the agent, done in a process that holds no keys and is gone afterwards. */
#include "agent/worker/job.h"
#include <curl/curl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A customer's passwords pass through this memory: no core file, no debugger, no PG* or proxy of whoever started the agent. */
static int process_close(void)
{
    struct rlimit core;         /* the hard limit stays: a Confluence that is started from here inherits it */
    if (getrlimit(RLIMIT_CORE, &core) != 0)
        return -1;
    /* One byte is too little for a file, and the only limit that a program behind a pipe in core_pattern is not started for
       (the kernel's special value): children such as pg_dump inherit it, and they hold the password too. */
    core.rlim_cur = core.rlim_max < 1 ? 0 : 1;
    if (setrlimit(RLIMIT_CORE, &core) != 0 || prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) != 0)
        return -1;
    char *zone = getenv("TZ") ? strdup(getenv("TZ")) : NULL;
    int rc = clearenv();
    if (rc == 0)
        rc = setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    if (rc == 0)
        rc = setenv("LANG", "C.UTF-8", 1);
    if (rc == 0)
        rc = setenv("HOME", "/", 1);
    if (rc == 0 && zone)
        rc = setenv("TZ", zone, 1);
    free(zone);
    return rc == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        bool version = strcmp(argv[1], "--version") == 0;
        fprintf(version ? stdout : stderr, version ? "confleet-worker " CONFLEET_VERSION "\n"
                : "confleet-worker takes its order from the agent, on standard input; it is not called by hand\n");
        return version ? EXIT_DONE : EXIT_ERROR;
    }
    (void)umask(077);
    /* The agent runs the step again after its own crash; two of us at once would be worse than a cut-off step. */
    if (prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR || process_close() != 0) {
        fprintf(stderr, "confleet-worker: the process could not be closed off\n");
        return EXIT_ERROR;
    }
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        fprintf(stderr, "confleet-worker: no locale C.UTF-8; file names with other letters than ASCII may be refused\n");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return EXIT_ERROR;
    int rc = job_run(STDIN_FILENO, STDOUT_FILENO);
    curl_global_cleanup();
    return rc;
}
