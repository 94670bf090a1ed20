#include "controller/edge/apply.h"
#include "controller/edge/rollouts_inside.h"

#include "confleet/clock.h"
#include "controller/edge/store_decisions.h"
#include <string.h>

/* One decision on its way. */
struct verdict {
    struct ask *ask;
    struct rollout_case *c;
    const Confleet__Decision *decision;
    const Confleet__SignedText *text;
    const struct operator* signer;
};
typedef int verdict_fn(struct verdict *v, struct err *err);

/* "paused by anna: storage is slow" */
static const char *verdict_words(const struct verdict *v, const char *what)
{
    char words[ROLLOUT_REASON_MAX];
    (void)snprintf(words, sizeof words, "%s by %s%s%s", what, v->signer->name,
                   v->decision->reason[0] != '\0' ? ": " : "", v->decision->reason);
    return pool_text(v->ask->pool, words);
}

static int verdict_feed(struct verdict *v, enum rollout_event_kind kind, const char *reason,
                        struct err *err)
{
    struct rollout_event event = { .kind = kind,
                                   .now_ms = v->ask->store->now_ms,
                                   .reason = reason };
    return rollout_feed(v->ask->store, v->c, &event, v->ask->who, err);
}

static int site_feed(struct verdict *v, size_t at, enum site_input input, struct err *err)
{
    struct rollout_event event = { ROLLOUT_SITE, at, input, v->ask->store->now_ms, NULL };
    return rollout_feed(v->ask->store, v->c, &event, v->ask->who, err);
}

static int verdict_site(const struct verdict *v, size_t *ret_at, struct err *err)
{
    if (v->decision->site[0] == '\0')
        return err_set(err, FAIL_USAGE, "the decision %s names no site", v->decision->kind);
    if (rollout_place(v->c, v->decision->site, ret_at))
        return 0;
    return err_set(err, FAIL_NOT_FOUND, "no site is called %s in rollout %s", v->decision->site,
                   v->c->id);
}

/* Which sites a decision reaches, and in which of their states it has an effect on the agent. */
static bool decision_fits(const struct verdict *v, size_t at)
{
    const Confleet__Decision *decision = v->decision;
    enum site_state state = v->c->core.sites[at].state;
    if (decision->stage[0] != '\0' && strcmp(decision->stage, v->c->rows[at].stage_name) != 0)
        return false;
    if (decision->site[0] != '\0' && strcmp(decision->site, v->c->rows[at].site) != 0)
        return false;
    if (strcmp(decision->kind, "rollback") == 0)
        return state == SITE_ORDERED || state == SITE_RUNNING || state == SITE_SOAKING ||
               state == SITE_COMMITTED || state == SITE_HELD || state == SITE_SILENT;
    if (strcmp(decision->kind, "commit") == 0)
        return state == SITE_SOAKING;
    return site_state_in_flight(state); /* abort */
}

static int decide_order(const struct verdict *v, size_t at, struct err *err)
{
    char id[ORDER_ID_MAX];
    const struct rollout_case *c = v->c;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    struct order_spec spec = { c->rows[at].agent, c->id, "", c->rows[at].site, &order };
    decide.decision = (Confleet__SignedText *)(uintptr_t)v->text;
    decide.plan = (Confleet__SignedText *)(uintptr_t)c->signed_plan;
    decide.site = field(c->rows[at].site);
    order.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    order.decide = &decide;
    int result = order_put(v->ask->store, &spec, id, err);
    if (result != 0)
        return result;
    return audit_add(v->ask->store, "controller", "order", err,
                     "decision for site %s given to agent %s (rollout %s, order %s)",
                     c->rows[at].site, c->rows[at].agent, c->id, id);
}

static int decide_approve(struct verdict *v, struct err *err)
{
    const Confleet__PlanStage *stage = NULL;
    bool alone = false;
    for (size_t i = 0; i < v->c->plan->n_stages; i++)
        if (strcmp(v->c->plan->stages[i]->name, v->decision->stage) == 0)
            stage = v->c->plan->stages[i];
    if (!stage)
        return err_set(err, FAIL_NOT_FOUND, "rollout %s has no stage called '%s'", v->c->id,
                       v->decision->stage);
    if (v->decision->site[0] != '\0')
        return err_set(err, FAIL_USAGE, "an approval is for a stage, not for site %s alone",
                       v->decision->site);
    if (stage->needs_approvals == 0)
        return err_set(err, FAIL_USAGE, "stage %s needs no approval", stage->name);
    if (v->c->core.aborted)
        return err_set(err, FAIL_CANCELLED, "rollout %s was aborted: nothing of it is approved",
                       v->c->id);
    for (size_t i = 0; i < v->c->approval_count; i++)
        if (v->c->approvals[i].in_force && strcmp(v->c->approvals[i].stage, stage->name) == 0 &&
            strcmp(v->c->approvals[i].operator_name, v->signer->name) == 0)
            return err_set(err, FAIL_EXISTS, "%s has approved stage %s already", v->signer->name,
                           stage->name);
    int result = approver_check(v->ask->store, v->ask->pool, v->c, v->signer->name, &alone, err);
    bool own = strcmp(v->c->signed_by, v->signer->name) == 0;
    if (result == 0 && own && (!alone || stage->needs_approvals > 1))
        return err_set(err, FAIL_DENIED,
                       "%s signed this plan and may not approve stage %s: another approver must",
                       v->signer->name, stage->name);
    struct approval_new approval = {
        v->c->id, stage->name, v->signer->key_id, v->signer->name, v->decision->expires_ms, v->text
    };
    if (result == 0)
        result = approval_put(v->ask->store, &approval, err);
    if (result == 0 && own)
        result = audit_add(v->ask->store, v->ask->who, "approval-alone", err,
                           "rollout %s, stage %s: %s approved a plan of his own, being the only "
                           "operator known",
                           v->c->id, stage->name, v->signer->name);
    if (result == 0)
        result = rollout_load(v->ask->store, v->ask->pool, v->c->id, &v->c, err);
    return result == 0 ? rollout_feed(v->ask->store, v->c, NULL, v->ask->who, err) : result;
}

static int decide_pause(struct verdict *v, struct err *err)
{
    if (v->c->core.paused || v->c->core.state != ROLLOUT_RUNNING)
        return err_set(err, FAIL_CONFLICT, "rollout %s is %s already", v->c->id,
                       v->c->core.paused ? "paused" : rollout_state_name(v->c->core.state));
    return verdict_feed(v, ROLLOUT_PAUSE, verdict_words(v, "paused"), err);
}

static int decide_resume(struct verdict *v, struct err *err)
{
    if (v->c->core.aborted)
        return err_set(err, FAIL_CANCELLED,
                       "rollout %s was aborted, which is for good: make a new plan", v->c->id);
    if (!v->c->core.paused && v->c->core.reason[0] == '\0')
        return err_set(err, FAIL_CONFLICT, "rollout %s is %s: there is nothing to resume", v->c->id,
                       rollout_state_name(v->c->core.state));
    return verdict_feed(v, ROLLOUT_RESUME, NULL, err);
}

/* Orders that an agent did not take yet are taken back; whether one was on its way nobody knows, so
 * the decision goes out all the same, to silent agents, too: they hear it first when they are back.
 */
static int decide_abort(struct verdict *v, struct err *err)
{
    if (v->c->core.aborted)
        return err_set(err, FAIL_CONFLICT, "rollout %s was aborted already", v->c->id);
    if (v->c->core.state == ROLLOUT_DONE)
        return err_set(err, FAIL_CONFLICT, "rollout %s is done: there is nothing to abort",
                       v->c->id);
    int result = verdict_feed(v, ROLLOUT_ABORT, verdict_words(v, "aborted"), err);
    for (size_t i = 0; result == 0 && i < v->c->core.site_count; i++) {
        enum site_state state = v->c->core.sites[i].state;
        if (!site_state_in_flight(state) && state != SITE_SILENT)
            continue;
        if (v->c->core.sites[i].state == SITE_ORDERED)
            result = orders_withdraw_site(v->ask->store, v->c->id, v->c->rows[i].site, err);
        if (result == 0)
            result = decide_order(v, i, err);
    }
    return result;
}

static int decide_retry(struct verdict *v, struct err *err)
{
    size_t at = 0;
    char text[CLOCK_TEXT_MAX], words[ROLLOUT_REASON_MAX];
    enum site_state queued = SITE_QUEUED;
    int result = verdict_site(v, &at, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &v->c->rows[at];
    enum site_state state = v->c->core.sites[at].state;
    if (!site_state_after(state, INPUT_RETRY, &queued))
        return err_set(err, FAIL_CONFLICT,
                       "site %s is %s: only a site that is not ready, refused, rolled back or "
                       "silent is tried again%s",
                       row->site, site_state_name(state),
                       state == SITE_HELD ? "; a held one waits for what its agent told you to do"
                                          : "");
    if (v->c->core.aborted)
        return err_set(err, FAIL_CANCELLED, "rollout %s was aborted: make a new plan for site %s",
                       v->c->id, row->site);
    if (v->c->plan->expires_ms <= v->ask->store->now_ms)
        return err_set(err, FAIL_EXPIRED, "the plan expired at %s: make a new plan for site %s",
                       clock_text(v->c->plan->expires_ms, text), row->site);
    result = site_is_free(v->ask, row->site, v->c->id, err);
    struct attempt_new attempt = { v->c->id,        row->site,
                                   v->signer->name, site_state_name(state),
                                   row->reason,     row->attempt + 1,
                                   v->text };
    if (result == 0)
        result = attempt_put(v->ask->store, &attempt, err);
    if (result == 0)
        result = orders_withdraw_site(v->ask->store, v->c->id, row->site, err);
    if (result != 0)
        return result;
    row->attempt++;
    row->run = CONFLEET__RUN_STATE__RUN_NONE;
    row->started_ms = row->soaking_ms = 0;
    row->safe_next = "";
    (void)snprintf(words, sizeof words, "attempt %d, %s", (int)row->attempt,
                   verdict_words(v, "decided"));
    row->reason = pool_text(v->ask->pool, words);
    return site_feed(v, at, INPUT_RETRY, err);
}

static int decide_skip(struct verdict *v, struct err *err)
{
    size_t at = 0;
    enum site_state skipped = SITE_SKIPPED;
    int result = verdict_site(v, &at, err);
    if (result != 0)
        return result;
    struct rollout_row *row = &v->c->rows[at];
    enum site_state state = v->c->core.sites[at].state;
    if (v->decision->reason[0] == '\0')
        return err_set(err, FAIL_USAGE, "skipping site %s needs a reason", row->site);
    if (!site_state_after(state, INPUT_SKIP, &skipped))
        return err_set(err, FAIL_CONFLICT, "site %s is %s: it cannot be skipped", row->site,
                       site_state_name(state));
    row->reason = verdict_words(v, "skipped");
    result = orders_withdraw_site(v->ask->store, v->c->id, row->site, err);
    /* Its agent may hold an order that nobody knows of, and drops it when it hears this. */
    bool doubt = state == SITE_SILENT || (state == SITE_QUEUED && row->attempt > 1);
    if (result == 0 && doubt)
        result = decide_order(v, at, err);
    return result == 0 ? site_feed(v, at, INPUT_SKIP, err) : result;
}

/* Rollback and commit: each site that the decision reaches gets it. An upgrade that its agent did not
 * take before a way back is not given again: after a restart, say, it would begin what was to end. */
static int decide_sites(struct verdict *v, struct err *err)
{
    bool back = strcmp(v->decision->kind, "rollback") == 0;
    size_t reached = 0;
    int result = 0;
    if (back && v->decision->stage[0] == '\0' && v->decision->site[0] == '\0')
        return err_set(err, FAIL_USAGE, "a rollback names a site or a stage");
    for (size_t i = 0; result == 0 && i < v->c->core.site_count; i++) {
        if (!decision_fits(v, i))
            continue;
        reached++;
        if (back)
            result = orders_withdraw_upgrade(v->ask->store, v->c->id, v->c->rows[i].site, err);
        if (result == 0)
            result = decide_order(v, i, err);
        if (result == 0 && back)
            result = site_feed(v, i, INPUT_BACK, err);
    }
    if (result == 0 && reached == 0)
        return err_set(err, FAIL_NOT_FOUND,
                       "there is no site in rollout %s that '%s' could be done for now", v->c->id,
                       v->decision->kind);
    return result;
}

static const struct verdict_rule {
    const char *kind;
    Confleet__Role least; /* besides admins, who may do all */
    verdict_fn *run;
} verdict_rules[] = {
    { "approve", CONFLEET__ROLE__APPROVER, decide_approve },
    { "pause", CONFLEET__ROLE__OPERATOR, decide_pause },
    { "resume", CONFLEET__ROLE__OPERATOR, decide_resume },
    { "abort", CONFLEET__ROLE__OPERATOR, decide_abort },
    { "retry", CONFLEET__ROLE__OPERATOR, decide_retry },
    { "skip", CONFLEET__ROLE__OPERATOR, decide_skip },
    { "rollback", CONFLEET__ROLE__OPERATOR, decide_sites },
    { "commit", CONFLEET__ROLE__OPERATOR, decide_sites },
};

static int verdict_rule_find(const struct verdict *v, const struct verdict_rule **ret,
                             struct err *err)
{
    for (size_t i = 0; i < sizeof verdict_rules / sizeof verdict_rules[0]; i++) {
        const struct verdict_rule *rule = &verdict_rules[i];
        if (strcmp(rule->kind, v->decision->kind) != 0)
            continue;
        /* Roles are apart here: who approves does not drive, and who drives does not approve. */
        if (v->signer->role != rule->least && v->signer->role != CONFLEET__ROLE__ADMIN)
            return err_set(err, FAIL_DENIED, "%s has the role %s: %s needs %s or admin",
                           v->signer->name, role_name(v->signer->role), rule->kind,
                           role_name(rule->least));
        *ret = rule;
        return 0;
    }
    return err_set(err, FAIL_UNSUPPORTED, "the decision '%s' is not known by this version",
                   v->decision->kind);
}

int ask_decide(struct ask *ask, struct err *err)
{
    const Confleet__AskDecide *from = ask->request->decide;
    struct verdict v = { .ask = ask, .text = from->decision };
    const struct verdict_rule *rule = NULL;
    struct rollout_ask what = { 0 };
    int result = rollout_need(ask, from->rollout, &v.c, err);
    if (result == 0)
        result = decision_check(ask, from->decision, v.c, &v.decision, &v.signer, err);
    if (result == 0)
        result = verdict_rule_find(&v, &rule, err);
    if (result == 0)
        result = store_serial_set(ask->store, v.decision->serial, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "decision", err,
                           "%s for rollout %s%s%s%s%s, signed by %s: %s", v.decision->kind, v.c->id,
                           v.decision->stage[0] ? ", stage " : "", v.decision->stage,
                           v.decision->site[0] ? ", site " : "", v.decision->site, v.signer->name,
                           v.decision->reason[0] ? v.decision->reason : "no reason given");
    if (result == 0)
        result = rule->run(&v, err);
    what.brief = result == 0 && v.c->core.site_count > 50;
    return result == 0 ? rollout_reply(ask, v.c->id, &what, err) : result;
}
