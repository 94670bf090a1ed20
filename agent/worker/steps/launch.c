#include "agent/worker/steps/launch.h"
#include "agent/worker/confluence/process.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define SCRIPT_LIMIT_MS 120000
#define POLL_MS 50
#define TREE_PROCESSES_MAX 64
#define ENV_MAX 32

/* Names whose values say how to start, and cannot hold a secret. */
static const char *const env_names[] = { "JAVA_HOME", "JRE_HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", NULL };

#define POLL_SOON_MS 20              /* it has ended, and is not out of the list of processes yet */

static void pause_ms(int64_t ms)
{
    (void)poll(NULL, 0, (int)ms);
}

/* Until the process ends, or it is time to look again: users wait meanwhile. */
static void pause_until_gone(pid_t pid)
{
    CLEANUP(close_fd) int fd = pidfd_open(pid, 0);
    struct pollfd end = { .fd = fd, .events = POLLIN };
    struct pollfd again = end;
    if (fd < 0)
        pause_ms(POLL_SOON_MS);
    else if (poll(&again, 1, 0) == 1)
        pause_ms(POLL_SOON_MS);      /* ended before: whoever must reap it has not yet */
    else
        (void)poll(&end, 1, POLL_MS);
}

/* ---------------------------------------------------------------- how it was started */

static bool env_kept(const struct installation *found, const char *pair)
{
    for (const char *const *name = env_names; *name; name++) {
        size_t len = strlen(*name);
        if (strncmp(pair, *name, len) != 0 || pair[len] != '=')
            continue;
        /* A Java inside the tree belongs to that tree; the scripts find the next one themselves. */
        return strncmp(pair + len + 1, found->install, strlen(found->install)) != 0 && strlen(pair) < 1024 && !strchr(pair, '\n');
    }
    return false;
}

void launch_remember(struct job *job, const struct installation *found)
{
    CLEANUP(str_free) struct str env = { 0 }, status = { 0 }, kept = { 0 };
    CLEANUP(free_mem) char *environ_path = text_printf("%s/%ld/environ", site_proc(job), (long)found->pid);
    CLEANUP(free_mem) char *status_path = text_printf("%s/%ld/status", site_proc(job), (long)found->pid);
    if (!found->pid || fs_read(environ_path, 1 << 20, &env, NULL))
        return;
    for (size_t at = 0; at < env.len; at += strlen(env.s + at) + 1)
        if (env_kept(found, env.s + at))
            str_addf(&kept, "%s\n", env.s + at);
    explicit_bzero(env.s, env.len);
    unsigned mask = 0;
    const char *line = fs_read(status_path, 1 << 20, &status, NULL) ? NULL : strstr(str_text(&status), "\nUmask:");
    if (line && sscanf(line, "\nUmask: %o", &mask) == 1)
        str_addf(&kept, "umask=%o\n", mask & 0777);
    if (!text_is_utf8(str_text(&kept), kept.len))
        return;
    job_memo_set(job, MEMO_START_ENV, "%s", str_text(&kept));
    /* The memo is journalled with the step's end; a worker that ends before it must not take this knowledge along. */
    CLEANUP(free_mem) char *path = site_run(job, MEMO_START_ENV);
    struct err err = { 0 };
    if (fs_write(path, str_text(&kept), kept.len, 0600, &err))
        job_log(job, 4, "%s; ignoring", err.text);
}

static char *remembered(const struct job *job)
{
    CLEANUP(free_mem) char *path = site_run(job, MEMO_START_ENV);
    CLEANUP(str_free) struct str text = { 0 };
    const char *memo = job_memo(job, MEMO_START_ENV);
    if (!memo[0] && fs_read(path, 1 << 20, &text, NULL) == 0)
        memo = str_text(&text);
    return text_dup(memo);
}

struct env { char *pairs[ENV_MAX]; size_t count; mode_t mask; };

static void env_free(struct env *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->pairs[i]);
}

static void env_make(const struct job *job, const struct installation *found, struct env *env)
{
    const struct passwd *user = found->run_user[0] ? getpwnam(found->run_user) : NULL;
    env->mask = 022;
    env->pairs[env->count++] = text_dup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    env->pairs[env->count++] = text_printf("HOME=%s", user && user->pw_dir ? user->pw_dir : "/");
    if (user) {
        env->pairs[env->count++] = text_printf("USER=%s", found->run_user);
        env->pairs[env->count++] = text_printf("LOGNAME=%s", found->run_user);
    }
    bool has_lang = false;
    CLEANUP(free_mem) char *lines = remembered(job);
    for (const char *line = lines; *line && env->count < ENV_MAX - 2;) {
        size_t len = strcspn(line, "\n");
        unsigned mask = 0;
        if (sscanf(line, "umask=%o", &mask) == 1)
            env->mask = mask & 0777;
        else
            env->pairs[env->count++] = text_printf("%.*s", (int)len, line);
        has_lang = has_lang || strncmp(line, "LANG=", 5) == 0;
        line += len + (line[len] == '\n');
    }
    if (!has_lang)
        env->pairs[env->count++] = text_dup("LANG=C.UTF-8");
    env->pairs[env->count] = NULL;
}

/* ---------------------------------------------------------------- scripts and units */

#define SCRIPT_OUTPUT_MAX (1024 * 1024)

static bool unit_is_plain(const char *unit)
{
    size_t len = strlen(unit);
    for (const char *c = unit; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.@:", *c))
            return false;
    return len > 0 && len < 200 && unit[0] != '-';
}

static int unit_call(const char *verb, const char *unit, int64_t timeout_ms, struct err *err)
{
    const char *const argv[] = { "/usr/bin/systemctl", verb, unit, NULL };
    const struct proc_spec spec = { .argv = argv, .timeout_ms = timeout_ms };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    if (!unit_is_plain(unit))
        return err_set(err, FAIL_USAGE, "'%s' is no name of a systemd unit", unit);
    return proc_run_ok(&spec, &result, err) ? err_wrap(err, "systemctl %s %s", verb, unit) : 0;
}

/* What the installation's own account can write shall never run as root; (uid_t)-1 would leave us what we are. */
static int user_check(const struct installation *found, struct err *err)
{
    if (found->uid == 0)
        return err_set(err, FAIL_DENIED, "nothing of %s is run as root (the account '%s' is user id 0): give Confluence an account of its own",
                       found->install, found->run_user);
    if (found->uid == (uid_t)-1 || found->gid == (gid_t)-1)
        return err_set(err, FAIL_DENIED, "nothing of %s is run without an account: '%s', noted by the check of this run, is none of this server",
                       found->install, found->run_user);
    return 0;
}

static int script_call(struct job *job, const struct installation *found, const char *name, bool detach, int64_t timeout_ms, struct err *err)
{
    CLEANUP(free_mem) char *path = text_printf("%s/bin/%s", found->install, name), *out = site_run(job, name);
    CLEANUP(env_free) struct env env = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *const argv[] = { path, NULL };
    if (user_check(found, err))
        return -err->code;
    env_make(job, found, &env);
    struct proc_spec spec = { .argv = argv, .env = (const char *const *)env.pairs, .dir = found->install, .timeout_ms = timeout_ms,
                              .detach = detach, .out_path = out };
    if (geteuid() == 0)
        spec.as_user = true, spec.uid = found->uid, spec.gid = found->gid, spec.user = found->run_user;
    /* Its output lies on the journal's file system. A start script's limit would be Confluence's own. */
    if (!detach)
        spec.file_max = SCRIPT_OUTPUT_MAX;
    if (fs_unlink(out, err))
        return -err->code;
    mode_t mine = umask(env.mask);          /* the server's files shall come out as they did before */
    int rc = proc_run(&spec, &result, err);
    (void)umask(mine);
    if (rc)
        return err_wrap(err, "%s", path);
    if (result.status == 0)
        return 0;
    CLEANUP(str_free) struct str text = { 0 };
    if (fs_read(out, 1 << 20, &text, NULL) == 0 && text.len > 400)
        memmove(text.s, text.s + text.len - 400, 401);
    for (char *c = text.s; c && *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    if (text.s)
        text_mask_secrets(text.s);
    return err_set(err, FAIL_TOOL, "%s ended with status %d: %.400s", path, result.status, str_text(&text));
}

int launch_start(struct job *job, const struct installation *found, struct err *err)
{
    const char *unit = job_node(job)->service;
    if (user_check(found, err))
        return -err->code;
    if (unit[0])
        return unit_call("start", unit, SCRIPT_LIMIT_MS, err);
    return script_call(job, found, "start-confluence.sh", true, SCRIPT_LIMIT_MS, err);
}

int launch_stop(struct job *job, const struct installation *found, int64_t timeout_ms, struct err *err)
{
    const char *unit = job_node(job)->service;
    if (unit[0])
        return unit_call("stop", unit, timeout_ms, err);
    return script_call(job, found, "stop-confluence.sh", false, timeout_ms, err);
}

/* ---------------------------------------------------------------- processes of one tree */

static bool path_below(const char *path, const char *tree)
{
    size_t len = strlen(tree);
    return strncmp(path, tree, len) == 0 && (path[len] == '/' || path[len] == 0 || path[len] == ':');
}

/* A process of the tree names it as Tomcat's home, runs a program or a script of it, or has it on its class path. Somebody who
 * only looks at a file of the tree is none. */
static bool line_names_tree(const char *line, size_t len, const char *tree)
{
    bool after_class_path = false;
    size_t number = 0;
    for (size_t at = 0; at < len; at += strlen(line + at) + 1, number++) {
        const char *word = line + at;
        if ((strncmp(word, "-Dcatalina.home=", 16) == 0 || strncmp(word, "-Dcatalina.base=", 16) == 0) && path_below(word + 16, tree))
            return true;
        if (number == 0 && path_below(word, tree))
            return true;
        if (after_class_path && path_below(word, tree))
            return true;
        after_class_path = strcmp(word, "-classpath") == 0 || strcmp(word, "-cp") == 0;
    }
    return false;
}

static bool is_of_tree(const struct job *job, pid_t pid, const struct installation *found)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%ld/cmdline", site_proc(job), (long)pid);
    CLEANUP(str_free) struct str line = { 0 };
    if (pid <= 1 || pid == getpid() || pid == getppid() || !site_process_is_users(job, found, pid))
        return false;
    return fs_read(path, 1 << 20, &line, NULL) == 0 && line.len > 0 && line_names_tree(line.s, line.len, found->install);
}

static size_t processes_find(struct job *job, const struct installation *found, pid_t pids[TREE_PROCESSES_MAX])
{
    const char *proc = site_proc(job);
    size_t count = 0;
    DIR *dir = opendir(proc);
    if (!dir)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry && count < TREE_PROCESSES_MAX; entry = readdir(dir)) {
        uint64_t number = 0;
        if (text_parse_u64(entry->d_name, INT32_MAX, &number) && is_of_tree(job, (pid_t)number, found))
            pids[count++] = (pid_t)number;
    }
    (void)closedir(dir);
    return count;
}

static int running(struct job *job, const struct installation *found, pid_t *ret, struct err *err)
{
    pid_t pids[TREE_PROCESSES_MAX], pid = 0;
    if (installation_pid(found->install, site_proc(job), &pid, err))
        return err_wrap(err, "look for the process");
    *ret = pid ? pid : processes_find(job, found, pids) ? pids[0] : 0;
    return 0;
}

int launch_wait_gone(struct job *job, const struct installation *found, int64_t timeout_ms, struct err *err)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    for (;;) {
        pid_t pid = 0;
        if (running(job, found, &pid, err))
            return -err->code;
        if (!pid)
            return 0;
        if (clock_mono_ms() >= end)
            return err_set(err, FAIL_TIMEOUT, "process %ld of %s is still there", (long)pid, found->install);
        job_progress(job, 0, 0, "waiting for process %ld to end", (long)pid);
        pause_until_gone(pid);
    }
}

/* By descriptor: the number may belong to somebody else by the time the signal is sent. */
static void signal_send(struct job *job, const struct installation *found, pid_t pid, int number)
{
    pid_t again = 0;
    CLEANUP(close_fd) int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return;
    /* The pid file belongs to the installation's account too, and may name anybody's process. */
    if (!site_process_is_users(job, found, pid)) {
        job_log(job, 4, "process %ld is not one of the account %s; it gets no signal", (long)pid, found->run_user);
        return;
    }
    bool ours = is_of_tree(job, pid, found) ||
                (installation_pid(found->install, site_proc(job), &again, NULL) == 0 && again == pid);
    if (!ours)
        return;
    job_log(job, 4, "signal %d to process %ld of %s", number, (long)pid, found->install);
    (void)pidfd_send_signal(fd, number, NULL, 0);      /* gone already is what we want */
}

static int signal_all(struct job *job, const struct installation *found, int number, struct err *err)
{
    pid_t pids[TREE_PROCESSES_MAX], main_pid = 0;
    if (installation_pid(found->install, site_proc(job), &main_pid, err))
        return err_wrap(err, "look for the process");
    if (main_pid)
        signal_send(job, found, main_pid, number);
    size_t count = processes_find(job, found, pids);
    for (size_t i = 0; i < count; i++)
        if (pids[i] != main_pid)
            signal_send(job, found, pids[i], number);
    return 0;
}

int launch_kill(struct job *job, const struct installation *found, int64_t grace_ms, struct err *err)
{
    struct err gone = { 0 };
    pid_t pid = 0;
    if (running(job, found, &pid, err))
        return -err->code;
    if (!pid)
        return 0;
    if (signal_all(job, found, SIGTERM, err))
        return -err->code;
    if (launch_wait_gone(job, found, grace_ms, &gone) == 0)
        return 0;
    if (signal_all(job, found, SIGKILL, err) || running(job, found, &pid, err))
        return -err->code;
    if (pid && !site_process_is_users(job, found, pid) && process_serves(site_proc(job), pid, found->install, true))
        return err_set(err, FAIL_DENIED, "process %ld looks like one of %s but is not of the account '%s'; it gets no signal. End it by hand, or "
                       "remove the pid file that names it", (long)pid, found->install, found->run_user);
    return launch_wait_gone(job, found, 20000, err);
}
