/* Which code an order means: jobs by name, steps by the tables that their families keep. */
#include "agent/core/runbook.h"
#include "agent/worker/backup/twin.h"
#include "agent/worker/job.h"
#include "agent/worker/steps/ready.h"
#include "agent/worker/steps/reserve.h"
#include "confleet/cleanup.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct step_impl *impl_find(const char *step)
{
    const struct step_impl *const tables[] = { steps_files, steps_service, steps_health, steps_backup };
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct step_impl *impl = tables[t]; impl->name; impl++)
            if (strcmp(impl->name, step) == 0)
                return impl;
    return NULL;
}

/* The last step before the stop proves the backup, which may take hours; then readiness is looked at
 * once more, while nothing is changed yet. */
static int step_act(const struct step_impl *impl, enum step step, struct job *job, struct err *err)
{
    if (impl->act(job, err))
        return -err->code;
    if (step == STEP_COMMIT)
        twin_tidy(job, true);
    return step == STEP_VERIFY ? ready_again(job, err) : 0;
}

static int step_probe(const struct step_impl *impl, enum step step, struct job *job, struct err *err)
{
    Confleet__ProbeState *probe = &job_result(job)->probe;
    struct err why = { 0 };
    if (impl->probe(job, probe, err))
        return -err->code;
    /* Proven, and not ready any more: the act is done again, and says so. */
    if (step == STEP_VERIFY && *probe == CONFLEET__PROBE_STATE__PROBE_COMPLETE && ready_again(job, &why))
        *probe = CONFLEET__PROBE_STATE__PARTIAL;
    return 0;
}

static int step_job(struct job *job, struct err *err)
{
    const Confleet__WorkerOrder *order = job_order(job);
    enum step step;
    if (step_parse(order->step, &step, err))
        return err_wrap(err, "order");
    const struct step_impl *impl = impl_find(order->step);
    if (!impl)
        return err_set(err, FAIL_UNSUPPORTED, "step %s is not done by the worker", order->step);
    switch (order->phase) {
    case CONFLEET__WORKER_PHASE__ACT:
        return step_act(impl, step, job, err);
    case CONFLEET__WORKER_PHASE__UNDO:
        if (!impl->undo)
            return err_set(err, FAIL_UNSUPPORTED, "step %s has no way back of its own", order->step);
        /* From the stop on the way back may need the room that was kept for it. */
        if (step >= STEP_STOP && reserve_undo(job, err))
            return err_wrap(err, "release the reserve");
        if (impl->undo(job, err))
            return -err->code;
        /* The old version serves again: the rest has time. */
        if (step == STEP_STOP)
            twin_tidy(job, false);
        return 0;
    case CONFLEET__WORKER_PHASE__PROBE:
        if (!impl->probe)
            return err_set(err, FAIL_UNSUPPORTED, "step %s cannot be probed", order->step);
        return step_probe(impl, step, job, err);
    default:
        return err_set(err, FAIL_USAGE, "order names no phase of step %s", order->step);
    }
}

static const struct kind { const char *name; step_fn *run; } kinds[] = {
    { "step", step_job },     { "survey", survey_job },   { "check", check_job },   { "backup", backup_job },
    { "verify", verify_job }, { "restore", restore_job }, { "expire", expire_job },
    { "licence", licence_job }, { "backups", backups_job },
    { "manifest", manifest_job },
};

/* The policy file names these; a path that is not plain would let a later join reach elsewhere. */
static int path_check(const char *what, const char *path, bool needed, struct err *err)
{
    if (!path[0] && !needed)
        return 0;
    size_t len = strlen(path);
    if (path[0] != '/' || len < 2 || path[len - 1] == '/' || strstr(path, "//") || strstr(path, "/../") ||
        (len >= 3 && strcmp(path + len - 3, "/..") == 0))
        return err_set(err, FAIL_USAGE, "%s '%s' is not an absolute plain path", what, path);
    return 0;
}

static int node_check(const struct job *job, bool is_step, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    if (path_check("installation", node->install, is_step, err) || path_check("home", node->home, false, err) ||
        path_check("backup folder", node->backup_dir, is_step, err) || path_check("run folder", node->run_dir, is_step, err) ||
        path_check("stage folder", node->stage_dir, is_step, err) || path_check("hooks folder", node->hooks_dir, false, err) ||
        path_check("licence file", node->licence_file, false, err) ||
        path_check("folder to restore into", job_order(job)->into, false, err))
        return err_wrap(err, "order");
    size_t len = strlen(node->install);
    if (is_step && strncmp(node->stage_dir, node->install, len) == 0 &&
        (node->stage_dir[len] == '/' || !node->stage_dir[len]))
        return err_set(err, FAIL_USAGE, "stage folder %s lies inside the installation", node->stage_dir);
    return 0;
}

static int job_do(struct job *job, struct err *err)
{
    const char *name = job_order(job)->job;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return node_check(job, i == 0, err) ? -err->code : kinds[i].run(job, err);
    return err_set(err, FAIL_UNSUPPORTED, "no job is called '%s'", name);
}

static int order_read(int fd, struct arena *arena, struct str *buffer, Confleet__WorkerOrder **ret, struct err *err)
{
    for (;;) {
        const uint8_t *bytes = NULL;
        size_t len = 0;
        int taken = wire_pipe_take(buffer, &bytes, &len, err);
        if (taken < 0)
            return taken;
        if (taken)
            return wire_decode_worker_order(arena, bytes, len, ret, err);
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read the order");
        if (got == 0)
            return err_set(err, FAIL_PROTOCOL, "the order ended after %zu bytes", buffer->len);
        str_add_bytes(buffer, chunk, (size_t)got);
    }
}

int job_run(int in_fd, int out_fd)
{
    struct err err = { 0 };
    Confleet__WorkerOrder none = CONFLEET__WORKER_ORDER__INIT, *order = &none;
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str buffer = { 0 };
    int rc = order_read(in_fd, arena, &buffer, &order, &err);
    CLEANUP(job_free) struct job *job = job_new(order, out_fd);
    if (rc == 0)
        rc = job_do(job, &err);
    Confleet__WorkerResult *result = job_result(job);
    if (rc) {
        result->code = (uint32_t)err.code;
        result->message = text_dup(err.text);
        if (!text_is_utf8(result->message, strlen(result->message)))
            for (char *c = result->message; *c; c++)
                if ((unsigned char)*c >= 0x80)
                    *c = '?';
    }
    /* The exit status only says whether the result reached the agent; the result says the rest. */
    return job_end(job) ? 1 : 0;
}
