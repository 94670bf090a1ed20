#include "agent/edge/daemon.h"
#include "agent/edge/damage.h"
#include "agent/edge/inbox.h"
#include "agent/edge/memory.h"
#include "agent/edge/orders.h"
#include "agent/edge/uplink.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include "confleet/notify.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define LOCK_WAIT_MS  3000
#define WAIT_MAX_MS   1000 /* the inbox is looked at so often */
#define BALLAST_BYTES (4 * 1024 * 1024)

struct daemon {
    const struct config *config;
    struct journal *journal;
    struct keys keys;
    struct join controller;
    struct agent *agent;
    struct uplink *uplink; /* NULL: not enrolled, or without the network */
    int signals;
    bool worked; /* something was done since memory was given back */
    bool linked; /* link_start() was called */
};

static void daemon_close(struct daemon *daemon)
{
    agent_close(&daemon->agent);
    uplink_close(&daemon->uplink);
    journal_close(&daemon->journal);
    keys_wipe(&daemon->keys);
    if (daemon->linked)
        link_stop();
    close_fd(&daemon->signals);
}

/* A service manager that cannot be told must not keep the agent from its work. */
static void notify(const char *text)
{
    struct err err = { 0 };
    if (notify_send(text, &err) != 0)
        log_warn("notify.failed", "why=\"%s\"; ignoring", err.text);
}

/* Room that is given back when the disk is full past the stop, so that the journal can go on. */
static void ballast_keep(const struct config *config)
{
    CLEANUP(free_mem) char *path = config_state(config, "ballast");
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, BALLAST_BYTES) != 0)
        log_warn("ballast.missing", "path=%s; ignoring: the disk is nearly full", path);
}

static void ballast_drop(const struct config *config)
{
    CLEANUP(free_mem) char *path = config_state(config, "ballast");
    if (unlink(path) == 0)
        log_warn("ballast.dropped", "path=%s", path);
}

static int signals_open(struct daemon *daemon, struct err *err)
{
    sigset_t set;
    if (sigemptyset(&set) != 0 || sigaddset(&set, SIGTERM) != 0 || sigaddset(&set, SIGINT) != 0 ||
        sigaddset(&set, SIGHUP) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return err_sys(err, FAIL_IO, errno, "block signals");
    daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return daemon->signals < 0 ? err_sys(err, FAIL_IO, errno, "signalfd") : 0;
}

/* An agent that was never enrolled still answers local commands and finishes what its journal
 * holds. */
static int uplink_begin(struct daemon *daemon, struct err *err)
{
    CLEANUP(free_mem)
    char *key_path = config_state(daemon->config, "agent.key"),
         *join_path = config_state(daemon->config, "controller");
    if (!fs_exists(join_path)) {
        log_warn("agent.alone", "message=\"not enrolled: run confleet-agent enrol JOINFILE\"");
        return 0;
    }
    int result = join_load(join_path, &daemon->controller, err);
    if (result == 0)
        result = keys_load(key_path, &daemon->keys, err);
    if (result == 0)
        result = link_start(err);
    if (result != 0)
        return result;
    daemon->linked = true;
    return uplink_open(&daemon->keys, &daemon->controller, daemon->journal, &daemon->uplink, err);
}

/* An agent that was just killed lets go of its lock a moment later; its successor waits for that.
 */
static int open_journal(struct daemon *daemon, bool patient, struct err *err)
{
    struct err why = { 0 };
    int64_t end_ms = clock_mono_ms() + (patient ? LOCK_WAIT_MS : 0);
    int result;
    while ((result = journal_open(daemon->config->state_dir, &daemon->journal, &why)) ==
               -FAIL_BUSY &&
           clock_mono_ms() < end_ms) {
        err_clear(&why);
        (void)poll(NULL, 0, 50);
    }
    if (result != 0 && err)
        *err = why;
    return result;
}

static int daemon_open(struct daemon *daemon, bool network, struct err *err)
{
    int result = fs_mkdirs(daemon->config->state_dir, 0700, err);
    if (result == 0)
        result = signals_open(daemon, err);
    if (result == 0)
        result = open_journal(daemon, network, err);
    if (result == 0)
        result = inbox_open(daemon->config, err);
    if (result == 0 && network)
        result = uplink_begin(daemon, err);
    if (result == 0)
        result =
            agent_open(daemon->config, daemon->journal, &daemon->controller,
                       daemon->uplink ? uplink_say : NULL, daemon->uplink, &daemon->agent, err);
    if (result == 0)
        damage_gone(daemon->config);
    struct err why = { 0 };
    /* Without its folder no backup is made, and every plan is refused by the readiness check. */
    if (result == 0 && fs_mkdirs(daemon->config->backup_dir, 0700, &why) != 0)
        log_warn("backup-dir.missing", "message=\"%s\"; ignoring", why.text);
    if (result == 0 && daemon->uplink)
        uplink_agent_set(daemon->uplink, daemon->agent);
    if (result == 0 && !agent_busy(daemon->agent))
        ballast_keep(daemon->config);
    return result;
}

/* True when a signal asks for the end. */
static bool signalled(const struct daemon *daemon)
{
    struct signalfd_siginfo info;
    while (read(daemon->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGHUP)
            return true;
    return false;
}

static int turn(struct daemon *daemon, struct err *err)
{
    int result = daemon->uplink ? uplink_tick(daemon->uplink, err) : 0;
    if (result == 0)
        result = inbox_tick(daemon->agent, err);
    if (result == 0)
        result = agent_tick(daemon->agent, err);
    /* What the agent has just put into the outbox goes out in the same turn. */
    if (result == 0 && daemon->uplink)
        result = uplink_tick(daemon->uplink, err);
    return result;
}

/* After the start, and after each job, once nothing is at work any more. */
static void rest(struct daemon *daemon)
{
    zmq_pollitem_t items[AGENT_POLL_MAX];
    bool at_work = agent_poll(daemon->agent, items) > 0;
    if (daemon->worked && !at_work)
        memory_give_back();
    daemon->worked = at_work;
}

static int wait_for_news(const struct daemon *daemon, struct err *err)
{
    static zmq_pollitem_t items[1 + UPLINK_POLL_MAX + AGENT_POLL_MAX];
    size_t count = 0;
    items[count++] = (zmq_pollitem_t){ NULL, daemon->signals, ZMQ_POLLIN, 0 };
    int64_t due_ms = agent_due_ms(daemon->agent), now_ms = clock_mono_ms();
    if (daemon->uplink) {
        count += uplink_poll(daemon->uplink, items + count);
        due_ms = uplink_due_ms(daemon->uplink) < due_ms ? uplink_due_ms(daemon->uplink) : due_ms;
    }
    count += agent_poll(daemon->agent, items + count);
    int64_t wait_ms = due_ms <= now_ms                ? 0
                      : due_ms - now_ms < WAIT_MAX_MS ? due_ms - now_ms
                                                      : WAIT_MAX_MS;
    if (zmq_poll(items, (int)count, (long)wait_ms) < 0 && errno != EINTR)
        return err_sys(err, FAIL_INTERNAL, errno, "poll");
    return 0;
}

static int failed(struct daemon *daemon, struct err *err)
{
    if (daemon->agent && agent_busy(daemon->agent))
        ballast_drop(daemon->config);
    return err_wrap(err, "the agent stops; what is in flight goes on at its next start");
}

/* To end would mean to be started again for ever, and to be taken for silent. */
static int daemon_damaged(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->config;
    struct err why = *err;
    int signals = daemon->signals;
    daemon->signals = -1;
    daemon_close(daemon);
    *daemon = (struct daemon){ .config = config, .signals = signals };
    err_clear(err);
    return damage_serve(config, &why, signals, err);
}

int daemon_run(const struct config *config, struct err *err)
{
    CLEANUP(daemon_close)
    struct daemon daemon = { .config = config, .signals = -1, .worked = true };
    int result = daemon_open(&daemon, true, err);
    if (result == -FAIL_CORRUPT)
        return daemon_damaged(&daemon, err);
    if (result != 0)
        return result;
    log_info("agent.start", "version=%s name=%s start=%llu runs=%zu", CONFLEET_VERSION,
             daemon.controller.name, (unsigned long long)journal_start_count(daemon.journal),
             daemon.agent->run_count);
    notify("READY=1");
    while (!signalled(&daemon)) {
        result = turn(&daemon, err);
        if (result == 0) {
            rest(&daemon);
            result = wait_for_news(&daemon, err);
        }
        if (result != 0)
            return failed(&daemon, err);
    }
    notify("STOPPING=1");
    log_info("agent.stop", "runs=%zu", daemon.agent->run_count);
    return 0;
}

static int outcome_now(struct daemon *daemon, const char *run, int *ret_outcome, struct err *err)
{
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    int result = journal_run_find(daemon->journal, run, "", "", "", &row, err);
    if (result == 0)
        *ret_outcome = (int)row.outcome;
    return result;
}

int daemon_word(const struct config *config, int word, const char *install, int *ret_outcome,
                struct err *err)
{
    CLEANUP(daemon_close) struct daemon daemon = { .config = config, .signals = -1 };
    char run[RUN_ID_MAX] = "";
    int result = daemon_open(&daemon, false, err);
    if (result == 0)
        result = orders_local(daemon.agent, (enum run_event)word, install,
                              "a person on this server", err);
    for (size_t i = 0; result == 0 && i < daemon.agent->run_count; i++)
        if (!run_over(daemon.agent->runs[i]) &&
            (strcmp(run_installation(daemon.agent->runs[i]), install) == 0 ||
             strcmp(run_install(daemon.agent->runs[i]), install) == 0))
            (void)snprintf(run, sizeof run, "%s", run_id(daemon.agent->runs[i]));
    if (result != 0)
        return result;
    while (agent_busy(daemon.agent)) {
        if (signalled(&daemon))
            return err_set(
                err, FAIL_CANCELLED,
                "interrupted; the run goes on when the agent is started, or with this command");
        result = agent_tick(daemon.agent, err);
        if (result == 0)
            result = wait_for_news(&daemon, err);
        if (result != 0)
            return failed(&daemon, err);
    }
    return outcome_now(&daemon, run, ret_outcome, err);
}
