#include "agent/edge/task.h"
#include "agent/core/memo.h"
#include "agent/edge/apps.h"
#include "agent/edge/waivers.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include <string.h>

#define PROGRESS_GAP_MS 250
#define LIMIT_MS        (24LL * 3600 * 1000)
#define SURVEY_LIMIT_MS (5LL * 60 * 1000)

static const char *const kind_names[] = { "survey", "check", "backup", "verify", "expire",
                                          "restore" };

struct task {
    struct run_host host;
    enum task_kind kind;
    char *order_id, *installation, *install, *home, *site, *backup, *into, *run_dir;
    bool full_speed;
    struct arena *arena;         /* of check */
    Confleet__OrderCheck *check; /* or NULL */
    struct words {
        char *text, **word;
        size_t count;
    } runs, keep; /* of an expiry */
    int64_t before_ms;
    struct worker *worker;
    int64_t said_mono_ms;
    bool over, failed;
};

static void words_take(struct words *words, const char *lines)
{
    words->text = text_dup(lines);
    for (char *at = words->text; *at;) {
        char *end = strchr(at, '\n');
        words->word = mem_grow(words->word, words->count + 1, sizeof *words->word);
        words->word[words->count++] = at;
        *end = 0;
        at = end + 1;
    }
}

/* The order's own memory is gone before the task begins. */
static void check_take(struct task *task, const Confleet__OrderCheck *check)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&check->base, &bytes);
    task->arena = arena_new(WIRE_ARENA_MAX);
    /* It was decoded from a frame of the same size; what cannot be is left out of the check. */
    if (wire_decode_order_check(task->arena, bytes.s, bytes.len, &task->check, NULL) != 0)
        task->check = NULL;
}

struct task *task_new(const struct run_host *host, const struct task_spec *spec)
{
    struct task *task = mem_zero(1, sizeof *task);
    task->host = *host;
    task->kind = spec->kind;
    task->order_id = text_dup(spec->order_id);
    task->installation = text_dup(spec->installation);
    task->install = text_dup(spec->install);
    task->home = text_dup(spec->home);
    task->site = text_dup(spec->site);
    task->backup = text_dup(spec->backup);
    task->into = text_dup(spec->into ? spec->into : "");
    task->full_speed = spec->full_speed;
    if (spec->expiry) {
        words_take(&task->runs, spec->expiry->runs);
        words_take(&task->keep, spec->expiry->keep);
        task->before_ms = spec->expiry->before_ms;
    }
    if (spec->check)
        check_take(task, spec->check);
    return task;
}

void task_close(struct task **pointer)
{
    struct task *task = *pointer;
    if (!task)
        return;
    worker_close(&task->worker);
    char **owned[] = { &task->order_id, &task->installation, &task->install,
                       &task->home,     &task->site,         &task->backup,
                       &task->into,     &task->run_dir,      &task->runs.text,
                       &task->keep.text };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(*owned[i]);
    arena_free(&task->arena);
    free(task->runs.word);
    free(task->keep.word);
    free(task);
    *pointer = NULL;
}

enum task_kind task_kind(const struct task *task)
{
    return task->kind;
}
const char *task_installation(const struct task *task)
{
    return task->installation;
}
bool task_over(const struct task *task)
{
    return task->over;
}
bool task_failed(const struct task *task)
{
    return task->failed;
}
bool task_acting(const struct task *task)
{
    return task->worker && !task->over;
}

static struct report_about about_of(const struct task *task)
{
    return (struct report_about){ task->order_id, task->installation, task->site, NULL, 0 };
}

const Confleet__Survey *task_survey(const struct task *task)
{
    const Confleet__WorkerResult *result =
        task->over && task->worker ? worker_result(task->worker) : NULL;
    return result && result->code == 0 ? result->survey : NULL;
}

/* An expiry is told where runs are; the others have a folder of their own. */
static char *run_dir_of(const struct task *task)
{
    if (task->kind == TASK_EXPIRE)
        return config_state(task->host.config, "runs");
    return text_printf("%s/runs/%s%s%s", task->host.config->state_dir, kind_names[task->kind],
                       *task->installation ? "-" : "", task->installation);
}

static void waiver_refused(void *arg, const char *why)
{
    const struct task *task = arg;
    struct report_about about = about_of(task);
    struct err err = { 0 };
    CLEANUP(free_mem) char *text = text_printf("a waiver of site %s does not count: %s", task->site,
                                               why);
    log_warn("waiver.refused", "site=%s why=\"%s\"", task->site, why);
    /* A journal that cannot take a log line cannot take the task's end either. */
    (void)!report_log(task->host.journal, &about, LOG_LEVEL_WARN, text, &err);
}

/* The list that the order borrows is good until the order is encoded. */
static void waivers_give(struct task *task, struct arena *arena, struct waivers *waivers,
                         Confleet__WorkerOrder *order)
{
    if (!task->host.controller)
        return;
    waivers_take(task->host.controller, arena, task->check->waivers, task->check->n_waivers,
                 task->site, clock_wall_ms(), waiver_refused, task, waivers);
    order->waivers = waivers->list;
    order->n_waivers = waivers->count;
}

/* A file that could not be written costs the check one unknown finding. */
static void apps_take(const struct task *task, Confleet__WorkerNode *node)
{
    struct err err = { 0 };
    bool kept = apps_keep(task->host.config, task->check, &err) == 0;
    if (!kept)
        log_warn("apps.not-kept", "message=\"%s\"; ignoring", err.text);
    node->apps_file =
        (char *)(uintptr_t)(kept && task->check->n_apps ? task->host.config->apps : "");
}

static int task_start(struct task *task, struct err *err)
{
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    Confleet__WorkerNode node;
    CLEANUP(free_mem) char *stage_dir = NULL;
    CLEANUP(free_mem) char *licence = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct waivers waivers;
    task->run_dir = run_dir_of(task);
    int result = fs_mkdirs(task->run_dir, 0700, err);
    if (result == 0)
        result = worker_open(task->host.config->worker, &task->worker, err);
    if (result == 0)
        result = journal_worker_add(task->host.journal, worker_pid(task->worker),
                                    worker_birth(task->worker), err);
    if (result != 0)
        return result;
    config_node(task->host.config, task->installation, task->install, task->home, task->site,
                task->run_dir, "", &node);
    licence = config_licence(task->host.config, task->installation);
    if (*task->installation)
        node.licence_file = licence;
    if (task->kind == TASK_EXPIRE) {
        node.stage_dir = stage_dir = config_stage_root(task->install, task->installation);
        order.expire_runs = task->runs.word;
        order.n_expire_runs = task->runs.count;
        order.keep_backups = task->keep.word;
        order.n_keep_backups = task->keep.count;
        order.expire_before_ms = task->before_ms;
    }
    order.job = (char *)(uintptr_t)kind_names[task->kind];
    order.node = &node;
    order.backup = task->backup;
    order.into = task->into;
    order.full_speed = task->full_speed;
    order.level = CONFLEET__BACKUP_LEVEL__RESTORED;
    if (task->check) {
        order.release = task->check->target;
        order.catalogue = task->check->catalogue;
        order.n_catalogue = task->check->n_catalogue;
        order.env = task->check->env;
        order.same_database = task->check->same_database;
        order.n_same_database = task->check->n_same_database;
        order.fleet_known = task->check->fleet_known;
        waivers_give(task, arena, &waivers, &order);
        apps_take(task, &node);
    }
    worker_order(task->worker, &order, task->kind == TASK_SURVEY ? SURVEY_LIMIT_MS : LIMIT_MS,
                 clock_mono_ms());
    return 0;
}

static void heard(void *arg, const Confleet__WorkerReply *reply)
{
    struct task *task = arg;
    struct report_about about = about_of(task);
    struct err err = { 0 };
    int64_t now_ms = clock_mono_ms();
    if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_LOG) {
        log_line(reply->log->level <= 4 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "worker.says",
                 "job=%s text=\"%s\"", kind_names[task->kind], reply->log->text);
        /* A journal that cannot take a log line cannot take the task's end either, and that one
         * stops the agent. */
        (void)!report_log(task->host.journal, &about, reply->log->level, reply->log->text, &err);
    } else if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_PROGRESS && task->host.say &&
               *task->order_id && now_ms - task->said_mono_ms >= PROGRESS_GAP_MS) {
        CLEANUP(str_free) struct str frame = { 0 };
        task->said_mono_ms = now_ms;
        report_progress(&about, reply->progress, &frame);
        task->host.say(task->host.arg, frame.s, frame.len);
    }
}

struct ending {
    struct task *task;
    const Confleet__WorkerResult *result;
    int code;
    const char *message;
};

/* What was removed is told whether or not the rest of it failed, and so is what nobody knew of. */
static int end_expiry(struct task *task, const Confleet__WorkerResult *brought, int code,
                      struct err *err)
{
    struct report_about about = about_of(task);
    int result = 0;
    for (size_t i = 0; brought && i < brought->n_expired && result == 0; i++) {
        about.site = brought->expired[i]->site;
        result = report_backup(task->host.journal, &about, brought->expired[i], err);
    }
    for (size_t i = 0; brought && i < brought->n_listed && result == 0; i++) {
        about.site = brought->listed[i]->site;
        result = report_backup(task->host.journal, &about, brought->listed[i], err);
    }
    for (size_t i = 0; code == 0 && i < task->runs.count && result == 0; i++)
        result = journal_expiry_set(task->host.journal, task->runs.word[i], true, err);
    return result;
}

static int end_all(void *arg, struct err *err)
{
    struct ending *ending = arg;
    struct journal *journal = ending->task->host.journal;
    struct report_about about = about_of(ending->task);
    const Confleet__WorkerResult *brought = ending->result;
    int result = 0;
    if (brought && brought->code == 0 && brought->survey)
        result = report_survey(journal, &about, brought->survey, err);
    if (result == 0 && brought && (brought->n_findings || ending->task->kind == TASK_CHECK))
        result = report_findings(journal, &about, brought->findings, brought->n_findings, err);
    if (result == 0 && brought && brought->backup)
        result = report_backup(journal, &about, brought->backup, err);
    if (ending->task->kind == TASK_EXPIRE)
        result = end_expiry(ending->task, brought, ending->code, err);
    if (result == 0 && *ending->task->order_id)
        result = report_done(journal, &about, ending->code, ending->message, err);
    if (result == 0 && *ending->task->order_id)
        result = journal_order_done(journal, ending->task->order_id, err);
    return result;
}

/* Only now that the journal has it: a crash before tells of it twice. */
static void told(const struct task *task, const Confleet__WorkerResult *brought)
{
    for (size_t i = 0; brought && i < brought->n_listed; i++) {
        CLEANUP(free_mem)
        char *note = text_printf("%s/%s/%s/" BACKUP_UNTOLD, task->host.config->backup_dir,
                                 task->installation, brought->listed[i]->id);
        struct err err = { 0 };
        if (fs_unlink(note, &err) != 0)
            log_warn("backup.told", "message=\"%s\"; ignoring: it is told again", err.text);
    }
}

static int end_with(struct task *task, const Confleet__WorkerResult *brought, int code,
                    const char *message, struct err *err)
{
    struct ending ending = { task, brought, code, message };
    task->over = true;
    task->failed = code != 0;
    if (code != 0)
        log_warn("task.failed", "job=%s installation=%s code=%s message=\"%s\"",
                 kind_names[task->kind], task->installation, fail_name(code), message);
    else
        log_info("task.done", "job=%s installation=%s", kind_names[task->kind], task->installation);
    int result = journal_tx(task->host.journal, end_all, &ending, err);
    if (result == 0)
        told(task, brought);
    return result;
}

int task_cancel(struct task *task, const char *why, struct err *err)
{
    int result =
        task->worker ? journal_worker_drop(task->host.journal, worker_pid(task->worker), err) : 0;
    worker_close(&task->worker);
    return result ? result : end_with(task, NULL, FAIL_CANCELLED, why, err);
}

int task_tick(struct task *task, bool may_start, struct err *err)
{
    struct err why = { 0 };
    if (task->over || (!task->worker && !may_start))
        return 0;
    if (!task->worker) {
        int result = task_start(task, &why);
        if (result == 0)
            return 0;
        if (result == -FAIL_TOOL || result == -FAIL_IO || result == -FAIL_SPACE)
            return end_with(task, NULL, -result, why.text, err);
        if (err)
            *err = why;
        return result;
    }
    enum worker_state state = worker_tick(task->worker, clock_mono_ms(), heard, task);
    if (state == WORKER_RUNNING)
        return 0;
    int result = journal_worker_drop(task->host.journal, worker_pid(task->worker), err);
    if (result != 0)
        return result;
    const Confleet__WorkerResult *brought = worker_result(task->worker);
    if (state != WORKER_ANSWERED)
        return end_with(task, NULL, state == WORKER_OVERDUE ? FAIL_TIMEOUT : FAIL_TOOL,
                        worker_why(task->worker), err);
    return end_with(task, brought, (int)brought->code, brought->message, err);
}

size_t task_poll(const struct task *task, zmq_pollitem_t items[WORKER_POLL_MAX])
{
    return task_acting(task) ? worker_poll(task->worker, items) : 0;
}

int64_t task_due_ms(const struct task *task)
{
    return task_acting(task) ? worker_due_ms(task->worker) : INT64_MAX;
}
