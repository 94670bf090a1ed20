/* process - what /proc tells about the Confluence of an installation. Reads only; proc_root is
 * "/proc" but in tests. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <sys/types.h>

#define PROCESS_ARGUMENTS_MAX (256 * 1024)
#define PROCESSES_MAX         100000

/* The arguments, each ended by a zero byte. FAIL_NOT_FOUND when the process is gone or a zombie. */
int process_arguments(const char *proc_root, pid_t pid, struct str *ret, struct err *err) MUST_USE;
/* The value after "-Dconfluence.home=" and its like; NULL when no argument begins so. The last one
 * counts, as for Java. */
const char *process_option(const struct str *arguments, const char *option);
/* Whether this process is the server of the installation: its -Dcatalina.base or -Dcatalina.home is
 * the folder. With loose, any argument or the working folder inside it will do: for a pid that the
 * installation's own pid file names. */
bool process_serves(const char *proc_root, pid_t pid, const char *install, bool loose);
/* Calls fn for every process until it returns false. */
typedef bool process_fn(pid_t pid, void *data);
int process_each(const char *proc_root, process_fn *fn, void *data, struct err *err) MUST_USE;
