#include "agent/edge/consent.h"
#include "confleet/cleanup.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MEMO "retry-serial"

struct count {
    const struct trust *trust;
    const struct trusted_plan *plan;
    const Confleet__SignedText *plan_text;
    struct arena *arena;
    int64_t now_ms;
    uint64_t needed;
    bool counted[JOIN_TRUST_MAX]; /* by the place of the key in the controller file */
    uint64_t total;
    struct err first; /* why one did not count, the first such one */
};

static bool approves(const struct join_trust *key)
{
    return strcmp(key->role, "approver") == 0 || strcmp(key->role, "admin") == 0;
}

static bool operates(const struct join_trust *key)
{
    return strcmp(key->role, "operator") == 0 || strcmp(key->role, "admin") == 0;
}

/* One key under several names is one key. */
static bool same_key_before(const struct join *controller, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (memcmp(controller->trust[i].sign_public, controller->trust[at].sign_public, KEY_SIZE) ==
            0)
            return true;
    return false;
}

static bool is_alone(const struct join *controller)
{
    size_t known = 0;
    for (size_t i = 0; i < controller->trust_count; i++)
        known += trust_may_sign(&controller->trust[i]) && !same_key_before(controller, i);
    return known == 1;
}

static int decision_is_ours(const struct trust *trust, const Confleet__Decision *decision,
                            const char *kind, const struct trusted_plan *plan, struct err *err)
{
    if (decision->format != 1)
        return err_set(err, FAIL_PROTOCOL, "it has format %u, this agent reads format 1",
                       decision->format);
    if (strcmp(decision->kind, kind) != 0)
        return err_set(err, FAIL_MISMATCH, "it is a '%s', not a '%s'", decision->kind, kind);
    if (strcmp(decision->fleet, trust->controller->fleet) != 0)
        return err_set(err, FAIL_MISMATCH, "it is for fleet %s, this agent belongs to %s",
                       decision->fleet, trust->controller->fleet);
    if (strcmp(decision->plan_sha256, plan->sha256) != 0)
        return err_set(err, FAIL_MISMATCH, "it was given for another plan");
    return 0;
}

static int approval_fits(const struct count *count, const Confleet__Decision *approval,
                         struct err *err)
{
    const struct trusted_plan *plan = count->plan;
    int result = decision_is_ours(count->trust, approval, "approve", plan, err);
    if (result != 0)
        return result;
    if (strcmp(approval->stage, plan->stage->name) != 0)
        return err_set(err, FAIL_MISMATCH, "it was given for stage '%s', site %s is in stage %s",
                       approval->stage, plan->site->name, plan->stage->name);
    if (approval->site[0] && strcmp(approval->site, plan->site->name) != 0)
        return err_set(err, FAIL_MISMATCH, "it was given for site %s alone", approval->site);
    return trust_times(approval->created_ms, approval->expires_ms, count->now_ms, "approval", err);
}

/* May this key approve this plan? The one who signed the plan is no second person, except where
 * one approval is asked for and nobody else is known who could give it. */
static int approver_fits(const struct count *count, size_t at, struct err *err)
{
    const struct join *controller = count->trust->controller;
    const struct join_trust *key = &controller->trust[at];
    if (!approves(key))
        return err_set(err, FAIL_DENIED, "%s is %s; approvals are given by an approver or an admin",
                       key->name, key->role);
    int signer = trust_signed_by(key, SIGN_CONTEXT_PLAN, count->plan_text, err);
    if (signer < 0)
        return signer;
    if (signer && !(count->needed == 1 && is_alone(controller)))
        return err_set(err, FAIL_DENIED, "%s has signed the plan; another person must approve it",
                       key->name);
    return 0;
}

/* Negative: a signature in the name of a trusted key that is wrong. */
static int approval_signers(struct count *count, const Confleet__SignedText *text, struct err *err)
{
    const struct join *controller = count->trust->controller;
    struct err why = { 0 };
    bool known = false;
    for (size_t i = 0; i < controller->trust_count; i++) {
        int result = trust_signed_by(&controller->trust[i], SIGN_CONTEXT_DECISION, text, err);
        if (result < 0)
            return result;
        if (result == 0 || same_key_before(controller, i))
            continue;
        known = true;
        if (approver_fits(count, i, why.code ? NULL : &why) != 0)
            continue;
        count->total += !count->counted[i];
        if (count->counted[i] && !why.code)
            (void)err_set(&why, FAIL_DENIED, "%s has approved already", controller->trust[i].name);
        count->counted[i] = true;
    }
    if (!known)
        (void)err_set(&why, FAIL_SIGNATURE, "it is signed by no key that this agent trusts");
    if (why.code && !count->first.code)
        count->first = why;
    return 0;
}

static int approval_count(struct count *count, const Confleet__SignedText *text, struct err *err)
{
    Confleet__Decision *approval = NULL;
    struct err why = { 0 };
    if (wire_decode_decision(count->arena, text->payload.data, text->payload.len, &approval,
                             &why) == 0 &&
        approval_fits(count, approval, &why) == 0)
        return approval_signers(count, text, err);
    /* Bytes that do not fit may be altered ones: then the signature is what is wrong with them. */
    for (size_t i = 0; i < count->trust->controller->trust_count; i++) {
        int result =
            trust_signed_by(&count->trust->controller->trust[i], SIGN_CONTEXT_DECISION, text, err);
        if (result < 0)
            return result;
    }
    if (!count->first.code)
        count->first = why;
    return 0;
}

int consent_approvals(const struct trust *trust, struct arena *arena,
                      const struct trusted_plan *plan, const Confleet__OrderUpgrade *order,
                      int64_t now_ms, struct err *err)
{
    struct count count = { .trust = trust,
                           .plan = plan,
                           .plan_text = order->plan,
                           .arena = arena,
                           .now_ms = now_ms,
                           .needed = plan->stage->production ? plan->stage->needs_approvals : 0 };
    if (count.needed < trust->policy->approvals_needed)
        count.needed = trust->policy->approvals_needed;
    if (count.needed == 0)
        return 0;
    if (order->n_approvals > CONSENT_APPROVALS_MAX)
        return err_set(err, FAIL_LIMIT, "the order holds %zu approvals, at most %d are read",
                       order->n_approvals, CONSENT_APPROVALS_MAX);
    for (size_t i = 0; i < order->n_approvals; i++) {
        int result = approval_count(&count, order->approvals[i], err);
        if (result != 0)
            return err_wrap(err, "approval %zu", i + 1);
    }
    if (count.total >= count.needed)
        return 0;
    int code = count.first.code ? count.first.code : FAIL_DENIED;
    return err_set(err, (enum fail)code,
                   "stage %s needs the approval of %llu, this agent counts %llu of %zu given%s%s",
                   plan->stage->name, (unsigned long long)count.needed,
                   (unsigned long long)count.total, order->n_approvals,
                   count.first.code ? ": " : "", count.first.text);
}

static int memo_serial(void *arg, const char *key, const char *value, struct err *err)
{
    uint64_t *serial = arg;
    if (strcmp(key, RETRY_MEMO) != 0)
        return 0;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (errno || end == value || *end)
        return err_set(err, FAIL_CORRUPT, "the journal's %s is '%s', which is no number",
                       RETRY_MEMO, value);
    *serial = number;
    return 0;
}

/* What the attempt before this one stood on; zero when it was the first, or none. */
static int serial_before(const struct trust *trust, const struct trusted_plan *plan,
                         uint64_t *ret_serial, struct err *err)
{
    CLEANUP(journal_run_free) struct journal_run last = { 0 };
    struct err why = { 0 };
    *ret_serial = 0;
    int result =
        journal_run_find(trust->journal, "", "", plan->sha256, plan->site->name, &last, &why);
    if (result == -FAIL_NOT_FOUND)
        return 0;
    if (result != 0) {
        if (err)
            *err = why;
        return result;
    }
    return journal_memo(trust->journal, last.id, memo_serial, ret_serial, err);
}

static int retry_signers(const struct trust *trust, const Confleet__SignedText *text,
                         struct err *err)
{
    const struct join_trust *other = NULL;
    bool good = false;
    for (size_t i = 0; i < trust->controller->trust_count; i++) {
        const struct join_trust *key = &trust->controller->trust[i];
        int result = trust_signed_by(key, SIGN_CONTEXT_DECISION, text, err);
        if (result < 0)
            return result;
        good |= result && operates(key);
        other = result ? key : other;
    }
    if (good)
        return 0;
    if (other)
        return err_set(err, FAIL_DENIED, "%s is %s; a retry is decided by an operator or an admin",
                       other->name, other->role);
    return err_set(err, FAIL_SIGNATURE, "it is signed by no key that this agent trusts");
}

static int retry_fits(const struct trust *trust, const struct trusted_plan *plan,
                      const Confleet__Decision *retry, int64_t now_ms, struct err *err)
{
    uint64_t before = 0;
    int result = decision_is_ours(trust, retry, "retry", plan, err);
    if (result == 0 && strcmp(retry->site, plan->site->name) != 0)
        result = err_set(err, FAIL_MISMATCH, "it was given for site '%s', not %s", retry->site,
                         plan->site->name);
    if (result == 0)
        result = trust_times(retry->created_ms, retry->expires_ms, now_ms, "retry", err);
    if (result == 0)
        result = serial_before(trust, plan, &before, err);
    if (result == 0 && retry->serial <= before)
        result = err_set(err, FAIL_STALE,
                         "its serial is %llu, the attempt before stood on %llu; each attempt needs "
                         "a retry of its own",
                         (unsigned long long)retry->serial, (unsigned long long)before);
    return result;
}

int consent_retry(const struct trust *trust, struct arena *arena, const struct trusted_plan *plan,
                  const Confleet__OrderUpgrade *order, int64_t now_ms, uint64_t *ret_serial,
                  struct err *err)
{
    Confleet__Decision *retry = NULL;
    if (order->attempt <= 1) {
        *ret_serial = 0;
        return 0;
    }
    if (!order->retry)
        return err_set(err, FAIL_DENIED,
                       "attempt %u of site %s needs a person's signed retry; the order holds none",
                       order->attempt, plan->site->name);
    int result = retry_signers(trust, order->retry, err);
    if (result == 0)
        result = wire_decode_decision(arena, order->retry->payload.data, order->retry->payload.len,
                                      &retry, err);
    if (result == 0)
        result = retry_fits(trust, plan, retry, now_ms, err);
    if (result != 0)
        return err_wrap(err, "the retry of site %s", plan->site->name);
    *ret_serial = retry->serial;
    return 0;
}

int consent_retry_used(struct journal *journal, const char *run, uint64_t serial, struct err *err)
{
    CLEANUP(free_mem) char *value = text_printf("%llu", (unsigned long long)serial);
    return serial ? journal_memo_set(journal, run, RETRY_MEMO, value, err) : 0;
}
