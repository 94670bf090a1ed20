#include "agent/edge/agent.h"
#include "agent/edge/damage.h"
#include "agent/edge/expire.h"
#include "agent/edge/orders.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include <string.h>
#include <sys/stat.h>

struct swept {
    pid_t pids[256];
    size_t count;
};

static int sweep_one(void *arg, int64_t pid, const char *birth, struct err *err)
{
    struct swept *swept = arg;
    int result = worker_sweep((pid_t)pid, birth, err);
    if (result == 0 && swept->count < sizeof swept->pids / sizeof *swept->pids)
        swept->pids[swept->count++] = (pid_t)pid;
    return result;
}

/* Nothing may still be acting for an earlier agent when a probe looks. */
static int sweep(struct agent *agent, struct err *err)
{
    struct swept swept = { .count = 0 };
    int result = journal_workers(agent->journal, sweep_one, &swept, err);
    for (size_t i = 0; i < swept.count && result == 0; i++)
        result = journal_worker_drop(agent->journal, swept.pids[i], err);
    return result;
}

int agent_run_load(struct agent *agent, const struct journal_run *row, struct run **ret,
                   struct err *err)
{
    if (agent->run_count == AGENT_RUNS_MAX)
        return err_set(err, FAIL_LIMIT, "%d runs are open on this server already", AGENT_RUNS_MAX);
    int result = run_open(&agent->host, row, &agent->runs[agent->run_count], err);
    if (result == 0)
        *ret = agent->runs[agent->run_count++];
    return result;
}

static int load_one(void *arg, const struct journal_run *row, struct err *err)
{
    struct run *run = NULL;
    int result = agent_run_load(arg, row, &run, err);
    if (result == 0)
        log_info("run.resumed", "run=%s site=%s", row->id, row->site);
    return result;
}

static bool agent_is_heard(const void *arg, int64_t silence_ms)
{
    const struct agent *agent = arg;
    int64_t limit_ms = silence_ms > 0 ? silence_ms : agent->silence_ms;
    if (!agent->linked)
        return true;
    if (agent->answered_mono_ms == 0)
        return false;
    return limit_ms == 0 || clock_mono_ms() - agent->answered_mono_ms < limit_ms;
}

static bool is_open(const void *arg, const char *run)
{
    const struct agent *agent = arg;
    for (size_t i = 0; i < agent->run_count; i++)
        if (strcmp(run_id(agent->runs[i]), run) == 0)
            return true;
    return false;
}

int agent_open(const struct config *config, struct journal *journal, const struct join *controller,
               void (*say)(void *arg, const void *frame, size_t len), void *arg, struct agent **ret,
               struct err *err)
{
    CLEANUP(agent_close) struct agent *agent = mem_zero(1, sizeof *agent);
    agent->config = config;
    agent->journal = journal;
    agent->host =
        (struct run_host){ config, journal, &agent->controller, say, arg, agent_is_heard, agent };
    agent->survey_wanted = true;
    if (controller)
        agent->controller = *controller;
    CLEANUP(free_mem)
    char *runs = config_state(config, "runs"), *artifacts = config_state(config, "artifacts");
    int result = fs_mkdirs(runs, 0700, err);
    if (result == 0)
        result = fs_mkdirs(artifacts, 0700, err);
    /* One level only: a missing parent is rather a file system that is not mounted. The check tells
     * when it is not there. */
    (void)mkdir(config->backup_dir, 0700);
    if (result == 0)
        result = sweep(agent, err);
    if (result == 0)
        result = journal_runs(journal, true, load_one, agent, err);
    if (result == 0)
        damage_keep(config, is_open, agent);
    if (result == 0)
        *ret = TAKE(agent);
    return result;
}

void agent_close(struct agent **pointer)
{
    struct agent *agent = *pointer;
    if (!agent)
        return;
    for (size_t i = 0; i < agent->run_count; i++)
        run_close(&agent->runs[i]);
    for (size_t i = 0; i < agent->task_count; i++)
        task_close(&agent->tasks[i]);
    task_close(&agent->surveyed);
    free(agent);
    *pointer = NULL;
}

struct run *agent_run(const struct agent *agent, const char *installation)
{
    for (size_t i = 0; i < agent->run_count; i++)
        if (strcmp(run_installation(agent->runs[i]), installation) == 0)
            return agent->runs[i];
    return NULL;
}

struct run *agent_fetching(const struct agent *agent)
{
    for (size_t i = 0; i < agent->run_count; i++)
        if (run_wants_fetch(agent->runs[i]))
            return agent->runs[i];
    return NULL;
}

static bool soaking(const struct run *run)
{
    const struct runbook *rb = run_runbook(run);
    return rb->mode == MODE_BUSY && rb->at == STEP_SOAK && !rb->undoing;
}

bool agent_busy(const struct agent *agent)
{
    for (size_t i = 0; i < agent->run_count; i++)
        if (!run_over(agent->runs[i]) && !soaking(agent->runs[i]) &&
            !run_wants_fetch(agent->runs[i]))
            return true;
    return false;
}

int agent_task_add(struct agent *agent, const struct task_spec *spec, struct err *err)
{
    if (agent->task_count == AGENT_TASKS_MAX)
        return err_set(err, FAIL_LIMIT, "%d jobs wait on this server already", AGENT_TASKS_MAX);
    agent->tasks[agent->task_count++] = task_new(&agent->host, spec);
    return 0;
}

static struct task *task_at(const struct agent *agent, const char *installation)
{
    for (size_t i = 0; i < agent->task_count; i++)
        if (task_acting(agent->tasks[i]) &&
            strcmp(task_installation(agent->tasks[i]), installation) == 0)
            return agent->tasks[i];
    return NULL;
}

static bool task_may_start(const struct agent *agent, const struct task *task)
{
    if (task_kind(task) == TASK_SURVEY)
        return true;
    const struct run *run = agent_run(agent, task_installation(task));
    if (run && !run_over(run) && (!soaking(run) || run_acting(run)))
        return false;
    return !task_at(agent, task_installation(task));
}

/* The newest survey is kept with its task, whose worker's memory holds it. */
static void task_ended(struct agent *agent, size_t at)
{
    struct task *task = agent->tasks[at];
    memmove(&agent->tasks[at], &agent->tasks[at + 1],
            (--agent->task_count - at) * sizeof agent->tasks[0]);
    const Confleet__Survey *survey = task_survey(task);
    if (survey) {
        if (!agent->survey) /* only now it is known what there is to look through */
            agent->expire_mono_ms = clock_mono_ms();
        task_close(&agent->surveyed);
        agent->surveyed = task;
        agent->survey = survey;
        return;
    }
    task_close(&task);
}

static int tasks_tick(struct agent *agent, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    if ((agent->survey_wanted || now_ms >= agent->survey_mono_ms) && !task_at(agent, "") &&
        agent->task_count < AGENT_TASKS_MAX) {
        struct task_spec spec = { .kind = TASK_SURVEY, .order_id = "", .installation = "",
                                  .install = "", .home = "", .site = "", .backup = "" };
        agent->survey_wanted = false;
        agent->survey_mono_ms = now_ms + agent->config->survey_ms;
        int result = agent_task_add(agent, &spec, err);
        if (result != 0)
            return result;
    }
    for (size_t i = 0; i < agent->task_count; i++) {
        int result = task_tick(agent->tasks[i], task_may_start(agent, agent->tasks[i]), err);
        if (result != 0)
            return result;
        if (!task_over(agent->tasks[i]))
            continue;
        /* What was found bad on the way is told with the next expiry. */
        if (task_failed(agent->tasks[i]) && (task_kind(agent->tasks[i]) == TASK_VERIFY ||
                                             task_kind(agent->tasks[i]) == TASK_BACKUP))
            agent->expire_mono_ms = clock_mono_ms();
        task_ended(agent, i--);
    }
    return 0;
}

static int run_one(struct agent *agent, struct run *run, struct err *err)
{
    struct task *task = task_at(agent, run_installation(run));
    if (task && run_runbook(run)->undoing) {
        int result = task_cancel(task, "a rollback began", err);
        if (result != 0)
            return result;
    } else if (task) {
        return 0;
    }
    return run_tick(run, err);
}

/* A release is large, and what needs it is over; a run that was not ready may be tried again soon.
 */
static void artifact_drop(const struct agent *agent, const struct run *over)
{
    const char *sha256 = run_release(over)->artifact_sha256;
    struct err err = { 0 };
    if (run_runbook(over)->outcome == OUTCOME_NOT_READY)
        return;
    for (size_t i = 0; i < agent->run_count; i++)
        if (agent->runs[i] != over &&
            strcmp(run_release(agent->runs[i])->artifact_sha256, sha256) == 0)
            return;
    CLEANUP(free_mem) char *path = config_artifact(agent->config, sha256);
    if (fs_unlink(path, &err) != 0)
        log_warn("artifact.left", "message=\"%s\"; ignoring", err.text);
}

static int runs_tick(struct agent *agent, struct err *err)
{
    for (size_t i = 0; i < agent->run_count; i++) {
        struct run *run = agent->runs[i];
        if (run_over(run) && run_runbook(run)->outcome == OUTCOME_HELD)
            continue;
        int result = run_one(agent, run, err);
        if (result != 0)
            return result;
        if (!run_over(run))
            continue;
        agent->survey_wanted = true;
        if (run_runbook(run)->outcome == OUTCOME_HELD)
            continue;
        artifact_drop(agent, run);
        run_close(&agent->runs[i]);
        memmove(&agent->runs[i], &agent->runs[i + 1],
                (--agent->run_count - i) * sizeof agent->runs[0]);
        i--;
        damage_keep(agent->config, is_open, agent);
    }
    return 0;
}

int agent_tick(struct agent *agent, struct err *err)
{
    int result = runs_tick(agent, err);
    if (result == 0)
        result = expire_tick(agent, err);
    return result ? result : tasks_tick(agent, err);
}

size_t agent_poll(const struct agent *agent, zmq_pollitem_t items[AGENT_POLL_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < agent->run_count; i++)
        count += run_poll(agent->runs[i], items + count);
    for (size_t i = 0; i < agent->task_count; i++)
        count += task_poll(agent->tasks[i], items + count);
    return count;
}

int64_t agent_due_ms(const struct agent *agent)
{
    int64_t due_ms = agent->survey_wanted ? 0 : agent->survey_mono_ms;
    due_ms = agent->expire_mono_ms < due_ms ? agent->expire_mono_ms : due_ms;
    for (size_t i = 0; i < agent->run_count; i++) {
        int64_t mine_ms = task_at(agent, run_installation(agent->runs[i]))
                              ? INT64_MAX
                              : run_due_ms(agent->runs[i]);
        due_ms = mine_ms < due_ms ? mine_ms : due_ms;
    }
    for (size_t i = 0; i < agent->task_count; i++) {
        bool ready = !task_acting(agent->tasks[i]) && task_may_start(agent, agent->tasks[i]);
        int64_t mine_ms = ready ? 0 : task_due_ms(agent->tasks[i]);
        due_ms = mine_ms < due_ms ? mine_ms : due_ms;
    }
    return due_ms;
}
