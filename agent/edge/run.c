#include "agent/edge/damage.h"
#include "agent/edge/run_inside.h"
#include "agent/edge/waivers.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/log.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RETRY_MS        2000 /* between two tries of an undo or a probe */
#define PROGRESS_GAP_MS 250

const Confleet__PlanSite *plan_site(const Confleet__Plan *plan, const char *name,
                                    const Confleet__PlanStage **ret_stage)
{
    for (size_t i = 0; i < plan->n_stages; i++)
        for (size_t k = 0; k < plan->stages[i]->n_sites; k++)
            if (strcmp(plan->stages[i]->sites[k]->name, name) == 0) {
                *ret_stage = plan->stages[i];
                return plan->stages[i]->sites[k];
            }
    return NULL;
}

static int plan_read(struct run *run, struct err *err)
{
    Confleet__Plan *plan = NULL;
    run->arena = arena_new(WIRE_ARENA_MAX);
    int result = wire_decode_plan(run->arena, run->row.plan, run->row.plan_len, &plan, err);
    if (result != 0)
        return result;
    run->plan = plan;
    run->site = plan_site(plan, run->row.site, &run->stage);
    if (!run->site || !plan->release)
        return err_set(err, FAIL_CORRUPT, "the plan in the journal does not name site %s",
                       run->row.site);
    run->rb.hold_on_failure = strcmp(plan->on_failure, "hold") == 0;
    return 0;
}

static int replay_one(void *arg, const struct journal_step *row, struct err *err)
{
    return run_replay(arg, row, err);
}

static struct journal_run row_copy(const struct journal_run *row)
{
    struct journal_run copy = *row;
    char **texts[] = { &copy.installation, &copy.install, &copy.home,        &copy.site,
                       &copy.order_id,     &copy.plan_id, &copy.plan_sha256, &copy.reason };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = text_dup(*texts[i] ? *texts[i] : "");
    copy.plan = mem_zero(1, row->plan_len + 1);
    memcpy(copy.plan, row->plan, row->plan_len);
    return copy;
}

int run_open(const struct run_host *host, const struct journal_run *row, struct run **ret,
             struct err *err)
{
    CLEANUP(run_close) struct run *run = mem_zero(1, sizeof *run);
    run->host = *host;
    run->row = row_copy(row);
    run->run_dir = config_run_dir(host->config, row->id);
    run->stage_dir = config_stage_dir(row->install, row->installation, row->id);
    int result = plan_read(run, err);
    if (result == 0)
        run->artifact = config_artifact(host->config, run->plan->release->artifact_sha256);
    if (result == 0)
        result = journal_steps(host->journal, row->id, replay_one, run, err);
    if (result == 0)
        result = fs_mkdirs(run->run_dir, 0700, err);
    if (result == 0)
        result = damage_note(run->run_dir, row, err);
    if (result == 0 && run->rb.mode == MODE_BUSY && !(run->rb.at == STEP_SOAK && !run->rb.undoing))
        result = run_record(run, EVENT_CRASHED, NULL, err);
    if (result == 0 && run->rb.mode == MODE_ENDED &&
        row->outcome != run->rb.outcome) /* a word that came to nothing */
        result = journal_run_end(host->journal, row->id, run->rb.outcome, run->reason,
                                 clock_wall_ms(), run->outage_ms, err);
    if (result != 0)
        return err_wrap(err, "read back run %s", row->id);
    *ret = TAKE(run);
    return 0;
}

void run_close(struct run **pointer)
{
    struct run *run = *pointer;
    if (!run)
        return;
    worker_close(&run->worker);
    arena_free(&run->arena);
    journal_run_free(&run->row);
    free(run->run_dir);
    free(run->stage_dir);
    free(run->artifact);
    free(run);
    *pointer = NULL;
}

const char *run_id(const struct run *run)
{
    return run->row.id;
}
const char *run_installation(const struct run *run)
{
    return run->row.installation;
}
const char *run_install(const struct run *run)
{
    return run->row.install;
}
const char *run_site(const struct run *run)
{
    return run->row.site;
}
const char *run_plan_sha256(const struct run *run)
{
    return run->row.plan_sha256;
}
const struct runbook *run_runbook(const struct run *run)
{
    return &run->rb;
}
const char *run_reason(const struct run *run)
{
    return run->reason;
}
bool run_over(const struct run *run)
{
    return run->rb.mode == MODE_ENDED;
}
bool run_acting(const struct run *run)
{
    return run->worker != NULL;
}
bool run_wants_fetch(const struct run *run)
{
    return run->doing == DOING_FETCH;
}
const Confleet__Release *run_release(const struct run *run)
{
    return run->plan->release;
}

struct memo_list {
    Confleet__KeyValue *pairs;
    Confleet__KeyValue **list;
    size_t count;
    struct arena *arena; /* of the waivers */
    Confleet__SignedText *waivers[WAIVERS_SITE_MAX];
    size_t waiver_count;
};

static int memo_take(void *arg, const char *key, const char *value, struct err *err)
{
    struct memo_list *memo = arg;
    (void)err;
    if (waivers_is_memo(key)) { /* the worker gets those that were verified */
        if (memo->waiver_count < WAIVERS_SITE_MAX &&
            waivers_read(memo->arena, key, value, &memo->waivers[memo->waiver_count]))
            memo->waiver_count++;
        return 0;
    }
    memo->pairs = mem_grow(memo->pairs, memo->count + 1, sizeof *memo->pairs);
    confleet__key_value__init(&memo->pairs[memo->count]);
    memo->pairs[memo->count].key = text_dup(key);
    memo->pairs[memo->count].value = text_dup(value);
    memo->count++;
    return 0;
}

static void memo_free(struct memo_list *memo)
{
    for (size_t i = 0; i < memo->count; i++) {
        free(memo->pairs[i].key);
        free(memo->pairs[i].value);
    }
    free(memo->pairs);
    free(memo->list);
    arena_free(&memo->arena);
}

static void waiver_refused(void *arg, const char *why)
{
    struct run *run = arg;
    struct err err = { 0 };
    CLEANUP(free_mem)
    char *text = text_printf("a waiver of site %s does not count: %s", run->row.site, why);
    /* A journal that cannot take a log line cannot take the step's end either. */
    (void)!run_log(run, LOG_LEVEL_WARN, text, &err);
}

static void order_send(struct run *run, enum step step, Confleet__WorkerPhase phase,
                       struct memo_list *memo)
{
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    Confleet__WorkerNode node;
    struct waivers waivers = { 0 };
    memo->list = mem_zero(memo->count + 1, sizeof *memo->list);
    for (size_t i = 0; i < memo->count; i++)
        memo->list[i] = &memo->pairs[i];
    config_node(run->host.config, run->row.installation, run->row.install, run->row.home,
                run->row.site, run->run_dir, run->stage_dir, &node);
    CLEANUP(free_mem) char *licence = config_licence(run->host.config, run->row.installation);
    node.licence_file = licence;
    order.job = (char *)(uintptr_t) "step";
    order.step = (char *)(uintptr_t)runbook_steps[step].name;
    order.phase = phase;
    order.node = &node;
    order.release = run->plan->release;
    order.env = run->site ? run->site->env : order.env;
    if (step > STEP_FETCH) /* before, there is none yet, or one that nobody has looked at */
        order.artifact = run->artifact;
    order.n_memo = memo->count;
    order.memo = memo->list;
    order.attempt = run->row.attempt;
    order.new_build_started = run->rb.start_intended;
    order.level = run->plan->backup_level;
    if (run->host.controller)
        waivers_take(run->host.controller, memo->arena, memo->waivers, memo->waiver_count,
                     run->row.site, clock_wall_ms(), waiver_refused, run, &waivers);
    order.waivers = waivers.list;
    order.n_waivers = waivers.count;
    /* The way back from a version that serves reads the capture first. */
    bool reads = step == STEP_START && phase == CONFLEET__WORKER_PHASE__UNDO;
    int64_t limit_s = runbook_steps[reads ? STEP_CAPTURE_FILES : step].limit_s;
    worker_order(run->worker, &order, limit_s * 1000, clock_mono_ms());
}

/* FAIL_TOOL: the worker could not be started. Any other failure is the journal's. */
static int worker_begin(struct run *run, enum step step, enum doing doing, struct err *err)
{
    static const Confleet__WorkerPhase phases[] = { [DOING_ACT] = CONFLEET__WORKER_PHASE__ACT,
                                                    [DOING_UNDO] = CONFLEET__WORKER_PHASE__UNDO,
                                                    [DOING_PROBE] = CONFLEET__WORKER_PHASE__PROBE,
                                                    [DOING_SOAK] = CONFLEET__WORKER_PHASE__ACT };
    CLEANUP(memo_free) struct memo_list memo = { .arena = arena_new(WIRE_ARENA_MAX) };
    int result = journal_memo(run->host.journal, run->row.id, memo_take, &memo, err);
    if (result == 0)
        result = worker_open(run->host.config->worker, &run->worker, err);
    if (result == 0)
        result = journal_worker_add(run->host.journal, worker_pid(run->worker),
                                    worker_birth(run->worker), err);
    if (result != 0)
        return result;
    run->doing = doing;
    run->began_mono_ms = clock_mono_ms();
    order_send(run, step, phases[doing], &memo);
    return 0;
}

static enum run_event event_failed(enum doing doing)
{
    return doing == DOING_UNDO    ? EVENT_UNDO_FAILED
           : doing == DOING_PROBE ? EVENT_PROBE_FAILED
                                  : EVENT_ACT_FAILED;
}

static int failed(struct run *run, enum run_event event, int code, const char *message,
                  struct err *err)
{
    if (event == EVENT_UNDO_FAILED || event == EVENT_PROBE_FAILED)
        run->not_before_mono_ms = clock_mono_ms() + RETRY_MS;
    return run_record(run, event, &(struct outcome_of_act){ message, code, NULL }, err);
}

/* The artifact on disk answers the fetch's probe; its digest is read again each time. */
static bool artifact_there(const struct run *run)
{
    char hex[HASH_HEX_MAX];
    uint64_t size = 0;
    return hash_file_hex(run->artifact, hex, &size, NULL) == 0 &&
           size == run->plan->release->artifact_size &&
           strcmp(hex, run->plan->release->artifact_sha256) == 0;
}

static int begin_agent_step(struct run *run, enum doing doing, struct err *err)
{
    bool there = artifact_there(run);
    if (doing == DOING_PROBE)
        return run_record(run, there ? EVENT_PROBED_COMPLETE : EVENT_PROBED_PARTIAL, NULL, err);
    if (there)
        return run_record(run, EVENT_ACT_OK,
                          &(struct outcome_of_act){ "the artifact was here already", 0, NULL },
                          err);
    run->doing = DOING_FETCH;
    run->began_mono_ms = clock_mono_ms();
    return 0;
}

static int begin(struct run *run, struct order order, struct err *err)
{
    enum doing doing = order.kind == ORDER_UNDO    ? DOING_UNDO
                       : order.kind == ORDER_PROBE ? DOING_PROBE
                                                   : DOING_ACT;
    int result = 0;
    run->began_mono_ms = clock_mono_ms();
    if (doing != DOING_PROBE)
        result = run_record(run, EVENT_INTENT, NULL,
                            err); /* recorded before the act, or the act is not done */
    if (result != 0)
        return result;
    if (runbook_steps[order.step].actor == ACTOR_AGENT)
        return begin_agent_step(run, doing, err);
    struct err why = { 0 };
    result = worker_begin(run, order.step, doing, &why);
    if (result == -FAIL_TOOL || result == -FAIL_IO)
        return failed(run, event_failed(doing), FAIL_TOOL, why.text, err);
    if (result != 0 && err)
        *err = why;
    return result;
}

static int soak_begin_probe(struct run *run, struct err *err)
{
    struct err why = { 0 };
    run->soak_probe_mono_ms = clock_mono_ms() + run->host.config->soak_probe_ms;
    int result = worker_begin(run, STEP_SOAK, DOING_SOAK, &why);
    if (result == -FAIL_TOOL || result == -FAIL_IO)
        return run_log(run, LOG_LEVEL_WARN, why.text, err);
    if (result != 0 && err)
        *err = why;
    return result;
}

static int soak_tick(struct run *run, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    if (run->rb.mode == MODE_READY)
        return run_record(run, EVENT_INTENT, NULL, err);
    if (now_ms >= run->soak_end_mono_ms && !run->worker)
        return run_record(run, EVENT_SOAK_OVER, NULL, err);
    if (!run->worker && !run->soak_unprobed && now_ms >= run->soak_probe_mono_ms)
        return soak_begin_probe(run, err);
    return 0;
}

/* An unhappy probe while soaking is told, not acted upon: by now the site holds data that a
 * rollback would lose. */
static int soak_probed(struct run *run, const Confleet__WorkerResult *result, const char *why,
                       struct err *err)
{
    bool unhealthy = !result || result->code != 0;
    if (result && result->code == FAIL_UNSUPPORTED) {
        run->soak_unprobed = true;
        return 0;
    }
    if (unhealthy == run->soak_unhealthy)
        return 0;
    run->soak_unhealthy = unhealthy;
    CLEANUP(free_mem)
    char *text = unhealthy
                     ? text_printf("unhealthy while soaking: %s", result ? result->message : why)
                     : text_printf("healthy again while soaking");
    return run_log(run, unhealthy ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, text, err);
}

static int answered(struct run *run, enum doing doing, const Confleet__WorkerResult *result,
                    struct err *err)
{
    struct outcome_of_act brought = { result->message, (int)result->code, result };
    if (doing == DOING_SOAK)
        return soak_probed(run, result, "", err);
    if (doing == DOING_UNDO || doing == DOING_ACT) {
        if (result->code == 0)
            return run_record(run, doing == DOING_UNDO ? EVENT_UNDO_OK : EVENT_ACT_OK, &brought,
                              err);
        if (doing == DOING_UNDO)
            run->not_before_mono_ms = clock_mono_ms() + RETRY_MS;
        return run_record(run, event_failed(doing), &brought, err);
    }
    if (result->code != 0)
        return failed(run, EVENT_PROBE_FAILED, (int)result->code, result->message, err);
    switch (result->probe) {
    case CONFLEET__PROBE_STATE__ABSENT:
        return run_record(run, EVENT_PROBED_ABSENT, &brought, err);
    case CONFLEET__PROBE_STATE__PARTIAL:
        return run_record(run, EVENT_PROBED_PARTIAL, &brought, err);
    case CONFLEET__PROBE_STATE__PROBE_COMPLETE:
        return run_record(run, EVENT_PROBED_COMPLETE, &brought, err);
    default:
        return failed(run, EVENT_PROBE_FAILED, FAIL_PROTOCOL, "the worker's probe gave no answer",
                      err);
    }
}

static int died(struct run *run, enum doing doing, bool overdue, const char *why, struct err *err)
{
    if (doing == DOING_SOAK)
        return soak_probed(run, NULL, why, err);
    if (doing == DOING_ACT && !overdue)
        return run_record(run, EVENT_CRASHED, &(struct outcome_of_act){ why, 0, NULL }, err);
    return failed(run, event_failed(doing), overdue ? FAIL_TIMEOUT : FAIL_TOOL, why, err);
}

static void heard(void *arg, const Confleet__WorkerReply *reply)
{
    struct run *run = arg;
    struct err err = { 0 };
    if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_PROGRESS) {
        Confleet__Progress progress = *reply->progress;
        int64_t now_ms = clock_mono_ms();
        if (!run->host.say || now_ms - run->said_mono_ms < PROGRESS_GAP_MS)
            return;
        run->said_mono_ms = now_ms;
        CLEANUP(str_free) struct str frame = { 0 };
        struct report_about about = run_about(run);
        progress.step = (char *)(uintptr_t)runbook_steps[run->rb.at < 0 ? 0 : run->rb.at].name;
        report_progress(&about, &progress, &frame);
        run->host.say(run->host.arg, frame.s, frame.len);
    } else if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_LOG) {
        /* A journal that cannot take a log line cannot take the step's end either, and that one
         * stops the agent. */
        (void)!run_log(run, reply->log->level, reply->log->text, &err);
    }
}

static int worker_watch(struct run *run, struct err *err)
{
    enum worker_state state = worker_tick(run->worker, clock_mono_ms(), heard, run);
    if (state == WORKER_RUNNING)
        return 0;
    CLEANUP(worker_close) struct worker *worker = TAKE(run->worker);
    enum doing doing = run->doing;
    run->doing = DOING_NOTHING;
    int result = journal_worker_drop(run->host.journal, worker_pid(worker), err);
    if (result != 0)
        return result;
    if (state == WORKER_ANSWERED)
        return answered(run, doing, worker_result(worker), err);
    return died(run, doing, state == WORKER_OVERDUE, worker_why(worker), err);
}

#define HEARD_GAP_MS 500 /* between two looks whether the controller heard of us */

/* Before the stop an operator may have skipped the site of an agent that fell silent, and others go
 * on in its place: then it must not go down. */
static bool stop_waits(struct run *run, const struct order *order)
{
    if (order->kind != ORDER_DO || order->step != STEP_STOP || !run->host.is_heard ||
        run->host.is_heard(run->host.agent, run->plan->silence_ms)) {
        run->unheard_told = false;
        return false;
    }
    run->not_before_mono_ms = clock_mono_ms() + HEARD_GAP_MS;
    if (!run->unheard_told) {
        run->unheard_told = true;
        log_warn("run.waits",
                 "site=%s for=\"the controller, which has not heard of this agent for "
                 "so long that it may have given the site up; it is not stopped\"",
                 run->row.site);
        (void)!run_log(
            run, LOG_LEVEL_WARN,
            "waiting for the controller before the stop: it may have taken this site for "
            "silent",
            NULL);
    }
    return true;
}

int run_tick(struct run *run, struct err *err)
{
    int result = 0;
    /* As far as it goes without waiting; a runbook is shorter than this bound. */
    for (int i = 0; i < 4 * STEP_COUNT && result == 0; i++) {
        struct order order = runbook_next(&run->rb);
        if (run->worker) {
            result = worker_watch(run, err);
            if (run->worker)
                return result;
        } else if (order.kind == ORDER_FINISHED || run->doing == DOING_FETCH ||
                   clock_mono_ms() < run->not_before_mono_ms) {
            return 0;
        } else if (order.kind == ORDER_WAIT_SOAK) {
            result = soak_tick(run, err);
            if (run->rb.mode == MODE_BUSY && run->rb.at == STEP_SOAK &&
                clock_mono_ms() < run->soak_end_mono_ms && !run->worker)
                return result;
        } else if (stop_waits(run, &order)) {
            return 0;
        } else {
            result = begin(run, order, err);
        }
    }
    return result;
}

size_t run_poll(const struct run *run, zmq_pollitem_t items[WORKER_POLL_MAX])
{
    return run->worker ? worker_poll(run->worker, items) : 0;
}

int64_t run_due_ms(const struct run *run)
{
    if (run->worker)
        return worker_due_ms(run->worker);
    if (run->rb.mode == MODE_ENDED || run->doing == DOING_FETCH)
        return INT64_MAX;
    if (!run->rb.undoing && run->rb.at == STEP_SOAK && run->rb.mode == MODE_BUSY)
        return run->soak_unprobed || run->soak_end_mono_ms < run->soak_probe_mono_ms
                   ? run->soak_end_mono_ms
                   : run->soak_probe_mono_ms;
    return run->not_before_mono_ms;
}

int run_word(struct run *run, enum run_event word, const char *order_id, const char *why,
             struct err *err)
{
    if (!runbook_takes(&run->rb, word))
        return err_set(err, FAIL_CONFLICT, "the run of %s is %s; '%s' has no meaning there",
                       run->row.site, run->rb.outcome ? outcome_name(run->rb.outcome) : "in flight",
                       run_event_name(word));
    /* What only looks is cut off: its answer would come to a run that has turned meanwhile. */
    if (run->doing == DOING_SOAK || run->doing == DOING_PROBE) {
        worker_close(&run->worker);
        run->doing = DOING_NOTHING;
    }
    bool reopened = run->rb.mode == MODE_ENDED;
    run->began_mono_ms = 0;
    run->not_before_mono_ms = 0;
    run->asked_back = word == EVENT_ROLLBACK_ORDERED;
    int result = reopened ? journal_run_reopen(run->host.journal, run->row.id, order_id, err) : 0;
    if (result == 0 && reopened) {
        free(run->row.order_id);
        run->row.order_id = text_dup(order_id);
    }
    if (result == 0)
        result = run_record(run, word, &(struct outcome_of_act){ why, 0, NULL }, err);
    /* A fetch may wait for ever for a controller that is gone: it is cut, not waited for. */
    if (result == 0 && word == EVENT_ROLLBACK_ORDERED && run->doing == DOING_FETCH)
        result = run_fetched(run, FAIL_CANCELLED, "the fetch was called off", err);
    return result;
}

int run_fetched(struct run *run, int code, const char *message, struct err *err)
{
    assert(run->doing == DOING_FETCH);
    run->doing = DOING_NOTHING;
    if (code == 0 && !artifact_there(run))
        return failed(run, EVENT_ACT_FAILED, FAIL_MISMATCH,
                      "the fetched artifact has not the size and digest of the signed plan", err);
    if (code != 0)
        return failed(run, EVENT_ACT_FAILED, code, message, err);
    return run_record(run, EVENT_ACT_OK, &(struct outcome_of_act){ message, 0, NULL }, err);
}

void run_fetching(struct run *run, uint64_t done, uint64_t total, const char *text)
{
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    Confleet__Progress progress = CONFLEET__PROGRESS__INIT;
    progress.done = done;
    progress.total = total;
    progress.text = (char *)(uintptr_t)text;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_PROGRESS;
    reply.progress = &progress;
    heard(run, &reply);
}
