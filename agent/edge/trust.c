#include "agent/edge/trust.h"
#include "agent/edge/consent.h"
#include "agent/edge/run.h"
#include "agent/edge/timing.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include <assert.h>
#include <string.h>

const Confleet__Installation *survey_find(const Confleet__Survey *survey, const char *id)
{
    for (size_t i = 0; survey && i < survey->n_installations; i++)
        if (strcmp(survey->installations[i]->id, id) == 0)
            return survey->installations[i];
    return NULL;
}

bool trust_may_sign(const struct join_trust *trust)
{
    return strcmp(trust->role, "operator") == 0 || strcmp(trust->role, "approver") == 0 ||
           strcmp(trust->role, "admin") == 0;
}

int trust_signed_by(const struct join_trust *key, const char *context,
                    const Confleet__SignedText *text, struct err *err)
{
    char id[KEY_ID_MAX];
    keys_id(key->sign_public, id);
    for (size_t i = 0; i < text->n_signatures; i++) {
        const Confleet__Signature *signature = text->signatures[i];
        if (strcmp(signature->key_id, id) != 0)
            continue;
        int result = sign_check(key->sign_public, context, text->payload.data, text->payload.len,
                                signature->value.data, signature->value.len, err);
        return result != 0 ? err_wrap(err, "signature by %s (key %s)", key->name, id) : 1;
    }
    return 0;
}

int trust_signatures(const struct join *controller, const char *context,
                     const Confleet__SignedText *text, uint64_t needed, struct err *err)
{
    uint64_t count = 0;
    assert(needed > 0);
    for (size_t i = 0; i < controller->trust_count; i++) {
        bool twice = false;
        for (size_t k = 0; k < i && !twice; k++)
            twice = memcmp(controller->trust[k].sign_public, controller->trust[i].sign_public,
                           KEY_SIZE) == 0;
        if (twice || !trust_may_sign(&controller->trust[i]))
            continue;
        int result = trust_signed_by(&controller->trust[i], context, text, err);
        if (result < 0)
            return result;
        count += (uint64_t)result;
    }
    if (count < needed)
        return err_set(err, FAIL_SIGNATURE,
                       "signed by %llu of the keys that this agent trusts, %llu needed "
                       "(policy.signatures of agent.yaml)",
                       (unsigned long long)count, (unsigned long long)needed);
    return 0;
}

int trust_times(int64_t created_ms, int64_t expires_ms, int64_t now_ms, const char *what,
                struct err *err)
{
    char text[CLOCK_TEXT_MAX];
    if (expires_ms <= now_ms)
        return err_set(err, FAIL_EXPIRED, "the %s expired at %s", what,
                       clock_text(expires_ms, text));
    if (created_ms > now_ms + TRUST_CLOCK_SKEW_MS)
        return err_set(err, FAIL_EXPIRED,
                       "the %s was signed at %s, which is in the future here; compare the clocks",
                       what, clock_text(created_ms, text));
    return 0;
}

/* A plan serves several sites and attempts: the highest serial again is good for the very same
 * bytes only. */
static int check_serial(const struct trust *trust, const struct trusted_plan *plan, struct err *err)
{
    const char *installation = plan->installation->id;
    uint64_t highest = 0, serial = plan->plan->serial;
    int result = journal_serial(trust->journal, installation, &highest, err);
    if (result != 0 || serial > highest)
        return result;
    CLEANUP(journal_run_free) struct journal_run run = { 0 };
    struct err why = { 0 };
    result = serial == highest
                 ? journal_run_find(trust->journal, "", installation, plan->sha256, "", &run, &why)
                 : -FAIL_NOT_FOUND;
    if (result == -FAIL_NOT_FOUND)
        return err_set(
            err, FAIL_STALE, "the plan has serial %llu, this agent has seen %llu for %s already",
            (unsigned long long)serial, (unsigned long long)highest, plan->installation->install);
    if (result != 0 && err)
        *err = why;
    return result;
}

static int check_plan_head(const struct trust *trust, const struct trusted_plan *trusted,
                           int64_t now_ms, struct err *err)
{
    const Confleet__Plan *plan = trusted->plan;
    if (plan->format != 1)
        return err_set(err, FAIL_PROTOCOL, "the plan has format %u, this agent reads format 1",
                       plan->format);
    if (strcmp(plan->fleet, trust->controller->fleet) != 0)
        return err_set(err, FAIL_MISMATCH, "the plan is for fleet %s, this agent belongs to %s",
                       plan->fleet, trust->controller->fleet);
    if (!plan->release || !hash_is_hex(plan->release->artifact_sha256) ||
        plan->release->artifact_size == 0)
        return err_set(err, FAIL_PROTOCOL, "the plan names no artifact with digest and size");
    if (strcmp(plan->on_failure, "rollback") != 0 && strcmp(plan->on_failure, "hold") != 0)
        return err_set(err, FAIL_PROTOCOL, "the plan's on_failure is '%s', not rollback or hold",
                       plan->on_failure);
    if (plan->backup_level < CONFLEET__BACKUP_LEVEL__RESTORED)
        return err_set(err, FAIL_DENIED,
                       "the plan does not ask for a backup that was proven by restoring it");
    return trust_times(plan->created_ms, plan->expires_ms, now_ms, "plan", err);
}

static int check_site(const struct trust *trust, const char *name, int64_t now_ms,
                      struct trusted_plan *trusted, struct err *err)
{
    const char *me = trust->controller->name;
    trusted->site = plan_site(trusted->plan, name, &trusted->stage);
    if (!trusted->site || !text_is_name(name))
        return err_set(err, FAIL_NOT_FOUND, "the plan does not name site %s", name);
    if (trusted->site->n_nodes != 1)
        return err_set(
            err, FAIL_UNSUPPORTED,
            "site %s has %zu nodes in the plan; this version upgrades sites of exactly one node",
            name, trusted->site->n_nodes);
    const Confleet__PlanNode *node = trusted->site->nodes[0];
    if (strcmp(node->agent, me) != 0)
        return err_set(err, FAIL_NOT_FOUND, "the plan gives site %s to agent %s; this agent is %s",
                       name, node->agent, me);
    trusted->installation = survey_find(trust->survey, node->installation);
    if (!trusted->installation)
        return err_set(err, FAIL_NOT_FOUND,
                       "the plan names installation %s, which is not on this server",
                       node->installation);
    int result = check_serial(trust, trusted, err);
    if (result != 0)
        return result;
    if (trusted->installation->clustered)
        return err_set(err, FAIL_UNSUPPORTED,
                       "%s is a cluster node; clusters are not upgraded by this version",
                       trusted->installation->install);
    if (trusted->installation->app_build != trusted->site->from_build)
        return err_set(
            err, FAIL_MISMATCH,
            "the plan was made for build %u of site %s, build %u is installed; make a new plan",
            trusted->site->from_build, name, trusted->installation->app_build);
    return timing_allows(trusted->plan, trusted->stage, trusted->site, now_ms, err);
}

int trust_plan(const struct trust *trust, struct arena *arena, const Confleet__OrderUpgrade *order,
               int64_t now_ms, struct trusted_plan *ret, struct err *err)
{
    struct trusted_plan trusted = { 0 };
    Confleet__Plan *plan = NULL;
    if (!order->plan)
        return err_set(err, FAIL_PROTOCOL, "the order holds no plan");
    int result = trust_signatures(trust->controller, SIGN_CONTEXT_PLAN, order->plan,
                                  trust->policy->signatures, err);
    if (result == 0)
        result = wire_decode_plan(arena, order->plan->payload.data, order->plan->payload.len, &plan,
                                  err);
    if (result != 0)
        return result;
    trusted.plan = plan;
    hash_bytes_hex(order->plan->payload.data, order->plan->payload.len, trusted.sha256);
    result = check_plan_head(trust, &trusted, now_ms, err);
    if (result == 0)
        result = check_site(trust, order->site, now_ms, &trusted, err);
    if (result == 0)
        result = policy_held(trust->policy, err);
    if (result == 0)
        result =
            policy_allows(trust->policy, OPERATION_UPGRADE, trusted.installation->install, err);
    if (result == 0)
        result = policy_takes_release(trust->policy, plan->release->version, trusted.stage->soak_ms,
                                      err);
    if (result == 0)
        result = consent_approvals(trust, arena, &trusted, order, now_ms, err);
    if (result == 0)
        result = consent_retry(trust, arena, &trusted, order, now_ms, &trusted.retry_serial, err);
    if (result == 0)
        *ret = trusted;
    return result;
}

static int decision_kind(const Confleet__Decision *decision, enum decision_kind *ret,
                         struct err *err)
{
    static const char *const names[] = {
        [DECIDE_ROLLBACK] = "rollback",
        [DECIDE_COMMIT] = "commit",
        [DECIDE_ABORT] = "abort",
        [DECIDE_SKIP] = "skip"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], decision->kind) == 0) {
            *ret = (enum decision_kind)i;
            return 0;
        }
    return err_set(err, FAIL_UNSUPPORTED, "'%s' is no decision that an agent acts upon",
                   decision->kind);
}

static int check_decision(const struct trust *trust, const Confleet__Decision *decision,
                          const struct decision_about *about, int64_t now_ms, struct err *err)
{
    if (decision->format != 1)
        return err_set(err, FAIL_PROTOCOL, "the decision has format %u, this agent reads format 1",
                       decision->format);
    if (strcmp(decision->fleet, trust->controller->fleet) != 0)
        return err_set(err, FAIL_MISMATCH, "the decision is for fleet %s, this agent belongs to %s",
                       decision->fleet, trust->controller->fleet);
    if (strcmp(decision->plan_sha256, about->plan_sha256) != 0)
        return err_set(err, FAIL_MISMATCH,
                       "the decision is about another plan than the run of site %s", about->site);
    if (decision->site[0] && strcmp(decision->site, about->site) != 0)
        return err_set(err, FAIL_MISMATCH, "the decision is about site %s, not %s", decision->site,
                       about->site);
    if (decision->stage[0] && strcmp(decision->stage, about->stage) != 0)
        return err_set(err, FAIL_MISMATCH, "the decision is about stage %s; site %s is in stage %s",
                       decision->stage, about->site, about->stage);
    if (decision->serial < journal_decision(trust->journal) ||
        decision->created_ms + TRUST_CLOCK_SKEW_MS < about->run_created_ms)
        return err_set(err, FAIL_STALE,
                       "the decision (serial %llu) is older than this run of site %s or than one "
                       "already obeyed",
                       (unsigned long long)decision->serial, about->site);
    return trust_times(decision->created_ms, decision->expires_ms, now_ms, "decision", err);
}

int trust_decision(const struct trust *trust, struct arena *arena, const Confleet__SignedText *text,
                   const struct decision_about *about, int64_t now_ms, struct trusted_decision *ret,
                   struct err *err)
{
    struct trusted_decision trusted = { 0 };
    Confleet__Decision *decision = NULL;
    if (!text)
        return err_set(err, FAIL_PROTOCOL, "the order holds no decision");
    int result = trust_signatures(trust->controller, SIGN_CONTEXT_DECISION, text, 1, err);
    if (result == 0)
        result = wire_decode_decision(arena, text->payload.data, text->payload.len, &decision, err);
    if (result == 0)
        result = check_decision(trust, decision, about, now_ms, err);
    if (result == 0)
        result = decision_kind(decision, &trusted.kind, err);
    if (result == 0 && trusted.kind == DECIDE_ROLLBACK) /* to halt, one key is enough everywhere */
        result = policy_allows(trust->policy, OPERATION_ROLLBACK, about->install, err);
    if (result != 0)
        return result;
    trusted.decision = decision;
    *ret = trusted;
    return 0;
}
