#include "agent/worker/confluence/process.h"
#include "agent/worker/confluence/installation.h"
#include "agent/worker/confluence/shell.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int process_arguments(const char *proc_root, pid_t pid, struct str *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%d/cmdline", proc_root, (int)pid);
    CLEANUP(str_free) struct str text = { 0 };
    int failed = fs_read(path, PROCESS_ARGUMENTS_MAX, &text, err);
    if (failed != 0)
        return failed;
    if (text.len == 0) /* zombies and kernel threads have none */
        return err_set(err, FAIL_NOT_FOUND, "process %d has no arguments", (int)pid);
    str_clear(ret);
    str_add_bytes(ret, text.s, text.len);
    return 0;
}

static const char *next_argument(const struct str *arguments, const char *at)
{
    const char *next = at ? at + strlen(at) + 1 : arguments->s;
    return next && next < arguments->s + arguments->len ? next : NULL;
}

const char *process_option(const struct str *arguments, const char *option)
{
    const char *found = NULL;
    for (const char *at = NULL; (at = next_argument(arguments, at)) != NULL;)
        if (strncmp(at, option, strlen(option)) == 0)
            found = at + strlen(option);
    return found;
}

static bool same_folder(const char *path, const char *install)
{
    if (!path)
        return false;
    CLEANUP(free_mem) char *real = realpath(path, NULL);
    return real && strcmp(real, install) == 0;
}

/* Whether text names the folder or something inside it, not merely a longer name. */
static bool names_folder(const char *text, const char *install)
{
    size_t len = strlen(install);
    for (const char *at = strstr(text, install); at; at = strstr(at + 1, install))
        if (at[len] == 0 || at[len] == '/' || at[len] == ':')
            return true;
    return false;
}

/* Of a process that is gone or hidden there is nothing to read; where reading itself fails nobody may take it for gone. */
static int serves(const char *proc_root, pid_t pid, const char *install, bool loose, bool *ret, struct err *err)
{
    CLEANUP(str_free) struct str arguments = { 0 };
    struct err why = { 0 };
    *ret = false;
    if (process_arguments(proc_root, pid, &arguments, &why) != 0) {
        if (why.sys == EMFILE || why.sys == ENFILE || why.sys == ENOMEM || why.sys == EIO)
            return err_set(err, FAIL_IO, "look whether process %d runs from %s: %s", (int)pid, install, why.text);
        return 0;
    }
    *ret = same_folder(process_option(&arguments, "-Dcatalina.base="), install) ||
           same_folder(process_option(&arguments, "-Dcatalina.home="), install);
    for (const char *at = NULL; loose && !*ret && (at = next_argument(&arguments, at)) != NULL;)
        *ret = names_folder(at, install);
    if (*ret || !loose)
        return 0;
    CLEANUP(free_mem) char *link = text_printf("%s/%d/cwd", proc_root, (int)pid);
    CLEANUP(free_mem) char *cwd = realpath(link, NULL);
    *ret = cwd && names_folder(cwd, install);
    return 0;
}

bool process_serves(const char *proc_root, pid_t pid, const char *install, bool loose)
{
    bool found = false;
    return serves(proc_root, pid, install, loose, &found, NULL) == 0 && found;
}

int process_each(const char *proc_root, process_fn *fn, void *data, struct err *err)
{
    DIR *root = opendir(proc_root);
    if (!root)
        return err_sys(err, FAIL_IO, errno, "open %s", proc_root);
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct dirent *entry = readdir(root);
        if (!entry)
            break;
        uint64_t pid = 0;
        if (text_parse_u64(entry->d_name, INT_MAX, &pid) && pid > 0 && !fn((pid_t)pid, data))
            break;
    }
    (void)closedir(root);
    return 0;
}

static pid_t pid_in_file(const char *path)
{
    CLEANUP(str_free) struct str text = { 0 };
    uint64_t pid = 0;
    if (fs_read(path, 64, &text, NULL) != 0)
        return 0;
    while (text.len > 0 && strchr(" \t\r\n", text.s[text.len - 1]))
        text.s[--text.len] = 0;
    return text_parse_u64(str_text(&text), INT_MAX, &pid) ? (pid_t)pid : 0;
}

struct search {
    const char *proc_root, *install;
    pid_t found;
    int failed;
    struct err *err;
};

static bool look(pid_t pid, void *data)
{
    struct search *search = data;
    bool ours = false;
    search->failed = serves(search->proc_root, pid, search->install, false, &ours, search->err);
    if (ours)
        search->found = pid;
    return search->failed == 0 && !ours;
}

int installation_pid(const char *install, const char *proc_root, pid_t *ret_pid, struct err *err)
{
    CLEANUP(free_mem) char *usual = fs_join(install, "work/catalina.pid");
    CLEANUP(free_mem) char *setenv_path = fs_join(install, "bin/setenv.sh");
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str named = { 0 };
    pid_t candidates[2] = { pid_in_file(usual), 0 };
    if (fs_read(setenv_path, 1024 * 1024, &text, NULL) == 0 &&
        shell_variable(str_text(&text), "CATALINA_PID", install, &named) == SHELL_VALUE &&
        str_text(&named)[0] == '/')
        candidates[1] = pid_in_file(named.s);
    for (size_t i = 0; i < 2; i++) {
        bool ours = false;
        if (candidates[i] > 0 && serves(proc_root, candidates[i], install, true, &ours, err))
            return -FAIL_IO;
        if (ours) {
            *ret_pid = candidates[i];
            return 0;
        }
    }
    /* Started by hand or with the pid file lost: the process itself says whose it is. */
    struct search search = { .proc_root = proc_root, .install = install, .err = err };
    int failed = process_each(proc_root, look, &search, err);
    if (failed == 0)
        failed = search.failed;
    if (failed != 0)
        return failed;
    *ret_pid = search.found;
    return 0;
}
