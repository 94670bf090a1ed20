#include "agent/edge/orders.h"
#include "agent/edge/consent.h"
#include "agent/edge/expire.h"
#include "agent/edge/timing.h"
#include "agent/edge/trust.h"
#include "agent/edge/waivers.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/log.h"
#include <assert.h>
#include <string.h>

struct taking {
    struct agent *agent;
    const Confleet__Order *order;
    struct order_answer *answer;
    struct arena *arena;
    bool done;  /* nothing remains to be done for this order */
    bool again; /* read back from the journal */
};

bool orders_ready(const struct agent *agent)
{
    return agent->survey != NULL;
}

/* An error of judgement becomes the answer; anything else goes up as the journal's failure. */
static int refuse(struct taking *taking, const struct err *why)
{
    taking->answer->code = why->code;
    (void)snprintf(taking->answer->message, sizeof taking->answer->message, "%s", why->text);
    taking->done = true;
    return 0;
}

static int take_task(struct taking *taking, const struct task_spec *asked)
{
    struct agent *agent = taking->agent;
    struct err why = { 0 };
    struct task_spec spec = *asked;
    const Confleet__Installation *found = survey_find(agent->survey, spec.installation);
    if (spec.kind != TASK_SURVEY && !found) {
        (void)err_set(&why, FAIL_NOT_FOUND, "installation %s is not on this server",
                      spec.installation);
        return refuse(taking, &why);
    }
    enum operation operation =
        spec.kind == TASK_SURVEY || spec.kind == TASK_CHECK ? OPERATION_CHECK : OPERATION_BACKUP;
    spec.order_id = taking->order->id;
    spec.install = found ? found->install : "";
    spec.home = found ? found->home : "";
    if (policy_allows(&agent->config->policy, operation, spec.install, &why) != 0 ||
        agent_task_add(agent, &spec, &why) != 0)
        return refuse(taking, &why);
    return 0;
}

/* The order names a folder; where it is made only root on this server says. */
static int take_restore(struct taking *taking)
{
    const Confleet__OrderRestore *order = taking->order->restore;
    const char *dir = taking->agent->config->drill_dir;
    struct err why = { 0 };
    if (!dir)
        (void)err_set(&why, FAIL_DENIED,
                      "this server restores backups for nobody: drill_dir in agent.yaml would have "
                      "to say where; by hand: confleet-agent restore INSTALL %s --into DIR",
                      order->backup);
    else if (!text_is_name(order->into))
        (void)err_set(&why, FAIL_USAGE, "'%s' is no name of one folder", order->into);
    if (why.code != 0)
        return refuse(taking, &why);
    CLEANUP(free_mem) char *into = fs_join(dir, order->into);
    return take_task(taking, &(struct task_spec){ .kind = TASK_RESTORE,
                                                  .installation = order->installation,
                                                  .site = order->site,
                                                  .backup = order->backup,
                                                  .into = into,
                                                  .full_speed = order->full_speed });
}

/* One run per plan, site and attempt, whatever id its order has. */
static int check_new(const struct agent *agent, const struct trusted_plan *plan,
                     const Confleet__OrderUpgrade *order, struct err *err)
{
    CLEANUP(journal_run_free) struct journal_run last = { 0 };
    struct err why = { 0 };
    const struct run *open = agent_run(agent, plan->installation->id);
    if (open)
        return err_set(err, run_over(open) ? FAIL_HELD : FAIL_BUSY, "%s has a run that is %s: %s",
                       plan->installation->install,
                       run_over(open) ? "held for a person" : "in flight", run_reason(open));
    int result = journal_run_find(agent->journal, "", "", plan->sha256, order->site, &last, &why);
    if (result == -FAIL_NOT_FOUND)
        return 0;
    if (result == 0 && order->attempt <= last.attempt)
        return err_set(err, FAIL_EXISTS, "attempt %u of site %s was made already and ended %s",
                       order->attempt, order->site, outcome_name(last.outcome));
    if (result != 0 && err)
        *err = why;
    return result;
}

static int run_add(struct taking *taking, const struct trusted_plan *trusted, struct run **ret,
                   struct err *err)
{
    const Confleet__OrderUpgrade *upgrade = taking->order->upgrade;
    struct journal_run row = { .installation = trusted->installation->id,
                               .install = trusted->installation->install,
                               .home = trusted->installation->home,
                               .site = upgrade->site,
                               .order_id = taking->order->id,
                               .plan_id = trusted->plan->id,
                               .plan_sha256 = (char *)(uintptr_t)trusted->sha256,
                               .plan = (char *)upgrade->plan->payload.data,
                               .plan_len = upgrade->plan->payload.len,
                               .attempt = upgrade->attempt,
                               .created_ms = clock_wall_ms() };
    (void)snprintf(row.id, sizeof row.id, "%.12s-%u-%s", trusted->sha256, upgrade->attempt,
                   upgrade->site);
    int result =
        journal_serial_set(taking->agent->journal, row.installation, trusted->plan->serial, err);
    if (result == 0)
        result = journal_run_add(taking->agent->journal, &row, err);
    if (result == 0)
        result = consent_retry_used(taking->agent->journal, row.id, trusted->retry_serial, err);
    if (result == 0)
        result = waivers_keep(taking->agent->journal, row.id, upgrade->waivers, upgrade->n_waivers,
                              err);
    return result ? result : agent_run_load(taking->agent, &row, ret, err);
}

/* Refusals that must be heard of although the order is not sent any more: an acknowledgement that
 * is lost would not be asked for again. */
static int refuse_for_good(struct taking *taking, const char *site, const struct err *why,
                           struct err *err)
{
    struct report_about about = { taking->order->id, NULL, site, NULL, 0 };
    int result = report_done(taking->agent->journal, &about, why->code, why->text, err);
    return result ? result : refuse(taking, why);
}

/* Whoever gave the order counts the site as silent from then on, and somebody may have decided
 * upon that. Without a word of the controller's clock ours is the judge, as for windows. */
static int check_in_time(const struct taking *taking, struct err *err)
{
    const struct agent *agent = taking->agent;
    char by[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
    int64_t start_by_ms = taking->order->start_by_ms;
    int64_t now_ms = agent->controller_clock_known ? clock_mono_ms() + agent->controller_clock_ms
                                                   : clock_wall_ms() - TIMING_TOLERANCE_MS;
    if (start_by_ms == 0 || now_ms < start_by_ms)
        return 0;
    return err_set(err, FAIL_EXPIRED,
                   "the order came too late: it was good until %s, and it is %s by the clock of %s "
                   "(this server slept, or was cut off); nothing was started",
                   clock_text(start_by_ms, by), clock_text(now_ms, now),
                   agent->controller_clock_known ? "the controller" : "this server");
}

static int check_dropped(const struct taking *taking, const char *plan_sha256, const char *site,
                         struct err *err)
{
    CLEANUP(free_mem) char *dropped = NULL;
    int result = journal_dropped(taking->agent->journal, plan_sha256, site, &dropped, err);
    if (result != 0 || !dropped)
        return result;
    return err_set(err, FAIL_CANCELLED, "site %s was taken out of this plan: %s", site, dropped);
}

static int take_upgrade(struct taking *taking, struct err *err)
{
    struct agent *agent = taking->agent;
    struct trust trust = { &agent->controller, &agent->config->policy, agent->journal,
                           agent->survey };
    struct trusted_plan trusted = { 0 };
    const char *site = taking->order->upgrade->site;
    struct err why = { 0 };
    struct run *run = NULL;
    if (check_in_time(taking, &why) != 0)
        return refuse_for_good(taking, site, &why, err);
    if (trust_plan(&trust, taking->arena, taking->order->upgrade, clock_wall_ms(), &trusted,
                   &why) != 0 ||
        check_new(agent, &trusted, taking->order->upgrade, &why) != 0)
        return refuse(taking, &why);
    if (check_dropped(taking, trusted.sha256, site, &why) != 0)
        return refuse_for_good(taking, site, &why, err);
    if (agent->run_count == AGENT_RUNS_MAX) {
        (void)err_set(&why, FAIL_LIMIT, "%d runs are open on this server already", AGENT_RUNS_MAX);
        return refuse(taking, &why);
    }
    return run_add(taking, &trusted, &run, err);
}

static int obey(struct agent *agent, const struct journal_run *row, enum run_event word,
                const char *order_id, const char *why_text, struct err *err)
{
    struct run *run = agent_run(agent, row->installation);
    if (run && strcmp(run_id(run), row->id) != 0)
        return err_set(err, FAIL_CONFLICT, "another run of %s is open", row->install);
    int result = !run && word == EVENT_ROLLBACK_ORDERED ? expire_check(agent, row, err) : 0;
    if (result == 0 && !run)
        result = agent_run_load(agent, row, &run, err);
    return result ? result : run_word(run, word, order_id, why_text, err);
}

static const char *stage_of(const struct journal_run *row, struct arena *arena, struct err *err)
{
    Confleet__Plan *plan = NULL;
    const Confleet__PlanStage *stage = NULL;
    if (wire_decode_plan(arena, row->plan, row->plan_len, &plan, err) != 0 ||
        !plan_site(plan, row->site, &stage))
        return "";
    return stage->name;
}

static int judge(struct taking *taking, const struct journal_run *row,
                 struct trusted_decision *ret, struct err *why)
{
    const struct agent *agent = taking->agent;
    struct trust trust = { &agent->controller, &agent->config->policy, agent->journal,
                           agent->survey };
    struct decision_about about = { row->plan_sha256, stage_of(row, taking->arena, why), row->site,
                                    row->install, row->created_ms };
    return why->code ? -why->code
                     : trust_decision(&trust, taking->arena, taking->order->decide->decision,
                                      &about, clock_wall_ms(), ret, why);
}

/* For good: an order for this site that is still under way starts nothing when it comes. */
static int drop(struct taking *taking, const struct journal_run *row,
                const struct trusted_decision *trusted, struct err *err)
{
    const Confleet__Decision *decision = trusted->decision;
    CLEANUP(free_mem)
    char *text = text_printf("%s by %s%s%s", trusted->kind == DECIDE_SKIP ? "skipped" : "aborted",
                             decision->signed_by, *decision->reason ? ": " : "", decision->reason);
    return journal_drop_set(taking->agent->journal, row->plan_sha256, row->site, text, err);
}

/* A skip lets go of the site before it is stopped; later than that the run ends as it can. */
static int skip_fits(const struct journal_run *row, const struct run *run, struct err *why)
{
    if (!run_runbook(run)->stop_intended)
        return 0;
    return err_set(why, FAIL_CONFLICT,
                   "site %s was stopped already: its upgrade goes on to its own end", row->site);
}

static int decide(struct taking *taking, const struct journal_run *row, struct err *why)
{
    struct agent *agent = taking->agent;
    struct trusted_decision trusted = { 0 };
    int result = judge(taking, row, &trusted, why);
    if (result == 0 && (trusted.kind == DECIDE_ABORT || trusted.kind == DECIDE_SKIP))
        result = drop(taking, row, &trusted, why);
    if (result != 0)
        return result;
    CLEANUP(free_mem)
    char *text = text_printf("%s%s%s", trusted.decision->signed_by,
                             *trusted.decision->reason ? ": " : "", trusted.decision->reason);
    const struct run *run = agent_run(agent, row->installation);
    if (trusted.kind == DECIDE_SKIP && (!run || strcmp(run_id(run), row->id) != 0))
        return journal_decision_set(agent->journal, trusted.decision->serial, why);
    if (trusted.kind == DECIDE_SKIP && skip_fits(row, run, why) != 0)
        return -FAIL_CONFLICT;
    if (trusted.kind == DECIDE_ABORT && !run)
        return err_set(why, FAIL_CONFLICT, "nothing of site %s is in flight here", row->site);
    if (trusted.kind == DECIDE_ABORT && run_runbook(run)->outcome == OUTCOME_HELD)
        return err_set(
            why, FAIL_HELD,
            "site %s is held for a person: %s; an abort leaves it there, take it back by "
            "a rollback",
            row->site, run_reason(run));
    if (trusted.kind == DECIDE_ABORT && run_runbook(run)->start_intended)
        return journal_decision_set(agent->journal, trusted.decision->serial,
                                    why); /* the nearest safe end lies ahead */
    enum run_event word =
        trusted.kind == DECIDE_COMMIT ? EVENT_COMMIT_ORDERED : EVENT_ROLLBACK_ORDERED;
    result = obey(agent, row, word, taking->order->id, text, why);
    return result ? result : journal_decision_set(agent->journal, trusted.decision->serial, why);
}

/* Who gave the order takes the site for one on its way back: it is told how it stands. */
static int stands_as_it_was(struct taking *taking, const struct journal_run *row,
                            const struct err *why, struct err *err)
{
    Confleet__RunEvent event = CONFLEET__RUN_EVENT__INIT;
    Confleet__Plan *plan = NULL;
    char reason[ERR_TEXT_MAX + 32];
    struct report_about about = { taking->order->id, row->installation, row->site, row->plan_id,
                                  row->attempt };
    if (row->outcome != OUTCOME_COMMITTED || agent_run(taking->agent, row->installation) ||
        wire_decode_plan(taking->arena, row->plan, row->plan_len, &plan, NULL) != 0)
        return 0;
    (void)snprintf(reason, sizeof reason, "not rolled back: %s", why->text);
    event.state = CONFLEET__RUN_STATE__RUN_COMMITTED;
    event.reason = reason;
    event.outage_ms = row->outage_ms;
    event.version = plan->release->version;
    event.build = plan->release->build;
    return report_run(taking->agent->journal, &about, &event, err);
}

static bool is_judgement(int code)
{
    return code != FAIL_DATABASE && code != FAIL_SPACE && code != FAIL_CORRUPT && code != FAIL_IO &&
           code != FAIL_INTERNAL;
}

/* No order for this site came so far. What a skip or an abort says of it counts all the same; for
 * any other decision the answer is that there is no run. */
static int decide_unstarted(struct taking *taking, const char *sha256, struct err *why)
{
    const Confleet__OrderDecide *order = taking->order->decide;
    struct trusted_decision trusted = { 0 };
    struct err no_run = *why;
    struct journal_run row = { .plan_sha256 = (char *)(uintptr_t)sha256,
                               .site = order->site,
                               .install = (char *)(uintptr_t) "",
                               .plan = (char *)order->plan->payload.data,
                               .plan_len = order->plan->payload.len };
    struct report_about about = { taking->order->id, NULL, order->site, NULL, 0 };
    err_clear(why);
    int result = judge(taking, &row, &trusted, why);
    if (result != 0 || (trusted.kind != DECIDE_ABORT && trusted.kind != DECIDE_SKIP)) {
        *why = no_run;
        return -no_run.code;
    }
    result = drop(taking, &row, &trusted, why);
    if (result == 0)
        result = journal_decision_set(taking->agent->journal, trusted.decision->serial, why);
    return result ? result
                  : report_done(taking->agent->journal, &about, 0,
                                "nothing of this site was started here, and nothing will be", why);
}

static int take_decide(struct taking *taking, struct err *err)
{
    const Confleet__OrderDecide *order = taking->order->decide;
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    char sha256[65] = "";
    struct err why = { 0 };
    if (!order->plan || !order->decision)
        return refuse(taking, (err_set(&why, FAIL_PROTOCOL,
                                       "the order holds no decision, or no plan that it is about"),
                               &why));
    hash_bytes_hex(order->plan->payload.data, order->plan->payload.len, sha256);
    int result = journal_run_find(taking->agent->journal, "", "", sha256, order->site, &row, &why);
    if (result == 0)
        result = decide(taking, &row, &why);
    else if (result == -FAIL_NOT_FOUND)
        result = decide_unstarted(taking, sha256, &why);
    taking->done = true; /* what follows is reported by the run */
    if (result == 0)
        return 0;
    if (is_judgement(why.code)) {
        result = row.site ? stands_as_it_was(taking, &row, &why, err) : 0;
        return result ? result : refuse(taking, &why);
    }
    if (err)
        *err = why;
    return result;
}

static int take_kind(struct taking *taking, struct err *err)
{
    const Confleet__Order *order = taking->order;
    struct err why = { 0 };
    switch (order->what_case) {
    case CONFLEET__ORDER__WHAT_SURVEY:
        return take_task(taking, &(struct task_spec){ .kind = TASK_SURVEY,
                                                      .installation = "",
                                                      .site = "",
                                                      .backup = "" });
    case CONFLEET__ORDER__WHAT_CHECK:
        return take_task(taking, &(struct task_spec){ .kind = TASK_CHECK,
                                                      .installation = order->check->installation,
                                                      .site = order->check->site,
                                                      .backup = "",
                                                      .check = order->check });
    case CONFLEET__ORDER__WHAT_BACKUP:
        return take_task(taking, &(struct task_spec){ .kind = TASK_BACKUP,
                                                      .installation = order->backup->installation,
                                                      .site = order->backup->site,
                                                      .backup = "",
                                                      .full_speed = order->backup->full_speed });
    case CONFLEET__ORDER__WHAT_VERIFY:
        return take_task(taking, &(struct task_spec){ .kind = TASK_VERIFY,
                                                      .installation = order->verify->installation,
                                                      .site = order->verify->site,
                                                      .backup = order->verify->backup,
                                                      .full_speed = order->verify->full_speed });
    case CONFLEET__ORDER__WHAT_RESTORE:
        return take_restore(taking);
    case CONFLEET__ORDER__WHAT_UPGRADE:
        return taking->again ? 0 : take_upgrade(taking, err);
    case CONFLEET__ORDER__WHAT_DECIDE:
        return taking->again ? 0 : take_decide(taking, err);
    default:
        (void)err_set(&why, FAIL_UNSUPPORTED, "this agent knows no such order");
        return refuse(taking, &why);
    }
}

static int take_in_tx(void *arg, struct err *err)
{
    struct taking *taking = arg;
    CLEANUP(str_free) struct str bytes = { 0 };
    int result = take_kind(taking, err);
    if (result != 0)
        return result;
    wire_encode(&taking->order->base, &bytes);
    if (taking->done)
        str_clear(&bytes);
    return journal_order_add(taking->agent->journal, taking->order->id, bytes.s, bytes.len,
                             taking->answer->code, taking->answer->message, taking->done, err);
}

static int take_epoch(struct agent *agent, uint64_t epoch, struct err *err)
{
    uint64_t seen = journal_epoch(agent->journal);
    return epoch > seen ? journal_epoch_set(agent->journal, epoch, err) : 0;
}

int orders_take(struct agent *agent, const Confleet__Order *order, struct order_answer *ret,
                struct err *err)
{
    bool known = false;
    CLEANUP(free_mem) char *message = NULL;
    *ret = (struct order_answer){ 0 };
    assert(orders_ready(agent));
    if (order->epoch < journal_epoch(agent->journal)) {
        ret->code = FAIL_STALE;
        (void)snprintf(ret->message, sizeof ret->message,
                       "the order is of epoch %llu; a controller of epoch %llu has spoken already",
                       (unsigned long long)order->epoch,
                       (unsigned long long)journal_epoch(agent->journal));
        log_warn("order.stale", "order=%s message=\"%s\"", order->id, ret->message);
        return 0;
    }
    int result = take_epoch(agent, order->epoch, err);
    if (result == 0)
        result = journal_order_find(agent->journal, order->id, &known, &ret->code, &message, err);
    if (result != 0 || known) {
        (void)snprintf(ret->message, sizeof ret->message, "%s", message ? message : "");
        return result;
    }
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct taking taking = { agent, order, ret, arena, false, false };
    result = journal_tx(agent->journal, take_in_tx, &taking, err);
    if (result == 0 && ret->code)
        log_warn("order.refused", "order=%s code=%s message=\"%s\"", order->id,
                 fail_name(ret->code), ret->message);
    else if (result == 0)
        log_info("order.taken", "order=%s kind=%d", order->id, (int)order->what_case);
    return result;
}

static int give_up(struct agent *agent, const Confleet__Order *order, int code, const char *message,
                   struct err *err)
{
    struct report_about about = { order->id, NULL, NULL, NULL, 0 };
    int result = report_done(agent->journal, &about, code, message, err);
    return result ? result : journal_order_done(agent->journal, order->id, err);
}

struct resuming {
    struct agent *agent;
    struct str ids[AGENT_TASKS_MAX];
    struct str orders[AGENT_TASKS_MAX];
    size_t count;
};

static int collect(void *arg, const struct journal_order *order, struct err *err)
{
    struct resuming *resuming = arg;
    (void)err;
    if (resuming->count == AGENT_TASKS_MAX)
        return 0;
    str_add(&resuming->ids[resuming->count], order->id);
    str_add_bytes(&resuming->orders[resuming->count++], order->bytes, order->len);
    return 0;
}

static int resume_one(struct agent *agent, const struct str *bytes, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Order *order = NULL;
    struct order_answer answer = { 0 };
    int64_t starts = 0;
    int result = wire_decode_order(arena, bytes->s, bytes->len, &order, err);
    if (result == 0)
        result = journal_order_starts(agent->journal, order->id, &starts, err);
    if (result != 0)
        return result;
    bool task = order->what_case != CONFLEET__ORDER__WHAT_UPGRADE &&
                order->what_case != CONFLEET__ORDER__WHAT_DECIDE;
    if (task && starts > TASK_STARTS_MAX)
        return give_up(agent, order, FAIL_INTERNAL,
                       "the agent was restarted in it again and again; given up", err);
    struct taking taking = { agent, order, &answer, arena, false, true };
    result = take_kind(&taking, err);
    return result == 0 && answer.code ? give_up(agent, order, answer.code, answer.message, err)
                                      : result;
}

int orders_resume(struct agent *agent, struct err *err)
{
    struct resuming *resuming = mem_zero(1, sizeof *resuming);
    resuming->agent = agent;
    int result = journal_orders_open(agent->journal, collect, resuming, err);
    for (size_t i = 0; i < resuming->count && result == 0; i++)
        result = resume_one(agent, &resuming->orders[i], err);
    for (size_t i = 0; i < resuming->count; i++) {
        str_free(&resuming->ids[i]);
        str_free(&resuming->orders[i]);
    }
    free(resuming);
    return result;
}

struct search {
    const char *install;
    struct journal_run row;
    bool found;
};

static int search_one(void *arg, const struct journal_run *row, struct err *err)
{
    struct search *search = arg;
    (void)err;
    if (strcmp(row->install, search->install) != 0 &&
        strcmp(row->installation, search->install) != 0)
        return 0;
    /* A try that changed nothing does not stand before the upgrade that did. */
    if (search->found && row->outcome == OUTCOME_NOT_READY)
        return 0;
    search->found = true;
    (void)snprintf(search->row.id, sizeof search->row.id, "%s", row->id);
    return 0;
}

int orders_local(struct agent *agent, enum run_event word, const char *install, const char *why,
                 struct err *err)
{
    struct search search = { .install = install };
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    int result = journal_runs(agent->journal, false, search_one, &search, err);
    if (result == 0 && !search.found)
        return err_set(err, FAIL_NOT_FOUND, "the journal holds no run of %s", install);
    if (result == 0)
        result = journal_run_find(agent->journal, search.row.id, "", "", "", &row, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem) char *order_id = text_printf("local-%lld", (long long)clock_wall_ms());
    log_warn("local.word", "run=%s word=%s", row.id, run_event_name(word));
    return obey(agent, &row, word, order_id, why, err);
}
