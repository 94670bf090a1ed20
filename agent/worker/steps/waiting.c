#include "agent/worker/steps/waiting.h"
#include "agent/worker/confluence/process.h"
#include "agent/worker/steps/http.h"
#include "agent/worker/steps/inside.h"
#include "agent/worker/steps/logwatch.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <poll.h>
#include <string.h>

#define POLL_MS 250
#define AGAIN_MS 100                 /* what looks bad is looked at again soon: from there the site is down for nothing */
#define RUNNING_POLLS 10             /* RUNNING that lasts: some failures come a moment after it */
#define BAD_POLLS 2
#define DEAD_POLLS 8
#define UNSEEN_MS 20000              /* until a process that was never seen counts as gone */
#define MARK_MISSING_MS 60000        /* RUNNING, builds right, but no word of it in the log (a log configuration of the site's own) */

struct follow {
    const struct waiting *want;
    struct http_place place;
    struct logwatch log, out;
    struct str answer;               /* of the last /status */
    enum site_state state, before;
    unsigned running, bad, dead;
    bool seen;                       /* its process */
    pid_t foreign;                   /* its process, of another account */
    int64_t start_ms, progress_ms, running_ms;
};

int builds_read(const struct job *job, struct builds *ret, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    struct builds builds = { 0 };
    if (site_read(job, &found, err))
        return err_wrap(err, "read the builds");
    builds.app = found.app_build;
    builds.home = found.home_build;
    if (database_connect(&found.database, NULL, NULL, NULL, 60, &conn, err) || database_build(conn, &builds.database, err))
        return err_wrap(err, "read the database's build");
    *ret = builds;
    return 0;
}

static bool builds_are(const struct job *job, uint32_t build)
{
    struct builds builds;
    return builds_read(job, &builds, NULL) == 0 && builds.home == build && builds.database == build;
}

static const char *log_failure(const struct follow *f)
{
    return f->log.failed ? f->log.failure : f->out.failed ? f->out.failure : f->log.failure[0] ? f->log.failure : f->out.failure;
}

static int fail_with(const struct follow *f, const char *what, struct err *err)
{
    const char *why = log_failure(f);
    const char *label = why[0] ? "log: " : f->log.last[0] || f->out.last[0] ? "last words in the log: " : "";
    if (!why[0])
        why = f->log.last[0] ? f->log.last : f->out.last;
    return err_set(err, FAIL_UNHEALTHY, "%s; %s%s", what, label, why[0] ? why : "no log of this start was found");
}

static void look(struct job *job, struct follow *f, int64_t now)
{
    bool grew = logwatch_poll(&f->log), out_grew = logwatch_poll(&f->out);
    pid_t pid = 0;
    f->before = f->state;
    f->state = http_state(&f->place, &f->answer);
    if (grew || out_grew || f->state != f->before)
        f->progress_ms = now;
    f->running = f->state == SITE_RUNNING ? f->running + 1 : 0;
    f->bad = f->state == SITE_ERROR || f->state == SITE_FIRST_RUN ? f->bad + 1 : 0;
    if (f->running == 1)
        f->running_ms = now;
    bool gone = installation_pid(f->want->found->install, site_proc(job), &pid, NULL) == 0 && pid == 0;
    f->foreign = pid && !site_process_is_users(job, f->want->found, pid) && process_serves(site_proc(job), pid, f->want->found->install, true) ? pid : 0;
    f->seen = f->seen || pid || grew;      /* who wrote the log was there */
    f->dead = gone && f->state == SITE_SILENT && (f->seen || now - f->start_ms > UNSEEN_MS) ? f->dead + 1 : 0;
}

/* 1: well; 0: go on; negative: it will not become well. */
static int judge(struct job *job, const struct follow *f, int64_t now, struct err *err)
{
    char quiet[24];
    if (f->log.failed || f->out.failed)
        return fail_with(f, "Confluence gave up its start", err);
    if (f->foreign)
        return err_set(err, FAIL_DENIED, "process %ld of Confluence is not one of the account %s (user id %ld) that it ran as before the upgrade",
                       (long)f->foreign, f->want->found->run_user, (long)f->want->found->uid);
    if (f->bad >= BAD_POLLS)
        return fail_with(f, str_text(&f->answer), err);
    if (f->dead >= DEAD_POLLS)
        return fail_with(f, "the process of Confluence is gone", err);
    if (f->running >= RUNNING_POLLS && (!f->want->upgrade || f->log.upgraded))
        return 1;
    if (f->running >= RUNNING_POLLS && now - f->running_ms >= MARK_MISSING_MS && builds_are(job, f->want->build)) {
        job_finding(job, "upgrade-mark-missing", CONFLEET__SEVERITY__WARN, "the log does not say that the upgrade is complete",
                    "see whether the site's log configuration leaves out level INFO",
                    "RUNNING for a minute, home and database are at build %u, but no \"Upgrade completed successfully\" was logged", f->want->build);
        return 1;
    }
    if (now - f->progress_ms < f->want->quiet_ms)
        return 0;
    return err_set(err, FAIL_TIMEOUT, "no sign of progress for %s; %.200s; last words in the log: %.200s", text_duration(now - f->progress_ms, quiet),
                   str_text(&f->answer), f->log.last[0] ? f->log.last : f->out.last);
}

static void tell(struct job *job, const struct follow *f)
{
    const char *last = f->log.last[0] ? f->log.last : f->out.last;
    if (f->state == SITE_RUNNING && f->want->upgrade && !f->log.upgraded)
        job_progress(job, 0, 0, "RUNNING, waiting for \"Upgrade completed successfully\"");
    else if (f->state == SITE_RUNNING)
        job_progress(job, f->running, RUNNING_POLLS, "RUNNING, waiting whether it stays so");
    else
        job_progress(job, 0, 0, "waiting for RUNNING, /status says %s%s%.200s", site_state_name(f->state), last[0] ? ": " : "", last);
}

static void follow_free(struct follow *f)
{
    logwatch_close(&f->log);
    logwatch_close(&f->out);
    str_free(&f->answer);
}

int waiting_run(struct job *job, const struct waiting *waiting, struct err *err)
{
    CLEANUP(follow_free) struct follow f = { .want = waiting, .start_ms = clock_mono_ms() };
    f.progress_ms = f.start_ms;
    CLEANUP(free_mem) char *log = fs_join(waiting->found->home, "logs/atlassian-confluence.log");
    CLEANUP(free_mem) char *out = fs_join(waiting->found->install, "logs/catalina.out");
    logwatch_open(&f.log, log, waiting->log_offset);
    /* A new tree has written nothing before; an old one's file is followed from its end. */
    logwatch_open(&f.out, out, tree_is_ours(job, waiting->found->install) ? 0 : logwatch_size(out));
    f.log.run_uid = f.out.run_uid = inside_uid(waiting->found->run_user);
    if (http_place(waiting->found->install, job_node(job)->token_file, &f.place, err))
        return err_wrap(err, "find out where Confluence listens");
    for (;;) {
        int64_t now = clock_mono_ms();
        look(job, &f, now);
        int verdict = judge(job, &f, now, err);
        if (verdict)
            return verdict > 0 ? 0 : verdict;
        tell(job, &f);
        (void)poll(NULL, 0, f.bad || f.dead ? AGAIN_MS : POLL_MS);
    }
}
