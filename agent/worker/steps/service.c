/* The steps that stop and start the service and wait for it, and their ways back. */
#include "agent/worker/backup/capture.h"
#include "agent/worker/steps/evidence.h"
#include "agent/worker/steps/guard.h"
#include "agent/worker/steps/hooks.h"
#include "agent/worker/steps/http.h"
#include "agent/worker/steps/launch.h"
#include "agent/worker/steps/logwatch.h"
#include "agent/worker/steps/proof.h"
#include "agent/worker/steps/site.h"
#include "agent/worker/steps/waiting.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define STOP_DEFAULT_S 300
#define START_DEFAULT_S 900
#define KILL_GRACE_MS 30000
#define PORT_CLOSE_MS 30000
#define PID_APPEARS_MS 10000
#define COMPLETE CONFLEET__PROBE_STATE__PROBE_COMPLETE
#define PARTIAL CONFLEET__PROBE_STATE__PARTIAL
#define ABSENT CONFLEET__PROBE_STATE__ABSENT

static int64_t stop_ms(const struct job *job)
{
    uint32_t seconds = job_node(job)->stop_timeout_s;
    return (int64_t)(seconds ? seconds : STOP_DEFAULT_S) * 1000;
}

static int64_t grace_ms(const struct job *job)
{
    return stop_ms(job) < KILL_GRACE_MS ? stop_ms(job) : KILL_GRACE_MS;
}

static int64_t quiet_ms(const struct job *job)
{
    uint32_t seconds = job_node(job)->start_timeout_s;
    return (int64_t)(seconds ? seconds : START_DEFAULT_S) * 1000;
}

/* ---------------------------------------------------------------- stop */

static int ports_wait_closed(struct job *job, const struct installation *found, struct err *err)
{
    struct http_place place = { 0 };
    if (http_place(found->install, NULL, &place, err))
        return err_wrap(err, "find out where Confluence listens");
    const uint32_t ports[] = { place.port, found->shutdown_port };
    int64_t end = clock_mono_ms() + PORT_CLOSE_MS;
    for (size_t i = 0; i < 2; i++)
        while (http_port_open(i ? "127.0.0.1" : place.host, ports[i])) {
            if (clock_mono_ms() >= end)
                return err_set(err, FAIL_CONFLICT, "port %u still answers although no process of %s is left; somebody else listens there",
                               ports[i], found->install);
            job_progress(job, 0, 0, "waiting for port %u to close", ports[i]);
            (void)poll(NULL, 0, 20);
        }
    return 0;
}

static int service_stop(struct job *job, const struct installation *found, struct err *err)
{
    struct err asked = { 0 }, gone = { 0 };
    int64_t limit = stop_ms(job), start = clock_mono_ms();
    job_progress(job, 0, 0, "stopping process %ld", (long)found->pid);
    if (launch_stop(job, found, limit, &asked))
        job_log(job, 4, "%s; waiting, then signals", asked.text);
    int64_t left = limit - (clock_mono_ms() - start);
    if (launch_wait_gone(job, found, left > 0 ? left : 0, &gone) == 0)
        return 0;
    job_finding(job, "stop-killed", CONFLEET__SEVERITY__WARN, "Confluence did not stop when asked", "look at the site's log for what hung",
                "%s%s%s after %lld s; it gets signals", gone.text, asked.code ? "; " : "", asked.text, (long long)limit / 1000);
    return launch_kill(job, found, grace_ms(job), err) ? err_wrap(err, "stop") : 0;
}

static int stop_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    int64_t number = 0;
    bool has_number = false;
    if (site_read(job, &found, err))
        return err_wrap(err, "read the installation");
    if (found.pid) {
        launch_remember(job, &found);
        job_memo_set(job, MEMO_WAS_RUNNING, "1");
        if (hooks_run(job, "pre-stop", "upgrade", err) || service_stop(job, &found, err))
            return -err->code;
    } else if (!job_memo(job, MEMO_WAS_RUNNING)[0]) {
        job_memo_set(job, MEMO_WAS_RUNNING, "0");
    }
    /* Also what the pid file does not know, such as a part that outlived its parent. */
    if (launch_kill(job, &found, grace_ms(job), err) || ports_wait_closed(job, &found, err))
        return -err->code;
    if (proof_alone(job, &found.database, &number, &has_number, err))
        return -err->code;
    CLEANUP(free_mem) char *counts = proof_counts(&found.database);
    job_memo_set(job, "stop-counts", "%s", counts);
    job_memo_set(job, MEMO_STOPPED_AT, "%" PRId64, clock_wall_ms());
    if (has_number)
        job_memo_set(job, MEMO_SAFETY_NUMBER, "%" PRId64, number);
    return 0;
}

static int stop_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    struct http_place place = { 0 };
    if (site_read(job, &found, err) || http_place(found.install, NULL, &place, err))
        return err_wrap(err, "look whether it is stopped");
    bool open = http_port_open(place.host, place.port) || http_port_open("127.0.0.1", found.shutdown_port);
    /* Stopped without the proof on record is only half of the step. */
    *ret = found.pid ? open ? ABSENT : PARTIAL : open || !job_memo(job, MEMO_STOPPED_AT)[0] ? PARTIAL : COMPLETE;
    return 0;
}

/* ---------------------------------------------------------------- the old version again: the proof of ROLLED_BACK */

static int old_check(struct job *job, struct err *err)
{
    struct builds builds = { 0 };
    uint32_t want = site_memo_u32(job, MEMO_OLD_BUILD);
    char version[64], date[16];
    uint32_t app = 0;
    if (installation_release(job_node(job)->install, version, &app, date, err) || builds_read(job, &builds, err))
        return -err->code;
    const char *old_version = job_memo(job, MEMO_OLD_VERSION);
    if (old_version[0] && strcmp(old_version, version) != 0)
        return err_set(err, FAIL_MISMATCH, "%s holds version %s, before the upgrade it was %s", job_node(job)->install, version, old_version);
    if (want && (app != want || builds.home != want || builds.database != want))
        return err_set(err, FAIL_MISMATCH, "builds after the way back: application %u, home %u, database %u; before the upgrade all were %u",
                       app, builds.home, builds.database, want);
    return 0;
}

static int old_start(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    const char *install = job_node(job)->install;
    Confleet__ProbeState guard = ABSENT;
    if (guard_look(install, &guard, err) || (guard != ABSENT && guard_clear(install, err)))
        return err_wrap(err, "free the old version");
    if (site_read(job, &found, err))
        return err_wrap(err, "read the installation");
    CLEANUP(free_mem) char *log = fs_join(found.home, "logs/atlassian-confluence.log");
    const struct waiting waiting = { .found = &found, .log_offset = logwatch_size(log), .build = found.app_build, .quiet_ms = quiet_ms(job) };
    if (!found.pid && launch_start(job, &found, err))
        return err_wrap(err, "start the old version");
    if (waiting_run(job, &waiting, err))
        return err_wrap(err, "old version");
    return 0;
}

static int stop_undo(struct job *job, struct err *err)
{
    bool ours = false;
    if (tree_mark_read(job, job_node(job)->install, &ours, err))
        return -err->code;
    if (ours)
        return err_set(err, FAIL_CONFLICT, "%s still holds the new version; the old one cannot be started", job_node(job)->install);
    if (old_check(job, err))
        return -err->code;
    if (strcmp(job_memo(job, MEMO_WAS_RUNNING), "0") == 0) {
        job_log(job, 6, "the site was not running before; it is left stopped");
        return guard_clear(job_node(job)->install, err);
    }
    if (old_start(job, err) || old_check(job, err))
        return -err->code;
    hooks_run_noted(job, "post-start", "rollback");
    return 0;
}

/* ---------------------------------------------------------------- start */

/* The start of the new build is noted before its first effect, with the log's size as it was then: a second run of the step
 * must neither move the offset nor compare a safety number that the new build has moved itself. */
static char *start_note(const struct job *job)
{
    return site_run(job, "start");
}

static bool start_noted(const struct job *job, uint64_t *ret_offset)
{
    CLEANUP(free_mem) char *path = start_note(job);
    CLEANUP(str_free) struct str text = { 0 };
    return fs_read(path, 64, &text, NULL) == 0 && text_parse_u64(str_text(&text), INT64_MAX, ret_offset);
}

/* Nothing of the new build has run: no process, no word in its output (a fresh tree has none). */
static bool start_untouched(const struct installation *found)
{
    CLEANUP(free_mem) char *out = fs_join(found->install, "logs/catalina.out");
    return !found->pid && logwatch_size(out) == 0;
}

/* As long as this note is there the database is what it was at the stop. It is written before the first look, and only while
 * that is so; a run of an agent that knew no such note has none and counts as started. */
static int unstarted_note(const struct job *job, const struct installation *found, struct err *err)
{
    CLEANUP(free_mem) char *note = site_run(job, SITE_UNSTARTED_NOTE);
    uint64_t offset = 0;
    if (start_noted(job, &offset) || !start_untouched(found))
        return 0;
    return fs_write(note, "", 0, 0600, err) ? err_wrap(err, "note that nothing was started yet") : 0;
}

static int unstarted_forget(const struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *note = site_run(job, SITE_UNSTARTED_NOTE);
    return fs_unlink(note, err) ? err_wrap(err, "note the start") : 0;
}

static int start_allow(struct job *job, const struct installation *found, struct err *err)
{
    int64_t number = 0;
    bool has_number = false;
    const char *at_stop = job_memo(job, MEMO_SAFETY_NUMBER);
    if (proof_alone(job, &found->database, &number, &has_number, err))
        return err_wrap(err, "before the start");
    CLEANUP(free_mem) char *now = has_number ? text_printf("%" PRId64, number) : text_dup("");
    if (at_stop[0] && strcmp(at_stop, now) != 0)
        return err_set(err, FAIL_CONFLICT, "the safety number in the database was %s at the stop and is %s now: another Confluence uses it",
                       at_stop, now[0] ? now : "gone");
    return 0;
}

static int start_prepare(struct job *job, const struct installation *found, uint64_t *ret_offset, struct err *err)
{
    uint64_t offset = 0;
    if (!start_noted(job, &offset)) {
        CLEANUP(free_mem) char *log = fs_join(found->home, "logs/atlassian-confluence.log"), *note = start_note(job);
        if (start_allow(job, found, err))
            return -err->code;
        offset = logwatch_size(log);
        CLEANUP(free_mem) char *text = text_printf("%" PRIu64, offset);
        if (fs_write(note, text, strlen(text), 0600, err))
            return err_wrap(err, "note the start");
    }
    *ret_offset = offset;
    return 0;
}

static int start_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    const char *install = job_node(job)->install;
    uint64_t offset = 0;
    bool ours = false;
    if (tree_mark_read(job, install, &ours, err))
        return -err->code;
    if (!ours)
        return err_set(err, FAIL_CONFLICT, "%s does not hold the new version", install);
    if (site_read(job, &found, err) || unstarted_note(job, &found, err) || start_prepare(job, &found, &offset, err))
        return -err->code;
    job_memo_set(job, MEMO_LOG_OFFSET, "%" PRIu64, offset);
    /* From here on anybody's start would be the new build's. */
    if (unstarted_forget(job, err))
        return -err->code;
    if (guard_clear(install, err))
        return -err->code;
    if (found.pid)
        return 0;
    CLEANUP(free_mem) char *out = fs_join(install, "logs/catalina.out"), *log = fs_join(found.home, "logs/atlassian-confluence.log");
    /* A fresh tree has no output, and since the stop nobody else wrote the log: it was started before and is gone. */
    if (logwatch_size(out) > 0 || logwatch_size(log) > offset)
        return err_set(err, FAIL_UNHEALTHY, "the new version was started once already and ended by itself; see %s and %s", out, log);
    if (launch_start(job, &found, err))
        return err_wrap(err, "start the new version");
    pid_t pid = 0;
    /* Words without a process are an end already; the next step reads them. */
    for (int64_t end = clock_mono_ms() + PID_APPEARS_MS; !pid && !logwatch_size(out) && clock_mono_ms() < end; (void)poll(NULL, 0, 20))
        if (installation_pid(install, site_proc(job), &pid, err))
            return -err->code;
    job_log(job, 6, pid ? "the new version runs as process %ld" : "no process of the new version is seen yet", (long)pid);
    return 0;
}

static bool site_serves(const struct installation *found)
{
    struct http_place place = { 0 };
    struct err ignored = { 0 };
    return found->pid && http_place(found->install, NULL, &place, &ignored) == 0 && http_state(&place, NULL) == SITE_RUNNING;
}

static int start_undo(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(free_mem) char *note = start_note(job);
    const char *install = job_node(job)->install;
    uint64_t offset = 0;
    bool ours = false;
    if (tree_mark_read(job, install, &ours, err))
        return -err->code;
    if (!ours)
        return 0;                    /* the new version is not where it could have been started */
    if (site_read(job, &found, err))
        return -err->code;
    if (!start_untouched(&found) && unstarted_forget(job, err))
        return -err->code;
    /* A site that serves is worth more than one that is down and cannot go back; a failed one has nothing to lose but time. */
    if (job_order(job)->new_build_started && site_serves(&found) && capture_usable(job, err))
        return -err->code;
    if (start_noted(job, &offset))
        job_memo_set(job, MEMO_LOG_OFFSET, "%" PRIu64, offset);
    struct err asked = { 0 };
    if (job_node(job)->service[0] && launch_stop(job, &found, stop_ms(job), &asked))
        job_log(job, 4, "%s; signals follow", asked.text);
    /* The guard first: what is stopped now shall not come back by a supervisor or a hand. */
    if (guard_set(install, clock_wall_ms(), err) || launch_kill(job, &found, grace_ms(job), err) || ports_wait_closed(job, &found, err))
        return err_wrap(err, "stop the new version");
    evidence_keep_home(job);
    evidence_keep_tree(job, install);
    return fs_unlink(note, err) ? err_wrap(err, "forget the start") : 0;
}

static int start_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    const char *install = job_node(job)->install;
    Confleet__ProbeState guard = ABSENT;
    uint64_t offset = 0;
    pid_t pid = 0;
    bool ours = false;
    if (guard_look(install, &guard, err) || installation_pid(install, site_proc(job), &pid, err) || tree_mark_read(job, install, &ours, err))
        return -err->code;
    bool noted = start_noted(job, &offset);
    *ret = ours && pid && noted && job_memo(job, MEMO_LOG_OFFSET)[0] ? COMPLETE : !noted && !pid && guard == COMPLETE ? ABSENT : PARTIAL;
    return 0;
}

/* ---------------------------------------------------------------- wait */

static int wait_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    uint64_t offset = 0;
    if (site_read(job, &found, err))
        return err_wrap(err, "read the installation");
    if (!text_parse_u64(job_memo(job, MEMO_LOG_OFFSET), INT64_MAX, &offset))
        return err_set(err, FAIL_CONFLICT, "it is not known where the log of this start begins");
    uint32_t old_build = site_memo_u32(job, MEMO_OLD_BUILD);
    const struct waiting waiting = { .found = &found, .log_offset = offset, .upgrade = !old_build || old_build != found.app_build,
                                     .build = found.app_build, .quiet_ms = quiet_ms(job) };
    return waiting_run(job, &waiting, err);
}

static int wait_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)job, (void)err;
    *ret = PARTIAL;              /* only looks; looking again is the only way to know */
    return 0;
}

const struct step_impl steps_service[] = {
    { "stop", stop_act, stop_undo, stop_probe },
    { "start", start_act, start_undo, start_probe },
    { "wait", wait_act, NULL, wait_probe },
    { NULL, NULL, NULL, NULL },
};
