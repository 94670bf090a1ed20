#include "controller/edge/apply.h"
#include "controller/edge/views.h"

#include "confleet/hash.h"
#include <string.h>

static int rollout_need(struct ask *ask, const char *id, struct rollout_case **ret, struct err *err)
{
    const char *found = "";
    int result = rollout_id_find(ask->store, ask->pool, id, &found, err);
    if (result == 0 && found[0] == '\0')
        return err_set(err, FAIL_NOT_FOUND, "there was no rollout yet (confleet apply PLAN)");
    if (result == 0)
        result = rollout_load(ask->store, ask->pool, found, ret, err);
    if (result == 0 && !*ret)
        return err_set(err, FAIL_NOT_FOUND, "no rollout is called %s (confleet rollout list)",
                       found);
    return result;
}

static int rollout_reply(struct ask *ask, const char *id, bool full, struct err *err)
{
    struct rollout_case *c = NULL;
    Confleet__RolloutView *view = NULL;
    int result = rollout_need(ask, id, &c, err);
    if (result == 0)
        result = view_rollout(ask, c, full, &view, err);
    if (result == 0)
        pool_push(ask->pool, &ask->reply->rollouts, &ask->reply->n_rollouts, view);
    return result;
}

int ask_rollout_show(struct ask *ask, struct err *err)
{
    return rollout_reply(ask, ask->request->rollout_show->id, true, err);
}

int ask_rollout_list(struct ask *ask, struct err *err)
{
    const char **ids = NULL;
    size_t count = 0;
    int result = rollout_ids(ask->store, ask->pool, NULL, &ids, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = rollout_reply(ask, ids[i], false, err);
    return result;
}

int ask_apply(struct ask *ask, struct err *err)
{
    const Confleet__SignedText *text = ask->request->apply->plan;
    const Confleet__Plan *plan = NULL;
    const struct operator* signer = NULL;
    struct rollout_case *c = NULL;
    char sha256[HASH_HEX_MAX];
    int result = plan_check(ask, text, &plan, &signer, err);
    if (result != 0)
        return result;
    hash_bytes_hex(text->payload.data, text->payload.len, sha256);
    struct rollout_new new = { plan, text, sha256, signer->name };
    result = rollout_put(ask->store, &new, err);
    if (result == 0)
        result = store_serial_set(ask->store, plan->serial, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "plan-applied", err,
                           "rollout %s (%s): release %s, serial %llu, signed by %s, %s", plan->id,
                           plan->name, plan->release->version, (unsigned long long)plan->serial,
                           signer->name, sha256);
    if (result == 0)
        result = rollout_load(ask->store, ask->pool, plan->id, &c, err);
    if (result == 0)
        result = rollout_feed(ask->store, c, NULL, ask->who, err);
    return result == 0 ? rollout_reply(ask, plan->id, true, err) : result;
}

struct decided {
    const Confleet__Decision *decision;
    const Confleet__SignedText *text;
    size_t orders;
};

/* Which sites a decision reaches, and in which of their states it has an effect on the agent. */
static bool decision_fits(const Confleet__Decision *decision, const struct rollout_case *c,
                          size_t at)
{
    enum site_state state = c->core.sites[at].state;
    if (decision->stage[0] != '\0' && strcmp(decision->stage, c->rows[at].stage_name) != 0)
        return false;
    if (decision->site[0] != '\0' && strcmp(decision->site, c->rows[at].site) != 0)
        return false;
    if (strcmp(decision->kind, "rollback") == 0)
        return state == SITE_ORDERED || state == SITE_RUNNING || state == SITE_SOAKING ||
               state == SITE_COMMITTED || state == SITE_HELD || state == SITE_SILENT;
    if (strcmp(decision->kind, "commit") == 0)
        return state == SITE_SOAKING;
    return site_state_in_flight(state); /* abort */
}

static int decide_order(struct ask *ask, const struct rollout_case *c, size_t at,
                        const Confleet__SignedText *text, struct err *err)
{
    char id[ORDER_ID_MAX];
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    struct order_spec spec = { c->rows[at].agent, c->id, "", c->rows[at].site, &order };
    decide.decision = (Confleet__SignedText *)(uintptr_t)text;
    decide.plan = (Confleet__SignedText *)(uintptr_t)c->signed_plan;
    decide.site = field(c->rows[at].site);
    order.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    order.decide = &decide;
    int result = order_put(ask->store, &spec, id, err);
    if (result != 0)
        return result;
    return audit_add(ask->store, "controller", "order", err,
                     "decision for site %s given to agent %s (rollout %s, order %s)",
                     c->rows[at].site, c->rows[at].agent, c->id, id);
}

static int decide_site(struct ask *ask, struct rollout_case *c, size_t at, struct decided *decided,
                       struct err *err)
{
    struct rollout_event back = { ROLLOUT_SITE, at, INPUT_BACK, ask->store->now_ms, NULL };
    if (!decision_fits(decided->decision, c, at))
        return 0;
    int result = decide_order(ask, c, at, decided->text, err);
    decided->orders++;
    if (result == 0 && strcmp(decided->decision->kind, "rollback") == 0)
        result = rollout_feed(ask->store, c, &back, ask->who, err);
    return result;
}

static int decision_known(const Confleet__Decision *decision, struct err *err)
{
    static const char *const known[] = { "rollback", "commit", "abort" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], decision->kind) == 0)
            return 0;
    return err_set(err, FAIL_UNSUPPORTED,
                   "the decision '%s' is not known by this version (rollback, commit, abort)",
                   decision->kind);
}

int ask_decide(struct ask *ask, struct err *err)
{
    const Confleet__AskDecide *ask_decide = ask->request->decide;
    const Confleet__Decision *decision = NULL;
    const struct operator* signer = NULL;
    struct rollout_case *c = NULL;
    int result = rollout_need(ask, ask_decide->rollout, &c, err);
    if (result == 0)
        result = decision_check(ask, ask_decide->decision, c, &decision, &signer, err);
    if (result == 0)
        result = decision_known(decision, err);
    if (result == 0)
        result = store_serial_set(ask->store, decision->serial, err);
    if (result == 0)
        result =
            audit_add(ask->store, ask->who, "decision", err,
                      "%s for rollout %s, stage '%s', site '%s', signed by %s: %s", decision->kind,
                      c->id, decision->stage, decision->site, signer->name, decision->reason);
    if (result != 0)
        return result;
    struct decided decided = { decision, ask_decide->decision, 0 };
    struct rollout_event stop = { ROLLOUT_STOP, 0, 0, ask->store->now_ms, "a person aborted it" };
    if (strcmp(decision->kind, "abort") == 0)
        result = rollout_feed(ask->store, c, &stop, ask->who, err);
    for (size_t i = 0; result == 0 && i < c->core.site_count; i++)
        result = decide_site(ask, c, i, &decided, err);
    if (result == 0 && decided.orders == 0 && strcmp(decision->kind, "abort") != 0)
        return err_set(err, FAIL_NOT_FOUND,
                       "there is no site in rollout %s that '%s' could be done for now", c->id,
                       decision->kind);
    return result == 0 ? rollout_reply(ask, c->id, true, err) : result;
}
