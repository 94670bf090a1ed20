#include "controller/edge/messenger.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/json.h"
#include "confleet/log.h"
#include "confleet/proc.h"
#include "controller/edge/store_notices.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define VARIABLES 8
#define KILL_MS   5000

struct messenger {
    struct store *store;
    char *program;
    struct proc_child child;
    bool running, overdue;
    int64_t seq, started_ms;
};

int messenger_open(struct store *store, const char *program, struct messenger **ret,
                   struct err *err)
{
    CLEANUP(messenger_close) struct messenger *messenger = mem_zero(1, sizeof *messenger);
    if (program && program[0] != '/')
        return err_set(err, FAIL_USAGE, "notify: %s is not an absolute path", program);
    if (program && access(program, X_OK) != 0)
        return err_sys(err, FAIL_USAGE, errno, "notify: %s cannot be executed", program);
    messenger->store = store;
    messenger->program = program ? text_dup(program) : NULL;
    store->notices = program != NULL;
    *ret = TAKE(messenger);
    return 0;
}

static void child_end(struct messenger *messenger)
{
    proc_kill(&messenger->child, SIGKILL);
    proc_child_close(&messenger->child);
    messenger->running = false;
}

void messenger_close(struct messenger **messenger)
{
    if (!*messenger)
        return;
    if ((*messenger)->running)
        child_end(*messenger);
    free((*messenger)->program);
    free(*messenger);
    *messenger = NULL;
}

static void json_pair(struct str *out, const char *key, const char *value)
{
    str_addf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
    json_text(out, value);
}

static void notice_write(const struct notice_row *row, const char *at, int fd)
{
    CLEANUP(str_free) struct str line = { 0 };
    const struct notice *notice = &row->notice;
    str_add(&line, "{");
    json_pair(&line, "event", notice->kind);
    json_pair(&line, "rollout", notice->rollout);
    json_pair(&line, "stage", notice->stage);
    json_pair(&line, "site", notice->site);
    json_pair(&line, "message", notice->message);
    json_pair(&line, "at", at);
    str_add(&line, "}\n");
    /* Shorter than a pipe's buffer, so that it goes at once or not at all. */
    if (write(fd, line.s, line.len) != (ssize_t)line.len)
        log_warn("notify.unread",
                 "event=%s; ignoring: the program has the words in its environment", notice->kind);
}

static int messenger_start(struct messenger *messenger, const struct notice_row *row,
                           struct err *err)
{
    const struct notice *notice = &row->notice;
    char at[CLOCK_TEXT_MAX];
    const char *const argv[] = { messenger->program, NULL };
    const char *names[VARIABLES] = {
        "PATH",           "LANG",          "CONFLEET_EVENT",  "CONFLEET_AT", "CONFLEET_ROLLOUT",
        "CONFLEET_STAGE", "CONFLEET_SITE", "CONFLEET_MESSAGE"
    };
    const char *values[VARIABLES] = { "/usr/sbin:/usr/bin:/sbin:/bin",
                                      "C.UTF-8",
                                      notice->kind,
                                      clock_text(row->at_ms, at),
                                      notice->rollout,
                                      notice->stage,
                                      notice->site,
                                      notice->message };
    const char *env[VARIABLES + 1] = { NULL };
    int fds[2];
    for (size_t i = 0; i < VARIABLES; i++)
        env[i] = text_printf("%s=%s", names[i], values[i]);
    struct proc_spec spec = { .argv = argv, .env = env, .timeout_ms = MESSENGER_TIME_MS };
    int result = pipe2(fds, O_CLOEXEC) == 0
                     ? 0
                     : err_sys(err, FAIL_IO, errno, "pipe for %s", messenger->program);
    if (result == 0) {
        notice_write(row, values[3], fds[1]);
        (void)close(fds[1]);
        spec.stdin_fd = fds[0];
        result = proc_start(&spec, &messenger->child, err);
        (void)close(fds[0]);
    }
    for (size_t i = 0; i < VARIABLES; i++)
        free((void *)(uintptr_t)env[i]);
    messenger->running = result == 0;
    return result;
}

/* Whatever it prints is read, so that it never blocks; nobody keeps it. */
static void child_drain(struct messenger *messenger)
{
    char bytes[4096];
    int fds[] = { messenger->child.pipe_out, messenger->child.err_fd };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        for (int n = 0; fds[i] >= 0 && n < 64 && read(fds[i], bytes, sizeof bytes) > 0; n++)
            ;
}

static bool child_over(struct messenger *messenger, int64_t mono_ms)
{
    struct err err = { 0 };
    int status = 0, signal_number = 0;
    int64_t took_ms = mono_ms - messenger->started_ms;
    child_drain(messenger);
    if (proc_reap(&messenger->child, &status, &signal_number, &err) == -FAIL_BUSY) {
        if (took_ms >= MESSENGER_TIME_MS && !messenger->overdue) {
            log_warn("notify.overdue", "program=%s ms=%" PRId64 "; it is ended", messenger->program,
                     took_ms);
            messenger->overdue = true;
            proc_kill(&messenger->child, SIGTERM);
        } else if (took_ms >= MESSENGER_TIME_MS + KILL_MS) {
            proc_kill(&messenger->child, SIGKILL);
        }
        return false;
    }
    if (err.code != 0 || status != 0 || signal_number != 0)
        log_warn("notify.failed", "program=%s status=%d signal=%d why=\"%s\"; ignoring",
                 messenger->program, status, signal_number, err.text);
    proc_child_close(&messenger->child);
    messenger->running = false;
    return true;
}

static int told_tx(void *arg, struct err *err)
{
    const struct messenger *messenger = arg;
    return notice_done(messenger->store, messenger->seq, err);
}

int messenger_turn(struct messenger *messenger, int64_t mono_ms, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    const struct notice_row *row = NULL;
    struct err why = { 0 };
    int result = 0;
    if (!messenger->program)
        return 0;
    if (messenger->running) {
        if (!child_over(messenger, mono_ms))
            return 0;
        result = store_tx(messenger->store, told_tx, messenger, err);
    }
    if (result == 0)
        result = notice_next(messenger->store, &pool, &row, err);
    if (result != 0 || !row)
        return result;
    messenger->seq = row->seq;
    messenger->started_ms = mono_ms;
    messenger->overdue = false;
    if (messenger_start(messenger, row, &why) == 0)
        return 0;
    log_warn("notify.failed", "program=%s why=\"%s\"; ignoring", messenger->program, why.text);
    return store_tx(messenger->store, told_tx, messenger, err);
}
