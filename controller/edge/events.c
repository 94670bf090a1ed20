#include "controller/edge/events.h"

#include "confleet/cleanup.h"
#include "confleet/log.h"
#include "confleet/wire.h"
#include "controller/edge/audit.h"
#include "controller/edge/store_checks.h"
#include "controller/edge/store_jobs.h"
#include "controller/edge/store_outbox.h"
#include "controller/edge/store_peers.h"
#include "controller/edge/store_rollouts.h"
#include "controller/edge/store_sites.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* What one report is about, as far as it is its agent's business. */
struct work {
    struct store *store;
    struct pool *pool;
    const char *agent;
    char who[PEER_ID_MAX];
    const Confleet__Event *event;
    const struct order *order;       /* NULL: none of ours */
    const struct rollout_seat *seat; /* NULL: of no rollout */
    struct rollout_case *rollout;    /* the whole of it, once the engine is to be asked */
    size_t place;
    const char *site; /* "": no site of ours */
    struct err claim; /* set: it speaks for what is another agent's */
};

static const char *work_job(const struct work *work)
{
    return work->order ? work->order->job : "";
}

static int work_rollout(struct work *work, const char *id, const char *site, struct err *err)
{
    struct rollout_seat *seat = NULL;
    int result = rollout_seat_get(work->store, work->pool, id, site, &seat, err);
    if (result != 0)
        return result;
    if (!seat) {
        log_warn("event.unknown", "agent=%s rollout=%s site=%s; ignoring: not known here",
                 work->agent, id, site);
        return 0;
    }
    if (strcmp(seat->agent, work->agent) != 0) {
        (void)err_set(&work->claim, FAIL_DENIED,
                      "an event about site %s of rollout %s, which is the work of another agent",
                      site, id);
        return 0;
    }
    work->seat = seat;
    work->site = seat->site;
    return 0;
}

/* Most events of a site only say how far it is. The whole rollout, with its plan and all its sites,
 * is read for those that may move it. */
static int work_case(struct work *work, struct err *err)
{
    struct rollout_case *c = NULL;
    assert(work->seat);
    if (work->rollout)
        return 0;
    int result = rollout_load(work->store, work->pool, work->seat->rollout, &c, err);
    if (result == 0 && (!c || !rollout_place(c, work->site, &work->place)))
        return err_set(err, FAIL_CORRUPT, "rollout %s has lost its site %s", work->seat->rollout,
                       work->site);
    if (result == 0)
        work->rollout = c;
    return result;
}

static int work_feed(struct work *work, enum site_input input, struct err *err)
{
    struct rollout_event event = { ROLLOUT_SITE, work->place, input, work->store->now_ms, NULL };
    return rollout_feed(work->store, work->rollout, &event, work->who, err);
}

/* A site that was given to another server meanwhile is told apart by nobody: that is recorded as
 * well. */
static int claim_check(struct work *work, const char *site, struct err *err)
{
    int64_t foreign = 0;
    if (site[0] == '\0' || strcmp(site, work->site) == 0 || work->claim.code != 0)
        return 0;
    int result = db_get_i64(work->store->db, &foreign, NULL, err,
                            "SELECT count(*) FROM sites s WHERE s.name=$1 AND NOT EXISTS"
                            " (SELECT 1 FROM nodes n WHERE n.site=s.name AND n.agent=$2)",
                            "tt", site, work->agent);
    if (result == 0 && foreign > 0)
        (void)err_set(&work->claim, FAIL_DENIED, "an event about site %s, which is another agent's",
                      site);
    return result;
}

static int work_find(struct work *work, struct err *err)
{
    const Confleet__Event *event = work->event;
    struct order *order = NULL;
    int result = 0;
    work->site = "";
    (void)snprintf(work->who, sizeof work->who, "agent:%s", work->agent);
    if (event->order_id[0] != '\0')
        result = order_find(work->store, work->pool, work->agent, event->order_id, &order, err);
    work->order = order;
    if (result == 0 && order && order->rollout[0] != '\0')
        return work_rollout(work, order->rollout, order->site, err);
    if (result == 0 && order && order->site[0] != '\0') {
        work->site = order->site;
        return 0;
    }
    if (result == 0 && event->plan_id[0] != '\0')
        return work_rollout(work, event->plan_id, event->site, err);
    if (result == 0 && event->installation[0] != '\0')
        result = site_of_node(work->store, work->pool, work->agent, event->installation,
                              &work->site, err);
    return result == 0 ? claim_check(work, event->site, err) : result;
}

/* Whatever made the check: a job, a rollout, or somebody on the server. */
static int check_history(struct work *work, struct err *err)
{
    struct job *job = NULL;
    struct check_new check = { work->site, "", "", work->event };
    int result = work->seat ? work_case(work, err) : 0;
    if (result == 0 && work_job(work)[0] != '\0')
        result = job_find(work->store, work->pool, work_job(work), &job, err);
    if (result != 0)
        return result;
    if (work->rollout && work->rollout->plan->release) {
        check.target = work->rollout->plan->release->version;
        check.cause = work->rollout->id;
    } else if (job) {
        check.target = job->target;
        check.cause = job->id;
    }
    return check_keep(work->store, &check, err);
}

/* Steps of a run remark on things, too, such as what was carried over. Only what comes out of the
 * table of checks has a family; the rest is no check, and says nothing of how ready the site is. */
static bool is_remark(const struct work *work)
{
    const Confleet__CheckEvent *check = work->event->check;
    for (size_t i = 0; i < check->n_findings; i++)
        if (check->findings[i]->family[0] != '\0')
            return false;
    return work->seat && check->n_findings > 0;
}

static int on_check(struct work *work, struct err *err)
{
    if (is_remark(work))
        return rollout_check_add(work->store, work->seat->rollout, work->site, work->event, err);
    int result =
        work->site[0] != '\0' ? site_check_set(work->store, work->site, work->event, err) : 0;
    if (result == 0 && work->site[0] != '\0')
        result = check_history(work, err);
    if (result == 0 && work_job(work)[0] != '\0')
        result = job_site_event_set(work->store, work_job(work), work->site, work->event, err);
    if (result != 0 || !work->seat)
        return result;
    return rollout_check_add(work->store, work->seat->rollout, work->site, work->event, err);
}

static const char *level_name(Confleet__BackupLevel level)
{
    static const char *const names[] = { "none", "complete", "re-read", "restored", "started" };
    return (unsigned)level < sizeof names / sizeof names[0] ? names[level] : "unknown";
}

static int on_backup(struct work *work, struct err *err)
{
    const Confleet__BackupRecord *record = work->event->backup;
    /* One that was made by hand on the server knows no site; whose installation it is, we do. */
    Confleet__BackupRecord named = *record;
    Confleet__Event event = *work->event;
    named.site = record->site[0] ? record->site : (char *)(uintptr_t)work->site;
    event.backup = &named;
    struct backup_row backup = { work->agent, work->site, work->seat ? work->seat->rollout : "",
                                 &event };
    enum backup_fate fate = BACKUP_KEPT;
    int result = backup_put(work->store, &backup, &fate, err);
    if (result == 0 && fate == BACKUP_REFUSED) {
        log_warn("backup.refused", "agent=%s id=%s: too many in a day", work->agent, record->id);
        return 0;
    }
    if (result == 0 && work_job(work)[0] != '\0')
        result = job_site_event_set(work->store, work_job(work), work->site, work->event, err);
    if (result == 0)
        result = audit_add(work->store, work->who, "backup", err,
                           "backup %s of %s (%s), level %s, manifest %s", record->id,
                           work->site[0] ? work->site : record->installation, record->kind,
                           level_name(record->level), record->manifest_sha256);
    if (result != 0 || fate != BACKUP_KEPT_LAST)
        return result;
    return audit_add(work->store, work->who, "backups-refused", err,
                     "%d new backups were told within 24 hours: no further ones are kept until "
                     "some of them are older than that",
                     BACKUPS_A_DAY);
}

static int on_step(struct work *work, struct err *err)
{
    if (!work->seat)
        return 0;
    int64_t attempt = work->event->attempt, present = work->seat->attempt;
    struct step_row step = { work->seat->rollout, work->site,
                             attempt > 0 && attempt < present ? attempt : present,
                             work->event->at_ms, work->event->step };
    return step_put(work->store, &step, err);
}

static bool run_input(Confleet__RunState state, enum site_input *ret_input)
{
    static const enum site_input inputs[] = {
        [CONFLEET__RUN_STATE__RUN_FORWARD] = INPUT_FORWARD,
        [CONFLEET__RUN_STATE__RUN_APPLIED] = INPUT_APPLIED,
        [CONFLEET__RUN_STATE__RUN_COMMITTED] = INPUT_COMMITTED,
        [CONFLEET__RUN_STATE__RUN_UNDOING] = INPUT_UNDOING,
        [CONFLEET__RUN_STATE__RUN_ROLLED_BACK] = INPUT_ROLLED_BACK,
        [CONFLEET__RUN_STATE__RUN_NOT_READY] = INPUT_NOT_READY,
        [CONFLEET__RUN_STATE__RUN_REFUSED] = INPUT_REFUSED,
        [CONFLEET__RUN_STATE__RUN_HELD] = INPUT_HELD,
    };
    if (state == CONFLEET__RUN_STATE__RUN_NONE ||
        (unsigned)state >= sizeof inputs / sizeof inputs[0])
        return false;
    *ret_input = inputs[state];
    return true;
}

/* A word about an attempt before the one that is under way: history. Under way is one whose order was
 * given, and neither refused nor taken back: else the site is at work because its agent said so, and
 * the run that it has is an earlier attempt's. On the way back it is the run that the agent has,
 * whichever attempt that was. */
static int is_outdated(struct work *work, bool *ret, struct err *err)
{
    *ret = false;
    if (work->event->attempt == 0 || (int64_t)work->event->attempt >= work->seat->attempt ||
        !site_state_busy(work->seat->state) || work->seat->state == SITE_UNDOING)
        return 0;
    return orders_hold_attempt(work->store, work->seat->rollout, work->site, work->seat->attempt,
                               ret, err);
}

/* A person skipped it and its agent was told so. What it had begun without stopping the site is
 * ended by that word and is no news; from the stop on its agent is believed. */
static bool is_passed_over(const struct work *work, const Confleet__RunEvent *run)
{
    return work->rollout->core.sites[work->place].state == SITE_SKIPPED && run->outage_ms == 0 &&
           (run->state == CONFLEET__RUN_STATE__RUN_FORWARD ||
            run->state == CONFLEET__RUN_STATE__RUN_UNDOING ||
            run->state == CONFLEET__RUN_STATE__RUN_NOT_READY ||
            run->state == CONFLEET__RUN_STATE__RUN_REFUSED);
}

static int on_run(struct work *work, struct err *err)
{
    const Confleet__RunEvent *run = work->event->run;
    enum site_input input = INPUT_FORWARD;
    bool outdated = false;
    if (!work->seat || !run_input(run->state, &input))
        return 0;
    int result = is_outdated(work, &outdated, err);
    /* A site that is on the new version needs no other attempt, unless its agent has begun it. */
    if (result == 0 && outdated && input == INPUT_COMMITTED && work->seat->state == SITE_ORDERED) {
        outdated = false;
        result = orders_withdraw_upgrade(work->store, work->seat->rollout, work->site, err);
    }
    if (result != 0 || outdated)
        return result;
    result = work_case(work, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &work->rollout->rows[work->place];
    row->run = run->state;
    if (is_passed_over(work, run)) {
        row->changed = true;
        return rollout_feed(work->store, work->rollout, NULL, work->who, err);
    }
    row->reason = pool_text(work->pool, run->reason);
    row->safe_next = pool_text(work->pool, run->safe_next);
    row->outage_ms = run->outage_ms > 0 ? run->outage_ms : row->outage_ms;
    row->version = run->version[0] != '\0' ? pool_text(work->pool, run->version) : row->version;
    row->build = run->build != 0 ? (int64_t)run->build : row->build;
    row->changed = true;
    return work_feed(work, input, err);
}

static int on_log(struct work *work, struct err *err)
{
    int result = db_run(work->store->db, err,
                        "INSERT INTO logs(at_ms, agent, level, text) VALUES($1, $2, $3, $4)",
                        "itit", work->event->at_ms, work->agent, (int64_t)work->event->log->level,
                        work->event->log->text);
    if (result == 0)
        result = db_run(work->store->db, err, "DELETE FROM logs WHERE seq<=$1", "i",
                        db_last_id(work->store->db) - LOGS_MAX);
    return result;
}

/* Whether how a decision's order ended says how its site ended: only for one on the way back. */
static bool decide_is_news(const struct work *work, uint32_t code)
{
    return code != 0 && work->seat->state == SITE_UNDOING;
}

/* A rollout was aborted before the agent took the upgrade, whose order was withdrawn then; now the
 * agent has answered the decision, so the upgrade will not come any more. */
static int decide_settled(struct work *work, struct err *err)
{
    int64_t taken = 0;
    if (work->seat->state != SITE_ORDERED)
        return 0;
    int result = work_case(work, err);
    if (result != 0 || !work->rollout->core.aborted)
        return result;
    result = db_get_i64(work->store->db, &taken, NULL, err,
                            "SELECT count(*) FROM orders WHERE rollout=$1 AND site=$2 AND "
                            "kind='upgrade' AND state IN ('pending', 'acked')",
                            "tt", work->seat->rollout, work->site);
    return result == 0 && taken == 0 ? work_feed(work, INPUT_WITHDRAW, err) : result;
}

/* What an agent goes on with although it was skipped is at work again. */
static int skip_refused(struct work *work, struct err *err)
{
    int result = work_case(work, err);
    if (result != 0)
        return result;
    Confleet__RunState run = work->rollout->rows[work->place].run;
    bool at_work = run == CONFLEET__RUN_STATE__RUN_FORWARD ||
                   run == CONFLEET__RUN_STATE__RUN_UNDOING;
    return at_work ? work_feed(work, INPUT_FORWARD, err) : 0;
}

/* The site is what its agent said last. */
static int decide_refused(struct work *work, const char *message, struct err *err)
{
    int result = work_case(work, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &work->rollout->rows[work->place];
    struct rollout_event event = { ROLLOUT_STAYS, work->place, INPUT_REFUSE, work->store->now_ms,
                                   message };
    bool undoing = work->rollout->core.sites[work->place].state == SITE_UNDOING;
    char words[ROLLOUT_REASON_MAX];
    if (row->run != CONFLEET__RUN_STATE__RUN_UNDOING)
        (void)run_input(row->run, &event.input);
    if (undoing) {
        (void)snprintf(words, sizeof words, "not rolled back: %s", message);
        row->reason = pool_text(work->pool, words);
        row->changed = true;
    }
    return rollout_feed(work->store, work->rollout, &event, work->who, err);
}

/* An answer to an order of a rollout. One to an order that another has followed says nothing of
 * that one. */
static int answer_rollout(struct work *work, uint32_t code, const char *message, struct err *err)
{
    enum site_input input = code == 0 ? INPUT_ACK : INPUT_REFUSE;
    enum site_state state = work->seat->state, next;
    bool outdated = false;
    int result = 0;
    if (strcmp(work->order->kind, "decide") == 0 && code != 0 && state == SITE_SKIPPED)
        return skip_refused(work, err);
    if (strcmp(work->order->kind, "decide") == 0 && code != 0) {
        result = decide_refused(work, message, err);
        return result != 0 ? result : decide_settled(work, err);
    }
    if (strcmp(work->order->kind, "decide") == 0)
        return decide_settled(work, err);
    result = order_is_outdated(work->store, work->order, &outdated, err);
    if (result != 0 || (outdated && strcmp(work->order->kind, "upgrade") == 0))
        return result;
    result = work_case(work, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &work->rollout->rows[work->place];
    if (code != 0 && site_state_after(state, input, &next)) {
        row->reason = pool_text(work->pool, message);
        row->changed = true;
    }
    return work_feed(work, input, err);
}

static bool is_unanswered(const struct order *order)
{
    return strcmp(order->state, "pending") == 0 || strcmp(order->state, "withdrawn") == 0;
}

static int order_refused(struct work *work, uint32_t code, const char *message, struct err *err)
{
    int result = order_state_set(work->store, work->order->id, "refused", message, err);
    if (result == 0)
        result = audit_add(work->store, work->who, "order-refused", err,
                           "%s for site %s (order %s): %s", work->order->kind, work->site,
                           work->order->id, message);
    return result == 0 && work->seat ? answer_rollout(work, code, message, err) : result;
}

static int on_done(struct work *work, struct err *err)
{
    const Confleet__DoneEvent *done = work->event->done;
    bool outdated = false;
    if (!work->order)
        return 0;
    /* A refusal whose acknowledgement did not come through comes again as a report. */
    if (done->code != 0 && work->seat && strcmp(work->order->kind, "upgrade") == 0 &&
        is_unanswered(work->order))
        return order_refused(work, done->code, done->message, err);
    if (strcmp(work->order->state, "refused") == 0)
        return 0;
    int result = order_state_set(work->store, work->order->id, "done", done->message, err);
    if (result == 0 && work_job(work)[0] != '\0')
        result = job_site_state_set(work->store, work_job(work), work->site,
                                    done->code == 0 ? "done" : "failed", done->message, err);
    if (result == 0 && work->seat)
        result = is_outdated(work, &outdated, err);
    if (result != 0 || !work->seat || outdated)
        return result;
    if (strcmp(work->order->kind, "decide") == 0 && !decide_is_news(work, done->code))
        return decide_settled(work, err);
    /* A run that ended has said so before; this is for one that ended without a word of how. */
    if (done->code == 0 || !site_state_in_flight(work->seat->state))
        return 0;
    result = work_case(work, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &work->rollout->rows[work->place];
    row->reason = pool_text(work->pool, done->message);
    row->changed = true;
    return work_feed(work, INPUT_LOST, err);
}

static int work_take(struct work *work, struct err *err)
{
    switch (work->event->what_case) {
    case CONFLEET__EVENT__WHAT_SURVEY:
        return agent_survey_set(work->store, work->agent, work->event->survey, err);
    case CONFLEET__EVENT__WHAT_CHECK:
        return on_check(work, err);
    case CONFLEET__EVENT__WHAT_BACKUP:
        return on_backup(work, err);
    case CONFLEET__EVENT__WHAT_STEP:
        return on_step(work, err);
    case CONFLEET__EVENT__WHAT_RUN:
        return on_run(work, err);
    case CONFLEET__EVENT__WHAT_LOG:
        return on_log(work, err);
    case CONFLEET__EVENT__WHAT_DONE:
        return on_done(work, err);
    default:
        return 0; /* progress with a number: nothing to keep */
    }
}

int events_take(struct store *store, struct pool *pool, const char *agent_name,
                const Confleet__Event *event, uint64_t *ret_acked, struct err *ret_claim,
                struct err *err)
{
    struct work work = { .store = store, .pool = pool, .agent = agent_name, .event = event };
    struct agent *agent = NULL;
    int result = agent_find(store, pool, agent_name, &agent, err);
    assert(event->seq > 0);
    if (result == 0 && !agent)
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s", agent_name);
    if (result != 0)
        return result;
    if (event->seq != agent->event_seq + 1) {
        log_debug("event.out-of-turn", "agent=%s seq=%" PRIu64 " held=%" PRIu64, agent_name,
                  event->seq, agent->event_seq);
        *ret_acked = agent->event_seq;
        return 0;
    }
    result = work_find(&work, err);
    if (result == 0)
        result = work_take(&work, err);
    if (result == 0)
        result = agent_event_seq_set(store, agent_name, event->seq, err);
    if (result != 0)
        return result;
    if (work.claim.code != 0) {
        log_warn("event.foreign", "agent=%s why=\"%s\"; ignoring what it claims", agent_name,
                 work.claim.text);
        *ret_claim = work.claim;
    }
    *ret_acked = event->seq;
    return 0;
}

static const char *damaged_next(const Confleet__Hello *hello, const char *site)
{
    for (size_t i = 0; i < hello->n_damaged_runs; i++)
        if (strcmp(hello->damaged_runs[i]->site, site) == 0)
            return hello->damaged_runs[i]->safe_next;
    return "confleet-agent status";
}

static int damaged_hold(struct work *work, const Confleet__Hello *hello, struct err *err)
{
    CLEANUP(free_mem)
    char *reason = text_printf("the agent's journal cannot be read, so nothing is done there: %s",
                               hello->damage);
    int result = work_case(work, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &work->rollout->rows[work->place];
    row->run = CONFLEET__RUN_STATE__RUN_HELD;
    row->reason = pool_text(work->pool, reason);
    row->safe_next = pool_text(work->pool, damaged_next(hello, work->site));
    row->changed = true;
    return work_feed(work, INPUT_HELD, err);
}

int events_damaged(struct store *store, struct pool *pool, const char *agent,
                   const Confleet__Hello *hello, struct err *err)
{
    struct rollout_seat **seats = NULL;
    size_t count = 0;
    int result = rollout_seats(store, pool, agent, &seats, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct work work = { .store = store, .pool = pool, .agent = agent, .seat = seats[i],
                             .site = seats[i]->site };
        (void)snprintf(work.who, sizeof work.who, "agent:%s", agent);
        if (site_state_in_flight(seats[i]->state) || seats[i]->state == SITE_SILENT)
            result = damaged_hold(&work, hello, err);
    }
    return result;
}

int events_order_ack(struct store *store, struct pool *pool, const char *agent,
                     const Confleet__OrderAck *ack, struct err *err)
{
    Confleet__Event event = CONFLEET__EVENT__INIT;
    struct work work = { .store = store, .pool = pool, .agent = agent, .event = &event };
    event.order_id = ack->id;
    int result = work_find(&work, err);
    if (result != 0)
        return result;
    if (!work.order) {
        log_warn("ack.foreign", "agent=%s order=%s; ignoring: none of its orders", agent, ack->id);
        return 0;
    }
    if (!is_unanswered(work.order))
        return 0;
    if (work_job(&work)[0] != '\0')
        result = job_site_state_set(store, work_job(&work), work.site,
                                    ack->code == 0 ? "running" : "refused", ack->message, err);
    if (result == 0 && ack->code != 0)
        return order_refused(&work, ack->code, ack->message, err);
    if (result == 0)
        result = order_state_set(store, ack->id, "acked", ack->message, err);
    return result == 0 && work.seat ? answer_rollout(&work, 0, "", err) : result;
}

int events_progress(struct store *store, struct progress_table *table, struct pool *pool,
                    const char *agent, const Confleet__Event *event, struct err *err)
{
    struct work work = { .store = store, .pool = pool, .agent = agent, .event = event };
    struct progress progress = { .done = 0 };
    if (event->what_case != CONFLEET__EVENT__WHAT_PROGRESS)
        return 0;
    int result = work_find(&work, err);
    const char *id = work.seat ? work.seat->rollout : work_job(&work);
    if (result != 0 || id[0] == '\0' || work.site[0] == '\0')
        return result;
    (void)snprintf(progress.agent, sizeof progress.agent, "%s", agent);
    (void)snprintf(progress.site, sizeof progress.site, "%s", work.site);
    (void)snprintf(progress.work, sizeof progress.work, "%s", id);
    (void)snprintf(progress.step, sizeof progress.step, "%s", event->progress->step);
    (void)snprintf(progress.text, sizeof progress.text, "%s", event->progress->text);
    progress.done = event->progress->done;
    progress.total = event->progress->total;
    progress.at_ms = store->now_ms;
    progress_set(table, &progress);
    return 0;
}
