#include "agent/edge/worker.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define KILL_AFTER_MS 10000
#define SWEEP_MS      20000

struct worker {
    struct proc_child child;
    pid_t pid;
    char birth[WORKER_BIRTH_MAX];
    struct str out, in,
        said; /* out: still to be written; in: not yet a whole reply; said: its stderr */
    int64_t limit_mono_ms, kill_mono_ms; /* zero: none */
    struct arena *arena;                 /* holds the result */
    Confleet__WorkerResult *result;
    unsigned replies;
    bool overdue, broken;
    struct err why;
};

/* Fields of /proc/PID/stat behind the name, which may hold anything: 0 is the state, 3 the session,
 * 19 the start time. FAIL_NOT_FOUND: there is no such process; any other failure says nothing. */
static int stat_field(pid_t pid, int field, char *out, size_t size, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct err why = { 0 };
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int result = fs_read(path, 4096, &text, &why);
    if (result != 0)
        return err_set(err, why.sys == ESRCH ? FAIL_NOT_FOUND : (enum fail)why.code, "%s", why.text);
    char *at = strrchr(text.s, ')');
    for (int i = 0; at && i <= field; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return err_set(err, FAIL_NOT_FOUND, "%s says nothing", path);
    (void)snprintf(out, size, "%.*s", (int)strcspn(at + 1, " \n"), at + 1);
    return 0;
}

static int birth_of(pid_t pid, char out[WORKER_BIRTH_MAX], struct err *err)
{
    CLEANUP(str_free) struct str boot = { 0 };
    struct err why = { 0 };
    char start[32] = "gone";
    int result = stat_field(pid, 19, start, sizeof start, &why);
    if (result != 0 && result != -FAIL_NOT_FOUND)
        return err_set(err, (enum fail)why.code, "%s", why.text);
    result = fs_read("/proc/sys/kernel/random/boot_id", 64, &boot, err);
    if (result == 0)
        (void)snprintf(out, WORKER_BIRTH_MAX, "%.36s %s", str_text(&boot), start);
    return result;
}

/* Sends a signal to every process of the session; the number of those that were there, or may be. */
static int session_kill(pid_t session, int signal_number)
{
    int seen = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 1;
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        uint64_t pid = 0, theirs = 0;
        char text[32];
        if (!text_parse_u64(entry->d_name, INT32_MAX, &pid))
            continue;
        int result = stat_field((pid_t)pid, 3, text, sizeof text, NULL);
        if (result != 0 && result != -FAIL_NOT_FOUND)
            seen++;
        if (result != 0 || !text_parse_u64(text, INT32_MAX, &theirs) || (pid_t)theirs != session)
            continue;
        if (stat_field((pid_t)pid, 0, text, sizeof text, NULL) == 0 && text[0] == 'Z')
            continue;
        seen++;
        (void)kill((pid_t)pid, signal_number);
    }
    (void)closedir(proc);
    return seen;
}

int worker_sweep(pid_t pid, const char *birth, struct err *err)
{
    char now[WORKER_BIRTH_MAX];
    if (birth_of(pid, now, err) != 0)
        return err_wrap(err, "look for a worker of an earlier agent");
    /* Another boot: nothing is left. A leader of that pid born at another time: the old session
     * ended before it began. */
    if (strncmp(now, birth, 36) != 0 || (strcmp(now, birth) != 0 && !strstr(now, " gone")))
        return 0;
    for (int64_t end_ms = clock_mono_ms() + SWEEP_MS; session_kill(pid, SIGKILL) > 0;) {
        if (clock_mono_ms() > end_ms)
            return err_set(err, FAIL_TIMEOUT,
                           "a worker of an earlier agent (process %ld) cannot be stopped",
                           (long)pid);
        (void)poll(NULL, 0, 20);
    }
    return 0;
}

int worker_open(const char *program, struct worker **ret, struct err *err)
{
    CLEANUP(worker_close) struct worker *worker = mem_zero(1, sizeof *worker);
    const char *argv[] = { program, NULL };
    worker->child = (struct proc_child){ 0, -1, -1, -1, -1, false };
    worker->arena = arena_new(WIRE_ARENA_MAX);
    int result =
        proc_start(&(struct proc_spec){ .argv = argv, .session = true }, &worker->child, err);
    if (result != 0)
        return err_wrap(err, "start the worker");
    worker->pid = worker->child.pid;
    /* Without its birth a later agent would not find it. */
    result = birth_of(worker->pid, worker->birth, err);
    if (result != 0)
        return err_wrap(err, "start the worker");
    *ret = TAKE(worker);
    return 0;
}

void worker_close(struct worker **pointer)
{
    struct worker *worker = *pointer;
    if (!worker)
        return;
    if (worker->child.pid > 0) {
        int status, signalled;
        (void)session_kill(worker->pid, SIGKILL);
        struct pollfd end = { worker->child.pidfd, POLLIN, 0 };
        (void)poll(&end, 1, KILL_AFTER_MS);
        if (proc_reap(&worker->child, &status, &signalled, NULL) != 0)
            worker->child.pid =
                0; /* it was killed: the kernel ends it when it can, and how is of no interest */
    }
    proc_child_close(&worker->child);
    str_free(&worker->out);
    str_free(&worker->in);
    str_free(&worker->said);
    arena_free(&worker->arena);
    free(worker);
    *pointer = NULL;
}

pid_t worker_pid(const struct worker *worker)
{
    return worker->pid;
}
const char *worker_birth(const struct worker *worker)
{
    return worker->birth;
}
const Confleet__WorkerResult *worker_result(const struct worker *worker)
{
    return worker->result;
}
const char *worker_why(const struct worker *worker)
{
    return worker->why.text;
}

static void out_flush(struct worker *worker)
{
    while (worker->out.len && worker->child.pipe_in >= 0) {
        ssize_t put = write(worker->child.pipe_in, worker->out.s, worker->out.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0)
            break; /* it is gone; its end says why */
        memmove(worker->out.s, worker->out.s + put, worker->out.len - (size_t)put + 1);
        worker->out.len -= (size_t)put;
    }
    close_fd(&worker->child.pipe_in);
}

void worker_order(struct worker *worker, const Confleet__WorkerOrder *order, int64_t limit_ms,
                  int64_t now_mono_ms)
{
    wire_pipe_add(&worker->out, &order->base);
    worker->limit_mono_ms = limit_ms ? now_mono_ms + limit_ms : 0;
    out_flush(worker);
}

size_t worker_poll(const struct worker *worker, zmq_pollitem_t items[WORKER_POLL_MAX])
{
    size_t count = 0;
    const struct proc_child *child = &worker->child;
    if (child->pipe_in >= 0 && worker->out.len)
        items[count++] = (zmq_pollitem_t){ NULL, child->pipe_in, ZMQ_POLLOUT, 0 };
    if (child->pipe_out >= 0)
        items[count++] = (zmq_pollitem_t){ NULL, child->pipe_out, ZMQ_POLLIN, 0 };
    if (child->err_fd >= 0)
        items[count++] = (zmq_pollitem_t){ NULL, child->err_fd, ZMQ_POLLIN, 0 };
    if (child->pidfd >= 0)
        items[count++] = (zmq_pollitem_t){ NULL, child->pidfd, ZMQ_POLLIN, 0 };
    return count;
}

int64_t worker_due_ms(const struct worker *worker)
{
    int64_t due_ms = worker->kill_mono_ms ? worker->kill_mono_ms : worker->limit_mono_ms;
    return due_ms ? due_ms : INT64_MAX;
}

/* Appends what the descriptor holds; false at its end. */
static bool drain(int fd, struct str *to, size_t max)
{
    char buffer[16384];
    while (to->len <= max) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        str_add_bytes(to, buffer, (size_t)got);
    }
    return true;
}

static void spoiled(struct worker *worker, struct err *err)
{
    if (!worker->broken)
        worker->why = *err;
    worker->broken = true;
    (void)session_kill(worker->pid, SIGKILL);
}

static void reply_take(struct worker *worker, const uint8_t *bytes, size_t len,
                       worker_reply_fn *reply, void *arg)
{
    struct err err = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerReply *message = NULL;
    if (wire_decode_worker_reply(arena, bytes, len, &message, &err) != 0) {
        spoiled(worker, &err);
        return;
    }
    /* Progress is not kept, so it may go on for as long as the step does. */
    bool kept = message->body_case != CONFLEET__WORKER_REPLY__BODY_PROGRESS;
    if (worker->result || (kept && worker->replies++ >= WORKER_REPLIES_MAX)) {
        (void)err_set(&err, FAIL_LIMIT, "the worker says more than it should");
        spoiled(worker, &err);
    } else if (message->body_case == CONFLEET__WORKER_REPLY__BODY_RESULT) {
        worker->result = message->result;
        struct arena *mine = worker->arena;
        worker->arena = arena;
        arena = mine;
    } else if (reply) {
        reply(arg, message);
    }
}

static void replies_take(struct worker *worker, worker_reply_fn *reply, void *arg)
{
    struct err err = { 0 };
    while (!worker->broken) {
        const uint8_t *bytes = NULL;
        size_t len = 0;
        int taken = wire_pipe_take(&worker->in, &bytes, &len, &err);
        if (taken < 0)
            spoiled(worker, &err);
        if (taken <= 0)
            return;
        reply_take(worker, bytes, len, reply, arg);
        wire_pipe_drop(&worker->in, len);
    }
}

static void read_all(struct worker *worker, worker_reply_fn *reply, void *arg)
{
    for (bool more = true; more && worker->child.pipe_out >= 0 && !worker->broken;) {
        size_t before = worker->in.len;
        if (!drain(worker->child.pipe_out, &worker->in, WIRE_FRAME_MAX + 4))
            close_fd(&worker->child.pipe_out);
        more = worker->in.len > before;
        replies_take(worker, reply, arg);
    }
    if (worker->child.err_fd >= 0 &&
        !drain(worker->child.err_fd, &worker->said, 16 * WORKER_STDERR_MAX))
        close_fd(&worker->child.err_fd);
    if (worker->said.len > WORKER_STDERR_MAX) {
        size_t cut = worker->said.len - WORKER_STDERR_MAX;
        memmove(worker->said.s, worker->said.s + cut, worker->said.len - cut + 1);
        worker->said.len -= cut;
    }
}

static void limits_watch(struct worker *worker, int64_t now_mono_ms)
{
    if (worker->kill_mono_ms && now_mono_ms >= worker->kill_mono_ms) {
        (void)session_kill(worker->pid, SIGKILL);
        worker->kill_mono_ms = now_mono_ms + KILL_AFTER_MS;
    } else if (!worker->overdue && worker->limit_mono_ms && now_mono_ms >= worker->limit_mono_ms) {
        worker->overdue = true;
        worker->kill_mono_ms = now_mono_ms + KILL_AFTER_MS;
        (void)session_kill(worker->pid, SIGTERM);
    }
}

static enum worker_state ended(struct worker *worker, int status, int signalled)
{
    (void)session_kill(worker->pid, SIGKILL);
    if (worker->result && !worker->overdue && !worker->broken)
        return WORKER_ANSWERED;
    worker->result = NULL;
    if (worker->overdue) {
        err_clear(&worker->why);
        (void)err_set(&worker->why, FAIL_TIMEOUT,
                      "the worker did not end within its time limit and was stopped");
        return WORKER_OVERDUE;
    }
    const char *said = str_text(&worker->said);
    if (!worker->broken && signalled)
        (void)err_set(&worker->why, FAIL_TOOL,
                      "the worker was ended by signal %d before it was done", signalled);
    else if (!worker->broken)
        (void)err_set(&worker->why, FAIL_TOOL,
                      "the worker ended with status %d and no result%s%.400s", status,
                      *said ? ": " : "", said);
    return WORKER_DIED;
}

enum worker_state worker_tick(struct worker *worker, int64_t now_mono_ms, worker_reply_fn *reply,
                              void *arg)
{
    int status = 0, signalled = 0;
    struct err err = { 0 };
    out_flush(worker);
    struct pollfd end = { worker->child.pidfd, POLLIN, 0 };
    bool over = poll(&end, 1, 0) == 1; /* looked at before reading, so that nothing said is lost */
    read_all(worker, reply, arg);
    if (!over) {
        limits_watch(worker, now_mono_ms);
        return WORKER_RUNNING;
    }
    if (proc_reap(&worker->child, &status, &signalled, &err) != 0)
        return WORKER_RUNNING;
    return ended(worker, status, signalled);
}
