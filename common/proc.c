#include "confleet/proc.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KILL_AFTER_MS 10000

static const char *const default_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                           "LANG=C.UTF-8", "HOME=/", NULL };

#define GROUPS_MAX 256
struct groups { gid_t ids[GROUPS_MAX]; int count; };

struct pipes { int in, out, err, report; };     /* the child's ends, report: errno of what failed before exec */

/* Between fork and exec: only calls that are safe there. The parent's locks may be held by threads that no longer exist. */
static int become(const struct proc_spec *spec, const struct groups *groups)
{
    if (!spec->as_user)
        return 0;
    if (geteuid() == 0 && setgroups((size_t)groups->count, groups->ids) != 0)
        return errno;
    if (setresgid(spec->gid, spec->gid, spec->gid) != 0)
        return errno;
    return setresuid(spec->uid, spec->uid, spec->uid) != 0 ? errno : 0;
}

static void child_signals(void)
{
    sigset_t none;
    struct sigaction plain = { .sa_handler = SIG_DFL };
    for (int n = 1; n < 32; n++)
        (void)sigaction(n, &plain, NULL);       /* KILL and STOP refuse, which is right */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_files(const struct proc_spec *spec, const struct pipes *ends, int *ret_report)
{
    int report = fcntl(ends->report, F_DUPFD_CLOEXEC, 10);
    int in = fcntl(ends->in, F_DUPFD_CLOEXEC, 10), out = fcntl(ends->out, F_DUPFD_CLOEXEC, 10);
    int err = fcntl(ends->err, F_DUPFD_CLOEXEC, 10);
    if (report < 0 || in < 0 || out < 0 || err < 0)
        return errno;
    *ret_report = report;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        return errno;
    for (int fd = 3; fd < 10; fd++)
        (void)close(fd);
    if (close_range(10, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return errno;
    return chdir(spec->dir ? spec->dir : "/") != 0 ? errno : 0;
}

_Noreturn static void child_run(const struct proc_spec *spec, const struct pipes *ends,
                                const struct groups *groups)
{
    int report = ends->report;
    int failed = 0;
    if (spec->detach || spec->session ? setsid() < 0 : setpgid(0, 0) != 0)
        failed = errno;
    child_signals();
    if (!failed)
        failed = child_files(spec, ends, &report);
    struct rlimit most = { spec->file_max, spec->file_max };
    if (!failed && spec->file_max && setrlimit(RLIMIT_FSIZE, &most) != 0)
        failed = errno;
    if (!failed)
        failed = become(spec, groups);
    if (!failed) {
        (void)execve(spec->argv[0], (char *const *)(uintptr_t)spec->argv,
                     (char *const *)(uintptr_t)(spec->env ? spec->env : default_env));
        failed = errno;
    }
    (void)!write(report, &failed, sizeof failed);
    _exit(127);
}

static int open_output(const struct proc_spec *spec, int *ret_fd, struct err *err)
{
    const char *path = spec->out_path ? spec->out_path : "/dev/null";
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", path);
    *ret_fd = fd;
    return 0;
}

static int make_pipe(int *ret_read, int *ret_write, struct err *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_sys(err, FAIL_IO, errno, "pipe");
    *ret_read = fds[0];
    *ret_write = fds[1];
    return 0;
}

struct setup {                          /* everything a start opens; closed by setup_close() */
    struct pipes child;
    int in, out, err, report;           /* the parent's ends */
};

static void setup_close(struct setup *s)
{
    int *all[] = { &s->child.in, &s->child.out, &s->child.err, &s->child.report, &s->in, &s->out, &s->err, &s->report };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close_fd(all[i]);
}

static int setup_open(const struct proc_spec *spec, bool pipe_in, struct setup *s, struct err *err)
{
    int result = make_pipe(&s->report, &s->child.report, err);
    if (result == 0 && pipe_in) {
        result = make_pipe(&s->child.in, &s->in, err);
    } else if (result == 0) {
        s->child.in = spec->stdin_fd > 0 ? fcntl(spec->stdin_fd, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (s->child.in < 0)
            result = err_sys(err, FAIL_IO, errno, "open standard input");
    }
    if (result == 0 && (spec->detach || spec->out_path)) {
        result = open_output(spec, &s->child.out, err);
        if (result == 0)
            result = open_output(spec, &s->child.err, err);
        return result;
    }
    if (result == 0 && spec->stdout_fd > 0) {
        s->child.out = fcntl(spec->stdout_fd, F_DUPFD_CLOEXEC, 3);
        if (s->child.out < 0)
            result = err_sys(err, FAIL_IO, errno, "duplicate standard output");
    } else if (result == 0) {
        result = make_pipe(&s->out, &s->child.out, err);
    }
    return result == 0 ? make_pipe(&s->err, &s->child.err, err) : result;
}

/* Waits until the child has replaced itself by its program, or learns why it could not. */
static int wait_exec(int report, pid_t pid, const char *program, struct err *err)
{
    int failed = 0;
    ssize_t got;
    do
        got = read(report, &failed, sizeof failed);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0;
    (void)waitpid(pid, NULL, 0);
    return err_sys(err, FAIL_TOOL, got == (ssize_t)sizeof failed ? failed : EIO, "start %s", program);
}

static int start(const struct proc_spec *spec, bool pipe_in, struct proc_child *ret, struct err *err)
{
    assert(spec->argv && spec->argv[0] && spec->argv[0][0] == '/');
    CLEANUP(setup_close) struct setup s = { { -1, -1, -1, -1 }, -1, -1, -1, -1 };
    int result = setup_open(spec, pipe_in, &s, err);
    if (result != 0)
        return result;
    struct groups groups = { { spec->gid }, 1 };
    if (spec->as_user && spec->user) {
        groups.count = GROUPS_MAX;
        if (getgrouplist(spec->user, spec->gid, groups.ids, &groups.count) < 0)
            return err_set(err, FAIL_LIMIT, "user %s is in more than %d groups", spec->user, GROUPS_MAX);
    }
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(err, FAIL_TOOL, errno, "fork for %s", spec->argv[0]);
    if (pid == 0)
        child_run(spec, &s.child, &groups);
    close_fd(&s.child.report);
    result = wait_exec(s.report, pid, spec->argv[0], err);
    if (result != 0)
        return result;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        result = err_sys(err, FAIL_TOOL, errno, "watch %s", spec->argv[0]);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return result;
    }
    (void)fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    *ret = (struct proc_child){ pid, pidfd, TAKE_FD(s.in), TAKE_FD(s.out), TAKE_FD(s.err),
                                 spec->detach };
    int *ends[] = { &ret->pipe_in, &ret->pipe_out, &ret->err_fd };
    for (size_t i = 0; i < 3; i++)
        if (*ends[i] >= 0 && fcntl(*ends[i], F_SETFL, O_NONBLOCK) != 0)
            return err_sys(err, FAIL_IO, errno, "make a pipe non-blocking");
    return 0;
}

int proc_start(const struct proc_spec *spec, struct proc_child *ret, struct err *err)
{
    return start(spec, spec->stdin_fd <= 0, ret, err);
}

void proc_kill(struct proc_child *child, int signal_number)
{
    if (child->pid > 1 && kill(-child->pid, signal_number) != 0)
        (void)kill(child->pid, signal_number);
}

int proc_reap(struct proc_child *child, int *ret_status, int *ret_signal, struct err *err)
{
    siginfo_t info = { 0 };
    if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) != 0)
        return err_sys(err, FAIL_TOOL, errno, "wait for process %ld", (long)child->pid);
    if (info.si_pid == 0)
        return err_set(err, FAIL_BUSY, "process %ld still runs", (long)child->pid);
    if (!child->detached)
        (void)kill(-child->pid, SIGKILL);
    child->pid = 0;
    *ret_status = info.si_code == CLD_EXITED ? info.si_status : -1;
    *ret_signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return 0;
}

void proc_child_close(struct proc_child *child)
{
    close_fd(&child->pidfd);
    close_fd(&child->pipe_in);
    close_fd(&child->pipe_out);
    close_fd(&child->err_fd);
}

/* Keeps the newest PROC_OUTPUT_MAX bytes. False at the end of the stream. */
static bool drain(int fd, struct str *kept)
{
    char buffer[16384];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        str_add_bytes(kept, buffer, (size_t)got);
        if (kept->len > PROC_OUTPUT_MAX) {
            size_t cut = kept->len - PROC_OUTPUT_MAX;
            memmove(kept->s, kept->s + cut, kept->len - cut + 1);
            kept->len -= cut;
        }
    }
}

static int watch(struct proc_child *child, int64_t timeout_ms, struct proc_result *out, struct err *err)
{
    int64_t end_ms = timeout_ms ? clock_mono_ms() + timeout_ms : INT64_MAX;
    for (;;) {
        struct pollfd fds[3] = { { child->pidfd, POLLIN, 0 }, { child->pipe_out, POLLIN, 0 }, { child->err_fd, POLLIN, 0 } };
        int64_t left_ms = end_ms == INT64_MAX ? 60000 : end_ms - clock_mono_ms();
        if (left_ms <= 0) {
            proc_kill(child, out->timed_out ? SIGKILL : SIGTERM);
            out->timed_out = true;
            end_ms = clock_mono_ms() + KILL_AFTER_MS;
            continue;
        }
        if (poll(fds, 3, left_ms > 60000 ? 60000 : (int)left_ms) < 0 && errno != EINTR)
            return err_sys(err, FAIL_IO, errno, "poll");
        if (fds[1].revents && !drain(child->pipe_out, &out->out))
            close_fd(&child->pipe_out);
        if (fds[2].revents && !drain(child->err_fd, &out->err))
            close_fd(&child->err_fd);
        if (fds[0].revents)
            break;
    }
    int result = proc_reap(child, &out->status, &out->signal, err);
    if (result == 0 && child->pipe_out >= 0)
        (void)drain(child->pipe_out, &out->out);     /* what is left; a grandchild may hold the pipe open */
    if (result == 0 && child->err_fd >= 0)
        (void)drain(child->err_fd, &out->err);
    return result;
}

int proc_run(const struct proc_spec *spec, struct proc_result *ret, struct err *err)
{
    CLEANUP(proc_child_close) struct proc_child child = { 0, -1, -1, -1, -1, false };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    int failed = start(spec, false, &child, err);
    if (failed == 0)
        failed = watch(&child, spec->timeout_ms, &result, err);
    if (failed != 0)
        return failed;
    if (result.timed_out)
        return err_set(err, FAIL_TOOL, "%s did not end within %lld s and was stopped", spec->argv[0], (long long)(spec->timeout_ms / 1000));
    proc_result_free(ret);
    *ret = result;
    result = (struct proc_result){ 0 };
    return 0;
}

int proc_run_ok(const struct proc_spec *spec, struct proc_result *ret, struct err *err)
{
    int result = proc_run(spec, ret, err);
    if (result != 0 || (ret->status == 0 && ret->signal == 0))
        return result;
    const char *said = ret->err.len ? str_text(&ret->err) : str_text(&ret->out);
    size_t len = strlen(said);
    while (len && said[len - 1] == '\n')
        len--;
    size_t from = len > 600 ? len - 600 : 0;
    if (ret->signal)
        return err_set(err, FAIL_TOOL, "%s was killed by signal %d: %.*s", spec->argv[0], ret->signal, (int)(len - from), said + from);
    return err_set(err, FAIL_TOOL, "%s ended with status %d: %.*s", spec->argv[0], ret->status, (int)(len - from), said + from);
}

void proc_result_free(struct proc_result *result)
{
    str_free(&result->out);
    str_free(&result->err);
    *result = (struct proc_result){ 0 };
}
