/* proc - child processes with a closed environment, their own process group, a deadline and bounded output.
 *
 * Never a shell. The child gets the given environment and nothing else, default signals, an empty mask, descriptors
 * 0 to 2 only. A child that overstays gets SIGTERM, ten seconds later SIGKILL, and so does its whole group. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>
#include <sys/types.h>

#define PROC_OUTPUT_MAX (256 * 1024)     /* what is kept of each stream; the rest is read and dropped, the newest stays */

struct proc_spec {
    const char *const *argv;             /* argv[0] is an absolute path */
    const char *const *env;              /* NAME=value list; NULL: PATH, LANG=C.UTF-8, HOME=/ only */
    const char *dir;                     /* working folder; NULL: / */
    bool as_user;                        /* run as uid and gid (with the supplementary groups of user) */
    uid_t uid;
    gid_t gid;
    const char *user;                    /* for the groups; NULL: gid only */
    int64_t timeout_ms;                  /* zero: none */
    bool detach;                         /* own session, output to /dev/null or out_path, its group outlives it: for daemons' start scripts */
    bool session;                        /* own session with pipes kept: what it starts can be found by the session's id */
    const char *out_path;                /* append both streams here instead of keeping them */
    uint64_t file_max; /* zero: no limit; else no file of the child grows above (RLIMIT_FSIZE) */
    int stdin_fd;                        /* zero or less: /dev/null */
    int stdout_fd;                       /* zero or less: kept in proc_result.out */
};
struct proc_result { int status; int signal; bool timed_out; struct str out, err; };   /* status: exit status, -1 when killed by signal */

/* Waits. FAIL_TOOL when it could not be started or was timed out; a non-zero exit status is no error here. */
int proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *err) MUST_USE;
/* The same, and a non-zero status or a signal is FAIL_TOOL with the end of its stderr in the text. */
int proc_run_ok(const struct proc_spec *spec, struct proc_result *ret, struct err *err) MUST_USE;
void proc_result_free(struct proc_result *result);

/* One child that the caller polls: pidfd becomes readable at its end. pipe_in, pipe_out are the parent's ends, O_CLOEXEC
 * and non-blocking; err_fd the child's stderr. Any may be -1 after the caller has closed it. */
struct proc_child { pid_t pid; int pidfd, pipe_in, pipe_out, err_fd; bool detached; };
int proc_start(const struct proc_spec *spec, struct proc_child *ret, struct err *err) MUST_USE;
int proc_reap(struct proc_child *child, int *ret_status, int *ret_signal, struct err *err) MUST_USE;   /* FAIL_BUSY: still runs. Kills the group's stragglers */
void proc_kill(struct proc_child *child, int signal_number);        /* the whole group */
void proc_child_close(struct proc_child *child);
