/* The loop between a child of ours and two callbacks: nothing blocks but poll(), nothing is kept
 * but the end of stderr. */
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/proc.h"
#include "reach.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define STDERR_KEPT 4096
#define END_WAIT_MS                                                                                \
    600000 /* from the end of its streams to its exit: indexes may still be built then */

struct flow {
    const struct pump *pump;
    struct proc_child child;
    const uint8_t *bytes; /* given and not yet written */
    size_t left;
    bool given_all;
    int64_t moved_ms;
    struct str said;
};

static void flow_end(struct flow *flow)
{
    if (flow->child.pid > 0) {
        int status = 0, sig = 0;
        struct err ignored = { 0 };
        proc_kill(&flow->child, SIGKILL);
        struct pollfd one = { flow->child.pidfd, POLLIN, 0 };
        (void)poll(&one, 1, 10000);
        if (proc_reap(&flow->child, &status, &sig, &ignored) != 0)
            err_clear(&ignored); /* it was killed; whoever inherits us reaps it */
    }
    proc_child_close(&flow->child);
    str_free(&flow->said);
}

static void hear(struct flow *flow)
{
    char buffer[2048];
    ssize_t got = read(flow->child.err_fd, buffer, sizeof buffer);
    if (got == 0)
        close_fd(&flow->child.err_fd);
    if (got <= 0)
        return;
    str_add_bytes(&flow->said, buffer, (size_t)got);
    if (flow->said.len > STDERR_KEPT) {
        size_t cut = flow->said.len - STDERR_KEPT;
        memmove(flow->said.s, flow->said.s + cut, flow->said.len - cut + 1);
        flow->said.len -= cut;
    }
}

static int take(struct flow *flow, char *buffer, size_t size, struct err *err)
{
    ssize_t got = read(flow->child.pipe_out, buffer, size);
    if (got == 0)
        close_fd(&flow->child.pipe_out);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return err_sys(err, FAIL_IO, errno, "read from a child");
    if (got <= 0)
        return 0;
    flow->moved_ms = clock_mono_ms();
    return flow->pump->take ? flow->pump->take(flow->pump->ctx, buffer, (size_t)got, err) : 0;
}

static int give(struct flow *flow, struct err *err)
{
    if (flow->left == 0 && !flow->given_all) {
        int rc = flow->pump->give(flow->pump->ctx, &flow->bytes, &flow->left, err);
        if (rc != 0)
            return rc;
        flow->given_all = flow->left == 0;
    }
    if (flow->given_all) {
        close_fd(&flow->child.pipe_in);
        return 0;
    }
    ssize_t put = write(flow->child.pipe_in, flow->bytes, flow->left);
    if (put < 0 && errno == EPIPE) {
        close_fd(
            &flow->child.pipe_in); /* its own words, or its status, say why it stopped reading */
        return 0;
    }
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        return err_sys(err, FAIL_IO, errno, "write to a child");
    if (put > 0) {
        flow->moved_ms = clock_mono_ms();
        flow->bytes += put;
        flow->left -= (size_t)put;
    }
    return 0;
}

static int judge(const struct flow *flow, const char *program, int status, int sig, struct err *err)
{
    size_t len = flow->said.len;
    const char *said = str_text(&flow->said);
    while (len > 0 && said[len - 1] == '\n')
        len--;
    size_t from = len > 500 ? len - 500 : 0;
    if (sig != 0)
        return err_set(err, FAIL_TOOL, "%s was killed by signal %d: %.*s", program, sig,
                       (int)(len - from), said + from);
    if (status != 0)
        return err_set(err, FAIL_TOOL, "%s ended with status %d: %.*s", program, status,
                       (int)(len - from), said + from);
    if (flow->pump->give && !flow->given_all)
        return err_set(err, FAIL_TOOL, "%s ended before it had read everything", program);
    return 0;
}

static bool had_enough(const struct flow *flow)
{
    return flow->pump->enough && *flow->pump->enough;
}

static int flow_run(struct flow *flow, const char *program, struct err *err)
{
    CLEANUP(free_mem) char *buffer = mem_zero(1, 65536);
    bool exited = false;
    flow->moved_ms = clock_mono_ms();
    while (!had_enough(flow) && (!exited || flow->child.pipe_out >= 0)) {
        struct pollfd fds[4] = { { exited ? -1 : flow->child.pidfd, POLLIN, 0 },
                                 { flow->child.pipe_out, POLLIN, 0 },
                                 { flow->child.err_fd, POLLIN, 0 },
                                 { flow->child.pipe_in, POLLOUT, 0 } };
        int ready = poll(fds, 4, 1000);
        int rc = 0;
        if (ready < 0 && errno != EINTR)
            return err_sys(err, FAIL_IO, errno, "poll");
        if (ready > 0 && fds[2].revents)
            hear(flow);
        if (ready > 0 && fds[1].revents)
            rc = take(flow, buffer, 65536, err);
        if (rc == 0 && ready > 0 && fds[3].revents)
            rc = give(flow, err);
        if (rc != 0)
            return rc;
        if (ready > 0 && fds[0].revents)
            exited = true;
        int64_t limit = flow->given_all && flow->pump->timeout_ms > 0
                            ? flow->pump->timeout_ms + END_WAIT_MS
                            : flow->pump->timeout_ms;
        if (limit > 0 && clock_mono_ms() - flow->moved_ms > limit)
            return err_set(err, FAIL_TIMEOUT, "%s: nothing moved for %lld s", program,
                           (long long)(limit / 1000));
    }
    while (flow->child.err_fd >= 0 && !had_enough(flow)) {
        struct pollfd one = { flow->child.err_fd, POLLIN, 0 };
        if (poll(&one, 1, 0) <= 0)
            break;
        hear(flow);
    }
    return 0;
}

int pump_run(const char *const *argv, char *const *env, const struct pump *pump, struct err *err)
{
    CLEANUP(flow_end) struct flow flow = { .pump = pump, .child = { 0, -1, -1, -1, -1, false } };
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    int status = 0, sig = 0;
    struct proc_spec spec = { .argv = argv, .env = (const char *const *)env };
    if (sigaction(SIGPIPE, &ignore, &before) != 0)
        return err_sys(err, FAIL_INTERNAL, errno, "signals");
    int rc = proc_start(&spec, &flow.child, err);
    if (rc == 0 && !pump->give)
        close_fd(&flow.child.pipe_in);
    if (rc == 0)
        rc = flow_run(&flow, argv[0], err);
    if (rc == 0 && had_enough(&flow)) /* flow_end() ends it */
        status = sig = 0;
    else if (rc == 0)
        rc = proc_reap(&flow.child, &status, &sig, err);
    (void)sigaction(SIGPIPE, &before, NULL);
    return rc == 0 ? judge(&flow, argv[0], status, sig, err) : rc;
}
